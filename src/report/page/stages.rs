//! The stages of a page: how they are drawn, how many records and calls they had, and when they
//! worked.

use super::data::{Edge, Run, Stage, Time};
use super::gather::Found;
use crate::engine::board::Stint;
use crate::plan::graph::Action;
use crate::report::layout::layout;

/// Pixels of a character of a name, on the safe side.
const CHARACTER: f64 = 7.2;
/// Characters of a name that are drawn.
const LONGEST: usize = 26;
/// The least width of a box: counts are written in it too.
const LEAST: f64 = 164.0;

/// The stages with their edges and the size of the drawing.
pub fn stages(found: &Found<'_>) -> (Vec<Stage>, Vec<Edge>, (f64, f64)) {
    let pipe = found.pipe;
    let widths: Vec<f64> = pipe.stages.iter().map(|s| width(&s.spec.name)).collect();
    let ends: Vec<(usize, usize, bool)> = edges(found).collect();
    let pairs: Vec<(usize, usize)> = ends.iter().map(|(from, to, _)| (*from, *to)).collect();
    let drawn = layout(&widths, &pairs);
    let told = found.runs.first();
    let rows = pipe.stages.iter().enumerate().map(|(at, stage)| {
        let (x, y) = drawn.boxes.get(at).copied().unwrap_or_default();
        let row = &found.board.stages[at];
        let output = found.outcome.stages[at].output.as_ref();
        let output = output.or(found.known.planned[at].output.as_ref());
        let sink = stage.verb.writes().is_some();
        let is_active = found.choice.survey.planned[at].action != Action::Skip && !sink;
        let written = output.filter(|_| sink).map(|output| output.rows);
        let open = found.choice.open[at];
        let certain = |count: u64| (is_active && !open).then_some(count);
        let asks = found.known.nodes[at].asks && is_active;
        let is_read = found.choice.survey.planned[at].action == Action::Read;
        let calls = row.calls.get();
        let stint = last(found, &stage.spec.name);
        Stage {
            name: stage.spec.name.value.clone(),
            verb: stage.verb.name(),
            kind: match (sink, found.known.nodes[at].asks) {
                (true, _) => "output",
                (_, true) => "asks",
                _ => "plain",
            },
            sensitive: stage.sensitive,
            inputs: stage.inputs.clone(),
            with: stage.with.clone(),
            at: (x, y, widths[at]),
            // What is read from the cache says how many came out, not how many went in; who
            // stops early has read more than it took. There, and where a stage was stopped
            // early, it counts how many there were when it worked.
            read: match stage.verb.name() {
                "take" => None,
                _ => certain(row.read.get()).filter(|_| !is_read).or(written),
            }
            .or(stint.map(|stint| stint.read)),
            emitted: certain(row.emitted.get())
                .or(written)
                .or(stint.map(|stint| stint.emitted)),
            chance: open,
            failed: row.failed.get(),
            calls: (asks && !is_read && !open).then_some(calls),
            missing: if asks && !open {
                calls - row.cached.get().min(calls)
            } else {
                0
            },
            time: stint.map(time),
            span: told.and_then(|run| {
                let stint = run.stints.get(&stage.spec.name.value)?;
                Some((stint.begun, stint.ended))
            }),
            settings: stage.verb.settings(),
            content: output.map(|output| output.content.short()),
        }
    });
    let stages = rows.collect();
    let edges = ends.iter().zip(drawn.edges);
    let edges = edges.map(|((from, to, with), points)| Edge {
        from: *from,
        to: *to,
        with: *with,
        points,
    });
    (stages, edges.collect(), (drawn.width, drawn.height))
}

/// The run that a page tells of: the latest in which anything worked.
pub fn run(found: &Found<'_>) -> Option<Run> {
    let facts = found.runs.first()?.facts.as_ref();
    let took = facts.and_then(|facts| facts.took);
    Some(Run {
        began: facts.map(|facts| facts.began),
        ended: facts.map(|facts| facts.ended.words()),
        took: took.map(|seconds| (seconds * 1000.0).round() as u64),
        cost: facts.and_then(|facts| facts.cost),
    })
}

/// What a stage did when it worked last.
fn last<'a>(found: &'a Found<'_>, name: &str) -> Option<&'a Stint> {
    let mut runs = found.runs.iter();
    runs.find_map(|run| run.stints.get(name))
}

fn time(stint: &Stint) -> Time {
    Time {
        took: stint.ended - stint.begun.min(stint.ended),
        asked: stint.asked,
        cached: stint.cached,
        prompt_tokens: stint.prompt_tokens,
        answer_tokens: stint.answer_tokens,
    }
}

fn edges<'a>(found: &'a Found<'_>) -> impl Iterator<Item = (usize, usize, bool)> + 'a {
    let stages = found.pipe.stages.iter().enumerate();
    stages.flat_map(|(at, stage)| {
        let plain = stage.inputs.iter().map(move |from| (*from, at, false));
        plain.chain(stage.with.iter().map(move |(_, from)| (*from, at, true)))
    })
}

fn width(name: &str) -> f64 {
    let characters = name.chars().count().min(LONGEST) as f64;
    LEAST.max(20.0 + CHARACTER * characters)
}
