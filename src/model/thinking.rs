//! Thinking aloud, told from the answer where a server leaves it in the text: one
//! `<think>…</think>` at the very start. Pure.

use super::chat::{Chat, Reply};
use super::spec::ModelSpec;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Takes a block of thinking off the start of the text. Without an end it is all thinking, and
/// the answer is empty, as of a model that ran out of tokens.
///
/// Only a chat's answer is looked at, and only a whole one: a base model's text, and what goes on
/// from a prefill, are what they are. A `<think>` further on may be what was asked about.
pub(super) fn split(model: &ModelSpec, chat: &Chat, mut reply: Reply) -> Reply {
    if !model.instruct || !chat.prefill.is_empty() {
        return reply;
    }
    let Some(rest) = reply.text.trim_start().strip_prefix(OPEN) else {
        return reply;
    };
    let (thinking, answer) = match rest.split_once(CLOSE) {
        Some((thinking, answer)) => (thinking.trim(), answer.trim_start().to_owned()),
        None => {
            let reason = || "length".to_owned();
            reply.finish_reason = Some(reply.finish_reason.take().unwrap_or_else(reason));
            (rest.trim(), String::new())
        }
    };
    // What the server has told apart itself comes first.
    let before = reply.thinking.take().unwrap_or_default();
    let both = [before.as_str(), thinking];
    let both: Vec<&str> = both.into_iter().filter(|part| !part.is_empty()).collect();
    reply.thinking = Some(both.join("\n")).filter(|text| !text.is_empty());
    reply.text = answer;
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Option<String>, String, Option<String>) {
        let reply = Reply {
            text: text.to_owned(),
            ..Reply::default()
        };
        let reply = split(&ModelSpec::new("w", "m"), &Chat::default(), reply);
        (reply.thinking, reply.text, reply.finish_reason)
    }

    #[test]
    fn thinking_at_the_start_is_told_apart() {
        let thought = Some("a\nb".to_owned());
        assert_eq!(
            of("<think>\na\nb\n</think>\n\nyes"),
            (thought.clone(), "yes".to_owned(), None)
        );
        assert_eq!(
            of("\n<think>a\nb</think>yes</think>"),
            (thought, "yes</think>".to_owned(), None)
        );
        assert_eq!(
            of("<think>\n\n</think>\n\nyes"),
            (None, "yes".to_owned(), None)
        );
    }

    #[test]
    fn thinking_without_an_end_leaves_no_answer() {
        assert_eq!(
            of("<think>a"),
            (
                Some("a".to_owned()),
                String::new(),
                Some("length".to_owned())
            )
        );
    }

    #[test]
    fn any_other_text_stays_as_it_is() {
        for text in ["yes", " yes", "It says <think>a</think>", "a</think>b", ""] {
            assert_eq!(of(text), (None, text.to_owned(), None));
        }
        let text = "<think>a</think>b";
        let reply = Reply {
            text: text.to_owned(),
            ..Reply::default()
        };
        let mut base = ModelSpec::new("w", "m");
        base.instruct = false;
        assert_eq!(split(&base, &Chat::default(), reply.clone()).text, text);
        let begun = Chat {
            turns: Vec::new(),
            prefill: "so".to_owned(),
            text: None,
            schema: None,
        };
        assert_eq!(
            split(&ModelSpec::new("w", "m"), &begun, reply.clone()).text,
            text
        );
    }

    #[test]
    fn what_the_server_told_apart_stays() {
        let reply = Reply {
            text: "<think>b</think>c".to_owned(),
            thinking: Some("a".to_owned()),
            ..Reply::default()
        };
        let reply = split(&ModelSpec::new("w", "m"), &Chat::default(), reply);
        assert_eq!(
            (reply.thinking.as_deref(), reply.text.as_str()),
            (Some("a\nb"), "c")
        );
    }
}
