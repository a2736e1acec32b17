//! What a pipeline would do beyond computing: one thing that the user must allow, how it is
//! named in what the user agreed to, and how it reads. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::hash::Hash;
use crate::model::scripts::{Script, Scripts};
use crate::text::visible::{plain, quoted};

/// How many of the purposes of one need are told.
const TOLD: usize = 3;
/// Up to how many files are told each.
const MOST_FILES: usize = 10;

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
        /// Scheme, machine and port.
        origin: String,
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
    /// The files that decide what it does.
    pub scripts: Scripts,
    /// True when it gets sensitive records.
    pub sensitive: bool,
}

impl Need {
    /// Names what would happen, exactly: another program, argument, variable, script, host, port
    /// or token is another need, and so is a way that is not encrypted. What for is not part of it.
    pub fn hash(&self) -> Hash {
        Hash::of("clue consent v2", &self.act)
    }

    /// It as the user reads it: a line, and one for each fact that there is to know.
    pub fn lines(&self) -> Vec<String> {
        let facts = self.facts().into_iter();
        let facts = facts.map(|fact| format!("        {fact}"));
        std::iter::once(self.line()).chain(facts).collect()
    }

    fn line(&self) -> String {
        match &self.act {
            Act::Run(program) => {
                let words: Vec<String> = program.argv.iter().map(|word| quoted(word)).collect();
                format!("run   {}   ({})", words.join(" "), self.told())
            }
            Act::Send { origin, .. } => {
                format!("send  prompts to `{}`   ({})", plain(origin), self.told())
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
                let files = files(&program.scripts.files, &program.argv);
                let unseen = program
                    .scripts
                    .unseen
                    .then(|| "other files of this folder may change unseen".to_owned());
                let gets = program
                    .sensitive
                    .then(|| "gets sensitive records".to_owned());
                gets.into_iter()
                    .chain(env)
                    .chain(files)
                    .chain(unseen)
                    .collect()
            }
            Act::Read { .. } => Vec::new(),
            Act::Send {
                origin,
                proxy,
                token,
            } => {
                let open = origin
                    .starts_with("http:")
                    .then(|| "not encrypted: whoever is on the way can read all of it".to_owned());
                let token = token.iter();
                let token = token.map(|name| format!("with the content of ${}", plain(name)));
                let proxy = proxy.iter();
                let proxy = proxy.map(|proxy| format!("through the proxy `{}`", plain(proxy)));
                open.into_iter().chain(token).chain(proxy).collect()
            }
        }
    }
}

/// A line for each file; of many, one for each that a word names, and one for the rest.
fn files(files: &[Script], words: &[String]) -> Vec<String> {
    let line = |file: &Script| format!("file {}, {}", quoted(&file.name), file.hash.short());
    if files.len() <= MOST_FILES {
        return files.iter().map(line).collect();
    }
    let named = |file: &&Script| words.iter().any(|word| word.contains(&file.name));
    let (named, rest): (Vec<&Script>, Vec<&Script>) = files.iter().partition(named);
    let mut lines: Vec<String> = named.into_iter().map(line).collect();
    if !rest.is_empty() {
        let hash = Hash::of("clue scripts v1", &rest).short();
        lines.push(format!(
            "{} other scripts beside and below, {hash}",
            rest.len()
        ));
    }
    lines
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
        for line in need.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str) -> Script {
        Script {
            name: name.to_owned(),
            hash: Hash::of_bytes(b"x"),
            path: name.into(),
        }
    }

    #[test]
    fn of_many_files_those_are_told_that_are_named() {
        let all: Vec<Script> = (0..30).map(|at| script(&format!("{at}.py"))).collect();
        let words = ["python3".to_owned(), "./17.py".to_owned()];
        let told = files(&all, &words);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[1].starts_with("file 7.py") || told[1].starts_with("file 17.py"));
        assert!(told[2].starts_with("28 other scripts beside and below, "));
    }

    fn run(argv: &[&str]) -> Act {
        Act::Run(Program {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            dir: "/p".to_owned(),
            env: BTreeMap::from([("HF_HOME".to_owned(), "/tmp/a b".to_owned())]),
            scripts: Scripts {
                files: vec![script("serve.py")],
                unseen: true,
            },
            sensitive: true,
        })
    }

    #[test]
    fn needs_are_listed_once_and_cannot_disguise_themselves() {
        let mut needs = Vec::new();
        let send = || Act::Send {
            origin: "http://api.example.org".to_owned(),
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
                other files of this folder may change unseen
        send  prompts to `http://api.example.org`   (model `a`, model `b`, model `c`, 2 more)
                not encrypted: whoever is on the way can read all of it
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
            program.scripts.files[0].hash = Hash::of_bytes(b"y");
        }
        assert_ne!(first, need(other, "x").hash());
        let send = |origin: &str, token: &str| {
            let act = Act::Send {
                origin: origin.to_owned(),
                proxy: None,
                token: Some(token.to_owned()),
            };
            need(act, "x").hash()
        };
        let first = send("https://a.example", "A");
        assert_ne!(first, send("http://a.example", "A"));
        assert_ne!(first, send("https://a.example:8443", "A"));
        assert_ne!(first, send("https://a.example", "B"));
    }
}
