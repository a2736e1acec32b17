//! The loop of stages that run an outside program: records go in as JSON lines, and come out
//! as JSON lines. What the program says on standard error goes to a log file.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::worker::{Broken, Worker};
use crate::diag::Diagnostic;
use crate::model::scripts::changed;
use crate::record::{Fields, Record};
use crate::stages::contract::{ExecCommand, Fault};
use crate::text::visible::plain;

/// Runs the program over all records.
///
/// # Errors
/// As in [`Worker`]; a program that fails, or answers with something else than JSON objects.
pub async fn exec(worker: &mut Worker, command: ExecCommand) -> Result<(), Broken> {
    let span = worker.shop.pipe.stages[worker.at].spec.verb.span;
    let program = command.argv.first().cloned().unwrap_or_default();
    let fault = |why: String| Diagnostic::error(format!("`{program}` {why}")).at(span, "");
    let logs = worker.shop.store.root().join("logs");
    let log = logs.join(format!("exec-{}.log", file_name(worker.name())));
    let stderr = fs::create_dir_all(&logs)
        .and_then(|()| File::create(&log))
        .map_err(|error| fault(format!("has no log file `{}`: {error}", log.display())))?;
    // The consent may be hours old.
    let agreed = worker.shop.agreed.get(&worker.at);
    if let Some(file) = agreed.and_then(|files| changed(files)) {
        let name = plain(&file.name);
        let why = format!("was not run: `{name}` has changed since it was allowed");
        return Err(fault(why)
            .help("see what has changed, and run again")
            .into());
    }
    let mut child = Command::new(&program)
        .args(command.argv.iter().skip(1))
        .current_dir(&command.dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fault(format!("cannot be run: {error}")))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(fault("has no pipes".to_owned()).into());
    };
    let mut stdin = Some(stdin);
    let mut lines = BufReader::new(stdout).lines();
    let mut asked: VecDeque<Record> = VecDeque::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut sent = 0;
    let mut out = Vec::new();
    let halt = worker.shop.halt.clone();
    loop {
        // Writing and reading go on side by side: a program may answer at any time.
        let feed = stdin.is_some() && sent == bytes.len();
        let write = async {
            match &mut stdin {
                Some(pipe) if sent < bytes.len() => pipe.write(&bytes[sent..]).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = halt.raised() => return Err(Broken::Elsewhere),
            wrote = write => match wrote {
                Ok(n) if n > 0 => sent += n,
                // A program that stops reading tells why by its answers or its exit code.
                _ => { stdin = None; }
            },
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    answer(worker, &command, &line, &mut asked, &mut out)
                        .map_err(|why| fault(why).note(format!("its log: {}", log.display())))??;
                    worker.emit(&mut out).await?;
                    worker.outlet.flush().await;
                }
                Ok(None) => break,
                Err(_) => return Err(fault("wrote something that is not UTF-8".to_owned()).into()),
            },
            records = worker.read(0), if feed => match records {
                Some(records) => {
                    bytes.clear();
                    sent = 0;
                    for record in records {
                        let _ = serde_json::to_writer(&mut bytes, &record.fields);
                        bytes.push(b'\n');
                        if command.key.is_none() {
                            asked.push_back(record);
                        }
                    }
                }
                None => {
                    worker.inputs_ended()?;
                    stdin = None;
                }
            },
        }
    }
    let fed = worker.inputs_ended().is_ok();
    drop(stdin);
    let status = child.wait().await;
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(fault(format!("ended with {status}"))
                .note(format!("its log: {}", log.display()))
                .into());
        }
        Err(error) => return Err(fault(format!("was lost: {error}")).into()),
    }
    if !fed {
        return Err(fault("ended before it had read all records".to_owned()).into());
    }
    if !asked.is_empty() {
        let missing = asked.len();
        return Err(
            fault(format!("did not answer {missing} of the lines it read"))
                .help("it must write one line for each line it reads, or name its `key`")
                .into(),
        );
    }
    Ok(())
}

/// Takes one line of the program: an error is its text, an inner one stops the stage.
fn answer(
    worker: &Worker,
    command: &ExecCommand,
    line: &str,
    asked: &mut VecDeque<Record>,
    out: &mut Vec<Record>,
) -> Result<Result<(), Broken>, String> {
    let fields: Option<Fields> = serde_json::from_str(line)
        .map_err(|_| "wrote a line that is neither a JSON object nor `null`".to_owned())?;
    let record = match &command.key {
        Some(name) => {
            let Some(fields) = fields else {
                return Err("wrote `null`, which has no key".to_owned());
            };
            let key = fields.get(name).map(ToString::to_string);
            let key = key.ok_or_else(|| format!("wrote a line without the key `{name}`"))?;
            Record {
                key: key.into(),
                fields,
            }
        }
        None => {
            let Some(mut record) = asked.pop_front() else {
                return Err("wrote more lines than it read".to_owned());
            };
            let Some(fields) = fields else {
                let why = Fault::Record("the program gave no answer".to_owned());
                return Ok(worker.fault(&record.key, why));
            };
            for (name, value) in fields.iter() {
                record.fields.set(name.clone(), value.clone());
            }
            record
        }
    };
    out.push(record);
    Ok(Ok(()))
}

/// A stage's name as a part of a file name.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}
