//! Logs as Inspect (`inspect_ai`) has them, version 2 of its format: one for each chain of
//! stages that ask a model and score its answers. Pure: plain data in, JSON out.
//!
//! Inspect reads such a file as one of its own: `inspect log dump`, `inspect view`, and
//! `inspect_ai.log.read_eval_log`. Names and meaning of the fields are those of its `EvalLog`;
//! what it does not know is under `metadata`. The same run gives the same bytes: times are the
//! run's, and names are made of hashes.

mod message;
mod results;
mod sample;

use serde_json::{Map, Value as Json, json};

use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::engine::runs::RunRecord;
use crate::hash::Hash;
use crate::model::spec::ModelSpec;
use crate::record::Record;
use crate::replay::cassette::Entry;
use crate::report::page::calls::Calls;
use crate::report::page::{Lives, Past, Scorer};
use crate::text::moment::moment;

pub use sample::Samples;

/// A chain of stages, and what came out of it.
pub struct Chain<'a> {
    /// The pipeline.
    pub pipe: &'a Pipe,
    /// Its last stage.
    pub stage: usize,
    /// Its stages, inputs first.
    pub behind: Vec<usize>,
    /// How its records were scored.
    pub scorers: Vec<Scorer>,
    /// The stage that asked for what was scored, if one did.
    pub asked: Option<usize>,
    /// Its records.
    pub records: Vec<&'a Record>,
    /// The records of the stages that scored, each with its stage.
    pub scored: &'a [(usize, Vec<Record>)],
    /// The calls of the run.
    pub calls: &'a Calls,
    /// What the records were made of.
    pub lives: &'a Lives,
    /// Records that failed on the way, or have no answer.
    pub failed: Vec<&'a Lost>,
    /// The run in which it last worked.
    pub run: Option<&'a RunRecord>,
    /// The hash of the pipeline's lock.
    pub lock: Hash,
    /// Its data comes from what is marked `sensitive`.
    pub sensitive: bool,
}

/// A record that did not come to the end.
pub struct Lost {
    /// The stage in which it was lost.
    pub stage: usize,
    /// Its key there.
    pub key: String,
    /// Why, without any of its content.
    pub why: String,
}

/// A log, and the name of its file, as Inspect names its own.
pub struct Log {
    /// The name.
    pub name: String,
    /// What is in it.
    pub json: Json,
}

impl Chain<'_> {
    /// The log.
    pub fn log(&self) -> Log {
        let (task, model) = (self.task(), self.model());
        let (began, ended) = self.times();
        let id = |what: &str| self.id(what, &task, &model);
        let samples = Samples::new(self, &model, &id("eval"));
        let names: Vec<&Json> = samples.json.iter().map(|sample| &sample["id"]).collect();
        let config = self.config();
        let stages = self.behind.iter().map(|at| self.name(*at));
        let mut plan = Vec::new();
        if let Some(at) = self.asked {
            let verb = self.pipe.stages[at].verb.name();
            plan.push(
                json!({"solver": verb, "params": {"stage": self.name(at)}, "params_passed": {}}),
            );
        }
        let json = json!({
            "version": 2,
            "status": "success",
            "eval": {
                "eval_id": id("eval"),
                "run_id": id("run"),
                "created": began,
                "task": task,
                "task_id": id("task"),
                "task_version": 0,
                "task_display_name": task,
                "task_attribs": {},
                "task_args": {},
                "task_args_passed": {},
                "dataset": {
                    "name": self.dataset(),
                    "samples": names.len(),
                    "sample_ids": names,
                    "shuffled": false,
                },
                "model": model,
                "model_generate_config": config,
                "model_args": {},
                "config": {"epochs": 1, "log_samples": true, "fail_on_error": false},
                "packages": {"clue": env!("CARGO_PKG_VERSION")},
                "metadata": {
                    "pipeline": self.pipe.pipeline.name,
                    "lock": self.lock,
                    "stages": stages.collect::<Vec<_>>(),
                    "sensitive": self.sensitive,
                    "failed": self.failed.len(),
                },
                "scorers": results::scorers(&self.scorers),
            },
            "plan": {"name": "plan", "steps": plan, "config": config},
            "results": results::results(self, &samples),
            "stats": {
                "started_at": began,
                "completed_at": ended,
                "model_usage": samples.usage(),
                "role_usage": {},
            },
            "samples": samples.json,
        });
        let plain = |text: &str| -> String {
            let keep = |c: char| c.is_alphanumeric() || c == '.';
            text.chars()
                .map(|c| if keep(c) { c } else { '-' })
                .collect()
        };
        Log {
            name: format!("{}_{}_{}.json", plain(&began), plain(&task), id("task")),
            json,
        }
    }

    /// What a record that was lost was made of: what its stage read of that name.
    fn past_of(&self, lost: &Lost) -> Past {
        let key: Key = lost.key.as_str().into();
        let inputs = self.pipe.stages[lost.stage].inputs.iter();
        let read = inputs.map(|input| (*input, key.clone())).collect();
        let mut past = self.lives.past_of(read);
        past.read.entry(lost.stage).or_default().push(key);
        past
    }

    /// The calls of a stage about what a record was made of.
    fn entries(&self, past: &Past, stage: usize) -> Vec<&Entry> {
        let keys = past.read.get(&stage).into_iter().flatten();
        keys.flat_map(|key| self.calls.entries(stage, key))
            .collect()
    }

    fn name(&self, at: usize) -> &str {
        &self.pipe.stages[at].spec.name.value
    }

    /// What the records say is their task; else the instance that they come from; else the
    /// pipeline.
    fn task(&self) -> String {
        if let Some(task) = self.constant("task") {
            return task;
        }
        let stage = &self.pipe.stages[self.stage];
        let prefix = &self.pipe.pipeline.scopes[stage.spec.scope].prefix;
        match prefix.trim_end_matches('/') {
            "" => self.pipe.pipeline.name.clone(),
            instance => instance.to_owned(),
        }
    }

    fn model(&self) -> String {
        let spec = self.spec().map(|spec| spec.id);
        // Inspect's own word for a task without a model.
        spec.or_else(|| self.constant("model"))
            .unwrap_or_else(|| "none/none".to_owned())
    }

    /// The model that was asked.
    fn spec(&self) -> Option<ModelSpec> {
        let asked = self.pipe.asked(self.asked?);
        asked.first().map(|model| (**model).clone())
    }

    /// The text that all records have in a field.
    fn constant(&self, field: &str) -> Option<String> {
        let value = |record: &Record| record.fields.get(field)?.as_str().map(str::to_owned);
        let mut values = self.records.iter().copied().map(value);
        let first = values.next()??;
        values
            .all(|value| value.as_ref() == Some(&first))
            .then_some(first)
    }

    /// How the model sampled, as far as Inspect has words for it: as the first call was sent.
    fn config(&self) -> Json {
        let first = self.records.iter().find_map(|record| {
            let past = self.lives.past(self.stage, &record.key);
            let entries = self.entries(&past, self.asked?);
            entries.first()?.asked.clone()
        });
        let sent = first.unwrap_or_default();
        let sent = match &sent["parameters"] {
            Json::Object(_) => &sent["parameters"],
            _ => &sent,
        };
        let mut config = Map::new();
        for (ours, theirs) in [
            ("temperature", "temperature"),
            ("top_p", "top_p"),
            ("top_k", "top_k"),
            ("max_tokens", "max_tokens"),
            ("max_new_tokens", "max_tokens"),
            ("seed", "seed"),
            ("stop", "stop_seqs"),
            ("stop_sequences", "stop_seqs"),
        ] {
            if let Some(value) = sent.get(ours).filter(|value| !value.is_null()) {
                config.insert(theirs.to_owned(), value.clone());
            }
        }
        Json::Object(config)
    }

    /// The name of the file that the records come from.
    fn dataset(&self) -> Option<String> {
        let mut at = self.stage;
        while let Some(from) = self.pipe.stages[at].inputs.first() {
            at = *from;
        }
        let stage = &self.pipe.stages[at];
        let file = stage.verb.files(&self.pipe.build(at, Vec::new()));
        let name = file.first()?.file_name()?.to_string_lossy().into_owned();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        Some(
            name.split_once('.')
                .map_or(name, |(stem, _)| stem)
                .to_owned(),
        )
    }

    /// When the run began and ended. Of one that is not known, when time began.
    fn times(&self) -> (String, String) {
        let facts = self.run.and_then(|run| run.facts.as_ref());
        let began = facts.map_or(0, |facts| facts.began);
        let took = facts.and_then(|facts| facts.took).unwrap_or(0.0);
        let text = |millis: u64| {
            let seconds = i64::try_from(millis / 1000).unwrap_or(0);
            format!("{}+00:00", moment(seconds, 1))
        };
        let millis = (took.max(0.0) * 1000.0).round() as u64;
        (text(began), text(began.saturating_add(millis)))
    }

    /// A name as long as those that Inspect draws at random.
    fn id(&self, what: &str, task: &str, model: &str) -> String {
        let run = self.run.and_then(|run| run.facts.as_ref());
        let began = run.map(|facts| facts.began);
        let about = match what {
            "run" => json!({"what": what, "lock": self.lock, "began": began}),
            _ => json!({
                "what": what, "lock": self.lock, "began": began, "task": task, "model": model,
                "stage": self.name(self.stage), "asked": self.asked.map(|at| self.name(at)),
            }),
        };
        let hash = Hash::of("clue inspect name v1", &about).to_string();
        hash[..22].to_owned()
    }
}
