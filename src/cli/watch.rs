//! Ends the program when an expression, a prompt or a template gets out of hand: nothing else can
//! stop one that neither ends nor stops to take memory. What is in the cache stays.

use std::time::Duration;

use super::codes::BAD_INPUT;
use super::err;
use crate::jinja::watch::longest;
use crate::text::visible::plain;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// Evaluations are over in less, as a rule: only then their memory is looked at.
const SHORT: Duration = Duration::from_millis(300);
/// The longest that one may take. Fuel ends all but a few long before.
const LONGEST: Duration = Duration::from_secs(30);
/// The most memory (bytes) that the program may take in addition meanwhile.
const MEMORY: u64 = 3 << 30;
/// How much of what is evaluated is told (characters).
const TOLD: usize = 60;

/// Begins to watch.
pub fn start() {
    // Without a thread for it, fuel alone has to do.
    let _ = std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(watch);
}

fn watch() {
    let mut calm = memory();
    loop {
        std::thread::sleep(LOOK);
        match longest().filter(|(took, _)| *took >= SHORT) {
            None => calm = memory(),
            Some((took, what)) if took >= LONGEST => {
                end(
                    &what,
                    &format!("takes more than {} seconds", LONGEST.as_secs()),
                );
            }
            Some((_, what)) => {
                let more = memory()
                    .zip(calm)
                    .map_or(0, |(now, calm)| now.saturating_sub(calm));
                if more > MEMORY {
                    end(&what, &format!("takes more than {} GB", MEMORY >> 30));
                }
            }
        }
    }
}

fn end(what: &str, why: &str) {
    let text = plain(what);
    let told: String = text.chars().take(TOLD).collect();
    let more = if told.len() < text.len() { "…" } else { "" };
    err(&format!(
        "error: `{told}{more}` {why} for one record: the program ends\n"
    ));
    std::process::exit(i32::from(BAD_INPUT));
}

/// The memory that the program takes (bytes), where that is told.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
