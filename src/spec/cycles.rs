//! Finds stages that wait for each other, and prints the whole circle.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt};
use petgraph::algo::{is_cyclic_directed, tarjan_scc};
use petgraph::graph::DiGraph;

use super::pipeline::StageSpec;
use crate::diag::{Diagnostic, Span};

/// Reports every circle of stages once: `a → b → c → a`, in the direction the records flow.
pub fn check(stages: &[&StageSpec], faults: &mut Vec<Diagnostic>) {
    let index: HashMap<&str, usize> = stages
        .iter()
        .enumerate()
        .map(|(at, stage)| (stage.name.as_str(), at))
        .collect();
    let mut graph = DiGraph::<usize, Span>::new();
    let ids: Vec<_> = (0..stages.len()).map(|at| graph.add_node(at)).collect();
    for (at, stage) in stages.iter().enumerate() {
        for source in stage.from.iter().chain(stage.with.iter().map(|(_, s)| s)) {
            if let Some(from) = index.get(source.as_str()) {
                graph.add_edge(ids[*from], ids[at], source.span);
            }
        }
    }
    if !is_cyclic_directed(&graph) {
        return;
    }
    let mut circles: Vec<Vec<usize>> = tarjan_scc(&graph)
        .into_iter()
        .map(|group| {
            let mut group: Vec<usize> = group.into_iter().map(|id| graph[id]).collect();
            group.sort_unstable();
            group
        })
        .collect();
    circles.sort();
    for group in circles {
        let first = group[0];
        if let Some(path) = shortest(&graph, first, &group) {
            let mut names: Vec<&str> = path
                .iter()
                .map(|(at, _)| stages[*at].name.as_str())
                .collect();
            // The path ends where it began; the start is not in it.
            names.insert(0, stages[first].name.as_str());
            let mut fault =
                Diagnostic::error(format!("stages wait for each other: {}", names.join(" → ")));
            for (number, (at, span)) in path.iter().enumerate() {
                let label = format!("`{}` reads `{}`", stages[*at].name.value, names[number]);
                fault = if number == 0 {
                    fault.at(*span, label)
                } else {
                    fault.also(*span, label)
                };
            }
            faults.push(fault);
        }
    }
}

/// The shortest way from a stage back to itself within its group: each stage that is entered,
/// with the place that says so.
fn shortest(
    graph: &DiGraph<usize, Span>,
    start: usize,
    group: &[usize],
) -> Option<Vec<(usize, Span)>> {
    use petgraph::visit::EdgeRef;
    let mut came: HashMap<usize, (usize, Span)> = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        let mut edges: Vec<(usize, Span)> = graph
            .edges(petgraph::graph::NodeIndex::new(at))
            .map(|edge| (graph[edge.target()], *edge.weight()))
            .filter(|(to, _)| group.binary_search(to).is_ok())
            .collect();
        edges.sort();
        for (to, span) in edges {
            if came.contains_key(&to) {
                continue;
            }
            came.insert(to, (at, span));
            if to == start {
                let mut path = Vec::new();
                let mut here = start;
                loop {
                    let (from, span) = *came.get(&here)?;
                    path.push((here, span));
                    here = from;
                    if here == start {
                        path.reverse();
                        return Some(path);
                    }
                }
            }
            open.push_back(to);
        }
    }
    None
}
