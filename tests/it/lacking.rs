//! A model that lost some of its cases is not ranked by what is left.

use crate::support::{Project, Server, done, root};

#[test]
fn who_lacks_cases_has_no_score() {
    let server = Server::bad("");
    let project = Project::new(&[]);
    // The server refuses two of the cases.
    let cases: String = (0..12)
        .map(|at| {
            let mark = if at == 7 || at == 11 { "[[400]]" } else { "" };
            let case = serde_json::json!({
                "sentence1": format!("{mark} one {at}"), "sentence2": "two", "gold_label": "neutral",
            });
            format!("{case}\n")
        })
        .collect();
    project.write("cases.jsonl", &cases);
    project.write("whole.jsonl", cases.replace("[[400]]", ""));
    let run = |data: &str, out: &str| {
        let mut command = project.command("bench --tasks mednli --model-is-instruct -q");
        command
            .arg("--pipeline")
            .arg(root().join("pipelines/clue.yaml"));
        command.args(["--model-id", "m", "--model-address", &server.url()]);
        command.args(["--out", out, "-p", &format!("mednli={data}")]);
        let done = done(command.output().expect("runs"));
        let board = String::from_utf8(project.read(&format!("{out}/leaderboard.csv")));
        (done.code, board.expect("UTF-8"))
    };
    let (code, board) = run("whole.jsonl", "whole");
    assert_eq!(
        (code, board.lines().nth(1)),
        (0, Some("m,0.0,0.0,0.0,0.0,0.0,0.0"))
    );
    let (code, board) = run("cases.jsonl", "part");
    assert_eq!((code, board.lines().nth(1)), (1, Some("m,,,,,,")));
}
