//! One side of a comparison: a run, the pipeline that it was of, and its records as far as they
//! are known.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::pick::{ended, pick};
use super::{Args, Failed};
use crate::cli::rehearse::{Notes, rehearse};
use crate::cli::session::Common;
use crate::engine::board::State;
use crate::engine::past::{Known, Past};
use crate::engine::pipe::Pipe;
use crate::engine::runs::RunRecord;
use crate::engine::stock::Source;
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::plan::graph::Action;
use crate::record::Record;
use crate::report::compare::{self as told, Renamed};
use crate::report::page::open_ended;
use crate::store::Store;
use crate::text::secret::redact;

/// A run and what is known of it.
pub struct Side {
    /// As it is told.
    pub told: told::Side,
    /// The pipeline as it is now, with the run's params.
    pub pipe: Arc<Pipe>,
    /// The run.
    pub run: RunRecord,
    /// What is known of it.
    pub past: Past,
    now: Survey,
    store: Store,
}

impl Side {
    /// The run of a pipeline's file that a word means.
    ///
    /// # Errors
    /// There is none, or the pipeline cannot be read.
    pub fn open(args: &Args, file: &Path, word: &str) -> Result<Side, Failed> {
        let store = Store::open_read(&args.common.settings.store)?;
        let mut runs = ended(&store, file);
        let at = pick(&runs, file, word)?;
        let (id, run) = runs.swap_remove(at);
        let common = Common {
            file: file.to_owned(),
            settings: args.common.settings.clone(),
        };
        let pipe = Arc::new(common.pipe_with(&set(&run))?);
        let now = survey(&pipe, &store, &Wanted::default())?;
        let past = Past::of(&now, &pipe.order, &store, &run, &open_ended(&pipe));
        let facts = run.facts.as_ref();
        let set = facts.map_or(&[][..], |facts| &facts.set).iter();
        let value = |name: &String| {
            let value = run.params.get(name)?.clone();
            Some((name.clone(), redact(name, value)))
        };
        let params = set.filter_map(value);
        let side = told::Side {
            name: match at {
                0 => "last".to_owned(),
                at => format!("last~{at}"),
            },
            pipeline: Some(near(&run.pipeline)),
            run: Some(id),
            began: facts.map(|facts| facts.began),
            ended: facts.map(|facts| facts.ended.words()),
            params: params.collect(),
        };
        Ok(Side {
            told: side,
            pipe,
            run,
            past,
            now,
            store,
        })
    }

    /// The records of these stages; what cannot be had after all is left out, and known to be
    /// gone.
    ///
    /// # Errors
    /// The rehearsal cannot start.
    pub fn records(&mut self, wanted: &[usize]) -> Result<HashMap<usize, Vec<Record>>, Failed> {
        let here = wanted.iter().copied();
        let here: Vec<usize> = here
            .filter(|at| self.past.known[*at] == Known::Here)
            .collect();
        let survey = self.past.survey(&self.now, &here);
        let notes = Notes {
            taps: Arc::new(Taps::new(here.iter().copied())),
            ..Notes::default()
        };
        let (_, outcome) = rehearse(&self.pipe, &self.store, &survey, Source::Nowhere, &notes)?;
        // What lacks answers, or does not run any more, lacks them in all that follows.
        for &at in &self.pipe.order {
            let runs = survey.planned[at].action == Action::Run;
            let ended = &outcome.stages[at];
            let broken = runs && (ended.unanswered || ended.state == State::Broken);
            let behind = self.now.nodes[at].sources();
            let mut behind = behind.filter(|from| survey.planned[*from].action != Action::Skip);
            let lacks = runs && behind.any(|from| !self.past.known[from].is_had());
            if broken || lacks {
                self.past.known[at] = Known::Gone;
            }
        }
        let mut records = HashMap::new();
        for at in here {
            if self.past.known[at] == Known::Here {
                records.insert(at, notes.taps.take(at));
            }
        }
        Ok(records)
    }

    /// Takes stages of the run for those of the pipeline as it is now: old names with their new ones.
    pub fn rename(&mut self, names: &Renamed) {
        self.run.stages = names.carried(&self.run.stages);
        self.run.stints = names.all(&self.run.stints);
        let open = open_ended(&self.pipe);
        self.past = Past::of(&self.now, &self.pipe.order, &self.store, &self.run, &open);
    }

    /// A prompt's text by its hash, if it is still there.
    pub fn text(&self, hash: crate::hash::Hash) -> Option<String> {
        self.store.get_blob(hash)
    }
}

/// A path as seen from here.
fn near(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

/// The values of the params that a run had and that were not their defaults, as text.
fn set(run: &RunRecord) -> BTreeMap<String, String> {
    let set = run.facts.as_ref().map_or(&[][..], |facts| &facts.set);
    let values = set.iter().filter_map(|name| {
        let text = match run.params.get(name)? {
            Json::Null => return None,
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.to_lowercase(), text))
    });
    values.collect()
}
