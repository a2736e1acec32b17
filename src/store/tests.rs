//! The store as a whole: what survives damage, crashes and company.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::*;
use proptest::prelude::*;

fn key(n: u32) -> Hash {
    Hash::of("clue test v1", &n)
}

fn wait<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

fn text(n: u32) -> String {
    // Some are tiny and plain, some are packed.
    format!("reply {n} ").repeat(1 + 20 * (n as usize % 2))
}

fn put(store: &Store, numbers: std::ops::Range<u32>) {
    wait(async {
        for n in numbers {
            store.put_call(key(n), &text(n)).await.unwrap();
        }
    });
}

/// How many of the calls are there; each of them must be right.
fn there(store: &Store, numbers: std::ops::Range<u32>) -> usize {
    numbers
        .filter_map(|n| Some((n, store.get_call::<String>(key(n))?)))
        .map(|(n, found)| assert_eq!(found, text(n)))
        .count()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    log::segments(&dir.join("calls")).unwrap()
}

fn artifact(store: &Store, bytes: &[u8]) -> Hash {
    let mut writer = store.artifact_writer().unwrap();
    bytes.chunks(7).for_each(|c| writer.write(c).unwrap());
    writer.finish().unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_stored_is_there_at_once_and_later() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/.clue");
    let store = Store::open(&root).unwrap();
    let output = Output {
        content: key(7),
        rows: 3,
    };
    put(&store, 0..10);
    put(&store, 0..1);
    wait(store.put_result(key(0), &output)).unwrap();
    for store in [&store, &Store::open_read(&root).unwrap()] {
        assert_eq!(there(store, 0..20), 10);
        assert_eq!(store.get_result(key(0)), Some(output.clone()));
        assert_eq!(store.take_faults(), [""; 0]);
    }
    assert_eq!(segments(&root).len(), 1);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        fs::metadata(&root).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn looking_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join(".clue");
    let store = Store::open_read(&root).unwrap();
    assert_eq!(there(&store, 0..3), 0);
    assert!(store.runs::<String>().is_empty());
    assert!(wait(store.put_call(key(0), "x")).is_err());
    assert!(store.artifact_writer().is_err());
    store.save_stats().unwrap();
    assert!(store.verify().is_empty());
    assert!(!root.exists());
}

#[test]
fn a_torn_end_loses_only_what_was_being_written() {
    let dir = tempfile::tempdir().unwrap();
    put(&Store::open(dir.path()).unwrap(), 0..4);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let mut ends = vec![];
    let scan = frame::scan(&fs::File::open(&path).unwrap()).unwrap();
    scan.frames.iter().for_each(|f| ends.push(f.at + f.size()));
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let complete = ends.iter().filter(|end| **end <= len as u64).count();
        assert_eq!(there(&store, 0..4), complete, "cut at {len}");
        assert_eq!(store.take_faults(), [""; 0], "cut at {len}");
    }
}

#[test]
fn every_flipped_byte_of_a_segment_is_told_and_costs_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    put(&Store::open(dir.path()).unwrap(), 0..4);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        let looking = Store::open_read(dir.path()).unwrap();
        let left = there(&looking, 0..4);
        assert!(left >= 3, "byte {at}: {left} left");
        assert!(left == 3 || at < frame::HEADER.len(), "byte {at}");
        assert_eq!(looking.take_faults().len(), 1, "byte {at}");
        assert_eq!(looking.verify().len(), 1, "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), bad, "only looked at");

        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.verify().len(), 1, "byte {at}");
        assert_eq!(store.verify().len(), 0, "byte {at}: repaired");
        assert_eq!(there(&store, 0..4), left, "byte {at}");
    }
}

#[test]
fn damage_is_mended_by_storing_again() {
    let dir = tempfile::tempdir().unwrap();
    put(&Store::open(dir.path()).unwrap(), 0..3);
    let path = segments(dir.path()).remove(0);
    let mut bad = fs::read(&path).unwrap();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(&path, &bad).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(there(&store, 0..3), 2);
    assert_eq!(store.take_faults().len(), 1);
    put(&store, 2..3);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(there(&store, 0..3), 3);
    assert_eq!(store.take_faults(), [""; 0], "the sound copy is enough");
}

#[test]
fn the_first_call_and_the_last_result_count() {
    let dir = tempfile::tempdir().unwrap();
    let output = |rows| Output {
        content: key(1),
        rows,
    };
    for rows in 0..3 {
        let store = Store::open(dir.path()).unwrap();
        wait(store.put_call(key(0), &rows)).unwrap();
        wait(store.put_result(key(0), &output(rows))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.get_call::<u64>(key(0)), Some(0));
    assert_eq!(store.get_result(key(0)), Some(output(2)));
}

#[test]
fn many_writers_in_many_stores_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [(); 2].map(|()| Store::open(dir.path()).unwrap());
    std::thread::scope(|scope| {
        for n in 0..8 {
            let store = stores[n as usize % 2].clone();
            scope.spawn(move || put(&store, n * 20..(n + 1) * 20));
        }
    });
    let refused = stores[0].gc(&HashSet::new(), false).unwrap_err();
    assert!(refused.message.contains("in use"), "{}", refused.message);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(there(&store, 0..200), 160);
    assert_eq!(segments(dir.path()).len(), 2);
    assert_eq!(store.verify(), [""; 0]);
}

#[test]
fn stores_are_merged_by_copying() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut hashes = Vec::new();
    for (n, dir) in dirs.iter().enumerate() {
        let store = Store::open(dir.path()).unwrap();
        put(&store, n as u32 * 5..n as u32 * 5 + 8);
        hashes.push(artifact(&store, format!("{n}\n").as_bytes()));
        store.put_run(&format!("run-{n}"), "x").unwrap();
    }
    let [from, to] = dirs.map(|d| d.keep());
    for file in files(&from) {
        let target = to.join(file.strip_prefix(&from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    let store = Store::open(&to).unwrap();
    assert_eq!(there(&store, 0..20), 13);
    assert!(hashes.into_iter().all(|h| store.verify_artifact(h)));
    assert_eq!(store.runs::<String>().len(), 2);
    assert_eq!(store.verify(), [""; 0]);
    for dir in [from, to] {
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn a_newer_format_is_refused_and_a_damaged_one_mended() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join("format.json");
    let good = fs::read(&path).unwrap();
    for newer in ["{\"format\": 2}", "{\"format\":2,\"more\":[]}"] {
        fs::write(&path, newer).unwrap();
        for outcome in [Store::open(dir.path()), Store::open_read(dir.path())] {
            let message = outcome.unwrap_err().message;
            assert!(message.contains("has format 2"), "{message}");
        }
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 2;
        fs::write(&path, &bad).unwrap();
        match Store::open(dir.path()) {
            Ok(store) => assert_eq!(store.take_faults().len(), 1, "byte {at}"),
            Err(error) => panic!("byte {at}: {}", error.message),
        }
        assert_eq!(fs::read(&path).unwrap(), good);
    }
    fs::write(&path, "{\"format\":1}").unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().take_faults(), [""; 0]);
    assert!(Store::open(&path).is_err(), "a file is no store");
}

#[test]
fn every_flipped_byte_of_an_artifact_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let content = "{\"id\":1}\n{\"id\":2}\n".repeat(9);
    let hash = artifact(&store, content.as_bytes());
    assert_eq!(hash, Hash::of_bytes(content.as_bytes()));
    let path = sealed::hashed(&dir.path().join("artifacts"), hash, artifact::EXTENSION);
    let good = fs::read(&path).unwrap();
    let plain = zstd::decode_all(&good[..]).unwrap();
    assert_eq!(plain, content.as_bytes(), "other programs can read it");
    let read = || {
        let mut text = String::new();
        let reader = store.read_artifact(hash).unwrap()?;
        Some(
            std::io::BufReader::new(reader)
                .read_to_string(&mut text)
                .map(|_| text),
        )
    };
    assert_eq!(read().unwrap().unwrap(), content);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        if let Some(Ok(text)) = read() {
            assert_eq!(text, content, "byte {at}: wrong content never ends well");
        }
        let seen = path.exists() && store.verify_artifact(hash);
        assert!(!seen, "byte {at}");
        assert_eq!(store.take_faults().len(), 1, "byte {at}");
        assert!(!store.has_artifact(hash), "byte {at}");
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).unwrap();
        assert!(!store.verify_artifact(hash), "cut at {len}");
    }
    assert_eq!(artifact(&store, content.as_bytes()), hash);
    assert!(store.verify_artifact(hash));
    drop(store.artifact_writer().unwrap());
    assert_eq!(files(&dir.path().join("tmp")).len(), 0);
}

#[test]
fn blobs_and_runs_show_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let hash = store.put_blob("a prompt").unwrap();
    assert_eq!(store.get_blob(hash).as_deref(), Some("a prompt"));
    let path = sealed::hashed(&dir.path().join("blobs"), hash, "");
    fs::write(&path, "b prompt").unwrap();
    assert_eq!(store.get_blob(hash), None);
    assert_eq!(store.take_faults().len(), 1);
    assert_eq!(store.put_blob("a prompt").unwrap(), hash);
    assert!(store.get_blob(hash).is_some());

    store.put_run("2026-01", "one").unwrap();
    store.put_run("2026-02", "two").unwrap();
    store.put_run("2026-02", "two again").unwrap();
    assert!(store.put_run("../escape", "x").is_err());
    let runs = store.runs::<String>();
    assert_eq!(runs[0], ("2026-02".to_owned(), "two again".to_owned()));
    assert_eq!(runs.len(), 2);
    fs::write(dir.path().join("runs/2026-01.json"), "{}").unwrap();
    assert_eq!(store.runs::<String>().len(), 1);
    assert_eq!(store.take_faults().len(), 1);
    store.remove_run("2026-01").unwrap();
    assert_eq!(store.verify(), [""; 0]);
}

#[test]
fn cleaning_up_keeps_what_is_named() {
    let dir = tempfile::tempdir().unwrap();
    put(&Store::open(dir.path()).unwrap(), 0..6);
    let store = Store::open(dir.path()).unwrap();
    put(&store, 3..10);
    let (kept, gone) = (artifact(&store, b"kept\n"), artifact(&store, b"gone\n"));
    for (n, content) in [(100, kept), (101, gone)] {
        let output = Output { content, rows: 1 };
        wait(store.put_result(key(n), &output)).unwrap();
    }
    store.put_blob("a prompt").unwrap();
    fs::write(dir.path().join("tmp/left"), "half").unwrap();
    let mut keep: HashSet<Hash> = (0..5).map(key).collect();
    keep.insert(kept);

    let would = store.gc(&keep, true).unwrap();
    assert_eq!(there(&store, 0..10), 10);
    let before = store.stats();
    assert_eq!((before.calls.count, before.results.count), (10, 2));
    let freed = store.gc(&keep, false).unwrap();
    assert_eq!(freed, would);
    assert_eq!((freed.entries.count, freed.unfinished.count), (6, 1));
    put(&store, 20..21);
    for store in [&store, &Store::open(dir.path()).unwrap()] {
        assert_eq!(there(store, 0..10), 5);
        assert_eq!(there(store, 20..21), 1);
        assert!(store.get_result(key(100)).is_some() && store.has_artifact(kept));
        assert!(store.get_result(key(101)).is_none() && !store.has_artifact(gone));
        assert_eq!(store.stats().blobs.count, 0);
        assert_eq!(store.verify(), [""; 0]);
    }
    keep.insert(key(20));
    assert_eq!(store.gc(&keep, false).unwrap().entries.count, 0);
    assert_eq!(segments(dir.path()).len(), 1);
    assert_eq!(store.gc(&keep, false).unwrap(), Freed::default());
}

#[test]
fn cleaning_up_prefers_a_sound_copy() {
    let dir = tempfile::tempdir().unwrap();
    put(&Store::open(dir.path()).unwrap(), 0..1);
    let first = segments(dir.path()).remove(0);
    let other = tempfile::tempdir().unwrap();
    put(&Store::open(other.path()).unwrap(), 0..1);
    let copy = segments(other.path()).remove(0);
    fs::copy(&copy, dir.path().join("calls/9999999999999-1-copy.seg")).unwrap();
    let mut bad = fs::read(&first).unwrap();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(&first, bad).unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.gc(&HashSet::from([key(0)]), false).unwrap();
    assert_eq!(there(&store, 0..1), 1);
    assert_eq!(store.verify(), [""; 0]);
}

#[test]
fn a_failed_write_is_told_and_earlier_entries_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    fs::remove_dir(dir.path().join("calls")).unwrap();
    for _ in 0..2 {
        let error = wait(store.put_call(key(0), "x")).unwrap_err().to_string();
        assert!(
            error.starts_with("no such file or directory while"),
            "{error}"
        );
    }
    fs::create_dir(dir.path().join("calls")).unwrap();
    put(&store, 0..2);
    assert_eq!(there(&store, 0..2), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_panic(
        junk in proptest::collection::vec(any::<u8>(), 0..300),
        at in 0usize..400,
        cut in 0usize..400,
    ) {
        let dir = tempfile::tempdir().unwrap();
        put(&Store::open(dir.path()).unwrap(), 0..3);
        let path = segments(dir.path()).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, junk);
        fs::write(&path, bytes).unwrap();
        let store = Store::open_read(dir.path()).unwrap();
        there(&store, 0..3);
        store.verify();
    }
}
