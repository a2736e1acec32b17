//! The local Hugging Face cache: where it is, and what lies in it. Knows nothing of models.

use std::env;
use std::path::{Path, PathBuf};

/// True for the files of models in the local Hugging Face cache, where only their owner puts
/// them.
pub fn is_cached(path: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let below = real(path).zip(cache().and_then(|cache| real(&cache)));
    below.is_some_and(|(path, cache)| {
        let below = path
            .strip_prefix(cache)
            .ok()
            .and_then(|below| below.iter().next());
        below.is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
    })
}

/// The folder of the Hugging Face cache, by the rules of `huggingface_hub`.
pub(super) fn cache() -> Option<PathBuf> {
    let var = |name: &str| {
        let value = env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    var("HF_HUB_CACHE")
        .or_else(|| var("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(var("HF_HOME")?.join("hub")))
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(env::home_dir()?.join(".cache/huggingface/hub")))
}
