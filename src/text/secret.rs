//! What may be a secret, and is not shown: settings and params that are called so, and logins in
//! addresses. A param should never be one; that it is does not make it public.

use serde_json::Value as Json;

/// What replaces a secret.
const HIDDEN: &str = "…";
/// Bytes of a secret that is looked for within other values.
const SHORTEST: usize = 4;

/// A value without what may be a secret: settings that are called so, and logins in addresses.
pub fn redact(name: &str, value: Json) -> Json {
    match value {
        Json::String(text) if is_secret(name) && !text.is_empty() => {
            Json::String(HIDDEN.to_owned())
        }
        Json::String(text) => Json::String(safe(&text)),
        Json::Array(items) => {
            let items = items.into_iter().map(|item| redact(name, item));
            Json::Array(items.collect())
        }
        Json::Object(entries) => {
            let entries = entries.into_iter().map(|(name, value)| {
                let value = redact(&name, value);
                (name, value)
            });
            Json::Object(entries.collect())
        }
        other => other,
    }
}

/// True for what is called as secrets are.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let secret = ["password", "secret", "api_key", "token"];
    secret.iter().any(|word| {
        name == *word || name.ends_with(&format!("_{word}")) || name.ends_with(&format!("/{word}"))
    })
}

/// The values of params that are called as secrets are, but for those that are too short to be told
/// from any other text: the longest first, so that none hides a part of another.
pub fn secrets<'v>(params: impl Iterator<Item = (&'v String, &'v Json)>) -> Vec<String> {
    let own = params.filter(|(name, _)| is_secret(name));
    let texts = own.filter_map(|(_, value)| value.as_str());
    let mut texts: Vec<String> = texts
        .filter(|text| text.len() >= SHORTEST)
        .map(str::to_owned)
        .collect();
    texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    texts
}

/// A value in whose texts, names and all, these do not stand.
pub fn without(secrets: &[String], value: Json) -> Json {
    let hide = |text: &str| {
        secrets
            .iter()
            .fold(text.to_owned(), |text, s| text.replace(s, HIDDEN))
    };
    match value {
        _ if secrets.is_empty() => value,
        Json::String(text) => Json::String(hide(&text)),
        Json::Array(items) => items
            .into_iter()
            .map(|item| without(secrets, item))
            .collect(),
        Json::Object(entries) => {
            let entries = entries.into_iter();
            entries
                .map(|(name, value)| (hide(&name), without(secrets, value)))
                .collect()
        }
        other => other,
    }
}

/// A text without the logins of addresses in it (`https://name:password@host`).
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        safe.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || "/\"'`<>?#,;".contains(c))
            .unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(at) => {
                safe.push_str(HIDDEN);
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_stay_behind() {
        let model = json!({"url": "https://me:pw@host/v1", "api_key": "k", "key_env": "KEY",
                           "max_tokens": 5, "tokenizer": "t.json"});
        assert_eq!(
            redact("model", model).to_string(),
            "{\"url\":\"https://…@host/v1\",\"api_key\":\"…\",\"key_env\":\"KEY\",\
             \"max_tokens\":5,\"tokenizer\":\"t.json\"}"
        );
        assert_eq!(redact("clue/hub_token", json!("hush")), json!("…"));
        let params = [
            ("hub_token", "hush"),
            ("my_secret", "hush!"),
            ("token", "a"),
            ("word", "for"),
        ];
        let params: Vec<(String, Json)> = params.map(|(n, v)| (n.to_owned(), json!(v))).into();
        let hidden = secrets(params.iter().map(|(name, value)| (name, value)));
        let value = json!({"command": ["a", "--key=hush!", "hush for"]});
        assert_eq!(
            without(&hidden, value),
            json!({"command": ["a", "--key=…", "… for"]})
        );
        assert_eq!(
            safe("a http://h/x@y and s3://u:p@b c@d"),
            "a http://h/x@y and s3://…@b c@d"
        );
    }
}
