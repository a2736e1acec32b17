//! The user's own configuration: where sensitive records may go, which files are sensitive
//! whatever a pipeline says of them, which folders outside of a project pipelines may read, and where
//! caches may be sent.
//! Nothing in a pipeline can set or name it.
//!
//! It is the file that `CLUE_CONFIG` names, else `clue/config.yaml` in `$XDG_CONFIG_HOME`, else
//! in `~/.config`. All of it may be left out:
//!
//! ```yaml
//! sensitive:
//!   hosts: [gpu1.lab.example, "*.lab.example", 10.1.0.0/16]
//!   paths: [/data/mimic]
//! paths: [/shared/prompts]
//! remote: s3://clinic/clue
//! remotes: [s3://clinic/other]
//! ```

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::hosts::Hosts;
use crate::diag::{Diagnostic, Sources};
use crate::model::reach::is_loopback;
use crate::spec::decode::Src;
use crate::spec::document;
use crate::spec::file::folder;
use crate::spec::home::home;

/// What the user's configuration says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file, whether there is one or not; none without a home.
    pub file: Option<PathBuf>,
    /// Machines that sensitive records may go to, besides this one.
    hosts: Vec<Hosts>,
    /// Files and folders whose records are sensitive; resolved.
    pub sensitive: Vec<PathBuf>,
    /// Files and folders that pipelines may read; absolute.
    pub paths: Vec<PathBuf>,
    /// Where runs get what others made, and send what they make, unless they are told otherwise.
    pub remote: Option<String>,
    /// Where else caches may be sent.
    remotes: Vec<String>,
}

/// The file's shape.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    sensitive: Sensitive,
    paths: Vec<Src<String>>,
    remote: Option<Src<String>>,
    remotes: Vec<Src<String>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Sensitive {
    hosts: Vec<Src<String>>,
    paths: Vec<Src<String>>,
}

impl Config {
    /// Reads it; what is not there says nothing.
    ///
    /// # Errors
    /// What is wrong with it, and the text that this points into.
    pub fn load() -> Result<Config, (Vec<Diagnostic>, Sources)> {
        let mut sources = Sources::default();
        let named = std::env::var_os("CLUE_CONFIG").filter(|name| !name.is_empty());
        let must = named.is_some();
        let file = named
            .map(PathBuf::from)
            .or_else(|| home("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("clue/config.yaml")));
        let Some(file) = file else {
            return Ok(Config::default());
        };
        match read(&file, must, &mut sources) {
            Ok(config) => Ok(config),
            Err(faults) => Err((faults, sources)),
        }
    }

    /// True when sensitive records may go to this machine.
    pub fn allows(&self, host: &str) -> bool {
        is_loopback(host) || self.hosts.iter().any(|hosts| hosts.include(host))
    }

    /// True when a cache may be sent to this place or one that it lies in.
    pub fn allows_remote(&self, place: &str) -> bool {
        let named = self.remotes.iter().chain(&self.remote);
        named
            .map(|named| named.trim_end_matches('/'))
            .filter_map(|named| place.strip_prefix(named))
            .any(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// True for a bucket with its name: `s3://` alone would be every one.
fn is_bucket(text: &str) -> bool {
    let rest = text.strip_prefix("s3://");
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "---"
}

fn read(file: &Path, must: bool, sources: &mut Sources) -> Result<Config, Vec<Diagnostic>> {
    let mut config = Config {
        file: Some(file.to_owned()),
        ..Config::default()
    };
    match std::fs::read_to_string(file) {
        // A file of comments says nothing, too.
        Ok(text) if text.lines().all(is_blank) => return Ok(config),
        Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => return Ok(config),
        // Whatever else is wrong is told with its place.
        _ => {}
    }
    let settings: Settings = document::read(file, sources)?;
    let mut faults = Vec::new();
    for host in &settings.sensitive.hosts {
        match Hosts::parse(host) {
            Ok(hosts) => config.hosts.push(hosts),
            Err(why) => faults.push(Diagnostic::error(why).at(host.span, "")),
        }
    }
    for remote in &settings.remotes {
        match is_bucket(remote) {
            true => config.remotes.push(remote.value.clone()),
            false => {
                faults.push(Diagnostic::error("expected `s3://BUCKET/PREFIX`").at(remote.span, ""))
            }
        }
    }
    config.remote = settings.remote.map(|remote| remote.value);
    let dir = folder(file);
    let mut place = |path: &Src<String>| {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?));
        let found = match path.strip_prefix("~/") {
            Some(rest) => home().map(|home| home.join(rest)),
            None => Some(dir.join(&path.value)),
        };
        let found = found.filter(|_| !path.is_empty());
        let found = found.and_then(|path| std::path::absolute(path).ok());
        if found.is_none() {
            faults.push(Diagnostic::error("expected a file or folder").at(path.span, ""));
        }
        found
    };
    config.sensitive = settings
        .sensitive
        .paths
        .iter()
        .filter_map(&mut place)
        .collect();
    config.paths = settings.paths.iter().filter_map(&mut place).collect();
    if faults.is_empty() {
        Ok(config)
    } else {
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, text).expect("written");
        let mut sources = Sources::default();
        read(&file, false, &mut sources).map_err(|faults| {
            let faults = faults.iter().map(|fault| fault.render(&sources, false));
            let text = faults.collect::<Vec<_>>().join("\n\n");
            text.replace(&file.display().to_string(), "config.yaml")
        })
    }

    #[test]
    fn hosts_are_allowed_by_the_user_alone() {
        let config = told("sensitive: {hosts: [gpu1.lab.example, 10.1.0.0/16]}").expect("sound");
        for allowed in ["localhost", "[::1]", "gpu1.lab.example", "10.1.2.3"] {
            assert!(config.allows(allowed), "{allowed}");
        }
        assert!(!config.allows("gpu2.lab.example"));
        for nothing in ["", "# nothing\n", "sensitive: {}"] {
            assert!(
                !told(nothing).expect("sound").allows("10.1.2.3"),
                "{nothing}"
            );
        }
    }

    #[test]
    fn caches_go_to_places_that_are_named_and_below() {
        let config = told("remote: s3://own/all/\nremotes: [s3://clinic/clue]").expect("sound");
        for allowed in ["s3://own/all", "s3://clinic/clue", "s3://clinic/clue/a"] {
            assert!(config.allows_remote(allowed), "{allowed}");
        }
        for other in [
            "s3://own",
            "s3://clinic",
            "s3://clinic/clue2",
            "s3://x/s3://own/all",
        ] {
            assert!(!config.allows_remote(other), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let all = [
            "sensitive: {host: [a]}",
            "sensitive: {hosts: [\"*\", \"a b\"]}",
            "sensitive: {hosts: a}",
            "hosts: [a]",
            "paths: ['']",
            "remotes: ['s3://']",
            "sensitive: [",
        ];
        let all = all.map(|text| told(text).expect_err(text));
        insta::assert_snapshot!(all.join("\n\n"), @r#"
        error: unknown key `host`
         --> config.yaml:1:13
          |
        1 | sensitive: {host: [a]}
          |             ^^^^
          |
          = help: did you mean `hosts`?

        error: expected a machine's name, `*.name`, an address, or a network such as `10.1.0.0/16`
         --> config.yaml:1:21
          |
        1 | sensitive: {hosts: ["*", "a b"]}
          |                     ^^^

        error: expected a machine's name, `*.name`, an address, or a network such as `10.1.0.0/16`
         --> config.yaml:1:26
          |
        1 | sensitive: {hosts: ["*", "a b"]}
          |                          ^^^^^

        error: expected a list, found text
         --> config.yaml:1:20
          |
        1 | sensitive: {hosts: a}
          |                    ^

        error: unknown key `hosts`
         --> config.yaml:1:1
          |
        1 | hosts: [a]
          | ^^^^^
          |
          = note: known here: `sensitive`, `paths`, `remote`, `remotes`

        error: expected a file or folder
         --> config.yaml:1:9
          |
        1 | paths: ['']
          |         ^^

        error: expected `s3://BUCKET/PREFIX`
         --> config.yaml:1:11
          |
        1 | remotes: ['s3://']
          |           ^^^^^^^

        error: not valid YAML: unclosed bracket '['
         --> config.yaml:1:12
          |
        1 | sensitive: [
          |            ^
        "#);
    }
}
