//! Where a model lies: in a folder, or in the local Hugging Face cache. Knows which files make
//! a model, not what is in them.

use std::fs;
use std::path::{Path, PathBuf};

use super::hub::cache;
use crate::diag::Diagnostic;

/// Files of weights that can be read, best first.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Owners under which the hub lists models whose ids used to have none.
const OWNERS: [&str; 3] = ["google-bert", "FacebookAI", "distilbert"];

/// A model on disk.
#[derive(Debug)]
pub struct Place {
    /// The model as the user names it.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its weights.
    pub weights: PathBuf,
    /// Its tokenizer: `tokenizer.json` or `vocab.txt`.
    pub tokenizer: PathBuf,
}

impl Place {
    /// Its `config.json`.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    /// Its `tokenizer_config.json`, if it has one.
    pub fn tokenizer_config(&self) -> Option<PathBuf> {
        Some(self.folder.join("tokenizer_config.json")).filter(|path| path.is_file())
    }

    /// All files that decide what it computes.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.config(), self.weights.clone(), self.tokenizer.clone()];
        files.extend(self.tokenizer_config());
        files
    }
}

/// A path of the pipeline file, which lies in `dir`.
pub fn path(file: &Path, dir: &Path) -> PathBuf {
    // `./` before every name would only be noise in messages.
    if dir == Path::new(".") {
        return file.to_owned();
    }
    dir.join(file)
}

/// Finds a model: a folder (relative ones start from `dir`), or an id in the cache.
///
/// # Errors
/// There is none, or a file of it is missing.
pub fn find(model: &str, dir: &Path) -> Result<Place, Diagnostic> {
    find_in(model, dir, cache().as_deref())
}

fn find_in(model: &str, dir: &Path, cache: Option<&Path>) -> Result<Place, Diagnostic> {
    let folder = path(Path::new(model), dir);
    let folder = if folder.is_dir() {
        folder
    } else {
        let id = is_id(model).then_some(model);
        let cached = id.zip(cache).and_then(|(id, cache)| snapshot(id, cache));
        cached.ok_or_else(|| {
            let fault = Diagnostic::error(format!("no model `{model}`"))
                .note(format!("`{}` is not a folder", folder.display()));
            let fault = match cache.filter(|_| is_id(model)) {
                Some(cache) => fault.note(format!(
                    "the Hugging Face cache `{}` does not have it",
                    cache.display()
                )),
                None => fault,
            };
            fault.help("name a folder, or put the model into the cache; clue downloads no models")
        })?
    };
    let has = |name: &&str| folder.join(name).is_file();
    let missing = |what: &str| {
        Diagnostic::error(format!("the model `{model}` has no {what}"))
            .note(format!("its folder is `{}`", folder.display()))
    };
    if !has(&"config.json") {
        return Err(missing("`config.json`"));
    }
    let weights = WEIGHTS.iter().find(|name| has(name));
    let weights = weights.ok_or_else(|| {
        let fault = missing("`model.safetensors` and no `pytorch_model.bin`");
        match folder.join("model.safetensors.index.json").is_file() {
            true => fault.note("weights in several files are not supported"),
            false => fault,
        }
    })?;
    let tokenizer = ["tokenizer.json", "vocab.txt"];
    let tokenizer = tokenizer.iter().find(|name| has(name));
    let tokenizer = tokenizer.ok_or_else(|| {
        missing("`tokenizer.json`").help(
            "Python's transformers writes one: \
             AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)",
        )
    })?;
    Ok(Place {
        name: model.to_owned(),
        weights: folder.join(weights),
        tokenizer: folder.join(tokenizer),
        folder,
    })
}

/// True for `owner/name` and for `name`.
fn is_id(model: &str) -> bool {
    let part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && !part.starts_with('.') && part.chars().all(known)
    };
    model.split('/').count() <= 2 && model.split('/').all(part)
}

/// The folder of a model in the cache: the snapshot that `main` is at, or the only one.
fn snapshot(id: &str, cache: &Path) -> Option<PathBuf> {
    let plain = std::iter::once(id.to_owned());
    let owned = OWNERS.iter().map(|owner| format!("{owner}/{id}"));
    let owned = owned.filter(|_| !id.contains('/'));
    plain.chain(owned).find_map(|id| {
        let repo = cache.join(format!("models--{}", id.replace('/', "--")));
        let snapshots = repo.join("snapshots");
        if let Ok(commit) = fs::read_to_string(repo.join("refs/main")) {
            let folder = snapshots.join(commit.trim());
            if folder.is_dir() {
                return Some(folder);
            }
        }
        let mut all = fs::read_dir(snapshots).ok()?.flatten();
        let only = all.next()?.path();
        all.next().is_none().then_some(only)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).expect("a folder");
        for name in names {
            fs::write(folder.join(name), "").expect("a file");
        }
    }

    #[test]
    fn folders_come_before_the_cache() {
        let temp = tempfile::tempdir().expect("a folder");
        let all = ["config.json", "model.safetensors", "vocab.txt"];
        let cache = temp.path().join("hub");
        let repo = cache.join("models--some--bert");
        put(&repo.join("snapshots/1234"), &all);
        put(&repo.join("snapshots/5678"), &all);
        put(&repo.join("refs"), &[]);
        fs::write(repo.join("refs/main"), "5678").expect("a file");
        let old = cache.join("models--FacebookAI--roberta-large/snapshots/9");
        put(
            &old,
            &["config.json", "pytorch_model.bin", "tokenizer.json"],
        );

        let find = |model: &str| find_in(model, temp.path(), Some(&cache));
        let place = find("some/bert").expect("found");
        assert_eq!(place.weights, repo.join("snapshots/5678/model.safetensors"));
        assert_eq!(place.tokenizer, repo.join("snapshots/5678/vocab.txt"));
        assert_eq!(find("roberta-large").expect("found").folder, old);

        put(&temp.path().join("some/bert"), &all);
        let place = find("some/bert").expect("found");
        assert_eq!(place.folder, temp.path().join("some/bert"));
        assert_eq!(place.files().len(), 3);
    }

    #[test]
    fn what_is_missing_is_told() {
        let temp = tempfile::tempdir().expect("a folder");
        let find = |model: &str| {
            let fault = find_in(model, temp.path(), Some(Path::new("hub"))).expect_err("missing");
            [vec![fault.message], fault.notes].concat().join("; ")
        };
        assert!(find("a/b").contains("`hub` does not have it"));
        assert!(!find("../b").contains("hub"));
        let folder = temp.path().join("m");
        put(&folder, &[]);
        assert!(find("m").contains("no `config.json`"));
        put(&folder, &["config.json", "model.safetensors.index.json"]);
        assert!(find("m").contains("several files"));
        put(&folder, &["pytorch_model.bin"]);
        assert!(find("m").contains("no `tokenizer.json`"));
    }
}
