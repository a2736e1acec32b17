//! What fetching by somebody's catalogue would do: who gets which login, who is asked, and where
//! files go. Looks where links lead; words nothing and asks nobody.

use std::path::{Component, Path, PathBuf};

use super::catalogue::{Account, Catalogue};
use super::run::{How, Want};
use super::shelf::State;
use super::web::host;

/// The catalogue that comes with clue.
const SHIPPED: &str = include_str!("../../pipelines/datasets.yaml");

/// True for the text of the catalogue that comes with clue: who runs clue trusts it already.
pub(super) fn is_shipped(text: &str) -> bool {
    text == SHIPPED
}

/// One thing that the user must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A login would be sent.
    Login {
        /// The account's name in the catalogue.
        account: String,
        /// The environment variables with user name and password.
        variables: [String; 2],
        /// Who would get it: origins.
        hosts: Vec<String>,
    },
    /// A host would be asked for files.
    Ask {
        /// The data set's name.
        dataset: String,
        /// Host and port.
        host: String,
    },
    /// Files would be written.
    Write {
        /// The folder, as links lead to it.
        folder: PathBuf,
    },
}

/// All that the user must allow, each thing once: logins first, folders last.
pub fn needs(catalogue: &Catalogue, wants: &[Want<'_>], how: &How<'_>) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    let mut add = |need: Need| {
        if !needs.contains(&need) {
            needs.push(need);
        }
    };
    let asked = || wants.iter().filter(|want| want.needs_network(how.again));
    for want in asked() {
        if let Some(account) = want
            .dataset
            .account
            .and_then(|at| catalogue.accounts.get(at))
        {
            add(login(account));
        }
    }
    for want in asked() {
        let sums = want.dataset.sums.iter();
        for url in sums.chain([&want.item.url]) {
            add(Need::Ask {
                dataset: want.dataset.name.clone(),
                host: host(url),
            });
        }
    }
    let adopts = |want: &&Want<'_>| {
        want.needs_network(how.again) || matches!(want.state, Ok(State::Unchecked { .. }))
    };
    let root = real(how.folder);
    for want in wants.iter().filter(adopts) {
        let path = how.folder.join(&want.item.to);
        let folder = path.parent().map_or_else(|| root.clone(), real);
        let folder = if folder.starts_with(&root) {
            &root
        } else {
            // Only a link leads out of the data folder.
            add(Need::Write {
                folder: root.clone(),
            });
            &folder
        };
        add(Need::Write {
            folder: folder.clone(),
        });
    }
    needs
}

fn login(account: &Account) -> Need {
    let hosts = account.hosts.iter();
    Need::Login {
        account: account.name.clone(),
        variables: [account.user_env.clone(), account.password_env.clone()],
        hosts: hosts
            .map(|host| host.origin().ascii_serialization())
            .collect(),
    }
}

/// Where a path leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        let at = match there.as_os_str().is_empty() {
            true => Path::new("."),
            false => there,
        };
        if let (Ok(real), Ok(rest)) = (at.canonicalize(), path.strip_prefix(there)) {
            let rest = rest.components();
            return rest
                .filter(|part| *part != Component::CurDir)
                .fold(real, |real, part| real.join(part));
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_as_far_as_there_is_something() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().canonicalize().expect("there");
        std::fs::create_dir_all(dir.join("far/away")).expect("made");
        std::os::unix::fs::symlink(dir.join("far"), dir.join("link")).expect("linked");
        let led = |path: &str| real(&dir.join(path));
        assert_eq!(led("link/away/new/x"), dir.join("far/away/new/x"));
        assert_eq!(led("none/x"), dir.join("none/x"));
        let here = std::env::current_dir().expect("here");
        assert_eq!(
            real(Path::new("none/x")),
            here.canonicalize().expect("there").join("none/x")
        );
    }
}
