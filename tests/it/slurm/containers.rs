//! Tasks in containers. A stand-in for `apptainer` reads its command line as that does, and runs what
//! follows the image in another folder, where there is no Slurm; `srun` is the real one, as sites
//! with pyxis have it.

use super::*;

const APPTAINER: &str = r#"[ "$1" = exec ] || exit 255
shift
while true; do case $1 in
  --nv) shift ;;
  --bind) echo "$2" >> bound; shift 2 ;;
  -*) exit 255 ;;
  *) break ;;
esac; done
echo "$1" >> images
image=$PWD/image
shift
cd /
PATH=$image exec "$@""#;

pub fn apptainer_runs_tasks(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let container = "  container: [apptainer, exec, --nv, --bind, '/my data', 'my image.sif']\n  \
                     program: clue-of-the-image\n";
    let project = project("boxed", container);
    let clue = assert_cmd::cargo::cargo_bin!("clue");
    std::fs::create_dir(project.path("image")).expect("a folder");
    std::os::unix::fs::symlink(clue, project.path("image/clue-of-the-image")).expect("a link");
    let run = |more: &str| {
        let mut command = on_slurm(cluster, &project, "boxed", &server, more);
        in_front(&project, &mut command, "apptainer", APPTAINER);
        finish(command)
    };
    // The job that goes on asks Slurm, and so is outside.
    good(&run("--submit-only"));
    good(&run("--attach"));
    unharmed(&project, &server, expected);
    let lines = |name: &str| String::from_utf8(project.read(name)).expect("UTF-8");
    assert_eq!(lines("images"), "my image.sif\n".repeat(6));
    assert_eq!(lines("bound"), "/my data\n".repeat(6));
}

/// It hands on what tasks get, wherever the container begins.
pub fn srun_runs_tasks(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let greet = "container: [srun, --chdir=/, sh, -c, 'echo \"$GREETING\" >> \"$LETTERS\"; exec \"$0\" \"$@\"']";
    let project = project(
        "srun",
        &format!("  {greet}\n  env: {{GREETING: hello}}\n  export: [LETTERS]\n"),
    );
    let mut command = on_slurm(cluster, &project, "srun", &server, "");
    command.env("LETTERS", project.path("letters"));
    good(&finish(command));
    unharmed(&project, &server, expected);
    let letters = String::from_utf8(project.read("letters")).expect("UTF-8");
    assert_eq!(letters, "hello\n".repeat(6));
}

/// Where the project is not in the container, another try would find it no better.
pub fn a_folder_that_is_not_there_is_told_once(cluster: &Cluster, _: &[u8]) {
    let server = Server::bad("");
    let lost = "  container: [sh, -c, 'go=$2; shift 3; exec \"$0\" -c \"$go\" /nowhere \"$@\"']\n";
    let project = project("lost", lost);
    let told = finish(on_slurm(cluster, &project, "lost", &server, ""));
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(
        told.stderr.contains("failed with exit code 2"),
        "{}",
        told.stderr
    );
    assert_eq!(cluster.tasks("clue-lost-w").len(), 3);
    assert_eq!(asked(&server), 0);
}
