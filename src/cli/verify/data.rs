//! Data that a bundle does not hold: found in the user's folder by what it is, and put where the
//! pipeline looks for it. What is not found has an empty file in its place, so that the stages
//! that read it can be told. The user's files are copied, never linked: nothing that a bundle
//! says may lead to one being written to.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::share::bundle::manifest::{Data, Manifest};
use crate::share::bundle::member::fault_of;
use crate::trust::config::Config;
use crate::trust::sensitive::calls_sensitive;

/// Files of a folder that are looked at, at most.
const MOST: usize = 200_000;

/// How a file that stages read is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Is {
    /// In the bundle.
    There,
    /// Found, and the same.
    Found,
    /// Found by its name, with another content.
    Other,
    /// Not found.
    Absent,
    /// Nobody's data, such as weights: where the pipeline itself looks for it on this machine.
    Elsewhere,
}

/// A file that stages read.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// What the lock calls it.
    pub label: String,
    /// Its name.
    pub name: String,
    /// How it is there.
    pub is: Is,
    /// Its hash as it is now.
    pub hash: Option<Hash>,
    /// Of one that is absent: what was looked for, and a file that it might be and is not.
    #[serde(flatten)]
    pub wanted: Option<Wanted>,
    /// Where it is; for one that is absent, what stands in its place.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// The user's file that it is, or is a copy of.
    #[serde(skip)]
    pub from: Option<PathBuf>,
    /// True if its records are sensitive.
    pub sensitive: bool,
}

/// A file that was looked for in vain.
#[derive(Clone, Debug, Serialize)]
pub struct Wanted {
    /// Its size in bytes.
    pub bytes: u64,
    /// The hash of its content.
    pub expected: Hash,
    /// A file of such a name, with another ending, in the user's folder.
    pub near: Option<String>,
}

/// All of them, and the params that lead to them.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The files, in the order of their labels.
    pub all: Vec<Input>,
    /// Params.
    pub params: Vec<(String, String)>,
}

impl Inputs {
    /// The user's configuration, by which copies are as sensitive as what they are copies of, and
    /// data is that the bundle calls so.
    pub fn marked(&self, config: &Config) -> Config {
        let mut marked = config.clone();
        let is_sensitive = |input: &&Input| {
            let from = input.from.as_deref();
            input.sensitive || from.is_some_and(|from| calls_sensitive(config, from))
        };
        let all = self.all.iter().filter(is_sensitive);
        marked.sensitive.extend(all.filter_map(|i| i.path.clone()));
        marked
    }
}

/// Finds data, and puts it where the pipeline in `root` looks for it; `aside` is for what has no
/// other place.
///
/// # Errors
/// The user's folder cannot be read, or something cannot be written.
pub fn place(
    manifest: &Manifest,
    root: &Path,
    aside: &Path,
    folder: Option<&Path>,
) -> Result<Inputs, Diagnostic> {
    let files = folder.map(listed).transpose()?.unwrap_or_default();
    let mut inputs = Inputs::default();
    for (name, place) in &manifest.paths {
        let place = place.as_ref().filter(|place| fault_of(place).is_none());
        if let Some(place) = place {
            let value = root.join(place).display().to_string();
            inputs.params.push((name.clone(), value));
        }
    }
    let mut all: Vec<&Data> = manifest.data.iter().collect();
    all.sort_by(|a, b| a.label.cmp(&b.label));
    for (number, data) in all.into_iter().enumerate() {
        let aside = aside.join(number.to_string());
        let made = one(data, manifest, root, &aside, &files, &mut inputs.params);
        let input = made.map_err(|error| unplaced(data, &error))?;
        inputs.all.push(input);
    }
    Ok(inputs)
}

fn unplaced(data: &Data, error: &io::Error) -> Diagnostic {
    let label = crate::text::visible::plain(&data.label);
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Diagnostic::error(format!(
            "the bundle is refused: another file is in the place of `{label}`"
        ));
    }
    Diagnostic::error(format!(
        "cannot put `{label}` where the pipeline looks for it: {error}"
    ))
}

fn one(
    data: &Data,
    manifest: &Manifest,
    root: &Path,
    aside: &Path,
    files: &[(PathBuf, u64)],
    params: &mut Vec<(String, String)>,
) -> io::Result<Input> {
    let place = data
        .place
        .as_deref()
        .filter(|place| fault_of(place).is_none());
    let member = place.and_then(|place| manifest.file(place));
    let place = place.map(|place| root.join(place));
    let mut input = Input {
        label: data.label.clone(),
        name: data.name.clone(),
        is: Is::There,
        hash: Some(data.hash),
        wanted: None,
        path: None,
        from: None,
        sensitive: data.sensitive,
    };
    if data.there {
        // What it is, not what is said of it.
        input.hash = member.map(|file| file.hash);
        if input.hash != Some(data.hash) {
            input.is = Is::Other;
        }
        input.path = place;
        return Ok(input);
    }
    let found = found(data, files)?;
    if data.param.is_none() && place.is_none() {
        (input.is, input.hash) = (Is::Elsewhere, None);
        // The pipeline itself says where it is. Of the same content, it tells the salt.
        let same = found.filter(|(_, hash)| *hash == data.hash);
        input.from = same.map(|(path, _)| path).filter(|_| data.sensitive);
        input.path = input.from.clone();
        return Ok(input);
    }
    (input.is, input.hash) = match &found {
        Some((_, hash)) if *hash == data.hash => (Is::Found, Some(*hash)),
        Some((_, hash)) => (Is::Other, Some(*hash)),
        None => (Is::Absent, None),
    };
    input.from = found.map(|(path, _)| path);
    if input.is == Is::Absent {
        input.wanted = Some(Wanted {
            bytes: data.bytes,
            expected: data.hash,
            near: near(&data.name, files),
        });
    }
    // A file is read as its name says.
    let own = input.from.clone();
    let own = own.filter(|path| {
        path.file_name()
            .is_some_and(|name| same_ending(name, &data.name))
    });
    let file = match own {
        Some(path) => path,
        None => {
            let name = Some(data.name.as_str()).filter(|name| fault_of(name).is_none());
            let stand_in = aside.join(name.unwrap_or("data").replace('/', "_"));
            fs::create_dir_all(aside)?;
            let mut copy = File::create_new(&stand_in)?;
            if let Some(path) = &input.from {
                io::copy(&mut File::open(path)?, &mut copy)?;
            }
            stand_in
        }
    };
    let (param, rest) = match data.label.strip_prefix("params.") {
        Some(label) => label.split_once('/').unwrap_or((label, "")),
        None => ("", ""),
    };
    let at = match (&data.param, place) {
        (Some(own), _) if own == param && rest.is_empty() => {
            set(params, param, &file);
            input.path = Some(file);
            return Ok(input);
        }
        // One of several files in a folder that a param names.
        (Some(own), place) if own == param => {
            let known = params.iter().find(|(name, _)| name == param);
            let folder = known.map(|(_, value)| PathBuf::from(value));
            let folder = folder.unwrap_or_else(|| root.join("data").join(param));
            set(params, param, &folder);
            let rest = Some(rest).filter(|rest| fault_of(rest).is_none());
            rest.map(|rest| folder.join(rest)).or(place)
        }
        (_, place) => place,
    };
    if let Some(at) = at {
        if !at.starts_with(root) {
            return Err(io::Error::other("that is not in the bundle"));
        }
        fs::create_dir_all(at.parent().unwrap_or(root))?;
        let mut copy = File::create_new(&at)?;
        io::copy(&mut File::open(&file)?, &mut copy)?;
        input.path = Some(at);
    }
    Ok(input)
}

fn set(params: &mut Vec<(String, String)>, name: &str, value: &Path) {
    params.retain(|(known, _)| known != name);
    params.push((name.to_owned(), value.display().to_string()));
}

/// True if two files are read in the same way, as far as their names say: in capitals or not.
fn same_ending(name: &OsStr, other: &str) -> bool {
    let ending = |name: &str| {
        let (_, ending) = name.split_once('.').unwrap_or((name, ""));
        ending.to_lowercase()
    };
    ending(&name.to_string_lossy()) == ending(other)
}

/// The name of a file that is called as another but for its ending, such as a compressed one.
fn near(name: &str, files: &[(PathBuf, u64)]) -> Option<String> {
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let names = files.iter().filter_map(|(path, _)| path.file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    names.find(|known| stem(known) == stem(name))
}

/// A file with this content; else one with this name, and its hash.
fn found(data: &Data, files: &[(PathBuf, u64)]) -> io::Result<Option<(PathBuf, Hash)>> {
    // Of a link, what it leads to.
    let absolute = |path: &Path| path.canonicalize();
    for (path, _) in files.iter().filter(|(_, bytes)| *bytes == data.bytes) {
        if Hash::of_reader(File::open(path)?)? == data.hash {
            return Ok(Some((absolute(path)?, data.hash)));
        }
    }
    let named = |path: &Path| path.file_name().is_some_and(|name| *name == *data.name);
    let Some((path, _)) = files.iter().find(|(path, _)| named(path)) else {
        return Ok(None);
    };
    let hash = Hash::of_reader(File::open(path)?)?;
    Ok(Some((absolute(path)?, hash)))
}

/// All files in a folder with their sizes, in a fixed order. Links to files are followed.
fn listed(folder: &Path) -> Result<Vec<(PathBuf, u64)>, Diagnostic> {
    let unread = |path: &Path, error: &io::Error| {
        Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
    };
    let (mut files, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| unread(&folder, &error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                open.push(path);
            } else if let Some(data) = fs::metadata(&path).ok().filter(fs::Metadata::is_file) {
                files.push((path, data.len()));
            }
            if files.len() > MOST {
                let what = format!("`{}` holds more than {MOST} files", folder.display());
                let help = "name the folder with the data alone";
                return Err(Diagnostic::error(what).help(help));
            }
        }
    }
    files.sort();
    Ok(files)
}
