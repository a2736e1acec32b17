//! `CITATION.cff`: how a pipeline wants to be cited, in the Citation File Format 1.2.0
//! (doi:10.5281/zenodo.5171937). Pure.

use std::fmt::Write;

use super::cite::Work;
use crate::share::yaml::quoted;

/// The name of the file.
pub const NAME: &str = "CITATION.cff";

/// What is cited.
#[derive(Clone, Debug, Default)]
pub struct Cited<'a> {
    /// The pipeline's name.
    pub name: &'a str,
    /// What it makes.
    pub description: Option<&'a str>,
    /// Its license, as SPDX calls it or as an address.
    pub license: Option<&'a str>,
    /// Its `cite:`.
    pub cite: &'a [String],
}

/// The text of the file; none for a pipeline that does not say how to cite it.
///
/// The form wants authors by their names. A text does not tell them apart for sure, so that whoever
/// is not named with `et al.` is `the authors of` the work.
pub fn write(cited: &Cited<'_>) -> Option<String> {
    let works: Vec<Work> = cited.cite.iter().map(|text| Work::of(text)).collect();
    let works: Vec<&Work> = works.iter().filter(|work| !work.text.is_empty()).collect();
    let (first, others) = works.split_first()?;
    let mut text = String::new();
    let mut line = |depth: usize, key: &str, value: &str| {
        let _ = writeln!(text, "{:depth$}{key}: {}", "", quoted(value));
    };
    line(0, "cff-version", "1.2.0");
    let all: Vec<&str> = works.iter().map(|work| work.text.as_str()).collect();
    line(
        0,
        "message",
        &format!("If you use this, please cite: {}", all.join("; ")),
    );
    line(0, "type", "software");
    line(0, "title", cited.name);
    if let Some(description) = cited.description.filter(|text| !text.trim().is_empty()) {
        line(0, "abstract", description.trim());
    }
    match cited.license {
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            line(0, "license-url", url);
        }
        Some(license) if is_spdx(license) => line(0, "license", license),
        _ => {}
    }
    text.push_str("authors:\n");
    author(&mut text, 2, &by(first.authors.as_deref(), cited.name));
    text.push_str("preferred-citation:\n");
    work(&mut text, 2, first);
    if !others.is_empty() {
        text.push_str("references:\n");
    }
    for other in others {
        text.push_str("  -\n");
        work(&mut text, 4, other);
    }
    Some(text)
}

fn by(authors: Option<&str>, title: &str) -> String {
    authors.map_or_else(|| format!("the authors of {title}"), str::to_owned)
}

fn author(text: &mut String, depth: usize, name: &str) {
    let _ = writeln!(text, "{:depth$}- name: {}", "", quoted(name));
}

fn work(text: &mut String, depth: usize, work: &Work) {
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{:depth$}{key}: {}", "", quoted(value));
    };
    line("type", "generic");
    line("title", &work.title);
    line("notes", &work.text);
    if let Some(doi) = &work.doi {
        line("doi", doi);
    }
    if let Some(url) = work.address() {
        line("url", &url);
    }
    let _ = writeln!(text, "{:depth$}authors:", "");
    author(text, depth + 2, &by(work.authors.as_deref(), &work.title));
    if let Some(number) = &work.arxiv {
        let _ = writeln!(text, "{:depth$}identifiers:", "");
        let _ = writeln!(text, "{:depth$}  - type: \"other\"", "");
        let _ = writeln!(
            text,
            "{:depth$}    value: {}",
            "",
            quoted(&format!("arXiv:{number}"))
        );
        let _ = writeln!(text, "{:depth$}    description: \"number at arXiv\"", "");
    }
}

/// True for what may be a license's name at SPDX, which is all that the format takes. Its list is
/// long and grows; what is none of these few is left out.
fn is_spdx(name: &str) -> bool {
    const KNOWN: [&str; 20] = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Unlicense",
        "0BSD",
        "MPL-2.0",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "LGPL-3.0-or-later",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "CC0-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
    ];
    KNOWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cited_stands_in_its_place() {
        let cite = [
            "Dada et al., CLUE: A \"test\", arXiv 2404.04067".to_owned(),
            "Doe, J. Notes. doi:10.1000/n1".to_owned(),
        ];
        let cited = Cited {
            name: "p",
            description: Some("Makes: questions\n"),
            license: Some("MIT"),
            cite: &cite,
        };
        insta::assert_snapshot!(write(&cited).expect("cited"), @r#"
        cff-version: "1.2.0"
        message: "If you use this, please cite: Dada et al., CLUE: A \"test\", arXiv 2404.04067; Doe, J. Notes. doi:10.1000/n1"
        type: "software"
        title: "p"
        abstract: "Makes: questions"
        license: "MIT"
        authors:
          - name: "Dada et al."
        preferred-citation:
          type: "generic"
          title: "CLUE: A \"test\""
          notes: "Dada et al., CLUE: A \"test\", arXiv 2404.04067"
          url: "https://arxiv.org/abs/2404.04067"
          authors:
            - name: "Dada et al."
          identifiers:
            - type: "other"
              value: "arXiv:2404.04067"
              description: "number at arXiv"
        references:
          -
            type: "generic"
            title: "Doe, J. Notes"
            notes: "Doe, J. Notes. doi:10.1000/n1"
            doi: "10.1000/n1"
            url: "https://doi.org/10.1000/n1"
            authors:
              - name: "the authors of Doe, J. Notes"
        "#);
        let none = Cited {
            name: "p",
            ..Cited::default()
        };
        assert_eq!(write(&none), None);
    }
}
