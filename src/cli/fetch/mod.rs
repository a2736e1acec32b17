//! `clue fetch`: the data sets of a catalogue. Lists them, asks for logins, fetches. Knows no
//! data set.

mod consent;
pub mod told;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ask::{self, Unasked};
use super::codes::{INTERRUPTED, REFUSED};
use super::display::{Form, files};
use super::ends::Ends;
use super::session::{bad, color, refuse};
use super::{around, err, out};
use crate::diag::{Diagnostic, Sources};
use crate::fetch::catalogue::{Account, Catalogue, Dataset};
use crate::fetch::consent::needs;
use crate::fetch::login::Login;
use crate::fetch::run::{How, Want, fetch as fetch_all};
use crate::text::visible::plain;

/// Where the catalogue is, in this folder or one around it.
const CATALOGUE: &str = "pipelines/datasets.yaml";

/// Arguments of `clue fetch`.
#[derive(clap::Args)]
#[command(after_help = "\
Without a name: lists what there is, what it needs, and what is there already. A file that is there
with the right SHA-256 sum is left alone; a download that was cut goes on where it stopped. Logins
are read from the environment or asked for, are sent to their own hosts only, and are stored
nowhere. A catalogue that did not come with clue is followed only with `--yes`.")]
pub struct Args {
    /// The data sets to fetch
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Fetch all data sets
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The catalogue [default: pipelines/datasets.yaml, here or in a folder around]
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Where files go [default: as the catalogue says]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Fetch once more what is there
    #[arg(long)]
    again: bool,
    /// Allow what the catalogue asks for: logins for its hosts, requests, files in its folder
    #[arg(long)]
    yes: bool,
    /// How many failures in a row are forgiven
    #[arg(long, value_name = "N", default_value_t = 7)]
    retries: u32,
    /// After how many seconds of silence to ask anew
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Tell the result as JSON
    #[arg(long)]
    json: bool,
    /// Tell only what went wrong
    #[arg(short, long)]
    quiet: bool,
}

/// Lists or fetches.
pub fn fetch(args: &Args) -> ExitCode {
    let file = match &args.catalogue {
        Some(file) => Ok(file.clone()),
        None => around::find(CATALOGUE, "--catalogue"),
    };
    let file = match file {
        Ok(file) => file,
        Err(fault) => return refuse(&fault),
    };
    let mut sources = Sources::default();
    let catalogue = match Catalogue::load(&file, args.to.as_deref(), &mut sources) {
        Ok(catalogue) => catalogue,
        Err(faults) => return bad(&faults, &sources),
    };
    let chosen = match chosen(args, &catalogue) {
        Ok(chosen) => chosen,
        Err(faults) => return bad(&faults, &sources),
    };
    let folder = &catalogue.into;
    let wants = match Want::all(chosen.into_iter(), folder) {
        Ok(wants) => wants,
        Err(why) => {
            let fault = Diagnostic::error(why.to_string());
            return refuse(&fault.help("choose another folder with `--to DIR`"));
        }
    };
    if args.names.is_empty() && !args.all {
        if args.json {
            out(&format!(
                "{}\n",
                told::json(&catalogue, folder, &wants, &[])
            ));
        } else {
            out(&told::list(&catalogue, folder, &wants));
        }
        return ExitCode::SUCCESS;
    }
    let how = How {
        folder,
        again: args.again,
        retries: args.retries,
        patience: Duration::from_secs(args.timeout),
    };
    if !catalogue.is_shipped && !args.yes {
        let needs = needs(&catalogue, &wants, &how);
        if !needs.is_empty() {
            err(&consent::question(&file, &needs));
            return ExitCode::from(REFUSED);
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&Diagnostic::error(format!("cannot start: {error}"))),
    };
    let code = runtime.block_on(go(args, &catalogue, &wants, &how));
    // A question that nobody answers must not keep the program from ending.
    runtime.shutdown_background();
    code
}

/// The data sets that are named; all of them without a name.
fn chosen<'a>(args: &Args, catalogue: &'a Catalogue) -> Result<Vec<&'a Dataset>, Vec<Diagnostic>> {
    if args.names.is_empty() {
        return Ok(catalogue.datasets.iter().collect());
    }
    let unknown = |name: &&String| !catalogue.datasets.iter().any(|set| set.name == **name);
    let faults: Vec<Diagnostic> = args
        .names
        .iter()
        .filter(unknown)
        .map(|name| {
            let known = catalogue.datasets.iter().map(|set| plain(&set.name));
            let known: Vec<String> = known.collect();
            Diagnostic::error(format!("no data set `{name}`"))
                .suggest(name, known.iter().map(String::as_str))
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    // In the catalogue's order, and each once.
    let named = |set: &&Dataset| args.names.contains(&set.name);
    Ok(catalogue.datasets.iter().filter(named).collect())
}

async fn go(args: &Args, catalogue: &Catalogue, wants: &[Want<'_>], how: &How<'_>) -> ExitCode {
    let mut ends = match Ends::listen() {
        Ok(ends) => ends,
        Err(error) => return refuse(&Diagnostic::error(format!("cannot start: {error}"))),
    };
    for (at, account) in catalogue.accounts.iter().enumerate() {
        let needs =
            |want: &&Want<'_>| want.dataset.account == Some(at) && want.needs_network(args.again);
        let mut sets: Vec<&str> = Vec::new();
        for want in wants.iter().filter(needs) {
            if !sets.contains(&want.dataset.name.as_str()) {
                sets.push(&want.dataset.name);
            }
        }
        if !sets.is_empty()
            && let Err(code) = log_in(account, &sets, &mut ends).await
        {
            return code;
        }
    }
    let (events, told) = mpsc::unbounded_channel();
    let form = Form::choose(false, args.quiet);
    let form = if args.json && form == Form::Live {
        Form::Plain
    } else {
        form
    };
    let work = async {
        fetch_all(catalogue, wants, how, &events).await;
        drop(events);
    };
    let done = tokio::select! {
        ((), done) = async { tokio::join!(work, files::show(form, wants, told)) } => done,
        () = ends.any() => {
            err("interrupted; run again to go on where it stopped\n");
            return ExitCode::from(INTERRUPTED);
        }
    };
    for fault in told::faults(catalogue, wants, how, &done) {
        err(&format!(
            "{}\n\n",
            fault.render(&Sources::default(), color())
        ));
    }
    if args.json {
        out(&format!(
            "{}\n",
            told::json(catalogue, how.folder, wants, &done)
        ));
    } else if !args.quiet {
        out(&told::summary(how.folder, &done));
    }
    ExitCode::from(u8::from(
        done.iter().any(|done| !matches!(done, Some(Ok(_)))),
    ))
}

/// Finds out the login of an account: from the environment, or else from the user.
async fn log_in(account: &Account, sets: &[&str], ends: &mut Ends) -> Result<(), ExitCode> {
    let given = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let (user, password) = (given(&account.user_env), given(&account.password_env));
    let refused = |what: String| {
        let fault = Diagnostic::error(what).help(format!(
            "set `{}` and `{}`, or run this in a terminal to be asked",
            plain(&account.user_env),
            plain(&account.password_env)
        ));
        refuse(&match &account.help {
            Some(help) => fault.note(format!(
                "account `{}`: {}",
                plain(&account.name),
                plain(help)
            )),
            None => fault,
        })
    };
    if (user.is_none() || password.is_none()) && !ask::can_ask() {
        let sets: Vec<String> = sets.iter().map(|set| format!("`{}`", plain(set))).collect();
        let verb = if sets.len() == 1 { "needs" } else { "need" };
        let sets = sets.join(", ");
        return Err(refused(format!(
            "{sets} {verb} the account `{}`",
            plain(&account.name)
        )));
    }
    let unasked = |why: Unasked| match why {
        Unasked::Interrupted => {
            err("\ninterrupted\n");
            ExitCode::from(INTERRUPTED)
        }
        Unasked::Nothing => refused(format!(
            "no login for the account `{}`",
            plain(&account.name)
        )),
    };
    let user = match user {
        Some(user) => user,
        None => ask::line(&format!("user name at {}: ", told::hosts(account)), ends)
            .await
            .map_err(unasked)?,
    };
    let password = match password {
        Some(password) => password,
        None => {
            let question = format!("password of {user} at {}: ", told::hosts(account));
            ask::hidden(&question, ends).await.map_err(unasked)?
        }
    };
    let login = Login::new(user, password).map_err(|why| {
        refused(format!(
            "no login for the account `{}`: {why}",
            plain(&account.name)
        ))
    })?;
    let _ = account.login.set(login);
    Ok(())
}
