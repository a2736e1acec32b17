//! Whole outputs, one immutable file each, named by the BLAKE3 of their bytes. Knows nothing
//! of records.
//!
//! A file is a zstd frame and then, as a skippable zstd frame (so that `zstd -d` reads the
//! file), the hash of the content and a hash over all bytes before it. The second one makes
//! checking a file as fast as reading it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::sealed;
use crate::hash::Hash;

/// How artifacts' names end.
pub(super) const EXTENSION: &str = ".jsonl.zst";
/// A skippable frame of 64 bytes.
const SKIP: [u8; 8] = [0x5c, 0x2a, 0x4d, 0x18, 64, 0, 0, 0];
/// Bytes of the skippable frame.
const TRAILER: u64 = 72;

/// Writes an artifact whose name is known only at its end. Dropped before
/// [`finish`](ArtifactWriter::finish) it leaves nothing.
pub struct ArtifactWriter {
    root: PathBuf,
    path: PathBuf,
    content: blake3::Hasher,
    encoder: zstd::Encoder<'static, Hashing<BufWriter<tempfile::NamedTempFile>>>,
}

impl ArtifactWriter {
    pub(super) fn new(root: &Path, tmp: &Path) -> Result<ArtifactWriter, StoreError> {
        let file = sealed::temporary(tmp)?;
        let path = file.path().to_owned();
        let sink = Hashing {
            sink: BufWriter::with_capacity(128 << 10, file),
            hasher: blake3::Hasher::new(),
        };
        let encoder =
            zstd::Encoder::new(sink, 3).map_err(|e| StoreError::new("writing", &path, e))?;
        Ok(ArtifactWriter {
            root: root.to_owned(),
            path,
            content: blake3::Hasher::new(),
            encoder,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.content.update(bytes);
        self.encoder
            .write_all(bytes)
            .map_err(|e| StoreError::new("writing", &self.path, e))
    }

    /// Makes the artifact durable under its hash, which it returns.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn finish(self) -> Result<Hash, StoreError> {
        let failed = |e| StoreError::new("writing", &self.path, e);
        let content = Hash(*self.content.finalize().as_bytes());
        let mut sink = self.encoder.finish().map_err(failed)?;
        sink.write_all(&SKIP).map_err(failed)?;
        sink.write_all(&content.0).map_err(failed)?;
        let whole = sink.hasher.finalize();
        sink.write_all(whole.as_bytes()).map_err(failed)?;
        let file = sink.sink.into_inner().map_err(|e| failed(e.into_error()))?;
        sealed::settle(file, &sealed::hashed(&self.root, content, EXTENSION))?;
        Ok(content)
    }
}

/// Hashes what it passes on.
struct Hashing<W> {
    sink: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// The bytes of an artifact. A reader that comes to the end of damaged content gets an error
/// instead of the end.
pub struct ArtifactReader {
    decoder: zstd::Decoder<'static, BufReader<io::Take<File>>>,
    content: blake3::Hasher,
    expected: Hash,
}

impl ArtifactReader {
    /// Opens an artifact; `None` when its end shows damage.
    pub(super) fn open(path: &Path, expected: Hash) -> io::Result<Option<ArtifactReader>> {
        let mut file = File::open(path)?;
        let Some((len, _)) = trailer(&mut file, expected)? else {
            return Ok(None);
        };
        file.rewind()?;
        Ok(Some(ArtifactReader {
            decoder: zstd::Decoder::new(file.take(len))?,
            content: blake3::Hasher::new(),
            expected,
        }))
    }
}

impl Read for ArtifactReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(bytes)?;
        self.content.update(&bytes[..count]);
        if count == 0 && !bytes.is_empty() && self.content.finalize().as_bytes() != &self.expected.0
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the artifact is damaged",
            ));
        }
        Ok(count)
    }
}

/// Length of the compressed part and hash over the file, if the end names `expected`.
fn trailer(file: &mut File, expected: Hash) -> io::Result<Option<(u64, [u8; 32])>> {
    let Some(len) = file.metadata()?.len().checked_sub(TRAILER) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(len))?;
    let mut bytes = [0; TRAILER as usize];
    file.read_exact(&mut bytes)?;
    if bytes[..8] != SKIP || bytes[8..40] != expected.0 {
        return Ok(None);
    }
    let mut whole = [0; 32];
    whole.copy_from_slice(&bytes[40..]);
    Ok(Some((len, whole)))
}

/// True when no byte of the file has changed since it was written.
pub(super) fn sound(path: &Path, expected: Hash) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some((len, whole)) = trailer(&mut file, expected)? else {
        return Ok(false);
    };
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(len + TRAILER - 32))?;
    Ok(hasher.finalize().as_bytes() == &whole)
}
