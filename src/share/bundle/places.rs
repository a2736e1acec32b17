//! Where files lie in a bundle. Pure: from paths alone.
//!
//! Files of the project lie under `project/`, from the deepest folder that all of them are in, so
//! that it is the same in every checkout and what they name of each other is found. Data from
//! elsewhere lies under `data/`, by the param that leads to it.

use std::path::{Component, Path, PathBuf};

/// Where files of the project lie.
pub const PROJECT: &str = "project";
/// Where prompts lie that replace those of the project.
pub const PROMPTS: &str = "prompts";
/// Where data from elsewhere lies.
pub const DATA: &str = "data";

/// The deepest folder that all files are in; they are absolute.
pub fn common<'a>(files: impl IntoIterator<Item = &'a Path>) -> PathBuf {
    let mut common: Option<Vec<Component<'_>>> = None;
    for file in files {
        let folder = file.parent().unwrap_or(file);
        common = Some(match common {
            None => folder.components().collect(),
            Some(known) => {
                let both = known.into_iter().zip(folder.components());
                both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
            }
        });
    }
    common.unwrap_or_default().into_iter().collect()
}

/// A path in a bundle.
pub fn joined(folder: &str, path: &Path) -> String {
    let mut joined = folder.to_owned();
    for part in path.components() {
        if let Component::Normal(name) = part {
            joined.push('/');
            joined.push_str(&name.to_string_lossy());
        }
    }
    joined
}

/// The param that a lock's name of an input says, and what follows on it.
pub fn param_of(label: &str) -> Option<(&str, &str)> {
    let rest = label.strip_prefix("params.")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Where a file from elsewhere lies, by what the lock calls it.
pub fn elsewhere(label: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    match param_of(label) {
        Some((param, "")) => joined(&format!("{DATA}/{param}"), Path::new(name)),
        Some((param, rest)) => joined(&format!("{DATA}/{param}"), Path::new(rest)),
        None => joined(&format!("{DATA}/outside"), Path::new(name)),
    }
}

/// A place that is not taken: with a number before the name if it is.
pub fn free(place: String, is_taken: impl Fn(&str) -> bool) -> String {
    let (folder, name) = place.rsplit_once('/').unwrap_or(("", &place));
    let numbered = (2..).map(|number| format!("{folder}/{number}/{name}"));
    let mut all = std::iter::once(place.clone()).chain(numbered);
    all.find(|place| !is_taken(place)).unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_what_names_them_finds_them() {
        let files = ["/w/repo/examples/a/p.yaml", "/w/repo/prompts/x.j2"].map(Path::new);
        let root = common(files);
        assert_eq!(root, Path::new("/w/repo"));
        let below = files[0].strip_prefix(&root).expect("below");
        assert_eq!(joined(PROJECT, below), "project/examples/a/p.yaml");
        assert_eq!(
            common(files[..1].iter().copied()),
            Path::new("/w/repo/examples/a")
        );
        assert_eq!(
            elsewhere("params.notes", Path::new("/m/d.csv.gz")),
            "data/notes/d.csv.gz"
        );
        assert_eq!(
            elsewhere("params.mimic/hosp/a.csv", Path::new("/m/hosp/a.csv")),
            "data/mimic/hosp/a.csv"
        );
        let place = elsewhere("(outside)/a.csv'", Path::new("/m/a.csv"));
        assert_eq!(place, "data/outside/a.csv");
        let place = free(place, |place| place == "data/outside/a.csv");
        assert_eq!(place, "data/outside/2/a.csv");
    }
}
