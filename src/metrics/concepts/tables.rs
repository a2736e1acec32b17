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
    head.names = write_names(&mut out, names, &cuis)?;
    head.concepts = cuis.len() as u64;

    let (titles, title_of) = titles(names, &cuis);
    let sets: BTreeSet<Types> = cuis.iter().map(|cui| typed.of(*cui)).collect();
    let sets: Vec<Types> = sets.into_iter().collect();
    let concepts = cuis.iter().zip(title_of).flat_map(|(cui, title)| {
        let set = sets.binary_search(&typed.of(*cui)).unwrap_or(0);
        [*cui, title, set as u32]
    });
    table(&mut out, concepts)?;

    let mut types = Types::default();
    for set in &sets {
        types.extend(set);
        out.write_all(&set.to_bytes())?;
    }
    out.end_table();
    head.types = types.names();

    let mut end = 0_u32;
    let ends = titles.iter().map(|title| {
        end = end.saturating_add(title.len() as u32);
        end
    });
    let ends: Vec<u32> = std::iter::once(0).chain(ends).collect();
    table(&mut out, ends.into_iter())?;
    out.write_all(titles.concat().as_bytes())?;
    out.end_table();
    let size = out.finish(path, head.clone())?;
    Ok((head, size))
}

/// Writes the names and what they mean; how many there are.
fn write_names(out: &mut Writer, names: &Names, cuis: &[u32]) -> io::Result<u64> {
    // By CUI, the concept's number: faster than a search for each of millions of names.
    let mut numbers = vec![0; cuis.last().map_or(0, |last| *last as usize + 1)];
    for (number, cui) in (0..).zip(cuis) {
        numbers[*cui as usize] = number;
    }
    let number = |cui: u32| numbers.get(cui as usize).copied().unwrap_or(0);

    let buffer = BufWriter::with_capacity(1 << 17, &mut *out);
    let mut fst = fst::raw::Builder::new(buffer).map_err(io::Error::other)?;
    let (mut firsts, mut lists): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let same_key = |a: &Entry, b: &Entry| a.prefix == b.prefix && names.key(a) == names.key(b);
    for group in names.entries.chunk_by(same_key) {
        let Some(first) = group.first() else { continue };
        // Numbers that rise with the names share more of the automaton than concepts' would.
        fst.insert(names.key(first), firsts.len() as u64)
            .map_err(io::Error::other)?;
        match ranked(group).as_slice() {
            [one] => firsts.push(number(*one)),
            several => {
                firsts.push(LIST | lists.len() as u32);
                lists.push(several.len() as u32);
                lists.extend(several.iter().map(|cui| number(*cui)));
            }
        }
    }
    let buffer = fst.into_inner().map_err(io::Error::other)?;
    buffer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    out.end_table();
    table(out, firsts.iter().copied())?;
    table(out, lists.into_iter())?;
    Ok(firsts.len() as u64)
}

/// Canonical names in order, each once: concepts that are called the same count as one, as for
/// the reference. And for each concept the number of its name.
fn titles<'a>(names: &'a Names, cuis: &[u32]) -> (Vec<&'a str>, Vec<u32>) {
    let by_concept = cuis.iter().enumerate();
    let by_concept = by_concept.map(|(at, cui)| (names.title_of(*cui), at));
    let mut sorted: Vec<(&str, usize)> = by_concept.collect();
    sorted.sort_unstable();
    let mut titles: Vec<&str> = Vec::new();
    let mut title_of = vec![0; cuis.len()];
    for (title, at) in sorted {
        if titles.last() != Some(&title) {
            titles.push(title);
        }
        title_of[at] = (titles.len() - 1) as u32;
    }
    (titles, title_of)
}

/// Writes a table of numbers.
fn table(out: &mut Writer, numbers: impl Iterator<Item = u32>) -> io::Result<()> {
    // At once: many small writes would each be hashed by themselves.
    let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    out.write_all(&bytes)?;
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
