//! `clue run --executor slurm` on a real Slurm of one node, that the test starts. Needs Slurm and
//! munge, and root: runs if `CLUE_TEST_SLURM` is set.

mod away;
mod cluster;
mod containers;
mod unanswered;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Done, Project, Server, done};
use cluster::{Cluster, until};

/// Two waves: `best` needs all facts before the first is asked about.
const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 1}
stages:
  notes: {load: {path: notes.csv, key: id}}
  facts: {from: notes, generate: {model: m, prompt: facts.j2, into: facts}}
  best: {from: facts, top_k: {k: 5, by: note}}
  asked: {from: best, generate: {model: m, prompt: ask.j2, into: question}}
outputs:
  all.jsonl: {from: asked}
"#;

const NOTES: u64 = 12;
const CALLS: u64 = NOTES + 5;

/// A project whose pipeline has this name, which the names of its jobs hold.
fn project(name: &str, profile: &str) -> Project {
    let mut notes = "id,note\n".to_owned();
    for at in 0..NOTES {
        let _ = writeln!(notes, "n{at},note {at}");
    }
    let profile = format!("slurm:\n  poll: 0.1\n  mem: 50\n  shards: 3\n{profile}");
    Project::new(&[
        (&format!("{name}.yaml"), PIPELINE),
        ("notes.csv", &notes),
        ("facts.j2", "Facts of {{ note }}"),
        ("ask.j2", "Ask about {{ facts }}"),
        ("my profile.yaml", &profile),
    ])
}

fn words(name: &str, server: &Server, more: &str) -> String {
    format!("run {name}.yaml --out out -p url={} {more}", server.url())
}

/// The words for Slurm; a file name with a space has no place in them.
fn on_slurm(
    cluster: &Cluster,
    project: &Project,
    name: &str,
    server: &Server,
    more: &str,
) -> Command {
    let mut command = cluster.clue(
        project,
        &words(name, server, &format!("--executor slurm {more}")),
    );
    command.args(["--profile", "my profile.yaml"]);
    command
}

fn finish(mut command: Command) -> Done {
    done(command.output().expect("runs"))
}

/// A run that goes on in the background.
fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("runs")
}

fn end(mut child: Child) -> Done {
    until("it ends", || child.try_wait().expect("a child").is_some());
    done(child.wait_with_output().expect("ends"))
}

/// The outputs are those of a run that nothing disturbed, and no call was made twice.
fn unharmed(project: &Project, server: &Server, expected: &[u8]) {
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(server), CALLS);
}

fn good(done: &Done) {
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}

fn undisturbed() -> Vec<u8> {
    let server = Server::bad("");
    let project = project("p", "");
    project.ok(&words("p", &server, ""));
    project.read("out/all.jsonl")
}

/// A server that takes its time.
fn slow(seconds: f64) -> Server {
    Server::bad(&format!("--fault slow --after {seconds}"))
}

fn asked(server: &Server) -> u64 {
    server.count("/stats", "requests")
}

/// Puts a program before the real one of its name, which it can run itself by that name.
fn in_front(project: &Project, command: &mut Command, name: &str, script: &str) {
    let file = format!("bin/{name}");
    project.write(&file, format!("#!/bin/sh\nPATH=${{PATH#*:}}\n{script}\n"));
    let may_run = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(project.path(&file), may_run).expect("set");
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = project.path("bin");
    command.env("PATH", format!("{}:{path}", bin.display()));
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("there");
}

/// A case by its name: it gets the cluster and the outputs as they should be.
type Case = (&'static str, fn(&Cluster, &[u8]));

#[test]
fn a_real_slurm_runs_it() {
    if std::env::var_os("CLUE_TEST_SLURM").is_none() {
        eprintln!("skipped: CLUE_TEST_SLURM is not set");
        return;
    }
    let cluster = Cluster::start();
    let expected = undisturbed();
    let cases: [Case; 18] = [
        ("plain", plain),
        ("cancelled", a_cancelled_task_is_submitted_again),
        ("limit", a_time_limit_is_told_and_tried_again),
        ("killed", a_killed_coordinator_is_no_loss),
        ("interrupted", ctrl_c_cancels),
        ("alone", submit_only_goes_on_alone),
        ("down", without_a_controller_it_says_so),
        ("served", each_task_has_its_own_server),
        ("allowed", records_that_may_fail_hold_up_nothing),
        ("refused", what_stays_wrong_is_not_tried_again),
        ("unsent", unanswered::a_submission_that_nobody_got),
        (
            "unheard",
            unanswered::a_submission_that_is_accepted_all_the_same,
        ),
        ("twice", unanswered::a_second_ctrl_c_ends_at_once),
        ("in_vain", unanswered::what_cannot_be_cancelled_is_told),
        ("swept", folders_of_jobs_stay_while_they_live),
        ("boxed", containers::apptainer_runs_tasks),
        ("srun", containers::srun_runs_tasks),
        ("lost", containers::a_folder_that_is_not_there_is_told_once),
    ];
    // Side by side: they share the node, and nothing else. The node is drained first.
    a_drained_node_is_waited_for(&cluster, &expected);
    std::thread::scope(|scope| {
        for (name, case) in cases.iter() {
            let (cluster, expected) = (&cluster, &expected);
            std::thread::Builder::new()
                .name((*name).to_owned())
                .spawn_scoped(scope, move || case(cluster, expected))
                .expect("a thread");
        }
    });
}

/// The same bytes, no call twice, and what the profile says is what jobs get.
fn plain(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let env = "  env: {GREETING: \"it's $HOME\"}\n  setup: ['echo \"$GREETING\" >> greeted.txt']\n  \
               max_running: 2\n  options: ['--comment=a b']\n";
    let project = project("plain", env);
    let told = finish(on_slurm(cluster, &project, "plain", &server, ""));
    good(&told);
    unharmed(&project, &server, expected);
    assert_eq!(cluster.tasks("clue-plain-w").len(), 6, "{}", told.stderr);
    let greeted = String::from_utf8(project.read("greeted.txt")).expect("UTF-8");
    assert_eq!(greeted, "it's $HOME\n".repeat(6));
    assert!(
        told.stderr
            .contains("wave 2 (`asked`): 3 tasks submitted as job"),
        "{}",
        told.stderr
    );
    let comment = cluster.says("squeue -h -t all --format=%j|%k");
    assert!(
        comment
            .lines()
            .any(|line| line.starts_with("clue-plain") && line.ends_with("|a b"))
    );
    // Nothing is left to submit.
    let again = finish(on_slurm(cluster, &project, "plain", &server, "--json"));
    good(&again);
    assert_eq!(cluster.tasks("clue-plain-w").len(), 6);
}

/// Tasks do not begin before [`let_go`].
const HELD: &str = "  setup: ['while [ -e hold ]; do sleep 0.1; done']\n";

/// A project whose tasks do not begin yet.
fn held(name: &str, more: &str) -> Project {
    let project = project(name, &format!("{HELD}{more}"));
    project.write("hold", "");
    project
}

fn let_go(project: &Project) {
    std::fs::remove_file(project.path("hold")).expect("removed");
}

fn a_cancelled_task_is_submitted_again(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("cancelled", "");
    let child = begin(on_slurm(cluster, &project, "cancelled", &server, ""));
    let task = cluster.wait("clue-cancelled-w1", "RUNNING");
    // Another one may look on.
    let other = begin(on_slurm(
        cluster,
        &project,
        "cancelled",
        &server,
        "--attach",
    ));
    cluster.says(&format!("scancel {task}"));
    cluster.wait("clue-cancelled-w1", "CANCELLED");
    let_go(&project);
    let told = end(child);
    good(&told);
    let again = "was cancelled; it is submitted again (1 of 2)";
    assert!(told.stderr.contains(again), "{}", told.stderr);
    unharmed(&project, &server, expected);
    good(&end(other));
    assert_eq!(cluster.tasks("clue-cancelled-w").len(), 7);
}

fn a_drained_node_is_waited_for(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("drained", "  max_running: 1\n");
    let child = begin(on_slurm(cluster, &project, "drained", &server, ""));
    cluster.wait("clue-drained-w1", "RUNNING");
    let node = &cluster.node;
    cluster.says(&format!(
        "scontrol update nodename={node} state=drain reason=test"
    ));
    let_go(&project);
    until("the node is empty", || {
        cluster.says("sinfo -h -o %T") == "drained"
    });
    assert!(
        cluster
            .tasks("clue-drained-w1")
            .iter()
            .any(|task| task.ends_with("PENDING"))
    );
    cluster.says(&format!("scontrol update nodename={node} state=resume"));
    let told = end(child);
    good(&told);
    assert!(!told.stderr.contains("submitted again"), "{}", told.stderr);
    unharmed(&project, &server, expected);
}

/// Slurm's shortest limit is a minute: an administrator's hand makes it come sooner.
fn a_time_limit_is_told_and_tried_again(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("limit", "  time: 1\n");
    let child = begin(on_slurm(cluster, &project, "limit", &server, ""));
    let task = cluster.wait("clue-limit-w1", "RUNNING");
    cluster.says(&format!("scontrol update jobid={task} endtime=now"));
    cluster.wait("clue-limit-w1", "TIMEOUT");
    let_go(&project);
    let told = end(child);
    good(&told);
    let again = "ran into its time limit; it is submitted again (1 of 2)";
    assert!(told.stderr.contains(again), "{}", told.stderr);
    unharmed(&project, &server, expected);
}

fn a_killed_coordinator_is_no_loss(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("killed", "");
    let start = || begin(on_slurm(cluster, &project, "killed", &server, ""));
    let mut child = start();
    cluster.wait("clue-killed-w1", "RUNNING");
    child.kill().expect("killed");
    child.wait().expect("waits");
    forget_the_job(cluster, &project);
    let child = start();
    let_go(&project);
    let told = end(child);
    good(&told);
    assert!(
        !told.stderr.contains("wave 1 (`facts`)"),
        "submitted twice: {}",
        told.stderr
    );
    unharmed(&project, &server, expected);
    assert_eq!(cluster.tasks("clue-killed-w").len(), 6);
}

/// Whoever followed them was killed, so that only Slurm knows what became of them.
fn folders_of_jobs_stay_while_they_live(cluster: &Cluster, _: &[u8]) {
    let server = Server::bad("");
    let project = held("swept", "");
    let mut child = begin(on_slurm(cluster, &project, "swept", &server, ""));
    let task = cluster.wait("clue-swept-w1", "RUNNING");
    child.kill().expect("killed");
    child.wait().expect("waits");
    assert_eq!(old_jobs(cluster, &project), "0 folders of jobs");
    forget_the_job(cluster, &project);
    assert_eq!(old_jobs(cluster, &project), "0 folders of jobs");
    let job = task.split('_').next().expect("a job");
    cluster.says(&format!("scancel {job}"));
    until("all are over", || {
        let tasks = cluster.tasks("clue-swept");
        tasks.iter().all(|task| task.ends_with("CANCELLED"))
    });
    assert_eq!(old_jobs(cluster, &project), "1 folder of jobs");
}

/// The folders of jobs that cleaning up would remove.
fn old_jobs(cluster: &Cluster, project: &Project) -> String {
    let told = finish(cluster.clue(project, "cache gc --keep-runs 0 --dry-run"));
    good(&told);
    let (_, jobs) = told.stdout.trim_end().rsplit_once(", ").expect("a list");
    jobs.to_owned()
}

/// Makes it as if the coordinator had been killed before it noted the number of its job.
fn forget_the_job(cluster: &Cluster, project: &Project) {
    let folders = std::fs::read_dir(project.path(".clue/jobs")).expect("a folder");
    let file = folders
        .flatten()
        .next()
        .expect("a run")
        .path()
        .join("state.json");
    let text = std::fs::read(&file).expect("a state");
    let mut state: Json = serde_json::from_slice(&text).expect("JSON");
    let job = state["tasks"]["1"]["job"].as_u64().expect("a job");
    for task in state["tasks"].as_object_mut().expect("tasks").values_mut() {
        task["job"] = Json::Null;
        task["phase"] = "open".into();
    }
    let name = cluster.says(&format!("squeue -h -t all --format=%j -j {job}"));
    let name = name.lines().next().expect("a name");
    state["submitting"] = serde_json::json!({"name": name, "what": {"tasks": [1, 2, 3]}});
    std::fs::write(&file, state.to_string()).expect("written");
}

fn ctrl_c_cancels(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("interrupted", "");
    let child = begin(on_slurm(cluster, &project, "interrupted", &server, ""));
    cluster.wait("clue-interrupted-w1", "RUNNING");
    interrupt(&child);
    let told = end(child);
    assert_eq!(told.code, 130, "{}", told.stderr);
    assert!(
        told.stderr.contains("is cancelled; run again to go on"),
        "{}",
        told.stderr
    );
    let nothing = finish(on_slurm(
        cluster,
        &project,
        "interrupted",
        &server,
        "--attach",
    ));
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    assert!(
        nothing
            .stderr
            .contains("nothing of this pipeline is under way"),
        "{}",
        nothing.stderr
    );
    let tasks = cluster.tasks("clue-interrupted");
    assert!(
        tasks.iter().all(|task| task.ends_with("CANCELLED")),
        "{tasks:?}"
    );
    assert_eq!(asked(&server), 0);
    let_go(&project);
    good(&finish(on_slurm(
        cluster,
        &project,
        "interrupted",
        &server,
        "",
    )));
    assert_eq!(project.read("out/all.jsonl"), expected);
}

fn submit_only_goes_on_alone(cluster: &Cluster, expected: &[u8]) {
    let server = slow(0.05);
    let project = project("alone", "");
    let run = |more: &str| finish(on_slurm(cluster, &project, "alone", &server, more));
    let none = run("--attach");
    assert_eq!(none.code, 2);
    assert!(
        none.stderr
            .contains("nothing of this pipeline was ever submitted")
    );
    let told = run("--submit-only");
    good(&told);
    assert!(told.stderr.contains("`--attach`"), "{}", told.stderr);
    // Said twice, it is submitted once.
    good(&run("--submit-only"));
    let attached = run("--attach");
    good(&attached);
    unharmed(&project, &server, expected);
    let tasks: BTreeSet<String> = cluster.tasks("clue-alone-w").into_iter().collect();
    assert_eq!(tasks.len(), 6, "{tasks:?}");
    // Of what is over, the outputs are told again.
    good(&run("--attach"));
    assert_eq!(cluster.tasks("clue-alone-w").len(), 6);
    until("all jobs are over", || {
        let tasks = cluster.tasks("clue-alone");
        tasks.iter().all(|task| task.ends_with("COMPLETED"))
    });
}

fn without_a_controller_it_says_so(cluster: &Cluster, _: &[u8]) {
    let server = Server::bad("");
    let project = project("down", "");
    let settings = std::fs::read_to_string(cluster.conf()).expect("text");
    let settings = settings
        .lines()
        .map(|line| match line.split_once("SlurmctldPort=") {
            Some(_) => "SlurmctldPort=1".to_owned(),
            None => line.to_owned(),
        });
    project.write("slurm.conf", settings.collect::<Vec<_>>().join("\n") + "\n");
    let mut command = on_slurm(cluster, &project, "down", &server, "");
    command.env("SLURM_CONF", project.path("slurm.conf"));
    let told = finish(command);
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(
        told.stderr.contains("Slurm's controller does not answer"),
        "{}",
        told.stderr
    );
    assert_eq!(asked(&server), 0);
    assert!(!has_scripts(&project.path(".clue/jobs")));
}

fn has_scripts(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| entry.path().is_dir() && entry.path().join("wave-1.sh").exists())
}

/// A task that finds another pipeline than the one that was planned does nothing.
fn what_stays_wrong_is_not_tried_again(cluster: &Cluster, _: &[u8]) {
    let server = Server::bad("");
    let project = project(
        "refused",
        "  setup: ['echo \"Others {{ note }}\" > facts.j2']\n",
    );
    let told = finish(on_slurm(cluster, &project, "refused", &server, ""));
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(
        told.stderr
            .contains("failed with exit code 2; its log is `"),
        "{}",
        told.stderr
    );
    assert_eq!(asked(&server), 0);
    assert_eq!(cluster.tasks("clue-refused-w").len(), 3);
    let log = told
        .stderr
        .split("its log is `")
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    let log = std::fs::read_to_string(log.expect("a path")).expect("a log");
    assert!(log.contains("not what this task was planned for"), "{log}");
}

/// Two GPUs for three tasks on one node. What they may start was agreed to before.
fn each_task_has_its_own_server(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = project("served", "");
    let serve = "serve: {command: [python3, serve.py, --port, '{port}'], resources: {gpu: 1}}";
    let model = format!("  m: {{id: m, {serve}}}\n");
    let line = PIPELINE
        .lines()
        .find(|line| line.starts_with("  m: "))
        .expect("a model");
    let pipeline = PIPELINE.replace(&format!("{line}\n"), &model);
    let pipeline = pipeline.replace("params: {url: http://127.0.0.1:1/v1}", "params: {url: ''}");
    project.write("served.yaml", pipeline);
    let stub = std::fs::read(crate::support::root().join("tests/stub/bad_server.py"));
    project.write("serve.py", stub.expect("a stub"));
    let refused = finish(on_slurm(cluster, &project, "served", &server, ""));
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(cluster.tasks("clue-served").is_empty());
    let told = finish(on_slurm(cluster, &project, "served", &server, "--yes"));
    good(&told);
    assert_eq!(project.read("out/all.jsonl"), expected);
    for task in 1..=3 {
        let log = format!(".clue/logs/shard-{task}-of-3/serve-m.log");
        assert!(project.path(&log).exists(), "{log}");
    }
    let asked = cluster.says("scontrol -o show job");
    let asked = asked
        .lines()
        .filter(|line| line.contains("JobName=clue-served-w1"));
    assert!(asked.clone().count() > 0 && asked.clone().all(|line| line.contains("gres:gpu:1")));
    // What is started must be what was agreed to.
    let changes = "slurm: {poll: 0.1, shards: 1, setup: ['echo >> serve.py']}\n";
    project.write("my profile.yaml", changes);
    let words = words("served", &server, "--yes --store other");
    let mut changed = cluster.clue(&project, &words);
    changed.args(["--profile", "my profile.yaml"]);
    let changed = finish(changed);
    assert_eq!(changed.code, 1, "{}", changed.stderr);
    assert!(
        changed.stderr.contains("failed with exit code 3"),
        "{}",
        changed.stderr
    );
}

/// A record that fails now and then, which `on_error` allows.
fn records_that_may_fail_hold_up_nothing(cluster: &Cluster, _: &[u8]) {
    let server = Server::bad("");
    let project = project("allowed", "  retries: 1\n");
    let pipeline = PIPELINE.replace("into: facts}}", "into: facts}, on_error: {skip: 0.5}}");
    let pipeline = pipeline.replace("concurrency: 1}", "retries: 0, patience: 0.1}");
    project.write("allowed.yaml", pipeline);
    let mut notes = String::from_utf8(project.read("notes.csv")).expect("UTF-8");
    notes.push_str("bad,zz [[500]]\n");
    project.write("notes.csv", notes);
    let told = finish(on_slurm(cluster, &project, "allowed", &server, ""));
    good(&told);
    assert!(
        told.stderr.contains("puts the outputs together"),
        "{}",
        told.stderr
    );
    let whole = project.clue(&format!(
        "run allowed.yaml --store other --out other -p url={}",
        server.url()
    ));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    assert_eq!(
        project.read("out/all.jsonl"),
        project.read("other/all.jsonl")
    );
}
