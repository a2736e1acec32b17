//! From templates and a record to a chat. Owns the environment, the function behind role
//! blocks, and the rules that a chat keeps. Turns are collected as data while the template
//! runs, not found in its output afterwards: no text of a record can begin a turn.

use std::borrow::Cow;
use std::collections::HashMap;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::Prompt;
use super::files::File;
use super::roles::FUNCTION;
use crate::diag::{Diagnostic, Span, nearest};
use crate::jinja::expr::{Scope, describe, is_global};
use crate::model::chat::{Chat, Role, Turn};
use crate::text::{is_space, strip};

/// The turns so far, while a template runs.
#[derive(Default)]
struct Turns {
    done: Vec<(Role, String)>,
    open: bool,
}

/// An environment with the templates of a prompt.
///
/// # Errors
/// Syntax errors, each at its place.
pub(super) fn environment(files: &[File]) -> Result<Environment<'static>, Vec<Diagnostic>> {
    let mut env = crate::jinja::environment();
    env.add_function(FUNCTION, role);
    let links: HashMap<String, HashMap<String, String>> = files
        .iter()
        .map(|file| {
            let targets = file.links.iter().filter_map(|(name, target)| {
                Some((name.clone(), files.get((*target)?)?.name.clone()))
            });
            (file.name.clone(), targets.collect())
        })
        .collect();
    env.set_path_join_callback(move |name, from| {
        let target = links.get(from).and_then(|links| links.get(name));
        // No file has this name, so that a missing file is missing to Jinja too.
        Cow::Owned(target.cloned().unwrap_or_else(|| format!("{name}\0")))
    });
    let mut faults = Vec::new();
    for file in files {
        let text = file.rewritten.text.clone();
        if let Err(error) = env.add_template_owned(file.name.clone(), text) {
            faults.push(syntax(&error, file));
        }
    }
    if faults.is_empty() {
        Ok(env)
    } else {
        Err(faults)
    }
}

/// A syntax error in the user's terms: their columns, and the tags that they wrote.
fn syntax(error: &Error, file: &File) -> Diagnostic {
    let now = error.range().unwrap_or(0..0);
    let mut message = describe(error);
    let mut help = None;
    if let Some(tag) = file.rewritten.tag_at(now.clone(), &file.text) {
        if message.ends_with(" endcall") {
            message = format!("syntax error: `{tag}` before the end of another block");
            help = Some("end the blocks inside of it, such as `if` or `for`, first");
        }
        message = message.replace(" endcall", &format!(" {tag}"));
    }
    // Jinja may end a place in the middle of a character.
    let bound = |at: usize| file.text.ceil_char_boundary(file.rewritten.original(at));
    let start = bound(now.start);
    let span = Span {
        file: file.id,
        start: start as u32,
        end: bound(now.end).max(start) as u32,
    };
    let fault = Diagnostic::error(message).at(span, "");
    match help {
        Some(help) => fault.help(help),
        None => fault,
    }
}

/// What a role block calls: renders the block, and keeps it as a turn.
fn role(state: &mut State, name: String, kwargs: Kwargs) -> Result<Value, Error> {
    let fault = |text: &'static str| Error::new(ErrorKind::InvalidOperation, text);
    let role = match name.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(fault("no such role")),
    };
    let block: Value = kwargs.get("caller")?;
    let turns = state.get_or_insert_extension(Turns::default());
    if std::mem::replace(&mut turns.open, true) {
        return Err(fault("a role block inside of a role block"));
    }
    let text = block.call(state, &[])?;
    let turns = state.get_or_insert_extension(Turns::default());
    turns.open = false;
    turns.done.push((role, text.to_string()));
    Ok(Value::from(""))
}

/// The chat for one record.
pub(super) fn render(prompt: &Prompt, scope: &Scope) -> Result<Chat, String> {
    let name = prompt.files.first().map_or("", |(name, ..)| name);
    let _busy = crate::jinja::watch::busy(&name.into());
    let captured = prompt
        .env
        .get_template(name)
        .and_then(|template| template.render_captured(scope.to_value()))
        .map_err(|error| explain(prompt, &error, scope))?;
    let output = strip(captured.output());
    let chat = if prompt.has_roles {
        if !output.is_empty() {
            return Err(format!("{name}: there is text outside of the role blocks"));
        }
        let turns = captured.state().get_extension::<Turns>();
        chat(turns.map_or(&[], |turns| &turns.done))
    } else {
        chat(&[(Role::User, output.to_owned())])
    };
    chat.map_err(|why| format!("{name}: {why}"))
}

/// Turns as a chat: the last one is the beginning of the answer if it is the assistant's.
fn chat(turns: &[(Role, String)]) -> Result<Chat, &'static str> {
    let (turns, prefill) = match turns.split_last() {
        Some(((Role::Assistant, text), before)) => {
            let text = text.trim_start_matches(is_space);
            let text = text.strip_suffix('\n').unwrap_or(text);
            (before, text.strip_suffix('\r').unwrap_or(text))
        }
        _ => (turns, ""),
    };
    let mut chat = Chat {
        turns: Vec::with_capacity(turns.len()),
        prefill: prefill.to_owned(),
        text: None,
        schema: None,
    };
    for (at, (role, text)) in turns.iter().enumerate() {
        let text = strip(text);
        match (role, text.is_empty()) {
            (Role::System, _) if at > 0 => {
                return Err("a system block has to be the first block, and the only one");
            }
            // One that holds nothing for this record says nothing.
            (Role::System, true) => continue,
            (Role::User, true) => return Err("a user turn is empty"),
            (Role::Assistant, true) => return Err("an assistant turn is empty"),
            (_, false) => {}
        }
        chat.turns.push(Turn {
            role: *role,
            text: text.to_owned(),
        });
    }
    if chat.turns.iter().any(|turn| turn.role == Role::User) {
        Ok(chat)
    } else {
        Err("there is no user turn")
    }
}

/// An error as one line: what is wrong, and in which line of which file.
fn explain(prompt: &Prompt, error: &Error, scope: &Scope) -> String {
    let error = innermost(error);
    let root = prompt.files.first().map_or("", |(name, ..)| name);
    let file = error.name().unwrap_or(root);
    let place = match error.line() {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    };
    if error.kind() == ErrorKind::UndefinedError
        && let Some(name) = missing(prompt, file, error.line(), scope)
    {
        let known = scope.names();
        let help = nearest(&name, known.iter().map(String::as_str))
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        return format!("{place}: no field `{name}`{help}");
    }
    format!("{place}: {}", describe(error))
}

/// The error in the included file, where there is one.
fn innermost(error: &Error) -> &Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.map_or(error, innermost)
}

/// The undefined name that an error is most likely about: one in its line, else the first in
/// its file, else (a macro was given it) the first in the prompt.
fn missing(prompt: &Prompt, file: &str, line: Option<usize>, scope: &Scope) -> Option<String> {
    let undefined = |name: &str| -> Vec<String> {
        let Ok(template) = prompt.env.get_template(name) else {
            return Vec::new();
        };
        let mut names: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| name != FUNCTION && !is_global(name) && scope.get(name).is_none())
            .collect();
        names.sort();
        names
    };
    let here = undefined(file);
    let text = prompt.files.iter().find(|(name, ..)| name == file);
    let row = line.and_then(|line| text?.2.lines().nth(line.checked_sub(1)?));
    let in_row = here.iter().find(|name| {
        row.is_some_and(|row| {
            let mut words = row.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| word == *name)
        })
    });
    in_row.cloned().or_else(|| {
        let names = prompt.names.iter();
        let mut roots = names.map(|(name, _)| name.split('.').next().unwrap_or(name));
        roots
            .find(|name| !is_global(name) && scope.get(name).is_none())
            .map(str::to_owned)
    })
}
