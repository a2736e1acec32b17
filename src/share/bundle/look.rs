//! Looks the sensitive records of a pipeline up in texts that are to leave. Owns where these
//! records come from: files are read as their stages read them, while others are looked up.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use calamine::{Data as Cell, Reader, open_workbook_auto_from_rs};
use flate2::read::MultiGzDecoder;

use super::scan::{Hits, Scan};
use crate::diag::Diagnostic;
use crate::engine::keep::ArtifactRecords;
use crate::engine::pipe::Pipe;
use crate::engine::survey::Survey;
use crate::hash::Hash;
use crate::record::Record;
use crate::stages::contract::{Fault, Operator, Source};
use crate::store::Store;
use crate::trust::sensitive::Origin;

/// Batches of records that wait to be looked up.
const WAITING: usize = 16;
/// Records that are looked up together.
const TOGETHER: usize = 256;
/// Most bytes of the text in a compressed file: it is looked at as a whole, more than once.
const MOST: u64 = 512 << 20;

/// Looks up all sensitive records. How many there were.
///
/// # Errors
/// A file cannot be read: what was not looked up must not leave.
pub fn look(
    pipe: &Pipe,
    survey: &Survey,
    store: &Store,
    origins: &[Origin],
    scan: &Scan,
    hits: &mut Hits,
) -> Result<u64, Diagnostic> {
    let mut records = 0;
    let mut seen: HashSet<Hash> = HashSet::new();
    let mut texts: HashSet<&Path> = HashSet::new();
    for origin in origins {
        let at = origin.stage;
        let stage = &pipe.stages[at];
        if stage.verb.name() == "load" {
            // Instances of a pipeline load the same file in the same way.
            if seen.insert(survey.nodes[at].manifest.key(&[])) {
                let with_key = !stage.verb.settings()["key"].is_null();
                let operator = stage.verb.operator(&pipe.build(at, Vec::new()))?;
                if let Operator::Source(source) = operator {
                    records += loaded(source, scan, with_key, hits)?;
                }
            }
            continue;
        }
        let output = survey.planned[at].output.as_ref();
        if let Some(output) = output.filter(|_| stage.inputs.is_empty())
            && seen.insert(output.content)
        {
            records += kept(store, output.content, scan, hits)?;
        }
        for path in &origin.files {
            if texts.insert(path) {
                let bytes = bytes(path)?;
                for text in texts_of(&bytes, &path.display().to_string())? {
                    scan.whole(&text, hits);
                }
                records += 1;
            }
        }
    }
    Ok(records)
}

/// Looks up the records of a file while it is read.
fn loaded(
    mut source: Box<dyn Source>,
    scan: &Scan,
    with_key: bool,
    hits: &mut Hits,
) -> Result<u64, Diagnostic> {
    let (sender, receiver) = sync_channel::<Vec<Record>>(WAITING);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<(), Diagnostic> {
            let mut out = Vec::new();
            loop {
                let more = match source.next(&mut out) {
                    Ok(more) => more,
                    Err(Fault::Stage(fault)) => return Err(*fault),
                    // A record that cannot be read goes nowhere.
                    Err(_) => true,
                };
                let last = !more;
                if (out.len() >= TOGETHER || last) && !out.is_empty() {
                    let _ = sender.send(std::mem::take(&mut out));
                }
                if last {
                    return Ok(());
                }
            }
        });
        let mut records = 0;
        for some in receiver {
            records += some.len() as u64;
            for record in &some {
                scan.record(record, with_key, hits);
            }
        }
        match reader.join() {
            Ok(read) => read.map(|()| records),
            Err(_) => Err(Diagnostic::error(
                "reading ended in an unexpected way: this is a defect of clue",
            )),
        }
    })
}

/// Looks up the records that a program made.
fn kept(store: &Store, content: Hash, scan: &Scan, hits: &mut Hits) -> Result<u64, Diagnostic> {
    let damaged = || {
        Diagnostic::error("the cache lacks the records of a program that are sensitive")
            .help("run the pipeline again")
    };
    let mut reader = ArtifactRecords::open(store, content)?.ok_or_else(damaged)?;
    let mut records = 0;
    loop {
        let some = reader.next(TOGETHER).map_err(|_| damaged())?;
        if some.is_empty() {
            return Ok(records);
        }
        records += some.len() as u64;
        for record in &some {
            scan.record(record, false, hits);
        }
    }
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path)
        .map_err(|error| Diagnostic::error(format!("cannot read `{}`: {error}", path.display())))
}

/// The texts that the bytes of a file hold: compressed ones and workbooks as what they hold,
/// others as they are. `name` is for messages.
///
/// # Errors
/// There is too much in it: what cannot be looked at must not leave.
pub fn texts_of(bytes: &[u8], name: &str) -> Result<Vec<String>, Diagnostic> {
    let plain = if bytes.starts_with(b"\x1f\x8b") {
        Some(unpacked(MultiGzDecoder::new(bytes), name)?)
    } else if bytes.starts_with(b"(\xb5\x2f\xfd") {
        zstd::Decoder::new(bytes)
            .ok()
            .map(|reader| unpacked(reader, name))
            .transpose()?
    } else if bytes.starts_with(b"PK\x03\x04") {
        cells(bytes).map(String::into_bytes)
    } else {
        None
    };
    // What only looks like one of these is read as it is.
    let all = plain.iter().map(Vec::as_slice).chain([bytes]);
    Ok(all.map(text_of).collect())
}

/// What is packed, as far as it can be read, as it is by whoever reads it.
fn unpacked(reader: impl Read, name: &str) -> Result<Vec<u8>, Diagnostic> {
    let mut plain = Vec::new();
    let _ = reader.take(MOST + 1).read_to_end(&mut plain);
    if plain.len() as u64 > MOST {
        return Err(Diagnostic::error(format!(
            "`{name}` holds more than {} MB of text, which is too much to be looked at",
            MOST >> 20
        ))
        .help("leave it out: `--max-file`"));
    }
    Ok(plain)
}

/// Bytes as text: UTF-16 where they say so.
fn text_of(bytes: &[u8]) -> String {
    let wide = |of: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        String::from_utf16_lossy(&pairs.collect::<Vec<u16>>())
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// All cells of a workbook, one a line.
fn cells(bytes: &[u8]) -> Option<String> {
    let mut book = open_workbook_auto_from_rs(Cursor::new(bytes)).ok()?;
    let mut text = String::new();
    for (_, sheet) in book.worksheets() {
        for (_, _, cell) in sheet.used_cells() {
            match cell {
                Cell::String(said) => text.push_str(said),
                other => text.push_str(&other.to_string()),
            }
            text.push('\n');
        }
    }
    Some(text)
}

/// The salt of a bundle, made of the sensitive files in their order; none if there are none.
///
/// # Errors
/// A file cannot be read.
pub fn salt<'a>(
    files: impl IntoIterator<Item = &'a Path>,
) -> Result<Option<super::salt::Salt>, Diagnostic> {
    let mut salting = super::salt::Salting::default();
    for path in files {
        let added = File::open(path).and_then(|file| salting.add(file));
        added.map_err(|error| {
            Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
        })?;
    }
    Ok(salting.salt())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"one two").expect("written");
        let packed = packed.finish().expect("written");
        let texts = |bytes: &[u8]| texts_of(bytes, "a").expect("texts");
        assert_eq!(texts(&packed)[0], "one two");
        let packed = zstd::encode_all(&b"one two"[..], 1).expect("packed");
        assert_eq!(texts(&packed)[0], "one two");
        assert_eq!(texts(b"\xff\xfeo\0k\0"), ["\u{feff}ok"]);
        assert_eq!(texts(b"PK\x03\x04 one"), ["PK\x03\x04 one"]);
        assert_eq!(
            texts(b"\x1f\x8b one")[1].trim_start_matches(|c| c != ' '),
            " one"
        );
        let much = unpacked(std::io::repeat(b'a'), "x.gz").expect_err("too much");
        assert!(much.message.contains("`x.gz` holds more than"));
    }
}
