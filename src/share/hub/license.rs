//! Licenses as the Hub names them at the top of a card. Pure.

use serde_json::{Map, Value as Json};

/// The names that the Hub's documentation lists ("Licenses", `repositories-licenses`). They are
/// SPDX's in lower case, but for some without their version.
const KNOWN: [&str; 69] = [
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "artistic-2.0",
    "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigscience-openrail-m",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsl-1.0",
    "c-uda",
    "cc",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "creativeml-openrail-m",
    "deepfloyd-if-license",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "gemma",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "isc",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "lgpl-lr",
    "llama2",
    "lppl-1.3c",
    "mit",
    "mpl-2.0",
    "ms-pl",
    "ncsa",
    "odbl",
    "odc-by",
    "ofl-1.1",
    "openrail",
    "openrail++",
    "osl-3.0",
    "other",
    "pddl",
    "postgresql",
    "unknown",
    "unlicense",
    "wtfpl",
    "zlib",
];

/// Families that the Hub names without a version, as SPDX's names begin.
const FAMILIES: [&str; 5] = ["c-uda-", "gfdl-", "odbl-", "odc-by-", "pddl-"];

/// What a card says of a license: its name on the Hub; of one that is not on its list, `other`
/// with its name or its address as they are.
pub fn facts(license: &str) -> Map<String, Json> {
    let license = license.trim();
    let mut facts = Map::new();
    let mut add = |name: &str, value: &str| facts.insert(name.to_owned(), value.into());
    if let Some(name) = on_the_hub(license) {
        add("license", name);
    } else if license.starts_with("https://") || license.starts_with("http://") {
        add("license", "other");
        add("license_link", license);
    } else if !license.is_empty() {
        add("license", "other");
        add("license_name", license);
    }
    facts
}

fn on_the_hub(license: &str) -> Option<&'static str> {
    let lower = license.to_lowercase();
    let known = |name: &str| KNOWN.into_iter().find(|known| *known == name);
    let family = || {
        let versioned = |family: &&&str| lower.strip_prefix(**family).is_some_and(is_version);
        let family = FAMILIES.iter().find(versioned)?;
        known(family.trim_end_matches('-'))
    };
    // The Hub has one name for both forms of GNU's licenses.
    let gnu = || {
        let bare = lower
            .strip_suffix("-only")
            .or(lower.strip_suffix("-or-later"))?;
        known(bare).filter(|name| name.contains("gpl"))
    };
    known(&lower).or_else(gnu).or_else(family)
}

fn is_version(text: &str) -> bool {
    let text = text.trim_end_matches("-only").trim_end_matches("-or-later");
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_hub_knows_has_its_name_and_all_else_stays() {
        for (license, told) in [
            ("CC-BY-4.0", json!({"license": "cc-by-4.0"})),
            (" MIT ", json!({"license": "mit"})),
            ("GPL-3.0-or-later", json!({"license": "gpl-3.0"})),
            ("LGPL-2.1-only", json!({"license": "lgpl-2.1"})),
            ("ODbL-1.0", json!({"license": "odbl"})),
            ("GFDL-1.3-or-later", json!({"license": "gfdl"})),
            ("other", json!({"license": "other"})),
            (
                "MIT-only",
                json!({"license": "other", "license_name": "MIT-only"}),
            ),
            (
                "MIT OR Apache-2.0",
                json!({"license": "other", "license_name": "MIT OR Apache-2.0"}),
            ),
            (
                "PhysioNet Credentialed Health Data License 1.5.0",
                json!({
                    "license": "other",
                    "license_name": "PhysioNet Credentialed Health Data License 1.5.0",
                }),
            ),
            (
                "https://example.org/Terms?V=1",
                json!({"license": "other", "license_link": "https://example.org/Terms?V=1"}),
            ),
            ("", json!({})),
        ] {
            assert_eq!(Json::Object(facts(license)), told, "{license}");
        }
    }
}
