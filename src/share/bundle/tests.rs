//! Archives as they are written and read, damaged, and made by somebody who means ill.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;

use super::archive::{Body, Member, frame, write};
use super::check::{Archive, Fault, check};
use super::frames::{Entry, seal};
use super::manifest::{self, FORMAT, Manifest, Role};
use super::member::{self, END};
use crate::hash::Hash;

const MOST: u64 = 1 << 20;

fn bundle(files: &[(String, Vec<u8>)]) -> (Vec<u8>, Manifest) {
    let mut manifest = Manifest {
        name: "p".to_owned(),
        ..Manifest::default()
    };
    let members: Vec<Member> = files
        .iter()
        .map(|(path, bytes)| Member {
            path: path.clone(),
            role: Role::File,
            body: Body::Bytes(bytes.clone()),
            hash: None,
        })
        .collect();
    let mut out = Vec::new();
    write(&mut out, &mut manifest, &members).expect("written");
    (out, manifest)
}

fn three() -> Vec<(String, Vec<u8>)> {
    let noise: Vec<u8> = (0..3000_u32)
        .map(|n| (n.wrapping_mul(n).wrapping_mul(7919) >> 8) as u8)
        .collect();
    [
        ("a.txt", b"some text".to_vec()),
        ("d/b", noise),
        ("d/long", vec![0; 600]),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .to_vec()
}

fn at(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

fn told(faults: &[Fault]) -> Vec<String> {
    let line = |fault: &Fault| format!("{} {}", fault.member, fault.what);
    faults.iter().map(line).collect()
}

fn faults(bytes: &[u8]) -> Vec<String> {
    told(&check(at(bytes).path(), MOST).expect("a bundle").faults)
}

fn refused(bytes: &[u8]) -> String {
    check(at(bytes).path(), MOST).expect_err("refused").message
}

fn whole(bytes: &[u8]) -> Archive {
    let checked = check(at(bytes).path(), MOST).expect("a bundle");
    assert_eq!(told(&checked.faults), [""; 0]);
    checked.archive.expect("whole")
}

/// Where the frames begin: one more than there are members.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let find = |(at, window): (usize, &[u8])| (window == magic).then_some(at);
    bytes.windows(4).enumerate().filter_map(find).collect()
}

/// An archive of frames with any heads, listed as the manifest wants it.
fn forged(manifest: &Manifest, parts: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let first = manifest.bytes();
    let head = member::head(manifest::NAME, first.len() as u64).expect("a head");
    let mut all = vec![(head, &first[..])];
    all.extend(parts.iter().map(|(head, body)| (head.clone(), *body)));
    all.push((END.to_vec(), b""));
    for (head, mut body) in all {
        let bytes = body.len() as u64;
        entries.push(frame(&mut out, &head, &mut body, bytes).expect("written"));
    }
    out.extend(seal(&entries));
    out
}

fn listing(files: &[(&str, &[u8])]) -> Manifest {
    let file = |(path, bytes): &(&str, &[u8])| manifest::File {
        path: (*path).to_owned(),
        bytes: bytes.len() as u64,
        hash: Hash::of_bytes(bytes),
        role: Role::File,
    };
    Manifest {
        clue_bundle: FORMAT,
        files: files.iter().map(file).collect(),
        ..Manifest::default()
    }
}

fn plain(path: &str, body: &'static [u8]) -> (Vec<u8>, &'static [u8]) {
    (member::head(path, body.len() as u64).expect("a head"), body)
}

#[test]
fn the_same_members_have_the_same_bytes_which_tar_reads() {
    let (bytes, manifest) = bundle(&three());
    assert_eq!(bytes, bundle(&three()).0);
    let plain = zstd::decode_all(&bytes[..]).expect("zstd");
    let mut tar = tar::Archive::new(&plain[..]);
    let mut seen = Vec::new();
    for entry in tar.entries().expect("tar") {
        let mut entry = entry.expect("a member");
        let path = entry.path().expect("a path").display().to_string();
        let mut body = Vec::new();
        std::io::copy(&mut entry, &mut body).expect("read");
        assert_eq!(entry.header().mtime().ok(), Some(0));
        seen.push((path, body));
    }
    assert_eq!(seen[0], ("bundle.json".to_owned(), manifest.bytes()));
    assert_eq!(seen[1..], three());
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x");
    std::fs::write(&path, vec![b'x'; 100_000]).expect("written");
    let member = |path: &Path| Member {
        path: "x".to_owned(),
        role: Role::Data,
        body: Body::File(path.to_owned()),
        hash: None,
    };
    let mut out = Vec::new();
    let mut manifest = Manifest::default();
    write(&mut out, &mut manifest, &[member(&path)]).expect("written");
    assert_eq!(whole(&out).bytes("x").expect("read"), vec![b'x'; 100_000]);
    let fault = write(&mut out, &mut manifest, &[member(&dir.path().join("y"))]);
    let message = fault.expect_err("no file").message;
    assert!(
        message.starts_with("cannot put `x` into a bundle"),
        "{message}"
    );
}

#[test]
fn only_what_was_looked_at_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x");
    let member = Member {
        path: "x".to_owned(),
        role: Role::Data,
        body: Body::File(path.clone()),
        hash: Some(Hash::of_bytes(b"looked at")),
    };
    let put = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let members = std::slice::from_ref(&member);
        write(&mut Vec::new(), &mut Manifest::default(), members).map_err(|fault| fault.message)
    };
    assert_eq!(put("looked at"), Ok(()));
    let changed = "`x` changed while it was read".to_owned();
    assert_eq!(put("looked up"), Err(changed));
}

#[test]
fn no_two_members_get_in_each_others_way() {
    let write = |paths: &[&str]| {
        let member = |path: &&str| Member {
            path: (*path).to_owned(),
            role: Role::File,
            body: Body::Bytes(Vec::new()),
            hash: None,
        };
        let members: Vec<Member> = paths.iter().map(member).collect();
        write(&mut Vec::new(), &mut Manifest::default(), &members).map_err(|fault| fault.message)
    };
    assert_eq!(write(&["a/b", "a-", "a.b", "a/c"]), Ok(()));
    assert_eq!(
        write(&["a", "b", "a"]),
        Err("`a` is there twice".to_owned())
    );
    assert_eq!(
        write(&["a/b", "a-", "a"]),
        Err("`a` is a file and a folder".to_owned())
    );
    assert_eq!(
        write(&["bundle.json"]),
        Err("`bundle.json` is there twice".to_owned())
    );
    assert!(write(&["../a"]).is_err());
}

#[test]
fn what_is_cut_off_is_told() {
    let (bytes, _) = bundle(&three());
    let starts = starts(&bytes);
    assert_eq!(starts.len(), 5);
    let gone = [
        "(end of the archive) is missing",
        "(seal) is damaged or missing",
    ];
    assert_eq!(faults(&bytes[..bytes.len() - 1]), gone[1..]);
    assert_eq!(faults(&bytes[..starts[4]]), gone);
    assert_eq!(
        faults(&bytes[..starts[3] + 9]),
        [&["d/long is damaged or missing"][..], &gone].concat()
    );
    assert_eq!(
        faults(&bytes[..starts[2]]),
        [&["d/b is missing", "d/long is missing"][..], &gone].concat()
    );
    for cut in [0, 3, starts[1] - 1] {
        let message = refused(&bytes[..cut]);
        assert!(message.ends_with("is no bundle"), "{message}");
    }
}

#[test]
fn all_that_is_damaged_is_told() {
    let (mut bytes, _) = bundle(&three());
    let starts = starts(&bytes);
    for at in [starts[0] + 30, starts[1] + 20, starts[3] + 20] {
        bytes[at] ^= 1;
    }
    let all = [
        "bundle.json is damaged",
        "a.txt is damaged",
        "d/long is damaged",
    ];
    let found = faults(&bytes);
    assert_eq!(found[0], all[0]);
    assert_eq!(found.len(), 3, "{found:?}");
    // With the manifest, their names are known.
    bytes[starts[0] + 30] ^= 1;
    assert_eq!(faults(&bytes), all[1..]);
    // Bytes put in harm only the member that they are in.
    let (bytes, _) = bundle(&three());
    let longer = [&bytes[..starts[1] + 9], b"x", &bytes[starts[1] + 9..]].concat();
    assert_eq!(faults(&longer), all[1..2]);
    let between = [&bytes[..starts[1]], b"xy", &bytes[starts[1]..]].concat();
    assert_eq!(
        faults(&between),
        ["(archive) has 2 bytes that belong to no member"]
    );
    assert_eq!(
        faults(&[&bytes[..], b"x"].concat()),
        ["(seal) is damaged or missing"]
    );
}

#[test]
fn what_is_no_bundle_is_told_from_a_newer_one() {
    assert!(refused(b"").ends_with("is no bundle"));
    assert!(refused(b"clue: 1\n").ends_with("is no bundle"));
    let other = zstd::encode_all(&b"a text"[..], 3).expect("packed");
    assert!(refused(&other).ends_with("is no bundle"));
    let newer = Manifest {
        clue_bundle: FORMAT + 1,
        ..Manifest::default()
    };
    assert_eq!(
        refused(&forged(&newer, &[])),
        "the bundle is of format 2, and this clue reads formats up to 1"
    );
    let folder = tempfile::tempdir().expect("a folder");
    assert!(check(folder.path(), MOST).is_err());
}

#[test]
fn what_is_not_as_the_manifest_says_is_refused() {
    let manifest = listing(&[("a", b"1"), ("b", b"2")]);
    let one = |parts: &[(Vec<u8>, &[u8])]| faults(&forged(&manifest, parts));
    assert_eq!(one(&[plain("a", b"1"), plain("b", b"2")]), [""; 0]);
    assert_eq!(one(&[plain("a", b"1")]), ["b is missing"]);
    assert_eq!(
        one(&[plain("a", b"1"), plain("b", b"2"), plain("c", b"3")]),
        ["c does not belong to the bundle"]
    );
    assert_eq!(
        one(&[plain("a", b"1"), plain("a", b"1"), plain("b", b"2")]),
        ["a is there twice"]
    );
    assert_eq!(
        one(&[plain("a", b"1"), plain("b", b"x")]),
        ["b is not what `bundle.json` says"]
    );
    assert_eq!(
        one(&[plain("a", b"1"), (END.to_vec(), b""), plain("b", b"2")]),
        ["b stands behind the end"]
    );
    // A link in the place of a file.
    let mut link = tar::Header::new_ustar();
    link.set_path("a").expect("a path");
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_link_name("/etc/passwd").expect("a path");
    link.set_size(0);
    link.set_cksum();
    assert_eq!(
        one(&[(link.as_bytes().to_vec(), b""), plain("b", b"2")]),
        ["a is a link"]
    );
    // A path out of the folder, in the archive or in the manifest.
    let mut out = tar::Header::new_ustar();
    out.as_mut_bytes()[..4].copy_from_slice(b"../a");
    out.set_size(0);
    out.set_cksum();
    assert_eq!(
        one(&[
            plain("a", b"1"),
            plain("b", b"2"),
            (out.as_bytes().to_vec(), b"")
        ]),
        ["../a has a path that may leave the folder"]
    );
    for (paths, why) in [
        (["a", "../b"], "`../b` has a path that may leave the folder"),
        (["a", "/b"], "`/b` has a path that begins at the root"),
        (["a", "a"], "`a` is there twice"),
        (["a", "a/b"], "`a` is a file and a folder"),
        (["a", "bundle.json"], "`bundle.json` is there twice"),
        (
            ["a", "x\u{1b}"],
            r"`x\u{1b}` has a name with characters that do not show",
        ),
    ] {
        let manifest = listing(&paths.map(|path| (path, &b""[..])));
        let told = refused(&forged(&manifest, &[]));
        assert_eq!(told, format!("the bundle is refused: {why}"));
    }
}

#[test]
fn nothing_unpacks_to_more_than_it_says_or_may() {
    // A small frame of much: what it says is what is looked at.
    let much = vec![0; 8 << 20];
    let manifest = listing(&[("a", &much)]);
    let head = member::head("a", much.len() as u64).expect("a head");
    let told = refused(&forged(&manifest, &[(head.clone(), &much)]));
    assert_eq!(told, "the bundle would unpack to more than is allowed");
    let small = listing(&[("a", b"1")]);
    assert_eq!(
        faults(&forged(&small, &[(head, &much)])),
        ["a is larger than it says"]
    );
    let head = member::head("a", 1).expect("a head");
    assert_eq!(faults(&forged(&small, &[(head, &much)])), ["a is damaged"]);
    // More than the seal's hash: a frame may hold several members.
    let two = [
        plain("a", b"1").0,
        vec![b'1'],
        vec![0; 511],
        plain("b", b"").0,
    ]
    .concat();
    assert_eq!(faults(&forged(&small, &[(two, b"")])), ["a is damaged"]);
    let many = vec![("a", &b""[..]); super::frames::MOST + 1];
    let told = refused(&forged(&listing(&many), &[]));
    assert_eq!(
        told,
        "the bundle is refused: `bundle.json` lists too many files"
    );
}

/// A list of files that is gone through for each member would take minutes.
#[test]
fn very_many_members_are_looked_through_in_time() {
    let paths: Vec<String> = (0..40_000).map(|n| format!("a/{n:06}")).collect();
    let files: Vec<(&str, &[u8])> = paths.iter().map(|path| (&path[..], &b""[..])).collect();
    let parts: Vec<(Vec<u8>, &[u8])> = paths.iter().map(|path| plain(path, b"")).collect();
    let begun = Instant::now();
    let bytes = forged(&listing(&files), &parts);
    let (made, begun) = (begun.elapsed(), Instant::now());
    let checked = check(at(&bytes).path(), 1 << 30).expect("a bundle");
    assert_eq!(told(&checked.faults), [""; 0]);
    let looked = begun.elapsed();
    assert!(looked < 5 * made, "{looked:?}, and {made:?} to make it");
}

#[test]
fn it_is_unpacked_into_a_folder_where_nothing_is() {
    let archive = whole(&bundle(&three()).0);
    let dir = tempfile::tempdir().expect("a folder");
    archive.unpack(dir.path()).expect("unpacked");
    for (path, bytes) in three() {
        assert_eq!(std::fs::read(dir.path().join(path)).expect("read"), bytes);
    }
    assert!(archive.unpack(dir.path()).is_err());
    assert!(archive.bytes("none").is_err());
}

fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let body = prop::collection::vec(any::<u8>(), 0..1500);
    let files = prop::collection::btree_map("[a-zé]{1,4}(/[a-z. ]{1,60}x){0,4}", body, 0..6);
    files.prop_filter_map("a file and a folder", |files| {
        let files: Vec<(String, Vec<u8>)> = files.into_iter().collect();
        let clash = files.iter().any(|(a, _)| {
            files
                .iter()
                .any(|(b, _)| b.strip_prefix(a).is_some_and(|r| r.starts_with('/')))
        });
        let odd = files
            .iter()
            .any(|(path, _)| member::fault_of(path).is_some());
        (!clash && !odd).then_some(files)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(files in files()) {
        let (bytes, manifest) = bundle(&files);
        let archive = whole(&bytes);
        prop_assert_eq!(archive.manifest(), &manifest);
        for (path, body) in files {
            prop_assert_eq!(archive.bytes(&path).expect("read"), body);
        }
    }

    #[test]
    fn a_changed_byte_is_told_with_its_member(place: prop::sample::Index, by in 1_u8..) {
        let (mut bytes, _) = bundle(&three());
        let starts = starts(&bytes);
        let end = bytes.len() - (52 + 40 * 5);
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        let hit = starts.iter().filter(|start| **start <= place).count();
        let names = ["bundle.json", "a.txt", "d/b", "d/long", "(end of the archive)", "(seal)"];
        let name = names[if place >= end { 5 } else { hit - 1 }];
        let checked = check(at(&bytes).path(), MOST).expect("a bundle");
        let told: Vec<&str> = checked.faults.iter().map(|f| f.member.as_str()).collect();
        prop_assert_eq!(told, [name]);
    }

    #[test]
    fn a_cut_is_told(place: prop::sample::Index) {
        let (bytes, _) = bundle(&three());
        let cut = place.index(bytes.len());
        match check(at(&bytes[..cut]).path(), MOST) {
            Ok(checked) => prop_assert!(!checked.faults.is_empty()),
            Err(fault) => prop_assert!(fault.message.ends_with("is no bundle")),
        }
    }
}
