//! `clue run --executor`: a run that others do, wave by wave, and the outputs of it at the end.

mod coordinator;
mod finish;
mod follow;
mod manifest;
mod orders;
mod start;
mod stop;
mod submit;
mod teller;
mod waves;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::how::Args;
use super::session::{bad, refuse};
use crate::cluster::profile::{MOST_SHARDS, Profile};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;

pub use orders::Orders;

/// Who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Executor {
    /// A Slurm cluster, in arrays of jobs
    Slurm,
    /// Kubernetes, in indexed jobs; with --dry-run only
    K8s,
}

/// Where a run is made, if not by this process.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Where {
    /// Let a cluster do the work, and follow it
    #[arg(long, value_enum, value_name = "WHO", help_heading = "On a cluster",
          conflicts_with_all = ["shard", "force", "offline", "locked", "max_calls", "max_tokens", "max_cost"])]
    executor: Option<Executor>,
    /// What the cluster is asked for: a file, or a name in the `profiles` folder of your
    /// configuration; alone it means `--executor slurm`
    #[arg(long, value_name = "NAME|FILE", help_heading = "On a cluster",
          conflicts_with_all = ["shard", "force", "offline", "locked", "max_calls", "max_tokens", "max_cost"])]
    profile: Option<String>,
    /// How many tasks share the work [default: the profile's, else 4]
    #[arg(long, value_name = "N", help_heading = "On a cluster",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SHARDS)))]
    shards: Option<u32>,
    /// Submit the work and end; jobs do the rest
    #[arg(long, help_heading = "On a cluster")]
    submit_only: bool,
    /// Follow what is under way, and start nothing new if nothing is
    #[arg(long, help_heading = "On a cluster")]
    attach: bool,
    /// Print what would be submitted first
    #[arg(long, help_heading = "On a cluster", conflicts_with_all = ["submit_only", "attach"])]
    dry_run: bool,
    /// What a task is to do, and what was agreed to (used by clue itself)
    #[arg(long, value_name = "FILE", hide = true)]
    orders: Option<PathBuf>,
}

impl Where {
    /// Who runs it; none if this process does.
    ///
    /// # Errors
    /// Flags that say how somebody else runs it, without that.
    pub fn executor(&self) -> Result<Option<Executor>, Box<Diagnostic>> {
        let named = self.profile.as_ref().map(|_| Executor::Slurm);
        let executor = self.executor.or(named);
        let flags = [
            ("--shards", self.shards.is_some()),
            ("--submit-only", self.submit_only),
            ("--attach", self.attach),
            ("--dry-run", self.dry_run),
        ];
        match (executor, flags.iter().find(|(_, given)| *given)) {
            (None, Some((flag, _))) => {
                let fault = Diagnostic::error(format!("`{flag}` is for runs on a cluster"));
                Err(Box::new(fault.help("say which: `--executor slurm`")))
            }
            _ => Ok(executor),
        }
    }

    /// What somebody else agreed to and planned for this process.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn orders(&self) -> Result<Option<Orders>, Diagnostic> {
        self.orders.as_deref().map(Orders::read).transpose()
    }
}

/// Has a pipeline run by somebody else.
pub fn run(args: &Args, pipe: &Arc<Pipe>, executor: Executor) -> ExitCode {
    let profile = match Profile::load(args.place.profile.as_deref()) {
        Ok(profile) => profile,
        Err((faults, sources)) => return bad(&faults, &sources),
    };
    let done = match executor {
        Executor::Slurm => coordinator::run(args, pipe, profile.slurm),
        Executor::K8s => manifest::print(args, pipe, &profile.k8s),
    };
    match done {
        Ok(code) => code,
        Err(fault) if fault.primary.is_some() => bad(&[*fault], &pipe.pipeline.sources),
        Err(fault) => refuse(&fault),
    }
}
