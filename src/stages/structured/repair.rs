//! The one more round: the chat goes on with the answer that does not fit and with what is wrong
//! with it. Pure.

use super::read::Wrong;
use super::schema::Schema;
use crate::model::chat::{Chat, Role, Turn};
use crate::text::is_space;

/// The chat that asks for a better answer; none if this one fits, or says nothing at all.
pub fn chat(schema: &Schema, asked: &Chat, text: &str) -> Option<Chat> {
    if text.chars().all(is_space) {
        return None;
    }
    let wrong = schema.read(&asked.prefill, text).err()?;
    let turn = |role, text: String| Turn { role, text };
    let mut turns = asked.turns.clone();
    turns.push(turn(Role::Assistant, format!("{}{text}", asked.prefill)));
    turns.push(turn(Role::User, words(&wrong, schema)));
    Some(Chat {
        turns,
        prefill: asked.prefill.clone(),
        text: None,
        schema: None,
    })
}

/// What the model is told. It sees its own answer, so that places and keywords are enough.
fn words(wrong: &Wrong, schema: &Schema) -> String {
    let what = match wrong {
        Wrong::NoJson => "That is not JSON.".to_owned(),
        Wrong::Unfit(faults) => {
            format!(
                "That JSON is not as it should be:\n- {}",
                faults.join("\n- ")
            )
        }
    };
    let schema = schema.value();
    format!(
        "{what}\n\nAnswer once more, with the corrected JSON and nothing else. \
         It has to fit this JSON Schema:\n{schema}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::of_json;
    use super::*;

    fn ask(prefill: &str) -> Chat {
        Chat {
            turns: vec![Turn {
                role: Role::User,
                text: "Which side?".to_owned(),
            }],
            prefill: prefill.to_owned(),
            ..Chat::default()
        }
    }

    #[test]
    fn the_chat_goes_on_with_what_is_wrong() {
        let schema = of_json(&json!({"required": ["side"], "type": "object"}));
        let again = chat(&schema, &ask("{"), "\"page\": 3}").expect("does not fit");
        let said: Vec<(Role, &str)> = again
            .turns
            .iter()
            .map(|turn| (turn.role, turn.text.as_str()))
            .collect();
        assert_eq!(said[1], (Role::Assistant, "{\"page\": 3}"));
        assert_eq!(
            said[2],
            (
                Role::User,
                "That JSON is not as it should be:\n- it lacks `side`\n\nAnswer once more, with the corrected JSON and nothing else. It has to fit this JSON Schema:\n{\"required\":[\"side\"],\"type\":\"object\"}"
            )
        );
        assert_eq!(again.prefill, "{");
        let again = chat(&schema, &ask(""), "left").expect("is not JSON");
        assert!(again.turns[2].text.starts_with("That is not JSON.\n"));
    }

    #[test]
    fn what_fits_or_says_nothing_is_not_asked_again() {
        let schema = of_json(&json!({"required": ["side"]}));
        assert_eq!(chat(&schema, &ask(""), "{\"side\": 1}"), None);
        assert_eq!(chat(&schema, &ask(""), " \n"), None);
    }
}
