//! Caches in an S3 bucket: what moves there and back, what servers refuse, and what may leave this
//! machine. The server is moto's, where `CLUE_TEST_MOTO` names its program.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use clue::hash::Hash;
use clue::store::Store;

use crate::shared_store::{RECORDS, output, project, run};
use crate::support::{Done, Project, Server, done};

/// The program with credentials for a server, and nothing else of S3 in its environment.
fn at(project: &Project, endpoint: &str, words: &str) -> Command {
    let mut command = bare(project, words);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIDHUSH")
        .env("AWS_SECRET_ACCESS_KEY", "HUSHKEY");
    command
}

fn bare(project: &Project, words: &str) -> Command {
    let mut command = project.command(words);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn ran(mut command: Command) -> Done {
    let done = done(command.output().expect("runs"));
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(!told.contains("HUSH"), "{told}");
    done
}

fn fine(command: Command) -> Done {
    let done = ran(command);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done
}

/// A server that says the same to everybody: its address.
fn saying(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            let len = body.len();
            let _ = write!(
                reader.get_mut(),
                "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://127.0.0.1:{port}")
}

#[test]
fn each_refusal_of_a_server_is_told_with_what_to_set() {
    let project = project();
    project.write(".clue/format.json", "{\"format\":1}\n");
    for (status, body, code, told) in [
        (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code><Message>HUSH</Message></Error>",
            2,
            "does not let these credentials into `s3://clinic/x`",
        ),
        (
            "403 Forbidden",
            "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIDHUSH</AWSAccessKeyId></Error>",
            2,
            "does not take these credentials (SignatureDoesNotMatch)",
        ),
        (
            "404 Not Found",
            "<Error><Code>NoSuchBucket</Code></Error>",
            2,
            "has no bucket `clinic`",
        ),
        (
            "400 Bad Request",
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>",
            2,
            "is not in the region `us-east-1`",
        ),
        (
            "301 Moved Permanently",
            "<Error><Code>PermanentRedirect</Code></Error>",
            2,
            "set `AWS_REGION`",
        ),
        ("503 Service Unavailable", "HUSH", 1, "answers 503"),
    ] {
        let endpoint = saying(status, body);
        for way in ["push", "pull"] {
            let done = ran(at(
                &project,
                &endpoint,
                &format!("cache {way} s3://clinic/x"),
            ));
            assert_eq!(done.code, code, "{status} {}", done.stderr);
            assert!(done.stderr.contains(told), "{status} {}", done.stderr);
            assert_eq!(done.stderr.matches("error:").count(), 1, "{}", done.stderr);
        }
    }
}

#[test]
fn without_credentials_it_ends_with_words() {
    let project = project();
    project.write(".clue/format.json", "{\"format\":1}\n");
    // Nobody is to be asked for any; and somebody who never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}", silent.local_addr().expect("bound"));
    for metadata in [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_METADATA_ENDPOINT", &silent),
    ] {
        let mut command = bare(&project, "cache push s3://clinic/x");
        command
            .env_remove("AWS_EC2_METADATA_DISABLED")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env(metadata.0, metadata.1);
        let done = ran(command);
        assert_eq!(done.code, 2);
        let told = "there are no credentials for `s3://clinic/x`";
        assert!(done.stderr.contains(told), "{}", done.stderr);
        assert!(done.stderr.contains("AWS_ACCESS_KEY_ID"), "{}", done.stderr);
    }
    let mut half = at(&project, "http://127.0.0.1:9", "cache push s3://clinic/x");
    half.env("AWS_SECRET_ACCESS_KEY", "");
    let half = ran(half);
    assert_eq!(half.code, 2);
    assert!(
        half.stderr.contains("`AWS_SECRET_ACCESS_KEY` is not"),
        "{}",
        half.stderr
    );
}

#[test]
fn a_cache_leaves_this_machine_by_the_users_configuration_alone() {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server, 0));
    let config = ".home/config/clue/config.yaml";
    let far = "https://s3.invalid";
    let refused = |told: &str| {
        for words in [
            "cache push s3://clinic/x",
            "run p0.yaml --yes --remote s3://clinic/x",
        ] {
            let done = ran(at(&project, far, words));
            assert_eq!(done.code, 3, "{}", done.stderr);
            assert!(done.stderr.contains(told), "{}", done.stderr);
        }
    };
    refused("add `s3://clinic/x` to `remotes: […]`");
    // The place is allowed, and not the machine that the environment leads to.
    project.write(config, "remotes: [s3://clinic]\n");
    refused("add `s3.invalid` to `sensitive: {hosts: […]}`");
    project.write(
        config,
        "remotes: [s3://clinic]\nsensitive: {hosts: [\"*.invalid\"]}\n",
    );
    let allowed = ran(at(&project, far, "cache push s3://clinic/x"));
    assert_eq!(allowed.code, 1, "{}", allowed.stderr);
    assert!(
        allowed.stderr.contains("cannot reach `s3.invalid`"),
        "{}",
        allowed.stderr
    );
}

#[test]
fn a_run_goes_on_without_a_cache_that_cannot_be_reached() {
    let server = Server::bad("");
    let project = project();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let words = format!("{} --remote s3://clinic/x", run(&server, 0));
    let done = fine(at(&project, &endpoint, &words));
    assert_eq!(
        done.stderr.matches("warning:").count(),
        1,
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("goes on with its own cache alone"),
        "{}",
        done.stderr
    );
    assert!(!output(&project, 0).is_empty());
    let none = fine(bare(&project, &words));
    assert!(
        none.stderr.contains("there are no credentials"),
        "{}",
        none.stderr
    );
}

/// A real S3 server, ended with the test: moto's.
struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    /// `None`, with a word, if it is not installed here.
    #[expect(clippy::print_stderr)]
    fn start() -> Option<Moto> {
        let Some(program) = std::env::var_os("CLUE_TEST_MOTO") else {
            eprintln!("skipped: CLUE_TEST_MOTO names no moto_server");
            return None;
        };
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto runs");
        let mut told = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(told.read_line(&mut line).expect("a line") > 0, "moto ends");
            if let Some((_, port)) = line.trim().rsplit_once("127.0.0.1:") {
                break port.parse().expect("a port");
            }
        };
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        let moto = Moto { child, port };
        moto.ask("PUT", "/clinic", b"");
        Some(moto)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The body of what it answers.
    fn ask(&self, how: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        let len = body.len();
        write!(
            stream,
            "{how} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {len}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x\r\n\r\n"
        )
        .expect("asks");
        stream.write_all(body).expect("sends");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answers");
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        answer.split_off(head.expect("a head") + 4)
    }

    /// The names of all that is there under a prefix.
    fn names(&self, prefix: &str) -> Vec<String> {
        let listed = self.ask("GET", &format!("/clinic?list-type=2&prefix={prefix}"), b"");
        let listed = String::from_utf8(listed).expect("text");
        let parts = listed.split("<Key>").skip(1);
        parts
            .filter_map(|part| Some(part.split_once("</Key>")?.0.to_owned()))
            .collect()
    }

    /// Leaves half of an object.
    fn cut(&self, name: &str) {
        let whole = self.ask("GET", &format!("/clinic/{name}"), b"");
        assert!(whole.len() > 100, "{name}");
        self.ask("PUT", &format!("/clinic/{name}"), &whole[..whole.len() / 2]);
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn s3_gets_what_a_cache_has_and_gives_it_to_another() {
    let Some(moto) = Moto::start() else { return };
    let server = Server::bad("");
    let project = project();
    let s3 = |words: &str| at(&project, &moto.url(), words);
    project.ok(&format!("{} --store a", run(&server, 0)));
    let asked = server.count("/stats", "requests");
    fine(s3("cache push s3://clinic/all --store a"));
    let again = fine(s3("cache push s3://clinic/all --store a"));
    assert_eq!(again.stdout, "nothing to move: all of it is there\n");
    fine(s3("cache pull s3://clinic/all --store b"));
    let again = fine(s3("cache pull s3://clinic/all --store b"));
    assert_eq!(again.stdout, "nothing to move: all of it is there\n");
    assert_eq!(
        project.ok("cache verify --store b").stdout,
        "the cache is sound\n"
    );
    let before = output(&project, 0);
    fs::remove_dir_all(project.path("out0")).expect("removed");
    project.ok(&format!("{} --store b", run(&server, 0)));
    assert_eq!(output(&project, 0), before);
    // A run that pulls and pushes by itself.
    let words = format!("{} --remote s3://clinic/all", run(&server, 1));
    fine(s3(&format!("{words} --store c")));
    assert_eq!(server.count("/stats", "requests"), asked + RECORDS as u64);
    fine(s3(&format!("{words} --store d")));
    assert_eq!(server.count("/stats", "requests"), asked + RECORDS as u64);

    let none = ran(s3("cache pull s3://clinic/none --store b"));
    assert_eq!(none.code, 2);
    assert!(
        none.stderr
            .contains("there is no cache at `s3://clinic/none`"),
        "{}",
        none.stderr
    );
    let none = ran(s3("cache push s3://nobody/all --store b"));
    assert_eq!(none.code, 2);
    assert!(
        none.stderr.contains("has no bucket `nobody`"),
        "{}",
        none.stderr
    );
}

#[test]
fn two_push_at_once_to_s3() {
    let Some(moto) = Moto::start() else { return };
    let server = Server::bad("");
    let project = project();
    for number in 0..2 {
        project.ok(&format!("{} --store own{number}", run(&server, number)));
    }
    let push = |number: usize| {
        let words = format!("cache push s3://clinic/all --store own{number}");
        let mut command = at(&project, &moto.url(), &words);
        command.stdout(Stdio::null()).spawn().expect("runs")
    };
    let pushing = [0, 1, 0, 1].map(push);
    for mut child in pushing {
        assert!(child.wait().expect("ends").success());
    }
    fine(at(
        &project,
        &moto.url(),
        "cache pull s3://clinic/all --store both",
    ));
    assert_eq!(
        project.ok("cache verify --store both").stdout,
        "the cache is sound\n"
    );
    let asked = server.count("/stats", "requests");
    for number in 0..2 {
        let before = output(&project, number);
        fs::remove_dir_all(project.path(&format!("out{number}"))).expect("removed");
        project.ok(&format!("{} --store both", run(&server, number)));
        assert_eq!(output(&project, number), before);
    }
    assert_eq!(server.count("/stats", "requests"), asked);
}

#[test]
fn what_is_cut_in_s3_is_told_left_out_and_mended() {
    let Some(moto) = Moto::start() else { return };
    let server = Server::bad("");
    let project = project();
    let s3 = |words: &str| at(&project, &moto.url(), words);
    project.ok(&format!("{} --store a", run(&server, 0)));
    fine(s3("cache push s3://clinic/all --store a"));
    let cut: Vec<String> = ["all/artifacts", "all/blobs", "all/calls", "all/runs"]
        .iter()
        .filter_map(|prefix| {
            let names = moto.names(prefix);
            names.into_iter().find(|name| !name.ends_with(".idx"))
        })
        .filter(|name| !name.contains("blobs"))
        .collect();
    assert_eq!(cut.len(), 3);
    cut.iter().for_each(|name| moto.cut(name));
    let pulled = ran(s3("cache pull s3://clinic/all --store b"));
    assert_eq!(pulled.code, 1, "{}", pulled.stderr);
    for name in &cut {
        let told = format!("damaged: `s3://clinic/{name}` is damaged");
        assert!(pulled.stderr.contains(&told), "{told}\n{}", pulled.stderr);
    }
    assert_eq!(
        project.ok("cache verify --store b").stdout,
        "the cache is sound\n"
    );
    // The whole ones are kept where they are.
    assert_eq!(ran(s3("cache pull s3://clinic/all --store a")).code, 1);
    assert_eq!(
        project.ok("cache verify --store a").stdout,
        "the cache is sound\n"
    );
    // Who has it makes it whole.
    fine(s3("cache push s3://clinic/all --store a"));
    fine(s3("cache pull s3://clinic/all --store b"));
    let asked = server.count("/stats", "requests");
    project.ok(&format!("{} --store b", run(&server, 0)));
    assert_eq!(server.count("/stats", "requests"), asked);
}

/// Passes on so many bytes of what clients send; then the line is dead. Its address.
fn dying(to: u16, after: usize) -> String {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let left = Arc::new(AtomicUsize::new(after));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if left.load(Ordering::SeqCst) == 0 {
                return;
            }
            let server = TcpStream::connect(("127.0.0.1", to)).expect("connects");
            let (mut from, mut back) = (client.try_clone().expect("a copy"), client);
            let (mut into, mut answers) = (server.try_clone().expect("a copy"), server);
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let left = left.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 16 << 10];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    let before = left.load(Ordering::SeqCst);
                    left.store(before.saturating_sub(count), Ordering::SeqCst);
                    if before <= count || into.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = from.shutdown(std::net::Shutdown::Both);
                let _ = into.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

#[test]
fn a_large_output_goes_in_pieces_and_a_cut_line_leaves_no_half_of_it() {
    let Some(moto) = Moto::start() else { return };
    let project = project();
    // What cannot be made smaller: twenty megabytes.
    let mut bytes = vec![0; 20 << 20];
    let mut chance = blake3::Hasher::new();
    chance.update(b"a large output");
    chance.finalize_xof().fill(&mut bytes);
    let store = Store::open(project.path(".clue")).expect("a store");
    let mut writer = store.artifact_writer().expect("a writer");
    writer.write(&bytes).expect("written");
    let content: Hash = writer.finish().expect("written");
    drop(store);
    let path = format!(
        "all/artifacts/{}/{content}.jsonl.zst",
        &content.to_string()[..2]
    );

    let cut = ran(at(
        &project,
        &dying(moto.port, 12 << 20),
        "cache push s3://clinic/all",
    ));
    assert_eq!(cut.code, 1, "{}", cut.stderr);
    assert!(
        cut.stderr.contains("run it again to go on"),
        "{}",
        cut.stderr
    );
    assert!(!moto.names("all/artifacts").contains(&path));
    fine(at(&project, &moto.url(), "cache push s3://clinic/all"));
    assert!(moto.names("all/artifacts").contains(&path));
    fine(at(
        &project,
        &moto.url(),
        "cache pull s3://clinic/all --store b",
    ));
    let pulled = Store::open_read(project.path("b")).expect("a store");
    assert!(pulled.verify_artifact(content));
}
