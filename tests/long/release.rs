//! `make test-release`: the archive and the wheel as a release has them, of the binary that cargo has built for the tests.
//! Served from this machine, they are installed in a Debian that has nothing, by this user's usual ways, and had by the
//! action in a workflow; each rehearses.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::driver;
use crate::in_workflow::{Base, Inputs, git, repository, seen_in};

const TAG: &str = "v0.1.0";

/// What the scripts of a release made, under its tag, and who serves it.
struct Release {
    folder: PathBuf,
    server: Child,
    url: String,
}

impl Drop for Release {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}

impl Release {
    fn made() -> Self {
        let folder = driver::folder("release");
        let built = Command::new(driver::root().join(".github/release/build.sh"))
            .arg(folder.join(TAG))
            .arg("dev")
            .stdin(Stdio::null())
            .status()
            .expect("the script can be started");
        assert!(built.success(), "build.sh: {built}");
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python is there");
        let mut line = String::new();
        BufReader::new(server.stdout.as_mut().expect("it is piped"))
            .read_line(&mut line)
            .expect("text");
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next());
        let url = format!("http://127.0.0.1:{}", port.expect("it says where it serves"));
        Self { folder, server, url }
    }

    /// The lines of the second commit, for the sources of a checkout.
    fn lines(&self, checkout: &Path) -> String {
        let told = Command::new(checkout.join(".github/release/checksums.sh"))
            .arg(self.folder.join(TAG))
            .arg(TAG)
            .output()
            .expect("the script can be started");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).expect("text")
    }
}

/// A container that sees this machine's network and engine, and of its files one world and what is said here.
fn in_bare_debian(release: &Release, script: &str) {
    let small = driver::root().join("fixtures/small");
    let socket = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let socket = socket
        .strip_prefix("unix://")
        .expect("an engine of this machine")
        .to_owned();
    let ended = Command::new("docker")
        .args([
            "run",
            "--rm",
            "--init",
            "--network=host",
            "--label=dev.rehearsal.fixture=release",
        ])
        .args(["--volume", &format!("{socket}:/var/run/docker.sock")])
        .args(["--volume", &format!("{}:/small:ro", small.display())])
        .args(["--env", &format!("FROM={}/{TAG}", release.url)])
        .args(["debian:bookworm-slim", "bash", "-euxc"])
        .arg(script)
        .output()
        .expect("docker is there");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(ended.status.success(), "{said}");
}

const INSTALL: &str =
    "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; apt-get install -qq -y --no-install-recommends";
const REHEARSE: &str = "cd /tmp; rehearsal --version; rehearsal run --quiet --config /small/rehearsal.yaml --out /tmp/out; \
                        grep -q '\"verdict\": \"pass\"' /tmp/out/result.json";

#[test]
fn the_archive_and_the_wheel_are_installed_where_nothing_is_and_the_action_has_the_archive() {
    let release = Release::made();
    let archive = "rehearsal-$(uname -m)-unknown-linux-gnu.tar.gz";
    in_bare_debian(
        &release,
        &format!(
            "{INSTALL} curl >/dev/null; cd /tmp; curl -fsSO \"$FROM/{archive}\"; curl -fsS \"$FROM/SHA256SUMS\" | \
             sha256sum --check --ignore-missing; tar -xzf {archive}; mv rehearsal /usr/local/bin; \
             test -s completions/rehearsal.bash; test -s man/rehearsal-run.1; {REHEARSE}"
        ),
    );
    in_bare_debian(
        &release,
        &format!(
            "{INSTALL} python3-pip >/dev/null; pip install --quiet --break-system-packages --root-user-action=ignore --no-index \
             --find-links \"$FROM/\" rehearsal-gate; {REHEARSE}"
        ),
    );
    the_action_has_it(&release);
}

/// The release as its two commits, in a repository with a workflow.
fn the_action_has_it(release: &Release) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = driver::root();
    repository(dir.path());
    for source in [
        ".cargo",
        ".github",
        "Cargo.lock",
        "Cargo.toml",
        "askama.toml",
        "benches",
        "src",
    ] {
        let copied = Command::new("cp")
            .arg("-R")
            .arg(root.join(source))
            .arg(dir.path())
            .status();
        assert!(copied.expect("cp is there").success(), "{source}");
    }
    let commit = || {
        git(dir.path(), &["add", "--all"]);
        git(dir.path(), &["commit", "--quiet", "--message=x"]);
    };
    // The workflows of the project itself are not what runs.
    for name in ["ci.yml", "nightly.yml", "release.yml"] {
        std::fs::remove_file(dir.path().join(".github/workflows").join(name)).expect("it was copied");
    }
    commit();
    let checksums = dir.path().join(".github/action/checksums");
    let lines = release.lines(dir.path());
    std::fs::write(&checksums, format!("# comment\n{lines}")).expect("the folder is ours");
    commit();
    assert_eq!(
        git(dir.path(), &["show", "--format=", "--name-only"]),
        ".github/action/checksums"
    );
    let config = root.join("fixtures/small/rehearsal.yaml");
    let inputs = Inputs {
        bin: Path::new(""),
        from: &release.url,
        seed: "7",
        config: config.to_str().expect("a path of ours"),
        candidate: "",
        engine: &std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned()),
        base: Base::Untold,
    };
    let trace = tempfile::tempdir().expect("a folder");
    let seen = seen_in(dir.path(), "pull_request", &inputs, trace.path());
    assert_eq!(seen.outcome, "success", "{}", seen.log);
    assert_eq!(seen.output("verdict"), "pass");
    assert!(
        seen.log.contains(&format!("Rehearsal is from {}", release.url)),
        "{}",
        seen.log
    );
    assert!(!seen.log.contains("Build Rehearsal"), "{}", seen.log);
}
