//! `clue fetch` against a real server that cuts, changes, refuses and lies. No login goes to
//! another host, into a file, or into what is told.

mod consent;
mod login;
mod resume;

use std::process::Command;

use crate::support::{Done, Project, Server, done, root};

const PASSWORD: &str = "s3cr3t-word";
/// As the header carries it: `ada:s3cr3t-word` in Base64.
const ENCODED: &str = "YWRhOnMzY3IzdC13b3Jk";
const DATA: &str = "id,text\n1,one\n";

/// A SHA-256 sum, by the program that everybody compares with.
fn sum(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let output = Command::new("sha256sum")
        .arg(file.path())
        .output()
        .expect("runs");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// A line of a list of sums.
fn line(bytes: &[u8], name: &str) -> String {
    format!("{} {name}\n", sum(bytes))
}

/// A project with a site of files, and its server.
struct Site {
    project: Project,
    server: Server,
}

/// Some kilobytes in which no two places are alike.
fn big(seed: usize) -> Vec<u8> {
    let lines = (0..4000).map(|at| format!("{},line {}\n", at, at * seed));
    lines.collect::<String>().into_bytes()
}

impl Site {
    fn new() -> Site {
        let project = Project::new(&[("site/a.csv", DATA), ("site/private/p.csv", DATA)]);
        project.write("site/big.csv", big(7));
        project.write("site/private/big.csv", big(7));
        let server = Server::data(&project.path("site"));
        Site { project, server }
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.server.port)
    }

    /// Writes a catalogue of one data set, `d`, with one file, `d/x.csv`.
    fn one(&self, path: &str, more: &str) {
        self.catalogue(&format!(
            "  d:\n    about: Some data\n    home: https://example.org/d\n    files: [{{url: \"{}\", to: d/x.csv}}]\n{more}",
            self.at(path)
        ));
    }

    fn catalogue(&self, datasets: &str) {
        let account = format!(
            "  club: {{hosts: [\"http://127.0.0.1:{}\"], user_env: CLUB_USER, password_env: CLUB_PASSWORD, help: a card of the club, agent: Special/1}}",
            self.server.port
        );
        self.project.write(
            "pipelines/datasets.yaml",
            format!("clue: 1\ninto: ../data\naccounts:\n{account}\ndatasets:\n{datasets}"),
        );
    }

    fn run(&self, words: &str, login: Option<(&str, &str)>) -> Done {
        let mut command = self.project.command(words);
        command.arg("--yes");
        command.env_remove("CLUB_USER").env_remove("CLUB_PASSWORD");
        if let Some((user, password)) = login {
            command
                .env("CLUB_USER", user)
                .env("CLUB_PASSWORD", password);
        }
        // Even if everything is told.
        let told = done(command.env("CLUE_LOG", "trace").output().expect("runs"));
        for text in [&told.stdout, &told.stderr] {
            assert!(
                !text.contains(PASSWORD) && !text.contains(ENCODED),
                "{text}"
            );
        }
        // What is logged is no message.
        let log = |line: &&str| !line.contains(" TRACE ") && !line.contains(" DEBUG ");
        let stderr: Vec<&str> = told.stderr.lines().filter(log).collect();
        Done {
            stderr: stderr.join("\n"),
            ..told
        }
    }

    fn ok(&self, words: &str) -> Done {
        let told = self.run(words, Some(("ada", PASSWORD)));
        assert_eq!(told.code, 0, "{words}\n{}{}", told.stdout, told.stderr);
        told
    }

    fn fails(&self, words: &str) -> String {
        let told = self.run(words, Some(("ada", PASSWORD)));
        assert_eq!(told.code, 1, "{words}\n{}{}", told.stdout, told.stderr);
        told.stderr
    }

    fn log(&self) -> Vec<serde_json::Value> {
        let log = self.server.json("/log");
        log.as_array().expect("a list").clone()
    }

    fn there(&self, name: &str) -> bool {
        self.project.path(name).exists()
    }
}

#[test]
fn what_is_there_and_right_is_left_alone() {
    let site = Site::new();
    site.one("a.csv", "");
    let list = site.ok("fetch").stdout;
    assert!(list.contains("d: Some data"), "{list}");
    assert!(list.contains("data/d/x.csv: not there"), "{list}");

    let first = site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), DATA.as_bytes());
    assert!(
        first.stderr.contains("sum not published"),
        "{}",
        first.stderr
    );
    // What `sha256sum -c` reads.
    let check = Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(site.project.path("data"))
        .output()
        .expect("runs");
    assert!(check.status.success(), "{check:?}");

    let second = site.ok("fetch d");
    assert!(
        second.stdout.contains("0 files fetched, 1 there already"),
        "{}",
        second.stdout
    );
    assert_eq!(site.log().len(), 1);
    assert!(site.ok("fetch").stdout.contains("14 B, ok"));

    // A changed file is told of and not overwritten, unless that is wished.
    site.project.write("data/d/x.csv", "mine");
    let told = site.fails("fetch d");
    assert!(
        told.contains("wrong SHA-256 sum") && told.contains("--again"),
        "{told}"
    );
    assert_eq!(site.project.read("data/d/x.csv"), b"mine");
    site.ok("fetch d --again");
    assert_eq!(site.project.read("data/d/x.csv"), DATA.as_bytes());
}

#[test]
fn a_file_that_was_brought_is_taken_for_what_it_is() {
    let site = Site::new();
    site.one("a.csv", "");
    site.project.write("data/d/x.csv", "brought");
    let told = site.ok("fetch d");
    assert!(
        told.stderr.contains("kept from this file"),
        "{}",
        told.stderr
    );
    assert!(site.log().is_empty());
    site.project.write("data/d/x.csv", "changed");
    site.fails("fetch d");
}

#[test]
fn a_kept_sum_holds_for_the_next_download_too() {
    let site = Site::new();
    site.one("a.csv", "");
    site.ok("fetch d");
    let file = site.project.path("data/d/x.csv");
    std::fs::remove_file(&file).expect("removed");
    let told = site.ok("fetch d");
    assert!(
        told.stderr.contains("the same file as before"),
        "{}",
        told.stderr
    );

    std::fs::remove_file(&file).expect("removed");
    site.project.write("site/a.csv", "id,text\n1,two\n");
    let (old, new) = (sum(DATA.as_bytes()), sum(b"id,text\n1,two\n"));
    let told = site.fails("fetch d");
    for words in [old.as_str(), new.as_str(), "`--again`"] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!file.exists());
    let kept = || String::from_utf8(site.project.read("data/SHA256SUMS")).expect("UTF-8");
    assert_eq!(kept(), format!("{old}  d/x.csv\n"));

    // Who wishes for the new one gets it, and is told that it is another.
    let told = site.ok("fetch d --again --quiet");
    for words in [old.as_str(), new.as_str(), "NOT the file of before"] {
        assert!(told.stderr.contains(words), "{}", told.stderr);
    }
    assert_eq!(kept(), format!("{new}  d/x.csv\n"));
    site.project.write("site/a.csv", DATA);
    let told: serde_json::Value =
        serde_json::from_str(&site.ok("fetch d --again --json").stdout).expect("JSON");
    assert_eq!(told["datasets"][0]["files"][0]["sha256_before"], new);
}

#[test]
fn published_sums_decide() {
    let site = Site::new();
    site.project.write("site/SUMS", line(&big(7), "big.csv"));
    site.one("big.csv", &format!("    sums: \"{}\"\n", site.at("SUMS")));
    let told = site.ok("fetch d");
    assert!(told.stderr.contains("sum verified"), "{}", told.stderr);

    // A file of before that is right is not fetched, though it was never checked.
    std::fs::remove_file(site.project.path("data/SHA256SUMS")).expect("removed");
    let before = site.log().len();
    assert!(site.ok("fetch").stdout.contains("not checked yet"));
    site.ok("fetch d");
    assert_eq!(site.log().len(), before + 1);

    // A wrong one is told of, with both sums, and nothing is kept.
    let site = Site::new();
    site.project.write("site/SUMS", line(&big(8), "big.csv"));
    site.one("big.csv", &format!("    sums: \"{}\"\n", site.at("SUMS")));
    let told = site.fails("fetch d");
    for sum in [sum(&big(7)), sum(&big(8))] {
        assert!(told.contains(&sum), "{told}");
    }
    assert_eq!(
        site.log().len(),
        3,
        "the list, the file, and the file once more"
    );
    assert_eq!(
        std::fs::read_dir(site.project.path("data/d"))
            .expect("a folder")
            .count(),
        0
    );
    assert!(!site.there("data/SHA256SUMS"));

    // The beginning was another file's: the second try, from the first byte, is right.
    let site = Site::new();
    site.project.write("site/SUMS", line(&big(9), "big.csv"));
    site.one(
        "big.csv?cut=20000&times=1&tags=no",
        &format!("    sums: \"{}\"\n", site.at("SUMS")),
    );
    site.fails("fetch d --retries 0");
    site.project.write("site/big.csv", big(9));
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), big(9));
}

#[test]
fn sums_that_are_none_are_told() {
    let site = Site::new();
    let with = |sums: &str| site.one("big.csv", &format!("    sums: \"{}\"\n", site.at(sums)));
    site.project.write("site/SUMS", line(&big(7), "other.csv"));
    with("SUMS");
    assert!(site.fails("fetch d").contains("has none for this file"));
    with("a.csv");
    assert!(site.fails("fetch d").contains("is no list of sums"));
    with("none");
    assert!(site.fails("fetch d").contains("status 404"));
    site.one("a.csv", "");
    let catalogue = site.project.read("pipelines/datasets.yaml");
    let catalogue = String::from_utf8(catalogue).expect("UTF-8");
    let pinned =
        |sum: &str| catalogue.replace("to: d/x.csv", &format!("to: d/x.csv, sha256: \"{sum}\""));
    site.project
        .write("pipelines/datasets.yaml", pinned(&sum(DATA.as_bytes())));
    assert!(site.ok("fetch d").stderr.contains("sum verified"));
    site.project
        .write("pipelines/datasets.yaml", pinned(&sum(b"x")));
    assert!(site.ok("fetch").stdout.contains("wrong SHA-256 sum"));
}

#[test]
fn nobody_listens() {
    let site = Site::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    site.catalogue(&format!(
        "  d: {{about: A, home: \"https://example.org\", files: [{{url: \"http://127.0.0.1:{port}/x\", to: x}}]}}\n"
    ));
    let told = site.fails("fetch d --retries 1");
    assert!(
        told.contains(&format!(
            "cannot reach 127.0.0.1:{port}: connection refused"
        )),
        "{told}"
    );
    assert!(told.contains("online"), "{told}");
}

#[test]
fn disks_that_are_full_or_closed() {
    let site = Site::new();
    site.one("a.csv", "");
    std::fs::create_dir_all(site.project.path("data/d")).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", site.project.path("data/d/x.csv.part"))
        .expect("a link");
    let told = site.fails("fetch d");
    assert!(
        told.contains("no space left") && told.contains("make room"),
        "{told}"
    );
    // A file where a folder should be: closed to everybody, root too.
    site.project.write("plain", "");
    let told = site.run("fetch d --to plain/inside", None);
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("--to DIR"), "{}", told.stderr);
    site.project.write("folder/d", "");
    let told = site.fails("fetch d --to folder");
    assert!(told.contains("--to DIR"), "{told}");
}

#[test]
fn json_for_programs() {
    let site = Site::new();
    site.one("a.csv", "    account: club\n    licence: Free\n");
    let list: serde_json::Value =
        serde_json::from_str(&site.ok("fetch --json").stdout).expect("JSON");
    let set = &list["datasets"][0];
    assert_eq!(set["account"]["user_env"], "CLUB_USER");
    assert_eq!(set["files"][0]["state"], "absent");
    let done: serde_json::Value =
        serde_json::from_str(&site.ok("fetch d --json").stdout).expect("JSON");
    let file = &done["datasets"][0]["files"][0];
    assert_eq!(file["state"], "fetched");
    assert_eq!(file["sha256"], sum(DATA.as_bytes()));
    assert_eq!(file["sum_published"], false);
    let told = site.run("fetch d --again --json", Some(("ada", PASSWORD)));
    assert_eq!(told.code, 0);
}

#[test]
fn faults_of_catalogues_have_places() {
    let site = Site::new();
    site.one("a.csv", "    acount: club\n");
    let told = site.run("fetch", None);
    assert_eq!(told.code, 2);
    assert!(
        told.stderr.contains("pipelines/datasets.yaml:"),
        "{}",
        told.stderr
    );
    assert!(
        told.stderr.contains("did you mean `account`?"),
        "{}",
        told.stderr
    );
    let told = site.run("fetch --catalogue none.yaml", None);
    assert_eq!(told.code, 2);
    assert!(
        told.stderr.contains("no file `none.yaml`"),
        "{}",
        told.stderr
    );
    let empty = Project::new(&[]);
    let told = empty.clue("fetch");
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("--catalogue FILE"), "{}", told.stderr);
    site.one("a.csv", "");
    let told = site.run("fetch e", None);
    assert_eq!(
        (told.code, told.stderr.contains("no data set `e`")),
        (2, true)
    );
}

#[test]
fn the_catalogue_that_ships_is_sound() {
    let project = Project::new(&[]);
    let catalogue = root().join("pipelines/datasets.yaml");
    let told = project.ok(&format!("fetch --catalogue {} --json", catalogue.display()));
    let list: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(list["datasets"].as_array().map(Vec::len), Some(6));
    for set in list["datasets"].as_array().expect("a list") {
        for file in set["files"].as_array().expect("a list") {
            assert!(
                file["url"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("https://"))
            );
            let path = file["file"].as_str().expect("text");
            assert!(
                path.starts_with(&root().join("data").display().to_string()),
                "{path}"
            );
        }
    }
}
