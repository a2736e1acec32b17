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
use crate::stages::load::text_of_parquet;
use crate::store::Store;
use crate::trust::sensitive::Origin;

/// Batches of records that wait to be looked up.
const WAITING: usize = 16;
/// Records that are looked up together.
const TOGETHER: usize = 256;
/// Most bytes of the text in a compressed file: it is looked at as a whole, more than once.
const MOST: u64 = 512 << 20;
/// What is packed in something packed is opened so deeply.
const DEEPEST: u32 = 4;

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
                // What cannot be opened is looked up as it is.
                for text in opened(&bytes, &path.display().to_string(), 0, false)? {
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
    let mut records = 0;
    for record in ArtifactRecords::open(store, content)?.ok_or_else(damaged)? {
        scan.record(&record.map_err(|_| damaged())?, false, hits);
        records += 1;
    }
    Ok(records)
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path)
        .map_err(|error| Diagnostic::error(format!("cannot read `{}`: {error}", path.display())))
}

/// The texts that the bytes of a file hold, which is to leave: compressed ones, workbooks and
/// Parquet files as what they hold, others as they are. `name` is for messages.
///
/// # Errors
/// There is too much in it, or it is of a kind that is not opened here, such as an archive: what
/// cannot be looked at must not leave.
pub fn texts_of(bytes: &[u8], name: &str) -> Result<Vec<String>, Diagnostic> {
    opened(bytes, name, 0, true)
}

/// As [`texts_of`], of what is packed so deeply; to be refused, or not, if it stays closed.
fn opened(bytes: &[u8], name: &str, depth: u32, refuse: bool) -> Result<Vec<String>, Diagnostic> {
    let plain = if depth == DEEPEST {
        None
    } else if bytes.starts_with(b"\x1f\x8b") {
        Some(unpacked(MultiGzDecoder::new(bytes), name)?)
    } else if is_zstd(bytes) {
        zstd::Decoder::new(bytes)
            .ok()
            .map(|reader| unpacked(reader, name))
            .transpose()?
    } else {
        None
    };
    let mut texts = match plain {
        Some(plain) => opened(&plain, name, depth + 1, refuse)?,
        None if bytes.starts_with(b"PK\x03\x04") => Vec::from_iter(cells(bytes)),
        None if bytes.starts_with(b"PAR1") => Vec::from_iter(text_of_parquet(bytes, MOST)),
        None => Vec::new(),
    };
    let closed = closed(bytes).filter(|_| refuse && texts.is_empty());
    if let Some(kind) = closed {
        return Err(Diagnostic::error(format!(
            "`{name}` is {kind}, which cannot be looked at for words of sensitive records"
        ))
        .help(format!("if it may leave, say so: `--allow-file {name}`")));
    }
    // What only looks like one of these is read as it is.
    texts.push(text_of(bytes));
    Ok(texts)
}

/// True for what begins as Zstandard does, whose frames some may be skipped.
fn is_zstd(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// What a file is whose words do not stand in its bytes, by how such files begin.
fn closed(bytes: &[u8]) -> Option<&'static str> {
    let is = |magic: &[u8]| bytes.starts_with(magic);
    let kind = match bytes {
        _ if is(b"%PDF-") => return Some("a PDF"),
        _ if is(b"PK\x03\x04") || is(b"PK\x07\x08") => "an archive, or a document that is one",
        _ if is(b"PAR1") || is(b"PARE") => "a Parquet file that cannot be read",
        _ if is(b"\x1f\x8b") || is_zstd(bytes) => "compressed again and again",
        _ if is(b"BZh") || is(b"\xfd7zXZ\0") || is(b"LZIP") => "a compressed file",
        _ if is(b"\x04\x22\x4d\x18") || is(b"\x1f\x9d") => "a compressed file",
        _ if is(b"7z\xbc\xaf\x27\x1c") || is(b"Rar!\x1a\x07") => "an archive",
        _ if is(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => "an old Office document",
        _ if is(b"\x89HDF\r\n") || is(b"Obj\x01") || is(b"ORC") => "a file of packed tables",
        _ if is(b"ARROW1\0\0") || is(b"FEA1") => "a file of packed tables",
        _ => return None,
    };
    // Texts may begin in any way.
    let is_text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    (!is_text).then_some(kind)
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

/// The names of the sheets of a workbook, and all cells, one a line.
fn cells(bytes: &[u8]) -> Option<String> {
    let mut book = open_workbook_auto_from_rs(Cursor::new(bytes)).ok()?;
    let mut text = String::new();
    for (name, sheet) in book.worksheets() {
        text.push_str(&name);
        text.push('\n');
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

    fn texts(bytes: &[u8]) -> Vec<String> {
        texts_of(bytes, "a").expect("texts")
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"one two").expect("written");
        let packed = packed.finish().expect("written");
        assert_eq!(texts(&packed)[0], "one two");
        let packed = zstd::encode_all(&b"one two"[..], 1).expect("packed");
        assert_eq!(texts(&packed)[0], "one two");
        assert_eq!(texts(b"\xff\xfeo\0k\0"), ["\u{feff}ok"]);
        assert_eq!(texts(b"PK\x03\x04 one"), ["PK\x03\x04 one"]);
        assert_eq!(
            texts(b"\x1f\x8b one")[1].trim_start_matches(|c| c != ' '),
            " one"
        );
        // Packed twice.
        let twice = zstd::encode_all(&packed[..], 1).expect("packed");
        assert_eq!(texts(&twice)[0], "one two");
        let skipped = [&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &packed].concat();
        assert_eq!(texts(&skipped)[0], "one two");
        let much = unpacked(std::io::repeat(b'a'), "x.gz").expect_err("too much");
        assert!(much.message.contains("`x.gz` holds more than"));
    }

    #[test]
    fn what_stays_closed_is_refused() {
        let mut deep = b"one two".to_vec();
        for _ in 0..6 {
            deep = zstd::encode_all(&deep[..], 1).expect("packed");
        }
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("word/document.xml", options).expect("begun");
        zip.write_all(b"<w:t>one two</w:t>").expect("written");
        let zip = zip.finish().expect("written").into_inner();
        let again = zstd::encode_all(&zip[..], 1).expect("packed");
        for (bytes, kind) in [
            (&zip[..], "an archive"),
            (&again, "an archive"),
            (&deep, "compressed again"),
            (b"BZh91AY&SY\xff\0", "a compressed file"),
            (b"\xfd7zXZ\0\0\x04", "a compressed file"),
            (b"7z\xbc\xaf\x27\x1c\0", "an archive"),
            (b"%PDF-1.7\n", "a PDF"),
            (b"PAR1\0\0", "a Parquet file that cannot be read"),
        ] {
            let fault = texts_of(bytes, "d/x").expect_err(kind);
            let said = format!("`d/x` is {kind}");
            assert!(fault.message.starts_with(&said), "{}", fault.message);
            assert!(opened(bytes, "d/x", 0, false).is_ok());
        }
        for text in ["BZhang was here", "ORCHID", "PAR1: a text", "PK\u{3}\u{4}"] {
            assert_eq!(texts(text.as_bytes()), [text]);
        }
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn words_in_parquet_files_are_seen() {
        use crate::stages::driver::{Stage, records};

        let rows = records(&[
            r#"{"id": 20000001, "note": "She fell down\nthe stairs", "l": [{"x": "again"}]}"#,
            r#"{"id": null, "note": "She fell down\nthe stairs", "l": []}"#,
        ]);
        let (bytes, lost) = Stage::new("write", "path: x.parquet").raw(&rows);
        assert!(lost.is_empty(), "{lost:?}");
        let texts = texts_of(&bytes, "x").expect("texts");
        for words in ["20000001", "She fell down", "again", "note"] {
            assert!(texts[0].contains(words), "no {words} in {}", texts[0]);
        }
        // Its end is cut off.
        assert!(texts_of(&bytes[..bytes.len() - 1], "x").is_err());
    }
}
