//! A folder that Hugging Face's `datasets` loads: what its files are called, and its card. Pure;
//! writes nothing.

pub mod card;
mod front;
mod license;
pub mod names;
