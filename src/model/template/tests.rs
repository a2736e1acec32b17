//! Against what transformers makes of the same templates and chats.

use proptest::prelude::*;
use serde::Deserialize;

use super::setting::{ChatTemplate, Settings};
use super::*;
use crate::spec::fence::Fence;

#[derive(Deserialize)]
struct Golden {
    template: String,
    chat: String,
    bos: String,
    eos: String,
    messages: Vec<Message>,
    prefill: Option<String>,
    text: Option<String>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    role: Role,
    content: String,
}

fn folder() -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/golden/chat_templates/templates")
}

fn load(settings: Settings) -> Result<Template, String> {
    let setting = ChatTemplate::Settings(Box::new(settings));
    Template::load(&setting, &folder(), &Fence::none())
        .map_err(|(key, fault)| format!("{key}: {}", fault.message))
}

fn inline(text: &str) -> Settings {
    Settings {
        inline: Some(text.to_owned()),
        bos: Some("<s>".to_owned()),
        ..Settings::default()
    }
}

fn chat(turns: &[(Role, &str)], prefill: &str) -> Chat {
    let turn = |(role, text): &(Role, &str)| Turn {
        role: *role,
        text: (*text).to_owned(),
    };
    Chat {
        turns: turns.iter().map(turn).collect(),
        prefill: prefill.to_owned(),
        text: None,
        schema: None,
    }
}

#[test]
fn templates_are_rendered_as_by_transformers() {
    let goldens = include_str!("../../../tests/golden/chat_templates/goldens.jsonl");
    let mut faults = Vec::new();
    let mut count = 0;
    for line in goldens.lines() {
        let golden: Golden = serde_json::from_str(line).expect("a golden");
        let template = load(Settings {
            path: Some(format!("{}.jinja", golden.template)),
            bos: Some(golden.bos),
            eos: Some(golden.eos),
            keep_bos: Some(true),
            date: Some("2025-03-09".to_owned()),
            ..Settings::default()
        })
        .expect("a template");
        let turns: Vec<(Role, &str)> = golden
            .messages
            .iter()
            .map(|m| (m.role, &*m.content))
            .collect();
        let chat = chat(&turns, golden.prefill.as_deref().unwrap_or_default());
        let ours = template.text(&chat, SystemPrompt::Native);
        let same = match (&ours, &golden.text) {
            (Ok(ours), Some(text)) => ours == text,
            (Err(ours), None) => match &golden.refused {
                Some(words) => {
                    ours.starts_with("the chat template refuses the chat (line ")
                        && ours.ends_with(words)
                }
                None => ours.contains("the beginning of the answer"),
            },
            _ => false,
        };
        count += 1;
        if !same {
            let (template, chat, text) = (golden.template, golden.chat, golden.text);
            faults.push(format!(
                "{template}, {chat}, {:?}:\n{ours:?}\n{text:?} {:?}",
                golden.prefill, golden.refused
            ));
        }
    }
    assert!(
        count > 250 && faults.is_empty(),
        "{} of {count}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_mark_for_the_start_is_left_to_the_server() {
    let turns = [(Role::User, "<s>a")];
    let text = |settings| {
        load(settings)
            .expect("a template")
            .text(&chat(&turns, ""), SystemPrompt::Native)
    };
    let template = "{{ bos_token }}{{ messages[0].content }}";
    assert_eq!(text(inline(template)).as_deref(), Ok("<s>a"));
    let keeps = Settings {
        keep_bos: Some(true),
        ..inline(template)
    };
    assert_eq!(text(keeps).as_deref(), Ok("<s><s>a"));
    let none = Settings {
        bos: None,
        ..inline(template)
    };
    assert_eq!(text(none).as_deref(), Ok("<s>a"));
}

#[test]
fn a_system_turn_is_merged_if_the_model_says_so() {
    let template = load(Settings {
        path: Some("gemma.jinja".to_owned()),
        ..Settings::default()
    })
    .expect("a template");
    let chat = chat(&[(Role::System, "Be brief."), (Role::User, "Why?")], "So");
    assert_eq!(
        template.text(&chat, SystemPrompt::Merge).as_deref(),
        Ok("<start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>\n<start_of_turn>model\nSo")
    );
    assert_eq!(
        template.text(&chat, SystemPrompt::Native).unwrap_err(),
        "the chat template refuses the chat (line 1): System role not supported"
    );
}

#[test]
fn no_error_tells_a_turns_text() {
    let fails = [
        "{{ raise_exception('no ' + messages[1].content) }}",
        "{{ messages[1].content.nothing() }}",
        "{{ messages[1].content | int }}",
        "{{ messages[1].content.x.y }}",
        "{{ messages[messages[1].content].x }}",
        "{{ messages[1].content | nothing }}",
        "{{ messages[1].content + 1 }}",
        "{{ messages[1].content | tojson(separators=[messages[1].content]) }}",
        "{{ strftime_now(messages[1].content) }}",
        "{{ messages[1].content.format() }}",
        "{% for x in range(1000000000) %}{{ x }}{% endfor %}",
    ];
    for fails in fails {
        let template = load(inline(&format!(
            "{{% if messages | length > 1 %}}{fails}{{% endif %}}"
        )))
        .expect("a template");
        let turns = [
            (Role::User, "a"),
            (Role::Assistant, "%SECRET {} {0.x}"),
            (Role::User, "b"),
        ];
        let why = template
            .text(&chat(&turns, ""), SystemPrompt::Native)
            .expect_err(fails);
        assert!(!why.contains("SECRET"), "{why}");
        assert!(why.starts_with("the chat template"), "{why}");
    }
}

#[test]
fn what_decides_the_text_decides_the_hash() {
    let hash = |settings| load(settings).expect("a template").hash();
    let base = || inline("{{ messages[0].content }}");
    let first = hash(base());
    assert_eq!(hash(base()), first);
    let var = [("enable_thinking".to_owned(), false.into())];
    for other in [
        inline("{{ messages[0].content }} "),
        Settings {
            bos: Some("<t>".to_owned()),
            ..base()
        },
        Settings {
            keep_bos: Some(true),
            ..base()
        },
        Settings {
            eos: Some("</s>".to_owned()),
            ..base()
        },
        Settings {
            date: Some("2025-03-09".to_owned()),
            ..base()
        },
        Settings {
            vars: var.into(),
            ..base()
        },
    ] {
        assert_ne!(hash(other), first);
    }
}

#[test]
fn faults_name_the_key_and_the_line() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = inline("a");
        change(&mut settings);
        load(settings).expect_err("a fault")
    };
    assert_eq!(
        with(|s| s.path = Some("x".to_owned())),
        ": a chat template has either `path` or `inline`"
    );
    assert_eq!(
        with(|s| s.date = Some("today".to_owned())),
        "date: `date` is not a day"
    );
    assert_eq!(
        with(|s| s.name = Some("rag".to_owned())),
        "name: a template that is written here has no other `name`"
    );
    assert!(
        with(|s| {
            s.vars.insert("messages".to_owned(), 1.into());
        })
        .starts_with("vars: ")
    );
    let told = load(inline("a\n{% if %}")).expect_err("a fault");
    assert!(
        told.starts_with("inline: line 2: the chat template is not valid Jinja: syntax error"),
        "{told}"
    );
    let told = load(inline("a\n{{ strftime_now('%d') }}")).expect_err("a fault");
    assert!(
        told.starts_with("inline: the chat template (line 2) fails: ")
            && told.contains("`date: YYYY-MM-DD`"),
        "{told}"
    );
}

#[test]
fn a_folder_is_read_as_by_transformers() {
    let files: [(&str, &str); 5] = [
        (
            "tokenizer_config.json",
            r#"{"bos_token": {"content": "<a>"}, "eos_token": null, "add_bos_token": false, "image_token": "<no>", "extra_special_tokens": {"image_token": "<i>"}, "chat_template": "config"}"#,
        ),
        (
            "special_tokens_map.json",
            r#"{"bos_token": "<other>", "pad_token": {"content": "<p>"}}"#,
        ),
        ("chat_template.json", r#"{"chat_template": "processor"}"#),
        (
            "chat_template.jinja",
            "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ image_token }}",
        ),
        ("additional_chat_templates/rag.jinja", "rag"),
    ];
    let text = |files: &[(&str, &str)], name: Option<&str>| {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("written");
        }
        let setting = ChatTemplate::Settings(Box::new(Settings {
            path: Some(".".to_owned()),
            name: name.map(str::to_owned),
            ..Settings::default()
        }));
        let template = Template::load(&setting, dir.path(), &Fence::none())
            .map_err(|(_, fault)| fault.message)?;
        template.text(&chat(&[(Role::User, "a")], ""), SystemPrompt::Native)
    };
    // The tokenizer puts no mark before a text: the template's own stays.
    assert_eq!(text(&files, None).as_deref(), Ok("<a><p><i>"));
    assert_eq!(text(&files, Some("rag")).as_deref(), Ok("rag"));
    assert_eq!(text(&files[..3], None).as_deref(), Ok("config"));
    assert_eq!(text(&files[2..3], None).as_deref(), Ok("processor"));
}

#[test]
fn a_template_sees_what_it_is_given() {
    let thinks = |vars: &[(String, serde_json::Value)]| {
        let template = load(Settings {
            path: Some("chatml_default_system.jinja".to_owned()),
            vars: vars.iter().cloned().collect(),
            ..Settings::default()
        });
        let text = template
            .expect("a template")
            .text(&chat(&[(Role::User, "a")], ""), SystemPrompt::Native);
        text.expect("a text")
            .ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    };
    assert!(!thinks(&[]));
    assert!(thinks(&[("enable_thinking".to_owned(), false.into())]));
    assert!(!thinks(&[("enable_thinking".to_owned(), true.into())]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_template_panics_or_tells_a_text(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "for m in messages", "endfor", "if m", "else",
                "endif", "m.content", "messages[0].content", "messages[0]", "messages", " | ", "tojson", "trim",
                "(", ")", "[1:]", "[0]", ".strip()", ".split(", ".x", ".y", " + ", " ~ ", "1", "'s'", "raise_exception(",
                "strftime_now(", "generation", "endgeneration", "set x = ", "namespace()", "macro f(a)",
                "endmacro", "f", "break", "\n", "{#", "#}", "int", "%d",
            ]),
            1..14,
        ),
        text in "\\PC{0,20}",
        prefill in "\\PC{0,8}",
    ) {
        if let Ok(template) = load(inline(&parts.concat())) {
            let said = format!("SECRET{text}");
            let turns = [(Role::User, said.as_str())];
            if let Err(why) = template.text(&chat(&turns, &prefill), SystemPrompt::Native) {
                prop_assert!(!why.contains("SECRET"), "{}", why);
            }
        }
    }

    #[test]
    fn no_text_is_a_wrong_template(text in "\\PC{0,40}", day in "\\d{4}-\\d\\d-\\d\\d", format in "(%-?[a-zA-Z]|x){0,5}") {
        let _ = load(inline(&text));
        if let Some(day) = date::Day::parse(&day) {
            let _ = day.strftime(&format);
        }
    }
}
