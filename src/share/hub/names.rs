//! Names of configurations, splits and files, as Hugging Face's `datasets` allows them.

use std::path::Path;

/// Configurations, one for each output or stage of these names: `default` for a single one.
pub fn configs(sources: &[&str]) -> Vec<String> {
    if let [_] = sources {
        return vec!["default".to_owned()];
    }
    let mut names: Vec<String> = Vec::new();
    for source in sources {
        let bare = Path::new(source).with_extension("");
        let keep = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name: String = bare
            .to_string_lossy()
            .chars()
            .map(|c| if keep(c) { c } else { '-' })
            .collect();
        // What begins with a dot is a hidden folder, and not looked into.
        let name = match name.trim_start_matches('.') {
            "" => "data".to_owned(),
            name => name.to_owned(),
        };
        let free = |name: &String| !names.iter().any(|other| other.eq_ignore_ascii_case(name));
        let mut numbered = (2..).map(|number| format!("{name}-{number}"));
        let name = if free(&name) {
            name
        } else {
            numbered.find(free).unwrap_or_default()
        };
        names.push(name);
    }
    names
}

/// True for names that a split may have: words of letters, digits and `_`, dots between; `all`
/// stands for all of them.
pub fn is_split(name: &str) -> bool {
    let word = |word: &str| {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !word.is_empty() && word.chars().all(sound)
    };
    name != "all" && name.len() <= 64 && name.split('.').all(word)
}

/// The file of a split, relative to the folder.
pub fn file(config: &str, split: &str) -> String {
    match config {
        "default" => format!("data/{split}{TAIL}"),
        config => format!("data/{config}/{split}{TAIL}"),
    }
}

/// How names of data files end: the first of one part.
pub const TAIL: &str = "-00000-of-00001.parquet";

/// The class of size that a number of records falls into, as the Hub names it.
pub fn size(records: u64) -> &'static str {
    match records {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "n>1B",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_have_names_of_their_own() {
        assert_eq!(configs(&["a/b.jsonl"]), ["default"]);
        assert_eq!(
            configs(&["t/m 1/x.jsonl", "t-m-1-x.csv", "T/m-1/x.parquet", ".y", "é"]),
            ["t-m-1-x", "t-m-1-x-2", "T-m-1-x-3", "y", "-"]
        );
    }

    #[test]
    fn splits_are_words() {
        for good in ["test", "train.en", "v2_1"] {
            assert!(is_split(good), "{good}");
        }
        for bad in ["", "all", "a b", "a/b", ".a", "a..b", "é", "a-b"] {
            assert!(!is_split(bad), "{bad}");
        }
    }
}
