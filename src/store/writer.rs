//! The one thread that appends to this process's segment: it takes all frames that wait,
//! writes them at once, makes them durable with one `fdatasync`, and only then answers. Knows
//! nothing of what frames hold.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::error::StoreError;
use super::frame::{self, Frame, HEADER, Kind};
use super::log::Log;
use crate::hash::Hash;

/// A group is written when it has this many bytes, even when more frames wait.
const GROUP: usize = 8 << 20;

/// How long a group waits for more frames while many come: the disk takes about as long for one
/// as for a hundred.
const LINGER: Duration = Duration::from_millis(2);

/// What the thread is asked to do.
pub(super) enum Job {
    /// Store a frame.
    Put {
        kind: Kind,
        key: Hash,
        payload: Vec<u8>,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Close the segment; the next frame opens a new one.
    Seal(std::sync::mpsc::SyncSender<()>),
}

/// Starts the thread. It ends when the sender is dropped.
pub(super) fn start(folder: &Path, log: &Arc<Log>) -> Result<Sender<Job>, StoreError> {
    let (sender, jobs) = channel();
    let mut writer = Writer {
        folder: folder.to_owned(),
        log: log.clone(),
        segment: None,
    };
    std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || writer.run(&jobs))
        .map_err(|e| StoreError::new("starting to write", folder, e))?;
    Ok(sender)
}

/// A name that no other process and no other call has: time, process and chance.
pub fn unique_name() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let chance = RandomState::new().build_hasher().finish() as u32;
    format!(
        "{:013}-{}-{chance:08x}",
        now.as_millis(),
        std::process::id()
    )
}

/// A segment being written.
struct Segment {
    path: Arc<Path>,
    file: File,
    /// Bytes that are durable.
    len: u64,
}

struct Writer {
    folder: PathBuf,
    log: Arc<Log>,
    segment: Option<Segment>,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        let mut busy = false;
        while let Ok(first) = jobs.recv() {
            let mut group = Vec::new();
            let mut size = 0;
            let mut next = Some(first);
            if busy {
                // Not woken for each of them.
                std::thread::sleep(LINGER);
            }
            let mut seal = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Put {
                        kind,
                        key,
                        payload,
                        done,
                    } => {
                        size += payload.len();
                        group.push((kind, key, payload, done));
                    }
                    Job::Seal(done) => seal = Some(done),
                }
                if size < GROUP && seal.is_none() {
                    next = jobs.try_recv().ok();
                }
            }
            busy = group.len() > 1;
            if !group.is_empty() {
                let frames: Vec<_> = group.iter().map(|(k, h, p, _)| (*k, *h, &p[..])).collect();
                let outcome = self.write(&frames);
                for (.., done) in group {
                    // Nobody waits any more when a run was cancelled: the frame is stored all
                    // the same.
                    let _ = done.send(outcome.clone());
                }
            }
            if let Some(done) = seal {
                self.segment = None;
                let _ = done.send(());
            }
        }
    }

    /// Appends a group of frames. After a failure nothing of the group is left in the file,
    /// and the next group starts a new segment.
    fn write(&mut self, frames: &[(Kind, Hash, &[u8])]) -> Result<(), StoreError> {
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => self.create()?,
        };
        match append(&mut segment, frames) {
            Ok(written) => {
                self.log.add(&segment.path, &written);
                self.segment = Some(segment);
                Ok(())
            }
            Err(error) => {
                // Best effort: readers pass over a torn end anyway.
                if segment.len == 0 {
                    let _ = fs::remove_file(&segment.path);
                } else {
                    let _ = segment.file.set_len(segment.len);
                }
                Err(StoreError::new("writing", &segment.path, error))
            }
        }
    }

    fn create(&self) -> Result<Segment, StoreError> {
        let path = self.folder.join(format!("{}.seg", unique_name()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| StoreError::new("creating", &path, e))?;
        Ok(Segment {
            path: path.into(),
            file,
            len: 0,
        })
    }
}

fn append(segment: &mut Segment, frames: &[(Kind, Hash, &[u8])]) -> std::io::Result<Vec<Frame>> {
    let fresh = segment.len == 0;
    let mut bytes = if fresh { HEADER.to_vec() } else { Vec::new() };
    let mut written = Vec::with_capacity(frames.len());
    for (kind, key, payload) in frames {
        written.push(Frame {
            kind: *kind,
            key: *key,
            at: segment.len + bytes.len() as u64,
            len: payload.len() as u32,
        });
        bytes.extend(frame::encode(*kind, *key, payload)?);
    }
    segment.file.write_all_at(&bytes, segment.len)?;
    segment.file.sync_data()?;
    if fresh && let Some(folder) = segment.path.parent() {
        File::open(folder)?.sync_all()?;
    }
    segment.len += bytes.len() as u64;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_is_told_and_leaves_nothing() {
        let mut segment = Segment {
            path: Path::new("/dev/full").into(),
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            len: 0,
        };
        let error = append(&mut segment, &[(Kind::Call, Hash([1; 32]), b"x")]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(segment.len, 0);
    }
}
