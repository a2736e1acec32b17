//! The card of a data set: the README that the Hub shows, with the facts that `datasets` reads at
//! its top. Pure.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{front, license, names};
use crate::hash::Hash;
use crate::report::words::{size, thousands};
use crate::spec::about::About;
use crate::stages::write::parquet::columns::Column;
use crate::stages::write::parquet::kind::Kind;

/// By which an export knows folders that it may write into.
pub const MARK: &str = "<!-- made by clue export -->";

/// What a card tells.
pub struct Card<'a> {
    /// The pipeline's name.
    pub name: &'a str,
    /// What it says of itself.
    pub about: &'a About,
    /// Its file, without folders.
    pub file: &'a str,
    /// The hash of its lock.
    pub lock: Hash,
    /// The models that the records come from.
    pub models: &'a [Asked],
    /// What was exported.
    pub configs: &'a [Config],
    /// Records failed on the way, or lack an answer.
    pub incomplete: bool,
    /// Data marked `sensitive` is among it.
    pub sensitive: bool,
    /// What the user says about it.
    pub told: &'a Told,
}

/// A model that was asked.
pub struct Asked {
    /// Its name in the pipeline.
    pub name: String,
    /// Its name on its server.
    pub id: String,
    /// The version of its weights, if the pipeline says it.
    pub revision: Option<String>,
    /// The stages that asked it.
    pub stages: Vec<String>,
}

/// What only the user knows.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The license, where the pipeline names none or another.
    pub license: Option<String>,
    /// Languages, as ISO 639 codes.
    pub languages: Vec<String>,
    /// Kinds of tasks, in the Hub's words.
    pub tasks: Vec<String>,
}

/// One table of a data set.
pub struct Config {
    /// Its name in the data set.
    pub name: String,
    /// The output or stage that it comes from.
    pub source: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its splits, in order.
    pub splits: Vec<Split>,
}

/// A part of a table.
pub struct Split {
    /// Its name.
    pub name: String,
    /// Its file, relative to the folder.
    pub path: String,
    /// Records in it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// About how many bytes its records have in memory.
    pub memory: u64,
}

impl Config {
    fn rows(&self) -> u64 {
        self.splits.iter().map(|split| split.rows).sum()
    }
}

/// The whole card.
pub fn text(card: &Card<'_>) -> String {
    format!(
        "---\n{}---\n\n{MARK}\n\n{}",
        front::write(&facts(card)),
        body(card)
    )
}

/// The data files that a card lists, relative to its folder; none if it is no card.
pub fn files(card: &str) -> Vec<String> {
    let front = card.strip_prefix("---\n");
    let front = front.and_then(|card| Some(card.split_once("\n---\n")?.0));
    let facts = front.and_then(|front| serde_yaml::from_str::<Json>(front).ok());
    let facts = facts.unwrap_or_default();
    let configs = facts["configs"].as_array().into_iter().flatten();
    let files = configs.flat_map(|config| config["data_files"].as_array().into_iter().flatten());
    let paths = files.filter_map(|file| Some(file["path"].as_str()?.to_owned()));
    paths.collect()
}

/// What programs read.
fn facts(card: &Card<'_>) -> Json {
    let told = card.told.license.as_deref();
    let chosen = told.or(card.about.license.as_deref());
    let mut facts = chosen.map(license::facts).unwrap_or_default();
    for (name, values) in [
        ("language", &card.told.languages),
        ("task_categories", &card.told.tasks),
    ] {
        if !values.is_empty() {
            facts.insert(name.to_owned(), json!(values));
        }
    }
    facts.insert("pretty_name".to_owned(), card.name.into());
    let rows = card.configs.iter().map(Config::rows).sum();
    facts.insert("size_categories".to_owned(), json!([names::size(rows)]));
    let configs = card.configs.iter().enumerate().map(|(at, config)| {
        let files = config.splits.iter();
        let files = files.map(|split| json!({"split": split.name, "path": split.path}));
        let mut entry = json!({"config_name": config.name, "data_files": files.collect::<Json>()});
        // Of several, one is what people get who name none.
        if at == 0 && card.configs.len() > 1 {
            entry["default"] = true.into();
        }
        entry
    });
    facts.insert("configs".to_owned(), configs.collect());
    let infos = card.configs.iter().map(|config| {
        let features = config.columns.iter();
        let features = features.map(|column| feature(&column.name, &column.kind));
        let splits = config.splits.iter();
        let splits = splits.map(|split| {
            json!({"name": split.name, "num_bytes": split.memory, "num_examples": split.rows})
        });
        let sum = |of: fn(&Split) -> u64| config.splits.iter().map(of).sum::<u64>();
        json!({
            "config_name": config.name,
            "features": features.collect::<Json>(),
            "splits": splits.collect::<Json>(),
            "download_size": sum(|split| split.bytes),
            "dataset_size": sum(|split| split.memory),
        })
    });
    facts.insert("dataset_info".to_owned(), infos.collect());
    Json::Object(facts)
}

/// A column as `datasets` has it.
fn feature(name: &str, kind: &Kind) -> Json {
    let mut feature = json!({"name": name});
    match kind {
        Kind::List(kind) => feature["list"] = element(kind),
        Kind::Map(entries) => feature["struct"] = members(entries),
        kind => feature["dtype"] = dtype(kind).into(),
    }
    feature
}

fn element(kind: &Kind) -> Json {
    match kind {
        Kind::List(kind) => json!({"list": element(kind)}),
        Kind::Map(entries) => members(entries),
        kind => dtype(kind).into(),
    }
}

fn members(entries: &[(String, Kind)]) -> Json {
    let members = entries.iter().map(|(name, kind)| feature(name, kind));
    members.collect()
}

fn dtype(kind: &Kind) -> &'static str {
    match kind {
        Kind::Nothing => "null",
        Kind::Bool => "bool",
        Kind::Int { .. } => "int64",
        Kind::Float => "float64",
        Kind::Text | Kind::Json | Kind::List(_) | Kind::Map(_) => "string",
    }
}

/// What people read.
fn body(card: &Card<'_>) -> String {
    let mut text = format!("# {}\n", line(card.name));
    if let Some(description) = &card.about.description {
        let _ = write!(text, "\n{}\n", description.trim());
    }
    if card.sensitive {
        text.push_str(
            "\n> **This holds data under an agreement.** Records here come from data that the \
             pipeline marks as sensitive. Keep them where that data may be kept, and pass them on \
             only to those who may have it.\n",
        );
    }
    if card.incomplete {
        text.push_str("\n> Some records failed or had no answer, and are not in here.\n");
    }
    text.push_str("\n## Records\n\n| configuration | from | split | records | file |\n");
    text.push_str("|---|---|---|---:|---:|\n");
    for config in card.configs {
        for split in &config.splits {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                code(&config.name),
                code(&config.source),
                code(&split.name),
                thousands(split.rows),
                size(split.bytes)
            );
        }
    }
    let load = match card.configs {
        [_] => "load_dataset(PATH)".to_owned(),
        configs => format!(
            "load_dataset(PATH, \"{}\")",
            configs.first().map_or("", |config| config.name.as_str())
        ),
    };
    let _ = write!(
        text,
        "\n```python\nfrom datasets import load_dataset\n\ndata = {load}\n```\n"
    );
    for config in card.configs {
        let of = match card.configs {
            [_] => String::new(),
            _ => format!(" of {}", code(&config.name)),
        };
        let _ = write!(
            text,
            "\n## Columns{of}\n\n| column | type | not null |\n|---|---|---:|\n"
        );
        for column in &config.columns {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                code(&column.name),
                words(&column.kind),
                thousands(column.filled)
            );
        }
    }
    made(card, &mut text);
    if !card.about.cite.is_empty() {
        text.push_str("\n## How to cite\n\n");
        for cite in &card.about.cite {
            let _ = writeln!(text, "- {}", line(cite));
        }
    }
    text
}

fn made(card: &Card<'_>, text: &mut String) {
    let _ = write!(
        text,
        "\n## How it was made\n\nBy the pipeline {} ({}) with clue {}. The hash (BLAKE3) of its \
         lock, which names everything that it was made of:\n`{}`\n",
        code(card.name),
        code(card.file),
        env!("CARGO_PKG_VERSION"),
        card.lock
    );
    if card.models.is_empty() {
        text.push_str("\nNo language model was asked.\n");
        return;
    }
    text.push_str("\n| model | name on its server | revision | asked by |\n|---|---|---|---|\n");
    for model in card.models {
        let stages = model.stages.iter().map(|stage| code(stage));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            code(&model.name),
            code(&model.id),
            model.revision.as_deref().map(code).unwrap_or_default(),
            stages.collect::<Vec<_>>().join(", ")
        );
    }
}

/// A kind in words.
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Nothing => "null".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Int { .. } => "whole number".to_owned(),
        Kind::Float => "number".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Json => "JSON as text".to_owned(),
        Kind::List(kind) => format!("list of {}", words(kind)),
        Kind::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(name, kind)| format!("{}: {}", code(name), words(kind)));
            format!("map ({})", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text on one line, as Markdown that is no markup.
fn line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('<', "\\<")
}

/// A name in a cell of a table.
fn code(name: &str) -> String {
    let name = line(name).replace("\\<", "<").replace('|', "\\|");
    match name.contains('`') {
        true => format!("`` {name} ``"),
        false => format!("`{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_tells_programs_and_people() {
        let column = |name: &str, kind: Kind, filled: u64| Column {
            name: name.to_owned(),
            kind,
            filled,
        };
        let split = |name: &str, config: &str, rows: u64| Split {
            name: name.to_owned(),
            path: names::file(config, name),
            rows,
            bytes: 1_234,
            memory: 2_345,
        };
        let text_list = Kind::List(Box::new(Kind::Text));
        let map = Kind::Map(vec![
            ("x".to_owned(), Kind::Float),
            ("l".to_owned(), text_list.clone()),
        ]);
        let config = |name: &str, columns: Vec<Column>, splits: Vec<Split>| Config {
            name: name.to_owned(),
            source: format!("{name}.jsonl"),
            columns,
            splits,
        };
        let configs = [
            config(
                "qa",
                vec![
                    column("id", Kind::Int { large: false }, 3),
                    column("a|b", Kind::Nothing, 0),
                    column("tags", Kind::List(Box::new(map.clone())), 2),
                    column("lists", Kind::List(Box::new(text_list)), 1),
                    column("m", map, 1),
                ],
                vec![split("test", "qa", 2), split("train", "qa", 1)],
            ),
            config(
                "raw",
                vec![column("text", Kind::Json, 1)],
                vec![split("test", "raw", 1)],
            ),
        ];
        let about = About {
            description: Some("Questions\nand answers".to_owned()),
            cite: vec!["Doe, <i>Questions</i>, 2026".to_owned()],
            license: Some("CC-BY-4.0".to_owned()),
        };
        let told = Told {
            languages: vec!["en".to_owned()],
            ..Told::default()
        };
        let models = [Asked {
            name: "writer".to_owned(),
            id: "org/m-1".to_owned(),
            revision: None,
            stages: vec!["asked".to_owned(), "judged".to_owned()],
        }];
        let card = Card {
            name: "qa",
            about: &about,
            file: "qa.yaml",
            lock: Hash([7; 32]),
            models: &models,
            configs: &configs,
            incomplete: true,
            sensitive: true,
            told: &told,
        };
        insta::assert_snapshot!(text(&card).replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}
