//! Tables of records: their columns, how they were scored, and what is shown of each record.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::calls::Calls;
use super::column::{LONG, SHORT, cut, kind, names, plain, spread};
use super::data::{Column, Columns, Detail, Details, Path, Scorer, Table};
use super::gather::{Found, Options};
use super::lives::Lives;
use super::mask::Mask;
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::record::Record;
use crate::stages::contract::{Check, FieldSet, Parsed};

/// Records of a block with details.
pub const PER: usize = 200;

/// Makes a table of a stage's records; its blocks are added to `blocks`.
pub fn table(
    found: &Found<'_>,
    stage: usize,
    records: &[Record],
    mask: &Mask,
    calls: &Calls,
    options: &Options,
    blocks: &mut Vec<String>,
) -> Table {
    let pipe = found.pipe;
    let hidden = mask.hides(pipe.stages[stage].sensitive);
    let behind = behind(pipe, stage);
    let scorers = scorers(pipe, &behind);
    let made = made(pipe, &behind);
    let scored = scored(pipe, &behind);
    let mut columns = Vec::new();
    let mut values: Vec<Vec<Json>> = Vec::new();
    for name in names(records) {
        let all: Vec<Json> = records
            .iter()
            .map(|record| record.fields.get(&name).map_or(Json::Null, plain))
            .collect();
        let mut kind = kind(all.iter());
        if kind == "number" && scored.contains(&name) {
            kind = "score";
        }
        if hidden && kind != "score" {
            continue;
        }
        columns.push(Column {
            kind,
            made: made.get(&name).copied(),
            spread: (kind == "score").then(|| spread(all.iter())).flatten(),
            name,
        });
        values.push(all);
    }
    let rows = match options.limit {
        0 => records.len(),
        most => records.len().min(most),
    };
    let shown = &records[..rows];
    let keys = shown.iter().map(|record| {
        let key = mask.key(&record.key, pipe.stages[stage].sensitive);
        key.unwrap_or_default()
    });
    let keys = keys.collect();
    let mut details = Vec::new();
    let mut lives = Known::default();
    if hidden {
        // The stages alone: keys would tell which records are about one note.
        for some in shown.chunks(PER) {
            let rows = some.iter().map(|record| Detail {
                life: lives.of(&found.lives, stage, record).life,
                ..Detail::default()
            });
            details.push(Pool::default().with(rows.collect()));
        }
    } else {
        for (number, some) in shown.chunks(PER).enumerate() {
            let mut pool = Pool::default();
            let rows = some.iter().enumerate().map(|(index, record)| {
                let life = lives.of(&found.lives, stage, record);
                let past = found.lives.past(stage, &record.key);
                let long = values.iter().enumerate().filter_map(|(column, values)| {
                    let text = values[number * PER + index].as_str()?;
                    (cut(text, SHORT).1 > 0).then(|| (column, pool.long(text)))
                });
                let long = long.collect();
                Detail {
                    long,
                    calls: calls.of(&behind, &past.read, &mut pool),
                    life: life.life,
                    keys: life.keys,
                }
            });
            let rows = rows.collect();
            details.push(pool.with(rows));
        }
    }
    for column in &mut values {
        column.truncate(rows);
        for value in column {
            if let Json::String(text) = value {
                let (short, left) = cut(text, SHORT);
                if left > 0 {
                    *text = format!("{short}…");
                }
            }
        }
    }
    let columns_block = Columns {
        keys,
        columns: values,
    };
    Table {
        stage,
        total: records.len(),
        rows,
        hidden,
        columns,
        scorers,
        lives: lives.paths,
        block: add(blocks, &columns_block),
        details: add_all(blocks, &details),
        per: PER,
    }
}

impl Detail {
    fn is_empty(&self) -> bool {
        self.long.is_empty() && self.calls.is_empty() && self.life.is_none()
    }
}

/// The lives that occurred, each once.
#[derive(Default)]
struct Known {
    paths: Vec<Path>,
    places: HashMap<Path, usize>,
}

/// A record's life.
#[derive(Default)]
struct Life {
    life: Option<usize>,
    keys: Vec<(usize, String)>,
}

impl Known {
    fn of(&mut self, lives: &Lives, stage: usize, record: &Record) -> Life {
        let nodes = lives.of(stage, &record.key);
        let path = lives.path(&nodes);
        if path.stages.len() < 2 && path.ends.is_empty() {
            return Life::default();
        }
        let paths = &mut self.paths;
        let place = *self.places.entry(path).or_insert_with_key(|path| {
            paths.push(path.clone());
            paths.len() - 1
        });
        let mut keys: Vec<(usize, String)> = Vec::new();
        let mut before: Option<&Key> = None;
        for (at, (_, key)) in nodes.iter().enumerate() {
            if before != Some(key) {
                keys.push((at, key.to_string()));
            }
            before = Some(key);
        }
        // One that never changed stands above already.
        if keys.len() < 2 {
            keys.clear();
        }
        Life {
            life: Some(place),
            keys,
        }
    }
}

fn add<T: serde::Serialize>(blocks: &mut Vec<String>, block: &T) -> usize {
    blocks.push(serde_json::to_string(block).unwrap_or_default());
    blocks.len() - 1
}

/// Adds blocks with details, unless there is nothing in any of them; their numbers.
pub fn add_all(blocks: &mut Vec<String>, details: &[Details]) -> Vec<usize> {
    if details.iter().flat_map(|d| &d.rows).all(Detail::is_empty) {
        return Vec::new();
    }
    details.iter().map(|block| add(blocks, block)).collect()
}

/// Texts, each once.
#[derive(Default)]
pub struct Pool {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

impl Pool {
    /// A block of these texts and records.
    pub fn with(self, rows: Vec<Detail>) -> Details {
        let pool = self.texts;
        Details { pool, rows }
    }

    /// The number of a text.
    pub fn long(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let (shown, left) = cut(text, LONG);
        self.texts.push(match left {
            0 => shown.to_owned(),
            left => format!("{shown}… ({left} more characters)"),
        });
        self.places.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }
}

/// The stages that a stage's records went through, inputs first, itself last.
pub fn behind(pipe: &Pipe, stage: usize) -> Vec<usize> {
    let mut through = vec![false; pipe.stages.len()];
    let mut open = vec![stage];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut through[at], true) {
            open.extend(&pipe.stages[at].inputs);
        }
    }
    let order = pipe.order.iter().copied();
    order.filter(|at| through[*at]).collect()
}

/// The fields that a stage adds, whatever it reads.
pub fn adds(pipe: &Pipe, at: usize) -> Vec<String> {
    let stage = &pipe.stages[at];
    let scope = &pipe.pipeline.scopes[stage.spec.scope];
    let params: Vec<String> = scope.params.iter().map(|p| p.name.clone()).collect();
    let models = &pipe.scopes[stage.spec.scope].models;
    let with: Vec<String> = stage.with.iter().map(|(name, _)| name.clone()).collect();
    let build = pipe.build(at, Vec::new());
    let fields = stage.verb.check(&mut Check {
        inputs: &vec![FieldSet::default(); stage.inputs.len()],
        look: stage.verb.look(&build),
        build,
        with: &with,
        params: &params,
        models: &models.keys().cloned().collect::<Vec<_>>(),
        sources: &mut pipe.pipeline.sources.clone(),
        parsed: &mut Parsed::default(),
        // Of fields that are not there: the pipeline itself was checked.
        faults: &mut Vec::new(),
    });
    fields.names
}

/// The stage that asked for, or scored, each field.
pub fn made(pipe: &Pipe, behind: &[usize]) -> HashMap<String, usize> {
    let verb = |at: usize| pipe.stages[at].verb.name();
    let makes = |at: &&usize| ["generate", "judge", "score"].contains(&verb(**at));
    let mut made = HashMap::new();
    for at in behind.iter().filter(makes) {
        made.extend(adds(pipe, *at).into_iter().map(|name| (name, *at)));
    }
    made
}

/// The fields that hold scores: those of a verb that scores which no later stage sets to
/// something else. Only they are shown of sensitive records.
pub fn scored(pipe: &Pipe, behind: &[usize]) -> HashSet<String> {
    let mut scored = HashSet::new();
    for at in behind {
        let scores = ["judge", "score"].contains(&pipe.stages[*at].verb.name());
        for name in adds(pipe, *at) {
            if scores {
                scored.insert(name);
            } else {
                scored.remove(&name);
            }
        }
    }
    scored
}

/// How records were scored on their way through these stages.
pub fn scorers(pipe: &Pipe, behind: &[usize]) -> Vec<Scorer> {
    let verb = |at: usize| pipe.stages[at].verb.name();
    let scores = behind.iter().copied();
    let scores = scores.filter(|at| ["judge", "score"].contains(&verb(*at)));
    scores
        .map(|at| {
            let settings = pipe.stages[at].verb.settings();
            let field = |name: &str| {
                let text = settings.get(name)?.as_str()?.trim();
                let plain = |c: char| c.is_alphanumeric() || c == '_';
                (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
            };
            Scorer {
                stage: at,
                metric: settings["metric"].as_str().unwrap_or(verb(at)).to_owned(),
                prediction: field("prediction"),
                reference: field("reference"),
                columns: adds(pipe, at),
                options: match verb(at) {
                    "judge" => settings["scale"].clone(),
                    _ => settings["options"].clone(),
                },
            }
        })
        .collect()
}
