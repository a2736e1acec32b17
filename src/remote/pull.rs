//! From a bucket into a store.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::bucket::{Bucket, Listing, segment};
use super::fault::Fault;
use super::moved::Moved;
use super::{How, has_ended};
use crate::hash::Hash;
use crate::store::{Adopted, Intake, Kind, Part, Store};

/// How many files move at once.
pub(super) const AT_ONCE: usize = 8;

/// What is known of a segment before it is here.
pub(super) struct Known {
    /// Its name.
    pub(super) name: String,
    /// Its bytes.
    pub(super) bytes: u64,
    /// How long it should be, if that is known.
    pub(super) expected: Option<u64>,
    /// What is in it, if that is known.
    pub(super) entries: Option<Vec<(Kind, Hash)>>,
}

impl Known {
    /// True when it is not as long as it was.
    pub(super) fn is_cut(&self) -> bool {
        self.expected.is_some_and(|len| len != self.bytes)
    }
}

/// What is known of all segments.
pub(super) async fn known(bucket: &Bucket, listing: &Listing) -> Result<Vec<Known>, Fault> {
    let all = stream::iter(&listing.segments).map(|(name, (bytes, has_index))| async move {
        let index = match has_index {
            true => bucket.read_index(name).await?,
            false => None,
        };
        let expected = index.as_ref().map(|index| index.len);
        Ok(Known {
            name: name.clone(),
            bytes: *bytes,
            expected,
            // Of a segment that has changed, only the segment itself tells what is in it.
            entries: index
                .filter(|index| index.len == *bytes)
                .map(|index| index.entries),
        })
    });
    let all: Vec<Result<Known, Fault>> = all.buffered(2 * AT_ONCE).collect().await;
    all.into_iter().collect()
}

/// Gets what the store lacks.
pub(super) async fn pull(store: &Store, bucket: &Bucket, how: &How) -> Result<Moved, Fault> {
    if bucket.version().await?.is_none() {
        return Err(Fault::absent(&bucket.place()));
    }
    let listing = bucket.list().await?;
    let known = known(bucket, &listing).await?;
    let mut moved = Moved::default();
    let there = store.parts();
    // A damaged one may have another size, too.
    let lacking = |part: &Part, bytes: u64| how.wants(part) && there.get(part) != Some(&bytes);
    let parts = listing.parts.iter();
    let parts = parts.filter(|(part, bytes)| lacking(part, **bytes));
    let parts = parts.map(|(part, bytes)| (part.clone(), Some(*bytes)));
    get(store, bucket, parts, how, &mut moved).await?;
    let mut intake = store.intake();
    let wanted: Vec<&Known> = known
        .iter()
        .filter(|known| match &known.entries {
            Some(entries) => !intake.knows(entries),
            None => true,
        })
        .collect();
    if how.dry_run {
        for known in wanted {
            let entries = known.entries.as_ref().map_or(0, |all| all.len() as u64);
            moved.entries.count += entries;
            moved.entries.bytes += known.bytes;
        }
        return Ok(moved);
    }
    for known in wanted {
        let done = segment_of(store, bucket, known, &mut intake, how, &mut moved).await;
        if let Err(fault) = done {
            // What came stays.
            intake.finish()?;
            return Err(fault);
        }
    }
    moved.entries = intake.finish()?;
    Ok(moved)
}

/// Gets these outputs, as far as they are there.
pub(super) async fn outputs(
    store: &Store,
    bucket: &Bucket,
    contents: &BTreeSet<Hash>,
    how: &How,
) -> Result<Moved, Fault> {
    let mut moved = Moved::default();
    let parts = contents
        .iter()
        .map(|content| (Part::Artifact(*content), None));
    get(store, bucket, parts, how, &mut moved).await?;
    Ok(moved)
}

/// Gets files, several at once, with their bytes as far as they are known.
async fn get(
    store: &Store,
    bucket: &Bucket,
    parts: impl Iterator<Item = (Part, Option<u64>)>,
    how: &How,
    moved: &mut Moved,
) -> Result<(), Fault> {
    let came = stream::iter(parts).map(|(part, bytes)| async move {
        let done = one(store, bucket, &part, bytes, how).await;
        (part, done)
    });
    let mut came = came.buffer_unordered(AT_ONCE);
    while let Some((part, done)) = came.next().await {
        match done? {
            Came::Here(bytes) => moved.add(&part, bytes),
            Came::Damaged => moved.damaged.push(damaged(bucket, &part.name())),
            Came::Not => {}
        }
    }
    Ok(())
}

enum Came {
    /// With so many bytes.
    Here(u64),
    Damaged,
    Not,
}

async fn one(
    store: &Store,
    bucket: &Bucket,
    part: &Part,
    bytes: Option<u64>,
    how: &How,
) -> Result<Came, Fault> {
    if how.dry_run {
        return Ok(Came::Here(bytes.unwrap_or(0)));
    }
    let mut file = store.incoming()?;
    if !bucket.fetch(&part.name(), &mut file, &how.halt).await? {
        return Ok(Came::Not);
    }
    let under_way = matches!(part, Part::Run(_))
        && !has_ended(file.path())
        && part.is_sound(file.path()).unwrap_or(false);
    if under_way {
        return Ok(Came::Not);
    }
    let len = file.as_file().metadata().map_or(0, |data| data.len());
    Ok(match store.adopt(part, file)? {
        Adopted::Taken => Came::Here(len),
        Adopted::There => Came::Not,
        Adopted::Damaged => Came::Damaged,
    })
}

async fn segment_of(
    store: &Store,
    bucket: &Bucket,
    known: &Known,
    intake: &mut Intake<'_>,
    how: &How,
    moved: &mut Moved,
) -> Result<(), Fault> {
    let name = segment(&known.name);
    let mut file = store.incoming()?;
    if !bucket.fetch(&name, &mut file, &how.halt).await? {
        return Ok(());
    }
    let taken = intake.take(file.path())?;
    if known.is_cut() || !taken.damaged.is_empty() {
        let sound = taken.sound.len();
        moved.damaged.push(format!(
            "`{}` is damaged: {sound} entries of it are sound, and the rest is left out",
            bucket.shown(&name)
        ));
    }
    Ok(())
}

/// The line that tells of a damaged file.
pub(super) fn damaged(bucket: &Bucket, name: &str) -> String {
    format!("`{}` is damaged: it is left out", bucket.shown(name))
}
