//! The catalogue: data sets, their files, and the accounts that they need, in a YAML file of
//! the user's. Owns its shape and its rules; fetches nothing.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::consent;
use super::login::Login;
use super::rules::{address, into, listed, place, tidy};
use super::sums::Sum;
use crate::diag::{Diagnostic, Sources, Span, in_order};
use crate::spec::decode::Src;
use crate::spec::document;
use crate::stages::named::Named;

/// A catalogue file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    /// The version of the language: 1.
    clue: Src<u32>,
    /// Where files go, relative to this file: no farther up than `../data`.
    #[serde(default)]
    into: Option<Src<String>>,
    /// Accounts that data sets need.
    #[serde(default)]
    accounts: Named<AccountEntry>,
    /// The data sets by name.
    datasets: Named<DatasetEntry>,
}

/// A login that some hosts ask for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountEntry {
    /// The addresses that get the login, such as `https://example.org`; no others do.
    #[schemars(length(min = 1))]
    hosts: Vec<Src<String>>,
    /// The environment variable with the user name.
    user_env: String,
    /// The environment variable with the password.
    password_env: String,
    /// What the account is, for those who have none yet.
    #[serde(default)]
    help: Option<String>,
    /// What the program calls itself to these hosts, where they are particular about it.
    #[serde(default)]
    agent: Option<Src<String>>,
}

/// A data set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DatasetEntry {
    /// What it is, in a line.
    about: String,
    /// Its home page.
    home: Src<String>,
    /// Its licence.
    #[serde(default)]
    licence: Option<String>,
    /// The account that it needs, by its name under `accounts:`.
    #[serde(default)]
    account: Option<Src<String>>,
    /// The address of the published list of SHA-256 sums.
    #[serde(default)]
    sums: Option<Src<String>>,
    /// Its files.
    #[schemars(length(min = 1))]
    files: Vec<FileEntry>,
}

/// A file of a data set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    /// Its address.
    url: Src<String>,
    /// Where it goes in the data folder.
    to: Src<String>,
    /// Its SHA-256 sum, if that is known here.
    #[serde(default)]
    sha256: Option<Src<String>>,
}

/// A catalogue that is sound.
pub struct Catalogue {
    /// Where files go.
    pub into: PathBuf,
    /// True for the one that comes with clue.
    pub is_shipped: bool,
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The data sets, in the file's order.
    pub datasets: Vec<Dataset>,
}

/// A login that some hosts ask for.
pub struct Account {
    /// Its name.
    pub name: String,
    /// Who gets the login; their origins count.
    pub hosts: Vec<Url>,
    /// The environment variable with the user name.
    pub user_env: String,
    /// The environment variable with the password.
    pub password_env: String,
    /// What the account is.
    pub help: Option<String>,
    /// What the program calls itself to these hosts.
    pub agent: Option<String>,
    /// The login, once it is known.
    pub login: OnceLock<Login>,
}

impl Account {
    /// True for addresses that the login may be sent to.
    pub fn owns(&self, url: &Url) -> bool {
        self.hosts.iter().any(|host| host.origin() == url.origin())
    }
}

/// A data set.
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its home page.
    pub home: String,
    /// Its licence.
    pub licence: Option<String>,
    /// The account that it needs: an index.
    pub account: Option<usize>,
    /// The published list of sums.
    pub sums: Option<Url>,
    /// Its files.
    pub files: Vec<Item>,
}

/// A file of a data set.
pub struct Item {
    /// Its address.
    pub url: Url,
    /// Its name in the list of sums.
    pub listed: String,
    /// Where it goes in the data folder, with `/` between parts.
    pub to: String,
    /// Its sum, if the catalogue knows it.
    pub sha256: Option<Sum>,
}

impl Catalogue {
    /// Reads a catalogue. Files go to `to`, or else where the catalogue says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(
        path: &Path,
        to: Option<&Path>,
        sources: &mut Sources,
    ) -> Result<Catalogue, Vec<Diagnostic>> {
        let document: Document = document::read(path, sources)?;
        let mut faults = Vec::new();
        if document.clue.value != 1 {
            let n = document.clue.value;
            faults.push(
                Diagnostic::error(format!("this clue reads version 1 of catalogues, not {n}"))
                    .at(document.clue.span, ""),
            );
        }
        let into = match (to, &document.into) {
            (Some(to), _) => to.to_owned(),
            (None, said) => {
                let said = said.as_ref().map_or(Ok("data"), into);
                let said = said.unwrap_or_else(|fault| {
                    faults.push(*fault);
                    "data"
                });
                tidy(&path.parent().unwrap_or(Path::new("")).join(said))
            }
        };
        let is_shipped = consent::is_shipped(sources.text(document.clue.span.file));
        let accounts = document.accounts.0.into_iter();
        let accounts: Vec<Account> = accounts
            .map(|(name, entry)| account(name, entry, &mut faults))
            .collect();
        let mut places: Vec<(String, Span)> = Vec::new();
        let datasets = document.datasets.0.into_iter();
        let datasets = datasets
            .filter_map(|(name, entry)| dataset(name, entry, &accounts, &mut places, &mut faults))
            .collect();
        if !faults.is_empty() {
            in_order(&mut faults);
            return Err(faults);
        }
        Ok(Catalogue {
            into,
            is_shipped,
            accounts,
            datasets,
        })
    }
}

fn account(name: String, entry: AccountEntry, faults: &mut Vec<Diagnostic>) -> Account {
    let mut hosts = Vec::new();
    for host in &entry.hosts {
        match address(host) {
            Ok(url) if url.path() == "/" && url.query().is_none() => hosts.push(url),
            Ok(url) => faults.push(
                Diagnostic::error("expected a host without a path")
                    .at(host.span, "")
                    .help(format!("write `{}`", url.origin().ascii_serialization())),
            ),
            Err(fault) => faults.push(*fault),
        }
    }
    if let Some(agent) = &entry.agent
        && !agent.chars().all(|c| c == ' ' || c.is_ascii_graphic())
    {
        faults.push(Diagnostic::error("expected plain ASCII text").at(agent.span, ""));
    }
    Account {
        name,
        hosts,
        user_env: entry.user_env,
        password_env: entry.password_env,
        help: entry.help,
        agent: entry.agent.map(|agent| agent.value),
        login: OnceLock::new(),
    }
}

/// A data set; `None` if it is at fault.
fn dataset(
    name: String,
    entry: DatasetEntry,
    accounts: &[Account],
    places: &mut Vec<(String, Span)>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Dataset> {
    let before = faults.len();
    let mut sound = |result: Result<Url, Box<Diagnostic>>| match result {
        Ok(url) => Some(url),
        Err(fault) => {
            faults.push(*fault);
            None
        }
    };
    let home = sound(address(&entry.home));
    let sums = entry
        .sums
        .as_ref()
        .map(|sums| (sound(address(sums)), sums.span));
    let urls: Vec<Option<Url>> = entry
        .files
        .iter()
        .map(|file| sound(address(&file.url)))
        .collect();
    let account = entry.account.as_ref().and_then(|wanted| {
        let found = accounts
            .iter()
            .position(|account| account.name == wanted.value);
        if found.is_none() {
            faults.push(
                Diagnostic::error(format!("no account `{}`", wanted.value))
                    .at(wanted.span, "")
                    .suggest(wanted, accounts.iter().map(|account| account.name.as_str())),
            );
        }
        found
    });
    let mut strange = |url: &Option<Url>, span: Span| {
        if let (Some(url), Some(account)) = (url, account.and_then(|at| accounts.get(at)))
            && !account.hosts.is_empty()
            && !account.owns(url)
        {
            let hosts = account
                .hosts
                .iter()
                .map(|host| host.origin().ascii_serialization());
            faults.push(
                Diagnostic::error(format!("this is on no host of account `{}`", account.name))
                    .at(span, "the login would not be sent here")
                    .note(format!(
                        "its hosts: {}",
                        hosts.collect::<Vec<_>>().join(", ")
                    )),
            );
        }
    };
    if let Some((url, span)) = &sums {
        strange(url, *span);
    }
    for (url, file) in urls.iter().zip(&entry.files) {
        strange(url, file.url.span);
    }
    let sums = sums.and_then(|(url, _)| url);
    let mut files = Vec::new();
    for (url, file) in urls.into_iter().zip(&entry.files) {
        let to = place(&file.to, places, faults);
        let sha256 = match &file.sha256 {
            None => None,
            Some(text) => {
                let sum = Sum::parse(text);
                if sum.is_none() {
                    faults.push(
                        Diagnostic::error("expected a SHA-256 sum: 64 hex digits")
                            .at(text.span, ""),
                    );
                }
                sum
            }
        };
        let listed = match (&sums, &url) {
            // Its own sum comes first.
            (Some(sums), Some(url)) if file.sha256.is_none() => {
                listed(sums, url).unwrap_or_else(|| {
                    faults.push(
                        Diagnostic::error("this file is not below the folder of the list of sums")
                            .at(file.url.span, "")
                            .note(format!("the list of sums: {sums}"))
                            .help("leave out `sums`, or give the file its own `sha256`"),
                    );
                    String::new()
                })
            }
            _ => String::new(),
        };
        if let (Some(url), Some(to)) = (url, to) {
            files.push(Item {
                url,
                listed,
                to,
                sha256,
            });
        }
    }
    (faults.len() == before).then(|| Dataset {
        name,
        about: entry.about,
        home: home.map(String::from).unwrap_or_default(),
        licence: entry.licence,
        account,
        sums,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(yaml: &str) -> Result<Catalogue, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, yaml).expect("written");
        let mut sources = Sources::default();
        Catalogue::load(&path, None, &mut sources).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(|f| f.render(&sources, false)).collect();
            told.join("\n\n")
                .replace(&format!("{}/", dir.path().display()), "")
        })
    }

    #[test]
    fn a_sound_catalogue() {
        let catalogue = load(
            "clue: 1\ninto: ../data\naccounts:\n  a: {hosts: ['https://h.org'], user_env: U, password_env: P}\n\
             datasets:\n  d:\n    about: A set\n    home: https://h.org/d/\n    account: a\n    \
             sums: https://h.org/f/d/1.0/SHA256SUMS.txt\n    \
             files: [{url: 'https://h.org/f/d/1.0/x/y%20z.csv', to: d/y.csv}]\n",
        )
        .unwrap_or_else(|told| panic!("{told}"));
        let set = &catalogue.datasets[0];
        assert_eq!(set.files[0].listed, "x/y z.csv");
        assert!(catalogue.into.ends_with("data"));
        assert!(!catalogue.into.to_string_lossy().contains(".."));
        let owns = |text: &str| catalogue.accounts[0].owns(&Url::parse(text).expect("a URL"));
        assert!(owns("https://h.org:443/any"));
        for other in [
            "http://h.org/",
            "https://h.org:444/",
            "https://www.h.org/",
            "https://h.org.evil.org/",
            "https://evil.org/h.org",
        ] {
            assert!(!owns(other), "{other}");
        }
    }

    #[test]
    fn faults_are_told_all_at_once_with_their_places() {
        let told = load(
            "clue: 2\naccounts:\n  a: {hosts: ['https://h.org/login', 'http://far.org'], user_env: U, password_env: P}\n  \
             b: {hosts: ['https://h.org'], user_env: U, password_env: P}\n\
             datasets:\n  one:\n    about: One\n    home: ftp://h.org\n    account: c\n    files:\n      \
             - {url: 'https://u:p@h.org/x', to: ../x}\n      - {url: 'no address', to: /etc/x, sha256: abc}\n  \
             two:\n    about: Two\n    home: https://h.org\n    account: b\n    \
             sums: https://h.org/two/SHA256SUMS\n    files:\n      \
             - {url: 'https://h.org/one/x', to: x}\n      - {url: 'https://other.org/two/y', to: x/y}\n      \
             - {url: 'https://h.org/two/z', to: SHA256SUMS}\n",
        )
        .err()
        .expect("faults");
        insta::assert_snapshot!(told);
    }

    #[test]
    fn files_go_no_farther_than_beside_the_catalogues_folder() {
        let into = |said: &str| load(&format!("clue: 1\ninto: '{said}'\ndatasets: {{}}\n"));
        for near in ["data", "../data", "./a/b", "../a/b", "."] {
            assert!(into(near).is_ok(), "{near}");
        }
        for far in [
            "/data",
            "..",
            "../",
            "../../data",
            "a/../..",
            "../a/../..",
            "",
        ] {
            let told = into(far)
                .err()
                .unwrap_or_else(|| panic!("`{far}` is taken"));
            assert!(told.contains("`--to DIR`"), "{told}");
        }
        let odd = load("clue: 1\ninto: \"a\\eb\"\ndatasets: {}\n");
        assert!(odd.is_err_and(|told| told.contains("without control characters")));
        // Where the user says so, any folder will do.
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "clue: 1\ninto: /far\ndatasets: {}\n").expect("written");
        let load = |to| Catalogue::load(&path, to, &mut Sources::default());
        let to = load(Some(Path::new("/any"))).map(|catalogue| catalogue.into);
        assert_eq!(to.ok(), Some(PathBuf::from("/any")));
    }

    #[test]
    fn the_catalogue_that_comes_with_clue_is_known_by_its_content() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/datasets.yaml");
        let text = std::fs::read_to_string(shipped).expect("read");
        let known = |text: &str| load(text).map(|catalogue| catalogue.is_shipped);
        assert_eq!(known(&text), Ok(true));
        assert_eq!(known(&(text + "# more\n")), Ok(false));
    }

    #[test]
    fn shapes_are_checked_with_suggestions() {
        let told = load("clue: 1\ndataset: {}\ndatasets:\n  d: {about: A, home: h, file: []}\n")
            .err()
            .expect("faults");
        insta::assert_snapshot!(told);
    }
}
