//! From what a pipeline says of a chat template to one that can be used. Owns which file of a
//! tokenizer's folder says what, as transformers reads them, and how faults are told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;
use serde_json::Value as Json;

use super::date::Day;
use super::setting::{ChatTemplate, Settings};
use super::{NAME, Template, python};
use crate::diag::{Diagnostic, nearest};
use crate::hash::Hash;
use crate::jinja::deep;
use crate::jinja::expr::describe;
use crate::model::chat::{Chat, Role, Turn};
use crate::model::spec::{ModelSpec, SystemPrompt};
use crate::spec::fence::Fence;
use crate::spec::file::bytes;
use crate::spec::node::Node;

const CONFIG: &str = "tokenizer_config.json";
/// The folder of more templates in a tokenizer's folder.
const ADDITIONAL: &str = "additional_chat_templates";
/// The files of a tokenizer's folder that say something of templates.
const FILES: [&str; 4] = [
    CONFIG,
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Special tokens by the names that templates know them by.
const TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Names that a template always sees.
const OWN_NAMES: [&str; 4] = ["messages", "tools", "documents", "add_generation_prompt"];

/// What is at fault: the key of the settings, and what is told.
type Wrong = (&'static str, Diagnostic);

/// Templates by name, and what is said beside them.
#[derive(Default)]
struct Found {
    /// What messages call their file.
    shown: String,
    templates: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
    /// Whether the tokenizer puts the mark for the start before a text, if that is told.
    adds_bos: Option<bool>,
}

impl ModelSpec {
    /// The same model with its chat template read; paths start from `dir`.
    ///
    /// # Errors
    /// The first fault of the template, at its place in the model's `node`.
    pub fn with_template(
        mut self,
        node: &Node,
        dir: &Path,
        fence: &Fence,
    ) -> Result<ModelSpec, Vec<Diagnostic>> {
        if let Some(setting) = &self.chat_template {
            let template = Template::load(setting, dir, fence).map_err(|(key, fault)| {
                let setting = node.get("chat_template").unwrap_or(node);
                vec![fault.at(setting.get(key).unwrap_or(setting).span, "")]
            })?;
            self.template = Some(Arc::new(template));
        }
        Ok(self)
    }
}

impl Template {
    /// Reads a template; paths start from `dir` and stay inside of the fence.
    ///
    /// # Errors
    /// The first fault, without a place, and the key of the settings that it is about.
    pub fn load(setting: &ChatTemplate, dir: &Path, fence: &Fence) -> Result<Template, Wrong> {
        let settings = setting.settings();
        let mut found = match (&settings.path, &settings.inline) {
            (Some(path), None) => read(&dir.join(path), fence).map_err(|fault| ("path", fault))?,
            (None, Some(text)) => Found {
                templates: BTreeMap::from([("default".to_owned(), text.clone())]),
                ..Found::default()
            },
            _ => {
                let fault = Diagnostic::error("a chat template has either `path` or `inline`");
                return Err(("", fault));
            }
        };
        let source = chosen(&mut found, settings.name.as_deref()).map_err(|f| ("name", f))?;
        for (name, token) in [("bos_token", &settings.bos), ("eos_token", &settings.eos)] {
            if let Some(token) = token {
                found.tokens.insert(name.to_owned(), token.clone());
            }
        }
        let own = |name: &&String| OWN_NAMES.contains(&name.as_str());
        if let Some(name) = settings.vars.keys().find(own) {
            let fault = Diagnostic::error(format!("`vars` must not set `{name}`"));
            return Err(("vars", fault));
        }
        let day = match settings.date.as_deref() {
            Some(text) => Some(Day::parse(text).ok_or_else(|| {
                let fault = Diagnostic::error("`date` is not a day");
                ("date", fault.help("write it as `2024-07-26`"))
            })?),
            None => None,
        };
        let key = if settings.path.is_some() {
            "path"
        } else {
            "inline"
        };
        let template = Template::new(&settings, &found, source, day);
        let mut template = template.map_err(|fault| (key, fault))?;
        template.files = (settings.path.iter())
            .flat_map(|path| files(&dir.join(path)))
            .collect();
        template
            .try_out(&found.shown)
            .map_err(|fault| (key, fault))?;
        Ok(template)
    }

    fn new(
        settings: &Settings,
        found: &Found,
        source: String,
        day: Option<Day>,
    ) -> Result<Template, Diagnostic> {
        let mut env = python::environment(day);
        let text = python::source(&source);
        env.add_template_owned(NAME, text.clone())
            .map_err(|error| {
                let mut fault = Diagnostic::error(format!(
                    "{}the chat template is not valid Jinja: {}",
                    place(&found.shown, error.line()),
                    describe(&error)
                ));
                let row = error
                    .line()
                    .and_then(|line| text.lines().nth(line.checked_sub(1)?));
                if let Some(row) = row {
                    let row: String = row.trim().chars().take(100).collect();
                    fault = fault.note(format!("the line is `{row}`"));
                }
                fault
            })?;
        if deep::may_nest(&text) {
            deep::limit(&mut env);
        }
        let bos = found.tokens.get("bos_token").filter(|bos| !bos.is_empty());
        let keeps = settings.keep_bos.unwrap_or(found.adds_bos == Some(false));
        let without = bos.filter(|_| !keeps).cloned();
        let decides = (
            &source,
            &found.tokens,
            &without,
            &settings.date,
            &settings.vars,
        );
        let hash = Hash::of("clue chat template v1", &decides);
        let tokens = found.tokens.iter().map(|(n, t)| (n.clone(), t.into()));
        let vars = settings.vars.iter();
        let vars = vars.map(|(name, value)| {
            (
                name.clone(),
                serde_json::from_value::<Value>(value.clone()).unwrap_or_default(),
            )
        });
        Ok(Template {
            env,
            source: text,
            names: tokens.chain(vars).collect(),
            without,
            hash,
            files: Vec::new(),
        })
    }

    /// Renders what every template should be able to, so that one that asks for what there is
    /// not fails before any model is asked.
    fn try_out(&self, shown: &str) -> Result<(), Diagnostic> {
        let chat = |roles: &[Role]| {
            let turn = |role: &Role| Turn {
                role: *role,
                text: "?".to_owned(),
            };
            let chat = Chat {
                turns: roles.iter().map(turn).collect(),
                prefill: String::new(),
                text: None,
                schema: None,
            };
            self.text(&chat, SystemPrompt::Native)
        };
        let why = match chat(&[Role::User]) {
            Ok(_) => return Ok(()),
            Err(why) => why,
        };
        match chat(&[Role::System, Role::User]) {
            Ok(_) => Ok(()),
            Err(_) => Err(Diagnostic::error(format!("{}{why}", place(shown, None)))),
        }
    }
}

/// A file and a line as the beginning of a message.
fn place(shown: &str, line: Option<usize>) -> String {
    match (shown, line) {
        ("", None) => String::new(),
        ("", Some(line)) => format!("line {line}: "),
        (file, None) => format!("`{file}`: "),
        (file, Some(line)) => format!("`{file}`, line {line}: "),
    }
}

/// Takes the template of this name, or the only one, or `default`.
fn chosen(found: &mut Found, name: Option<&str>) -> Result<String, Diagnostic> {
    let wanted = name.unwrap_or("default");
    if let Some(text) = found.templates.remove(wanted) {
        return Ok(text);
    }
    let shown = &found.shown;
    if shown.is_empty() {
        return Err(Diagnostic::error(
            "a template that is written here has no other `name`",
        ));
    }
    if found.templates.is_empty() {
        return Err(Diagnostic::error(format!("`{shown}` has no chat template"))
            .help("give it as `inline`, or name the file that has it"));
    }
    let names: Vec<&str> = found.templates.keys().map(String::as_str).collect();
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let fault = Diagnostic::error(format!("`{shown}` has no chat template `{wanted}`"))
        .note(format!("it has {}", list.join(", ")));
    Err(match nearest(wanted, names) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("say which with `name`"),
    })
}

/// The files that [`read`] may take something from.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = match path.is_dir() {
        true => FILES.map(|name| path.join(name)).to_vec(),
        false => vec![path.to_owned(), path.with_file_name(CONFIG)],
    };
    let more = std::fs::read_dir(path.join(ADDITIONAL)).into_iter();
    files.extend(more.flatten().flatten().map(|entry| entry.path()));
    files.retain(|path| path.is_file());
    files
}

fn read(path: &Path, fence: &Fence) -> Result<Found, Diagnostic> {
    if path.is_dir() {
        return folder(path, fence);
    }
    let text = text(path, fence)?;
    if path.extension().is_some_and(|end| end == "json") {
        return config(path, &text);
    }
    let beside = path.with_file_name(CONFIG);
    let mut found = if beside.is_file() {
        config(&beside, &self::text(&beside, fence)?)?
    } else {
        Found::default()
    };
    found.shown = path.display().to_string();
    found.templates = BTreeMap::from([("default".to_owned(), text)]);
    Ok(found)
}

/// A tokenizer's folder. Templates in files of their own win over those of the configuration.
fn folder(path: &Path, fence: &Fence) -> Result<Found, Diagnostic> {
    let file = |name: &str| Some(path.join(name)).filter(|path| path.is_file());
    let mut found = match file(CONFIG) {
        Some(path) => config(&path, &text(&path, fence)?)?,
        None => Found::default(),
    };
    if let Some(path) = file("special_tokens_map.json") {
        // Of older tokenizers; what the configuration says, holds.
        for (name, token) in config(&path, &text(&path, fence)?)?.tokens {
            found.tokens.entry(name).or_insert(token);
        }
    }
    let mut own = BTreeMap::new();
    let mut shown: Option<PathBuf> = None;
    if let Some(path) = file("chat_template.jinja") {
        own.insert("default".to_owned(), text(&path, fence)?);
        shown = Some(path);
    } else if let Some(path) = file("chat_template.json")
        && found.templates.is_empty()
    {
        own = config(&path, &text(&path, fence)?)?.templates;
        shown = Some(path);
    }
    let more = std::fs::read_dir(path.join(ADDITIONAL));
    for entry in more.into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|end| end == "jinja")) {
            own.insert(name.to_owned(), text(&path, fence)?);
        }
    }
    if !own.is_empty() {
        found.templates = own;
        found.shown = shown.unwrap_or(path.to_owned()).display().to_string();
    } else if found.shown.is_empty() {
        let shown = path.display();
        return Err(Diagnostic::error(format!(
            "the folder `{shown}` has neither `{CONFIG}` nor `chat_template.jinja`"
        )));
    }
    Ok(found)
}

fn text(path: &Path, fence: &Fence) -> Result<String, Diagnostic> {
    let shown = path.display();
    if let Some(fault) = fence.fault(path, &shown.to_string()) {
        return Err(fault);
    }
    let bytes = bytes(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Diagnostic::error(format!("no file `{shown}`"))
            .help("a chat template is a folder with `tokenizer_config.json`, or a file"),
        _ => Diagnostic::error(format!("cannot read `{shown}`: {error}")),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
        Diagnostic::error(format!(
            "`{shown}` is not UTF-8: the first bad byte is in line {line}"
        ))
    })
}

/// What a `tokenizer_config.json` says.
fn config(path: &Path, text: &str) -> Result<Found, Diagnostic> {
    let shown = path.display().to_string();
    let json: Json = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Diagnostic::error(format!(
            "`{shown}`, line {line}, column {column}: not valid JSON"
        ))
    })?;
    let content = |token: &Json| match token {
        Json::String(token) => Some(token.clone()),
        token => token["content"].as_str().map(str::to_owned),
    };
    let mut tokens = BTreeMap::new();
    let named = json["extra_special_tokens"]
        .as_object()
        .into_iter()
        .flatten();
    let named = named.map(|(name, token)| (name.as_str(), token));
    for (name, token) in named.chain(TOKENS.map(|name| (name, &json[name]))) {
        if let Some(token) = content(token) {
            tokens.insert(name.to_owned(), token);
        }
    }
    let templates = match &json["chat_template"] {
        Json::Null => BTreeMap::new(),
        Json::String(text) => BTreeMap::from([("default".to_owned(), text.clone())]),
        Json::Array(list) => {
            let named = |one: &Json| {
                Some((
                    one["name"].as_str()?.to_owned(),
                    one["template"].as_str()?.to_owned(),
                ))
            };
            let all: Option<_> = list.iter().map(named).collect();
            all.ok_or_else(|| {
                Diagnostic::error(format!(
                    "`{shown}`: each of the list `chat_template` must have `name` and `template`"
                ))
            })?
        }
        _ => {
            return Err(Diagnostic::error(format!(
                "`{shown}`: `chat_template` is neither text nor a list"
            )));
        }
    };
    Ok(Found {
        shown,
        templates,
        tokens,
        adds_bos: json["add_bos_token"].as_bool(),
    })
}
