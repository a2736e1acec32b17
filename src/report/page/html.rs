//! Writes a page: data compressed inside, style and script as they are, and a policy that
//! forbids the browser to load or send anything.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use ring::digest::{SHA256, digest};

use super::data::Report;

const PAGE: &str = include_str!("../html/page.html");
const STYLE: &str = include_str!("../html/style.css");
/// In the order in which they need each other, but for the last.
const SCRIPT: [&str; 8] = [
    include_str!("../html/dom.js"),
    include_str!("../html/data.js"),
    include_str!("../html/words.js"),
    include_str!("../html/diff.js"),
    include_str!("../html/charts.js"),
    include_str!("../html/graph.js"),
    include_str!("../html/records.js"),
    include_str!("../html/sections.js"),
];
/// What a page that is served has in addition: where its data come from.
const LIVE: &str = include_str!("../html/live.js");
/// Puts the page together.
const MAIN: &str = include_str!("../html/main.js");

/// The page as HTML. The same data gives the same bytes.
pub fn html(report: &Report) -> String {
    let mut data = String::new();
    let overview = serde_json::to_string(&report.overview).unwrap_or_default();
    block(&mut data, "overview", &overview);
    for (number, text) in report.blocks.iter().enumerate() {
        block(&mut data, &format!("block-{number}"), text);
    }
    page(&report.overview.name, "", "", &data)
}

/// The page without data, which it asks for at the place that it came from.
pub fn live(name: &str) -> String {
    page(name, LIVE, "connect-src 'self'; ", "")
}

fn page(name: &str, live: &str, connect: &str, data: &str) -> String {
    let script = SCRIPT.concat();
    let script = format!("'use strict';\n(() => {{\n{script}{live}{MAIN}}})();\n");
    let title = escaped(name);
    // Parts in this order hold no mark of those after them, but for the data, which are last.
    PAGE.replace("{{title}}", &title)
        .replace("{{connect}}", connect)
        .replace("{{style-hash}}", &hash(STYLE))
        .replace("{{script-hash}}", &hash(&script))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", &script)
        .replace("{{data}}", data)
}

/// Adds JSON as compressed text that cannot end its element: base64 has no `<`.
fn block(into: &mut String, id: &str, json: &str) {
    into.push_str("<script type=\"application/x-deflate\" id=\"");
    into.push_str(id);
    into.push_str("\">");
    base64(&deflated(json.as_bytes()), into);
    into.push_str("</script>\n");
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    // Into memory: nothing can fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn hash(text: &str) -> String {
    let mut hash = String::from("sha256-");
    base64(digest(&SHA256, text.as_bytes()).as_ref(), &mut hash);
    hash
}

/// Base64 of RFC 4648, section 4, with padding.
fn base64(bytes: &[u8], into: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    into.reserve(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = bits >> (18 - 6 * place) & 63;
            into.push(match place <= three.len() {
                true => char::from(DIGITS[digit as usize]),
                false => '=',
            });
        }
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // No mark of another part.
            '{' => safe.push_str("&#123;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let of = |text: &str| {
            let mut coded = String::new();
            base64(text.as_bytes(), &mut coded);
            coded
        };
        let all = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let coded = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        assert_eq!(all.map(of), coded.map(str::to_owned));
        // The policy's hash of an empty script, as browsers know it.
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    #[test]
    fn a_page_needs_nothing_from_outside() {
        let style = STYLE.to_lowercase();
        assert!(!style.contains("url(") && !style.contains("@import"));
        let mut all = SCRIPT.concat() + MAIN;
        // The name of SVG's namespace is no address that anything is fetched from.
        all = all.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http",
            "innerHTML",
            "eval(",
            "fetch(",
            "import(",
            "</script",
            "{{",
        ] {
            assert!(!all.contains(word), "{word}");
        }
        assert!(!STYLE.contains("{{") && PAGE.contains("default-src 'none'"));
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let report = Report {
            overview: super::super::data::Overview {
                name: "</title>{{script}}".to_owned(),
                ..Default::default()
            },
            blocks: vec!["\"</script>\"".to_owned()],
        };
        let page = html(&report);
        assert!(page.contains("<title>&lt;/title&gt;&#123;&#123;script}}"));
        assert_eq!(page.matches("</script>").count(), 3);
        assert_eq!(page, html(&report));
    }
}
