//! The zstd frames of an archive: where each member lies, so that damage to one harms no other.
//! Owns the seal, a frame at the end that decompressors skip, with the size and the hash of each
//! frame before it; knows nothing of what frames hold.
//!
//! Format of frames: RFC 8878, section 3.1.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::hash::Hash;

/// The magic number of a frame of data.
const DATA: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// Of a frame to skip; there are sixteen, of which this is the seal's.
const SKIP: [u8; 4] = 0x184d_2a5c_u32.to_le_bytes();
/// The last bytes of a sealed archive.
const TAG: [u8; 8] = *b"clueseal";
/// Bytes of an entry: size and hash.
const ENTRY: usize = 40;
/// Bytes of a seal beside its entries: magic number and size, hash, size, tag.
const AROUND: usize = 8 + 32 + 4 + TAG.len();
/// The most members that an archive has.
pub(super) const MOST: usize = 100_000;

/// A frame as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its size, compressed.
    pub(super) packed: u64,
    /// Hash of these bytes.
    pub(super) hash: Hash,
}

/// A frame as it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Where it begins.
    pub(super) at: u64,
    /// Its size, compressed.
    pub(super) packed: u64,
    /// False if its bytes are not those that were written.
    pub(super) sound: bool,
}

/// What an archive consists of.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Its frames.
    pub(super) slots: Vec<Slot>,
    /// True if the seal is there and whole.
    pub(super) sealed: bool,
    /// Bytes that are there too many (or too few, below 0), by the seal.
    pub(super) shift: i64,
    /// True if nothing is said of what follows the frames that were found.
    pub(super) open: bool,
}

/// The bytes of a seal.
pub(super) fn seal(entries: &[Entry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        body.extend(entry.packed.to_le_bytes());
        body.extend(entry.hash.0);
    }
    let payload = (body.len() + AROUND - 8) as u32;
    let mut bytes = Vec::with_capacity(body.len() + AROUND);
    bytes.extend(SKIP);
    bytes.extend(payload.to_le_bytes());
    bytes.extend(&body);
    bytes.extend(Hash::of_bytes(&body).0);
    bytes.extend(payload.to_le_bytes());
    bytes.extend(TAG);
    bytes
}

/// Finds the frames of an archive.
///
/// # Errors
/// It cannot be read.
pub(super) fn find(file: &File) -> io::Result<Layout> {
    let len = file.metadata()?.len();
    match read_seal(file, len)? {
        Some((entries, body)) => by_seal(file, &entries, body),
        None => walk(file, len),
    }
}

/// The seal, and how many bytes are before it.
fn read_seal(file: &File, len: u64) -> io::Result<Option<(Vec<Entry>, u64)>> {
    let tail = 4 + TAG.len() as u64;
    if len < tail {
        return Ok(None);
    }
    let mut end = [0; 12];
    file.read_exact_at(&mut end, len - tail)?;
    let payload = u32::from_le_bytes([end[0], end[1], end[2], end[3]]);
    let size = u64::from(payload) + 8;
    let bound = (AROUND + ENTRY * (MOST + 2)) as u64;
    if end[4..] != TAG || size > len.min(bound) || (size as usize) < AROUND {
        return Ok(None);
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, len - size)?;
    let body = &bytes[8..bytes.len() - (AROUND - 8)];
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
    let entries: Vec<Entry> = body
        .chunks_exact(ENTRY)
        .map(|chunk| Entry {
            packed: number(&chunk[..8]),
            hash: Hash(chunk[8..].try_into().unwrap_or_default()),
        })
        .collect();
    // No frame lies in two places.
    let all = entries
        .iter()
        .map(|entry| u128::from(entry.packed))
        .sum::<u128>();
    let sound = seal(&entries) == bytes && all <= 2 * u128::from(len);
    Ok(sound.then_some((entries, len - size)))
}

/// Where bytes were put in or taken out, what is before lies where it did, and what is behind
/// lies as far from the end as it did.
fn by_seal(file: &File, entries: &[Entry], body: u64) -> io::Result<Layout> {
    let all: u64 = entries.iter().map(|entry| entry.packed).sum();
    let shift = body as i64 - all as i64;
    let mut slots = Vec::with_capacity(entries.len());
    let mut front = 0_u64;
    for entry in entries {
        let back = front.checked_add_signed(shift);
        let mut at = front;
        let mut sound = is(file, front, body, entry)?;
        if let Some(back) = back.filter(|_| !sound && shift != 0) {
            sound = is(file, back, body, entry)?;
            at = if sound { back } else { front };
        }
        slots.push(Slot {
            at,
            packed: entry.packed,
            sound,
        });
        front += entry.packed;
    }
    Ok(Layout {
        slots,
        sealed: true,
        shift,
        open: false,
    })
}

/// True if a frame lies there.
fn is(file: &File, at: u64, body: u64, entry: &Entry) -> io::Result<bool> {
    if at.checked_add(entry.packed).is_none_or(|end| end > body) {
        return Ok(false);
    }
    Ok(Hash::of_reader(section(file, at, entry.packed))? == entry.hash)
}

/// Without a seal: from frame to frame, by what each says of itself.
fn walk(file: &File, len: u64) -> io::Result<Layout> {
    let mut layout = Layout::default();
    let mut at = 0;
    while at < len && layout.slots.len() < MOST + 2 {
        let Some((packed, data)) = frame(file, at, len)? else {
            layout.open = true;
            break;
        };
        if data {
            layout.slots.push(Slot {
                at,
                packed,
                sound: true,
            });
        }
        at += packed;
    }
    Ok(layout)
}

/// The size of the frame that begins there, and whether it holds data; none if there is no
/// whole frame.
fn frame(file: &File, start: u64, len: u64) -> io::Result<Option<(u64, bool)>> {
    let mut at = start;
    let mut take = |n: usize| -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; n];
        if at + n as u64 > len {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes, at)?;
        at += n as u64;
        Ok(Some(bytes))
    };
    let Some(magic) = take(4)? else {
        return Ok(None);
    };
    if magic[0] & 0xf0 == 0x50 && magic[1..] == SKIP[1..] {
        let size = take(4)?.map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        let end = size.map(|size| 8 + size);
        return Ok(end.filter(|end| start + end <= len).map(|end| (end, false)));
    }
    if magic != DATA {
        return Ok(None);
    }
    let Some(descriptor) = take(1)?.map(|bytes| bytes[0]) else {
        return Ok(None);
    };
    let single = descriptor & 0x20 != 0;
    let window = usize::from(!single);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content = match descriptor >> 6 {
        0 => usize::from(single),
        flag => 1 << flag,
    };
    if take(window + dictionary + content)?.is_none() {
        return Ok(None);
    }
    loop {
        let Some(head) = take(3)? else {
            return Ok(None);
        };
        let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let size = match (head >> 1) & 3 {
            1 => 1,
            3 => return Ok(None),
            _ => (head >> 3) as usize,
        };
        // At most 2 MB, whatever is said.
        if take(size)?.is_none() {
            return Ok(None);
        }
        if head & 1 == 1 {
            break;
        }
    }
    if descriptor & 4 != 0 && take(4)?.is_none() {
        return Ok(None);
    }
    Ok(Some((at - start, true)))
}

/// Reads a part of a file.
pub(super) fn section(file: &File, at: u64, len: u64) -> impl Read + '_ {
    Section {
        file,
        at,
        left: len,
    }
}

struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(into.len());
        let got = self.file.read_at(&mut into[..most], self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("begun");
        encoder.include_checksum(true).expect("set");
        encoder.write_all(text).expect("written");
        encoder.finish().expect("ended")
    }

    fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
        let entry = |part: &Vec<u8>| Entry {
            packed: part.len() as u64,
            hash: Hash::of_bytes(part),
        };
        let entries: Vec<Entry> = parts.iter().map(entry).collect();
        [parts.concat(), seal(&entries)].concat()
    }

    #[test]
    fn frames_are_walked_without_a_seal() {
        let big: Vec<u8> = (0..400_000_u32)
            .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
            .collect();
        let parts = [
            packed(b""),
            packed(&big),
            packed(&[7; 300_000]),
            packed(b"end"),
        ];
        let whole = archive(&parts);
        let body: usize = parts.iter().map(Vec::len).sum();
        let sealed = find(&file(&whole)).expect("read");
        assert!(sealed.sealed);
        let walked = find(&file(&whole[..body])).expect("read");
        assert!(!walked.sealed && !walked.open);
        assert_eq!(walked.slots, sealed.slots);
        let cut = find(&file(&whole[..body - 1])).expect("read");
        assert!(cut.open);
        assert_eq!(cut.slots, sealed.slots[..3]);
    }

    #[test]
    fn what_is_put_in_or_taken_out_harms_one_frame() {
        let parts = [packed(b"one"), packed(b"two and"), packed(b"three")];
        let whole = archive(&parts);
        let at = parts[0].len() + 5;
        let unsound = |bytes: &[u8]| {
            let layout = find(&file(bytes)).expect("read");
            assert!(layout.sealed);
            let sound: Vec<bool> = layout.slots.iter().map(|slot| slot.sound).collect();
            (sound, layout.shift)
        };
        let longer = [&whole[..at], b"xyz", &whole[at..]].concat();
        assert_eq!(unsound(&longer), (vec![true, false, true], 3));
        let shorter = [&whole[..at], &whole[at + 2..]].concat();
        assert_eq!(unsound(&shorter), (vec![true, false, true], -2));
        let between = [&whole[..parts[0].len()], b"x", &whole[parts[0].len()..]].concat();
        assert_eq!(unsound(&between), (vec![true, true, true], 1));
    }

    proptest! {
        #[test]
        fn a_changed_byte_harms_its_frame_alone(at: prop::sample::Index, by in 1_u8..) {
            let parts = [packed(b"one"), packed(b"two and"), packed(b"three")];
            let mut whole = archive(&parts);
            let at = at.index(whole.len());
            whole[at] ^= by;
            let mut end = 0;
            let hit = parts.iter().position(|part| {
                end += part.len();
                at < end
            });
            let layout = find(&file(&whole)).expect("read");
            prop_assert_eq!(layout.sealed, hit.is_some());
            for (n, slot) in layout.slots.iter().enumerate() {
                prop_assert_eq!(slot.sound, hit != Some(n));
            }
        }

        #[test]
        fn no_bytes_are_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = find(&file(&bytes));
            bytes.splice(0..0, DATA);
            bytes.extend(TAG);
            let _ = find(&file(&bytes));
        }
    }
}
