//! Pushing to a bucket and pulling from it, with the objects in memory.

use std::io::Write;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::How;
use super::bucket::{Before, Bucket};
use super::fault::Fault;
use super::moved::Moved;
use super::pull::pull;
use super::push::push;
use crate::engine::halt::{Halt, Reason};
use crate::hash::Hash;
use crate::plan::graph::Output;
use crate::store::{Part, Store};

fn key(n: u32) -> Hash {
    Hash::of("clue test v1", &n)
}

fn how() -> How {
    How {
        dry_run: false,
        artifacts: true,
        halt: Halt::default(),
    }
}

/// A store that is gone with its folder.
struct Temp {
    store: Store,
    _dir: tempfile::TempDir,
}

fn temp() -> Temp {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path().join("x")).expect("a store");
    Temp { store, _dir: dir }
}

async fn answer(store: &Store, n: u32, text: &str) {
    store.put_call(key(n), text).await.expect("stored");
}

fn objects() -> (Arc<InMemory>, Bucket) {
    let objects = Arc::new(InMemory::new());
    (objects.clone(), Bucket::of(objects))
}

async fn names(objects: &InMemory) -> Vec<String> {
    let all: Vec<_> = objects.list(None).try_collect().await.expect("a list");
    all.into_iter()
        .map(|object| object.location.to_string())
        .collect()
}

#[tokio::test]
async fn what_both_have_moves_once_and_own_answers_stay() {
    let (_, bucket) = objects();
    let (a, b) = (temp(), temp());
    answer(&a.store, 1, "one of a").await;
    answer(&a.store, 2, "two").await;
    answer(&b.store, 1, "one of b").await;
    let output = Output {
        content: key(9),
        rows: 1,
    };
    a.store.put_result(key(3), &output).await.expect("stored");
    a.store.put_blob("prompt").expect("stored");
    a.store
        .put_run("1", &serde_json::json!({"not": "a run"}))
        .expect("stored");
    let sent = push(&a.store, &bucket, &how()).await.expect("sent");
    assert_eq!(
        (sent.entries.count, sent.blobs.count, sent.runs.count),
        (3, 1, 0)
    );
    assert!(
        push(&a.store, &bucket, &how())
            .await
            .expect("sent")
            .is_empty()
    );
    assert!(
        push(&b.store, &bucket, &how())
            .await
            .expect("sent")
            .is_empty()
    );
    let came = pull(&b.store, &bucket, &how()).await.expect("came");
    assert_eq!(came.entries.count, 2);
    assert_eq!(
        pull(&b.store, &bucket, &how()).await.expect("came"),
        Moved::default()
    );
    let get = |n| b.store.get_call::<String>(key(n));
    assert_eq!(get(1).as_deref(), Some("one of b"));
    assert_eq!(get(2).as_deref(), Some("two"));
    assert_eq!(b.store.get_result(key(3)), Some(output));
    // And when it is opened anew.
    let again = Store::open_read(b.store.root()).expect("a store");
    assert_eq!(
        again.get_call::<String>(key(1)).as_deref(),
        Some("one of b")
    );
    assert_eq!(again.get_call::<String>(key(2)).as_deref(), Some("two"));
}

#[tokio::test]
async fn a_segment_whose_sender_was_stopped_gets_its_index() {
    let (objects, bucket) = objects();
    let (a, b) = (temp(), temp());
    answer(&a.store, 1, "one").await;
    push(&a.store, &bucket, &how()).await.expect("sent");
    let index = names(&objects).await;
    let index = index
        .iter()
        .find(|name| name.ends_with(".idx"))
        .expect("an index");
    let index = Path::parse(index).expect("a path");
    objects.delete(&index).await.expect("removed");
    assert_eq!(
        pull(&b.store, &bucket, &how())
            .await
            .expect("came")
            .entries
            .count,
        1
    );
    assert!(
        push(&a.store, &bucket, &how())
            .await
            .expect("sent")
            .is_empty()
    );
    objects.head(&index).await.expect("there again");
    let segments = names(&objects).await;
    assert_eq!(
        segments
            .iter()
            .filter(|name| name.ends_with(".seg"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_changed_byte_is_told_and_its_entry_left_out() {
    let (objects, bucket) = objects();
    let (a, b) = (temp(), temp());
    for n in 0..4 {
        answer(&a.store, n, &"text ".repeat(20 + n as usize)).await;
    }
    push(&a.store, &bucket, &how()).await.expect("sent");
    let all = names(&objects).await;
    let segment = all
        .iter()
        .find(|name| name.ends_with(".seg"))
        .expect("a segment");
    let segment = Path::parse(segment).expect("a path");
    let got = objects.get(&segment).await.expect("there");
    let mut bytes = got.bytes().await.expect("bytes").to_vec();
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    objects.put(&segment, bytes.into()).await.expect("put");
    let came = pull(&b.store, &bucket, &how()).await.expect("came");
    assert_eq!((came.entries.count, came.damaged.len()), (3, 1));
    assert!(
        came.damaged[0].contains("s3://clinic/all/calls/"),
        "{:?}",
        came.damaged
    );
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing() {
    let (objects, bucket) = objects();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&vec![7; 20 << 20]).expect("written");
    let halt = Halt::default();
    let name = "artifacts/x";
    let send = |halt: Halt| {
        let (bucket, path) = (&bucket, file.path());
        async move { bucket.send(name, path, Before::Nothing, &halt).await }
    };
    halt.raise(Reason::Interrupted);
    // Whether it is done first or stopped first is chance; half of it is never there.
    let done = send(halt).await;
    let there = names(&objects).await.len();
    assert_eq!(there, usize::from(!matches!(done, Err(Fault::Interrupted))));
    assert!(send(Halt::default()).await.expect("sent"));
    let whole = objects
        .head(&Path::from("all/artifacts/x"))
        .await
        .expect("there");
    assert_eq!(whole.size, 20 << 20);
}

#[test]
fn only_a_parts_own_name_names_it() {
    let hash = key(1);
    let parts = [
        Part::Artifact(hash),
        Part::Blob(hash),
        Part::Run("1-2".to_owned()),
    ];
    for part in parts {
        let name = part.name();
        assert_eq!(Part::parse(&name), Some(part));
        assert_eq!(Part::parse(&format!("{name}x")), None);
        assert_eq!(Part::parse(&name.replacen('/', "/../", 1)), None);
    }
    for other in [
        "runs/../../x.json",
        "runs/a/b.json",
        "runs/.json",
        "artifacts/ab/é",
        "calls/1.seg",
    ] {
        assert_eq!(Part::parse(other), None, "{other}");
    }
}
