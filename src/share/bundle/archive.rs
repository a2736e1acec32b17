//! Writing the file of a bundle: a tar of which every member is a zstd frame of its own, with the
//! manifest first and a seal at the end. `tar --zstd -xf` reads it. Owns the form, of which the
//! same members have the same bytes (with one version of zstd).

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::frames::{self, Entry, MOST};
use super::manifest::{self, FORMAT, Manifest, NAME, Role};
use super::member::{self, END};
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// How hard it is compressed.
const EFFORT: i32 = 9;

/// Where the bytes of a member come from.
#[derive(Debug)]
pub enum Body {
    /// They are here.
    Bytes(Vec<u8>),
    /// They are read from a file as they are written, which may be larger than memory.
    File(PathBuf),
}

/// A member.
#[derive(Debug)]
pub struct Member {
    /// Its place in the bundle.
    pub path: String,
    /// What it is for.
    pub role: Role,
    /// Its bytes.
    pub body: Body,
    /// What its bytes were when somebody looked at them: others are not written.
    pub hash: Option<Hash>,
}

/// Writes a bundle: the manifest, to which the members' sizes and hashes are added, and then the
/// members in their order.
///
/// # Errors
/// A member has no place in an archive, or its place twice; a file cannot be read, or changes
/// meanwhile; `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    manifest: &mut Manifest,
    members: &[Member],
) -> Result<(), Diagnostic> {
    manifest.clue_bundle = FORMAT;
    manifest.files = members.iter().map(listed).collect::<Result<_, _>>()?;
    if let Some((path, why)) = fault_of(&manifest.files) {
        return Err(Diagnostic::error(format!("`{path}` {why}")));
    }
    let mut entries = Vec::with_capacity(members.len() + 2);
    let failed = |error: io::Error| Diagnostic::error(format!("cannot write the bundle: {error}"));
    let first = manifest.bytes();
    let mut put = |head: Vec<u8>, body: &mut dyn Read, bytes| {
        entries.push(frame(out, &head, body, bytes)?);
        Ok(())
    };
    let head = |path: &str, bytes| member::head(path, bytes);
    let bytes = first.len() as u64;
    head(NAME, bytes)
        .and_then(|head| put(head, &mut &first[..], bytes))
        .map_err(failed)?;
    for (member, file) in members.iter().zip(&manifest.files) {
        let mut body = open(member)?;
        let mut hashing = Hashing {
            inner: &mut *body,
            hasher: blake3::Hasher::new(),
        };
        head(&file.path, file.bytes)
            .and_then(|head| put(head, &mut hashing, file.bytes))
            .map_err(|error| unreadable(member, &error))?;
        if Hash(*hashing.hasher.finalize().as_bytes()) != file.hash {
            return Err(changed(&member.path));
        }
    }
    put(END.to_vec(), &mut io::empty(), 0).map_err(failed)?;
    out.write_all(&frames::seal(&entries)).map_err(failed)
}

/// The first file of a list that has no place in a bundle, and why.
pub(super) fn fault_of(files: &[manifest::File]) -> Option<(&str, &'static str)> {
    if files.len() > MOST {
        return Some((NAME, "lists too many files"));
    }
    let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let odd = paths.iter().find_map(|path| {
        let fault = member::fault_of(path);
        Some((*path, fault?))
    });
    if odd.is_some() {
        return odd;
    }
    paths.push(NAME);
    // A folder's content follows on it, as `/` is less than what else may follow on a name.
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    paths.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some((*b, "is there twice")),
        [a, b] if b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/')) => {
            Some((*a, "is a file and a folder"))
        }
        _ => None,
    })
}

fn listed(member: &Member) -> Result<manifest::File, Diagnostic> {
    let mut body = open(member)?;
    let mut hasher = blake3::Hasher::new();
    let read = hasher.update_reader(&mut body);
    read.map_err(|error| unreadable(member, &error))?;
    let hash = Hash(*hasher.finalize().as_bytes());
    if member.hash.is_some_and(|known| known != hash) {
        return Err(changed(&member.path));
    }
    Ok(manifest::File {
        path: member.path.clone(),
        bytes: hasher.count(),
        hash,
        role: member.role,
    })
}

/// Of a member that is not any more what it was when somebody looked at it.
pub fn changed(path: &str) -> Diagnostic {
    Diagnostic::error(format!("`{path}` changed while it was read")).help("make the bundle again")
}

fn open(member: &Member) -> Result<Box<dyn Read + '_>, Diagnostic> {
    match &member.body {
        Body::Bytes(bytes) => Ok(Box::new(&bytes[..])),
        Body::File(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(unreadable(member, &error)),
        },
    }
}

fn unreadable(member: &Member, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!(
        "cannot put `{}` into a bundle: {error}",
        member.path
    ))
}

/// Writes a frame with a member; fails if its body is shorter or longer than said.
pub(super) fn frame(
    out: &mut impl Write,
    head: &[u8],
    body: &mut dyn Read,
    bytes: u64,
) -> io::Result<Entry> {
    let padding = member::padding(bytes);
    let mut counted = Counted {
        inner: out,
        hasher: blake3::Hasher::new(),
    };
    let mut encoder = zstd::Encoder::new(&mut counted, EFFORT)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(head.len() as u64 + bytes + padding as u64))?;
    encoder.write_all(head)?;
    let copied = io::copy(&mut body.take(bytes), &mut encoder)?;
    if copied != bytes {
        return Err(io::Error::other("it changed while it was read"));
    }
    encoder.write_all(&END[..padding])?;
    encoder.finish()?;
    Ok(Entry {
        packed: counted.hasher.count(),
        hash: Hash(*counted.hasher.finalize().as_bytes()),
    })
}

/// Counts and hashes what is written.
struct Counted<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read.
struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: blake3::Hasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(into)?;
        self.hasher.update(&into[..n]);
        Ok(n)
    }
}
