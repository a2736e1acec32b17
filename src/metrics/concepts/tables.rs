//! From names in order to the dictionary's tables. Owns which concept an ambiguous name means
//! first: one of whose preferred name it is a form, then the one that more sources give it to,
//! then the one with the lowest CUI.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::file::{Head, Writer};
use super::gather::{Entry, Names};
use super::typed::Typed;
use super::types::Types;

/// In the table of names: what follows is an index into the table of lists.
pub const LIST: u32 = 1 << 31;

/// Writes a dictionary; its size in bytes comes back with its head.
///
/// # Errors
/// The file cannot be written.
pub fn write(names: &Names, typed: &Typed, mut head: Head, path: &Path) -> io::Result<(Head, u64)> {
    let mut cuis: Vec<u32> = names.entries.iter().map(|entry| entry.cui).collect();
    cuis.sort_unstable();
    cuis.dedup();
    let mut out = Writer::begin(path)?;

    let index = |cui: u32| cuis.binary_search(&cui).unwrap_or(0) as u32;
    let mut fst = fst::raw::Builder::new(BufWriter::new(&mut out)).map_err(io::Error::other)?;
    let (mut firsts, mut lists): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let same_key = |a: &Entry, b: &Entry| a.prefix == b.prefix && names.key(a) == names.key(b);
    for group in names.entries.chunk_by(same_key) {
        let Some(first) = group.first() else { continue };
        fst.insert(names.key(first), firsts.len() as u64)
            .map_err(io::Error::other)?;
        let concepts = ranked(group);
        match concepts.as_slice() {
            [one] => firsts.push(index(*one)),
            several => {
                firsts.push(LIST | lists.len() as u32);
                lists.push(several.len() as u32);
                lists.extend(several.iter().map(|cui| index(*cui)));
            }
        }
    }
    let ended = fst.into_inner().map_err(io::Error::other)?;
    ended.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.end_table();
    numbers(&mut out, firsts.iter().copied())?;
    numbers(&mut out, lists.into_iter())?;

    // Concepts that are called the same count as one, as for the reference: each title once.
    let titles: BTreeSet<&str> = cuis.iter().map(|cui| names.title_of(*cui)).collect();
    let titles: Vec<&str> = titles.into_iter().collect();
    let sets: BTreeSet<Types> = cuis.iter().map(|cui| typed.of(*cui)).collect();
    let sets: Vec<Types> = sets.into_iter().collect();
    let concepts = cuis.iter().flat_map(|cui| {
        let title = titles.binary_search(&names.title_of(*cui)).unwrap_or(0);
        let set = sets.binary_search(&typed.of(*cui)).unwrap_or(0);
        [*cui, title as u32, set as u32]
    });
    numbers(&mut out, concepts)?;
    for set in &sets {
        out.write_all(&set.to_bytes())?;
    }
    out.end_table();
    let mut end = 0_u32;
    let ends = titles.iter().map(|title| {
        end = end.saturating_add(title.len() as u32);
        end
    });
    let ends: Vec<u32> = std::iter::once(0).chain(ends).collect();
    numbers(&mut out, ends.into_iter())?;
    for title in &titles {
        out.write_all(title.as_bytes())?;
    }
    out.end_table();

    let mut types = Types::default();
    sets.iter().for_each(|set| types.extend(set));
    head.types = types.names();
    head.names = firsts.len() as u64;
    head.concepts = cuis.len() as u64;
    let size = out.finish(path, head.clone())?;
    Ok((head, size))
}

fn numbers(out: &mut Writer, numbers: impl Iterator<Item = u32>) -> io::Result<()> {
    for number in numbers {
        out.write_all(&number.to_le_bytes())?;
    }
    out.end_table();
    Ok(())
}

/// The concepts that entries of one key name, best first. Entries come by concept and source.
fn ranked(group: &[Entry]) -> Vec<u32> {
    let mut concepts: Vec<(bool, Reverse<usize>, u32)> = group
        .chunk_by(|a, b| a.cui == b.cui)
        .filter_map(|entries| {
            let preferred = entries.iter().any(|entry| entry.preferred);
            let sources = entries.chunk_by(|a, b| a.source == b.source).count();
            Some((!preferred, Reverse(sources), entries.first()?.cui))
        })
        .collect();
    concepts.sort_unstable();
    concepts.into_iter().map(|(_, _, cui)| cui).collect()
}
