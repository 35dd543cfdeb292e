//! Drives the real binary on a real engine, in a scrubbed environment: what a test sees is what a user would.

use crate::miscounted::but_miscounted;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::signals::hears_signals;
use crate::slot::Slot;
use serde_json::Value;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The configuration of a world of the incident.
pub fn world(name: &str) -> PathBuf {
    root().join("fixtures/incident").join(name).with_extension("yaml")
}

/// An empty folder that stays for whoever looks into a failure.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => std::fs::create_dir_all(&folder).expect("the folder is ours"),
    }
    folder
}

/// The binary, with nothing of the environment but the engine's address and where programs are.
pub fn rehearsal(arguments: &[&str]) -> Command {
    let mut command = hears_signals(env!("CARGO_BIN_EXE_rehearsal"));
    command
        .args(arguments)
        .current_dir(root())
        .env_clear()
        .stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR", "DOCKER_HOST"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The same, with an engine that nobody can reach.
pub fn without_engine(arguments: &[&str]) -> Command {
    let mut command = rehearsal(arguments);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command
}

/// `run` for a configuration; the reports go to `out`.
pub fn run(config: &Path, out: &Path) -> Command {
    let (config, out) = (
        config.to_str().expect("a path of ours"),
        out.to_str().expect("a path of ours"),
    );
    rehearsal(&["run", "--config", config, "--out", out])
}

/// What a command ended with.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
pub fn end(mut command: Command) -> Ended {
    let output = command.output().expect("the command can be started");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A finished run with its folder.
#[derive(Debug)]
pub struct Rehearsed {
    /// What the process ended with.
    pub ended: Ended,
    /// Where its reports are.
    pub out: PathBuf,
}

impl Rehearsed {
    /// A world of a folder below `fixtures`.
    pub fn world(folder: &str, world: &str) -> Self {
        let out = self::folder(&format!("{folder}/{world}"));
        let file = root().join("fixtures").join(folder).join(world).with_extension("yaml");
        Self::of(run(&file, &out), &out)
    }

    /// Runs to the end, in a slot.
    pub fn of(command: Command, out: &Path) -> Self {
        let _slot = Slot::wait();
        Self::beside(command, out)
    }

    /// Runs to the end; the caller holds a slot.
    pub fn beside(command: Command, out: &Path) -> Self {
        Self {
            ended: end(command),
            out: out.to_owned(),
        }
    }

    /// A file of the folder.
    pub fn read(&self, name: &str) -> String {
        let file = self.out.join(name);
        let bytes =
            std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}\n{}", file.display(), self.ended.stderr));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// `result.json`.
    pub fn result(&self) -> Value {
        serde_json::from_str(&self.read("result.json")).expect("result.json is JSON")
    }

    /// Id of the run, as on every object of the engine.
    pub fn id(&self) -> String {
        id(&events(&self.out)).expect("events.jsonl names the run")
    }

    /// Checks that have a finding.
    pub fn findings(&self) -> Vec<String> {
        let result = self.result();
        let findings = result["findings"].as_array().expect("a list");
        findings
            .iter()
            .map(|finding| finding["check"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// The events so far; a line that is still being written is left out.
pub fn events(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event is one line of JSON"))
        .collect()
}

/// The run's id, once it is told.
pub fn id(events: &[Value]) -> Option<String> {
    events.iter().find_map(|event| event["run"].as_str().map(str::to_owned))
}

/// Everything on the engine that bears the label of a run, or a name of its own.
pub fn on_the_engine(run: &str) -> Vec<String> {
    let label = format!("label=dev.rehearsal.run={run}");
    let lists: [&[&str]; 5] = [
        &["ps", "--all", "--format", "container {{.Names}}", "--filter", &label],
        &[
            "ps",
            "--all",
            "--format",
            "container {{.Names}}",
            "--filter",
            &format!("name=rehearsal-{run}"),
        ],
        &["network", "ls", "--format", "network {{.Name}}", "--filter", &label],
        &["volume", "ls", "--format", "volume {{.Name}}", "--filter", &label],
        &["image", "ls", "--format", "image {{.Repository}}", "--filter", &label],
    ];
    let mut found: Vec<String> = lists.iter().flat_map(|list| docker(list)).collect();
    found.dedup();
    found
}

/// What a run that has ended left there, but for what the engine keeps by its own mistake.
pub fn left_behind(run: &str) -> Vec<String> {
    but_miscounted(on_the_engine(run))
}

/// Waits until nothing of a run is on the engine; what is still there when the time is over.
pub fn left_after(run: &str, limit: Duration) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let left = on_the_engine(run);
        if left.is_empty() || begun.elapsed() >= limit {
            return but_miscounted(left);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Lines that `docker` prints.
fn docker(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A run at work. Dropping it kills it.
pub struct Running {
    child: Child,
    out: PathBuf,
    slot: Option<Slot>,
}

impl Running {
    /// Starts a run, in a slot.
    pub fn start(command: Command, out: &Path) -> Self {
        let slot = Slot::wait();
        let mut running = Self::start_beside(command, out);
        running.slot = Some(slot);
        running
    }

    /// Starts a run; the caller holds a slot.
    pub fn start_beside(mut command: Command, out: &Path) -> Self {
        let log = File::create(out.join("stderr.txt")).expect("the folder is ours");
        let child = command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary can be started");
        Self {
            child,
            out: out.to_owned(),
            slot: None,
        }
    }

    /// Waits until the events say what is wanted; how the run ended where it did before.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let over = self.child.try_wait().expect("it is our child").is_some();
            let events = events(&self.out);
            if events.iter().any(&wanted) {
                return events;
            }
            assert!(!over, "the run ended before that moment: {:?}", events.last());
            assert!(
                begun.elapsed() < Duration::from_mins(15),
                "that moment never came: {:?}",
                events.last()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for the end.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
