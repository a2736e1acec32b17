//! The scan of what would leave, before anything is written: every file of the bundle, its
//! manifest and its names. Owns what is scanned.

use super::Source;
use super::leaving::{Leaf, Leaving};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::share::bundle::archive::{Body, changed};
use crate::share::bundle::look::{bytes, look, texts_of};
use crate::share::bundle::manifest::{NAME, Role};
use crate::share::bundle::scan::{Hits, Texts};

/// A line of a file in a bundle that holds words of sensitive records.
pub struct Place {
    /// The file in the bundle.
    pub file: String,
    /// True if the pipeline is made of it, so that words in it can be allowed.
    pub own: bool,
    /// The line, from 1; none where lines say nothing.
    pub line: Option<u32>,
    /// In how many records they stand.
    pub records: u64,
}

/// What was found.
#[derive(Default)]
pub struct Found {
    /// The places, in the order of the bundle.
    pub places: Vec<Place>,
    /// How many sensitive records were looked up.
    pub records: u64,
    /// True if there was something to look for.
    pub scanned: bool,
}

/// Scans.
///
/// # Errors
/// A file cannot be read.
pub fn scan(source: &Source<'_>, leaving: &Leaving) -> Result<Found, Diagnostic> {
    let mut texts = Texts::default();
    for leaf in &leaving.leaves {
        let texts_of = match of(leaf) {
            // What cannot be looked at leaves by the user's word.
            Err(_) if leaf.allowed => Vec::new(),
            read => read?,
        };
        for text in texts_of {
            if leaf.allowed {
                texts.allow(&text);
            } else {
                texts.add(&text);
            }
        }
    }
    let manifest = manifest(leaving);
    texts.add(&manifest);
    let (scan, mut hits) = (texts.ready(), Hits::default());
    let records = look(
        source.pipe,
        &source.survey,
        &source.store,
        &source.origins,
        &scan,
        &mut hits,
    )?;
    let mut places = Vec::new();
    if !hits.is_empty() {
        for leaf in leaving.leaves.iter().filter(|leaf| !leaf.allowed) {
            for text in of(leaf)? {
                add(leaf, &hits, &text, &mut places);
            }
        }
        let of_manifest = hits.places(&manifest);
        places.extend(of_manifest.into_iter().map(|(line, records)| Place {
            file: NAME.to_owned(),
            own: false,
            line: Some(line),
            records,
        }));
    }
    Ok(Found {
        places,
        records,
        scanned: true,
    })
}

/// The manifest without sizes and hashes, with the names of all files.
fn manifest(leaving: &Leaving) -> String {
    let mut text = String::from_utf8_lossy(&leaving.manifest.bytes()).into_owned();
    for leaf in &leaving.leaves {
        text.push('\n');
        text.push_str(&leaf.member.path);
    }
    text
}

/// The texts of a file.
fn of(leaf: &Leaf) -> Result<Vec<String>, Diagnostic> {
    let name = &leaf.member.path;
    match (&leaf.text, &leaf.member.body) {
        (Some(text), _) => Ok(vec![text.clone()]),
        (None, Body::Bytes(bytes)) => texts_of(bytes, name),
        (None, Body::File(path)) => {
            let bytes = bytes(path)?;
            let hash = leaf.member.hash;
            if hash.is_some_and(|hash| hash != Hash::of_bytes(&bytes)) {
                return Err(changed(name));
            }
            texts_of(&bytes, name)
        }
    }
}

fn add(leaf: &Leaf, hits: &Hits, text: &str, places: &mut Vec<Place>) {
    let found = hits.places(text);
    let file = &leaf.member.path;
    // What is scanned of a page, a workbook or the like has no lines that anybody would find in it.
    let tables = [".xlsx", ".xlsm", ".parquet"];
    if leaf.text.is_some() || tables.iter().any(|end| file.ends_with(end)) {
        if let Some(records) = found.into_values().max() {
            places.push(Place {
                file: file.clone(),
                own: false,
                line: None,
                records,
            });
        }
        return;
    }
    let role = leaf.member.role;
    places.extend(found.into_iter().map(|(line, records)| Place {
        file: file.clone(),
        own: matches!(role, Role::Pipeline | Role::Prompt | Role::File),
        line: Some(line),
        records,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::bundle::archive::Member;

    #[test]
    fn what_is_scanned_is_what_will_be_written() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let leaf = Leaf {
            member: Member {
                path: "x".to_owned(),
                role: Role::File,
                body: Body::File(file.path().to_owned()),
                hash: Some(Hash::of_bytes(b"one")),
            },
            bytes: 3,
            why: "",
            text: None,
            allowed: false,
        };
        std::io::Write::write_all(&mut file, b"one").expect("written");
        assert_eq!(of(&leaf).expect("read"), ["one"]);
        std::fs::write(file.path(), "two").expect("written");
        let fault = of(&leaf).expect_err("changed");
        assert_eq!(fault.message, "`x` changed while it was read");
    }
}
