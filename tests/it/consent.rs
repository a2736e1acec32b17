//! Programs named by a pipeline run only if the user agrees.

use crate::support::Project;

const PIPELINE: &str = "\
clue: 1
name: p
stages:
  a:
    load: {path: n.jsonl}
  b:
    from: a
    exec: {command: [cat]}
outputs:
  o.jsonl: {from: b}
";

#[test]
fn a_program_runs_only_with_consent() {
    let project = Project::new(&[("p.yaml", PIPELINE), ("n.jsonl", "{\"x\":1}\n")]);
    let refused = project.clue("run p.yaml --out out");
    assert_eq!(refused.code, 3);
    assert_eq!(
        refused.stderr,
        "this run needs your consent, because it would\n  run   cat   (stage `b`)\nsay so with `--yes`\n"
    );
    assert!(!project.path("out/o.jsonl").exists());
    project.ok("run p.yaml --out out --yes");
    assert!(project.path("out/o.jsonl").exists());
}
