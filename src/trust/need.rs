//! What a pipeline would do beyond computing: one thing that the user must allow, how it is
//! named in what the user agreed to, and how it reads. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::hash::Hash;
use crate::text::visible::{plain, quoted};

/// How many of the purposes of one need are told.
const TOLD: usize = 3;

/// One thing that the user must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What would happen.
    pub act: Act,
    /// What for, e.g. "stage `tidy`".
    pub purposes: Vec<String>,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Act {
    /// A program would be run.
    Run(Program),
    /// Text would be sent to another machine.
    Send {
        /// The machine.
        host: String,
        /// The machine that passes it on.
        proxy: Option<String>,
        /// The environment variable whose content is sent along.
        token: Option<String>,
    },
    /// A file outside of the pipeline's project would be read.
    Read {
        /// The file, resolved.
        path: String,
    },
}

/// A program that would be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Program and arguments, as the pipeline gives them.
    pub argv: Vec<String>,
    /// Its working folder, absolute.
    pub dir: String,
    /// Environment variables that the pipeline sets.
    pub env: BTreeMap<String, String>,
    /// The files that it names, and scripts next to them: as the pipeline names them, and what
    /// says that they are the same.
    pub files: Vec<(String, Hash)>,
    /// True when it gets sensitive records.
    pub sensitive: bool,
}

impl Need {
    /// Names what would happen, exactly: another program, argument, variable, script or host is
    /// another need. What for is not part of it.
    pub fn hash(&self) -> Hash {
        Hash::of("clue consent v1", &self.act)
    }

    /// It in one line, for a list of what was allowed.
    pub fn line(&self) -> String {
        match &self.act {
            Act::Run(program) => {
                let words: Vec<String> = program.argv.iter().map(|word| quoted(word)).collect();
                format!("run   {}   ({})", words.join(" "), self.told())
            }
            Act::Send { host, .. } => {
                format!("send  prompts to `{}`   ({})", plain(host), self.told())
            }
            Act::Read { path } => format!("read  {}   ({})", quoted(path), self.told()),
        }
    }

    fn told(&self) -> String {
        let purposes: Vec<String> = self.purposes.iter().map(|text| plain(text)).collect();
        first_of(&purposes)
    }

    /// What else there is to know, one fact a line.
    fn facts(&self) -> Vec<String> {
        match &self.act {
            Act::Run(program) => {
                let env = program.env.iter();
                let env =
                    env.map(|(name, value)| format!("with {}={}", plain(name), quoted(value)));
                let files = program.files.iter();
                let files =
                    files.map(|(name, hash)| format!("file {}, {}", quoted(name), hash.short()));
                let gets = program
                    .sensitive
                    .then(|| "gets sensitive records".to_owned());
                gets.into_iter().chain(env).chain(files).collect()
            }
            Act::Read { .. } => Vec::new(),
            Act::Send { proxy, token, .. } => {
                let token = token.iter();
                let token = token.map(|name| format!("with the content of ${}", plain(name)));
                let proxy = proxy.iter();
                let proxy = proxy.map(|proxy| format!("through the proxy `{}`", plain(proxy)));
                token.chain(proxy).collect()
            }
        }
    }
}

/// The first of some things, and how many more there are.
pub fn first_of(all: &[String]) -> String {
    let mut told: Vec<String> = all.iter().take(TOLD).cloned().collect();
    if all.len() > TOLD {
        told.push(format!("{} more", all.len() - TOLD));
    }
    told.join(", ")
}

/// Adds a need; one that is there already gets the purpose.
pub fn add(needs: &mut Vec<Need>, act: Act, purpose: String) {
    match needs.iter_mut().find(|need| need.act == act) {
        Some(need) if need.purposes.contains(&purpose) => {}
        Some(need) => need.purposes.push(purpose),
        None => needs.push(Need {
            act,
            purposes: vec![purpose],
        }),
    }
}

/// The list as the user reads it.
pub fn render(needs: &[Need]) -> String {
    let mut text = String::new();
    for need in needs {
        let _ = writeln!(text, "  {}", need.line());
        for fact in need.facts() {
            let _ = writeln!(text, "          {fact}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str]) -> Act {
        Act::Run(Program {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            dir: "/p".to_owned(),
            env: BTreeMap::from([("HF_HOME".to_owned(), "/tmp/a b".to_owned())]),
            files: vec![("serve.py".to_owned(), Hash::of_bytes(b"x"))],
            sensitive: true,
        })
    }

    #[test]
    fn needs_are_listed_once_and_cannot_disguise_themselves() {
        let mut needs = Vec::new();
        let send = || Act::Send {
            host: "api.example.org".to_owned(),
            proxy: Some("proxy.lab".to_owned()),
            token: Some("API_TOKEN".to_owned()),
        };
        add(
            &mut needs,
            run(&["sh", "-c", "x \u{1b}[2J 'y"]),
            "stage `a\u{202e}`".to_owned(),
        );
        for name in ["a", "b", "b", "c", "d", "e"] {
            add(&mut needs, send(), format!("model `{name}`"));
        }
        insta::assert_snapshot!(render(&needs), @r"
        run   sh -c 'x \u{1b}[2J '\''y'   (stage `a\u{202e}`)
                gets sensitive records
                with HF_HOME='/tmp/a b'
                file serve.py, 3ae7d805f678
        send  prompts to `api.example.org`   (model `a`, model `b`, model `c`, 2 more)
                with the content of $API_TOKEN
                through the proxy `proxy.lab`
        ");
    }

    #[test]
    fn only_what_would_happen_names_a_need() {
        let need = |act: Act, purpose: &str| Need {
            act,
            purposes: vec![purpose.to_owned()],
        };
        let first = need(run(&["a"]), "x").hash();
        assert_eq!(first, need(run(&["a"]), "y").hash());
        assert_ne!(first, need(run(&["a", ""]), "x").hash());
        let mut other = run(&["a"]);
        if let Act::Run(program) = &mut other {
            program.files[0].1 = Hash::of_bytes(b"y");
        }
        assert_ne!(first, need(other, "x").hash());
    }
}
