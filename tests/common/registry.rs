//! A real registry for tests of pulls, images in it, and an ear on the wire between it and the engine.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::driver;

/// A registry of one test. Dropping it ends it, and takes what the engine has of it.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// `USER:PASSWORD`, where it wants one.
    login: Option<String>,
    folder: PathBuf,
}

impl Registry {
    /// One that serves everybody.
    pub fn open(folder: &Path) -> Self {
        Self::start(folder, None)
    }

    /// One that serves who knows `USER:PASSWORD`.
    pub fn closed(folder: &Path, login: &str) -> Self {
        Self::start(folder, Some(login))
    }

    fn start(folder: &Path, login: Option<&str>) -> Self {
        let mut child = Command::new(driver::root().join("fixtures/registry.sh"))
            .arg(folder.join("registry"))
            .args(login)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script can be started");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            let read = log.read_line(&mut line).expect("text");
            assert!(read > 0, "the registry did not come up:\n{said}");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split('"').next().expect("an address").to_owned();
            }
            said.push_str(&line);
        };
        // It blocks when nobody reads on.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            child,
            address,
            login: login.map(str::to_owned),
            folder: folder.to_owned(),
        }
    }

    /// Pushes a small image of its own under this name and takes it from the engine again: its digest.
    pub fn push(&self, name: &str) -> String {
        let reference = format!("{}/{name}", self.address);
        self.make(&reference);
        let said = self.docker(&["push", &reference]);
        self.docker(&["rmi", &reference]);
        let (_, digest) = said.split_once("digest: ").expect("a push ends in a digest");
        digest.split_whitespace().next().expect("a digest").to_owned()
    }

    /// Deletes what has a digest, whatever tags point to it.
    pub fn delete(&self, repository: &str, digest: &str) {
        let mut wire = TcpStream::connect(&self.address).expect("it listens");
        write!(
            wire,
            "DELETE /v2/{repository}/manifests/{digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )
        .expect("it reads");
        let mut answer = String::new();
        wire.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }

    /// Makes a small image on the engine that no other test has, under this reference.
    pub fn make(&self, reference: &str) {
        busybox();
        let recipe = format!(
            "FROM rehearsal-test/busybox:1\nLABEL made.for={} made.as={reference}\n",
            self.address
        );
        let mut build = Command::new("docker")
            .args(["build", "--quiet", "--tag", reference, "-"])
            .env("DOCKER_BUILDKIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker is there");
        let mut stdin = build.stdin.take().expect("it is piped");
        stdin.write_all(recipe.as_bytes()).expect("it reads");
        drop(stdin);
        assert!(build.wait().expect("our child").success(), "{reference}");
    }

    /// The engine's client, logged in here and nowhere else.
    pub fn docker(&self, words: &[&str]) -> String {
        let config = self.config("client", self.login.as_deref());
        let output = Command::new("docker")
            .arg("--config")
            .arg(&config)
            .args(words)
            .output()
            .expect("docker is there");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {words:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A folder for `DOCKER_CONFIG` with this login for this registry.
    pub fn config(&self, name: &str, login: Option<&str>) -> PathBuf {
        config_for(&self.folder.join(name), &self.address, login)
    }
}

/// A folder for `DOCKER_CONFIG` with one login.
pub fn config_for(folder: &Path, address: &str, login: Option<&str>) -> PathBuf {
    use base64::Engine as _;
    let encoded = login.map(|login| base64::engine::general_purpose::STANDARD.encode(login));
    let auths = encoded.map_or_else(
        || serde_json::json!({}),
        |auth| serde_json::json!({address: {"auth": auth}}),
    );
    std::fs::create_dir_all(folder).expect("the folder is ours");
    std::fs::write(
        folder.join("config.json"),
        serde_json::json!({"auths": auths}).to_string(),
    )
    .expect("the folder is ours");
    folder.to_owned()
}

/// The image that all others are made from.
fn busybox() {
    let made = Command::new("sh")
        .arg(driver::root().join("fixtures/busybox.sh"))
        .status()
        .expect("sh is there");
    assert!(made.success(), "fixtures/busybox.sh failed");
}

/// Takes everything from the engine that is named after an address.
pub fn forget(address: &str) {
    let listed = Command::new("docker")
        .args([
            "images",
            "--digests",
            "--format",
            "{{.Repository}} {{.Tag}} {{.Digest}}",
        ])
        .output()
        .expect("docker is there");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for line in listed.lines().filter(|line| line.starts_with(address)) {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, tag, digest] = words[..] else { continue };
        for reference in [format!("{name}:{tag}"), format!("{name}@{digest}")] {
            if !reference.ends_with("<none>") {
                // The second of two names of one image goes with the first.
                let _gone = Command::new("docker").args(["rmi", &reference]).output();
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
        forget(&self.address);
    }
}

/// What an ear answers itself; `None` = the registry answers.
pub type Rule = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Stands before a registry, writes down every request, and may answer some. Dropping it takes what the engine has
/// of it.
pub struct Ear {
    /// `127.0.0.1:PORT`.
    pub address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    /// Before a registry.
    pub fn before(registry: &Registry, rule: Rule) -> Self {
        Self::listen(Some(registry.address.clone()), rule)
    }

    /// Before nothing: the rule answers everything.
    pub fn alone(rule: Rule) -> Self {
        Self::listen(None, rule)
    }

    fn listen(upstream: Option<String>, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (writes, rule) = (heard.clone(), Arc::new(rule));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (writes, rule, upstream) = (writes.clone(), rule.clone(), upstream.clone());
                // A connection that breaks off is the engine's business.
                std::thread::spawn(move || pass(client, upstream.as_deref(), &writes, &*rule).ok());
            }
        });
        Self { address, heard }
    }

    /// `METHOD PATH` of each request so far, in order; what asks for blobs left out.
    pub fn manifests(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("no thread panicked");
        heard
            .iter()
            .filter(|line| line.contains("/manifests/"))
            .cloned()
            .collect()
    }

    /// How many repositories were asked for at most before an image's own blob was: each of them is a pull under way.
    pub fn most_at_once(&self) -> usize {
        let heard = self.heard.lock().expect("no thread panicked");
        let (mut under_way, mut most) = (BTreeSet::new(), 0);
        for line in heard.iter() {
            let path = line.split_once("/v2/").map_or("", |(_, path)| path);
            if let Some((repository, _)) = path.split_once("/manifests/") {
                under_way.insert(repository.to_owned());
            } else if let Some((repository, _)) = path.split_once("/blobs/") {
                under_way.remove(repository);
            }
            most = most.max(under_way.len());
        }
        most
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        forget(&self.address);
    }
}

/// One request on one connection.
fn pass(
    mut client: TcpStream,
    upstream: Option<&str>,
    heard: &Mutex<Vec<String>>,
    rule: &(dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync),
) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        // The engine tries TLS first: what does not begin like a request is hung up on.
        if client.read(&mut byte)? == 0 || (head.is_empty() && !byte[0].is_ascii_uppercase()) {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let line = format!("{} {}", words.next().unwrap_or(""), words.next().unwrap_or(""));
    heard.lock().expect("no thread panicked").push(line.clone());
    if let Some(answer) = rule(&line) {
        return client.write_all(&answer);
    }
    let Some(upstream) = upstream else { return Ok(()) };
    let mut server = TcpStream::connect(upstream)?;
    let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    write!(server, "{first}\r\nConnection: close\r\n{rest}")?;
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// An answer as a registry gives it.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Holds everybody who comes until so many are there.
pub struct Gate {
    here: Mutex<BTreeSet<String>>,
    come: Condvar,
    wanted: usize,
}

impl Gate {
    /// For so many different ones.
    pub fn of(wanted: usize) -> Arc<Self> {
        Arc::new(Self {
            here: Mutex::default(),
            come: Condvar::new(),
            wanted,
        })
    }

    /// Comes, and waits for the others; whether they came.
    pub fn wait(&self, who: &str) -> bool {
        let mut here = self.here.lock().expect("no thread panicked");
        here.insert(who.to_owned());
        self.come.notify_all();
        let limit = Duration::from_secs(30);
        let (here, _) = self
            .come
            .wait_timeout_while(here, limit, |here| here.len() < self.wanted)
            .expect("no thread panicked");
        here.len() >= self.wanted
    }
}
