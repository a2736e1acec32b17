//! Servers and set-ups with shell scripts in their place.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A stand-in for `clue supervise`: `sh` runs the file `supervise` of the pipeline's folder.
const SUPERVISE: &str = "shift; exec 3<&0\n\"$@\" & p=$!\n\
    (cat <&3 >/dev/null; kill $p 2>/dev/null) &\nwait $p\n";

struct Bench {
    folder: tempfile::TempDir,
    place: Place,
    said: Mutex<Vec<String>>,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("supervise"), SUPERVISE).unwrap();
        let mut place = Place::new(
            folder.path(),
            &folder.path().join("store"),
            &folder.path().join("logs"),
        )
        .unwrap();
        place.exe = PathBuf::from("/bin/sh");
        place.made = Some(folder.path().join("made"));
        Bench {
            folder,
            place,
            said: Mutex::default(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self, model: &ModelSpec) -> Result<Option<Server>, Diagnostic> {
        let say = |line| self.said.lock().unwrap().push(line);
        Server::start(model, &self.place, &say).await
    }
}

fn model(serve: serde_json::Value) -> ModelSpec {
    ModelSpec {
        serve: Some(serde_json::from_value(serve).unwrap()),
        ..ModelSpec::new("my/model", "x")
    }
}

fn sh(script: &str) -> serde_json::Value {
    serde_json::json!(["sh", "-c", script])
}

/// A port that answers 200 when the file is there, and 503 before.
async fn health(ready: PathBuf) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let status = if ready.is_file() {
                "200 OK"
            } else {
                "503 Loading"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn a_server_is_started_awaited_and_stopped() {
    let bench = Bench::new();
    let model = model(serde_json::json!({
        "command": sh("echo loading $WHAT; echo $$ > pid; echo {port} > port; touch up; exec sleep 60"),
        "env": {"WHAT": "at {port}"},
    }))
    .with_url(&format!("http://127.0.0.1:{}/v1", health(bench.file("up")).await));
    let server = bench.start(&model).await.unwrap().unwrap();
    let port = std::fs::read_to_string(bench.file("port")).unwrap();
    let log = std::fs::read_to_string(bench.file("logs/serve-my_model.log")).unwrap();
    assert_eq!(log, format!("loading at {}\n", port.trim()));
    let said = bench.said.lock().unwrap().join("\n");
    assert!(said.starts_with("starting the server of model `my/model`; its log is "));
    let pid = std::fs::read_to_string(bench.file("pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_ok());
    server.stop().await;
    assert!(rustix::process::test_kill_process(pid).is_err());
}

#[tokio::test]
async fn a_server_that_ends_early_is_told_with_its_log() {
    let bench = Bench::new();
    let model = model(serde_json::json!({"command": sh("echo no such weights; exit 3")}));
    let fault = bench.start(&model).await.err().unwrap();
    assert_eq!(
        fault.message,
        "the server of model `my/model` ended with exit code 3"
    );
    assert!(fault.notes[0].contains("serve-my_model.log"), "{fault:?}");
    assert_eq!(fault.notes[1], "no such weights");
}

#[tokio::test]
async fn a_server_that_never_gets_ready_is_given_up() {
    let bench = Bench::new();
    let model = model(serde_json::json!({
        "command": ["sleep", "60"],
        "startup_timeout": 0.3,
    }));
    let fault = bench.start(&model).await.err().unwrap();
    assert!(fault.message.contains("not ready after 0.3 seconds"));
    assert_eq!(fault.notes[1], "nobody answered at `/health`");
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let bench = Bench::new();
    let model = model(serde_json::json!({"command": ["sleep", "60"], "port": port}));
    let fault = bench.start(&model).await.err().unwrap();
    assert!(fault.message.contains(&format!("cannot have port {port}")));
}

#[tokio::test]
async fn a_set_up_is_done_once_for_each_content() {
    let bench = Bench::new();
    std::fs::write(
        bench.file("setup.sh"),
        "echo installing; echo x >> count; echo 1 > $1/v",
    )
    .unwrap();
    std::fs::write(bench.file("pins.txt"), "a==1").unwrap();
    let model = model(serde_json::json!({
        "setup": ["sh", "{dir}/setup.sh", "{setup_dir}"],
        "files": ["pins.txt"],
        "command": sh("cat {setup_dir}/v > seen; touch up; exec sleep 60"),
    }))
    .with_url(&format!(
        "http://127.0.0.1:{}/v1",
        health(bench.file("up")).await
    ));
    let times = async |expected: usize| {
        let server = bench.start(&model).await.unwrap().unwrap();
        server.stop().await;
        std::fs::remove_file(bench.file("up")).unwrap();
        let count = std::fs::read_to_string(bench.file("count")).unwrap();
        assert_eq!(count.lines().count(), expected);
    };
    times(1).await;
    assert_eq!(bench.said.lock().unwrap()[0], "installing");
    times(1).await;
    std::fs::write(bench.file("pins.txt"), "a==2").unwrap();
    times(2).await;
    // Not made here, as far as the user's own folder knows: it is made anew.
    std::fs::remove_dir_all(bench.file("made")).unwrap();
    times(3).await;
    std::fs::write(bench.file("setup.sh"), "echo x >> count; echo 2 > $1/v").unwrap();
    times(4).await;
    assert_eq!(std::fs::read_to_string(bench.file("seen")).unwrap(), "2\n");
}

#[tokio::test]
async fn a_failed_set_up_is_told_and_made_anew() {
    let bench = Bench::new();
    let model = model(serde_json::json!({
        "setup": sh("test ! -e {setup_dir}/half; touch {setup_dir}/half; echo no network; exit 9"),
        "command": ["sleep", "60"],
    }));
    for _ in 0..2 {
        let fault = bench.start(&model).await.err().unwrap();
        assert_eq!(
            fault.message,
            "the set-up of model `my/model` ended with exit code 9"
        );
        assert_eq!(fault.notes[1], "no network");
    }
}

#[tokio::test]
async fn two_runs_set_up_once() {
    let bench = Bench::new();
    let spec: ServeSpec = serde_json::from_value(serde_json::json!({
        "setup": sh("sleep 0.3; echo x >> count"),
        "command": ["sleep", "60"],
    }))
    .unwrap();
    let say = |line| bench.said.lock().unwrap().push(line);
    let prepare = || prepare("m", &spec, &bench.place, &say);
    let (a, b) = tokio::join!(prepare(), prepare());
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(std::fs::read_to_string(bench.file("count")).unwrap(), "x\n");
    assert_eq!(
        *bench.said.lock().unwrap(),
        ["another run sets up model `m`; waiting for it"]
    );
}
