//! Docs as text for a terminal. Pure.

use unicode_width::UnicodeWidthStr;

use super::topics::Topic;
use super::tree::{Setting, plain};

/// Columns of a line at most.
const WIDTH: usize = 92;

/// One topic with all its settings.
pub fn topic(topic: &Topic) -> String {
    // A filter's line begins with its use, and a verb's with what it does.
    let mut text = match topic.kind {
        "filter" | "test" => wrapped(&topic.about, 0),
        "part" => format!("{}:\n{}", topic.name, wrapped(&topic.about, 2)),
        kind => {
            let of = topic.of.as_ref().map(|of| format!(": {of}"));
            let head = format!("{} ({kind}){}", topic.name, of.unwrap_or_default());
            format!("{head}\n{}", wrapped(&topic.about, 2))
        }
    };
    for (at, setting) in topic.settings.iter().enumerate() {
        // The first line of settings stands apart.
        if at == 0 {
            text.push('\n');
        }
        put(setting, 2, &mut text);
    }
    if topic.kind == "verb" {
        text.push_str(
            "\n  As every stage: `from`, `with`, `when`, `on_error` (`clue docs stages`).\n",
        );
    }
    text
}

fn put(setting: &Setting, indent: usize, text: &mut String) {
    let space = " ".repeat(indent);
    let mut facts: Vec<String> = Vec::new();
    if !setting.of.is_empty() {
        facts.push(setting.of.clone());
    }
    if setting.required {
        facts.push("required".to_owned());
    }
    if let Some(default) = &setting.default {
        facts.push(format!("default {}", plain(default)));
    }
    let head = match facts.is_empty() {
        true => setting.name.clone(),
        false => format!("{}: {}", setting.name, facts.join(", ")),
    };
    text.push_str(&format!("{space}{head}\n"));
    text.push_str(&wrapped(&setting.about, indent + 4));
    for choice in setting
        .choices
        .iter()
        .filter(|choice| !choice.about.is_empty())
    {
        let line = format!("{}: {}", plain(&choice.value), choice.about);
        text.push_str(&wrapped(&line, indent + 4));
    }
    for inner in &setting.settings {
        put(inner, indent + 4, text);
    }
}

/// Topics with a sentence each.
pub fn list<'a>(topics: impl Iterator<Item = &'a Topic>) -> String {
    let topics: Vec<&Topic> = topics.collect();
    let widest = topics.iter().map(|topic| topic.name.width()).max();
    let indent = widest.unwrap_or(0) + 4;
    let mut text = String::new();
    for topic in topics {
        let about = wrapped(topic.sentence(), indent);
        let name = format!("  {}", topic.name);
        let rest = about.get(name.len().min(about.len())..).unwrap_or("");
        match rest.trim().is_empty() {
            true => text.push_str(&format!("{name}\n")),
            false => text.push_str(&format!("{name}{rest}")),
        }
    }
    text
}

/// A text in lines that are not too long, each behind some white space, and with a line break at
/// its end.
pub fn wrapped(text: &str, indent: usize) -> String {
    let space = " ".repeat(indent);
    let mut lines = String::new();
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if paragraph.trim().is_empty() {
            continue;
        }
        if number > 0 {
            lines.push('\n');
        }
        let mut line = space.clone();
        for word in paragraph.split_whitespace() {
            let is_first = line.len() == indent;
            if !is_first && line.width() + 1 + word.width() > WIDTH {
                lines.push_str(&line);
                lines.push('\n');
                line = space.clone();
            } else if !is_first {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
