//! What a server says of itself and its models, in the words of llama.cpp, vLLM, TGI and others.
//! Pure: bytes in, facts out.

use serde_json::Value;

/// What is known of a server. What nobody told is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The names of the models that it serves, each once.
    pub served: Vec<String>,
    /// Tokens of prompt and answer together that fit into the model's context.
    pub context: Option<u64>,
    /// Its chat template, as far as it tells.
    pub template: Option<Template>,
    /// True for Text Generation Inference.
    pub is_tgi: bool,
}

/// A server's chat template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// There is one.
    Own,
    /// The one that llama.cpp falls back to for models that have none.
    FallBack,
    /// There is none.
    Missing,
}

impl About {
    /// Takes in the list of models at `/v1/models`; the context is that of `id`, or of the only
    /// model there is.
    pub fn models(&mut self, bytes: &[u8], id: &str) {
        let json = json(bytes);
        let Some(list) = json["data"].as_array() else {
            return;
        };
        for model in list {
            let Some(name) = model["id"].as_str() else {
                continue;
            };
            if !self.served.iter().any(|known| known == name) {
                self.served.push(name.to_owned());
            }
            if name == id || list.len() == 1 {
                // vLLM, llama.cpp, OpenRouter.
                let told = [
                    &model["max_model_len"],
                    &model["meta"]["n_ctx"],
                    &model["context_length"],
                ];
                self.context = self.context.or(told.into_iter().find_map(positive));
            }
        }
    }

    /// Takes in llama.cpp's `/props`.
    pub fn props(&mut self, bytes: &[u8]) {
        let json = json(bytes);
        // The context of one slot: what a single call can have.
        let context = positive(&json["default_generation_settings"]["n_ctx"]);
        self.context = context.or(self.context);
        if let Some(template) = json["chat_template"].as_str() {
            let text = template.trim();
            let falls_back = text.starts_with("{%- for message in messages -%}")
                && text.contains("'<|im_start|>' + message.role");
            self.template = Some(if text.is_empty() {
                Template::Missing
            } else if falls_back {
                Template::FallBack
            } else {
                Template::Own
            });
        }
    }

    /// Takes in TGI's `/info`.
    pub fn info(&mut self, bytes: &[u8]) {
        let json = json(bytes);
        let context = positive(&json["max_total_tokens"]);
        let Some(name) = json["model_id"].as_str().filter(|_| context.is_some()) else {
            return;
        };
        self.is_tgi = true;
        self.context = context;
        if !self.served.iter().any(|known| known == name) {
            self.served.push(name.to_owned());
        }
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn positive(value: &Value) -> Option<u64> {
    value.as_u64().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_cpp_is_read() {
        let mut about = About::default();
        about.models(
            br#"{"object":"list","data":[{"id":"gemma","meta":{"n_ctx":8192,"n_ctx_train":32768}}]}"#,
            "other",
        );
        assert_eq!(about.context, Some(8192));
        about.props(
            br#"{"default_generation_settings":{"n_ctx":2048},"total_slots":4,"chat_template":"{{ bos_token }}"}"#,
        );
        assert_eq!(about.served, ["gemma"]);
        assert_eq!(about.context, Some(2048));
        assert_eq!(about.template, Some(Template::Own));
    }

    #[test]
    fn the_template_that_stands_in_is_known() {
        let of = |template: &str| {
            let mut about = About::default();
            let props = serde_json::json!({"chat_template": template});
            about.props(props.to_string().as_bytes());
            about.template
        };
        let chatml = "{%- for message in messages -%}\n  {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}\n{%- endfor -%}";
        assert_eq!(of(chatml), Some(Template::FallBack));
        assert_eq!(of(" "), Some(Template::Missing));
        assert_eq!(of("{{ '<|im_start|>' }}"), Some(Template::Own));
    }

    #[test]
    fn vllm_is_read_for_the_right_model() {
        let list =
            br#"{"data":[{"id":"a","max_model_len":10},{"id":"b","max_model_len":20},{"id":"b"}]}"#;
        let context = |id| {
            let mut about = About::default();
            about.models(list, id);
            assert_eq!(about.served, ["a", "b"]);
            about.context
        };
        assert_eq!(context("b"), Some(20));
        assert_eq!(context("c"), None);
    }

    #[test]
    fn tgi_is_read() {
        let mut about = About::default();
        about.info(br#"{"model_id":"gemma","max_input_tokens":4095,"max_total_tokens":4096}"#);
        assert_eq!(about.served, ["gemma"]);
        assert_eq!((about.context, about.is_tgi), (Some(4096), true));
    }

    #[test]
    fn anything_else_tells_nothing() {
        for bytes in [
            &b"<html>"[..],
            b"[]",
            b"{}",
            b"{\"data\":3,\"model_id\":4,\"default_generation_settings\":[]}",
            b"{\"data\":[1,{\"id\":2}],\"chat_template\":null}",
            b"",
        ] {
            let mut about = About::default();
            about.models(bytes, "m");
            about.props(bytes);
            about.info(bytes);
            assert_eq!(about, About::default());
        }
    }
}
