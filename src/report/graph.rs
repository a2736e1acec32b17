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

impl Drawing {
    /// A Mermaid flow chart.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for (at, stage) in self.stages.iter().enumerate() {
            let label = format!("{}<br/>{}", coded(&stage.name), coded(&stage.verb));
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
                let _ = writeln!(text, "  s{from} -. \"{}\" .-> s{at}", coded(name));
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
        super::svg::svg(self)
    }

    /// Every edge: from, to, and the name of a named input.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize, Option<&str>)> {
        self.stages.iter().enumerate().flat_map(|(at, stage)| {
            let plain = stage.inputs.iter().map(move |from| (*from, at, None));
            let with = stage.with.iter();
            plain.chain(with.map(move |(name, from)| (*from, at, Some(name.as_str()))))
        })
    }
}

/// For Mermaid's quoted labels, in its own form of character codes. Backslashes and backticks
/// would start a line or Markdown.
fn coded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '\\' | '`' => {
                let _ = write!(safe, "#{};", u32::from(c));
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// For DOT's quoted strings.
fn quoted(text: &str) -> String {
    let plain = text.replace('\\', "\\\\").replace('"', "\\\"");
    plain.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn drawing() -> Drawing {
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
                stage("a\"<b>\\#", Kind::Plain, &[], &[]),
                stage("c", Kind::Asks, &[0], &[("e\n".to_owned(), 0)]),
                stage("d", Kind::Output, &[1], &[]),
            ],
            order: vec![0, 1, 2],
        }
    }

    #[test]
    fn mermaid_is_whole() {
        insta::assert_snapshot!(drawing().mermaid(), @r#"
        flowchart TD
          s0["a#34;#60;b#62;#92;#35;<br/>set"]
          s1{{"c<br/>set"}}
          s2[/"d<br/>set"/]
          s0 --> s1
          s0 -. "e " .-> s1
          s1 --> s2
        "#);
    }

    #[test]
    fn dot_is_whole() {
        insta::assert_snapshot!(drawing().dot(), @r#"
        digraph "t" {
          node [shape=box, fontname="sans-serif"];
          s0 [label="a\"<b>\\#\nset", shape=box];
          s1 [label="c\nset", shape=hexagon];
          s2 [label="d\nset", shape=note];
          s0 -> s1;
          s0 -> s1 [style=dashed, label="e "];
          s1 -> s2;
        }
        "#);
    }
}
