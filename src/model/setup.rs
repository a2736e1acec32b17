//! The set-up of a local server: a command that fills a folder, run once for each content.
//! The folder stays where it was made, since installed programs remember their paths; a
//! marker inside says that it is whole, and what lacks the marker is made anew. So is what this
//! machine's user did not make: a folder that comes along with a pipeline was filled by somebody
//! else, with whatever. The user's state folder notes which ones were made here.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::leash::{Leashed, how, last_lines};
use super::serve::{LOOK, Place, Say, fill};
use super::spec::ServeSpec;
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// The file in a set-up's folder that says that it is whole.
const MARKER: &str = ".clue-complete";

/// What the key of a set-up is made of.
///
/// v1: the command and its environment as the pipeline says them, the content of the files
/// that it names, and the kind of machine. Paths are those of the pipeline, so that moving
/// it sets nothing up anew.
#[derive(Serialize)]
struct SetupKey<'a> {
    argv: &'a [String],
    env: &'a BTreeMap<String, String>,
    files: Vec<(&'a str, Hash)>,
    system: [&'static str; 2],
}

/// The folder of the model's set-up, made if it is not there yet; `None` if the model needs
/// no set-up.
///
/// # Errors
/// A file is missing, or the command failed.
pub(super) async fn prepare(
    name: &str,
    spec: &ServeSpec,
    place: &Place,
    say: Say<'_>,
) -> Result<Option<PathBuf>, Diagnostic> {
    if spec.setup.is_empty() {
        return Ok(None);
    }
    let key = key(name, spec, place)?.to_string();
    let folder = place.envs.join(&key);
    let failed = |why: io::Error| {
        Diagnostic::error(format!("cannot set up model `{name}`: {why}"))
            .note(format!("the folder is `{}`", folder.display()))
    };
    if is_whole(place, &folder) {
        return Ok(Some(folder));
    }
    std::fs::create_dir_all(&place.envs).map_err(failed)?;
    let _lock = lock(&place.envs.join(format!("{key}.lock")), name, say)
        .await
        .map_err(failed)?;
    // Another run may have done it while this one waited.
    if !is_whole(place, &folder) {
        make(name, spec, place, &folder, say).await?;
    }
    Ok(Some(folder))
}

/// True if the set-up in the folder went to its end, here.
fn is_whole(place: &Place, folder: &Path) -> bool {
    let marker = std::fs::read_to_string(folder.join(MARKER));
    match (marker, note(place, folder)) {
        (Err(_), _) => false,
        // Without a home there is nowhere to note it.
        (Ok(_), None) => true,
        (Ok(mark), Some(note)) => std::fs::read_to_string(note).is_ok_and(|noted| noted == mark),
    }
}

/// The file that notes the mark of a folder that was made here.
fn note(place: &Place, folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let name = Hash::of("clue set-up made here v1", &folder.to_string_lossy());
    Some(place.made.as_ref()?.join(name.to_string()))
}

/// Marks the folder as whole, and notes its mark, which nobody can know before.
fn mark(place: &Place, folder: &Path) -> io::Result<()> {
    let random = || RandomState::new().build_hasher().finish();
    let mark = Hash::of("clue set-up mark v1", &[random(), random(), random()]).to_string();
    if let Some(note) = note(place, folder) {
        std::fs::create_dir_all(note.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(note, &mark)?;
    }
    let mut marker = File::create(folder.join(MARKER))?;
    marker.write_all(mark.as_bytes())?;
    marker.sync_all()
}

fn key(name: &str, spec: &ServeSpec, place: &Place) -> Result<Hash, Diagnostic> {
    let mut files = Vec::new();
    for file in &spec.files {
        files.push((file.as_str(), hash_of(name, place, file)?));
    }
    for word in &spec.setup {
        let at = fill(word, place, None, None);
        if !spec.files.contains(word) && place.dir.join(&at).is_file() {
            files.push((word, hash_of(name, place, &at)?));
        }
    }
    Ok(Hash::of(
        "clue setup v1",
        &SetupKey {
            argv: &spec.setup,
            env: &spec.env,
            files,
            system: [std::env::consts::OS, std::env::consts::ARCH],
        },
    ))
}

fn hash_of(name: &str, place: &Place, file: &str) -> Result<Hash, Diagnostic> {
    let path = place.dir.join(fill(file, place, None, None));
    std::fs::read(&path)
        .map(|bytes| Hash::of_bytes(&bytes))
        .map_err(|why| {
            Diagnostic::error(format!(
                "cannot read `{}`, which the set-up of model `{name}` needs: {why}",
                path.display()
            ))
        })
}

/// Waits until no other run sets the same thing up. The lock ends with the file handle, and
/// so with the process, however that ends.
async fn lock(path: &Path, name: &str, say: Say<'_>) -> io::Result<File> {
    let file = File::create(path)?;
    let mut waited = false;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
        if !waited {
            say(format!(
                "another run sets up model `{name}`; waiting for it"
            ));
            waited = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn make(
    name: &str,
    spec: &ServeSpec,
    place: &Place,
    folder: &Path,
    say: Say<'_>,
) -> Result<(), Diagnostic> {
    let failed = |why: io::Error| {
        Diagnostic::error(format!("cannot set up model `{name}`: {why}"))
            .note(format!("the folder is `{}`", folder.display()))
    };
    match std::fs::remove_dir_all(folder) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
        _ => {}
    }
    std::fs::create_dir(folder).map_err(failed)?;
    let argv: Vec<String> = spec
        .setup
        .iter()
        .map(|word| fill(word, place, None, Some(folder)))
        .collect();
    let env = place.env(spec, None, Some(folder));
    let mut running =
        Leashed::start(place, &argv, &env, &folder.with_extension("log")).map_err(failed)?;
    let status = loop {
        let status = running.ended().map_err(failed)?;
        running.tell(say);
        match status {
            Some(status) => break status,
            None => tokio::time::sleep(LOOK).await,
        }
    };
    if !status.success() {
        let log = running.log();
        let mut fault = Diagnostic::error(format!("the set-up of model `{name}` {}", how(status)))
            .note(format!("its log is `{}`", log.display()));
        for line in last_lines(log, 5) {
            fault = fault.note(line);
        }
        return Err(fault);
    }
    mark(place, folder).map_err(failed)
}
