//! A member of an archive as tar has it: head, data, padding. Owns which paths there may be, and
//! the head's bytes, of which a path and a size have exactly one form.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::hash::Hash;
use crate::text::visible::plain;

/// What data is padded to.
pub(super) const BLOCK: u64 = 512;
/// The longest path, in bytes.
const LONGEST: usize = 1024;
/// The largest member in bytes: what tar's number of digits can say.
pub(super) const LARGEST: u64 = (1 << 33) - 1;
/// What stands after the last member.
pub(super) const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// What is wrong with a place in an archive: it must be a file below the folder that is unpacked
/// to, written in one way only.
pub fn fault_of(path: &str) -> Option<&'static str> {
    let odd = |c: char| c.is_control() || c == '\\' || plain(&c.to_string()) != c.to_string();
    if path.is_empty() || path.len() > LONGEST {
        Some("has no name, or one that is too long")
    } else if path.starts_with('/') {
        Some("has a path that begins at the root")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("has a path that may leave the folder")
    } else if path.chars().any(|c| odd(c) && c != '\\') {
        Some("has a name with characters that do not show")
    } else if path.contains('\\') {
        Some("has a name with a backslash")
    } else {
        None
    }
}

/// The head of a member.
///
/// # Errors
/// The path is none for an archive.
pub(super) fn head(path: &str, bytes: u64) -> io::Result<Vec<u8>> {
    if let Some(fault) = fault_of(path) {
        return Err(io::Error::other(fault));
    }
    if bytes > LARGEST {
        return Err(io::Error::other("is too large for an archive"));
    }
    let mut head = Vec::with_capacity(BLOCK as usize);
    if let Ok(block) = block(path, bytes, EntryType::Regular) {
        head.extend(block);
        return Ok(head);
    }
    // Too long for the block: a block before it says the path.
    let short = Hash::of_bytes(path.as_bytes()).short();
    let record = pax(path);
    head.extend(block(
        &format!("pax/{short}"),
        record.len() as u64,
        EntryType::XHeader,
    )?);
    head.extend(&record);
    head.resize(head.len() + padding(record.len() as u64), 0);
    head.extend(block(&format!("long/{short}"), bytes, EntryType::Regular)?);
    Ok(head)
}

fn block(path: &str, bytes: u64, kind: EntryType) -> io::Result<[u8; BLOCK as usize]> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(*header.as_bytes())
}

/// `LENGTH path=PATH`, where the length counts itself.
fn pax(path: &str) -> Vec<u8> {
    let rest = format!(" path={path}\n");
    let mut length = rest.len();
    loop {
        let all = length.to_string().len() + rest.len();
        if all == length {
            return format!("{length}{rest}").into_bytes();
        }
        length = all;
    }
}

/// Bytes that are missing to a whole block.
pub(super) fn padding(bytes: u64) -> usize {
    (bytes.next_multiple_of(BLOCK) - bytes) as usize
}

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A file, written as this program writes it.
    File {
        /// Its path.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Something that has no place in a bundle.
    Refused {
        /// Its path, made fit to be shown.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The end of the archive.
    End,
}

/// Reads a head.
///
/// # Errors
/// The data ends, or is none.
pub(super) fn read(from: &mut impl Read) -> io::Result<Head> {
    let mut raw = vec![0; BLOCK as usize];
    from.read_exact(&mut raw)?;
    if raw.iter().all(|byte| *byte == 0) {
        return Ok(Head::End);
    }
    let mut header = Header::from_byte_slice(&raw).clone();
    let mut path = header.path_bytes().into_owned();
    if header.entry_type() == EntryType::XHeader {
        let bytes = header.entry_size().unwrap_or(u64::MAX);
        if bytes > 2 * LONGEST as u64 {
            return Ok(refused(&path, "has a head that is too long"));
        }
        let start = raw.len();
        let whole = bytes as usize + padding(bytes) + BLOCK as usize;
        raw.resize(start + whole, 0);
        from.read_exact(&mut raw[start..])?;
        let record = &raw[start..start + bytes as usize];
        path = path_of(record).unwrap_or(path);
        header = Header::from_byte_slice(&raw[raw.len() - BLOCK as usize..]).clone();
    }
    let why = match header.entry_type() {
        EntryType::Regular => None,
        EntryType::Symlink | EntryType::Link => Some("is a link"),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Some("is a device"),
        EntryType::Directory => Some("is a folder"),
        _ => Some("is no plain file"),
    };
    if let Some(why) = why {
        return Ok(refused(&path, why));
    }
    let Ok(text) = String::from_utf8(path.clone()) else {
        return Ok(refused(&path, "has a name that is not UTF-8"));
    };
    if let Some(why) = fault_of(&text) {
        return Ok(refused(&path, why));
    }
    let bytes = header.entry_size().unwrap_or(u64::MAX);
    match head(&text, bytes) {
        Ok(ours) if ours == raw => Ok(Head::File { path: text, bytes }),
        _ => Ok(refused(&path, "is not packed as clue packs")),
    }
}

fn refused(path: &[u8], why: &'static str) -> Head {
    Head::Refused {
        path: plain(&String::from_utf8_lossy(path)),
        why,
    }
}

/// The path in a record as [`pax`] makes it.
fn path_of(record: &[u8]) -> Option<Vec<u8>> {
    let at = record.iter().position(|byte| *byte == b' ')?;
    let path = record[at..].strip_prefix(b" path=")?;
    Some(path.strip_suffix(b"\n")?.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_files_below_the_folder_have_a_place() {
        for path in [
            "a",
            "a/b.txt",
            "p/ü-1 (x).j2",
            "..a/b..",
            &"x/".repeat(300)[..599],
        ] {
            assert_eq!(fault_of(path), None, "{path}");
        }
        for path in [
            "",
            "/a",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\nb",
            "a\\b",
            "a\u{202e}b",
            "a\0",
        ] {
            assert!(fault_of(path).is_some(), "{path:?}");
            assert!(head(path, 0).is_err(), "{path:?}");
        }
        assert!(head("a", LARGEST + 1).is_err());
    }

    #[test]
    fn what_is_no_plain_file_is_refused() {
        let of = |kind| {
            let mut header = Header::new_ustar();
            header.set_path("a").expect("a path");
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            read(&mut &header.as_bytes()[..]).expect("read")
        };
        let mut seen = Vec::new();
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Directory,
            EntryType::GNULongName,
        ] {
            let Head::Refused { path, why } = of(kind) else {
                panic!("{kind:?}");
            };
            assert_eq!(path, "a");
            seen.push(why);
        }
        assert_eq!(
            seen,
            [
                "is a link",
                "is a link",
                "is a device",
                "is a folder",
                "is no plain file"
            ]
        );
        // A program, or of another time.
        let mut header = Header::new_ustar();
        header.set_path("a").expect("a path");
        header.set_size(0);
        header.set_mode(0o755);
        header.set_cksum();
        let why = "is not packed as clue packs";
        let path = "a".to_owned();
        assert_eq!(
            read(&mut &header.as_bytes()[..]).expect("read"),
            Head::Refused { path, why }
        );
        assert_eq!(read(&mut &END[..]).expect("read"), Head::End);
        assert!(read(&mut &END[..9]).is_err());
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_written(
            parts in prop::collection::vec("[a-zü. ]{0,90}[a-z]", 1..6),
            bytes in 0_u64..=LARGEST,
        ) {
            let path = parts.join("/");
            let head = head(&path, bytes).expect("a head");
            prop_assert_eq!(head.len() as u64 % BLOCK, 0);
            prop_assert_eq!(read(&mut &head[..]).expect("read"), Head::File { path, bytes });
        }

        #[test]
        fn no_bytes_are_a_panic(mut raw in prop::collection::vec(any::<u8>(), 0..2048)) {
            if let Some(kind) = raw.get_mut(156) {
                *kind = b'x';
            }
            let _ = read(&mut &raw[..]);
        }
    }
}
