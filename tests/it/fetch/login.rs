//! Who gets a login, how it is asked for, and what is said when it is refused.

use std::process::{Command, Stdio};

use super::{DATA, ENCODED, PASSWORD, Site, big, line};
use crate::support::{done, root};

#[test]
fn a_login_goes_to_its_own_host_only() {
    let site = Site::new();
    let other = Site::new();
    let (here, there) = (site.server.port, other.server.port);
    // Away: the other host gets no login, even if it has something private.
    site.one(&format!("x?goto={there}/a.csv"), "    account: club\n");
    site.ok("fetch d");
    assert!(
        site.log()[0]["auth"]
            .as_str()
            .is_some_and(|auth| auth.contains(ENCODED))
    );
    assert_eq!(site.log()[0]["agent"], "Special/1");
    assert!(other.log()[0]["auth"].is_null());
    assert!(
        other.log()[0]["agent"]
            .as_str()
            .is_some_and(|agent| agent.starts_with("clue/"))
    );
    site.one(
        &format!("x?goto={there}/private/p.csv"),
        "    account: club\n",
    );
    let told = site.fails("fetch d --again");
    assert!(
        told.contains(&format!("127.0.0.1:{there} wants a login")),
        "{told}"
    );
    // Away and back: the own host gets it again.
    let back = format!("x?goto={there}/y%3Fgoto%3D{here}/private/big.csv");
    site.one(&back, "    account: club\n");
    site.ok("fetch d --again");
    assert_eq!(site.project.read("data/d/x.csv"), big(7));
    for request in other.log() {
        assert!(request["auth"].is_null(), "{request}");
    }
    // A data set without an account gets none.
    let before = site.log().len();
    site.one("private/p.csv", "");
    assert!(site.fails("fetch d --again").contains("wants a login"));
    assert!(site.log()[before]["auth"].is_null());
    // To an address that others can read along, nobody goes; nor for ever in a circle.
    site.one("x?goto=http://192.0.2.1/x", "    account: club\n");
    assert!(
        site.fails("fetch d --again")
            .contains("not encrypted: not followed")
    );
    site.one("circle?goto=CIRCLE", "");
    assert!(site.fails("fetch d --again").contains("in a circle"));
    // Nothing of it is on disk.
    let mut folders = vec![site.project.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).expect("read");
            let holds = |word: &str| {
                bytes
                    .windows(word.len())
                    .any(|part| part == word.as_bytes())
            };
            assert!(
                !holds(PASSWORD) && !holds(ENCODED),
                "{}",
                entry.path().display()
            );
        }
    }
}

#[test]
fn refusals_are_told_apart_and_not_tried_again() {
    for (login, path, words) in [
        (
            ("ada", "guess"),
            "private/p.csv",
            "check `CLUB_USER` and `CLUB_PASSWORD`",
        ),
        (
            ("eve", PASSWORD),
            "private/p.csv",
            "the data use agreement may not be signed",
        ),
        (
            ("ada", PASSWORD),
            "private/none.csv",
            "has no such file (status 404)",
        ),
        (
            ("ada", PASSWORD),
            "a.csv?type=text/html",
            "sent a web page instead of the file",
        ),
        (
            ("ada", PASSWORD),
            "page.csv",
            "sign in at https://example.org/d",
        ),
        (("ada", PASSWORD), "a.csv?status=410", "status 410"),
        (("ada", PASSWORD), "a.csv?status=400", "status 400"),
    ] {
        let site = Site::new();
        site.project
            .write("site/page.csv", "\n<!DOCTYPE html><html>log in</html>");
        site.one(path, "    account: club\n");
        let told = site.run("fetch d", Some(login));
        assert_eq!(told.code, 1, "{}", told.stderr);
        assert!(told.stderr.contains(words), "{}", told.stderr);
        assert!(told.stdout.contains("1 failed"), "{}", told.stdout);
        assert_eq!(site.log().len(), 1, "{words}");
        assert!(
            !site.there("data/d/x.csv") && !site.there("data/d/x.csv.part"),
            "{words}"
        );
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let site = Site::new();
    site.project
        .write("site/private/SUMS", line(DATA.as_bytes(), "p.csv"));
    site.project
        .write("site/private/SUMS2", line(DATA.as_bytes(), "p.csv"));
    let set = |name: &str, sums: &str| {
        format!(
            "  {name}: {{about: A, home: \"https://example.org\", account: club, sums: \"{}\", files: [{{url: \"{}\", to: {name}.csv}}]}}\n",
            site.at(sums),
            site.at("private/p.csv")
        )
    };
    site.catalogue(&(set("d", "private/SUMS") + &set("e", "private/SUMS2")));
    let told = site.run("fetch --all", Some(("ada", "guess")));
    assert_eq!(told.code, 1);
    assert!(
        told.stderr.contains("`d.csv`, `e.csv`: "),
        "{}",
        told.stderr
    );
    assert_eq!(site.log().len(), 1);
    site.ok("fetch --all");

    // So it is for files without sums, though several are fetched at a time.
    let site = Site::new();
    let files = (0..6).map(|at| {
        let url = site.at("private/p.csv");
        format!("{{url: \"{url}?{at}\", to: f{at}.csv}}")
    });
    let files: Vec<String> = files.collect();
    site.catalogue(&format!(
        "  d: {{about: A, home: \"https://example.org\", account: club, files: [{}]}}\n",
        files.join(", ")
    ));
    let told = site.run("fetch d", Some(("ada", "guess")));
    assert_eq!(told.code, 1);
    assert!(told.stdout.contains("6 failed"), "{}", told.stdout);
    assert_eq!(site.log().len(), 1);
    site.ok("fetch d");
    assert_eq!(site.log().len(), 7);
}

#[test]
fn without_a_terminal_a_login_must_be_set() {
    let site = Site::new();
    site.one("private/p.csv", "    account: club\n");
    let told = site.run("fetch d", None);
    assert_eq!(told.code, 2, "{}", told.stderr);
    for words in [
        "`d` needs the account `club`",
        "a card of the club",
        "set `CLUB_USER` and `CLUB_PASSWORD`",
    ] {
        assert!(told.stderr.contains(words), "{}", told.stderr);
    }
    assert_eq!(site.run("fetch d", Some(("a:b", "c"))).code, 2);
    assert!(site.log().is_empty());
    // What is there needs no login.
    site.ok("fetch d");
    assert_eq!(site.run("fetch d", None).code, 0);
}

/// Runs clue at a terminal of its own.
fn at_terminal(site: &Site, talk: &[&str], words: &str) -> (i32, String) {
    let output = Command::new("python3")
        .arg(root().join("tests/stub/terminal.py"))
        .args(talk)
        .arg("--")
        .arg(assert_cmd::cargo::cargo_bin!("clue"))
        .args(words.split_whitespace())
        .current_dir(site.project.path(""))
        .env("TERM", "xterm")
        .env_remove("CLUB_USER")
        .env_remove("CLUB_PASSWORD")
        .stdin(Stdio::null())
        .output()
        .expect("python3 runs");
    let told = done(output);
    (told.code, told.stdout + &told.stderr)
}

#[test]
fn a_password_is_asked_for_without_echo() {
    let site = Site::new();
    site.one("private/p.csv", "    account: club\n");
    let (code, shown) = at_terminal(
        &site,
        &[
            "user name at 127.0.0.1: =ada",
            &format!("password of ada at 127.0.0.1: ={PASSWORD}"),
        ],
        "fetch d --yes",
    );
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("ada\r\n"), "the name is shown: {shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(shown.contains("echo on"), "{shown}");
    assert_eq!(site.project.read("data/d/x.csv"), DATA.as_bytes());

    for end in ["^C", r"^\", "!TERM", "!HUP", "!QUIT", "!INT"] {
        let talk = ["user name=ada", &format!("password={end}")];
        let (code, shown) = at_terminal(&site, &talk, "fetch d --yes --again");
        assert_eq!(code, 130, "{end}: {shown}");
        assert!(shown.contains("echo on"), "{end}: {shown}");
    }
}

#[test]
fn ctrl_z_does_not_leave_a_terminal_without_echo() {
    let site = Site::new();
    site.one("private/p.csv", "    account: club\n");
    let talk = [
        "user name=ada",
        "password=^Z",
        &format!("password={PASSWORD}"),
    ];
    let (code, shown) = at_terminal(&site, &talk, "fetch d --yes");
    assert!(shown.contains("Ctrl-Z does nothing"), "{shown}");
    assert!(shown.contains("echo on"), "{shown}");
    assert_eq!(code, 0, "{shown}");
}
