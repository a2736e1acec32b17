//! What `clue bundle` says: what left, what would leave, and why it must not.

use serde_json::json;

use super::leaving::Leaving;
use super::scanned::{Found, Place};
use super::{Args, Source};
use crate::cli::session::color;
use crate::cli::{err, out};
use crate::diag::{Diagnostic, Sources};
use crate::report::words::{count, size};
use crate::share::bundle::manifest::{Level, Manifest, NAME};
use crate::text::visible::plain;

/// Files that are named, and places of all of them as JSON.
const NAMED: usize = 20;
/// Things left out for one reason that are named after a bundle was written.
const LEFT: usize = 4;
/// Lines of a file that are named.
const LINES: usize = 5;

/// A level as the command line calls it.
fn name(level: Level) -> &'static str {
    match level {
        Level::Open => "open",
        Level::NoInputs => "no-inputs",
        Level::CodeOnly => "code-only",
    }
}

fn scanned(manifest: &Manifest, found: &Found) -> String {
    let but = match manifest.allowed.len() as u64 {
        0 => String::new(),
        allowed => format!(", but for {}", count(allowed, "allowed file")),
    };
    let records = count(found.records, "sensitive record");
    match found.scanned {
        true => format!("scanned: no words of {records} in it{but}\n"),
        false => String::new(),
    }
}

/// What is not in it, each reason once.
fn left_out(manifest: &Manifest) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for left in &manifest.left_out {
        let what = plain(&left.what);
        match reasons.iter_mut().find(|(why, _)| *why == left.why) {
            Some((_, all)) => all.push(what),
            None => reasons.push((&left.why, vec![what])),
        }
    }
    let told = reasons.into_iter().map(|(why, all)| {
        let more = match all.len().saturating_sub(LEFT) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = &all[..all.len().min(LEFT)];
        format!("{}{more}: {why}", first.join(", "))
    });
    told.collect()
}

/// Shows what would leave.
pub fn dry(source: &Source<'_>, leaving: &Leaving, found: &Found) {
    let manifest = &leaving.manifest;
    if source.args.json {
        let leaves = leaving.leaves.iter().map(|leaf| {
            json!({"path": leaf.member.path, "bytes": leaf.bytes, "role": leaf.member.role,
                   "why": leaf.why, "allowed": leaf.allowed})
        });
        let told = json!({
            "event": "would_leave", "level": manifest.level, "files": leaves.collect::<Vec<_>>(),
            "left_out": manifest.left_out, "scanned_records": found.records,
            "found": places(found),
        });
        out(&format!("{told}\n"));
        return;
    }
    let sizes: Vec<String> = leaving.leaves.iter().map(|leaf| size(leaf.bytes)).collect();
    let widest = sizes.iter().map(String::len).max().unwrap_or(0);
    let paths = leaving
        .leaves
        .iter()
        .map(|leaf| leaf.member.path.chars().count());
    let longest = paths.max().unwrap_or(0).max(NAME.len());
    out(&format!("level {}; would leave:\n", name(manifest.level)));
    out(&format!(
        "  {NAME:longest$}  {:>widest$}  what is in it\n",
        ""
    ));
    for (leaf, size) in leaving.leaves.iter().zip(&sizes) {
        let path = &leaf.member.path;
        let allowed = if leaf.allowed { ", allowed" } else { "" };
        out(&format!(
            "  {path:longest$}  {size:>widest$}  {}{allowed}\n",
            leaf.why
        ));
    }
    if !manifest.left_out.is_empty() {
        out("would stay here:\n");
        for left in &manifest.left_out {
            out(&format!("  {}: {}\n", plain(&left.what), left.why));
        }
    }
    if found.places.is_empty() {
        out(&scanned(manifest, found));
    }
    out("nothing was written\n");
}

fn places(found: &Found) -> Vec<serde_json::Value> {
    let places = found.places.iter().take(NAMED);
    places
        .map(|place| json!({"file": place.file, "line": place.line, "records": place.records}))
        .collect()
}

/// The places of each file, in the order of the bundle.
fn by_file(found: &Found) -> Vec<(&str, Vec<&Place>)> {
    let mut files: Vec<(&str, Vec<&Place>)> = Vec::new();
    for place in &found.places {
        match files.last_mut() {
            Some((file, places)) if *file == place.file => places.push(place),
            _ => files.push((&place.file, vec![place])),
        }
    }
    files
}

/// The first lines, in words.
fn lines(places: &[&Place]) -> String {
    let all: Vec<String> = places
        .iter()
        .filter_map(|place| Some(place.line?.to_string()))
        .collect();
    match all.len() {
        0 => String::new(),
        1 => format!(" line {}", all[0]),
        n if n <= LINES => format!(" lines {}", all.join(", ")),
        n => format!(" lines {} and {} more", all[..LINES].join(", "), n - LINES),
    }
}

/// Tells where words of sensitive records stand; never which.
pub fn refused(args: &Args, found: &Found) {
    if args.json && !args.dry_run {
        let told = json!({"event": "refused", "found": places(found)});
        out(&format!("{told}\n"));
    }
    let mut fault = Diagnostic::error("this bundle would hold words of sensitive records");
    let files = by_file(found);
    for (file, places) in files.iter().take(NAMED) {
        let most = places.iter().map(|place| place.records).max();
        let records = match most.unwrap_or(0) {
            1 => "1 record".to_owned(),
            records => format!("up to {}", count(records, "record")),
        };
        let lines = lines(places);
        fault = fault.note(format!("`{}`{lines}: words of {records}", plain(file)));
    }
    if let Some(more) = files.len().checked_sub(NAMED).filter(|more| *more > 0) {
        fault = fault.note(format!("and in {}", count(more as u64, "more file")));
    }
    let own = found.places.iter().find(|place| place.own);
    let own = own.or(found.places.iter().find(|place| place.file != NAME));
    let fault = match own {
        Some(place) => fault.help(format!(
            "say it in other words, or leave it out; if these are words that anybody may use, \
             allow them with `--allow-file {}`",
            plain(&place.file)
        )),
        None => fault.help("give it another name"),
    };
    err(&format!(
        "{}\n\nrefused: nothing was written\n",
        fault.render(&Sources::default(), color())
    ));
}

/// Tells what was written.
pub fn written(
    args: &Args,
    path: &std::path::Path,
    manifest: &Manifest,
    bytes: u64,
    found: &Found,
) {
    if args.json {
        let told = json!({
            "event": "bundle", "path": path, "bytes": bytes, "level": manifest.level,
            "files": manifest.files, "left_out": manifest.left_out,
            "scanned_records": found.records,
        });
        out(&format!("{told}\n"));
        return;
    }
    out(&format!(
        "written: {} (level {}, {}, {})\n",
        path.display(),
        name(manifest.level),
        count(manifest.files.len() as u64, "file"),
        size(bytes)
    ));
    for left in left_out(manifest) {
        out(&format!("left out: {left}\n"));
    }
    out(&scanned(manifest, found));
    if manifest.level == Level::Open && args.include_sensitive {
        err("it holds sensitive records: it deserves the care that they do\n");
    }
}
