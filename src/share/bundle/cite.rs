//! What a pipeline says of how to cite it, which is free text: the authors, title and identifiers
//! that can be told from it. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// A work to cite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The text as it was written.
    pub text: String,
    /// What stands before `et al.`, with it; none if the text has no such words.
    pub authors: Option<String>,
    /// The text without authors and identifiers.
    pub title: String,
    /// Its DOI, if one stands there.
    pub doi: Option<String>,
    /// Its number at arXiv, if one stands there.
    pub arxiv: Option<String>,
    /// An address, if one stands there that is neither.
    pub url: Option<String>,
}

/// As the handbook of DOI describes them (section 2.2), without punctuation that ends a sentence.
static DOI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:https?://(?:dx\.)?doi\.org/|doi:?\s*)?\b(10\.\d{4,9}/[^\s"<>,;]*[^\s"<>,;.)\]])"#,
    )
    .ok()
});
/// Numbers at arXiv since 2007, and those before with their archive.
static ARXIV: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:https?://)?\barxiv(?:\.org/(?:abs|pdf)/|[:\s]\s*)((?:\d{4}\.\d{4,5}|[a-z-]+/\d{7})(?:v\d+)?)").ok()
});
static URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"https?://[^\s"<>]*[^\s"<>,;.)\]]"#).ok());
static AUTHORS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(.{1,200}?\bet al\b\.?)[\s,.:;]*").ok());

impl Work {
    /// Reads a text.
    pub fn of(text: &str) -> Work {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut work = Work {
            text: text.clone(),
            ..Work::default()
        };
        let mut rest = text;
        work.doi = cut(&DOI, &mut rest);
        work.arxiv = cut(&ARXIV, &mut rest);
        work.url = cut(&URL, &mut rest);
        work.authors = cut(&AUTHORS, &mut rest);
        let bare = rest.trim_matches(|c: char| c.is_whitespace() || ",.;:()[]".contains(c));
        let bare = bare.split_whitespace().collect::<Vec<_>>().join(" ");
        work.title = if bare.is_empty() {
            work.text.clone()
        } else {
            bare
        };
        work
    }

    /// Where it is found: by its DOI, at arXiv, or as it was written.
    pub fn address(&self) -> Option<String> {
        let doi = self
            .doi
            .as_ref()
            .map(|doi| format!("https://doi.org/{doi}"));
        let arxiv = || {
            let number = self.arxiv.as_ref()?;
            Some(format!("https://arxiv.org/abs/{number}"))
        };
        doi.or_else(arxiv).or_else(|| self.url.clone())
    }
}

/// Takes what a pattern finds out of a text; gives its group, or all of it.
fn cut(pattern: &LazyLock<Option<Regex>>, text: &mut String) -> Option<String> {
    let found = pattern.as_ref()?.captures(text)?;
    let whole = found.get(0)?;
    let told = found.get(1).unwrap_or(whole).as_str().to_owned();
    let range = whole.range();
    text.replace_range(range, " ");
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_title_and_identifiers_are_told_from_text() {
        let work = Work::of(
            "Dada et al., CLUE: A Clinical Language Understanding Evaluation for LLMs, arXiv 2404.04067",
        );
        assert_eq!(work.authors.as_deref(), Some("Dada et al."));
        assert_eq!(
            work.title,
            "CLUE: A Clinical Language Understanding Evaluation for LLMs"
        );
        assert_eq!(work.arxiv.as_deref(), Some("2404.04067"));
        assert_eq!(
            work.address().as_deref(),
            Some("https://arxiv.org/abs/2404.04067")
        );
    }

    #[test]
    fn identifiers_are_found_in_their_forms() {
        let doi = |text: &str| Work::of(text).doi;
        for text in [
            "A, B (2020). doi:10.1000/xyz-1.2_3.",
            "A, B (https://doi.org/10.1000/xyz-1.2_3)",
            "10.1000/xyz-1.2_3",
        ] {
            assert_eq!(doi(text).as_deref(), Some("10.1000/xyz-1.2_3"), "{text}");
        }
        let arxiv = |text: &str| Work::of(text).arxiv;
        for (text, number) in [
            ("arXiv:2404.04067v2.", "2404.04067v2"),
            ("see https://arxiv.org/abs/2404.04067", "2404.04067"),
            ("arXiv hep-th/9901001", "hep-th/9901001"),
        ] {
            assert_eq!(arxiv(text).as_deref(), Some(number), "{text}");
        }
        assert_eq!(arxiv("version 2404.04067"), None);
        let other = Work::of("The site, https://example.org/a.");
        assert_eq!(other.url.as_deref(), Some("https://example.org/a"));
        assert_eq!((other.title.as_str(), other.authors), ("The site", None));
    }

    #[test]
    fn a_text_that_is_all_identifier_is_its_own_title() {
        let work = Work::of("https://doi.org/10.1000/1 ");
        assert_eq!(work.title, "https://doi.org/10.1000/1");
        assert_eq!(work.text, work.title);
    }
}
