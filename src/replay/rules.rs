//! Answers by rule: what a model would say, for tests of pipelines. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::chat::{Question, Reply, Request};

/// An answer, and the calls that get it: all of its conditions must hold. The first rule that
/// fits decides.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Only calls of this stage.
    pub stage: Option<String>,
    /// Only calls to this model, by its name under `models:`.
    pub model: Option<String>,
    /// Only calls about the record with this key.
    pub record: Option<KeyText>,
    /// Only calls whose prompt has this text in it, or all of these texts.
    pub prompt_has: Option<Texts>,
    /// What the model says, after what the prompt begins its answer with.
    pub answer: Option<String>,
    /// What it thinks aloud before.
    pub thinking: Option<String>,
    /// Why it stops; `stop` if left out.
    pub finish_reason: Option<String>,
    /// In place of an answer: why the call fails.
    pub fails: Option<String>,
}

/// A record's key; numbers need no quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KeyText {
    /// As it is.
    Text(String),
    /// A number.
    Number(i64),
}

impl KeyText {
    /// The key.
    pub fn text(&self) -> String {
        match self {
            KeyText::Text(text) => text.clone(),
            KeyText::Number(number) => number.to_string(),
        }
    }
}

/// One text or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Rule {
    fn fits(&self, stage: &str, record: &str, model: &str, prompt: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let has = match &self.prompt_has {
            None => true,
            Some(Texts::One(text)) => prompt.contains(text.as_str()),
            Some(Texts::Many(texts)) => texts.iter().all(|text| prompt.contains(text.as_str())),
        };
        let key = self.record.as_ref().map(KeyText::text);
        is(&self.stage, stage) && is(&self.model, model) && is(&key, record) && has
    }

    fn reply(&self) -> Result<Reply, String> {
        if let Some(why) = &self.fails {
            return Err(why.clone());
        }
        let reason = self.finish_reason.clone();
        Ok(Reply {
            text: self.answer.clone().unwrap_or_default(),
            thinking: self.thinking.clone(),
            finish_reason: reason.or_else(|| Some("stop".to_owned())),
            ..Reply::default()
        })
    }
}

/// Rules, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// What a call about a record gets: an answer, or why it fails. `None` if no rule fits;
    /// none does when tokens are to be counted.
    pub fn answer(
        &self,
        stage: &str,
        record: &str,
        request: &Request,
    ) -> Option<Result<Reply, String>> {
        let Question::Chat(chat) = &request.question else {
            return None;
        };
        let mut prompt: String = chat.turns.iter().map(|t| format!("{}\n", t.text)).collect();
        prompt.push_str(&chat.prefill);
        let model = request.model.name.as_str();
        let mut rules = self.0.iter();
        let rule = rules.find(|rule| rule.fits(stage, record, model, &prompt))?;
        Some(rule.reply())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::chat::{Chat, Role, Turn};
    use crate::model::spec::ModelSpec;

    fn told(rules: &str, stage: &str, record: &str, prompt: &str) -> Option<String> {
        let rules: Vec<Rule> = serde_json::from_str(rules).expect("rules");
        let request = Request {
            model: Arc::new(ModelSpec::new("writer", "m")),
            question: Question::Chat(Chat {
                turns: vec![Turn {
                    role: Role::User,
                    text: prompt.to_owned(),
                }],
                prefill: "- ".to_owned(),
                text: None,
                schema: None,
            }),
        };
        let answer = Rules(rules).answer(stage, record, &request)?;
        Some(match answer {
            Ok(reply) => reply.text,
            Err(why) => format!("fails: {why}"),
        })
    }

    #[test]
    fn the_first_rule_decides_whose_conditions_all_hold() {
        let rules = r#"[
            {"stage": "a", "record": 2, "answer": "a2"},
            {"model": "reader", "answer": "never"},
            {"prompt_has": ["fever", "- "], "answer": "hot"},
            {"prompt_has": "cough", "fails": "status 500"},
            {"stage": "b", "model": "writer", "answer": "b"}
        ]"#;
        let told = |stage, record, prompt| told(rules, stage, record, prompt);
        assert_eq!(told("a", "2", "a cough").as_deref(), Some("a2"));
        assert_eq!(told("a", "1", "a fever").as_deref(), Some("hot"));
        assert_eq!(
            told("b", "2", "a cough").as_deref(),
            Some("fails: status 500")
        );
        assert_eq!(told("b", "2", "").as_deref(), Some("b"));
        assert_eq!(told("c", "2", ""), None);
    }
}
