//! `clue verify`: looks through a bundle, and makes again from its recorded calls whatever can be
//! made, to be compared with its lock. A bundle is a stranger's: nothing of it is run that is not
//! consented to.

mod compared;
mod data;
mod live;
mod opened;
mod rerun;
mod results;
mod told;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::codes::FAILED;
use super::consent::config;
use super::locked::differences;
use super::replay::fill;
use super::scratch::Scratch;
use super::session::{bad, param, refuse};
use crate::diag::{Diagnostic, Sources};
use crate::engine::survey::{Wanted, survey};
use crate::replay::cassette::{self, Entry};
use crate::share::bundle::agree::{Agreement, agree};
use crate::share::bundle::check::{Archive, Fault, check};
use crate::share::bundle::hidden::{self, HiddenCall, StageRecords};
use crate::share::bundle::look;
use crate::share::bundle::manifest::{Level, Role};
use crate::share::bundle::results::{Results, read};
use crate::share::bundle::salt::Salt;
use crate::share::differ::Differences;
use crate::share::gather::{self, Around};
use crate::share::lock::Lock;
use crate::store::Store;
use crate::trust::config::Config;

use compared::{Checked, Is, Prompts};
use data::{Input, Inputs, place};
use opened::{Home, Opened, open};
use rerun::{May, Rerun, Then, rerun};
use results::Table;

/// The largest of the files that are read into memory, in bytes.
const LIST: u64 = 2 << 30;

/// Arguments of `clue verify`.
#[derive(clap::Args)]
#[command(after_help = "\
Without data and without a server it checks what needs neither. Nothing that a bundle names is run
without `--yes`. Exit codes: 0 all that was checked agrees; 1 something differs or is damaged; 2 it is
no bundle, or of a newer format; 3 refused, for want of consent.")]
pub struct Args {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// A folder with data that is not in the bundle: files are known by their content
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Your own cache, for calls that are not in the bundle
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Ask the models again, and tell what that changes
    #[arg(long)]
    live: bool,
    /// Set a param, such as the address of a model; may be given several times
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// Allow the programs and hosts that the bundle names
    #[arg(long)]
    yes: bool,
    /// Unpack no more than this
    #[arg(long, value_name = "SIZE", default_value = "20GB", value_parser = super::bundle::bytes_of)]
    max_size: u64,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// All that was found.
#[derive(Serialize)]
struct Verdict {
    bundle: PathBuf,
    /// What is damaged, missing, or does not belong there.
    damage: Vec<Fault>,
    #[serde(flatten)]
    looked: Option<Looked>,
    /// True if all that was checked agrees.
    agrees: bool,
}

/// What was found in a sound bundle.
#[derive(Serialize)]
struct Looked {
    name: String,
    level: Level,
    program: String,
    members: usize,
    /// The files in it against the lock in it.
    files: Agreement,
    /// Data of the run.
    data: Vec<Input>,
    /// What the run would be made of now.
    made_of: Differences,
    /// Why the pipeline cannot be run, if it cannot.
    unopened: Option<String>,
    /// Stages and output files.
    stages: Vec<Checked>,
    /// Tables of results.
    results: Vec<Table>,
    /// Prompts of calls that are not in the bundle.
    prompts: Vec<Prompts>,
    /// What the models say today.
    live: Option<live::Live>,
}

/// Verifies a bundle.
pub fn verify(args: &Args) -> ExitCode {
    let config = match config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    match verified(args, &config) {
        Ok(verdict) => {
            told::tell(args, &verdict);
            ExitCode::from(if verdict.agrees { 0 } else { FAILED })
        }
        Err(Ended::Fault(fault)) => refuse(&fault),
        Err(Ended::Code(code)) => code,
    }
}

/// Why there is no verdict.
enum Ended {
    Fault(Box<Diagnostic>),
    /// It was told.
    Code(ExitCode),
}

impl From<Diagnostic> for Ended {
    fn from(fault: Diagnostic) -> Ended {
        Ended::Fault(Box::new(fault))
    }
}

fn verified(args: &Args, config: &Config) -> Result<Verdict, Ended> {
    let checked = check(&args.bundle, args.max_size)?;
    let mut verdict = Verdict {
        bundle: args.bundle.clone(),
        agrees: checked.faults.is_empty(),
        damage: checked.faults,
        looked: None,
    };
    // Of what is damaged, nothing else is to be believed.
    if let Some(archive) = checked.archive.filter(|_| verdict.agrees) {
        let looked = look_into(args, config, &archive)?;
        verdict.agrees = looked.agrees();
        verdict.looked = Some(looked);
    }
    Ok(verdict)
}

impl Looked {
    fn agrees(&self) -> bool {
        !self.differs() && self.live.as_ref().is_none_or(|live| live.agrees)
    }

    /// True if something is not what the bundle says, whatever the models say today.
    fn differs(&self) -> bool {
        !self.files.wrong.is_empty()
            || !self.made_of.wrong.is_empty()
            || self.stages.iter().any(|stage| stage.is == Is::Differs)
            || self.results.iter().any(|table| table.is == Is::Differs)
            || self.prompts.iter().any(|prompts| prompts.gone > 0)
            || self.data.iter().any(|input| input.is == data::Is::Other)
    }
}

/// What a bundle says of its run.
struct Said {
    lock: Lock,
    calls: Vec<Entry>,
    records: Vec<StageRecords>,
    hidden: Vec<HiddenCall>,
    results: Option<Results>,
}

fn look_into(args: &Args, config: &Config, archive: &Archive) -> Result<Looked, Ended> {
    let manifest = archive.manifest();
    let scratch = Scratch::make()?;
    let root = scratch.path().join("bundle");
    archive.unpack(&root)?;
    let said = said(archive, &root)?;
    let aside = scratch.path().join("absent");
    let inputs = place(manifest, &root, &aside, args.data.as_deref())?;
    let mut looked = Looked {
        name: manifest.name.clone(),
        level: manifest.level,
        program: manifest.program.clone(),
        members: manifest.files.len() + 1,
        files: agree(&said.lock, manifest),
        data: inputs.all.clone(),
        made_of: Differences::default(),
        unopened: None,
        stages: Vec::new(),
        results: Vec::new(),
        prompts: Vec::new(),
        live: None,
    };
    let home = Home {
        root: &root,
        scratch: scratch.path(),
        params: &args.params,
        yes: args.yes,
    };
    let config = &inputs.marked(config);
    let opened = match open(&home, manifest, &inputs, config) {
        Ok(opened) => opened,
        Err((faults, sources)) => return unopened(looked, &root, &inputs, &faults, &sources),
    };
    let store = scratch.path().join("store");
    fill(&store, &said.calls)?;
    looked.made_of = made_of(&opened, &store, &said.lock, &inputs)?;
    let salt = salt(&inputs)?;
    let then = Then {
        lock: &said.lock,
        records: &said.records,
        hidden: &said.hidden,
        salt: salt.as_ref(),
        other_data: inputs
            .all
            .iter()
            .any(|i| i.sensitive && i.is == data::Is::Other),
        open: manifest.level == Level::Open,
        elsewhere: inputs
            .all
            .iter()
            .any(|input| input.is == data::Is::Elsewhere),
    };
    let own = args.store.as_deref().map(Store::open_read).transpose()?;
    let may = May {
        yes: args.yes,
        store: own.as_ref(),
    };
    let Rerun { stages, prompts } = rerun(&opened, &store, &then, &may)?;
    (looked.stages, looked.prompts) = (stages, prompts);
    if let Some(was) = &said.results {
        let store = Store::open(&store)?;
        looked.results = results::compare(&opened, &store, &then, was, args.yes)?;
    }
    if args.live {
        let asked = live::Asked {
            yes: args.yes,
            json: args.json,
            config,
            folder: scratch.path(),
        };
        let live = live::live(&opened, &then, &said.calls, said.results.as_ref(), &asked);
        looked.live = Some(live?);
    }
    Ok(looked)
}

/// With data missing, a pipeline may be such that nothing can be said of it; else its faults are
/// the bundle's.
fn unopened(
    mut looked: Looked,
    root: &Path,
    inputs: &Inputs,
    faults: &[Diagnostic],
    sources: &Sources,
) -> Result<Looked, Ended> {
    let lacks = |input: &&Input| matches!(input.is, data::Is::Absent | data::Is::Elsewhere);
    let absent = inputs.all.iter().filter(lacks);
    let names = absent.map(|input| format!("`{}`", crate::text::visible::plain(&input.name)));
    let names: Vec<String> = names.collect();
    let Some(first) = faults.first().filter(|_| !names.is_empty()) else {
        return Err(Ended::Code(bad(faults, sources)));
    };
    let names = names.join(" and ");
    // That folder is gone when this is read.
    let fault = first.message.replace(&format!("{}/", root.display()), "");
    looked.unopened = Some(format!("{fault}; the bundle does not hold {names}"));
    Ok(looked)
}

fn said(archive: &Archive, root: &Path) -> Result<Said, Diagnostic> {
    let manifest = archive.manifest();
    let path = |role| manifest.of_role(role).map(|file| file.path.clone());
    let Some(lock) = path(Role::Lock) else {
        return Err(Diagnostic::error("the bundle holds no lock"));
    };
    // Its places are in a folder that nobody sees.
    let lock = Lock::read(&root.join(lock), &mut Sources::default()).map_err(|fault| {
        Diagnostic::error(format!("the lock in it is no lock: {}", fault.message))
    })?;
    let broken = |path: &str, line: usize| {
        Diagnostic::error(format!(
            "`{path}` of the bundle: line {line} is none of its lines"
        ))
    };
    let lists = [Role::Calls, Role::Records, Role::HiddenCalls, Role::Results];
    let large = manifest
        .files
        .iter()
        .find(|f| lists.contains(&f.role) && f.bytes > LIST);
    if let Some(file) = large {
        let what = format!("`{}` of the bundle is too large", file.path);
        return Err(Diagnostic::error(what));
    }
    let calls = match path(Role::Calls) {
        None => Vec::new(),
        Some(path) => {
            cassette::read(&archive.bytes(&path)?).map_err(|fault| broken(&path, fault.line))?
        }
    };
    let records = match path(Role::Records) {
        None => Vec::new(),
        Some(path) => hidden::read(&archive.bytes(&path)?).map_err(|line| broken(&path, line))?,
    };
    let hidden = match path(Role::HiddenCalls) {
        None => Vec::new(),
        Some(path) => hidden::read(&archive.bytes(&path)?).map_err(|line| broken(&path, line))?,
    };
    let results = match path(Role::Results) {
        None => None,
        Some(path) => {
            let none = |why| Diagnostic::error(format!("`{path}` of the bundle {why}"));
            Some(read(&archive.bytes(&path)?).map_err(none)?)
        }
    };
    Ok(Said {
        lock,
        calls,
        records,
        hidden,
        results,
    })
}

/// The salt, if all sensitive files are there.
fn salt(inputs: &Inputs) -> Result<Option<Salt>, Diagnostic> {
    let sensitive = inputs.all.iter().filter(|input| input.sensitive);
    let there = sensitive.map(|input| {
        let path = input.path.as_deref();
        path.filter(|_| input.is != data::Is::Absent)
    });
    let there: Option<Vec<&Path>> = there.collect();
    there.map_or(Ok(None), look::salt)
}

/// What the run would be made of now, but for files, which were compared as they are, and for
/// stages that are left out.
fn made_of(
    opened: &Opened,
    store: &Path,
    lock: &Lock,
    inputs: &Inputs,
) -> Result<Differences, Diagnostic> {
    let store = Store::open(store)?;
    let pipe = &opened.pipe;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let around = Around {
        store: &store,
        params_files: std::slice::from_ref(&opened.params),
        served: &[],
        count: false,
        inside: true,
    };
    let mut now = gather::lock(pipe, &survey, &around)?;
    // What lies outside was not opened.
    for param in pipe.pipeline.params() {
        let path = Path::new(param.value.as_str().unwrap_or_default());
        let outside = pipe.pipeline.fence.refuses(path).is_some();
        let both = now
            .paths
            .get_mut(&param.name)
            .zip(lock.paths.get(&param.name));
        if let Some((now, was)) = both.filter(|(now, _)| outside && now.hash.is_none()) {
            now.hash = was.hash;
        }
    }
    (now.files, now.prompts) = (lock.files.clone(), lock.prompts.clone());
    let is = std::mem::replace(&mut now.inputs, lock.inputs.clone());
    for input in inputs
        .all
        .iter()
        .filter(|input| input.is == data::Is::Elsewhere)
    {
        let both = now.inputs.get_mut(&input.label).zip(is.get(&input.label));
        if let Some((known, is)) = both {
            known.hash = is.hash;
        }
    }
    // Also of what is in the bundle, if it is not what the bundle says.
    for input in inputs
        .all
        .iter()
        .filter(|input| matches!(input.is, data::Is::There | data::Is::Other))
    {
        if let (Some(known), Some(hash)) = (now.inputs.get_mut(&input.label), input.hash) {
            known.hash = hash;
        }
    }
    for (name, _) in &opened.removed {
        if let Some(stage) = lock.stages.get(name) {
            now.stages.insert(name.clone(), stage.clone());
        }
    }
    Ok(differences(lock, &now, pipe, &store))
}
