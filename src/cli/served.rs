//! Where servers that a run starts have their things, and which of their files were agreed to.

use std::path::Path;

use crate::engine::pipe::Pipe;
use crate::engine::shard::Shard;
use crate::model::serve::Place;
use crate::trust::gather::files_of_server;
use crate::trust::need::Need;

/// The place of a model's server in a cache; none where there cannot be one.
pub fn place(
    pipe: &Pipe,
    name: &str,
    store: &Path,
    agreed: &[Need],
    shard: Option<Shard>,
) -> Option<Place> {
    let dir = pipe.model_dir(name);
    let logs = store.join("logs");
    // Several machines use one cache, and several tasks one machine.
    let logs = match shard {
        Some(Shard { index, count }) => logs.join(format!("shard-{index}-of-{count}")),
        None => logs,
    };
    let place = Place::new(dir, store, &logs).ok()?;
    let serve = pipe.models.get(name).and_then(|model| model.serve.as_ref());
    let files = serve.map(|serve| files_of_server(serve, dir, agreed));
    Some(Place {
        agreed: files.unwrap_or_default(),
        ..place
    })
}
