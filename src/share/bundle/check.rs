//! Reading the file of a bundle, which may be damaged, or made by somebody who means ill. Owns
//! what is told of it, by member, and that nothing is written outside of a folder, twice, or
//! larger than the manifest says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::Serialize;

use super::archive::fault_of;
use super::frames::{self, Slot, section};
use super::manifest::{self, Manifest, NAME, Unread};
use super::member::{self, END, Head, padding};
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// What the end of an archive is called.
const TAIL: &str = "(end of the archive)";
/// What the seal is called.
const SEAL: &str = "(seal)";
/// The largest manifest in bytes.
const MANIFEST: u64 = 64 << 20;

/// Something that is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its path in the bundle.
    pub member: String,
    /// What is wrong with it.
    pub what: String,
}

/// A bundle whose members can be read.
#[derive(Debug)]
pub struct Archive {
    file: File,
    manifest: Manifest,
    places: Places,
}

/// Of each member without fault its frame, and its number in the manifest's list.
type Places = BTreeMap<String, (Slot, usize)>;

/// A bundle that was looked through.
#[derive(Debug)]
pub struct Checked {
    /// The bundle, if it has a manifest. Only members without fault can be read.
    pub archive: Option<Archive>,
    /// What is wrong with it, in the order of its members.
    pub faults: Vec<Fault>,
}

/// Looks through a bundle: every byte of it.
///
/// # Errors
/// There is none, it is none, it is of a newer format, or would unpack to more than `most` bytes.
pub fn check(path: &Path, most: u64) -> Result<Checked, Diagnostic> {
    let shown = path.display();
    let unread = |error: io::Error| Diagnostic::error(format!("cannot read `{shown}`: {error}"));
    let none = || {
        Diagnostic::error(format!("`{shown}` is no bundle"))
            .help("`clue bundle` makes bundles, `NAME.clue.tar.zst`")
    };
    // Opening something else may wait for ever.
    if !fs::metadata(path).map_err(unread)?.is_file() {
        return Err(none());
    }
    let file = File::open(path).map_err(unread)?;
    let layout = frames::find(&file).map_err(unread)?;
    let mut looked = Looked::new(&file, most);
    let manifest = match layout.slots.first() {
        Some(slot) if slot.sound => match looked.manifest(*slot) {
            Ok(manifest) => Some(manifest),
            Err(Unread::Newer(form)) => {
                return Err(Diagnostic::error(format!(
                    "the bundle is of format {form}, and this clue reads formats up to {}",
                    manifest::FORMAT
                ))
                .help("use the version of clue that made it, or a newer one"));
            }
            // With a seal, it is a bundle, but not an honest one.
            Err(Unread::None) if !layout.sealed => return Err(none()),
            Err(Unread::None) => None,
        },
        _ if layout.sealed => None,
        _ => return Err(none()),
    };
    if let Some(manifest) = &manifest {
        if let Some((path, why)) = fault_of(&manifest.files) {
            let shown = crate::text::visible::plain(path);
            return Err(Diagnostic::error(format!(
                "the bundle is refused: `{shown}` {why}"
            )));
        }
        let all: u128 = manifest
            .files
            .iter()
            .map(|file| u128::from(file.bytes))
            .sum();
        if all > u128::from(most) {
            return Err(
                Diagnostic::error("the bundle would unpack to more than is allowed")
                    .note(format!(
                        "it says that it holds {all} bytes; {most} are allowed"
                    ))
                    .help("allow more with `--max-size`, if you trust it"),
            );
        }
    } else {
        looked.fault(NAME, "is damaged");
    }
    looked.members(&layout, manifest.as_ref());
    let (faults, places) = (looked.faults, looked.places);
    Ok(Checked {
        archive: manifest.map(|manifest| Archive {
            file,
            manifest,
            places,
        }),
        faults,
    })
}

/// The files of a manifest by their paths, with the number of each.
type Listed<'a> = HashMap<&'a str, (usize, &'a manifest::File)>;

struct Looked<'a> {
    file: &'a File,
    /// Bytes that may still be unpacked.
    left: u64,
    faults: Vec<Fault>,
    places: Places,
    /// Paths of which something was told.
    seen: BTreeSet<String>,
}

impl<'a> Looked<'a> {
    fn new(file: &'a File, most: u64) -> Looked<'a> {
        Looked {
            file,
            left: most,
            faults: Vec::new(),
            places: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn fault(&mut self, member: &str, what: impl Into<String>) {
        self.faults.push(Fault {
            member: member.to_owned(),
            what: what.into(),
        });
    }

    fn manifest(&self, slot: Slot) -> Result<Manifest, Unread> {
        let mut bytes = Vec::new();
        match unpack(self.file, slot, MANIFEST, &mut bytes) {
            Ok(Frame::File { path, .. }) if path == NAME => Manifest::read(&bytes),
            _ => Err(Unread::None),
        }
    }

    fn members(&mut self, layout: &frames::Layout, manifest: Option<&Manifest>) {
        let files = manifest.map_or(&[][..], |manifest| &manifest.files);
        // There may be very many.
        let numbered = files.iter().enumerate();
        let by_path: Listed = numbered.map(|one| (one.1.path.as_str(), one)).collect();
        let listed = manifest.map(|_| &by_path);
        // As it was written, a frame belongs to the file at the same place of the list.
        let fits = layout.sealed && layout.slots.len() == files.len() + 2;
        let mut ended = false;
        for (at, slot) in layout.slots.iter().enumerate().skip(1) {
            let here = files.get(at - 1);
            let last = layout.sealed && at + 1 == layout.slots.len();
            let name = match here {
                Some(file) if fits => Some(file.path.clone()),
                _ if last => Some(TAIL.to_owned()),
                _ => self.name(*slot),
            };
            let name = name.unwrap_or_else(|| format!("(member {})", at + 1));
            if !slot.sound {
                self.seen.insert(name.clone());
                self.fault(&name, "is damaged");
                continue;
            }
            ended = self.member(*slot, listed, &name, ended);
        }
        for file in files {
            if !self.seen.contains(&file.path) {
                let what = if layout.open {
                    "is damaged or missing"
                } else {
                    "is missing"
                };
                self.fault(&file.path, what);
            }
        }
        if !ended && !self.seen.contains(TAIL) {
            self.fault(TAIL, "is missing");
        }
        if !layout.sealed {
            self.fault(SEAL, "is damaged or missing");
        } else if layout.shift > 0 && self.faults.is_empty() {
            let what = format!("has {} bytes that belong to no member", layout.shift);
            self.fault("(archive)", what);
        }
    }

    /// The name that a damaged frame still tells.
    fn name(&self, slot: Slot) -> Option<String> {
        let packed = section(self.file, slot.at, slot.packed);
        let mut decoder = zstd::Decoder::new(packed).ok()?.single_frame();
        match member::read(&mut decoder) {
            Ok(Head::File { path, .. } | Head::Refused { path, .. }) => Some(path),
            _ => None,
        }
    }

    /// Looks at a sound frame; true if it is the end.
    fn member(&mut self, slot: Slot, listed: Option<&Listed>, name: &str, ended: bool) -> bool {
        let mut hasher = blake3::Hasher::new();
        let frame = unpack(self.file, slot, self.left, &mut hasher);
        let (path, bytes) = match frame {
            Ok(Frame::End) => {
                self.seen.insert(TAIL.to_owned());
                return true;
            }
            Ok(Frame::File { path, bytes }) => (path, bytes),
            Ok(Frame::Refused { path, why }) => {
                self.seen.insert(path.clone());
                self.fault(&path, why);
                return ended;
            }
            Err(error) => {
                self.seen.insert(name.to_owned());
                let large = error.kind() == io::ErrorKind::FileTooLarge;
                let what = if large {
                    "is larger than it says"
                } else {
                    "is damaged"
                };
                self.fault(name, what);
                return ended;
            }
        };
        self.left = self.left.saturating_sub(bytes);
        let hash = Hash(*hasher.finalize().as_bytes());
        let listed = listed.map(|listed| listed.get(path.as_str()).copied());
        let first = self.seen.insert(path.clone());
        let what = match listed {
            _ if ended => Some("stands behind the end"),
            _ if !first => Some("is there twice"),
            Some(None) => Some("does not belong to the bundle"),
            Some(Some((_, file))) if (file.bytes, file.hash) != (bytes, hash) => {
                Some("is not what `bundle.json` says")
            }
            _ => None,
        };
        match what {
            Some(what) => self.fault(&path, what),
            None => {
                if let Some(Some((at, _))) = listed {
                    self.places.insert(path, (slot, at));
                }
            }
        }
        ended
    }
}

impl Archive {
    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A member's bytes.
    ///
    /// # Errors
    /// There is none, or it has changed since it was looked through.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, Diagnostic> {
        let mut bytes = Vec::new();
        self.copy(path, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes all members below a folder, where nothing is yet.
    ///
    /// # Errors
    /// As [`Archive::bytes`]; something is there already, or cannot be written.
    pub fn unpack(&self, folder: &Path) -> Result<(), Diagnostic> {
        for file in &self.manifest.files {
            let path = folder.join(&file.path);
            let made = || {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                File::create_new(&path)
            };
            let mut made = made().map_err(|error| {
                let shown = path.display();
                Diagnostic::error(format!("cannot write `{shown}`: {error}"))
            })?;
            self.copy(&file.path, &mut made)?;
        }
        Ok(())
    }

    fn copy(&self, path: &str, to: &mut impl Write) -> Result<(), Diagnostic> {
        let unread = |what: &str| Diagnostic::error(format!("`{path}` of the bundle {what}"));
        let place = self.places.get(path);
        let place = place.and_then(|(slot, at)| Some((slot, self.manifest.files.get(*at)?)));
        let Some((slot, file)) = place else {
            return Err(unread("is missing or damaged"));
        };
        let mut both = Both {
            to,
            hasher: blake3::Hasher::new(),
        };
        unpack(&self.file, *slot, file.bytes, &mut both)
            .map_err(|error| unread(&format!("cannot be unpacked: {error}")))?;
        if Hash(*both.hasher.finalize().as_bytes()) != file.hash {
            return Err(unread("changed while it was read"));
        }
        Ok(())
    }
}

struct Both<'a, W> {
    to: &'a mut W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Both<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What a frame holds.
enum Frame {
    /// A file, whose bytes went on.
    File {
        /// Its path.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Something that has no place in a bundle.
    Refused {
        /// Its path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The end of the archive.
    End,
}

/// Unpacks the one member of a frame: at most `most` bytes of it.
fn unpack(file: &File, slot: Slot, most: u64, to: &mut impl Write) -> io::Result<Frame> {
    let damaged = || io::Error::other("it is damaged");
    let packed = BufReader::new(section(file, slot.at, slot.packed));
    let mut from = zstd::Decoder::with_buffer(packed)?.single_frame();
    let (path, bytes) = match member::read(&mut from)? {
        Head::File { path, bytes } => (path, bytes),
        Head::Refused { path, why } => return Ok(Frame::Refused { path, why }),
        Head::End => {
            let mut rest = Vec::new();
            from.by_ref()
                .take(END.len() as u64)
                .read_to_end(&mut rest)?;
            let whole = rest == END[..END.len() / 2] && left(from)? == 0;
            return if whole {
                Ok(Frame::End)
            } else {
                Err(damaged())
            };
        }
    };
    if bytes > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let copied = io::copy(&mut from.by_ref().take(bytes), to)?;
    let mut rest = Vec::new();
    let most = member::BLOCK;
    from.by_ref().take(most).read_to_end(&mut rest)?;
    if copied != bytes || rest != END[..padding(bytes)] || left(from)? != 0 {
        return Err(damaged());
    }
    Ok(Frame::File { path, bytes })
}

/// Bytes that are left behind the end of a frame. Reading to its end has its checksum looked at.
fn left<R: io::BufRead>(mut from: zstd::Decoder<'_, R>) -> io::Result<usize> {
    let more = from.read(&mut [0])?;
    let mut packed = from.finish();
    Ok(more + packed.fill_buf()?.len())
}
