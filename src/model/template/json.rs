//! The filter `tojson` of chat templates: `json.dumps` of Python as transformers sets it up,
//! without the escapes for HTML that Jinja's own has.

use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, Value};

use super::python::fault;

/// The value as Python's `json.dumps` writes it, with everything but ASCII as it is unless
/// `ensure_ascii` is set.
pub fn tojson(value: &Value, args: Rest<Value>, options: Kwargs) -> Result<String, Error> {
    let ascii = options.get::<Option<bool>>("ensure_ascii")?;
    let indent = options.get::<Option<Value>>("indent")?;
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let sorted = options.get::<Option<bool>>("sort_keys")?;
    options.assert_all_used()?;
    let ascii = ascii.or_else(|| args.first().map(Value::is_true)) == Some(true);
    let indent = match indent.or_else(|| args.get(1).cloned()) {
        None => None,
        Some(value) if value.is_none() => None,
        Some(value) => Some(match value.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(
                usize::try_from(value.as_i64().unwrap_or(0))
                    .unwrap_or(0)
                    .min(64),
            ),
        }),
    };
    let (comma, colon) = match separators.as_deref() {
        Some([comma, colon]) => (comma.as_str(), colon.as_str()),
        Some(_) => return Err(fault("`separators` takes two texts")),
        None if indent.is_some() => (",", ": "),
        None => (", ", ": "),
    };
    let json = serde_json::to_value(value).map_err(|_| fault("this value is no JSON"))?;
    let mut writer = Json {
        out: String::new(),
        ascii,
        indent: indent.as_deref(),
        comma,
        colon,
        sorted: sorted == Some(true),
    };
    writer.value(&json, 0);
    Ok(writer.out)
}

struct Json<'a> {
    out: String,
    ascii: bool,
    indent: Option<&'a str>,
    comma: &'a str,
    colon: &'a str,
    sorted: bool,
}

impl Json<'_> {
    fn value(&mut self, value: &serde_json::Value, depth: usize) {
        match value {
            serde_json::Value::Array(items) => {
                self.all('[', ']', items, depth, |json, item| {
                    json.value(item, depth + 1)
                });
            }
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.sorted {
                    entries.sort_by_key(|(key, _)| *key);
                }
                self.all('{', '}', &entries, depth, |json, (key, item)| {
                    json.text(key);
                    json.out.push_str(json.colon);
                    json.value(item, depth + 1);
                });
            }
            serde_json::Value::String(text) => self.text(text),
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn all<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        depth: usize,
        mut each: impl FnMut(&mut Self, &T),
    ) {
        self.out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push_str(self.comma);
            }
            self.line(depth + 1);
            each(self, item);
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push(close);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ascii && c > '~') => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    fn render(template: &str) -> String {
        let env = super::super::python::environment(None);
        env.render_str(template, ()).expect("renders")
    }

    #[test]
    fn json_is_pythons() {
        for (template, expected) in [
            (
                r#"{{ {'b': ['é\n', {}], 'a': []} | tojson }}"#,
                r#"{"b": ["é\n", {}], "a": []}"#,
            ),
            (
                r#"{{ '😀é' | tojson(ensure_ascii=true) }}"#,
                r#""\ud83d\ude00\u00e9""#,
            ),
            (
                r#"{{ {'b': 1, 'a': [2]} | tojson(sort_keys=true, separators=(',', ':')) }}"#,
                r#"{"a":[2],"b":1}"#,
            ),
            (
                r#"{{ [1, [2]] | tojson(indent=1) }}"#,
                "[\n 1,\n [\n  2\n ]\n]",
            ),
            (r#"{{ "<'&>" | tojson }}"#, r#""<'&>""#),
        ] {
            assert_eq!(render(template), expected, "{template}");
        }
    }
}
