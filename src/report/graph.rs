//! The stages of a pipeline as Mermaid, DOT, or a standalone SVG. Pure.

use std::fmt::Write;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The pipeline's name.
    pub title: String,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// Indices of the stages, inputs first.
    pub order: Vec<usize>,
}

/// A stage as it is drawn.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its verb.
    pub verb: String,
    /// How it looks.
    pub kind: Kind,
    /// The stages it reads.
    pub inputs: Vec<usize>,
    /// Its named inputs.
    pub with: Vec<(String, usize)>,
}

/// How a stage looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A box.
    Plain,
    /// It asks a model.
    Asks,
    /// It writes a file.
    Output,
}

/// Pixels between things, and of a box.
const GAP: f64 = 28.0;
const HEIGHT: f64 = 44.0;
/// Pixels of a character of the usual sans-serif at 13 px, on the safe side.
const CHARACTER: f64 = 7.6;

impl Drawing {
    /// A Mermaid flow chart.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for (at, stage) in self.stages.iter().enumerate() {
            let label = format!("{}<br/>{}", entities(&stage.name), entities(&stage.verb));
            let shape = match stage.kind {
                Kind::Plain => format!("[\"{label}\"]"),
                Kind::Asks => format!("{{{{\"{label}\"}}}}"),
                Kind::Output => format!("[/\"{label}\"/]"),
            };
            let _ = writeln!(text, "  s{at}{shape}");
        }
        for (at, stage) in self.stages.iter().enumerate() {
            for from in &stage.inputs {
                let _ = writeln!(text, "  s{from} --> s{at}");
            }
            for (name, from) in &stage.with {
                let _ = writeln!(text, "  s{from} -. \"{}\" .-> s{at}", entities(name));
            }
        }
        text
    }

    /// A Graphviz digraph.
    pub fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n", quoted(&self.title));
        text.push_str("  node [shape=box, fontname=\"sans-serif\"];\n");
        for (at, stage) in self.stages.iter().enumerate() {
            let shape = match stage.kind {
                Kind::Plain => "box",
                Kind::Asks => "hexagon",
                Kind::Output => "note",
            };
            let (name, verb) = (quoted(&stage.name), quoted(&stage.verb));
            let _ = writeln!(text, "  s{at} [label=\"{name}\\n{verb}\", shape={shape}];");
        }
        for (at, stage) in self.stages.iter().enumerate() {
            for from in &stage.inputs {
                let _ = writeln!(text, "  s{from} -> s{at};");
            }
            for (name, from) in &stage.with {
                let label = quoted(name);
                let _ = writeln!(
                    text,
                    "  s{from} -> s{at} [style=dashed, label=\"{label}\"];"
                );
            }
        }
        text.push_str("}\n");
        text
    }

    /// A standalone SVG, in the colours of the reader's light or dark theme.
    pub fn svg(&self) -> String {
        let boxes = self.layout();
        let width = boxes.iter().map(|b| b.x + b.width).fold(0.0, f64::max) + GAP;
        let height = boxes.iter().map(|b| b.y + HEIGHT).fold(0.0, f64::max) + GAP;
        let title = entities(&self.title);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n\
             <style>text{{font:13px sans-serif;text-anchor:middle;fill:#222}}\
             .verb{{font-size:11px;fill:#666}}rect{{fill:#f6f6f4;stroke:#999}}\
             .asks{{fill:#e3eefb;stroke:#4a7ab5}}.output{{fill:#e6f4e3;stroke:#5a9a4c}}\
             path{{fill:none;stroke:#999}}.with{{stroke-dasharray:4 3}}\
             @media(prefers-color-scheme:dark){{text{{fill:#eee}}.verb{{fill:#aaa}}\
             rect{{fill:#2b2b2b;stroke:#777}}.asks{{fill:#1f3450}}.output{{fill:#21391d}}}}</style>\n"
        );
        for (at, stage) in self.stages.iter().enumerate() {
            let plain = stage.inputs.iter().map(|from| (*from, ""));
            let with = stage
                .with
                .iter()
                .map(|(_, from)| (*from, " class=\"with\""));
            for (from, class) in plain.chain(with) {
                let (a, b) = (&boxes[from], &boxes[at]);
                let (x, y) = (a.x + a.width / 2.0, a.y + HEIGHT);
                let (u, v) = (b.x + b.width / 2.0, b.y);
                let m = f64::midpoint(y, v);
                let _ = writeln!(
                    text,
                    "<path{class} d=\"M{x:.0} {y:.0}C{x:.0} {m:.0} {u:.0} {m:.0} {u:.0} {v:.0}\"/>"
                );
            }
        }
        for (stage, b) in self.stages.iter().zip(&boxes) {
            let class = match stage.kind {
                Kind::Plain => "plain",
                Kind::Asks => "asks",
                Kind::Output => "output",
            };
            let (x, name, verb) = (
                b.x + b.width / 2.0,
                entities(&stage.name),
                entities(&stage.verb),
            );
            let _ = writeln!(
                text,
                "<rect class=\"{class}\" x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{HEIGHT}\" rx=\"5\"/>\
                 <text x=\"{x:.0}\" y=\"{:.0}\">{name}</text>\
                 <text class=\"verb\" x=\"{x:.0}\" y=\"{:.0}\">{verb}</text>",
                b.x,
                b.y,
                b.width,
                b.y + 19.0,
                b.y + 35.0
            );
        }
        text.push_str("</svg>\n");
        text
    }

    /// Boxes in layers: each stage one below the lowest that it reads, and in its layer near
    /// the middle of those.
    fn layout(&self) -> Vec<Place> {
        let mut layer = vec![0_usize; self.stages.len()];
        for &at in &self.order {
            let stage = &self.stages[at];
            let sources = stage.inputs.iter().chain(stage.with.iter().map(|(_, i)| i));
            layer[at] = sources.map(|from| layer[*from] + 1).max().unwrap_or(0);
        }
        let mut places: Vec<Place> = self.stages.iter().map(Place::of).collect();
        for depth in 0..=layer.iter().copied().max().unwrap_or(0) {
            let mut row: Vec<(f64, usize)> = (0..self.stages.len())
                .filter(|at| layer[*at] == depth)
                .map(|at| (self.wish(at, &places), at))
                .collect();
            row.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut x = GAP;
            for (wish, at) in row {
                let place = &mut places[at];
                place.x = x.max(wish - place.width / 2.0);
                place.y = GAP + depth as f64 * (HEIGHT + GAP * 1.4);
                x = place.x + place.width + GAP;
            }
        }
        places
    }

    /// The middle of the stages that a stage reads.
    fn wish(&self, at: usize, places: &[Place]) -> f64 {
        let stage = &self.stages[at];
        let sources = stage.inputs.iter().chain(stage.with.iter().map(|(_, i)| i));
        let middles: Vec<f64> = sources
            .map(|i| places[*i].x + places[*i].width / 2.0)
            .collect();
        match middles.len() {
            0 => 0.0,
            n => middles.iter().sum::<f64>() / n as f64,
        }
    }
}

struct Place {
    x: f64,
    y: f64,
    width: f64,
}

impl Place {
    fn of(stage: &Stage) -> Place {
        let characters = stage.name.chars().count().max(stage.verb.chars().count());
        Place {
            x: 0.0,
            y: 0.0,
            width: 24.0 + CHARACTER * characters as f64,
        }
    }
}

/// For XML and Mermaid, which both know these entities.
fn entities(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// For DOT's quoted strings.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let stage = |name: &str, kind, inputs: &[usize], with: &[(String, usize)]| Stage {
            name: name.to_owned(),
            verb: "set".to_owned(),
            kind,
            inputs: inputs.to_vec(),
            with: with.to_vec(),
        };
        Drawing {
            title: "t".to_owned(),
            stages: vec![
                stage("a\"<b>", Kind::Plain, &[], &[]),
                stage("c", Kind::Asks, &[0], &[("e".to_owned(), 0)]),
                stage("d", Kind::Output, &[1], &[]),
            ],
            order: vec![0, 1, 2],
        }
    }

    #[test]
    fn names_are_escaped_in_every_form() {
        let drawing = drawing();
        assert!(
            drawing
                .mermaid()
                .contains("s0[\"a&quot;&lt;b&gt;<br/>set\"]")
        );
        assert!(drawing.mermaid().contains("s0 -. \"e\" .-> s1"));
        assert!(drawing.dot().contains("label=\"a\\\"<b>\\nset\""));
        assert!(drawing.svg().contains(">a&quot;&lt;b&gt;</text>"));
    }

    #[test]
    fn stages_lie_below_what_they_read() {
        let places = drawing().layout();
        assert!(places[0].y < places[1].y && places[1].y < places[2].y);
    }
}
