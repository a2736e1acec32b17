//! Tasks in containers: a stand-in for `apptainer` reads its command line as that does, and runs what
//! follows the image where there is no Slurm.

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
shift
[ "$1" = /opt/clue ] || exit 255
shift
PATH=/nowhere exec CLUE "$@""#;

pub fn tasks_run_in_a_container(cluster: &Cluster, expected: &[u8]) {
    let server = Server::bad("");
    let container = "  container: [apptainer, exec, --nv, --bind, '/my data', 'my image.sif']\n  \
                     program: /opt/clue\n";
    let project = project("boxed", container);
    let clue = assert_cmd::cargo::cargo_bin!("clue").display().to_string();
    let script = APPTAINER.replace("CLUE", &clue);
    let run = |more: &str| {
        let mut command = on_slurm(cluster, &project, "boxed", &server, more);
        in_front(&project, &mut command, "apptainer", &script);
        finish(command)
    };
    // The job that goes on asks Slurm, and so is outside.
    good(&run("--submit-only"));
    good(&run("--attach"));
    assert_eq!(project.read("out/all.jsonl"), expected);
    assert_eq!(asked(&server), CALLS);
    let lines = |name: &str| String::from_utf8(project.read(name)).expect("UTF-8");
    assert_eq!(lines("images"), "my image.sif\n".repeat(6));
    assert_eq!(lines("bound"), "/my data\n".repeat(6));
}
