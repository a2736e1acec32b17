//! `stats` and `compare`: what scores say, and how sure that is. `sample` and `resample` have
//! the formulas, `scores` reads the records.

mod compare;
mod resample;
mod sample;
mod scores;
mod settings;
#[cfg(test)]
mod tests;
mod verb;

pub use compare::Compare;
pub use verb::Stats;
