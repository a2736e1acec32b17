//! A Slurm of one node, for tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Project;

/// How long anything may take before the test fails: for machines that are busy.
const MOST: Duration = Duration::from_secs(120);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A Slurm of one node, in a folder, ended with the test.
pub struct Cluster {
    dir: tempfile::TempDir,
    pub node: String,
}

impl Cluster {
    pub fn start() -> Cluster {
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
        cluster.start_controller(&["-c"]);
        run(&mut cluster.command("slurmd"));
        until("the node is there", || {
            output(cluster.command("sinfo").args(["-h", "-o", "%T"])) == "idle"
        });
        cluster
    }

    /// Starts its controller, with these options.
    pub fn start_controller(&self, options: &[&str]) {
        run(self.command("slurmctld").args(options));
        until("the controller answers", || self.has_controller());
    }

    fn has_controller(&self) -> bool {
        self.says("scontrol ping").ends_with("UP")
    }

    /// Kills its controller, once that has written down all that it knows: it takes seconds to,
    /// and one that comes back with less starts jobs twice, and drains their nodes for it.
    pub fn lose_controller(&self, job: &str) {
        let written =
            || std::fs::metadata(self.path("state/job_state")).and_then(|it| it.modified());
        let before = written().ok();
        self.says(&format!("scontrol update jobid={job} comment=noted"));
        until("its state is on disk", || written().ok() != before);
        self.kill("slurmctld");
        until("the controller is away", || !self.has_controller());
    }

    /// Removes all that its controller knows.
    pub fn forget(&self) {
        let state = self.path("state");
        std::fs::remove_dir_all(&state).expect("removed");
        std::fs::create_dir(&state).expect("a folder");
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

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn conf(&self) -> PathBuf {
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

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Daemons are not where users look for programs.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// What one of Slurm's commands says.
    pub fn says(&self, words: &str) -> String {
        let mut words = words.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        output(command.args(words))
    }

    /// `clue` with these words on this Slurm.
    pub fn clue(&self, project: &Project, words: &str) -> Command {
        let mut command = project.command(words);
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// The tasks of jobs whose names hold `name`, as `job_task state`, all that there were.
    pub fn tasks(&self, name: &str) -> Vec<String> {
        let all = self.says("squeue -h -r -t all --format=%j|%F_%K|%T");
        let all = all.lines().filter_map(|line| {
            let (job, rest) = line.split_once('|')?;
            job.contains(name).then(|| rest.replace('|', " "))
        });
        all.collect()
    }

    /// Waits for a task in a state: the task.
    pub fn wait(&self, name: &str, state: &str) -> String {
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
        // Whoever drops it may be failing: what does not end is left alone.
        let start = Instant::now();
        while start.elapsed() < MOST && !self.says("squeue -h").is_empty() {
            std::thread::sleep(LOOK);
        }
        for name in ["slurmd", "slurmctld", "munge"] {
            self.kill(name);
        }
    }
}

/// Two free ports, for this cluster alone: no other program is given one of these by chance while a
/// daemon is away.
fn ports() -> [u16; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + std::process::id() as u16 % 1000 * 10;
    let free = || loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    };
    [free(), free()]
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("runs").success(), "{command:?}");
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < MOST, "not within time: {what}");
        std::thread::sleep(LOOK);
    }
}
