//! Which stages a page is made of, found from verbs alone: what has to be gone through again,
//! and whose records are taken down.

use crate::engine::pipe::{Pipe, Stage};
use crate::engine::survey::Survey;
use crate::plan::graph::Action;
use crate::replay::ledger::Depth;

/// Verbs whose records are no longer those that they read.
const GATHERS: [&str; 5] = ["stats", "compare", "pivot", "group", "concat"];
/// Verbs that give records something worth a table.
const MAKES: [&str; 3] = ["generate", "judge", "score"];
/// Verbs whose records are results.
const RESULTS: [&str; 2] = ["stats", "compare"];

/// What has to be looked at for a page.
pub struct Choice {
    /// What is gone through again.
    pub survey: Survey,
    /// Stages whose records are shown one by one.
    pub tables: Vec<usize>,
    /// Stages whose records are results.
    pub boards: Vec<usize>,
    /// How much is noted of calls.
    pub depth: Depth,
    /// For each stage: true if it is stopped when its readers have enough.
    pub open: Vec<bool>,
}

impl Choice {
    /// The stages whose records are taken down.
    pub fn taps(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().chain(&self.boards).copied()
    }
}

/// Chooses. `open` if texts of sensitive records may be shown.
pub fn choose(pipe: &Pipe, known: &Survey, open: bool) -> Choice {
    let readers = readers(pipe);
    let verb = |at: usize| pipe.stages[at].verb.name();
    let tables = tables(pipe, &readers);
    let mut boards = Vec::new();
    let mut results = vec![false; pipe.stages.len()];
    for &at in &pipe.order {
        let made = pipe.stages[at].inputs.iter().any(|from| results[*from]);
        results[at] = made || RESULTS.contains(&verb(at));
        if RESULTS.contains(&verb(at)) || (made && verb(at) == "pivot") {
            boards.push(at);
        }
    }
    boards.sort_unstable();
    let shown = |at: usize| open || !pipe.stages[at].sensitive;
    let asks = (0..pipe.stages.len()).any(|at| known.nodes[at].asks && shown(at));
    let mut needed = vec![false; pipe.stages.len()];
    let mut queue = known.targets.clone();
    while let Some(at) = queue.pop() {
        if !std::mem::replace(&mut needed[at], true) {
            queue.extend(known.nodes[at].sources());
        }
    }
    let mut planned = known.planned.clone();
    for (at, planned) in planned.iter_mut().enumerate() {
        // Prompts are only known again when they are written again; programs do not run, and
        // what is expensive is read.
        let again = known.nodes[at].asks && shown(at);
        planned.action = if !needed[at] {
            Action::Skip
        } else if known.nodes[at].heavy && planned.fresh && !again {
            Action::Read
        } else {
            Action::Run
        };
    }
    let open_ended = open_ended(pipe);
    // Who is read to the end in a run is so now, even if those readers are not asked again.
    let whole = (0..open_ended.len())
        .filter(|at| !open_ended[*at])
        .collect();
    Choice {
        survey: Survey {
            nodes: known.nodes.clone(),
            planned,
            targets: known.targets.clone(),
            whole,
            share: None,
        },
        tables,
        boards,
        depth: if asks { Depth::Calls } else { Depth::Nothing },
        open: open_ended,
    }
}

/// The stages that are stopped when their readers have enough: how far they come by then is
/// chance. `take` is the one verb that has enough.
pub fn open_ended(pipe: &Pipe) -> Vec<bool> {
    let mut open = vec![false; pipe.stages.len()];
    for &at in pipe.order.iter().rev() {
        let stages = pipe.stages.iter().enumerate();
        let mut readers = stages.filter(|(_, stage)| stage.sources().any(|from| from == at));
        let enough = |(reader, stage): (usize, &Stage)| {
            // Named inputs are read to their end.
            let named = stage.with.iter().any(|(_, from)| *from == at);
            !named && (stage.verb.name() == "take" || open[reader])
        };
        open[at] = match readers.next() {
            None => false,
            Some(first) => enough(first) && readers.all(enough),
        };
    }
    open
}

/// Who reads the records of each stage.
fn readers(pipe: &Pipe) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); pipe.stages.len()];
    for (at, stage) in pipe.stages.iter().enumerate() {
        for from in &stage.inputs {
            readers[*from].push(at);
        }
    }
    readers
}

/// The last stages that records come to, as themselves, after they were asked about or scored.
fn tables(pipe: &Pipe, readers: &[Vec<usize>]) -> Vec<usize> {
    let verb = |at: usize| pipe.stages[at].verb.name();
    let same = |at: usize| !GATHERS.contains(&verb(at));
    let writes = |at: usize| pipe.stages[at].verb.writes().is_some();
    // How much was made of the records: steps that asked or scored.
    let mut steps = vec![0_usize; pipe.stages.len()];
    for &at in &pipe.order {
        let before = pipe.stages[at].inputs.iter().map(|from| steps[*from]);
        let before = if same(at) { before.max() } else { None };
        let made = usize::from(MAKES.contains(&verb(at)));
        steps[at] = before.unwrap_or(0) + made;
    }
    let goes_on = |at: usize| {
        let mut next = readers[at].iter();
        // A few of them for an output of its own are no table of their own, and leave this one.
        next.any(|reader| same(*reader) && !writes(*reader) && verb(*reader) != "take")
    };
    let all = 0..pipe.stages.len();
    let ends: Vec<usize> = all
        .filter(|at| steps[*at] > 0 && !writes(*at) && same(*at) && !goes_on(*at))
        .collect();
    // Of two ends of the same records, one with less made of them tells nothing new.
    let behind = |at: usize| -> Vec<usize> {
        let (mut found, mut open) = (Vec::new(), vec![at]);
        while let Some(at) = open.pop() {
            let inputs = pipe.stages[at].inputs.iter();
            let made = inputs.filter(|from| same(at) && steps[**from] > 0);
            for from in made {
                if MAKES.contains(&verb(*from)) {
                    found.push(*from);
                }
                open.push(*from);
            }
        }
        if MAKES.contains(&verb(at)) {
            found.push(at);
        }
        found.sort_unstable();
        found.dedup();
        found
    };
    let made: Vec<Vec<usize>> = ends.iter().map(|at| behind(*at)).collect();
    let covered = |index: usize| {
        let mine = &made[index];
        (0..ends.len()).any(|other| {
            let all = mine.iter().all(|at| made[other].contains(at));
            other != index && all && (made[other].len() > mine.len() || other < index)
        })
    };
    let kept = (0..ends.len()).filter(|index| !covered(*index));
    kept.map(|index| ends[index]).collect()
}
