//! Waves: what of a plan can be done now by many machines at once, each for its share of the
//! records, before somebody has to see all of them. Pure.
//!
//! A stage that waits for answers has its records shared out. So have the stages behind it, as
//! long as each treats a record by itself; where one needs to see all records, the wave ends, and
//! the next begins once all shares are in the cache.

use serde::{Deserialize, Serialize};

use super::graph::{Action, Node, Planned};

/// What a machine does of a stage in a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Nothing: it is not needed, or belongs to a later wave.
    None,
    /// All of it, as every machine does: its answers are in the cache.
    All,
    /// Its share of the records.
    Share,
    /// All of it, as one machine does for the others: it cannot be shared out.
    Sole,
}

/// The next wave of a plan: the part of each stage. `lacks` says which stages lack answers of
/// their own in the cache. None if no stage does.
///
/// `order` is one in which every stage comes after those that it reads.
pub fn wave(
    nodes: &[Node],
    order: &[usize],
    planned: &[Planned],
    lacks: &[bool],
) -> Option<Vec<Part>> {
    let runs = |at: usize| planned[at].action == Action::Run;
    let mut parts = vec![Part::None; nodes.len()];
    // Stages whose output is not known to the last record, and those that must wait for it.
    let mut open = vec![false; nodes.len()];
    let mut waits = vec![false; nodes.len()];
    for &at in order {
        let node = &nodes[at];
        if !runs(at) {
            continue;
        }
        let sources = || node.sources().zip(node.ports());
        let shared = |source: usize| nodes[source].recordwise.contains(&true);
        waits[at] = sources()
            .any(|(source, apart)| waits[source] || (open[source] && !(apart && shared(source))));
        open[at] = lacks[at] || sources().any(|(source, _)| open[source]);
        parts[at] = if waits[at] || node.sink {
            Part::None
        } else if !open[at] {
            Part::All
        } else if shared(at) {
            Part::Share
        } else {
            Part::Sole
        };
    }
    needed(nodes, &mut parts).then_some(parts)
}

/// Drops what nothing is made of that is shared out; false if nothing is left.
pub fn needed(nodes: &[Node], parts: &mut [Part]) -> bool {
    let wanted = |at: &usize| matches!(parts[*at], Part::Share | Part::Sole);
    let mut open: Vec<usize> = (0..nodes.len()).filter(wanted).collect();
    let any = !open.is_empty();
    let mut needed = vec![false; nodes.len()];
    while let Some(at) = open.pop() {
        if parts[at] != Part::None && !std::mem::replace(&mut needed[at], true) {
            open.extend(nodes[at].sources());
        }
    }
    for (part, needed) in parts.iter_mut().zip(needed) {
        if !needed {
            *part = Part::None;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::plan::manifest::Manifest;

    /// A stage that reads `inputs`, each with whether it treats the records from there one by one.
    fn node(inputs: &[(usize, bool)]) -> Node {
        Node {
            name: String::new(),
            verb: String::new(),
            inputs: inputs.iter().map(|(at, _)| *at).collect(),
            with: Vec::new(),
            heavy: false,
            recordwise: inputs.iter().map(|(_, apart)| *apart).collect(),
            sink: false,
            asks: false,
            manifest: Manifest::default(),
            sealed: Manifest::default().seal(),
        }
    }

    fn parts(nodes: &[Node], lacking: &[usize]) -> Option<Vec<Part>> {
        let order: Vec<usize> = (0..nodes.len()).collect();
        let planned: Vec<Planned> = nodes
            .iter()
            .map(|_| Planned {
                recipe: Hash::of_bytes(b""),
                output: None,
                identity: None,
                fresh: false,
                action: Action::Run,
            })
            .collect();
        let lacks: Vec<bool> = order.iter().map(|at| lacking.contains(at)).collect();
        wave(nodes, &order, &planned, &lacks)
    }

    use Part::{All, None as Nothing, Share, Sole};

    #[test]
    fn a_wave_ends_where_all_records_are_needed() {
        // load, ask, explode, ask, sort, ask
        let nodes = [
            node(&[]),
            node(&[(0, true)]),
            node(&[(1, true)]),
            node(&[(2, true)]),
            node(&[(3, false)]),
            node(&[(4, true)]),
        ];
        let first = [All, Share, Share, Share, Nothing, Nothing];
        assert_eq!(parts(&nodes, &[1]).as_deref(), Some(&first[..]));
        assert_eq!(parts(&nodes, &[1, 3, 5]).as_deref(), Some(&first[..]));
        let second = [All, All, All, Share, Nothing, Nothing];
        assert_eq!(parts(&nodes, &[3]).as_deref(), Some(&second[..]));
        let last = [All, All, All, All, All, Share];
        assert_eq!(parts(&nodes, &[5]).as_deref(), Some(&last[..]));
        assert_eq!(parts(&nodes, &[]), None);
    }

    #[test]
    fn a_program_is_run_by_one_and_waited_for() {
        let nodes = [node(&[]), node(&[(0, false)]), node(&[(1, true)])];
        let parts = parts(&nodes, &[1, 2]);
        assert_eq!(parts.as_deref(), Some(&[All, Sole, Nothing][..]));
    }

    #[test]
    fn a_whole_second_input_does_not_end_it() {
        // Two files, an answer about each record of the first, joined with the second: asked again.
        let nodes = [
            node(&[]),
            node(&[]),
            node(&[(0, true)]),
            node(&[(2, true), (1, false)]),
            node(&[(3, true)]),
        ];
        let wave = parts(&nodes, &[2]);
        assert_eq!(wave.as_deref(), Some(&[All, All, Share, Share, Share][..]));
        // The other way round all answers are needed.
        let turned = [
            nodes[0].clone(),
            nodes[1].clone(),
            nodes[2].clone(),
            node(&[(1, true), (2, false)]),
            node(&[(3, true)]),
        ];
        let wave = parts(&turned, &[2]);
        assert_eq!(
            wave.as_deref(),
            Some(&[All, Nothing, Share, Nothing, Nothing][..])
        );
    }

    #[test]
    fn named_inputs_are_needed_as_a_whole() {
        let mut asks = node(&[(0, true)]);
        asks.with.push(("all".to_owned(), 1));
        let nodes = [node(&[]), node(&[(0, true)]), asks];
        let wave = parts(&nodes, &[1]);
        assert_eq!(wave.as_deref(), Some(&[All, Share, Nothing][..]));
    }
}
