//! Which files of a pipeline decide what a command does: those that its words name, and the
//! scripts in the folders that it loads others from. Their content is part of what the user
//! agrees to, so that a script that was changed is asked for anew; and it is looked at again
//! right before the command is run, which may be hours later.
//!
//! Not seen are: what a program finds by itself in other folders (modules of an installed
//! language), and what it fetches. Where this folder itself is not seen, [`Scripts::unseen`]
//! says so.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::hash::Hash;

/// Endings of what is run or loaded.
const SCRIPTS: [&str; 28] = [
    "py", "pyc", "pyx", "so", "sh", "bash", "zsh", "ksh", "fish", "pl", "pm", "rb", "js", "mjs",
    "cjs", "ts", "tsx", "jsx", "r", "R", "jl", "lua", "php", "awk", "mk", "jar", "go", "rs",
];
/// Files by whose names programs know what to run.
const NAMES: [&str; 15] = [
    "Makefile",
    "makefile",
    "GNUmakefile",
    "package.json",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    "justfile",
    "Justfile",
    "Rakefile",
    "Gemfile",
    "Snakefile",
    "Cargo.toml",
    "Dockerfile",
];
/// Programs that load files from the folder of the script that they are given.
const INTERPRETERS: [&str; 25] = [
    "python", "pypy", "ipython", "node", "deno", "bun", "tsx", "ts-node", "ruby", "perl", "php",
    "julia", "Rscript", "R", "lua", "luajit", "java", "sh", "bash", "dash", "zsh", "ksh", "fish",
    "awk", "gawk",
];
/// Programs that load files from their working folder.
const RUNNERS: [&str; 38] = [
    "make",
    "gmake",
    "npm",
    "npx",
    "pnpm",
    "yarn",
    "pytest",
    "uv",
    "uvx",
    "poetry",
    "pdm",
    "hatch",
    "pipenv",
    "pip",
    "tox",
    "cargo",
    "go",
    "gradle",
    "mvn",
    "ant",
    "just",
    "rake",
    "bundle",
    "snakemake",
    "nextflow",
    "dvc",
    "docker",
    "podman",
    "flask",
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "fastapi",
    "torchrun",
    "accelerate",
    "deepspeed",
    "xargs",
    "find",
];
/// Programs that run nothing but themselves.
const PLAIN: [&str; 18] = [
    "cat", "true", "false", "echo", "sleep", "head", "tail", "wc", "uniq", "cut", "tr", "jq", "rm",
    "cp", "mv", "ls", "mkdir", "touch",
];
/// Folders of tools, which hold nothing that a pipeline's program runs.
const TOOLS: [&str; 5] = [".git", ".hg", ".jj", ".clue", "__pycache__"];
/// Folders of installed packages: too much to look at, which is told.
const PACKAGES: [&str; 4] = ["node_modules", ".venv", "venv", "site-packages"];

/// Data up to this size (bytes) is known by its content; larger files, such as weights, by what
/// the system notes of them, unless they are scripts.
const CONTENT: u64 = 16 << 20;
/// Most scripts that are looked for in folders,
const MOST_SCRIPTS: usize = 2000;
/// most names in these folders,
const MOST_NAMES: usize = 50_000;
/// and most bytes of these scripts.
const MOST_BYTES: u64 = 256 << 20;

/// A file, and what says that it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    /// As the pipeline names it, or its path from the program's folder.
    pub name: String,
    /// What says that it is the same.
    pub hash: Hash,
    /// Where it lies.
    #[serde(skip)]
    pub path: PathBuf,
}

/// The files that decide what a command does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scripts {
    /// By name.
    pub files: Vec<Script>,
    /// True if the command may run other files of its folder, which were not looked at.
    pub unseen: bool,
}

/// The first of the files that is not what it was.
pub fn changed(files: &[Script]) -> Option<&Script> {
    let same = |file: &&Script| identity(&file.path) == file.hash;
    files.iter().find(|file| !same(file))
}

/// The files of a command that runs in `dir`: `words` are its words, the program first, with
/// `{dir}` for that folder.
pub fn scripts(words: &[&str], dir: &Path) -> Scripts {
    let is_break = |c: char| c.is_whitespace() || "'\"=;|&<>(),:`".contains(c);
    let parts = words
        .iter()
        .flat_map(|word| word.split(is_break).chain([*word]));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let one_of = |all: &[&str]| parts.iter().any(|part| all.contains(&program(part)));
    let interprets = one_of(&INTERPRETERS);
    let mut search = Search::default();
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut has_script = false;
    for name in &parts {
        let path = dir.join(name.replace("{dir}", &dir.to_string_lossy()));
        if path.is_file() {
            if is_source(&path, dir) {
                has_script = true;
                folders.extend(Path::new(name).parent().map(Path::to_owned));
            }
            search.found.insert((*name).to_owned(), path);
        } else if interprets && path.is_dir() {
            // A package, or a folder that modules are looked for in.
            folders.push(PathBuf::from(name));
        }
    }
    // `-m`, `-c`, `-e`, `-r`: code that is not in a file which is named.
    let has_code = |word: &&str| {
        word.starts_with('-') && !word.starts_with("--") && word.contains(['m', 'c', 'e', 'r'])
    };
    if one_of(&RUNNERS) || interprets && (!has_script || words.iter().any(has_code)) {
        folders.push(PathBuf::new());
    } else if folders.is_empty() {
        let first = words.first().map_or("", |word| program(word));
        search.unseen = !PLAIN.contains(&first);
    }
    search.below(folders, dir);
    let files = search.found.into_iter().map(|(name, path)| Script {
        name,
        hash: identity(&path),
        path,
    });
    Scripts {
        files: files.collect(),
        unseen: search.unseen,
    }
}

/// What a program is called, without its folder and version: `python` for `/usr/bin/python3.12`.
fn program(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-')
}

/// Files by name, and how much more may be looked at.
#[derive(Default)]
struct Search {
    found: BTreeMap<String, PathBuf>,
    scripts: usize,
    names: usize,
    bytes: u64,
    unseen: bool,
}

impl Search {
    /// Finds the scripts in and below folders, those of the outer folders first.
    fn below(&mut self, folders: Vec<PathBuf>, dir: &Path) {
        let mut seen = HashSet::new();
        let mut open: VecDeque<PathBuf> = folders.into();
        while let Some(name) = open.pop_front() {
            let at = dir.join(
                name.to_string_lossy()
                    .replace("{dir}", &dir.to_string_lossy()),
            );
            let Ok(real) = at.canonicalize() else {
                continue;
            };
            if real.parent().is_none() {
                self.unseen = true;
            } else if seen.insert(real) && !self.folder(&name, &at, &mut open) {
                self.unseen = true;
                return;
            }
        }
    }

    /// Looks into one folder; false if that is too much.
    fn folder(&mut self, name: &Path, at: &Path, open: &mut VecDeque<PathBuf>) -> bool {
        let entries = fs::read_dir(at).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .take(MOST_NAMES + 1)
            .map(|entry| entry.file_name())
            .collect();
        files.sort();
        for file in files {
            self.names += 1;
            if self.names > MOST_NAMES {
                return false;
            }
            let path = at.join(&file);
            let name = name.join(&file);
            let known = |all: &[&str]| all.iter().any(|known| file == **known);
            if path.is_dir() {
                if known(&PACKAGES) {
                    self.unseen = true;
                } else if !known(&TOOLS) {
                    open.push_back(name);
                }
            } else if path.is_file() && is_script(&path) {
                self.scripts += 1;
                self.bytes += fs::metadata(&path).map_or(0, |about| about.len());
                if self.scripts > MOST_SCRIPTS || self.bytes > MOST_BYTES {
                    return false;
                }
                self.found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
        true
    }
}

/// True for what is run or loaded, by its name or its rights. On some disks all files may be run,
/// so that rights alone say nothing.
fn is_script(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let may_run = |about: fs::Metadata| about.permissions().mode() & 0o111 != 0;
    has_ending(path)
        || name.is_some_and(|name| NAMES.contains(&name))
        || fs::metadata(path).is_ok_and(may_run) && begins_as_program(path)
}

fn has_ending(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| SCRIPTS.contains(&end))
}

/// True for a script that may load others from its folder: a program that is installed does not.
fn is_source(path: &Path, dir: &Path) -> bool {
    has_ending(path) || is_script(path) && path.starts_with(dir)
}

/// What says that a file is the same.
fn identity(path: &Path) -> Hash {
    let unreadable = || Hash::of("clue unreadable v1", &());
    let Ok(about) = fs::metadata(path) else {
        return unreadable();
    };
    if about.len() > CONTENT && !is_script(path) && !begins_as_program(path) {
        // The time at which the system noted a change cannot be set.
        let noted = (about.len(), about.mtime(), about.mtime_nsec(), about.dev());
        let set = (about.ctime(), about.ctime_nsec(), about.ino());
        return Hash::of("clue large file v2", &(noted, set));
    }
    let hash = File::open(path).and_then(Hash::of_reader);
    hash.unwrap_or_else(|_| unreadable())
}

/// True for a script that names its interpreter, and for a binary of Linux or macOS.
fn begins_as_program(path: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && [*b"#!", *b"\x7fE", *b"\xcf\xfa"].contains(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, name).expect("written");
        }
        dir
    }

    fn names(words: &[&str], dir: &Path) -> Vec<String> {
        let found = scripts(words, dir);
        let mut names: Vec<String> = found.files.into_iter().map(|file| file.name).collect();
        if found.unseen {
            names.push("(unseen)".to_owned());
        }
        names
    }

    #[test]
    fn files_are_found_in_any_word_with_scripts_beside_and_below() {
        let dir = folder(&[
            "t/a.py",
            "t/helper.py",
            "t/pkg/mod.py",
            "t/.git/x.py",
            "u/run.sh",
            "note.txt",
            "other.txt",
            "Makefile",
            "b.py",
        ]);
        let names = |words: &[&str]| names(words, dir.path());
        let loaded = ["t/a.py", "t/helper.py", "t/pkg/mod.py"];
        assert_eq!(names(&["python3", "-u", "t/a.py", "--x"]), loaded);
        assert_eq!(names(&["{dir}/u/run.sh"]), ["{dir}/u/run.sh"]);
        assert_eq!(
            names(&["cat", "note.txt", "--in=other.txt"]),
            ["note.txt", "other.txt"]
        );
        // What is run is named by no word.
        let all = [
            "Makefile",
            "b.py",
            "t/a.py",
            "t/helper.py",
            "t/pkg/mod.py",
            "u/run.sh",
        ];
        for words in [
            vec!["python3.12", "-m", "t.pkg.mod"],
            vec!["/usr/bin/env", "python3", "-c", "import b"],
            vec!["make", "serve"],
            vec!["npm", "start"],
            vec!["sh", "-c", "cd t && exec make"],
            vec!["timeout", "9", "uv", "run", "t"],
        ] {
            let found = names(&words);
            for name in all {
                assert!(
                    found.iter().any(|found| found == name),
                    "{words:?} {found:?}"
                );
            }
        }
        // A folder that is run, or that modules are looked for in.
        assert_eq!(
            names(&["python3", "t"])[..3],
            ["Makefile", "b.py", "t/a.py"]
        );
        assert_eq!(
            names(&["python3", "b.py", "u:t"]),
            [
                "Makefile",
                "b.py",
                "t/a.py",
                "t/helper.py",
                "t/pkg/mod.py",
                "u/run.sh"
            ]
        );
        assert_eq!(names(&["vllm", "serve", "x"]), ["(unseen)"]);
        assert!(names(&["cat"]).is_empty());
    }

    #[test]
    fn programs_are_known_by_rights_and_content() {
        let dir = folder(&["run", "out.jsonl", "b.py"]);
        let path = |name: &str| dir.path().join(name);
        fs::write(path("run"), "#!/bin/sh\n").expect("written");
        for name in ["run", "out.jsonl"] {
            let rights = fs::Permissions::from_mode(0o777);
            fs::set_permissions(path(name), rights).expect("set");
        }
        assert_eq!(names(&["python3", "-m", "b"], dir.path()), ["b.py", "run"]);
        assert!(is_script(&path("run")) && !is_script(&path("out.jsonl")));
    }

    #[test]
    fn no_number_of_files_hides_one_that_is_named() {
        let dir = folder(&["z.py"]);
        let path = |name: String| dir.path().join(name);
        for at in 0..1200 {
            fs::write(path(format!("a{at}.py")), "").expect("written");
        }
        let found = scripts(&["python3", "z.py"], dir.path());
        assert!(!found.unseen && found.files.len() > 1200);
        for at in 1200..MOST_SCRIPTS {
            fs::write(path(format!("a{at}.py")), "").expect("written");
        }
        let found = scripts(&["python3", "z.py"], dir.path());
        assert!(found.unseen && found.files.iter().any(|file| file.name == "z.py"));
        let dir = folder(&["node_modules/x.js", "i.js"]);
        assert_eq!(names(&["node", "i.js"], dir.path()), ["i.js", "(unseen)"]);
    }

    #[test]
    fn what_changes_is_seen_whatever_its_size_and_time() {
        let dir = folder(&["a.py", "b/helper.py", "weights.bin"]);
        let path = |name: &str| dir.path().join(name);
        let found = scripts(&["python3", "-m", "a", "weights.bin"], dir.path()).files;
        assert_eq!(found.len(), 3);
        assert!(changed(&found).is_none());
        fs::write(path("b/helper.py"), "changed").expect("written");
        assert_eq!(changed(&found).map(|file| &*file.name), Some("b/helper.py"));
        // As large as weights, of the same size, and of the same time as before.
        for name in ["a.py", "weights.bin"] {
            let text = |letter: u8| vec![letter; CONTENT as usize + 1];
            fs::write(path(name), text(b'a')).expect("written");
            let time = || fs::metadata(path(name)).expect("there").modified();
            let (before, at) = (identity(&path(name)), time().expect("a time"));
            fs::write(path(name), text(b'b')).expect("written");
            let file = File::options().append(true).open(path(name)).expect("open");
            file.set_modified(at).expect("set");
            assert_eq!(time().expect("a time"), at);
            assert_ne!(identity(&path(name)), before, "{name}");
        }
        fs::remove_file(path("a.py")).expect("removed");
        assert_eq!(changed(&found).map(|file| &*file.name), Some("a.py"));
    }
}
