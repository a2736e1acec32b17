//! `clue supervise -- PROGRAM ARGS…` (hidden): keeps a program on a leash. Whoever starts it
//! holds the other end of its standard input; when that is closed, on purpose or because
//! the holder died in whatever way, the program and all it started are ended.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How long the program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often the program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the program until it ends or standard input is closed. Ends with the program's exit
/// code, 128 + n after signal n, 127 if it could not be started.
pub fn run(argv: &[OsString]) -> ExitCode {
    match watch(argv, std::io::stdin(), GRACE) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            let program = argv.first().map(|p| p.to_string_lossy());
            let program = program.as_deref().unwrap_or("");
            let _ = writeln!(std::io::stderr(), "cannot run `{program}`: {why}");
            ExitCode::from(127)
        }
    }
}

/// Runs the program until it ends or `leash` does.
fn watch(
    argv: &[OsString],
    leash: impl Read + Send + 'static,
    grace: Duration,
) -> std::io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before the start: a signal in between must not leave the program alone.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut child = start(argv)?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut released = end_of(leash);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => continue,
                _ = &mut released => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
            break stop(&mut child, group, grace).await?;
        };
        // What the program started and left behind goes too.
        send(group, Signal::KILL);
        Ok(code(status))
    })
}

fn start(argv: &[OsString]) -> std::io::Result<Child> {
    let Some((program, args)) = argv.split_first() else {
        return Err(std::io::Error::other("no program is named"));
    };
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Tells when `leash` has come to its end. The thread is left to itself: a read cannot be
/// called off, and the process ends soon after.
fn end_of(mut leash: impl Read + Send + 'static) -> oneshot::Receiver<()> {
    let (ended, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        loop {
            match leash.read(&mut bytes) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        let _ = ended.send(());
    });
    receiver
}

/// Asks the program to end, and makes it end when the time of grace is over.
async fn stop(
    child: &mut Child,
    group: Option<Pid>,
    grace: Duration,
) -> std::io::Result<ExitStatus> {
    send(group, Signal::TERM);
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(LOOK).await;
    }
    send(group, Signal::KILL);
    child.wait()
}

fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It fails when nobody is left, which is as good.
        let _ = kill_process_group(group, signal);
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeWriter};
    use std::thread::JoinHandle;

    use rustix::process::test_kill_process;

    use super::*;

    fn argv(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    /// Starts a shell script on a leash.
    fn script(text: &str, grace: Duration) -> (PipeWriter, JoinHandle<std::io::Result<u8>>) {
        let (leash, holder) = std::io::pipe().unwrap();
        let argv = argv(&["sh", "-c", text]);
        (
            holder,
            std::thread::spawn(move || watch(&argv, leash, grace)),
        )
    }

    fn is_gone(pid: i32) -> bool {
        let pid = Pid::from_raw(pid).unwrap();
        let zombie = || {
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
                .is_ok_and(|stat| stat.contains(") Z "))
        };
        (0..100).any(|_| {
            let gone = test_kill_process(pid).is_err() || zombie();
            if !gone {
                std::thread::sleep(LOOK);
            }
            gone
        })
    }

    #[test]
    fn it_ends_as_the_program_ends() {
        let (_holder, done) = script("exit 7", GRACE);
        assert_eq!(done.join().unwrap().unwrap(), 7);
        let (_holder, done) = script("kill -9 $$", GRACE);
        assert_eq!(done.join().unwrap().unwrap(), 137);
        assert!(watch(&argv(&["/no/such/program"]), std::io::empty(), GRACE).is_err());
        assert!(watch(&[], std::io::empty(), GRACE).is_err());
    }

    #[test]
    fn letting_go_of_the_leash_ends_all_that_was_started() {
        let (told, teller) = std::io::pipe().unwrap();
        let out = std::os::fd::AsRawFd::as_raw_fd(&teller);
        let path = format!("/proc/{}/fd/{out}", std::process::id());
        let (holder, done) = script(&format!("sleep 60 & echo $! > {path}; wait"), GRACE);
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line).unwrap();
        let grandchild: i32 = line.trim().parse().unwrap();
        let start = Instant::now();
        drop(holder);
        assert_eq!(done.join().unwrap().unwrap(), 143);
        assert!(is_gone(grandchild));
        assert!(start.elapsed() < GRACE);
    }

    #[test]
    fn a_program_that_will_not_end_is_made_to() {
        let (holder, done) = script(
            "trap '' TERM; while :; do sleep 0.05; done",
            Duration::from_millis(300),
        );
        std::thread::sleep(Duration::from_millis(200));
        drop(holder);
        assert_eq!(done.join().unwrap().unwrap(), 137);
    }
}
