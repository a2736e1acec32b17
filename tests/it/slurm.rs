//! `clue run --executor slurm` on a real Slurm of one node, that the test starts. Needs Slurm and
//! munge, and root: runs if `CLUE_TEST_SLURM` is set.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Done, Project, Server, done};

/// How long anything may take before the test fails: for machines that are busy.
const MOST: Duration = Duration::from_secs(120);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A Slurm of one node, in a folder, ended with the test.
struct Cluster {
    dir: tempfile::TempDir,
    node: String,
}

impl Cluster {
    fn start() -> Cluster {
        let dir = tempfile::Builder::new()
            .prefix("clue-slurm")
            .tempdir()
            .expect("a folder");
        let node = output(Command::new("hostname").arg("-s"));
        let cluster = Cluster { dir, node };
        for name in ["run", "state", "spool"] {
            std::fs::create_dir(cluster.path(name)).expect("a folder");
        }
        let key: Vec<u8> = (0..128_u32).map(|at| (at * 97 % 251) as u8).collect();
        std::fs::write(cluster.path("munge.key"), key).expect("written");
        run(Command::new("chmod")
            .arg("600")
            .arg(cluster.path("munge.key")));
        run(Command::new("chmod").arg("755").arg(cluster.path("")));
        let at = |name: &str, file: &str| format!("--{name}={}", cluster.path(file).display());
        run(cluster.command("munged").arg("--force").args([
            at("key-file", "munge.key"),
            at("socket", "run/munge.sock"),
            at("pid-file", "run/munge.pid"),
            at("log-file", "munge.log"),
            at("seed-file", "munge.seed"),
        ]));
        std::fs::write(cluster.conf(), cluster.settings()).expect("written");
        // Two devices that are none, to be counted alone.
        let gpus = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n";
        std::fs::write(cluster.path("gres.conf"), gpus).expect("written");
        run(cluster.command("slurmctld").arg("-c"));
        run(&mut cluster.command("slurmd"));
        until("the node is there", || {
            output(cluster.command("sinfo").args(["-h", "-o", "%T"])) == "idle"
        });
        cluster
    }

    /// Ends one of its daemons.
    fn kill(&self, name: &str) {
        let pid = std::fs::read_to_string(self.path(&format!("run/{name}.pid")));
        let pid = pid
            .ok()
            .and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn conf(&self) -> PathBuf {
        self.path("slurm.conf")
    }

    fn settings(&self) -> String {
        let dir = self.dir.path().display();
        let node = &self.node;
        let [control, daemon] = ports();
        format!(
            "ClusterName=clue\nSlurmctldHost={node}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/munge\nAuthInfo=socket={dir}/run/munge.sock\nCredType=cred/munge\n\
             SlurmctldPort={control}\nSlurmdPort={daemon}\n\
             SlurmctldPidFile={dir}/run/slurmctld.pid\nSlurmdPidFile={dir}/run/slurmd.pid\n\
             SlurmctldLogFile={dir}/slurmctld.log\nSlurmdLogFile={dir}/slurmd.log\n\
             StateSaveLocation={dir}/state\nSlurmdSpoolDir={dir}/spool\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nReturnToService=2\n\
             SchedulerParameters=batch_sched_delay=0,sched_interval=1\n\
             GresTypes=gpu\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\nDefMemPerCPU=100\n\
             SlurmdParameters=config_overrides\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nMinJobAge=3600\nKillWait=2\n\
             OverTimeLimit=0\n\
             NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=8000 Gres=gpu:2\n\
             PartitionName=main Nodes=ALL Default=YES\n"
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Daemons are not where users look for programs.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// What one of Slurm's commands says.
    fn says(&self, words: &str) -> String {
        let mut words = words.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        output(command.args(words))
    }

    /// `clue` with these words on this Slurm.
    fn clue(&self, project: &Project, words: &str) -> Command {
        let mut command = project.command(words);
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// The tasks of jobs whose names hold `name`, as `job_task state`, all that there were.
    fn tasks(&self, name: &str) -> Vec<String> {
        let all = self.says("squeue -h -r -t all --format=%j|%F_%K|%T");
        let all = all.lines().filter_map(|line| {
            let (job, rest) = line.split_once('|')?;
            job.contains(name).then(|| rest.replace('|', " "))
        });
        all.collect()
    }

    /// Waits for a task in a state: the task.
    fn wait(&self, name: &str, state: &str) -> String {
        let mut found = None;
        until(&format!("a task of {name} is {state}"), || {
            let tasks = self.tasks(name);
            found = tasks
                .iter()
                .find_map(|task| Some(task.strip_suffix(state)?.trim().to_owned()));
            found.is_some()
        });
        found.expect("a task")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut all = self.command("scancel");
        let _ = all.args(["--user=root", "--quiet"]).status();
        for name in ["slurmd", "slurmctld", "munge"] {
            self.kill(name);
        }
    }
}

/// Two free ports.
fn ports() -> [u16; 2] {
    let listen = || std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    [listen(), listen()].map(|listener| listener.local_addr().expect("an address").port())
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("runs").success(), "{command:?}");
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < MOST, "not within time: {what}");
        std::thread::sleep(LOOK);
    }
}

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
    let cases: [Case; 10] = [
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
    assert_eq!(cluster.tasks("clue-killed-w").len(), 6);
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
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("there");
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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
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
