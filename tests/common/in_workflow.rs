//! A real workflow that uses the action, run by `act` on this machine, and what its job saw.

use std::path::Path;
use std::process::{Command, Output};

use crate::consumers;
use serde_json::{Value, json};

/// What a job saw of the action.
pub struct Seen {
    pub outcome: String,
    pub environment: String,
    pub base: String,
    pub log: String,
    pub job_passed: bool,
    outputs: Value,
}

impl Seen {
    /// One output.
    pub fn output(&self, name: &str) -> &str {
        self.outputs[name]
            .as_str()
            .unwrap_or_else(|| panic!("no output `{name}` in {}\n{}", self.outputs, self.log))
    }

    /// The step and the job failed, with this verdict and exit code.
    pub fn is_shut(&self, verdict: &str, exit_code: &str) {
        assert_eq!(self.outcome, "failure", "{}", self.log);
        assert!(!self.job_passed, "{}", self.log);
        assert_eq!(
            (self.output("verdict"), self.output("exit-code")),
            (verdict, exit_code),
            "{}",
            self.log
        );
    }
}

/// A repository with the action and a workflow that uses it.
pub fn repository(dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        ("action.yml", "action.yml"),
        (".github/action/run.sh", ".github/action/run.sh"),
        (".github/action/sources.sh", ".github/action/sources.sh"),
        (".github/action/checksums", ".github/action/checksums"),
        ("Cargo.toml", "Cargo.toml"),
        ("tests/action/workflow.yml", ".github/workflows/test.yml"),
        ("tests/action/stub.sh", "stub.sh"),
    ];
    for (from, to) in files {
        let to = dir.join(to);
        std::fs::create_dir_all(to.parent().expect("in a folder")).expect("the folder is ours");
        std::fs::copy(root.join(from), to).expect("the file is there");
    }
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["commit", "--quiet", "--message=x"],
    ] {
        git(dir, arguments);
    }
}

/// What happened, as GitHub tells it.
fn event_file(dir: &Path, base: Base) {
    let base = match base {
        Base::Untold => json!(null),
        Base::Told => json!(git(dir, &["rev-parse", "HEAD"])),
    };
    let event = json!({
        "pull_request": {"number": 1, "head": {"ref": "change"}, "base": {"ref": "main", "sha": base}},
        "merge_group": {"head_ref": "queue/main/pr-1", "base_ref": "main", "base_sha": base},
    });
    std::fs::write(dir.join("event.json"), event.to_string()).expect("the folder is ours");
}

/// Runs git as somebody whose own configuration plays no part; what it says.
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let as_somebody = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "protocol.file.allow=always",
    ];
    let done = Command::new("git")
        .args(as_somebody)
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Whether the event tells the base's commit.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "each of the two binaries uses one")]
pub enum Base {
    /// As of an event that has no base.
    Untold,
    /// The repository's only commit.
    Told,
}

/// What the workflow gives to the action.
pub struct Inputs<'a> {
    /// Empty = none is given.
    pub bin: &'a Path,
    /// Where releases are downloaded from; empty = from where they are published.
    pub from: &'a str,
    pub seed: &'a str,
    pub config: &'a str,
    pub candidate: &'a str,
    pub engine: &'a str,
    pub base: Base,
}

fn act(dir: &Path, trace: &Path, event: &str, inputs: &Inputs) -> Output {
    let pairs = [
        format!("SEED={}", inputs.seed),
        format!("CONFIG={}", inputs.config),
        format!("CANDIDATE={}", inputs.candidate),
        format!("BIN={}", inputs.bin.display()),
        format!("FROM={}", inputs.from),
        format!("DOCKER_HOST={}", inputs.engine),
        format!("REHEARSAL_TRACE={}", trace.display()),
    ];
    let mut command = Command::new(consumers::venv().join("bin/act"));
    command.args([
        event,
        "--platform",
        "ubuntu-latest=-self-hosted",
        "--pull=false",
        "--eventpath",
        "event.json",
    ]);
    command.args(pairs.iter().flat_map(|pair| ["--env", pair]));
    // No settings and no cache of the machine, and no engine for act itself: the job runs on the host.
    let home = trace.join("home");
    command
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_CONFIG_HOME", home.join("config"));
    command
        .env("DOCKER_HOST", "unix:///nowhere")
        .current_dir(dir)
        .output()
        .expect("act is there")
}

/// What a workflow for this event sees of the action.
pub fn seen(event: &str, inputs: &Inputs, trace: &Path) -> Seen {
    let dir = tempfile::tempdir().expect("a folder");
    repository(dir.path());
    seen_in(dir.path(), event, inputs, trace)
}

/// The same in a repository that is there.
pub fn seen_in(dir: &Path, event: &str, inputs: &Inputs, trace: &Path) -> Seen {
    event_file(dir, inputs.base);
    let done = act(dir, trace, event, inputs);
    let log = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    let read = |name: &str| {
        std::fs::read_to_string(trace.join(name)).unwrap_or_else(|error| panic!("no {name}: {error}\n{log}"))
    };
    Seen {
        outcome: read("outcome"),
        outputs: serde_json::from_str(&read("outputs.json")).expect("outputs are JSON"),
        environment: std::fs::read_to_string(trace.join("environment")).unwrap_or_default(),
        base: git(dir, &["rev-parse", "HEAD"]),
        job_passed: done.status.success(),
        log,
    }
}
