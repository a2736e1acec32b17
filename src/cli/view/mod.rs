//! `clue view`: the report of a pipeline, served to this computer alone while runs go on.

mod page;
mod serve;
mod watch;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch::channel;

use crate::cli::ends::Ends;
use crate::cli::session::{Common, refuse};
use crate::cli::{err, out};
use crate::diag::Diagnostic;

/// Arguments of `clue view`.
#[derive(clap::Args)]
#[command(after_help = "\
It looks at the cache, and asks nobody: give the params of the run, which may be under way, over, or
yet to come. The page is served on the loopback address alone, under an address that cannot be
guessed. On another machine: `ssh -L PORT:127.0.0.1:PORT MACHINE`, with `--port PORT`.
Ctrl-C ends it.")]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    /// The port [default: one that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Show the texts and keys of records that are marked `sensitive` too
    #[arg(long)]
    pub include_sensitive: bool,
    /// Records of a table at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,
    /// Tell the address as JSON
    #[arg(long)]
    json: bool,
}

/// Serves the page until it is interrupted.
pub fn view(args: Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&Diagnostic::error(format!("cannot start: {error}"))),
    };
    match runtime.block_on(served(args, pipe)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => refuse(&fault),
    }
}

async fn served(args: Args, pipe: Arc<crate::engine::pipe::Pipe>) -> Result<(), Diagnostic> {
    let cannot =
        |what: &str, error: std::io::Error| Diagnostic::error(format!("cannot {what}: {error}"));
    let mut ends = Ends::listen().map_err(|error| cannot("listen to signals", error))?;
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(place).await.map_err(|error| {
        cannot(&format!("serve on port {}", args.port), error).help("name another with `--port`")
    })?;
    let place = listener
        .local_addr()
        .map_err(|error| cannot("serve", error))?;
    let token = token()?;
    let name = pipe.pipeline.name.clone();
    let (sender, shown) = channel(page::Shown::default());
    let json = args.json;
    // It reads the cache, and is gone with the program.
    std::thread::Builder::new()
        .name("look".to_owned())
        .spawn(move || watch::look(&args, pipe, &sender))
        .map_err(|error| cannot("start", error))?;
    let address = format!("http://{place}/{token}/");
    if json {
        let told = serde_json::json!({"event": "view", "url": address});
        out(&format!("{told}\n"));
    } else {
        out(&format!("view: {address}\n"));
        err("for this computer alone; Ctrl-C ends it\n");
    }
    let server = serve::serve(listener, &token, &name, shown);
    tokio::select! {
        done = server => done.map_err(|error| cannot("serve", error)),
        () = ends.any() => Ok(()),
    }
}

/// 128 random bits, so that nobody else on the computer guesses the address.
fn token() -> Result<String, Diagnostic> {
    let mut bits = [0_u8; 16];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut bits)
        .map_err(|_| Diagnostic::error("the operating system has no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}
