//! `exec`: an outside program that reads and writes records as JSON lines. Owns what is run
//! and which files decide what it does; the engine runs it, once it is allowed.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, ExecCommand, FieldSet, Operator, Verb};
use crate::diag::{Diagnostic, nearest};
use crate::spec::decode::Src;

/// Runs an outside program that reads records as JSON lines on its standard input, and writes
/// records as JSON lines on its standard output. It runs in the folder of this file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments; no shell reads them. A program with a `/` in its name
    /// is looked for from the folder of this file, others as the shell would find them.
    #[schemars(extend("minItems" = 1))]
    command: Src<Vec<Src<String>>>,
    /// The field that holds the key of each record that it writes. Without it, each line it
    /// writes answers the line it read, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Files that it reads and whose content decides its output. Arguments that are files are
    /// seen without being named here.
    #[serde(default, skip_serializing)]
    files: Vec<Src<String>>,
}

impl Exec {
    /// Where the program lies, if that is said.
    fn program(&self, dir: &Path) -> Option<PathBuf> {
        let program = self.command.first()?;
        program.contains('/').then(|| dir.join(&program.value))
    }
}

impl Verb for Exec {
    const NAME: &'static str = "exec";
    const VERSION: u32 = 1;

    fn heavy(&self) -> bool {
        true
    }

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        let arguments = self.command.iter().skip(1).map(|word| cx.path(word));
        let program = self.program(cx.dir).into_iter();
        let mut files: Vec<PathBuf> = program
            .chain(arguments)
            .filter(|path| path.is_file())
            .chain(self.files.iter().map(|file| cx.path(file)))
            .collect();
        let mut seen = std::collections::HashSet::new();
        files.retain(|path| seen.insert(path.clone()));
        files
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        match self.command.first() {
            None => cx.fault(
                Diagnostic::error("`command` is empty")
                    .at(self.command.span, "")
                    .help("name a program, e.g. `[python3, score.py]`"),
            ),
            Some(program) if program.is_empty() => {
                cx.fault(Diagnostic::error("the program has no name").at(program.span, ""));
            }
            Some(program) => {
                if let Some(path) = self.program(cx.build.dir) {
                    exists(program, &path, cx);
                }
            }
        }
        for file in &self.files {
            let path = cx.build.path(file);
            exists(file, &path, cx);
        }
        FieldSet::unknown()
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let fault = |what: String| Diagnostic::error(what).at(self.command.span, "");
        let mut argv: Vec<String> = self.command.iter().map(|word| word.value.clone()).collect();
        if argv.is_empty() {
            return Err(fault("`command` is empty".to_owned()));
        }
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| fault(format!("cannot resolve `{}`: {error}", path.display())))
        };
        if let Some(path) = self.program(cx.dir) {
            // Absolute: which folder a relative one starts from depends on the system.
            let path = absolute(&path)?.into_os_string().into_string();
            argv[0] = path.map_err(|_| fault("the program's path is not UTF-8".to_owned()))?;
        }
        Ok(Operator::Exec(ExecCommand {
            argv,
            dir: absolute(cx.dir)?,
            key: self.key.clone(),
        }))
    }
}

/// Reports a file that is not there, with the nearest name next to it.
fn exists(name: &Src<String>, path: &Path, cx: &mut Check<'_>) {
    if path.is_file() {
        return;
    }
    let mut fault = Diagnostic::error(format!("no file `{}`", name.value)).at(name.span, "");
    let folder = path.parent().and_then(|folder| folder.read_dir().ok());
    let entries = folder.into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let wrong = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    if let Some(near) = nearest(wrong, names.iter().map(String::as_str)) {
        let folder = name.value.strip_suffix(wrong).unwrap_or("");
        fault = fault.help(format!("did you mean `{folder}{near}`?"));
    }
    cx.fault(fault);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::stages::contract::Operator;
    use crate::stages::driver::Stage;

    #[test]
    fn programs_and_files_start_from_the_pipelines_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["run.sh", "a.txt", "b.txt", "sh"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        let yaml = "{command: [./run.sh, a.txt, -x, none.txt], files: [b.txt, a.txt], key: id}";
        let stage = Stage::within(dir.path(), "exec", yaml);
        let Ok(Operator::Exec(command)) = stage.verb().operator(&stage.build()) else {
            panic!("not a program");
        };
        let program = dir.path().join("run.sh").display().to_string();
        assert_eq!(command.argv, [&program, "a.txt", "-x", "none.txt"]);
        assert_eq!(command.key.as_deref(), Some("id"));
        let files = stage.verb().files(&stage.build());
        let names: Vec<_> = files.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["run.sh", "a.txt", "b.txt"]);
        assert!(stage.check(&[&[]]).1.is_empty());

        let bare = Stage::within(dir.path(), "exec", "{command: [sh]}");
        assert!(bare.verb().files(&bare.build()).is_empty());
    }

    #[test]
    fn what_is_missing_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("run.sh"), "").expect("written");
        let faults = |yaml| {
            Stage::within(dir.path(), "exec", yaml)
                .check(&[&[]])
                .1
                .join("\n")
        };
        let all = ["{command: []}", "{command: [./rum.sh], files: [gone.txt]}"];
        insta::assert_snapshot!(all.map(faults).join("\n\n"));
    }
}
