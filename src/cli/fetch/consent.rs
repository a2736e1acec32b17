//! What a fetch would do, for the user to allow. Pure.

use std::fmt::Write;
use std::path::Path;

use crate::fetch::consent::Need;
use crate::text::visible::plain;

/// The question: what would be done, one thing a line, and how to say yes. `file` is the
/// catalogue.
pub fn question(file: &Path, needs: &[Need]) -> String {
    let mut text = format!(
        "this fetch needs your consent, because `{}` is not the catalogue that comes with clue, and \
         it would\n",
        plain(&file.display().to_string())
    );
    for need in needs {
        let _ = match need {
            Need::Login {
                account,
                variables: [user, password],
                hosts,
            } => {
                let hosts: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
                writeln!(
                    text,
                    "  login  with `{}` and `{}`, or what you type, at {}   (account `{}`)",
                    plain(user),
                    plain(password),
                    hosts.join(", "),
                    plain(account)
                )
            }
            Need::Ask { dataset, host } => {
                writeln!(text, "  ask    `{host}`   (data set `{}`)", plain(dataset))
            }
            Need::Write { folder } => {
                let folder = folder.display().to_string();
                writeln!(text, "  write  to `{}`", plain(&folder))
            }
        };
    }
    text + "say so with `--yes`\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_disguise_itself() {
        let needs = [
            Need::Login {
                account: "a\u{1b}[2K".to_owned(),
                variables: ["U".to_owned(), "P\r".to_owned()],
                hosts: vec!["https://h.org".to_owned(), "https://i.org:8443".to_owned()],
            },
            Need::Ask {
                dataset: "d\u{202e}".to_owned(),
                host: "h.org".to_owned(),
            },
            Need::Write {
                folder: "/data\n".into(),
            },
        ];
        insta::assert_snapshot!(question(Path::new("c.yaml"), &needs), @r"
        this fetch needs your consent, because `c.yaml` is not the catalogue that comes with clue, and it would
          login  with `U` and `P\r`, or what you type, at `https://h.org`, `https://i.org:8443`   (account `a\u{1b}[2K`)
          ask    `h.org`   (data set `d\u{202e}`)
          write  to `/data\n`
        say so with `--yes`
        ");
    }
}
