//! `clue run --executor k8s --dry-run`, and flags for clusters where no cluster is needed. The
//! manifest is held against Kubernetes' own schema if `CLUE_TEST_K8S` names `kubernetes-validate`.

use std::process::Command;

use serde_json::Value as Json;

use crate::support::Project;

/// Three waves: each sort needs all answers before it.
const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, key_env: API_TOKEN}
stages:
  notes: {load: {path: notes.csv, key: id}}
  facts: {from: notes, generate: {model: m, prompt: a.j2, into: facts}}
  first: {from: facts, sort: {by: facts}}
  asked: {from: first, generate: {model: m, prompt: a.j2, into: question}}
  second: {from: asked, sort: {by: question}}
  answered: {from: second, generate: {model: m, prompt: a.j2, into: answer}}
outputs:
  all.jsonl: {from: answered}
"#;

fn project(profile: &str) -> Project {
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", "id,note\na,x\nb,y\n"),
        ("a.j2", "Of {{ note }}"),
        ("profile.yaml", profile),
    ])
}

const PROFILE: &str = "k8s: {image: 'registry.example/clue:1', namespace: bench, folder: project, \
                       cpus: 4, memory: 16Gi, gpus: 1, node_selector: {pool: 'yes'}, \
                       env: {NOTE: '$(API_TOKEN) no'}, max_running: 2, retries: 1}\n";

fn manifest(project: &Project, more: &str) -> String {
    let words = "run p.yaml --executor k8s --dry-run --shards 3 --profile profile.yaml --yes";
    project.ok(&format!("{words} {more}")).stdout
}

#[test]
fn a_job_for_each_wave_is_printed() {
    let text = manifest(&project(PROFILE), "-p url=http://models.bench/$v1");
    insta::assert_snapshot!(text);
    assert!(!text.contains("token="), "{text}");
}

#[test]
fn the_manifest_fits_the_schema_of_kubernetes() {
    let Some(validate) = std::env::var_os("CLUE_TEST_K8S") else {
        eprintln!("skipped: CLUE_TEST_K8S is not set");
        return;
    };
    for profile in [PROFILE, "k8s: {image: a}\n"] {
        let project = project(profile);
        project.write("jobs.yaml", manifest(&project, ""));
        let mut command = Command::new(&validate);
        let command = command
            .args(["-k", "1.37", "--strict"])
            .arg(project.path("jobs.yaml"));
        let said = command.output().expect("runs");
        let said_text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{said_text}");
        // It does find what does not fit.
        let wrong = manifest(&project, "").replace("completionMode", "completionMood");
        project.write("jobs.yaml", wrong);
        let mut command = Command::new(&validate);
        let command = command
            .args(["-k", "1.37", "--strict"])
            .arg(project.path("jobs.yaml"));
        assert!(!command.output().expect("runs").status.success());
    }
}

#[test]
fn tasks_of_the_manifest_do_what_they_should() {
    let project = project(PROFILE);
    let text = manifest(&project, "-p url=http://models.bench/$v1");
    let first = text.split("---\n").next().expect("a job");
    let job: Json = serde_yaml::from_str(first).expect("YAML");
    let words = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    let words: Vec<&str> = words
        .as_array()
        .expect("words")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    // As Kubernetes would hand it over, but that the program is not `clue`.
    let words: Vec<String> = words.iter().map(|word| word.replace("$$", "$")).collect();
    let mut command = Command::new(&words[0]);
    command
        .env("JOB_COMPLETION_INDEX", "2")
        .args(&words[1..4])
        .arg("echo")
        .args(&words[5..]);
    let said = command.output().expect("runs").stdout;
    let said = String::from_utf8(said).expect("UTF-8");
    assert_eq!(
        said,
        "run p.yaml -p url=http://models.bench/$v1 --store .clue --json --yes --shard 3/3\n"
    );
}

#[test]
fn flags_that_do_not_fit_are_refused() {
    let project = project("slurm: {partiton: a}\n");
    let cases = [
        ("--shards 3", "`--shards` is for runs on a cluster"),
        ("--attach", "`--attach` is for runs on a cluster"),
        ("--executor slurm --shard 1/2", "cannot be used with"),
        ("--executor slurm --max-calls 3", "cannot be used with"),
        ("--executor slurm --dry-run --attach", "cannot be used with"),
        ("--executor slurm --shards 0", "0 is not in 1..=10000"),
        ("--executor k8s", "`--executor k8s` runs nothing by itself"),
        ("--executor k8s --dry-run", "no image to run in Kubernetes"),
        ("--profile profile.yaml", "did you mean `partition`?"),
        ("--profile none", "no profile `none`"),
        ("--orders none.json", "cannot read orders `none.json`"),
    ];
    for (flags, why) in cases {
        let told = project.clue(&format!("run p.yaml {flags}"));
        assert_eq!(told.code, 2, "{flags}: {}", told.stderr);
        assert!(told.stderr.contains(why), "{flags}: {}", told.stderr);
    }
    assert!(!project.path(".clue/jobs").exists());
}

#[test]
fn a_profile_has_a_name_in_the_users_folder() {
    let project = project("");
    let folder = ".home/config/clue/profiles";
    project.write(
        &format!("{folder}/gpu.yaml"),
        "slurm: {partition: \"it's $(gpu)\"}\n",
    );
    let script = project
        .ok("run p.yaml --profile gpu --dry-run --yes")
        .stdout;
    assert!(script.contains(r"'--partition=it'\''s $(gpu)'"), "{script}");
    let near = project.clue("run p.yaml --profile gpuu --dry-run --yes");
    assert!(
        near.stderr.contains("did you mean `gpu`?"),
        "{}",
        near.stderr
    );
    project.write(&format!("{folder}/default.yaml"), "slurm: {shards: 7}\n");
    let script = project
        .ok("run p.yaml --executor slurm --dry-run --yes")
        .stdout;
    assert!(script.contains("--array=1-7"), "{script}");
    assert!(!project.path(".clue/jobs").exists());
}
