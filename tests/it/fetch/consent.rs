//! A catalogue that did not come with clue may not do anything before the user allows it.

use super::{DATA, Site};
use crate::support::{Project, root};

#[test]
fn a_foreign_catalogue_is_followed_only_when_allowed() {
    let site = Site::new();
    site.one("private/p.csv", "    account: club\n");
    let at = format!("127.0.0.1:{}", site.server.port);
    let told = site.project.clue("fetch d");
    assert_eq!(told.code, 3, "{}{}", told.stdout, told.stderr);
    let data = site.project.path("").canonicalize().expect("there");
    let data = data.join("data");
    for words in [
        "this fetch needs your consent, because `pipelines/datasets.yaml` is not",
        &format!("login  with `CLUB_USER` and `CLUB_PASSWORD`, or what you type, at `http://{at}`"),
        &format!("ask    `{at}`   (data set `d`)\n"),
        &format!("write  to `{}`\n", data.display()),
        "say so with `--yes`",
    ] {
        assert!(told.stderr.contains(words), "{words}\n{}", told.stderr);
    }
    assert!(site.log().is_empty());
    assert!(!site.there("data"));
    // To list asks for nothing.
    assert_eq!(site.project.clue("fetch").code, 0);

    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), DATA.as_bytes());
    // Nor is there anything to allow when all is there.
    let told = site.project.clue("fetch d");
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert_eq!(site.project.clue("fetch d --again").code, 3);
}

#[test]
fn where_links_lead_is_shown() {
    let site = Site::new();
    site.one("a.csv", "");
    std::fs::create_dir_all(site.project.path("secret")).expect("made");
    std::fs::create_dir_all(site.project.path("data")).expect("made");
    std::os::unix::fs::symlink(site.project.path("secret"), site.project.path("data/d"))
        .expect("linked");
    let told = site.project.clue("fetch d");
    assert_eq!(told.code, 3, "{}", told.stderr);
    assert!(told.stderr.contains("/secret`\n"), "{}", told.stderr);
}

#[test]
fn the_catalogue_that_comes_with_clue_needs_no_consent() {
    let shipped = root().join("pipelines/datasets.yaml");
    let shipped = std::fs::read_to_string(shipped).expect("read");
    let project = Project::new(&[("pipelines/datasets.yaml", &shipped)]);
    // Nobody listens at this proxy: the network is not reached.
    let fetch = || {
        let mut command = project.command("fetch meqsum --retries 0");
        command.env("HTTPS_PROXY", "http://127.0.0.1:1");
        crate::support::done(command.output().expect("runs"))
    };
    let told = fetch();
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(told.stderr.contains("cannot reach"), "{}", told.stderr);
    project.write("pipelines/datasets.yaml", shipped + "\n");
    assert_eq!(fetch().code, 3);
}

#[test]
fn a_catalogue_writes_only_near_itself_unless_told() {
    let site = Site::new();
    site.one("a.csv", "");
    let text = site.project.read("pipelines/datasets.yaml");
    let text = String::from_utf8(text).expect("UTF-8");
    for far in ["/tmp", "../../data", ".."] {
        let far = text.replace("into: ../data", &format!("into: {far}"));
        site.project.write("pipelines/datasets.yaml", far);
        let told = site.run("fetch d", None);
        assert_eq!(told.code, 2, "{}", told.stderr);
        for words in ["pipelines/datasets.yaml:2:", "`--to DIR`"] {
            assert!(told.stderr.contains(words), "{}", told.stderr);
        }
    }
    site.ok("fetch d --to here");
    assert_eq!(site.project.read("here/d/x.csv"), DATA.as_bytes());
}

#[test]
fn what_a_catalogue_says_does_nothing_to_the_terminal() {
    let site = Site::new();
    site.project.write(
        "pipelines/datasets.yaml",
        r#"clue: 1
accounts:
  "a\e[2J": {hosts: ["http://127.0.0.1:9"], user_env: "U\e[2J", password_env: P, help: "h\e[2J"}
datasets:
  "d\e[2J":
    about: "about\e[2J\x9b2J"
    home: https://example.org
    licence: "free\e[2J"
    account: "a\e[2J"
    files: [{url: "http://127.0.0.1:9/x", to: x}]
"#,
    );
    for words in ["fetch", "fetch d", "fetch --all", "fetch --all --yes"] {
        let told = site.project.clue(words);
        for text in [told.stdout, told.stderr] {
            let odd = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(odd, None, "{words}: {text:?}");
        }
    }
}
