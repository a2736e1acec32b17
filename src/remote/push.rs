//! From a store into a bucket.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use super::bucket::{Before, Bucket, Listing, index, segment};
use super::fault::Fault;
use super::index::Index;
use super::moved::Moved;
use super::pull::{AT_ONCE, Known, known};
use super::{How, has_ended};
use crate::hash::Hash;
use crate::store::{Kind, Part, Store, Version, look, unique_name};

/// Sends what the bucket lacks. Outputs first, so that no result is known there without its
/// output; records of runs last.
pub(super) async fn push(store: &Store, bucket: &Bucket, how: &How) -> Result<Moved, Fault> {
    let mut moved = Moved::default();
    if bucket.version().await? != Some(Version::Known) && !how.dry_run {
        let file = Version::file().into_bytes();
        bucket.write(Version::FILE, file, Before::Damaged).await?;
    }
    let listing = bucket.list().await?;
    let is_run = |part: &&(Part, u64)| matches!(part.0, Part::Run(_));
    let parts: Vec<(Part, u64)> = store.parts().into_iter().collect();
    let (runs, contents): (Vec<_>, Vec<_>) = parts.iter().partition(is_run);
    files(store, bucket, &listing, contents, how, &mut moved).await?;
    let known = known(bucket, &listing).await?;
    entries(store, bucket, known, how, &mut moved).await?;
    files(store, bucket, &listing, runs, how, &mut moved).await?;
    moved.damaged.extend(store.take_faults());
    Ok(moved)
}

/// Sends files. Those under way are waited for even when one has failed: half an upload is to be
/// cleaned up.
async fn files(
    store: &Store,
    bucket: &Bucket,
    listing: &Listing,
    parts: Vec<&(Part, u64)>,
    how: &How,
    moved: &mut Moved,
) -> Result<(), Fault> {
    let broken = AtomicBool::new(false);
    let broken = &broken;
    let sent = stream::iter(parts).map(|(part, bytes)| async move {
        if broken.load(Ordering::Relaxed) {
            return (part, *bytes, Ok(Sent::Not));
        }
        let there = listing.parts.get(part).copied();
        let sent = one(store, bucket, part, *bytes, there, how).await;
        broken.fetch_or(sent.is_err(), Ordering::Relaxed);
        (part, *bytes, sent)
    });
    let mut sent = sent.buffer_unordered(AT_ONCE);
    let mut fault = None;
    while let Some((part, bytes, sent)) = sent.next().await {
        match sent {
            Ok(Sent::There) => moved.add(part, bytes),
            Ok(Sent::Damaged) => {
                let path = store.path_of(part);
                let line = format!("`{}` is damaged: it is left out", path.display());
                moved.damaged.push(line);
            }
            Ok(Sent::Not) => {}
            Err(first) => fault = fault.or(Some(first)),
        }
    }
    fault.map_or(Ok(()), Err)
}

enum Sent {
    There,
    Damaged,
    Not,
}

async fn one(
    store: &Store,
    bucket: &Bucket,
    part: &Part,
    bytes: u64,
    there: Option<u64>,
    how: &How,
) -> Result<Sent, Fault> {
    let path = store.path_of(part);
    let before = match there {
        None => Before::Nothing,
        Some(there) if there == bytes => return Ok(Sent::Not),
        // Another version of zstd, or damage.
        Some(_) if how.dry_run || is_sound_there(store, bucket, part, how).await? => {
            return Ok(Sent::Not);
        }
        Some(_) => Before::Damaged,
    };
    match part.is_sound(&path) {
        Ok(true) => {}
        Ok(false) => return Ok(Sent::Damaged),
        // Cleaned up meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Sent::Not),
        Err(_) => return Ok(Sent::Damaged),
    }
    if matches!(part, Part::Run(_)) && !has_ended(&path) {
        return Ok(Sent::Not);
    }
    if how.dry_run {
        return Ok(Sent::There);
    }
    let sent = bucket.send(&part.name(), &path, before, &how.halt).await?;
    Ok(if sent { Sent::There } else { Sent::Not })
}

async fn is_sound_there(
    store: &Store,
    bucket: &Bucket,
    part: &Part,
    how: &How,
) -> Result<bool, Fault> {
    let mut file = store.incoming()?;
    let found = bucket.fetch(&part.name(), &mut file, &how.halt).await?;
    Ok(found && part.is_sound(file.path()).unwrap_or(false))
}

async fn entries(
    store: &Store,
    bucket: &Bucket,
    known: Vec<Known>,
    how: &How,
    moved: &mut Moved,
) -> Result<(), Fault> {
    let mut there: HashSet<(Kind, Hash)> = HashSet::new();
    for segment in known {
        match segment.entries {
            Some(entries) => there.extend(entries),
            None => there.extend(learn(store, bucket, &segment, how).await?),
        }
    }
    let mut lacking: Vec<(Kind, Hash)> = store.entries().difference(&there).copied().collect();
    lacking.sort_unstable_by_key(|(kind, key)| (kind.byte(), *key));
    if how.dry_run {
        moved.entries = store.weigh(&lacking);
        return Ok(());
    }
    let mut rest = &lacking[..];
    while !rest.is_empty() {
        let pack = store.pack(rest)?;
        rest = &rest[pack.used..];
        if pack.entries.is_empty() {
            continue;
        }
        let name = unique_name();
        let path = pack.file.path();
        let (before, halt) = (Before::Nothing, &how.halt);
        bucket.send(&segment(&name), path, before, halt).await?;
        moved.entries.count += pack.entries.len() as u64;
        moved.entries.bytes += pack.bytes;
        let of = Index {
            len: pack.bytes,
            entries: pack.entries,
        };
        bucket.write(&index(&name), of.encode(), before).await?;
    }
    Ok(())
}

/// What is in a segment without an index that fits, which then gets one: whoever sent it was
/// stopped before, or it was damaged since.
async fn learn(
    store: &Store,
    bucket: &Bucket,
    known: &Known,
    how: &How,
) -> Result<Vec<(Kind, Hash)>, Fault> {
    let name = segment(&known.name);
    let mut file = store.incoming()?;
    if !bucket.fetch(&name, &mut file, &how.halt).await? {
        return Ok(Vec::new());
    }
    let found = look(file.path())?;
    if !how.dry_run {
        let of = Index {
            len: known.bytes,
            entries: found.sound.clone(),
        };
        let name = index(&known.name);
        bucket.write(&name, of.encode(), Before::Damaged).await?;
    }
    Ok(found.sound)
}
