//! `judge`: a model's verdict on each record, as a number. Owns how a verdict is found
//! in an answer; the engine does the asking.

mod scale;

use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::scale::{Scale, is_mark};
use super::asking::{Answer, Asker, Asking};
use super::bound::Bound;
use super::contract::{Ask, Build, Check, Fault, FieldSet, Operator, Verb};
use super::generate::off;
use super::prompted::PromptFile;
use super::structured::{SchemaSetting, Structure};
use super::traces::Traces;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::model::chat::{Reply, Request};
use crate::model::spec::Sampling;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;

/// Lets a model judge each record: it gives reasons and then, on a line of its own, a verdict
/// such as `Verdict: right`. The score goes to the field `into`, the verdict to that name with
/// `_verdict`, and the reasons to that name with `_reason`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// The model that judges, by its name under `models:`.
    #[serde(skip_serializing)]
    model: Src<String>,
    /// The file of the prompt, relative to this file. It sees the record, and the verdicts in
    /// order as the list `scale`.
    #[serde(skip_serializing)]
    prompt: PromptFile,
    /// The verdicts there are.
    scale: Src<Scale>,
    /// A JSON Schema for the judge's answer, as in `generate`. The verdict is then what stands
    /// there as `verdict`, and the reasons what stands there as `reason`, or all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<SchemaSetting>,
    /// True to ask once more when an answer does not fit the schema.
    #[serde(default, skip_serializing_if = "off")]
    repair: Option<Src<bool>>,
    /// The verdict in the judge's answer: an expression over the record and `answer`. Without
    /// it: what follows on the last line that begins with `Verdict:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<Src<Expr>>,
    /// The field that gets the score.
    #[serde(default = "score")]
    into: String,
    /// What becomes of a record whose verdict is not on the scale.
    #[serde(default)]
    unclear: Unclear,
    /// How the model samples here, where it differs from the model's own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sampling: Option<Src<Sampling>>,
}

/// What becomes of a record whose verdict is not on the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unclear {
    /// The record fails.
    #[default]
    Fail,
    /// It has no score: null, which `stats` counts as missing.
    None,
}

/// The judge's answer in `verdict`, and the list of verdicts in the prompt.
const ANSWER: &str = "answer";
const SCALE: &str = "scale";
/// Where the verdict and the reasons stand in an answer that is JSON.
const VERDICT: &str = "verdict";
const REASON: &str = "reason";

fn score() -> String {
    "score".to_owned()
}

/// What follows on a line that begins with `Verdict:`, in any case, with or without marks.
fn verdict_of(line: &str) -> Option<&str> {
    const WORD: &str = "verdict";
    let line = line.trim_start_matches(|c| is_mark(c) || matches!(c, '#' | '-'));
    let head = line.get(..WORD.len())?;
    let rest = line.get(WORD.len()..)?.trim_start_matches(is_mark);
    if !head.eq_ignore_ascii_case(WORD) {
        return None;
    }
    rest.strip_prefix(':')
}

/// The last verdict of an answer, and what comes before its line; of an answer without one:
/// all of it.
fn parts(answer: &str) -> (&str, Option<&str>) {
    let mut found = (answer, None);
    let mut start = 0;
    for line in answer.split_inclusive('\n') {
        if let Some(verdict) = verdict_of(line) {
            found = (&answer[..start], Some(verdict));
        }
        start += line.len();
    }
    (found.0.trim(), found.1)
}

impl Judge {
    fn asking(&self) -> Asking<'_> {
        Asking {
            model: &self.model,
            prompt: &self.prompt,
            sampling: self.sampling.as_ref(),
            structure: self.structure(),
        }
    }

    fn structure(&self) -> Structure<'_> {
        Structure {
            schema: self.schema.as_ref(),
            repair: self.repair.as_ref(),
        }
    }

    fn fields(&self) -> [String; 3] {
        let into = &self.into;
        [
            into.clone(),
            format!("{into}_verdict"),
            format!("{into}_reason"),
        ]
    }
}

impl Verb for Judge {
    const NAME: &'static str = "judge";
    const VERSION: u32 = 1;

    fn heavy(&self) -> bool {
        true
    }

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        self.structure().file(cx)
    }

    fn traces(&self, cx: &Build<'_>) -> Traces {
        self.asking().traces(self, cx)
    }

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        self.asking().check(cx, &fields, &[SCALE]);
        cx.reserved(&[SCALE], self.scale.span);
        for fault in self.scale.faults() {
            cx.fault(Diagnostic::error(fault).at(self.scale.span, ""));
        }
        if let Some(verdict) = &self.verdict {
            cx.expr(verdict, &fields, &[ANSWER]);
            cx.reserved(&[ANSWER], verdict.span);
        }
        self.fields().iter().for_each(|field| fields.add(field));
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let verdict = self.verdict.as_ref().map(|verdict| Bound::new(verdict, cx));
        Ok(Operator::Ask(Arc::new(Bench {
            asker: self.asking().asker(cx)?,
            scale: self.scale.value.clone(),
            verdict: verdict.transpose()?,
            fields: self.fields().map(Arc::from),
            unclear: self.unclear,
        })))
    }
}

/// Where judging is done.
struct Bench {
    asker: Asker,
    scale: Scale,
    verdict: Option<Bound>,
    fields: [Arc<str>; 3],
    unclear: Unclear,
}

impl Bench {
    /// What the prompt sees of a record, besides what all see.
    fn seen(&self, record: &Record) -> Fields {
        let mut fields = record.fields.clone();
        fields.set(SCALE, self.scale.verdicts());
        fields
    }

    /// The verdict that an answer holds.
    fn verdict(&self, record: &Record, answer: &Value) -> Result<Value, Fault> {
        let Some(expr) = &self.verdict else {
            return Ok(
                match answer.as_str().filter(|_| !self.asker.is_structured()) {
                    Some(text) => parts(text).1.map_or(Value::from(()), Value::from),
                    None => part(answer, VERDICT).unwrap_or_default(),
                },
            );
        };
        let mut fields = record.fields.clone();
        fields.set(ANSWER, answer.clone());
        expr.eval(&fields).map_err(|fault| match fault {
            Fault::Record(why) => Fault::Answer(format!("cannot read the verdict: {why}")),
            stage => stage,
        })
    }

    /// The verdict of an answer with its score, or why there is none.
    fn found(&self, record: &Record, answer: &Value) -> Result<(Value, Value), Fault> {
        let verdict = self.verdict(record, answer)?;
        // What it says may quote the record.
        let unclear = match verdict.is_none() || verdict.is_undefined() {
            true => "the judge gave no verdict",
            false => "the judge's verdict is not on the scale",
        };
        let found = self.scale.find(&verdict);
        found.ok_or_else(|| Fault::Answer(unclear.to_owned()))
    }
}

/// What stands in an answer's JSON under a name.
fn part(answer: &Value, name: &str) -> Option<Value> {
    let part = answer.get_attr(name).ok();
    part.filter(|part| !part.is_undefined())
}

impl Ask for Bench {
    fn again(&self, _: &Record, answered: &[(Request, Reply)]) -> Result<Vec<Request>, Fault> {
        self.asker.again(answered)
    }

    fn requests(&self, record: &Record) -> Result<Vec<Request>, Fault> {
        Ok(vec![self.asker.request(&self.seen(record))?])
    }

    fn absorb(
        &self,
        mut record: Record,
        answered: Vec<(Request, Reply)>,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let answered = Answer::of(answered)?;
        let read = match &answered.empty {
            Some(why) => Err(Fault::Answer(why.clone())),
            None => self.asker.read(&answered),
        };
        let reason = match read.as_ref().ok().filter(|_| self.asker.is_structured()) {
            Some(answer) => part(answer, REASON),
            None => None,
        };
        let reason = reason.unwrap_or_else(|| Value::from(parts(&answered.text).0));
        let found = read.and_then(|answer| self.found(&record, &answer));
        let (verdict, score) = match found {
            Ok(found) => found,
            Err(Fault::Answer(_)) if self.unclear == Unclear::None => {
                (Value::from(()), Value::from(()))
            }
            Err(fault) => return Err(fault),
        };
        for (field, value) in self.fields.iter().zip([score, verdict, reason]) {
            record.fields.set(field.clone(), value);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stages::driver::{Stage, record, show};

    const SETTINGS: &str = "model: writer, prompt: p.j2, scale: {wrong: 0, partly: 0.5, right: 1}";

    fn stage(dir: &tempfile::TempDir, yaml: &str) -> Stage {
        let prompt = "{{ scale | join(' or ') }}? {{ text }}";
        std::fs::write(dir.path().join("p.j2"), prompt).expect("written");
        Stage::within(dir.path(), "judge", yaml)
    }

    fn bench(stage: &Stage) -> Arc<dyn Ask> {
        match stage.verb().operator(&stage.build()) {
            Ok(Operator::Ask(ask)) => ask,
            Ok(_) => panic!("does not ask"),
            Err(fault) => panic!("{}", fault.message),
        }
    }

    fn judged(yaml: &str, answer: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let reply = Reply {
            text: answer.to_owned(),
            ..Reply::default()
        };
        let mut out = Vec::new();
        let record = record("k", r#"{"text":"secret"}"#);
        let bench = bench(&stage(&dir, &format!("{{{yaml}}}")));
        let request = bench.requests(&record).expect("asks").remove(0);
        match bench.absorb(record, vec![(request, reply)], &mut out) {
            Ok(()) => Ok(show(&out)[0].replace(r#"k {"text":"secret","#, "{")),
            Err(Fault::Answer(why)) => Err(why),
            Err(Fault::Record(why) | Fault::Call(why)) => panic!("{why}"),
            Err(Fault::Stage(fault)) => Err(fault.message),
        }
    }

    #[test]
    fn the_prompt_sees_the_scale() {
        let dir = tempfile::tempdir().expect("a folder");
        let asked = |scale: &str| {
            let yaml = format!("{{model: writer, prompt: p.j2, scale: {scale}}}");
            let requests = bench(&stage(&dir, &yaml)).requests(&record("k", r#"{"text":"T"}"#));
            requests.expect("asks")[0].chat().expect("a chat").turns[0]
                .text
                .clone()
        };
        assert_eq!(asked("{wrong: 0, right: 1}"), "wrong or right? T");
        assert_eq!(asked("[-1, 1]"), "-1 or 0 or 1? T");
    }

    #[test]
    fn the_last_verdict_counts_with_what_stands_before_it() {
        let told = judged(
            SETTINGS,
            "I waver.\nVerdict: wrong\nNo.\n\n**Verdict:** Partly.\n",
        );
        assert_eq!(
            told,
            Ok(r#"{"score":0.5,"score_verdict":"partly","score_reason":"I waver.\nVerdict: wrong\nNo."}"#.to_owned())
        );
        for line in [
            "verdict: RIGHT",
            "## Verdict: right.",
            "- **Verdict**: `right`",
            "Verdict:right",
            "  VERDICT : [right]",
        ] {
            let told = judged(SETTINGS, line);
            let right = r#"{"score":1,"score_verdict":"right","score_reason":""}"#;
            assert_eq!(told.as_deref(), Ok(right), "{line}");
        }
    }

    #[test]
    fn verdicts_are_whole_or_unclear() {
        for line in [
            "Verdict: rightly",
            "Verdict: right, I think",
            "Verdict: right or wrong",
            "Verdict:",
            "The verdict: right",
            "Verdicts: right",
            "right",
        ] {
            let why = judged(SETTINGS, line).expect_err(line);
            assert!(why.starts_with("the judge"), "{why}");
            assert!(!why.contains("right"), "{why}");
            let none = judged(&format!("{SETTINGS}, unclear: none, into: x"), line);
            let none = none.expect("goes on");
            assert!(none.starts_with(r#"{"x":null,"x_verdict":null,"#), "{none}");
        }
        assert_eq!(judged(SETTINGS, " "), Err("the answer is empty".to_owned()));
        let numbers = "model: writer, prompt: p.j2, scale: [1, 5], into: n";
        let read = |line: &str| judged(numbers, &format!("Verdict: {line}")).ok();
        for (line, score) in [("4", 4), ("**5.**", 5), ("1", 1)] {
            let told = format!(r#"{{"n":{score},"n_verdict":{score},"n_reason":""}}"#);
            assert_eq!(read(line), Some(told), "{line}");
        }
        for line in ["0", "6", "4/5", "4.5", "-1", "four", "99999999999999999999"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn an_expression_finds_the_verdict_elsewhere() {
        let own = r#"verdict: 'answer | regex_find("(?i)i say (\\w+)", group=1)'"#;
        let told = judged(&format!("{SETTINGS}, {own}"), "Well, I say RIGHT here.");
        let right =
            r#"{"score":1,"score_verdict":"right","score_reason":"Well, I say RIGHT here."}"#;
        assert_eq!(told.as_deref(), Ok(right));
        let told = judged(&format!("{SETTINGS}, {own}"), "Verdict: right");
        assert_eq!(told, Err("the judge gave no verdict".to_owned()));
        let number = "model: writer, prompt: p.j2, scale: [1, 5], verdict: 'answer | length'";
        let told = judged(number, "four");
        assert!(told.is_ok_and(|told| told.starts_with(r#"{"score":4,"#)));
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let dir = tempfile::tempdir().expect("a folder");
        let check = |yaml: &str| stage(&dir, yaml).check(&[&["txt"]]);
        let (fields, mut faults) = check(
            "{model: riter, prompt: p.j2, scale: {Right: 1, right.: 0, right: 2}, verdict: anser}",
        );
        assert_eq!(
            fields.names,
            ["txt", "score", "score_verdict", "score_reason"]
        );
        for scale in ["{right: 1}", "[5, 1]", "[1, 5000]"] {
            let yaml = format!("{{model: writer, prompt: p.j2, scale: {scale}}}");
            faults.extend(stage(&dir, &yaml).check(&[&["text"]]).1);
        }
        let all = faults.join("\n\n");
        insta::assert_snapshot!(all.replace(&format!("{}/", dir.path().display()), ""));
    }

    #[test]
    fn the_order_of_the_scale_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = |scale: &str| {
            let yaml = format!("{{model: writer, prompt: p.j2, scale: {scale}}}");
            stage(&dir, &yaml).settings()
        };
        assert_ne!(settings("{a: 0, b: 1}"), settings("{b: 1, a: 0}"));
        assert_eq!(
            settings("[1, 5]"),
            serde_json::json!({"scale": {"range": [1, 5]}, "into": "score", "unclear": "fail"})
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_read(answer in "\\PC*(\n[*# ]*[Vv]erdict\\PC*)?") {
            let (reason, verdict) = parts(&answer);
            prop_assert!(answer.contains(reason));
            prop_assert!(verdict.is_none_or(|verdict| answer.contains(verdict)));
        }
    }
}
