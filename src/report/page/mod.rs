//! One page of HTML about a finished run, for people: whole in itself, without any network.
//!
//! `choose` says what has to be looked at again, `gather` makes plain data of it, `html` writes
//! the page. What the page looks like is in `src/report/html/`. Nothing here reads a file.

mod boards;
pub mod calls;
mod choose;
mod column;
mod data;
mod gather;
mod html;
mod lives;
mod mask;
mod origin;
mod stages;
pub mod tables;

pub use calls::turns;
pub use choose::{Choice, choose, open_ended};
pub use data::{Report, Scorer};
pub use gather::{Found, Options, gather};
pub use html::{html, live};
pub use lives::{Lives, Past};
pub use mask::Salting;
pub use tables::{adds, behind, scored};
