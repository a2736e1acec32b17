//! What is told of verbs, metrics, filters and settings: in the terminal, and to editors.

use serde_json::Value as Json;

use crate::support::Project;

fn schema() -> Json {
    let text = Project::new(&[]).ok("schema").stdout;
    serde_json::from_str(&text).expect("JSON")
}

/// True if an editor has words to show for a property: its own, or those of all that it may be.
fn is_described(schema: &Json, all: &Json) -> bool {
    if schema["description"]
        .as_str()
        .is_some_and(|text| !text.trim().is_empty())
    {
        return true;
    }
    let target = schema["$ref"]
        .as_str()
        .and_then(|to| to.strip_prefix("#/$defs/"));
    if let Some(name) = target.filter(|name| *name != "Filled") {
        return is_described(&all["$defs"][name], all);
    }
    ["anyOf", "oneOf"].iter().any(|word| {
        let options = schema[*word].as_array().into_iter().flatten();
        options.into_iter().any(|option| is_described(option, all))
    })
}

/// The places of properties and definitions without words.
fn silent(schema: &Json, all: &Json, place: &str, found: &mut Vec<String>) {
    match schema {
        Json::Object(map) => {
            for (word, value) in map {
                let place = format!("{place}/{word}");
                match word.as_str() {
                    // Conditions describe nothing.
                    "if" => continue,
                    "properties" | "$defs" => {
                        for (name, inner) in value.as_object().into_iter().flatten() {
                            let place = format!("{place}/{name}");
                            // What a metric's options are stands beside, too.
                            let beside = place.contains("/then/");
                            if !beside && !is_described(inner, all) {
                                found.push(place.clone());
                            }
                            silent(inner, all, &place, found);
                        }
                    }
                    "default" | "enum" | "const" => {}
                    _ => silent(value, all, &place, found),
                }
            }
        }
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                silent(item, all, &format!("{place}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn editors_have_words_for_every_property() {
    let schema = schema();
    let mut found = Vec::new();
    silent(&schema, &schema, "", &mut found);
    assert!(found.is_empty(), "{found:#?}");
    // The test finds what has none.
    let bad = serde_json::json!({"properties": {"a": {"type": "string"}}});
    silent(&bad, &bad, "", &mut found);
    assert_eq!(found, ["/properties/a"]);
    // Words for the program's own authors stay with them.
    let text = schema.to_string();
    assert!(!text.contains("::"), "a link into the source");
}

#[test]
fn outputs_and_options_of_metrics_are_known_to_editors() {
    let validator = jsonschema::validator_for(&schema()).expect("a JSON Schema");
    let pipeline = |output: Json, options: Json| {
        serde_json::json!({
            "clue": 1,
            "stages": {"s": {"from": "a", "score": {
                "metric": "rouge", "prediction": "p", "reference": "r", "options": options,
            }}},
            "outputs": {"a.md": output},
        })
    };
    let good = serde_json::json!({"from": "s", "digits": 2, "sort": "-x", "when": "params.x"});
    let none = serde_json::json!({});
    let stem = serde_json::json!({"stem": true, "types": ["rouge1"]});
    assert!(validator.is_valid(&pipeline(good.clone(), stem.clone())));
    assert!(validator.is_valid(&pipeline(good.clone(), serde_json::json!(null))));
    assert!(!validator.is_valid(&pipeline(
        serde_json::json!({"from": "s", "digit": 2}),
        none
    )));
    for wrong in [
        serde_json::json!({"stemm": true}),
        serde_json::json!({"types": ["rouge3"]}),
    ] {
        assert!(!validator.is_valid(&pipeline(good.clone(), wrong)));
    }
}

#[test]
fn docs_are_there_for_all_that_can_be_named() {
    let project = Project::new(&[]);
    let told: Json = serde_json::from_str(&project.ok("docs --json").stdout).expect("JSON");
    let topics = told["topics"].as_array().expect("topics");
    let of = |kind: &str| topics.iter().filter(|topic| topic["kind"] == kind).count();
    assert!(of("verb") > 25 && of("metric") > 5 && of("filter") > 50 && of("part") == 6);
    let schema = schema();
    let stages = &schema["properties"]["stages"]["additionalProperties"]["properties"];
    let verbs = topics.iter().filter(|topic| topic["kind"] == "verb");
    for verb in verbs {
        let name = verb["name"].as_str().expect("a name");
        assert!(stages.get(name).is_some(), "{name}");
    }
    // Nothing is silent here either.
    fn silent(settings: &Json) -> Vec<String> {
        let all = settings.as_array().into_iter().flatten();
        all.flat_map(|setting| {
            let mut found = silent(&setting["settings"]);
            if setting["about"] == "" {
                found.push(setting["name"].to_string());
            }
            found
        })
        .collect()
    }
    for topic in topics {
        assert_ne!(topic["about"], "", "{topic}");
        let found = silent(&topic["settings"]);
        assert!(found.is_empty(), "{}: {found:?}", topic["name"]);
    }
}

#[test]
fn docs_read_well() {
    let project = Project::new(&[]);
    insta::assert_snapshot!(project.ok("docs take").stdout + &project.ok("docs exec").stdout, @r#"
    take (verb): whole number
      Passes on the first `n` records, or all when there are fewer. Keys stay.

      As every stage: `from`, `with`, `when`, `on_error` (`clue docs stages`).
    exec (verb)
      Runs an outside program that reads records as JSON lines on its standard input, and writes
      records as JSON lines on its standard output. It runs in the folder of this file.

      command: list of text, required
          The program and its arguments; no shell reads them. A program with a `/` in its name
          is looked for from the folder of this file, others as the shell would find them.
      key: text
          The field that holds the key of each record that it writes. Without it, each line it
          writes answers the line it read, in order.
      files: list of text
          Files that it reads and whose content decides its output. Arguments that are files are
          seen without being named here.

      As every stage: `from`, `with`, `when`, `on_error` (`clue docs stages`).
    "#);
    insta::assert_snapshot!(project.ok("docs rouge").stdout, @r#"
    rouge (metric)
      Overlap of words (`rouge1`), of pairs of words (`rouge2`), and the longest common
      subsequence of words (`rougeL`). Columns: the type for F (`rouge1`), and with `_precision`
      and `_recall` for the other two. Of several references the one with the highest F counts,
      for each type on its own.

      types: list of `rouge1`, `rouge2` or `rougeL`, default `["rouge1","rouge2","rougeL"]`
          Which types to compute, in the order of the columns.
          `rouge1`: Single words.
          `rouge2`: Pairs of words that follow each other.
          `rougeL`: The longest common subsequence.
      stem: true or false, default `false`
          Whether words longer than three letters are reduced to their stems.
      of: list of `f`, `p` or `r`, default `["f"]`
          Which of F, precision and recall to keep.
          `f`: Harmonic mean of precision and recall.
          `p`: Precision.
          `r`: Recall.
    "#);
    insta::assert_snapshot!(project.ok("docs stages").stdout, @r#"
    stages:
      Stages by name: each has inputs and one verb.

      from: text or list of text
          The stage or stages whose records it reads.
      with: map of text
          Stages that expressions can read as a whole: name in expressions, and stage.
      on_error: `finish` or `stop` or map
          What to do with records that fail.
          `finish`: Finish all others; the run then ends with exit code 1. The default.
          `stop`: Stop the run at the first failure.
          skip: number, required
              Go on without the failed records; the run may still succeed, if at most this share
              (0 to 1) of the stage's records failed.
      when: text or true or false
          An expression over `params`; when false the stage is left out, and its readers read
          its input.
    "#);
    // Two of one name, and a kind.
    let both = project.ok("docs sort").stdout;
    assert!(
        both.contains("sort (verb)") && both.contains("`list | sort("),
        "{both}"
    );
    let models = project.ok("docs model").stdout;
    assert_eq!(models, project.ok("docs models").stdout);
    let tests = project.ok("docs tests").stdout;
    assert!(
        tests.lines().any(|line| line.starts_with("  divisibleby ")),
        "{tests}"
    );
    let list = project.ok("docs").stdout;
    assert!(
        list.lines().all(|line| line.chars().count() <= 92),
        "{list}"
    );
    let wrong = project.clue("docs genrate");
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("did you mean `generate`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_filter_without_a_default_shows_none() {
    let project = Project::new(&[]);
    let told = project.ok("docs bullets").stdout;
    assert!(
        told.contains("text | bullets") && !told.contains("___"),
        "{told}"
    );
}
