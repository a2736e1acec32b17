//! Which files a pipeline may name. A pipeline from elsewhere must not read what is none of its
//! business: by a path that climbs, by an absolute one, or through a link.
//!
//! Inside are the files of the pipeline's *project*, and whatever the user gave: the values of
//! params that the user set, and the folders of flags and of the user's configuration. The project
//! is the nearest folder around the pipeline's file that is marked as one (`.git` and the like);
//! else the working folder, if the file lies below it; else the file's own folder. A home folder,
//! or one around it, is never a project, nor is a folder that all users share (`/tmp`): of a
//! pipeline that lies right there, only its own file is inside. Hidden files (`.env`, `.git`) are
//! inside of nothing, unless the user gave them.

use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use super::node::{Node, NodeValue};
use super::pipeline::Overrides;
use crate::diag::{Diagnostic, Sources};

/// What marks a folder as a project.
const MARKS: [&str; 5] = [".git", ".hg", ".jj", "Cargo.toml", "pyproject.toml"];

/// The files that a pipeline may name.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    /// Folders of the project, resolved.
    roots: Vec<PathBuf>,
    /// Files and folders that the user gave, resolved.
    given: Vec<PathBuf>,
    /// True if everything may be named.
    gone: bool,
    /// Folders that files were named in, resolved: there are few, of thousands of files.
    folders: Arc<Mutex<HashMap<PathBuf, PathBuf>>>,
}

/// Where a path leads.
#[derive(Debug)]
pub enum Leads {
    /// To what must not be named.
    Out(PathBuf),
    /// To a file or folder that may be named.
    To(Metadata),
    /// It may be named, whatever there is.
    Unseen,
}

impl Fence {
    /// Around the project of a pipeline's file.
    pub fn around(pipeline: &Path) -> Fence {
        let file = resolved(pipeline);
        let own = file
            .parent()
            .map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let here = std::env::current_dir().ok();
        let home = std::env::home_dir();
        let root = project(&own, here.as_deref(), home.as_deref());
        // The folder that it is named in, if it is a link: includes start there.
        let named = resolved(&super::file::folder(pipeline));
        let mut roots = vec![root, own, named];
        let home = home.as_deref().map(resolved);
        roots.retain(|folder| !too_wide(folder, home.as_deref()));
        Fence {
            roots,
            given: vec![file],
            ..Fence::default()
        }
    }

    /// Around nothing: every file may be named.
    pub fn none() -> Fence {
        Fence {
            gone: true,
            ..Fence::default()
        }
    }

    /// Lets a file, or a folder with all in it, be named.
    pub fn allow(&mut self, path: &Path) {
        if let Ok(path) = path.canonicalize() {
            self.given.push(path);
        }
    }

    /// Lets be named what the user's params name: texts in them that are paths, from the working
    /// folder, from the pipeline's, or from that of their file.
    pub fn allow_params(&mut self, overrides: &Overrides, dir: &Path) {
        let texts = overrides.params.iter().map(|(_, text)| text);
        for text in texts.chain(overrides.env.values()) {
            self.allow_text(text, &[Path::new("."), dir]);
            let mut sources = Sources::default();
            let file = sources.add(Path::new("-p"), text.as_str());
            if let Ok(node) = Node::parse(&sources, file) {
                self.allow_node(&node, &[Path::new("."), dir]);
            }
        }
        for file in &overrides.params_files {
            let mut sources = Sources::default();
            if let Ok((_, node)) = super::file::read(file, &mut sources) {
                let folder = super::file::folder(file);
                self.allow_node(&node, &[Path::new("."), dir, &folder]);
            }
        }
    }

    fn allow_node(&mut self, node: &Node, dirs: &[&Path]) {
        match &node.value {
            NodeValue::Str(text) => self.allow_text(text, dirs),
            NodeValue::Seq(items) => items.iter().for_each(|item| self.allow_node(item, dirs)),
            NodeValue::Map(entries) => {
                entries
                    .iter()
                    .for_each(|(_, node)| self.allow_node(node, dirs));
            }
            _ => {}
        }
    }

    fn allow_text(&mut self, text: &str, dirs: &[&Path]) {
        // A slash or some dots are hardly meant as a path, and would let in everything.
        if text.chars().all(|c| matches!(c, '.' | '/' | ' ')) {
            return;
        }
        for dir in dirs {
            self.allow(&dir.join(text));
        }
    }

    /// The folder of the pipeline's project, resolved, if there is a fence.
    pub fn project(&self) -> Option<&Path> {
        self.roots.first().map(PathBuf::as_path)
    }

    /// The file that a path leads to, if that must not be named; none if it may, or if there is
    /// no such file.
    pub fn refuses(&self, path: &Path) -> Option<PathBuf> {
        match self.leads(path) {
            Leads::Out(real) => Some(real),
            Leads::To(_) | Leads::Unseen => None,
        }
    }

    /// Where a path leads.
    pub fn leads(&self, path: &Path) -> Leads {
        if self.gone {
            return Leads::Unseen;
        }
        match self.real(path) {
            Some((real, _)) if !self.holds(&real) => Leads::Out(real),
            Some((_, Some(data))) => Leads::To(data),
            _ => Leads::Unseen,
        }
    }

    /// A path resolved, if it leads to a file or folder, and what that is where it was seen.
    fn real(&self, path: &Path) -> Option<(PathBuf, Option<Metadata>)> {
        let resolved = || Some((path.canonicalize().ok()?, None));
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return resolved();
        };
        let real = self.folder(folder)?.join(name);
        let data = real.symlink_metadata().ok()?;
        match data.is_symlink() {
            true => resolved(),
            false => Some((real, Some(data))),
        }
    }

    fn folder(&self, named: &Path) -> Option<PathBuf> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(real) = folders.get(named) {
            return Some(real.clone());
        }
        let here = Path::new(".");
        let folder = if named == Path::new("") { here } else { named };
        let real = folder.canonicalize().ok()?;
        folders.insert(named.to_owned(), real.clone());
        Some(real)
    }

    /// True if a file, resolved, lies inside, whether it is there or not.
    pub fn holds(&self, real: &Path) -> bool {
        let hidden = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"."));
        let in_project = |root: &PathBuf| {
            let below = real.strip_prefix(root);
            below.is_ok_and(|below| !below.components().any(hidden))
        };
        self.roots.iter().any(in_project) || self.given.iter().any(|path| real.starts_with(path))
    }

    /// The fault of naming a file that must not be named; `name` as the pipeline says it.
    pub fn fault(&self, path: &Path, name: &str) -> Option<Diagnostic> {
        let real = self.refuses(path)?;
        let file = format!("the file is `{}`", real.display());
        let fault = Diagnostic::error(format!("`{name}` is outside of the pipeline's project"));
        let Some(root) = self.roots.first() else {
            let wide = "the pipeline has none: its folder is a home, or shared by all users";
            let help = "put the pipeline and its files into a folder of their own";
            return Some(fault.note(wide).note(file).help(help));
        };
        let fault = fault
            .note(format!("the project is `{}`", root.display()))
            .note(file);
        Some(fault.help(
            "give it as a param, or run clue in a folder around both, or allow it under `paths` in your configuration",
        ))
    }
}

/// The folder of the project of a pipeline in the folder `own`; all resolved.
fn project(own: &Path, here: Option<&Path>, home: Option<&Path>) -> PathBuf {
    let home = home.map(resolved);
    let too_wide = |folder: &Path| too_wide(folder, home.as_deref());
    let marked = |folder: &Path| MARKS.iter().any(|mark| folder.join(mark).exists());
    let mut around = own.ancestors().take_while(|folder| !too_wide(folder));
    if let Some(project) = around.find(|folder| marked(folder)) {
        return project.to_owned();
    }
    let here = here.map(resolved);
    match here.filter(|here| own.starts_with(here) && !too_wide(here)) {
        Some(here) => here,
        None => own.to_owned(),
    }
}

/// True for folders with far more in them than one project: the root, the home and what is around
/// it, and those that all users share.
fn too_wide(folder: &Path, home: Option<&Path>) -> bool {
    let shared = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    let mut shared = shared.into_iter().chain([std::env::temp_dir()]);
    folder.parent().is_none()
        || home.is_some_and(|home| home.starts_with(folder))
        || shared.any(|shared| resolved(&shared) == folder)
}

fn resolved(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or_else(|_| absolute())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folders(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = dir.path().join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).expect("a folder");
            } else {
                fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
                fs::write(path, "").expect("written");
            }
        }
        let real = dir.path().canonicalize().expect("there");
        (dir, real)
    }

    #[test]
    fn the_project_is_marked_or_where_the_user_is() {
        let (_dir, at) = folders(&[
            "home/studies/repo/.git/",
            "home/studies/repo/a/b/",
            "home/c/d/",
        ]);
        let home = at.join("home");
        let project = |own: &str, here: &str| {
            let found = project(&at.join(own), Some(&at.join(here)), Some(&home));
            found
                .strip_prefix(&at)
                .expect("below")
                .display()
                .to_string()
        };
        assert_eq!(
            project("home/studies/repo/a/b", "home/studies"),
            "home/studies/repo"
        );
        assert_eq!(project("home/studies/repo", "home"), "home/studies/repo");
        assert_eq!(project("home/c/d", "home/c"), "home/c");
        // Neither a home nor what is around it.
        assert_eq!(project("home/c/d", "home"), "home/c/d");
        assert_eq!(project("home/c/d", ""), "home/c/d");
        assert_eq!(project("home/c/d", "home/studies"), "home/c/d");
    }

    #[test]
    fn a_repository_of_a_home_is_no_project() {
        let (_dir, at) = folders(&["home/.git/", "home/c/d/"]);
        let found = project(&at.join("home/c/d"), None, Some(&at.join("home")));
        assert_eq!(found, at.join("home/c/d"));
    }

    #[test]
    fn what_climbs_hides_or_is_linked_is_refused() {
        let (_dir, at) = folders(&[
            "p/p.yaml",
            "p/a/x.csv",
            "p/.env",
            "p/.git/config",
            "out.csv",
        ]);
        std::os::unix::fs::symlink(at.join("out.csv"), at.join("p/link.csv")).expect("linked");
        let mut fence = Fence::around(&at.join("p/p.yaml"));
        let refused = |fence: &Fence, name: &str| fence.refuses(&at.join("p").join(name)).is_some();
        for name in [
            "../out.csv",
            "a/../../out.csv",
            "link.csv",
            ".env",
            ".git/config",
            "/etc/passwd",
        ] {
            assert!(refused(&fence, name), "{name}");
        }
        for name in ["a/x.csv", "a/../a/x.csv", "missing.csv", "../missing.csv"] {
            assert!(!refused(&fence, name), "{name}");
        }
        // Of a folder that is linked every file, not only the first that is named.
        fs::create_dir(at.join("other")).expect("a folder");
        std::os::unix::fs::symlink(at.join("other"), at.join("p/linked")).expect("linked");
        for name in ["linked/x.csv", "linked/y.csv"] {
            assert!(!refused(&fence, name), "{name} is not there");
            fs::write(at.join("p").join(name), "").expect("written");
            assert!(refused(&fence, name), "{name}");
        }
        assert!(matches!(fence.leads(&at.join("p/a")), Leads::To(data) if data.is_dir()));
        let overrides = Overrides {
            params: vec![
                ("x".to_owned(), "{path: ../out.csv}".to_owned()),
                ("y".to_owned(), "/".to_owned()),
                ("z".to_owned(), "..".to_owned()),
            ],
            ..Overrides::default()
        };
        fence.allow_params(&overrides, &at.join("p"));
        assert!(!refused(&fence, "../out.csv"));
        assert!(!refused(&fence, "link.csv"));
        assert!(refused(&fence, "/etc/passwd"));
        assert!(!refused(&Fence::none(), "/etc/passwd"));
    }
}
