//! `clue cache push` and `clue cache pull`: a cache elsewhere gets what this one has, or the other
//! way round.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::cache::{self, existing};
use super::codes::{BAD_INPUT, FAILED, INTERRUPTED, REFUSED};
use super::consent::config;
use super::ends::Ends;
use super::session::{color, refuse};
use super::{err, out};
use crate::diag::{Diagnostic, Sources};
use crate::engine::halt::{Halt, Reason};
use crate::remote::fault::Fault;
use crate::remote::moved::Moved;
use crate::remote::place::Place;
use crate::remote::{How, Remote};
use crate::store::Store;

/// Arguments of both.
#[derive(clap::Args)]
#[command(after_help = "\
S3 is set up by the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
AWS_REGION, and AWS_ENDPOINT_URL for servers that are not Amazon's. A cache is sent to another
machine only if your own configuration names the place under `remotes:`.")]
pub struct Args {
    /// `s3://BUCKET/PREFIX`, `file:///FOLDER`, or a folder
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    place: cache::Place,
    /// Say what would move, and move nothing
    #[arg(long)]
    dry_run: bool,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From here.
    Push,
    /// To here.
    Pull,
}

/// Runs one of them.
pub fn transfer(args: &Args, way: Way) -> ExitCode {
    match moved(args, way) {
        Ok(moved) => tell(args, way, &moved),
        Err(code) => code,
    }
}

fn moved(args: &Args, way: Way) -> Result<Moved, ExitCode> {
    let bad = |fault: Diagnostic| refuse(&fault);
    let place = Place::parse(&args.url).map_err(bad)?;
    let folder = &args.place.store;
    if way == Way::Push {
        existing(&args.place).map_err(bad)?;
    }
    if is_same(&place, folder) {
        let fault = format!("`{}` is this cache itself", folder.display());
        return Err(refuse(&Diagnostic::error(fault).help("name another place")));
    }
    let config = config()?;
    let store = match args.dry_run {
        true => Store::open_read(folder),
        false => Store::open(folder),
    };
    let store = store.map_err(bad)?;
    let how = How {
        dry_run: args.dry_run,
        artifacts: true,
        halt: Halt::default(),
    };
    let work = async {
        let remote = Remote::open(&place).await?;
        match way {
            Way::Push => match remote.refused(&config) {
                Some(fault) => Ok(Err(fault)),
                None => remote.push(&store, &how).await.map(Ok),
            },
            Way::Pull => remote.pull(&store, &how).await.map(Ok),
        }
    };
    match wait(&how.halt, None, work)? {
        Ok(Ok(moved)) => Ok(moved),
        Ok(Err(refused)) => {
            tell_fault(&refused);
            err("refused: nothing was sent\n");
            Err(ExitCode::from(REFUSED))
        }
        Err(Fault::Input(fault) | Fault::Absent(fault)) => Err(refuse(&fault)),
        Err(Fault::Transfer(fault)) => {
            tell_fault(&fault);
            Err(ExitCode::from(FAILED))
        }
        Err(Fault::Interrupted) => {
            err("interrupted; what has moved stays: run it again to go on\n");
            Err(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Does something that moves files, until it is done, interrupted, or takes longer than it may.
///
/// # Errors
/// The exit code: it could not begin.
pub fn wait<T>(
    halt: &Halt,
    most: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| refuse(&Diagnostic::error(format!("cannot start: {error}"))))?;
    let done = runtime.block_on(async {
        let mut ends = Ends::listen().map_err(|_| ExitCode::from(BAD_INPUT))?;
        tokio::pin!(work);
        let late = async {
            match most {
                Some(most) => tokio::time::sleep(most).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = &mut work => return Ok(done),
            () = ends.any() => {}
            () = late => {}
        }
        // What is half sent is cleaned up first.
        halt.raise(Reason::Interrupted);
        tokio::select! {
            done = work => Ok(done),
            () = ends.any() => Err(ExitCode::from(INTERRUPTED)),
        }
    });
    runtime.shutdown_background();
    done
}

/// Prints a fault that is about no place in a file.
pub fn tell_fault(fault: &Diagnostic) {
    let told = fault.render(&Sources::default(), color());
    err(&format!("{told}\n\n"));
}

fn is_same(place: &Place, store: &std::path::Path) -> bool {
    match place {
        Place::Folder(folder) => match (folder.canonicalize(), store.canonicalize()) {
            (Ok(there), Ok(here)) => there == here,
            _ => false,
        },
        Place::Bucket(_) => false,
    }
}

fn tell(args: &Args, way: Way, moved: &Moved) -> ExitCode {
    if args.place.json {
        let mut told = json!(moved);
        told["dry_run"] = args.dry_run.into();
        out(&format!("{told}\n"));
    } else {
        let word = match (way, args.dry_run) {
            (Way::Push, false) => "pushed",
            (Way::Push, true) => "would push",
            (Way::Pull, false) => "pulled",
            (Way::Pull, true) => "would pull",
        };
        match moved.is_empty() {
            true => out("nothing to move: all of it is there\n"),
            false => out(&format!("{word} {}\n", moved.words())),
        }
    }
    for line in &moved.damaged {
        err(&format!("damaged: {line}\n"));
    }
    match moved.damaged.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    }
}
