//! `generate`: asks a model about each record. Owns how a record becomes a request and an
//! answer becomes a field; the engine does the asking.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asking::{Answer, Asker, Asking};
use super::bound::Bound;
use super::contract::{Ask, Build, Check, Fault, FieldSet, Operator, Verb};
use super::kept::Keep;
use super::prompted::PromptFile;
use super::shots::{SHOTS, Shots, Shown};
use super::structured::{SchemaSetting, Structure};
use super::traces::Traces;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::model::chat::{Reply, Request};
use crate::model::spec::Sampling;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;

/// Asks a model about each record, and keeps the answer in a field.
// The names of the model and the prompt are no settings that decide the output: what they
// stand for is, and `Verb::traces` tells it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// The model, by its name under `models:`.
    #[serde(skip_serializing)]
    model: Src<String>,
    /// The file of the prompt, relative to this file.
    #[serde(skip_serializing)]
    prompt: PromptFile,
    /// The field that gets the answer.
    #[serde(default = "answer")]
    into: String,
    /// A JSON Schema for the answer, or the path of a JSON or YAML file that holds one; a prompt
    /// may hold it too, as a block `{% schema %} … {% endschema %}`. The model's server is told it
    /// where it can be (see `json_schema` under `models`), the prompt sees it as `schema`, and
    /// what is answered is its JSON; a record whose answer does not fit fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<SchemaSetting>,
    /// True to ask once more when an answer does not fit the schema: the model is shown its
    /// answer and told what is wrong with it.
    #[serde(default, skip_serializing_if = "off")]
    repair: Option<Src<bool>>,
    /// What is made of the answer before it is kept: an expression over the record and
    /// `answer`, such as `answer | bullets`. With a schema, `answer` is the JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parse: Option<Src<Expr>>,
    /// How the model samples here, where it differs from the model's own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sampling: Option<Src<Sampling>>,
    /// True to take an empty answer for an answer; else its record fails.
    #[serde(default)]
    allow_empty: bool,
    /// Solved cases for the prompt, which finds them as the list `shots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shots: Option<Src<Shots>>,
    /// What else of the call is kept, each with the field that gets it.
    #[serde(default, skip_serializing_if = "Keep::is_empty")]
    keep: Keep,
}

/// The field for the answer, and its name in `parse`.
const ANSWER: &str = "answer";

fn answer() -> String {
    ANSWER.to_owned()
}

/// True where there is no repair: it is then no setting that decides anything.
pub(super) fn off(repair: &Option<Src<bool>>) -> bool {
    repair.as_ref().is_none_or(|repair| !repair.value)
}

impl Generate {
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
}

impl Verb for Generate {
    const NAME: &'static str = "generate";
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
        let mut extra = Vec::new();
        if let Some(shots) = &self.shots {
            shots.check(shots.span, &fields, cx);
            extra.push(SHOTS);
        }
        self.asking().check(cx, &fields, &extra);
        if let Some(shots) = self
            .shots
            .as_ref()
            .filter(|_| !self.prompt.mentions(SHOTS, cx))
        {
            let what = format!("the prompt says nothing of `{SHOTS}`: it would show no case");
            cx.fault(Diagnostic::error(what).at(shots.span, ""));
        }
        if let Some(schema) = self.schema.as_ref().filter(|_| self.allow_empty) {
            let what = "`allow_empty: true` does not go with `schema`: nothing is no JSON";
            cx.fault(Diagnostic::error(what).at(schema.span(), ""));
        }
        if let Some(parse) = &self.parse {
            cx.expr(parse, &fields, &[ANSWER]);
            cx.reserved(&[ANSWER], parse.span);
        }
        fields.add(&self.into);
        let mut taken = vec![self.into.as_str()];
        for name in self.keep.names() {
            if taken.contains(&name) {
                let what = format!("two things are kept in `{name}`");
                cx.fault(Diagnostic::error(what).at(self.model.span, ""));
            }
            taken.push(name);
            fields.add(name);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let parse = self.parse.as_ref().map(|parse| Bound::new(parse, cx));
        let shots = self.shots.as_ref().map(|shots| shots.chosen(cx));
        Ok(Operator::Ask(Arc::new(Generator {
            asker: self.asking().asker(cx)?,
            parse: parse.transpose()?,
            into: self.into.as_str().into(),
            allow_empty: self.allow_empty,
            shots: shots.transpose()?,
            keep: self.keep.clone(),
        })))
    }
}

struct Generator {
    asker: Asker,
    parse: Option<Bound>,
    into: Arc<str>,
    allow_empty: bool,
    shots: Option<Shown>,
    keep: Keep,
}

impl Generator {
    /// What the prompt sees of a record, besides what all see.
    fn fields(&self, record: &Record) -> Result<Fields, Fault> {
        let mut fields = record.fields.clone();
        if let Some(shots) = &self.shots {
            fields.set(SHOTS, shots.of(record)?);
        }
        Ok(fields)
    }

    /// True for a record that is an example for the others.
    fn is_shown(&self, record: &Record) -> bool {
        let shots = self.shots.as_ref();
        shots.is_some_and(|shots| shots.is_among(record))
    }
}

impl Ask for Generator {
    fn requests(&self, record: &Record) -> Result<Vec<Request>, Fault> {
        if self.is_shown(record) {
            return Ok(Vec::new());
        }
        Ok(vec![self.asker.request(&self.fields(record)?)?])
    }

    fn again(&self, _: &Record, answered: &[(Request, Reply)]) -> Result<Vec<Request>, Fault> {
        self.asker.again(answered)
    }

    fn absorb(
        &self,
        mut record: Record,
        answered: Vec<(Request, Reply)>,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        if self.is_shown(&record) {
            return Ok(());
        }
        let answered = Answer::of(answered)?;
        if let Some(why) = answered.empty.as_ref().filter(|_| !self.allow_empty) {
            return Err(Fault::Answer(why.clone()));
        }
        let answer = self.asker.read(&answered)?;
        let value = match &self.parse {
            Some(parse) => {
                let mut fields = record.fields.clone();
                fields.set(ANSWER, answer.clone());
                parse.eval(&fields).map_err(|fault| match fault {
                    Fault::Record(why) => Fault::Answer(format!("cannot parse the answer: {why}")),
                    stage => stage,
                })?
            }
            None => answer,
        };
        record.fields.set(self.into.clone(), value);
        let kept = self.keep.of(&answered);
        for (field, value) in kept {
            record.fields.set(field, value);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use crate::model::chat::Reply;
    use crate::stages::contract::{Ask, Fault, Operator};
    use crate::stages::driver::{Stage, record, show};

    const PROMPT: &str = "{% user %}\nList {{ params.n }}: {{ text }}\n{% enduser %}\n\
                          {% assistant %}\n{{ '- ' }}\n{% endassistant %}\n";

    fn stage(dir: &tempfile::TempDir, yaml: &str) -> Stage {
        let prompts = dir.path().join("prompts");
        fs::create_dir_all(&prompts).expect("a folder");
        fs::write(prompts.join("p.j2"), PROMPT).expect("written");
        Stage::within(dir.path(), "generate", yaml)
    }

    fn asker(stage: &Stage) -> Arc<dyn Ask> {
        match stage.verb().operator(&stage.build()) {
            Ok(Operator::Ask(ask)) => ask,
            Ok(_) => panic!("does not ask"),
            Err(fault) => panic!("{}", fault.message),
        }
    }

    fn answer(yaml: &str, text: &str) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let reply = Reply {
            text: text.to_owned(),
            finish_reason: Some("length".to_owned()),
            ..Reply::default()
        };
        let mut out = Vec::new();
        let record = record("k", r#"{"text":"secret"}"#);
        let ask = asker(&stage(&dir, yaml));
        let request = ask.requests(&record).expect("asks").remove(0);
        match ask.absorb(record, vec![(request, reply)], &mut out) {
            Ok(()) => Ok(show(&out)),
            Err(Fault::Answer(why)) => Err(why),
            Err(Fault::Record(why) | Fault::Call(why)) => panic!("{why}"),
            Err(Fault::Stage(fault)) => Err(fault.message),
        }
    }

    #[test]
    fn a_record_becomes_a_request() {
        let dir = tempfile::tempdir().expect("a folder");
        let yaml = "{model: writer, prompt: prompts/p.j2, sampling: {temperature: 0.5}}";
        let ask = asker(&stage(&dir, yaml));
        let requests = ask.requests(&record("k", r#"{"text":"T"}"#)).expect("asks");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].model.sampling.temperature, Some(0.5));
        let chat = requests[0].chat().expect("a chat");
        assert_eq!(chat.turns[0].text, "List 2: T");
        assert_eq!(chat.prefill, "- ");
        let lost = ask.requests(&record("k", r#"{"txt":"secret"}"#));
        let Err(Fault::Record(why)) = lost else {
            panic!("rendered without a field");
        };
        assert_eq!(why, "prompts/p.j2:2: no field `text`; did you mean `txt`?");
    }

    #[test]
    fn an_answer_goes_on_from_its_beginning() {
        let plain = "{model: writer, prompt: prompts/p.j2}";
        assert_eq!(
            answer(plain, "a\n- b"),
            Ok(vec![
                r#"k {"text":"secret","answer":"- a\n- b"}"#.to_owned()
            ])
        );
        let parsed = "{model: writer, prompt: prompts/p.j2, into: items, parse: answer | bullets}";
        assert_eq!(
            answer(parsed, "a\n- b"),
            Ok(vec![r#"k {"text":"secret","items":["a","b"]}"#.to_owned()])
        );
    }

    #[test]
    fn answers_that_are_none_fail_their_record_without_quoting_it() {
        let plain = "{model: writer, prompt: prompts/p.j2}";
        assert_eq!(
            answer(plain, " \n"),
            Err("the answer is empty (the model stopped because of `length`)".to_owned())
        );
        let lenient = "{model: writer, prompt: prompts/p.j2, allow_empty: true}";
        assert!(answer(lenient, "").is_ok());
        let parsed = "{model: writer, prompt: prompts/p.j2, parse: answer + 1}";
        let why = answer(parsed, "hush").expect_err("no number");
        assert!(why.starts_with("cannot parse the answer: "), "{why}");
        assert!(!why.contains("hush") && !why.contains("secret"), "{why}");
    }

    #[test]
    fn faults_are_told_all_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let yaml = "{model: riter, prompt: prompts/p.j2, parse: anser, sampling: {top_p: 2}}";
        let (fields, mut faults) = stage(&dir, yaml).check(&[&["txt"]]);
        assert_eq!(fields.names, ["txt", "answer"]);
        let missing = "{model: writer, prompt: prompts/q.j2}";
        faults.extend(stage(&dir, missing).check(&[&["text"]]).1);
        let all = faults.join("\n\n");
        insta::assert_snapshot!(all.replace(&format!("{}/", dir.path().display()), ""));
    }

    #[test]
    fn keys_see_what_is_asked_not_what_it_is_called() {
        let dir = tempfile::tempdir().expect("a folder");
        let yaml = "{model: writer, prompt: prompts/p.j2, into: x}";
        let stage = stage(&dir, yaml);
        let verb = stage.verb();
        assert_eq!(
            verb.settings(),
            serde_json::json!({"into": "x", "allow_empty": false})
        );
        let traces = verb.traces(&stage.build());
        assert_eq!(traces.models, ["writer"]);
        assert_eq!(traces.params, ["n"]);
        assert_eq!(traces.prompts.len(), 1);
        assert_eq!(traces.prompts[0].0, "prompts/p.j2");
        // What was hashed is what is asked, whatever happens to the file.
        fs::write(dir.path().join("prompts/p.j2"), "changed").expect("written");
        assert_eq!(verb.traces(&stage.build()), traces);
    }
}
