//! The bytes of a segment: a header, then frames. Owns encoding, checking and finding frames
//! in a file; knows neither what payloads mean nor which frame wins.
//!
//! A frame is `marker(8) kind(1) key(32) length(4) head(4) body(8) payload(length)`, numbers
//! little-endian. `head` is the start of BLAKE3 over kind, key and length: it tells a torn
//! frame (sound head, too few bytes) from a damaged one. `body` is the start of BLAKE3 over
//! kind, key, length and payload. A payload starts with one byte: 0 for plain, 1 for zstd.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use crate::hash::Hash;

/// The start of every segment: a name and version 1.
pub(super) const HEADER: [u8; 12] = *b"clue-seg\x01\0\0\0";
/// Bytes of a frame before its payload.
pub(super) const HEAD: usize = 57;
/// Bytes that no JSON text holds, as they are no UTF-8.
const MARKER: [u8; 8] = [0xff, 0xc1, b'c', b'l', b'u', 0xf5, 0xfe, 0x0a];
/// Below this many bytes zstd gains nothing.
const TINY: usize = 128;
/// A payload never unpacks to more than this: a guard against a hostile store.
const LARGEST: u64 = 1 << 30;
/// How much is read at once when looking for the next sound frame.
const WINDOW: usize = 1 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The reply to one request.
    Call,
    /// What a stage's output is.
    Result,
}

impl Kind {
    /// The byte that stands for it.
    pub fn byte(self) -> u8 {
        match self {
            Kind::Call => 1,
            Kind::Result => 2,
        }
    }

    /// What a byte stands for.
    pub fn of_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::Call),
            2 => Some(Kind::Result),
            _ => None,
        }
    }
}

/// A frame's head, and where in its file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) key: Hash,
    /// Offset of the marker.
    pub(super) at: u64,
    /// Bytes of payload.
    pub(super) len: u32,
}

impl Frame {
    /// Bytes of the whole frame.
    pub(super) fn size(&self) -> u64 {
        HEAD as u64 + u64::from(self.len)
    }
}

/// Packs a text into a payload.
pub(super) fn pack(text: &[u8]) -> io::Result<Vec<u8>> {
    if text.len() >= TINY {
        let small = zstd::bulk::compress(text, 3)?;
        if small.len() < text.len() {
            return Ok([&[1], small.as_slice()].concat());
        }
    }
    Ok([&[0], text].concat())
}

/// Unpacks a payload.
pub(super) fn unpack(payload: &[u8]) -> io::Result<Vec<u8>> {
    match payload.split_first() {
        Some((0, text)) => Ok(text.to_vec()),
        Some((1, small)) => {
            let mut text = Vec::new();
            zstd::Decoder::with_buffer(small)?
                .take(LARGEST)
                .read_to_end(&mut text)?;
            Ok(text)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The bytes of a frame.
///
/// # Errors
/// A payload of 4 GiB or more.
pub(super) fn encode(kind: Kind, key: Hash, payload: &[u8]) -> io::Result<Vec<u8>> {
    let len = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.extend_from_slice(&MARKER);
    bytes.push(kind.byte());
    bytes.extend_from_slice(&key.0);
    bytes.extend_from_slice(&len.to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[8..45]);
    bytes.extend_from_slice(&hasher.finalize().as_bytes()[..4]);
    hasher.update(payload);
    bytes.extend_from_slice(&hasher.finalize().as_bytes()[..8]);
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Reads a frame's head, if it is sound.
fn head(bytes: &[u8; HEAD], at: u64) -> Option<Frame> {
    if bytes[..8] != MARKER || blake3::hash(&bytes[8..45]).as_bytes()[..4] != bytes[45..49] {
        return None;
    }
    Some(Frame {
        kind: Kind::of_byte(bytes[8])?,
        key: Hash(bytes[9..41].try_into().ok()?),
        at,
        len: u32::from_le_bytes(bytes[41..45].try_into().ok()?),
    })
}

/// Reads a whole frame that is expected at its place; `None` when a byte of it has changed.
pub(super) fn read(file: &File, frame: &Frame) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; HEAD + frame.len as usize];
    match file.read_exact_at(&mut bytes, frame.at) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let same = bytes
        .first_chunk()
        .is_some_and(|first| head(first, frame.at) == Some(*frame));
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[8..45]);
    hasher.update(&bytes[HEAD..]);
    if !same || hasher.finalize().as_bytes()[..8] != bytes[49..HEAD] {
        return Ok(None);
    }
    Ok(Some(bytes.split_off(HEAD)))
}

/// What a look through a segment found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Frames with sound heads; payloads are checked when they are read.
    pub(super) frames: Vec<Frame>,
    /// Damaged ranges of bytes.
    pub(super) damaged: Vec<(u64, u64)>,
}

/// Finds the frames of a segment. A torn end is what `kill -9` leaves, and no damage.
pub(super) fn scan(file: &File) -> io::Result<Scan> {
    let end = file.metadata()?.len();
    let mut found = Scan::default();
    let mut first = [0; HEADER.len()];
    let start = (end as usize).min(HEADER.len());
    file.read_exact_at(&mut first[..start], 0)?;
    let mut at = HEADER.len() as u64;
    if first[..start] != HEADER[..start] {
        at = next(file, 0, end)?.unwrap_or(end);
        found.damaged.push((0, at));
    }
    let mut reader = Heads::new(file, at)?;
    while at < end {
        let sound = match reader.head(at, end)? {
            Some(frame) if at + frame.size() <= end => Some(frame),
            _ => None,
        };
        if let Some(frame) = sound {
            at += frame.size();
            found.frames.push(frame);
            continue;
        }
        let resumed = next(file, at + 1, end)?;
        if resumed.is_some() || !torn(file, at, end)? {
            found.damaged.push((at, resumed.unwrap_or(end)));
        }
        at = resumed.unwrap_or(end);
    }
    Ok(found)
}

/// Reads heads one after the other, skipping payloads.
struct Heads<'a> {
    reader: BufReader<&'a File>,
    at: u64,
}

impl<'a> Heads<'a> {
    fn new(file: &'a File, at: u64) -> io::Result<Heads<'a>> {
        let mut reader = BufReader::with_capacity(128 << 10, file);
        io::Seek::seek(&mut reader, io::SeekFrom::Start(at))?;
        Ok(Heads { reader, at })
    }

    fn head(&mut self, at: u64, end: u64) -> io::Result<Option<Frame>> {
        if end - at < HEAD as u64 {
            return Ok(None);
        }
        self.reader.seek_relative(at as i64 - self.at as i64)?;
        let mut bytes = [0; HEAD];
        self.reader.read_exact(&mut bytes)?;
        self.at = at + HEAD as u64;
        Ok(head(&bytes, at))
    }
}

/// True when the bytes from `at` to the end are the start of a frame that was being written.
fn torn(file: &File, at: u64, end: u64) -> io::Result<bool> {
    let mut bytes = [0; HEAD];
    let len = ((end - at) as usize).min(HEAD);
    file.read_exact_at(&mut bytes[..len], at)?;
    if len == HEAD {
        return Ok(head(&bytes, at).is_some_and(|frame| at + frame.size() > end));
    }
    let marker = len.min(MARKER.len());
    Ok(bytes[..marker] == MARKER[..marker])
}

/// The first frame at or after `from` that is wholly sound.
fn next(file: &File, mut from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut window = vec![0; WINDOW];
    while from + HEAD as u64 <= end {
        let len = ((end - from) as usize).min(WINDOW);
        file.read_exact_at(&mut window[..len], from)?;
        for (offset, bytes) in window[..len].windows(HEAD).enumerate() {
            let at = from + offset as u64;
            if bytes[0] != MARKER[0] || bytes[..8] != MARKER {
                continue;
            }
            let Some(frame) = bytes.first_chunk().and_then(|b| head(b, at)) else {
                continue;
            };
            if at + frame.size() <= end && read(file, &frame)?.is_some() {
                return Ok(Some(at));
            }
        }
        from += (len - HEAD + 1) as u64;
    }
    Ok(None)
}
