//! A controller that goes away in the middle of a run. It has a cluster of its own, since all jobs
//! hear of it.

use std::fs::File;

use super::*;

#[test]
fn a_controller_may_go_away() {
    if std::env::var_os("CLUE_TEST_SLURM").is_none() {
        eprintln!("skipped: CLUE_TEST_SLURM is not set");
        return;
    }
    let cluster = Cluster::start();
    let expected = undisturbed();
    it_forgets_what_is_over(&cluster, &expected);
    it_comes_back(&cluster, &expected);
    it_stays_away_for_long(&cluster, &expected);
}

/// What a run has told so far goes to a file.
fn begin_told(mut command: Command, project: &Project) -> Child {
    let file = File::create(project.path("told")).expect("a file");
    command.stdout(Stdio::null()).stderr(file);
    command.spawn().expect("runs")
}

fn told(project: &Project) -> String {
    String::from_utf8(project.read("told")).expect("UTF-8")
}

/// Waits until the tasks of the first wave are all in a state: the job's number.
fn wait_for_all(cluster: &Cluster, name: &str, state: &str) -> String {
    let name = format!("clue-{name}-w1");
    until(&format!("all tasks of {name} are {state}"), || {
        let tasks = cluster.tasks(&name);
        tasks.len() == 3 && tasks.iter().all(|task| task.ends_with(state))
    });
    let task = cluster.tasks(&name).remove(0);
    task.split('_').next().expect("a job").to_owned()
}

fn it_comes_back(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("away", "");
    let mut child = begin_told(on_slurm(cluster, &project, "away", &server, ""), &project);
    let job = wait_for_all(cluster, "away", "RUNNING");
    cluster.lose_controller(&job);
    let away = "Slurm's controller does not answer";
    until("it is told", || told(&project).contains(away));
    cluster.start_controller(&[]);
    let_go(&project);
    until("it ends", || child.try_wait().expect("a child").is_some());
    let code = child.wait().expect("ends").code();
    let told = told(&project);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches(away).count(), 1, "{told}");
    let back = "Slurm's controller answers again";
    assert_eq!(told.matches(back).count(), 1, "{told}");
    assert!(!told.contains("submitted again"), "{told}");
    unharmed(&project, &server, expected);
    assert_eq!(cluster.tasks("clue-away-w").len(), 6);
}

fn it_stays_away_for_long(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("gone", "  patience: 0.5\n");
    let start = || begin(on_slurm(cluster, &project, "gone", &server, ""));
    let child = start();
    let job = wait_for_all(cluster, "gone", "RUNNING");
    cluster.lose_controller(&job);
    let told = end(child);
    assert_eq!(told.code, 1, "{}", told.stderr);
    let faults = told.stderr.matches("error: ").count();
    assert_eq!(faults, 1, "{}", told.stderr);
    let last = "error: Slurm's controller does not answer";
    assert!(told.stderr.contains(last), "{}", told.stderr);
    assert!(
        told.stderr.contains("run again to go on"),
        "{}",
        told.stderr
    );
    // Whoever comes before it is back hears that nothing is lost.
    let told = end(start());
    assert_eq!(told.code, 2, "{}", told.stderr);
    let goes_on = "what was submitted before goes on";
    assert!(told.stderr.contains(goes_on), "{}", told.stderr);
    cluster.start_controller(&[]);
    let child = start();
    let_go(&project);
    let told = end(child);
    good(&told);
    assert!(!told.stderr.contains("submitted again"), "{}", told.stderr);
    unharmed(&project, &server, expected);
    assert_eq!(cluster.tasks("clue-gone-w").len(), 6);
}

/// It knows no job any more, keeps no accounts, and gives their numbers to others. What is in the
/// cache is done all the same.
fn it_forgets_what_is_over(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("forgotten", "");
    let start = || begin(on_slurm(cluster, &project, "forgotten", &server, ""));
    let mut child = start();
    let job = wait_for_all(cluster, "forgotten", "RUNNING");
    child.kill().expect("killed");
    child.wait().expect("waits");
    let_go(&project);
    wait_for_all(cluster, "forgotten", "COMPLETED");
    cluster.lose_controller(&job);
    cluster.forget();
    cluster.start_controller(&["-c"]);
    until("the node is there", || {
        cluster.says("sinfo -h -o %T") == "idle"
    });
    // Somebody else's, that does not end.
    let other = cluster.dir().join("other.sh");
    std::fs::write(&other, "#!/bin/sh\nexec sleep 3600\n").expect("written");
    let other = format!(
        "sbatch --parsable --array=1-3 --mem=50 -o /dev/null {}",
        other.display()
    );
    assert_eq!(cluster.says(&other), job);
    let told = end(start());
    good(&told);
    let known = "is not known to Slurm any more; its share is done all the same";
    assert_eq!(told.stderr.matches(known).count(), 3, "{}", told.stderr);
    assert!(!told.stderr.contains("wave 1 (`facts`)"), "{}", told.stderr);
    unharmed(&project, &server, expected);
    cluster.says(&format!("scancel {job}"));
}
