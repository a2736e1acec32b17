//! What is said at the end of a run: what was made, what it took, and what failed. Plain data
//! in, text or JSON out; knows neither engine nor files.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::paint::Paint;
use super::words::{count, size, thousands, time};

/// Reasons told for each stage; all are in the errors file.
const REASONS: usize = 3;

/// A run that ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Records that each stage emitted: name and count.
    pub stages: Vec<(String, u64)>,
    /// Calls answered by models in this run.
    pub asked: u64,
    /// Calls answered from the cache.
    pub cached: u64,
    /// Tokens of the prompts of this run's calls.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub answer_tokens: u64,
    /// What was written, or was there already.
    pub outputs: Vec<Made>,
    /// Records that failed, by stage and reason.
    pub failed: Vec<Failed>,
    /// The file that lists them, if there are any.
    pub errors_file: Option<String>,
}

/// An output file.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// Where it lies.
    pub path: String,
    /// Records in it.
    pub records: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// True when it was there already, with the same content.
    pub unchanged: bool,
}

/// Records of one stage that failed for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The stage.
    pub stage: String,
    /// Why, in one line.
    pub why: String,
    /// How many.
    pub records: u64,
}

/// Counts failures given as stage and reason: stages as they first failed, the most frequent
/// reason first.
pub fn tally<'a>(failures: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Failed> {
    // One place for each stage, and in it one for each reason: failures can be many.
    let mut places = std::collections::HashMap::new();
    let mut stages: Vec<Vec<Failed>> = Vec::new();
    let mut stage_places = std::collections::HashMap::new();
    for (stage, why) in failures {
        let row = *stage_places.entry(stage).or_insert_with(|| {
            stages.push(Vec::new());
            stages.len() - 1
        });
        let at = *places.entry((row, why)).or_insert_with(|| {
            stages[row].push(Failed {
                stage: stage.to_owned(),
                why: why.to_owned(),
                records: 0,
            });
            stages[row].len() - 1
        });
        stages[row][at].records += 1;
    }
    for reasons in &mut stages {
        reasons.sort_by_key(|failed| std::cmp::Reverse(failed.records));
    }
    stages.into_iter().flatten().collect()
}

impl Summary {
    /// For people.
    pub fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let lost: u64 = self.failed.iter().map(|failed| failed.records).sum();
        let _ = write!(
            text,
            "{}: {} made, {} from the cache",
            paint.bold(&self.pipeline),
            count(self.asked, "call"),
            thousands(self.cached)
        );
        if lost > 0 {
            let told = format!("{} failed", count(lost, "record"));
            let _ = write!(text, ", {}", paint.red(&told));
        }
        let took = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let _ = writeln!(text, ", in {}", time(took));
        if self.prompt_tokens + self.answer_tokens > 0 {
            let _ = writeln!(
                text,
                "tokens: {} in prompts, {} in answers",
                thousands(self.prompt_tokens),
                thousands(self.answer_tokens)
            );
        }
        for made in &self.outputs {
            let word = if made.unchanged {
                "unchanged"
            } else {
                "written"
            };
            let (records, bytes) = (count(made.records, "record"), size(made.bytes));
            let _ = writeln!(
                text,
                "{}: {} ({records}, {bytes})",
                paint.green(word),
                made.path
            );
        }
        for reasons in self.failed.chunk_by(|a, b| a.stage == b.stage) {
            for failed in reasons.iter().take(REASONS) {
                let told = format!("{}: {}", failed.stage, count(failed.records, "record"));
                let _ = writeln!(text, "{} {told}: {}", paint.red("failed:"), failed.why);
            }
            let rest = reasons.iter().skip(REASONS);
            let (more, records) = rest.fold((0, 0), |(n, sum), f| (n + 1, sum + f.records));
            if more > 0 {
                let told = format!("{}: {}", reasons[0].stage, count(records, "record"));
                let why = count(more, "other reason");
                let _ = writeln!(text, "{} {told}: {why}", paint.red("failed:"));
            }
        }
        if let Some(file) = self.errors_file.as_ref().filter(|_| lost > 0) {
            let _ = writeln!(text, "why each record failed: {file}");
        }
        text
    }

    /// For programs: the last event of a run.
    pub fn json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "event": "end" });
        if let (Some(json), Ok(serde_json::Value::Object(fields))) =
            (json.as_object_mut(), serde_json::to_value(self))
        {
            json.extend(fields);
            let stages = self
                .stages
                .iter()
                .map(|(stage, emitted)| serde_json::json!({ "stage": stage, "emitted": emitted }));
            json.insert("stages".to_owned(), stages.collect());
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let failures = [
            ("asked", "status 500"),
            ("asked", "timed out"),
            ("asked", "timed out"),
            ("asked", "empty answer"),
            ("asked", "not JSON"),
            ("scored", "no field `answer`"),
        ];
        Summary {
            pipeline: "quickstart".to_owned(),
            seconds: 184.2,
            stages: vec![("notes".to_owned(), 12), ("asked".to_owned(), 7)],
            asked: 1076,
            cached: 3,
            prompt_tokens: 26_777,
            answer_tokens: 1617,
            outputs: vec![Made {
                path: "out/questions.jsonl".to_owned(),
                records: 1,
                bytes: 3600,
                unchanged: false,
            }],
            failed: tally(failures),
            errors_file: Some("out/errors.jsonl".to_owned()),
        }
    }

    #[test]
    fn failures_are_counted_by_stage_and_reason() {
        insta::assert_snapshot!(summary().text(Paint::default()), @r"
        quickstart: 1,076 calls made, 3 from the cache, 6 records failed, in 3 min 4 s
        tokens: 26,777 in prompts, 1,617 in answers
        written: out/questions.jsonl (1 record, 3.6 kB)
        failed: asked: 2 records: timed out
        failed: asked: 1 record: status 500
        failed: asked: 1 record: empty answer
        failed: asked: 1 record: 1 other reason
        failed: scored: 1 record: no field `answer`
        why each record failed: out/errors.jsonl
        ");
    }

    #[test]
    fn a_run_without_calls_is_short() {
        let summary = Summary {
            pipeline: "p".to_owned(),
            errors_file: Some("out/errors.jsonl".to_owned()),
            seconds: f64::NAN,
            ..Summary::default()
        };
        insta::assert_snapshot!(summary.text(Paint::default()), @"p: 0 calls made, 0 from the cache, in 0.00 s");
    }

    #[test]
    fn json_is_one_event() {
        insta::assert_snapshot!(summary().json(), @r#"{"event":"end","pipeline":"quickstart","seconds":184.2,"stages":[{"stage":"notes","emitted":12},{"stage":"asked","emitted":7}],"asked":1076,"cached":3,"prompt_tokens":26777,"answer_tokens":1617,"outputs":[{"path":"out/questions.jsonl","records":1,"bytes":3600,"unchanged":false}],"failed":[{"stage":"asked","why":"timed out","records":2},{"stage":"asked","why":"status 500","records":1},{"stage":"asked","why":"empty answer","records":1},{"stage":"asked","why":"not JSON","records":1},{"stage":"scored","why":"no field `answer`","records":1}],"errors_file":"out/errors.jsonl"}"#);
    }
}
