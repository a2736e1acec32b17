//! What a pipeline would do beyond computing: programs it would start, and hosts it would send
//! text to. Pure: it lists and words; whoever asks the user decides.

use std::fmt::Write;
use std::net::IpAddr;

use super::spec::ModelSpec;

/// One thing that the user must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program would be run.
    Run {
        /// For what, e.g. "the server of model `gemma`".
        purpose: String,
        /// Program and arguments, as the pipeline gives them.
        argv: Vec<String>,
    },
    /// Text would be sent to another machine.
    Send {
        /// The model's name in the pipeline.
        model: String,
        /// The machine.
        host: String,
    },
}

/// All that the user must allow, in the order of the pipeline, each thing once. `execs` are
/// stages that run programs: name, and program with arguments.
pub fn needs<'a>(
    models: impl IntoIterator<Item = &'a ModelSpec>,
    execs: impl IntoIterator<Item = (&'a str, &'a [String])>,
) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    let mut add = |need: Need| {
        if !needs.contains(&need) {
            needs.push(need);
        }
    };
    let run = |purpose: String, argv: &[String]| Need::Run {
        purpose,
        argv: argv.to_vec(),
    };
    for model in models {
        let name = &model.name;
        if let Some(serve) = &model.serve {
            if !serve.setup.is_empty() {
                add(run(format!("set-up of model `{name}`"), &serve.setup));
            }
            add(run(format!("server of model `{name}`"), &serve.command));
        }
        for host in model.hosts().into_iter().filter(|host| !is_loopback(host)) {
            add(Need::Send {
                model: name.clone(),
                host,
            });
        }
    }
    for (stage, argv) in execs {
        add(run(format!("stage `{stage}`"), argv));
    }
    needs
}

/// True for names and addresses of this machine itself.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The list as the user reads it, one line each.
pub fn render(needs: &[Need]) -> String {
    let mut text = String::new();
    for need in needs {
        let _ = match need {
            Need::Run { purpose, argv } => {
                let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
                writeln!(text, "  run   {}   ({})", words.join(" "), plain(purpose))
            }
            Need::Send { model, host } => writeln!(
                text,
                "  send  prompts to `{}`   (model `{}`)",
                plain(host),
                plain(model)
            ),
        };
    }
    text
}

/// A word of a command line. Quoted where a shell would need it; characters that a terminal
/// would obey or hide are written out, so that nothing can disguise itself.
fn quoted(word: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%{}".contains(c);
    if !word.is_empty() && word.chars().all(simple) {
        return word.to_owned();
    }
    format!("'{}'", plain(word).replace('\'', r"'\''"))
}

/// Text with all characters that are not plainly visible written out.
pub fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let keep = matches!(c, '"' | '\'' | '\\');
            let escaped = (!keep).then(|| c.escape_debug());
            keep.then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{ModelSpec, ServeSpec};

    fn served() -> ModelSpec {
        let serve: ServeSpec = serde_json::from_value(serde_json::json!({
            "command": ["{setup_dir}/bin/python", "serve.py", "{port}"],
            "setup": ["sh", "-c", "pip install \u{1b}[2J 'x"],
        }))
        .unwrap();
        ModelSpec {
            serve: Some(serve),
            ..ModelSpec::new("gemma", "gemma")
        }
    }

    #[test]
    fn programs_and_far_hosts_are_listed_once() {
        let near = ModelSpec::new("near", "x").with_url("http://127.0.0.1:8080/v1");
        let far = ModelSpec::new("far", "x").with_url("https://api.example.org/v1");
        let argv = ["python3".to_owned(), "a.py".to_owned()];
        let needs = needs([&served(), &near, &far, &far], [("tidy", argv.as_slice())]);
        assert_eq!(
            render(&needs),
            "  run   sh -c 'pip install \\u{1b}[2J '\\''x'   (set-up of model `gemma`)\n\
             \x20 run   {setup_dir}/bin/python serve.py {port}   (server of model `gemma`)\n\
             \x20 send  prompts to `api.example.org`   (model `far`)\n\
             \x20 run   python3 a.py   (stage `tidy`)\n"
        );
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "0.0.0.0",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
