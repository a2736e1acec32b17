//! A project in a temporary folder, the binary, and servers that end with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with files in it, in which the binary runs.
pub struct Project {
    dir: tempfile::TempDir,
}

/// What the binary did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Project {
        let project = Project {
            dir: tempfile::tempdir().expect("a folder"),
        };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The binary with these words, in this folder.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("clue"));
        command
            .args(words.split_whitespace())
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .env_remove("CLUE_STORE")
            .env_remove("CLUE_LOG")
            .env_remove("CLUE_CONFIG")
            .env_remove("CLUE_REMOTE")
            .env("XDG_CONFIG_HOME", self.path(".home/config"))
            .env("XDG_STATE_HOME", self.path(".home/state"))
            .stdin(Stdio::null());
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        command
    }

    /// Lets pipelines read a folder elsewhere, by the user's configuration.
    pub fn allow(&self, folder: &Path) {
        let text = format!("paths: ['{}']\n", folder.display());
        self.write(".home/config/clue/config.yaml", text);
    }

    pub fn clue(&self, words: &str) -> Done {
        done(self.command(words).output().expect("runs"))
    }

    /// As [`Project::clue`], for runs that must succeed.
    pub fn ok(&self, words: &str) -> Done {
        let done = self.clue(words);
        assert_eq!(done.code, 0, "{words}\n{}{}", done.stdout, done.stderr);
        done
    }
}

/// Copies a folder with all in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, to).expect("copied");
        }
    }
}

pub fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A Python server from `tests/stub`, ended with the test.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// The deterministic stand-in for a model.
    pub fn stub(words: &str) -> Server {
        Server::start("stub_llm.py", words)
    }

    /// The server that fails on request.
    pub fn bad(words: &str) -> Server {
        Server::start("bad_server.py", words)
    }

    /// The server with a limit.
    pub fn busy(words: &str) -> Server {
        Server::start("busy_server.py", words)
    }

    /// The server of files that misbehaves.
    pub fn data(folder: &Path) -> Server {
        Server::start("data_server.py", &format!("--dir {}", folder.display()))
    }

    fn start(script: &str, words: &str) -> Server {
        let mut child = Command::new("python3")
            .arg("-u")
            .arg(root().join("tests/stub").join(script))
            // The later one counts.
            .args(["--port", "0"])
            .args(words.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("a line");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let digits: String = line
            .trim()
            .rsplit(':')
            .next()
            .unwrap_or("")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let port = digits
            .parse()
            .unwrap_or_else(|_| panic!("no port in {line:?}"));
        Server { child, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What it says at a path, which must be JSON.
    pub fn json(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("asks");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answers");
        let body = text.split_once("\r\n\r\n").expect("a body").1;
        serde_json::from_str(body).expect("JSON")
    }

    /// A number from the stub's counters.
    pub fn count(&self, path: &str, name: &str) -> u64 {
        let json = self.json(path);
        json[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {json}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
