//! Gets the files of data sets that a catalogue lists: from where, by which account, and with
//! which sums. Knows the network and the folder; knows no data set, asks nobody and prints
//! nothing.

mod aside;
pub mod catalogue;
pub mod consent;
pub mod download;
pub mod error;
pub mod login;
pub mod meter;
mod part;
mod rules;
pub mod run;
pub mod shelf;
pub mod sums;
mod web;
