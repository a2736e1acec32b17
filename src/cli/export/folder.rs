//! A folder that Hugging Face's `datasets` loads: Parquet files, and a card.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::chosen::{Chosen, chosen};
use super::file::Lost;
use super::look::{Looked, look};
use super::staged::Staged;
use super::{Args, Done, Stop, Written, guard, pour, whole};
use crate::cli::locked::{Facts, facts};
use crate::diag::Diagnostic;
use crate::engine::keep::OutFile;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Wanted, survey};
use crate::hash::Hash;
use crate::record::Record;
use crate::share::gather;
use crate::share::hub::card::{self, Asked, Card, Config, MARK, Split, Told};
use crate::share::hub::names;
use crate::spec::about::About;
use crate::stages::write::elsewhere::Parts;
use crate::store::Store;

/// Splits at most: a field with more values names no splits.
const SPLITS: usize = 32;
/// The card's file.
const CARD: &str = "README.md";

/// Writes the folder.
pub fn write(args: &Args, pipe: &Arc<Pipe>) -> Result<Done, Stop> {
    if !names::is_split(&args.split) {
        let fault = Diagnostic::error(format!("`{}` cannot name a split", args.split));
        return Err(fault.help(WORDS).into());
    }
    let all = chosen(args, pipe)?;
    let earlier = ours(&args.to)?;
    let stages = all.iter().map(|chosen| (chosen.name.as_str(), chosen.from));
    let sensitive = guard(args, pipe, stages)?;
    let from: Vec<usize> = all.iter().map(|chosen| chosen.from).collect();
    let looked = look(args, pipe, &from)?;
    let sources: Vec<&str> = all.iter().map(|chosen| chosen.name.as_str()).collect();
    let mut done = Done {
        missing: looked.missing.clone(),
        sensitive,
        ..Done::default()
    };
    // What is wrong with records shows here, before anything is written.
    let mut filled = Vec::new();
    for (chosen, name) in all.iter().zip(names::configs(&sources)) {
        let parts = fill(args, pipe, &looked, chosen, &mut done)?;
        filled.extend(parts.map(|parts| (parts, chosen, name)));
    }
    if filled.is_empty() {
        return Err(Diagnostic::error("there are no records to export").into());
    }
    for (parts, _, name) in &filled {
        for (split, ..) in parts.names() {
            free(&args.to, &names::file(name, split), &earlier)?;
        }
    }
    let lock = lock(args, pipe)?;
    let staged = Staged::begin(&args.to)?;
    let mut configs = Vec::new();
    for (parts, chosen, name) in filled {
        configs.push(config(&staged.path(), parts, chosen, name)?);
    }
    let text = card::text(&Card {
        name: &pipe.pipeline.name,
        about: &About::of(&pipe.pipeline),
        file: &name_of(&pipe.pipeline.file),
        lock,
        models: &models(pipe, &from),
        configs: &configs,
        incomplete: !done.missing.is_empty(),
        sensitive,
        told: &Told {
            license: args.license.clone(),
            languages: args.languages.clone(),
            tasks: args.tasks.clone(),
        },
    });
    let mut file = OutFile::create(&staged.path().join(CARD))?;
    file.write(text.as_bytes())?;
    file.finish()?;
    let splits = configs.iter().flat_map(|config| &config.splits);
    let (mut data, mut files) = (Vec::new(), Vec::new());
    for split in splits {
        data.push(split.path.clone());
        files.push(Written {
            path: args.to.join(&split.path),
            records: split.rows,
            bytes: split.bytes,
        });
    }
    staged.finish(CARD, &data, &earlier)?;
    done.files = files;
    let shown = args.to.display().to_string();
    done.notes.push(format!(
        "the card is {}; load it with `datasets.load_dataset({})`",
        args.to.join(CARD).display(),
        Json::String(shown)
    ));
    Ok(done)
}

/// What names of splits are made of.
const WORDS: &str = "use letters, digits and `_`; `all` is taken";

/// The tables of one output or stage; none if it has no records, since `datasets` loads no empty
/// ones.
fn fill(
    args: &Args,
    pipe: &Pipe,
    looked: &Looked,
    chosen: &Chosen,
    done: &mut Done,
) -> Result<Option<Parts>, Stop> {
    let mut parts = chosen.what.parts(&pipe.build(chosen.place, Vec::new()))?;
    let mut lost = Lost::default();
    let mut wanted = BTreeSet::new();
    looked.each(chosen.from, |record| {
        let split = match &args.split_by {
            None => args.split.as_str(),
            Some(field) => split(field, record)?,
        };
        if let Err(fault) = parts.push(split, record) {
            lost.take(&record.key, fault)?;
        }
        if !wanted.contains(split) {
            wanted.insert(split.to_owned());
        }
        if wanted.len() > SPLITS {
            let field = args.split_by.as_deref().unwrap_or("");
            let what = format!("`{field}` has more than {SPLITS} values, too many for splits");
            return Err(Diagnostic::error(what).into());
        }
        Ok(())
    })?;
    done.missing.extend(lost.lines());
    // `datasets` loads nothing at all of a folder with an empty table in it.
    let gone = wanted
        .iter()
        .filter(|split| !parts.names().any(|(name, ..)| name == *split));
    for split in gone.filter(|_| args.split_by.is_some()) {
        let what = format!(
            "the split `{split}` of `{}` has lost all of its records",
            chosen.name
        );
        done.missing.push(format!("{what}, and is left out"));
    }
    if parts.names().next().is_none() {
        let line = format!("`{}` has no records, and is left out", chosen.name);
        done.notes.push(line);
        return Ok(None);
    }
    Ok(Some(parts))
}

/// Writes the files of one output or stage into a folder.
fn config(folder: &Path, mut parts: Parts, chosen: &Chosen, name: String) -> Result<Config, Stop> {
    let splits = parts.names();
    let splits: Vec<(String, u64, u64)> = splits
        .map(|(name, rows, memory)| (name.to_owned(), rows, memory))
        .collect();
    let mut config = Config {
        columns: parts.columns(),
        splits: Vec::new(),
        source: chosen.name.clone(),
        name,
    };
    for (split, rows, memory) in splits {
        let path = names::file(&config.name, &split);
        let file = folder.join(&path);
        let bytes = pour(&file, |bytes| parts.write(&split, bytes).map_err(whole))?;
        config.splits.push(Split {
            name: split,
            path,
            rows,
            bytes,
            memory,
        });
    }
    Ok(config)
}

/// The split that a record names.
fn split<'a>(field: &str, record: &'a Record) -> Result<&'a str, Stop> {
    let value = record.fields.get(field);
    let wrong = |what: &str| {
        let what = format!("record `{}`: `{field}` {what}", record.key);
        Err(Diagnostic::error(what).help(WORDS).into())
    };
    match value {
        None => wrong("is not there"),
        Some(value) => match value.as_str() {
            Some(name) if names::is_split(name) => Ok(name),
            _ => wrong("cannot name a split"),
        },
    }
}

/// Refuses a folder in which there is something that no export made. Hidden files, such as those
/// of git, may be there. Of an earlier export: its files, as its card lists them.
fn ours(folder: &Path) -> Result<Vec<PathBuf>, Stop> {
    let shown = folder.display();
    if folder.exists() && !folder.is_dir() {
        let fault = Diagnostic::error(format!("`{shown}` is no folder"));
        return Err(fault
            .help("name a folder, or a file that ends in `.jsonl`, `.csv` or `.parquet`")
            .into());
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    let has_more = names.any(|name| !name.to_string_lossy().starts_with('.'));
    let card = fs::read_to_string(folder.join(CARD)).unwrap_or_default();
    if has_more && !card.contains(MARK) {
        let what = format!("in `{shown}` there are files that no export made");
        return Err(Diagnostic::error(what).help("name another folder").into());
    }
    let inside = |path: &String| {
        let mut parts = Path::new(path).components();
        path.starts_with("data/")
            && path.ends_with(names::TAIL)
            && parts.all(|part| matches!(part, Component::Normal(_)))
            && link(folder, path).is_none()
    };
    let listed = card::files(&card).into_iter().filter(inside);
    Ok(listed.map(|path| folder.join(path)).collect())
}

/// The first link on the way to a file in a folder.
fn link(folder: &Path, file: &str) -> Option<PathBuf> {
    let mut at = folder.to_owned();
    Path::new(file).components().find_map(|part| {
        at.push(part);
        at.is_symlink().then(|| at.clone())
    })
}

/// Refuses to write where there is a file that no export made, or through a link.
fn free(folder: &Path, file: &str, earlier: &[PathBuf]) -> Result<(), Stop> {
    let path = folder.join(file);
    let what = match link(folder, file).or_else(|| link(folder, CARD)) {
        Some(link) => format!("`{}` is a link, which may lead elsewhere", link.display()),
        None if path.exists() && !earlier.contains(&path) => {
            format!("no export made `{}`", path.display())
        }
        None => return Ok(()),
    };
    Err(Diagnostic::error(what).help("name another folder").into())
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The hash of what `clue lock` would write now.
pub fn lock(args: &Args, pipe: &Pipe) -> Result<Hash, Stop> {
    let settings = &args.common.settings;
    let store = Store::open_read(&settings.store)?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let served = gather::served(&store);
    let lock = facts(settings, pipe, &survey, &store, &Facts::Counted(&served))?;
    Ok(Hash::of_bytes(lock.text().as_bytes()))
}

/// The models that records of these stages come from.
fn models(pipe: &Pipe, stages: &[usize]) -> Vec<Asked> {
    let mut behind = vec![false; pipe.stages.len()];
    let mut open = stages.to_vec();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut behind[at], true) {
            open.extend(pipe.stages[at].sources());
        }
    }
    let mut models: Vec<Asked> = Vec::new();
    for at in (0..pipe.stages.len()).filter(|at| behind[*at]) {
        let stage = &pipe.stages[at].spec.name.value;
        for model in pipe.asked(at) {
            match models.iter_mut().find(|known| known.name == model.name) {
                Some(known) => known.stages.push(stage.clone()),
                None => models.push(Asked {
                    name: model.name.clone(),
                    id: model.id.clone(),
                    revision: model.revision.clone(),
                    stages: vec![stage.clone()],
                }),
            }
        }
    }
    models
}
