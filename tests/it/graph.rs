//! What `clue graph` draws.

use crate::support::{Project, root};

const SMALL: &str = "\
clue: 1
name: p
stages:
  a:
    load: {path: n.jsonl}
  b:
    from: a
    exec: {command: [cat]}
outputs:
  o.jsonl: {from: b}
";

fn medisumqa(format: &str) -> String {
    let root = root().display();
    let words = format!(
        "graph --format {format} {root}/pipelines/medisumqa.yaml \
         -p notes={root}/tests/data/discharge.csv.gz"
    );
    Project::new(&[]).ok(&words).stdout
}

/// The names of all elements, in order; fails if the tags don't balance.
fn elements(xml: &str) -> Vec<&str> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("tags are closed");
        assert!(!text.contains('>'), "a bare `>` after <{tag}>");
        let name = tag.trim_matches('/').split_whitespace().next();
        let name = name.expect("tags have names");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        found.push(name);
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    found
}

#[test]
fn a_small_pipeline_as_mermaid_and_dot() {
    let project = Project::new(&[("p.yaml", SMALL), ("n.jsonl", "{\"x\":1}\n")]);
    assert_eq!(
        project.ok("graph p.yaml").stdout,
        "\
flowchart TD
  s0[\"a<br/>load\"]
  s1[\"b<br/>exec\"]
  s2[/\"o.jsonl<br/>write\"/]
  s0 --> s1
  s1 --> s2
"
    );
    assert_eq!(
        project.ok("graph --format dot p.yaml").stdout,
        "\
digraph \"p\" {
  node [shape=box, fontname=\"sans-serif\"];
  s0 [label=\"a\\nload\", shape=box];
  s1 [label=\"b\\nexec\", shape=box];
  s2 [label=\"o.jsonl\\nwrite\", shape=note];
  s0 -> s1;
  s1 -> s2;
}
"
    );
}

#[test]
fn the_three_forms_draw_the_same_stages_and_edges() {
    let (mermaid, dot, svg) = (medisumqa("mermaid"), medisumqa("dot"), medisumqa("svg"));
    let stages = mermaid.matches("<br/>").count();
    let edges = mermaid.lines().filter(|l| l.contains("->")).count();
    assert!(stages > 20 && edges >= stages);
    assert_eq!(dot.matches(", shape=").count(), stages);
    assert_eq!(dot.matches(" -> ").count(), edges);
    let names = elements(&svg);
    assert_eq!(names.first(), Some(&"svg"));
    assert_eq!(names.iter().filter(|n| **n == "rect").count(), stages);
    // Arrow heads are paths too; only edges carry one.
    assert_eq!(svg.matches("marker-end=").count(), edges);
}
