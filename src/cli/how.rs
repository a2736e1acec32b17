//! The flags that say what is run, and how: those that several commands share.

use std::path::PathBuf;

use super::executor::Where;
use super::session::Common;
use crate::engine::budget::Limits;
use crate::engine::calls::Means;
use crate::engine::shard::Shard;

/// What is run, and how.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub how: How,
    /// Where; other commands run it here.
    #[arg(skip)]
    pub place: Where,
}

/// What a run may do, does again, and says.
#[derive(clap::Args)]
pub struct How {
    /// Allow the programs and hosts that the pipeline names, for this run
    #[arg(long)]
    pub yes: bool,
    /// Run only what this stage needs; may be given several times
    #[arg(long, value_name = "STAGE")]
    pub until: Vec<String>,
    /// Run this stage again even though its output is known (calls stay cached)
    #[arg(long, value_name = "STAGE")]
    pub force: Vec<String>,
    /// Do a share of the calls, the I-th of N, up to where all records are needed; a run
    /// without this then finds them in the cache
    #[arg(long, value_name = "I/N", conflicts_with_all = ["force", "offline", "locked"])]
    pub shard: Option<Shard>,
    /// Ask nobody: answer from the cache alone, and list what is missing
    #[arg(long)]
    pub offline: bool,
    /// Refuse to run what differs from the pipeline's lock, or from FILE, and compare the outputs
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub locked: Option<Option<PathBuf>>,
    /// Make no more calls than this; then stop, to go on another time
    #[arg(long, value_name = "N")]
    max_calls: Option<u64>,
    /// Begin no call once prompts and answers have had so many tokens
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Begin no call once calls have cost so much, by the models' `price`
    #[arg(long, value_name = "COST", value_parser = cost)]
    max_cost: Option<f64>,
    /// How much the machine has of what servers need: of anything that is not named, one
    #[arg(long, value_name = "NAME=AMOUNT", env = "CLUE_RESOURCES", value_delimiter = ',',
          value_parser = amount)]
    pub resources: Vec<(String, f64)>,
    /// Get what others made from this cache before the run, and send what it makes after: an S3
    /// bucket (`s3://BUCKET/PREFIX`) or a folder; `--remote=` for none
    #[arg(long, value_name = "URL", env = "CLUE_REMOTE")]
    pub remote: Option<String>,
    /// Tell progress and result as JSON lines on standard output
    #[arg(long)]
    pub json: bool,
    /// Tell warnings and the result only
    #[arg(short, long)]
    pub quiet: bool,
}

impl How {
    /// What it may spend, and what the machine has.
    pub fn means(&self) -> Means {
        Means {
            limits: Limits {
                calls: self.max_calls,
                tokens: self.max_tokens,
                cost: self.max_cost,
            },
            has: self.resources.iter().cloned().collect(),
        }
    }
}

fn cost(text: &str) -> Result<f64, String> {
    let cost = text
        .parse()
        .ok()
        .filter(|cost: &f64| *cost >= 0.0 && cost.is_finite());
    cost.ok_or_else(|| "expected a number that is not negative".to_owned())
}

fn amount(text: &str) -> Result<(String, f64), String> {
    let parsed = text.split_once('=').and_then(|(name, amount)| {
        let amount: f64 = amount.trim().parse().ok()?;
        let fine = amount.is_finite() && amount >= 0.0 && !name.trim().is_empty();
        fine.then(|| (name.trim().to_owned(), amount))
    });
    parsed.ok_or_else(|| "expected NAME=AMOUNT, such as `gpu=2`".to_owned())
}
