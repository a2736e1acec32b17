//! A look at the columns that a Parquet file says to have, before the crate takes its word: it
//! goes into groups as deep as they are, and sets aside room for as many members as they say to
//! have, so that a small file could end the program. Owns what is refused; knows nothing of what
//! columns mean.
//!
//! The end of a file is `FileMetaData` in Thrift's compact form, the length of that, and `PAR1`.
//! What is read here is what the crate reads, or else refused: it reads members of a struct by
//! their numbers, so their types must be those of `parquet.thrift`.

use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use super::DEEPEST;

/// Groups inside each other at most, in columns that are read or not: those that are not may be
/// deeper.
const OPEN: usize = 2 * DEEPEST;
/// Bytes behind the metadata: their length, and `PAR1`.
const TAIL: u64 = 8;

/// Looks at the columns of a file.
///
/// # Errors
/// They are too deep, there are fewer than it says, or it is no Parquet file.
pub fn look<R: ChunkReader>(file: &R) -> Result<(), ParquetError> {
    let none = || ParquetError::General("no Parquet file".to_owned());
    let end = file.len().checked_sub(TAIL).ok_or_else(none)?;
    let tail = file.get_bytes(end, TAIL as usize)?;
    let length = match tail[..] {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([a, b, c, d]),
        _ => return Err(none()),
    };
    let start = end.checked_sub(u64::from(length)).ok_or_else(none)?;
    let bytes = file.get_bytes(start, length as usize)?;
    columns(&bytes).ok_or_else(none)
}

/// Goes through the columns of a `FileMetaData`; none if they are not sound. They come second,
/// behind the version of the format: so all write them.
pub(super) fn columns(bytes: &[u8]) -> Option<()> {
    let mut thrift = Thrift(bytes);
    let mut id = 0;
    if thrift.member(&mut id)? != Some(I32) || id != 1 {
        return None;
    }
    thrift.varint()?;
    if thrift.member(&mut id)? != Some(LIST) || id != 2 {
        return None;
    }
    let head = thrift.byte()?;
    let count = match head >> 4 {
        15 => thrift.varint()?,
        few => u64::from(few),
    };
    if head & 15 != STRUCT || count > thrift.0.len() as u64 {
        return None;
    }
    // Members that are still to come, of each group that is open.
    let mut open: Vec<u64> = Vec::new();
    for at in 0..count {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        let mut members = 0;
        thrift.inside(Of::Column, 0, &mut members)?;
        if members > count - at - 1 {
            return None;
        }
        if members > 0 {
            open.push(members);
        }
        if open.len() > OPEN {
            return None;
        }
    }
    Some(())
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// The structs of `parquet.thrift` that tell of a column.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// `SchemaElement`.
    Column,
    /// `LogicalType`.
    Logical,
    /// `DecimalType`.
    Decimal,
    /// `TimeType` and `TimestampType`.
    Time,
    /// `TimeUnit`.
    Unit,
    /// `IntType`.
    Int,
    /// `VariantType`.
    Variant,
    /// `GeometryType` and `GeographyType`.
    Place,
    /// One without members.
    Empty,
    /// One that is not known.
    Any,
}

impl Of {
    /// What the struct in a member is; none if the member must not be of this type.
    fn inner(self, id: u64, kind: u8) -> Option<Of> {
        let wanted = match (self, id) {
            (Of::Column, 4) => (BINARY, Of::Any),
            (Of::Column, 10) => (STRUCT, Of::Logical),
            (Of::Column, 1..10) => (I32, Of::Any),
            (Of::Logical, 5) => (STRUCT, Of::Decimal),
            (Of::Logical, 7 | 8) => (STRUCT, Of::Time),
            (Of::Logical, 10) => (STRUCT, Of::Int),
            (Of::Logical, 16) => (STRUCT, Of::Variant),
            (Of::Logical, 17 | 18) => (STRUCT, Of::Place),
            (Of::Logical, 1..20) | (Of::Unit, 1..4) => (STRUCT, Of::Empty),
            (Of::Decimal, 1 | 2) | (Of::Place, 2) => (I32, Of::Any),
            (Of::Time, 2) => (STRUCT, Of::Unit),
            (Of::Int | Of::Variant, 1) => (BYTE, Of::Any),
            (Of::Place, 1) => (BINARY, Of::Any),
            (Of::Time, 1) | (Of::Int, 2) => {
                return matches!(kind, TRUE | FALSE).then_some(Of::Any);
            }
            (Of::Empty, _) => return None,
            _ => return Some(Of::Any),
        };
        (wanted.0 == kind).then_some(wanted.1)
    }
}

/// Bytes that are read from the front. Nothing is read if they end too early.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for at in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << (7 * at);
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    /// The type of the next member of a struct, and its number from the one before; no type at
    /// the end. Numbers in full are refused: members are so near that nobody writes them.
    fn member(&mut self, id: &mut u64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *id += u64::from(head >> 4);
        (head >> 4 != 0 && head & 15 != 0).then_some(Some(head & 15))
    }

    /// Goes through a struct; `members` becomes what a column says of how many it has.
    fn inside(&mut self, of: Of, depth: usize, members: &mut u64) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let mut id = 0;
        while let Some(kind) = self.member(&mut id)? {
            let inner = of.inner(id, kind)?;
            match kind {
                TRUE | FALSE => {}
                BYTE => self.skip(1)?,
                I16 | I32 | I64 => {
                    let number = self.varint()?;
                    if of == Of::Column && id == 5 {
                        // Signs are in the last bit: there is no number of members below zero.
                        *members = (number & 1 == 0).then_some(number >> 1)?;
                    }
                }
                DOUBLE => self.skip(8)?,
                BINARY => {
                    let length = self.varint()?;
                    self.skip(length)?;
                }
                STRUCT => self.inside(inner, depth + 1, &mut 0)?,
                // Lists are in no struct that tells of a column.
                _ => return None,
            }
        }
        Some(())
    }
}
