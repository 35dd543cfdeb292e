//! The binary that the action downloads: only the archive that was released of the action's own sources is ever run,
//! whoever serves it and whatever lies in the runner's cache. Everything else is built, and said.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::action::{cargo, forged, last, program, script, stub};
use sha2::Digest as _;

/// Where a release's archive lies below the place that releases are downloaded from.
const PLACE: &str = "v0.0.0/rehearsal.tar.gz";

/// A checkout of the action with sources of its own, and a job that uses it.
struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let job = Self { dir };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["run.sh", "sources.sh"] {
            let text = std::fs::read_to_string(root.join(".github/action").join(name)).expect("it is there");
            job.write(&format!(".github/action/{name}"), &text);
        }
        for name in [
            ".cargo/config.toml",
            ".github/examples/rehearsal.yml",
            "Cargo.lock",
            "Cargo.toml",
            "askama.toml",
            "benches/mirror.rs",
            "src/main.rs",
        ] {
            job.write(name, name);
        }
        job.lines("");
        job
    }

    fn action(&self) -> PathBuf {
        self.dir.path().join("action")
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.action().join(name);
        std::fs::create_dir_all(file.parent().expect("in a folder")).expect("the folder is ours");
        std::fs::write(file, text).expect("the folder is ours");
    }

    /// What the file of checksums says.
    fn lines(&self, lines: &str) {
        self.write(".github/action/checksums", &format!("# comment\n{lines}"));
    }

    fn sources(&self) -> String {
        let told = Command::new("bash")
            .arg(self.action().join(".github/action/sources.sh"))
            .arg(self.action())
            .output()
            .expect("bash is there");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    /// The second commit of a release: the archive of these sources.
    fn release(&self, archive: &[u8]) {
        self.lines(&self.line(archive, PLACE));
    }

    fn line(&self, archive: &[u8], place: &str) -> String {
        let arch = std::env::consts::ARCH;
        format!(
            "{} {arch}-unknown-linux-gnu {} {place}\n",
            self.sources(),
            digest(archive)
        )
    }

    /// The archive of a program.
    fn archive(&self, text: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        program(folder.path(), "rehearsal", text);
        let packed = Command::new("tar")
            .args(["-czf", "-", "-C"])
            .arg(folder.path())
            .arg("rehearsal")
            .output()
            .expect("tar is there");
        packed.stdout
    }

    /// The archive of the stand-in, which passes.
    fn genuine(&self) -> Vec<u8> {
        self.archive(&std::fs::read_to_string(stub()).expect("it is there"))
    }

    fn run(&self, from: &str, tools: Tools) -> Output {
        self.run_with(from, tools, &[])
    }

    /// With variables that an earlier step has set.
    fn run_with(&self, from: &str, tools: Tools, variables: &[(&str, &str)]) -> Output {
        let (dir, bin) = (self.dir.path(), self.dir.path().join("bin"));
        std::fs::create_dir_all(&bin).expect("the folder is ours");
        program(&bin, "rehearsal", &forged());
        match tools {
            Tools::Cargo => drop(program(&bin, "cargo", &cargo())),
            Tools::None => drop(std::fs::remove_file(bin.join("cargo"))),
        }
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut command = script(dir, &path, Path::new(""), 2);
        command
            .env("GITHUB_ACTION_PATH", self.action())
            .env("INPUT_DOWNLOAD_FROM", from);
        command.env("RUNNER_TOOL_CACHE", dir.join("cache"));
        command.envs(variables.iter().copied());
        let ended = command.output().expect("bash is there");
        assert!(!dir.join("forged").exists(), "{}", said(&ended));
        ended
    }

    fn cached(&self, archive: &[u8]) -> PathBuf {
        let name = format!("{}.tar.gz", digest(archive));
        self.dir.path().join("cache/rehearsal").join(name)
    }

    /// Nothing is run that was not released: without cargo the gate is shut, with cargo the sources are built; each
    /// time `words` say why.
    fn builds(&self, from: &str, words: &str) {
        let shut = self.run(from, Tools::None);
        assert_eq!(shut.status.code(), Some(2), "{words}: {}", said(&shut));
        let output = self.dir.path().join("output");
        let cause = last(&output, "cause");
        assert_eq!(last(&output, "verdict"), "inconclusive");
        assert!(cause.contains(words) && cause.contains("install Rust"), "{cause}");
        let built = self.run(from, Tools::Cargo);
        assert_eq!(built.status.code(), Some(0), "{words}: {}", said(&built));
        assert!(said(&built).contains(words), "{}", said(&built));
        assert!(
            said(&built).contains("built from the action's sources"),
            "{}",
            said(&built)
        );
    }
}

/// What the runner has beside what every runner has.
enum Tools {
    None,
    Cargo,
}

fn digest(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn said(ended: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    )
}

/// Answers every request with the same bytes, as long as it is there.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn of(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}/releases", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                respond(stream, &answer);
            }
        });
        Self { url, asked }
    }

    /// A file, as it is.
    fn file(bytes: &[u8]) -> Self {
        Self::of(http("200 OK", bytes.len(), bytes))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn http(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn respond(mut stream: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    assert!(text.starts_with(&format!("GET /releases/{PLACE} ")), "{text}");
    // Whoever has enough goes.
    let _gone = stream.write_all(answer);
}

#[test]
fn the_binary_that_was_released_of_these_sources_is_downloaded_and_kept_for_the_next_job() {
    let job = Job::new();
    let archive = job.genuine();
    job.release(&archive);
    let server = Server::file(&archive);
    let first = job.run(&server.url, Tools::None);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    assert!(said(&first).contains(&server.url) && said(&first).contains(&digest(&archive)));
    assert_eq!(last(&job.dir.path().join("output"), "verdict"), "pass");
    let again = job.run(&server.url, Tools::None);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(said(&again).contains("of the runner's cache"), "{}", said(&again));
    assert_eq!(server.asked(), 1);
}

#[test]
fn what_an_earlier_step_wants_of_tar_and_gzip_exchanges_nothing() {
    let job = Job::new();
    let archive = job.genuine();
    job.release(&archive);
    let server = Server::file(&archive);
    let elsewhere = job.dir.path().join("elsewhere");
    let program = format!("--to-command=cat >{}", elsewhere.display());
    let ended = job.run_with(
        &server.url,
        Tools::None,
        &[("TAR_OPTIONS", &program), ("GZIP", "--test")],
    );
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert!(!elsewhere.exists());
}

#[test]
fn what_was_exchanged_in_the_cache_is_not_run_and_is_had_again() {
    let job = Job::new();
    let archive = job.genuine();
    job.release(&archive);
    let kept = job.cached(&archive);
    std::fs::create_dir_all(kept.parent().expect("in a folder")).expect("the folder is ours");
    std::fs::write(&kept, job.archive(&forged())).expect("the folder is ours");
    let server = Server::file(&archive);
    let ended = job.run(&server.url, Tools::None);
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert_eq!(server.asked(), 1);
    assert!(std::fs::read(&kept).expect("it is kept") == archive);
}

#[test]
fn an_archive_that_is_not_the_released_one_is_never_run() {
    let job = Job::new();
    let archive = job.genuine();
    job.release(&archive);
    let forged = job.archive(&forged());
    let half = &archive[..archive.len() / 2];
    let page = b"<html><body>Log in to go on</body></html>";
    for (answer, words) in [
        (http("200 OK", forged.len(), &forged), "is not what was released"),
        (http("200 OK", half.len(), half), "is not what was released"),
        (http("200 OK", page.len(), page), "is not what was released"),
        (http("200 OK", archive.len(), half), "cannot be downloaded"),
        (http("404 Not Found", page.len(), page), "cannot be downloaded"),
        (http("200 OK", 300_000_000, page), "cannot be downloaded"),
    ] {
        let server = Server::of(answer);
        job.builds(&server.url, words);
        assert!(server.asked() >= 2);
    }
    assert!(!job.cached(&archive).exists());
}

#[test]
fn what_was_tampered_with_is_an_annotation_and_what_cannot_be_had_is_a_line() {
    let job = Job::new();
    job.release(&job.genuine());
    let tampered = Server::file(&job.archive(&forged()));
    let annotated = said(&job.run(&tampered.url, Tools::Cargo));
    assert!(
        annotated.contains("::warning title=Rehearsal::") && annotated.contains("it was not run"),
        "{annotated}"
    );
    let offline = said(&job.run("http://127.0.0.1:1/releases", Tools::Cargo));
    assert!(!offline.contains("::warning"), "{offline}");
}

#[test]
fn a_runner_without_a_way_out_builds() {
    let job = Job::new();
    job.release(&job.genuine());
    job.builds("http://127.0.0.1:1/releases", "cannot be downloaded");
}

#[test]
fn sources_that_were_never_released_are_built() {
    let job = Job::new();
    let archive = job.genuine();
    job.release(&archive);
    let server = Server::file(&archive);
    job.write("src/main.rs", "changed after the release");
    job.builds(&server.url, "no release was made of these sources");
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_file_of_checksums_that_says_two_things_or_leads_elsewhere_is_not_believed() {
    let job = Job::new();
    let archive = job.genuine();
    let server = Server::file(&archive);
    let twice = format!(
        "{}{}",
        job.line(&archive, PLACE),
        job.line(&job.archive(&forged()), PLACE)
    );
    for (lines, words) in [
        (twice, "several releases"),
        (job.line(&archive, "v1/../../other"), "outside of the releases"),
        (job.line(&archive, "$(touch forged)"), "no release was made"),
        (job.line(&archive, PLACE).to_uppercase(), "no release was made"),
    ] {
        job.lines(&lines);
        job.builds(&server.url, words);
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn every_source_counts_and_the_file_of_checksums_is_none() {
    let job = Job::new();
    let sources = job.sources();
    job.lines("another line\n");
    assert_eq!(job.sources(), sources);
    let mut seen = vec![sources];
    for name in [
        "src/new.rs",
        "benches/mirror.rs",
        ".cargo/config.toml",
        "Cargo.lock",
        ".github/examples/new.yml",
    ] {
        job.write(name, "changed");
        let changed = job.sources();
        assert!(!seen.contains(&changed), "{name} is no source");
        seen.push(changed);
    }
    std::fs::rename(job.action().join("src/new.rs"), job.action().join("src/other.rs")).expect("the folder is ours");
    assert!(!seen.contains(&job.sources()), "a name is part of the sources");
}

#[test]
fn sources_that_lead_elsewhere_have_no_digest() {
    let job = Job::new();
    job.release(&job.genuine());
    std::os::unix::fs::symlink("/etc/hostname", job.action().join("src/link.rs")).expect("the folder is ours");
    job.builds("http://127.0.0.1:1", "neither a file nor a folder");
}

/// What the compiler reads beside the crate's own folder is listed in sources.sh.
#[test]
fn what_the_binary_is_built_from_is_all_among_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(root.join(".github/action/sources.sh")).expect("it is there");
    let listed = script
        .lines()
        .find_map(|line| line.strip_prefix("sources=("))
        .expect("a list");
    let listed: Vec<&str> = listed.trim_end_matches(')').split(' ').collect();
    let mut files = vec![root.join("src")];
    let mut outside = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)
                    .expect("readable")
                    .map(|entry| entry.expect("readable").path()),
            );
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        // What only tests read comes after these words.
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        if path.ends_with("attest/samples.rs") {
            continue;
        }
        for included in shipped
            .split("include_str!(\"")
            .chain(shipped.split("include_bytes!(\""))
            .skip(1)
        {
            let name = included.split('"').next().unwrap_or_default();
            let file = path.parent().expect("in a folder").join(name);
            if let Ok(file) = file.canonicalize() {
                outside.push(file);
            }
        }
    }
    assert!(outside.len() > 3, "{outside:?}");
    for file in outside {
        let name = file.strip_prefix(root).expect("of the repository");
        assert!(
            listed.iter().any(|source| name.starts_with(source)),
            "{} is no source",
            name.display()
        );
    }
}
