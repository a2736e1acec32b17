//! What a pipeline says of itself at the top of its file, for readers. Decides nothing.

use serde_json::Value as Json;

use super::pipeline::Pipeline;

/// What a pipeline says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What it makes.
    pub description: Option<String>,
    /// What to cite when using it.
    pub cite: Vec<String>,
    /// The license of what it makes, by its SPDX identifier.
    pub license: Option<String>,
}

impl About {
    /// Of a pipeline that was read.
    pub fn of(pipeline: &Pipeline) -> About {
        let main = pipeline.sources.find(&pipeline.file);
        let yaml: Json = main
            .and_then(|id| serde_yaml::from_str(pipeline.sources.text(id)).ok())
            .unwrap_or_default();
        let text = |name: &str| {
            let text = yaml[name].as_str().map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let cite = match &yaml["cite"] {
            Json::String(text) => vec![text.clone()],
            Json::Array(texts) => {
                let texts = texts.iter().filter_map(Json::as_str);
                texts.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        About {
            description: text("description"),
            cite,
            license: text("license"),
        }
    }
}
