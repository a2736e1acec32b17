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
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
    assert_eq!(cluster.tasks(&format!("clue-{name}-w")).len(), 6);
}

/// While the first one's `scancel` hangs. The next run cancels what was to be cancelled.
pub fn a_second_ctrl_c_ends_at_once(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let project = held("twice", "");
    let mut command = on_slurm(cluster, &project, "twice", &server, "");
    let hangs = "touch called\nwhile [ -e hold ]; do sleep 0.1; done";
    in_front(&project, &mut command, "scancel", hangs);
    let child = begin(command);
    cluster.wait("clue-twice-w1", "RUNNING");
    interrupt(&child);
    until("jobs are to be cancelled", || {
        project.path("called").exists()
    });
    interrupt(&child);
    let told = end(child);
    assert_eq!(told.code, 130, "{}", told.stderr);
    assert!(!told.stderr.contains("cancelled"), "{}", told.stderr);
    let child = begin(on_slurm(cluster, &project, "twice", &server, ""));
    until("they are cancelled", || {
        let tasks = cluster.tasks("clue-twice-w1");
        let ended = tasks.iter().filter(|task| task.ends_with("CANCELLED"));
        ended.count() == 3
    });
    let_go(&project);
    let told = end(child);
    good(&told);
    assert!(
        told.stderr.contains("waiting for cancelled job"),
        "{}",
        told.stderr
    );
    assert!(!told.stderr.contains("submitted again"), "{}", told.stderr);
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
}
