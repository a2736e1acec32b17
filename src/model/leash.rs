//! Programs that must not outlive this one: each is started through `clue supervise`, which
//! ends it as soon as its own standard input is closed. Their output goes to a log file, from
//! which lines are told on. Knows nothing of what the programs do.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::scripts::changed;
use super::serve::{Place, Say};
use crate::text::visible::plain;

/// More than the supervisor's own time of grace.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of a log that are read at a time.
const MOST_NEWS: u64 = 1 << 16;
/// The most characters of a line that are told on.
const LONGEST_LINE: usize = 300;

/// A program on its leash. Dropping it ends the program, a moment later.
pub(super) struct Leashed {
    child: Child,
    log: Tail,
}

impl Leashed {
    /// Starts the program in the pipeline's folder, unless a file of it is not what the user
    /// agreed to; its output goes to a new file at `log`.
    pub(super) fn start(
        place: &Place,
        argv: &[String],
        env: &BTreeMap<String, String>,
        log: &Path,
    ) -> io::Result<Leashed> {
        if let Some(file) = changed(&place.agreed) {
            let name = plain(&file.name);
            let what = format!("`{name}` has changed since it was allowed");
            return Err(io::Error::other(what));
        }
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let output = File::create(log)?;
        let child = Command::new(&place.exe)
            .args(["supervise", "--"])
            .args(argv)
            .envs(env)
            .current_dir(&place.dir)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C in the terminal is for the holder of the leash alone.
            .process_group(0)
            .spawn()?;
        Ok(Leashed {
            child,
            log: Tail::open(log)?,
        })
    }

    /// How the program ended, if it did.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Tells on the whole lines that were written since the last time.
    pub(super) fn tell(&mut self, say: Say<'_>) {
        // A log that cannot be read hinders nobody.
        let _ = self.log.lines(say);
    }

    /// The log's path.
    pub(super) fn log(&self) -> &Path {
        &self.log.path
    }

    /// Ends the program and waits until it is gone.
    pub(super) async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(STOP_WITHIN, self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

/// A log file that is read as it grows.
struct Tail {
    path: PathBuf,
    file: File,
    rest: Vec<u8>,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Tail> {
        Ok(Tail {
            path: path.to_owned(),
            file: File::open(path)?,
            rest: Vec::new(),
        })
    }

    fn lines(&mut self, say: Say<'_>) -> io::Result<()> {
        loop {
            let read = (&mut self.file)
                .take(MOST_NEWS)
                .read_to_end(&mut self.rest)?;
            let whole = self.rest.iter().rposition(|b| is_break(*b));
            if let Some(last) = whole {
                let rest = self.rest.split_off(last + 1);
                for line in self.rest.split(|b| is_break(*b)) {
                    told(line, say);
                }
                self.rest = rest;
            } else if self.rest.len() as u64 > MOST_NEWS {
                self.rest.clear();
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}

fn is_break(byte: u8) -> bool {
    // Progress bars begin their line anew.
    matches!(byte, b'\n' | b'\r')
}

fn told(line: &[u8], say: Say<'_>) {
    let line = shown(line);
    if !line.is_empty() {
        say(line);
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let visible: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_LINE)
        .collect();
    visible.trim().to_owned()
}

/// The last lines of a log, for a message about the program's end.
pub(super) fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(MOST_NEWS);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(MOST_NEWS).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let mut lines: Vec<String> = bytes
        .rsplit(|b| is_break(*b))
        .map(shown)
        .filter(|line| !line.is_empty())
        .take(count)
        .collect();
    lines.reverse();
    lines
}

/// How a program ended, in words.
pub(super) fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "was killed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_log_is_told_line_by_line_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::open(&path).unwrap();
        let said = Mutex::new(Vec::new());
        let say = |line: String| said.lock().unwrap().push(line);
        let mut step = |bytes: &[u8]| {
            file.write_all(bytes).unwrap();
            tail.lines(&say).unwrap();
            std::mem::take(&mut *said.lock().unwrap())
        };
        assert_eq!(step(b"one\ntw"), ["one"]);
        assert_eq!(step(b"o\n\n10%\r20%\r"), ["two", "10%", "20%"]);
        assert_eq!(step(b"\xff\x1b[2Jx\n"), ["\u{fffd}[2Jx"]);
        assert!(step(&[b'x'; 200_000]).is_empty());
        let last = step(b"y\nz\n");
        assert_eq!(last.last().map(String::as_str), Some("z"));
        assert_eq!(last_lines(&path, 2).last().map(String::as_str), Some("z"));
    }
}
