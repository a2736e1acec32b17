//! A drawing of stages as a standalone SVG: it looks up nothing, follows the reader's light
//! or dark theme, and can be read aloud.

use std::fmt::Write;

use super::graph::{Drawing, Kind};
use super::layout::{HEIGHT, layout};
use super::words::count;

/// Pixels of a character of the usual sans-serif at 13 px, on the safe side.
const CHARACTER: f64 = 7.6;
/// Pixels of the wide characters of East Asian scripts.
const WIDE: f64 = 13.0;
/// Characters of a name that are drawn; all of it is in the box's title.
const LONGEST: usize = 40;

const STYLE: &str = "\
text{font:13px sans-serif;text-anchor:middle;fill:#222}.verb,.name{font-size:11px;fill:#666}\
.name{text-anchor:start}rect{fill:#f6f6f4;stroke:#999}\
.asks rect{fill:#e3eefb;stroke:#4a7ab5}.output rect{fill:#e6f4e3;stroke:#5a9a4c}\
path{fill:none;stroke:#999}.with{stroke-dasharray:4 3}.tip{fill:#999;stroke:none}\
@media(prefers-color-scheme:dark){svg{background:#1b1b1b}text{fill:#eee}.verb,.name{fill:#aaa}\
rect{fill:#2b2b2b;stroke:#777}.asks rect{fill:#1f3450}\
.output rect{fill:#21391d}}";

/// Draws it.
pub fn svg(drawing: &Drawing) -> String {
    let stages = &drawing.stages;
    let widths: Vec<f64> = stages
        .iter()
        .map(|stage| 24.0 + width(&short(&stage.name)).max(width(&short(&stage.verb))))
        .collect();
    let edges: Vec<(usize, usize, Option<&str>)> = drawing.edges().collect();
    let ends: Vec<(usize, usize)> = edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    let drawn = layout(&widths, &ends);
    let title = safe(&drawing.title);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" \
         height=\"{h:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"desc\">{}</desc>\n\
         <style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
        safe(&describe(drawing)),
        w = drawn.width,
        h = drawn.height,
    );
    for ((_, _, name), points) in edges.iter().zip(&drawn.edges) {
        let class = if name.is_some() {
            " class=\"with\""
        } else {
            ""
        };
        let path = path(points);
        let _ = writeln!(text, "<path{class} marker-end=\"url(#tip)\" d=\"{path}\"/>");
    }
    for ((stage, (x, y)), width) in stages.iter().zip(&drawn.boxes).zip(&widths) {
        let class = match stage.kind {
            Kind::Plain => "plain",
            Kind::Asks => "asks",
            Kind::Output => "output",
        };
        let (name, verb) = (safe(&stage.name), safe(&short(&stage.verb)));
        let middle = x + width / 2.0;
        let _ = writeln!(
            text,
            "<g class=\"{class}\"><title>{name}</title>\
             <rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{HEIGHT}\" rx=\"5\"/>\
             <text x=\"{middle:.0}\" y=\"{:.0}\">{}</text>\
             <text class=\"verb\" x=\"{middle:.0}\" y=\"{:.0}\">{verb}</text></g>",
            y + 19.0,
            safe(&short(&stage.name)),
            y + 35.0,
        );
    }
    // Last, so that no box or edge hides them: names of inputs that are not just the stage's,
    // where the last bend begins, because edges to one stage come close together at its end.
    for ((from, _, name), points) in edges.iter().zip(&drawn.edges) {
        let own = stages.get(*from).map(|stage| stage.name.as_str());
        let name = name.filter(|name| Some(*name) != own);
        if let (Some(name), [.., (x, y), _]) = (name, points.as_slice()) {
            let (x, y, name) = (x + 5.0, y + 13.0, safe(&short(name)));
            let _ = writeln!(
                text,
                "<text class=\"name\" x=\"{x:.0}\" y=\"{y:.0}\">{name}</text>"
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

/// What is drawn, in a sentence for those who cannot see it.
fn describe(drawing: &Drawing) -> String {
    let of = |kind| {
        drawing
            .stages
            .iter()
            .filter(|stage| stage.kind == kind)
            .count() as u64
    };
    let mut text = count(drawing.stages.len() as u64, "stage");
    let (asks, outputs) = (of(Kind::Asks), of(Kind::Output));
    if asks > 0 {
        let _ = write!(text, ", {asks} of them asking a model");
    }
    if outputs > 0 {
        let _ = write!(text, ", {} written", count(outputs, "output"));
    }
    for at in drawing.order.iter().copied() {
        let reads = drawing.edges().filter(|edge| edge.1 == at);
        let reads: Vec<&str> = reads
            .filter_map(|edge| drawing.stages.get(edge.0))
            .map(|stage| stage.name.as_str())
            .collect();
        if let Some(stage) = drawing.stages.get(at).filter(|_| !reads.is_empty()) {
            let _ = write!(text, "; {} reads {}", stage.name, reads.join(", "));
        }
    }
    text
}

/// A bend between the points of each pair, a straight line from pair to pair.
fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (index, pair) in points.chunks_exact(2).enumerate() {
        let ((x, y), (u, v)) = (pair[0], pair[1]);
        let m = f64::midpoint(y, v);
        let go = if index == 0 { 'M' } else { 'L' };
        let _ = write!(
            text,
            "{go}{x:.0} {y:.0}C{x:.0} {m:.0} {u:.0} {m:.0} {u:.0} {v:.0}"
        );
    }
    text
}

fn short(name: &str) -> String {
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn width(text: &str) -> f64 {
    let of = |c: char| {
        if c >= '\u{1100}' && c != '…' {
            WIDE
        } else {
            CHARACTER
        }
    };
    text.chars().map(of).sum()
}

/// For XML, which cannot hold control characters in any form.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => safe.push(' '),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::drawing;
    use super::*;

    #[test]
    fn what_is_drawn_can_be_read_aloud() {
        let told = describe(&drawing());
        insta::assert_snapshot!(told, @r#"3 stages, 1 of them asking a model, 1 output written; c reads a"<b>\#, a"<b>\#; d reads c"#);
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let mut drawing = drawing();
        drawing.title = "</title>\u{0}\u{ffff}".to_owned();
        drawing.stages[1].name = "語".repeat(60);
        let text = svg(&drawing);
        assert!(text.contains("<title id=\"title\">&lt;/title&gt;  </title>"));
        assert!(text.contains(">a&quot;&lt;b&gt;\\#</text>"));
        assert!(text.contains(&format!(">{}…</text>", "語".repeat(39))));
        assert!(text.contains(&format!("<title>{}</title>", "語".repeat(60))));
    }

    #[test]
    fn named_inputs_are_dashed_and_named() {
        let mut drawing = drawing();
        let text = svg(&drawing);
        assert_eq!(text.matches("<path class=\"with\"").count(), 1);
        assert_eq!(text.matches("<text class=\"name\"").count(), 1);
        drawing.stages[1].with[0].0 = drawing.stages[0].name.clone();
        assert_eq!(svg(&drawing).matches("<text class=\"name\"").count(), 0);
    }
}
