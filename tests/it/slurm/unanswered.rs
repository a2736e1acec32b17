//! Commands of Slurm that get no answer, and a user who does not wait for one.

use super::*;

/// The controller is away just when the second wave is submitted.
pub fn a_submission_that_nobody_got(cluster: &Cluster, expected: &[u8]) {
    let said = "Unable to contact slurm controller (connect failure)";
    submits(cluster, expected, "unsent", ":", said);
}

/// It gets that submission, and is too busy to say so.
pub fn a_submission_that_is_accepted_all_the_same(cluster: &Cluster, expected: &[u8]) {
    let said = "Socket timed out on send/recv operation";
    submits(
        cluster,
        expected,
        "unheard",
        "sbatch \"$@\" > accepted",
        said,
    );
}

/// The second submission does this, and fails with these words.
fn submits(cluster: &Cluster, expected: &[u8], name: &str, does: &str, says: &str) {
    let server = Server::bad("");
    let project = project(name, "");
    let mut command = on_slurm(cluster, &project, name, &server, "");
    let script = format!(
        "echo >> tries\nif [ $(wc -l < tries) = 2 ]; then\n  {does}\n  \
         echo 'sbatch: error: Batch job submission failed: {says}' >&2\n  exit 1\nfi\n\
         exec sbatch \"$@\"",
    );
    in_front(&project, &mut command, "sbatch", &script);
    let told = finish(command);
    good(&told);
    let times = |text: &str| told.stderr.matches(text).count();
    assert_eq!(times(says), 1, "{}", told.stderr);
    assert_eq!(times("controller answers again"), 1, "{}", told.stderr);
    unharmed(&project, &server, expected);
    assert_eq!(cluster.tasks(&format!("clue-{name}-w")).len(), 6);
}

/// While the first one's `scancel` hangs.
pub fn a_second_ctrl_c_ends_at_once(cluster: &Cluster, expected: &[u8]) {
    let scancel = "touch called\nwhile [ -e hold ]; do sleep 0.1; done";
    cancelled_later(cluster, expected, "twice", scancel, |project, child| {
        interrupt(&child);
        until("jobs are to be cancelled", || {
            project.path("called").exists()
        });
        interrupt(&child);
        let told = end(child);
        assert!(!told.stderr.contains("cancelled"), "{}", told.stderr);
        told
    });
}

pub fn what_cannot_be_cancelled_is_told(cluster: &Cluster, expected: &[u8]) {
    let says = "scancel: error: Unable to contact slurm controller (connect failure)";
    let scancel = format!("echo '{says}' >&2\nexit 1");
    cancelled_later(cluster, expected, "in_vain", &scancel, |_, child| {
        interrupt(&child);
        let told = end(child);
        assert!(told.stderr.contains("is not cancelled"), "{}", told.stderr);
        told
    });
}

/// Ctrl-C does not get to cancel anything with this `scancel`. The next run does.
fn cancelled_later(
    cluster: &Cluster,
    expected: &[u8],
    name: &str,
    scancel: &str,
    interrupted: impl FnOnce(&Project, Child) -> Done,
) {
    let server = Server::bad("");
    let project = held(name, "");
    let mut command = on_slurm(cluster, &project, name, &server, "");
    in_front(&project, &mut command, "scancel", scancel);
    let child = begin(command);
    let wave = format!("clue-{name}-w1");
    let task = cluster.wait(&wave, "RUNNING");
    let (job, _) = task.split_once('_').expect("a job");
    let told = interrupted(&project, child);
    assert_eq!(told.code, 130, "{}", told.stderr);
    let alive = || {
        let tasks = cluster.tasks(&wave).into_iter();
        let tasks = tasks.filter(|task| task.starts_with(&format!("{job}_")));
        tasks.filter(|task| !task.ends_with("CANCELLED")).count()
    };
    assert_eq!(alive(), 3);
    let child = begin(on_slurm(cluster, &project, name, &server, ""));
    until("they are cancelled", || alive() == 0);
    let_go(&project);
    let told = end(child);
    good(&told);
    let waits = "waiting for cancelled job";
    assert!(told.stderr.contains(waits), "{}", told.stderr);
    assert!(!told.stderr.contains("submitted again"), "{}", told.stderr);
    unharmed(&project, &server, expected);
}
