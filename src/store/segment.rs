//! A segment that is written as a whole beside the others, and gets its name at its end. (What
//! a run appends to while it works is [`super::writer`]'s.)

use std::io::{BufWriter, Write};
use std::path::Path;

use super::error::StoreError;
use super::frame::{self, Frame, HEADER, Kind};
use super::sealed;
use crate::hash::Hash;

/// A segment without a name; dropped, it is gone.
pub(super) struct Segment {
    out: BufWriter<tempfile::NamedTempFile>,
    frames: Vec<Frame>,
    len: u64,
}

impl Segment {
    /// An empty one.
    pub(super) fn new(tmp: &Path) -> Result<Segment, StoreError> {
        let mut segment = Segment {
            out: BufWriter::new(sealed::temporary(tmp)?),
            frames: Vec::new(),
            len: 0,
        };
        segment.write(&HEADER)?;
        Ok(segment)
    }

    /// Appends a frame.
    pub(super) fn add(&mut self, kind: Kind, key: Hash, payload: &[u8]) -> Result<(), StoreError> {
        let bytes = frame::encode(kind, key, payload).map_err(|e| self.failed(e))?;
        self.frames.push(Frame {
            kind,
            key,
            at: self.len,
            len: payload.len() as u32,
        });
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.out.write_all(bytes);
        written.map_err(|e| self.failed(e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Its frames, in order.
    pub(super) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Its bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Makes it durable under a name.
    pub(super) fn settle(self, path: &Path) -> Result<(), StoreError> {
        sealed::settle(self.file()?, path)
    }

    /// The file, still without a name.
    pub(super) fn file(self) -> Result<tempfile::NamedTempFile, StoreError> {
        let path = self.out.get_ref().path().to_owned();
        self.out
            .into_inner()
            .map_err(|e| StoreError::new("writing", &path, e.into_error()))
    }

    fn failed(&self, error: std::io::Error) -> StoreError {
        StoreError::new("writing", self.out.get_ref().path(), error)
    }
}
