//! A record's life for a terminal: a tree in the order of the pipeline. Owns how much of long
//! texts is shown, and that nothing in them can be obeyed by a terminal.

use serde_json::Value as Json;

use super::data::{Call, End, Life, Step, What};
use crate::report::words::{brief, count, thousands};
use crate::text::visible::plain;

/// Characters of a line.
const WIDTH: usize = 100;
/// Lines of a long text that are shown at its start, and at its end.
const HEAD: usize = 4;
const TAIL: usize = 2;
/// Values that decided something.
const SHORT: usize = 60;
/// Keys of records that something counts in.
const KEYS: usize = 3;

/// What of a life is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Texts are not shortened.
    pub full: bool,
}

/// Writes a life.
pub fn text(life: &Life, look: Look) -> String {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); life.steps.len()];
    for (at, step) in life.steps.iter().enumerate() {
        for of in &step.of {
            children[*of].push(at);
        }
    }
    let mut writer = Writer {
        life,
        look,
        children,
        text: String::new(),
    };
    if life.apart > 1 {
        let apart = count(life.apart as u64, "record");
        let key = plain(&life.key);
        writer.line(
            "",
            &format!("`{key}` names {apart} that have nothing to do with each other"),
        );
        writer.line("", "");
    }
    let mut first = true;
    for (at, step) in life.steps.iter().enumerate() {
        if step.of.is_empty() {
            if !std::mem::take(&mut first) {
                writer.line("", "");
            }
            writer.step(at, None, "", "");
        }
    }
    for note in &life.notes {
        writer.line("", "");
        writer.line("", note);
    }
    writer.text
}

struct Writer<'a> {
    life: &'a Life,
    look: Look,
    children: Vec<Vec<usize>>,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, prefix: &str, line: &str) {
        self.text.push_str(format!("{prefix}{line}").trim_end());
        self.text.push('\n');
    }

    /// Writes a step and what was made of it. `head` stands before its first line, `prefix`
    /// before all others.
    fn step(&mut self, at: usize, parent: Option<usize>, head: &str, prefix: &str) {
        let step = &self.life.steps[at];
        // One that was made of several stands below the first.
        if parent.is_some() && step.of.first() != parent.as_ref() {
            let (stage, key) = (&step.stage, plain(&step.key));
            self.line(
                head,
                &format!("goes into `{stage}` {key}, which is shown elsewhere"),
            );
            return;
        }
        let before = parent.map(|parent| self.life.steps[parent].key.as_str());
        let title = title(step, before);
        self.line(head, &if self.look.full { title } else { cut(&title) });
        let inner = format!("{prefix}    ");
        self.details(step, &inner);
        if let Some(unsure) = &step.unsure {
            self.line(&inner, &format!("? not sure: {}", plain(unsure)));
        }
        for end in &step.ends {
            self.end(end, &inner);
        }
        let children = self.children[at].clone();
        match children.as_slice() {
            [] => {}
            [only] => self.step(*only, Some(at), prefix, prefix),
            [firsts @ .., last] => {
                for child in firsts {
                    let (head, prefix) = (format!("{prefix}├─ "), format!("{prefix}│  "));
                    self.step(*child, Some(at), &head, &prefix);
                }
                let (head, prefix) = (format!("{prefix}└─ "), format!("{prefix}   "));
                self.step(*last, Some(at), &head, &prefix);
            }
        }
    }

    fn details(&mut self, step: &Step, prefix: &str) {
        if let Some(crowd) = step.crowd {
            let crowd = count(crowd as u64, "record");
            self.line(prefix, &format!("made of {crowd}"));
        }
        let others: Vec<String> = step
            .with
            .iter()
            .take(KEYS)
            .map(|(stage, key)| format!("{} {}", plain(stage), plain(key)))
            .collect();
        if !others.is_empty() {
            let more = match step.with.len().saturating_sub(KEYS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.line(prefix, &format!("and of {}{more}", others.join(", ")));
        }
        for call in &step.calls {
            self.call(call, prefix);
        }
        for field in &step.fields {
            let sign = if field.was.is_some() { "~" } else { "+" };
            let name = plain(&field.name);
            self.value(&format!("{sign} {name}"), &field.value, prefix);
        }
        if !step.removed.is_empty() {
            let names: Vec<String> = step.removed.iter().map(|name| plain(name)).collect();
            self.line(prefix, &format!("- {}", names.join(", ")));
        }
    }

    fn call(&mut self, call: &Call, prefix: &str) {
        let tokens = match (call.prompt_tokens, call.answer_tokens) {
            (Some(prompt), Some(answer)) => {
                format!(" ({} + {} tokens)", thousands(prompt), thousands(answer))
            }
            _ => String::new(),
        };
        self.line(prefix, &format!("asked {}{tokens}", plain(&call.model)));
        for (role, text) in &call.turns {
            self.block(&format!("{role} >"), text, prefix);
        }
        if let Some(thinking) = &call.thinking {
            self.block("thinking <", thinking, prefix);
        }
        self.block("answer <", &call.answer, prefix);
        if let Some(finish) = call.finish.as_deref().filter(|why| *why != "stop") {
            self.line(prefix, &format!("it stopped for `{}`", plain(finish)));
        }
    }

    fn end(&mut self, end: &End, prefix: &str) {
        for call in &end.calls {
            self.call(call, prefix);
        }
        let stage = plain(&end.stage);
        let why = end.why.as_deref().map(plain).unwrap_or_default();
        let line = match end.what {
            What::Dropped => format!("x dropped by `{stage}` ({}): {why}", end.verb),
            What::Failed => format!("x failed in `{stage}` ({}): {why}", end.verb),
            What::Missing => format!("? not known from `{stage}` ({}) on: {why}", end.verb),
            What::Unread => format!("x not read by `{stage}` ({}): {why}", end.verb),
            What::Gathered => {
                let keys = end.into.iter().take(KEYS).map(|key| plain(key));
                let keys: Vec<String> = keys.collect();
                let more = match end.into.len().saturating_sub(KEYS) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "> counts in `{stage}` ({}): {}{more}{}",
                    end.verb,
                    keys.join(", "),
                    match why.is_empty() {
                        true => String::new(),
                        false => format!(" (not sure: {why})"),
                    }
                )
            }
            What::Named => format!("> read by `{stage}` ({}) {why}", end.verb),
            What::Written => format!("> written to {why}"),
        };
        self.line(prefix, &line);
        for (name, value) in &end.values {
            let value = short(value, self.look.full);
            self.line(prefix, &format!("    {} = {value}", plain(name)));
        }
    }

    /// A field: on its line if it fits, else below it.
    fn value(&mut self, name: &str, value: &Json, prefix: &str) {
        match value {
            Json::String(text) => self.block(&format!("{name}:"), text, prefix),
            other => {
                let text = other.to_string();
                let text = if self.look.full {
                    plain(&text)
                } else {
                    brief(&plain(&text), 2 * WIDTH)
                };
                self.line(prefix, &format!("{name}: {text}"));
            }
        }
    }

    /// A text: on the line of its title if it is short, else below it, shortened.
    fn block(&mut self, title: &str, text: &str, prefix: &str) {
        let text = text.trim_matches('\n');
        let lines: Vec<&str> = text.lines().collect();
        if let [] | [_] = lines.as_slice()
            && text.chars().count() <= WIDTH
        {
            let text = if text.is_empty() {
                "(nothing)".to_owned()
            } else {
                plain(text)
            };
            self.line(prefix, &format!("{title} {text}"));
            return;
        }
        let shown: Vec<String> = match self.look.full {
            true => lines.iter().map(|line| plain(line)).collect(),
            false => lines.iter().map(|line| cut(&plain(line))).collect(),
        };
        self.line(prefix, title);
        let bar = format!("{prefix}  | ");
        let hidden = shown.len().saturating_sub(HEAD + TAIL);
        // A line that says that one line is left out is no shorter.
        if self.look.full || hidden < 2 {
            shown.iter().for_each(|line| self.line(&bar, line));
            return;
        }
        shown[..HEAD].iter().for_each(|line| self.line(&bar, line));
        let hidden = count(hidden as u64, "line");
        self.line(prefix, &format!("  … {hidden} more"));
        let tail = &shown[shown.len() - TAIL..];
        tail.iter().for_each(|line| self.line(&bar, line));
    }
}

fn title(step: &Step, before: Option<&str>) -> String {
    let (stage, verb) = (plain(&step.stage), step.verb);
    // The key is told where it is new.
    let key = match before {
        Some(before) if before == step.key => String::new(),
        _ => format!("  {}", plain(&step.key)),
    };
    let did = step.did.as_deref().map(|did| format!(" {}", plain(did)));
    format!("{stage}  {verb}{}{key}", did.unwrap_or_default())
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn short(value: &Json, full: bool) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    if full {
        plain(&text)
    } else {
        plain(&brief(&text, SHORT))
    }
}
