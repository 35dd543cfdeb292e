//! SIGKILL of the gate at many points: its reaper leaves nothing, without any later command.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::docker::{image, left_of, root};
use crate::slot::{Alone, Slot};

/// After this long nothing may be left.
const LIMIT: Duration = Duration::from_secs(15);

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    Gate,
    ProcessGroup,
    ProcessTree,
    /// All processes of the gate's session, as when a job is cancelled.
    Session,
}

/// A gate in a session of its own, as a terminal or a runner starts it.
struct Gate {
    child: Child,
    events: BufReader<ChildStdout>,
    run: String,
    folder: tempfile::TempDir,
    _slot: Option<Slot>,
}

impl Gate {
    /// In a slot.
    fn start(more: &[&str]) -> Self {
        let slot = Slot::wait();
        Self {
            _slot: Some(slot),
            ..Self::start_beside(more)
        }
    }

    /// The caller holds a slot.
    fn start_beside(more: &[&str]) -> Self {
        image();
        let folder = tempfile::tempdir().unwrap();
        let mut child = gate(&folder.path().join("out"), more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            events,
            run: String::new(),
            folder,
            _slot: None,
        }
    }

    /// Reads events until `count` of them have been told; `false` where the run ended before.
    fn tells(&mut self, count: usize) -> bool {
        (0..count).all(|_| self.tells_one()) && (!self.run.is_empty() || self.tells(1))
    }

    fn tells_one(&mut self) -> bool {
        let mut line = String::new();
        let read = self.events.read_line(&mut line).unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(run) = event.get("run").and_then(|run| run.as_str()) {
            self.run = run.to_owned();
        }
        read > 0
    }

    fn kill(&mut self, whom: Killed) {
        let id = self.child.id();
        let victims = match whom {
            Killed::Gate => vec![format!("{id}")],
            Killed::ProcessGroup => vec![format!("-{id}")],
            Killed::ProcessTree => tree(id).iter().map(u32::to_string).collect(),
            Killed::Session => in_session(id).iter().map(u32::to_string).collect(),
        };
        let killed = Command::new("kill").args(["-9", "--"]).args(victims).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap();
    }

    /// How long it took until nothing was left of the run; panics after the limit.
    fn vanishes(&self, what: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let left = left_of(&self.run);
            if left.is_empty() && self.files().is_empty() {
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < LIMIT,
                "{what}: run {} left {left:?} {:?}",
                self.run,
                self.files()
            );
            // No event tells that nothing is left.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Temporary files: the lock, reports half written.
    fn files(&self) -> Vec<String> {
        let inside = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path().display().to_string());
            paths
                .filter(|path| path.ends_with(".part") || path.ends_with(".run"))
                .collect::<Vec<_>>()
        };
        let user = rustix::process::getuid().as_raw();
        let locks = std::env::temp_dir().join(format!("rehearsal-{user}"));
        let of_run = |path: &String| path.ends_with(".part") || path.contains(&self.run);
        [locks, self.folder.path().join("out")]
            .iter()
            .flat_map(|path| inside(path))
            .filter(of_run)
            .collect()
    }
}

fn gate(out: &Path, more: &[&str]) -> Command {
    // Not a leader of a group, it execs: the gate leads session and group, and has the child's id.
    let mut command = Command::new("setsid");
    command
        .arg(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["run", "--format", "json", "--config"])
        .arg(root().join("fixtures/small/rehearsal.yaml"));
    command
        .arg("--out")
        .arg(out)
        .args(more)
        .env("RUNNER_TRACKING_ID", "github_test");
    command
}

/// A process and all that descend from it, as a runner finds them.
fn tree(id: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let below = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .flat_map(tree);
    std::iter::once(id).chain(below).collect()
}

/// Every process of a session.
fn in_session(id: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|other| session_of(*other).is_some_and(|session| session == id.to_string()))
        .collect()
}

/// Kills a run after so many events and so much time; tells how long it took until nothing was left.
fn kill_after(events: usize, pause: Duration, whom: Killed) -> Option<(String, Duration)> {
    let mut gate = Gate::start(&[]);
    if !gate.tells(events) {
        return None;
    }
    std::thread::sleep(pause);
    gate.kill(whom);
    let took = gate.vanishes(&format!(
        "{whom:?} killed {} ms after event {events}",
        pause.as_millis()
    ));
    println!(
        "{whom:?} killed {:>3} ms after event {events:>2}: gone after {:.1} s",
        pause.as_millis(),
        took.as_secs_f64()
    );
    Some((gate.run, took))
}

/// What a call under way made after the first look is gone, too, when the reapers have ended.
fn stay_gone(runs: &[String]) {
    for run in runs {
        let begun = Instant::now();
        while reaper_of(run) {
            assert!(begun.elapsed() < 2 * LIMIT, "the reaper of {run} does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(left_of(run), Vec::<String>::new(), "run {run}");
    }
}

#[test]
fn a_killed_gate_leaves_nothing_wherever_it_was() {
    let points = [(3, 0), (3, 900), (6, 0), (9, 0), (17, 200), (24, 0)];
    let whom = [Killed::Gate, Killed::ProcessGroup, Killed::ProcessTree, Killed::Session]
        .into_iter()
        .cycle();
    let kill = |((events, pause), whom)| kill_after(events, Duration::from_millis(pause), whom);
    let runs: Vec<String> = points
        .into_iter()
        .zip(whom)
        .filter_map(kill)
        .map(|(run, _)| run)
        .collect();
    assert_eq!(runs.len(), points.len(), "a run ended before it was killed");
    stay_gone(&runs);
}

/// `make test-reaper`: 50 runs, 25 points.
#[test]
#[ignore = "takes a quarter of an hour: make test-reaper"]
fn fifty_killed_gates_leave_nothing() {
    let whom = [Killed::Gate, Killed::ProcessGroup, Killed::ProcessTree, Killed::Session]
        .into_iter()
        .cycle();
    let points = (0..50u32).map(|n| {
        (
            1 + (n as usize % 25) * 3 / 2,
            Duration::from_millis(u64::from(n) * 37 % 400),
        )
    });
    let killed = points
        .zip(whom)
        .filter_map(|((events, pause), whom)| kill_after(events, pause, whom));
    let (runs, times): (Vec<String>, Vec<Duration>) = killed.unzip();
    stay_gone(&runs);
    println!(
        "{} of 50 runs killed before their end; the slowest was gone after {:?}",
        times.len(),
        times.iter().max()
    );
    assert!(
        times.len() >= 45,
        "only {} runs were killed before their end",
        times.len()
    );
}

#[test]
fn a_killed_gate_keeps_no_mirror() {
    let mut gate = Gate::start(&["--keep"]);
    assert!(gate.tells(6));
    gate.kill(Killed::Gate);
    gate.vanishes("killed with --keep");
}

#[test]
fn a_kept_mirror_outlives_its_gate_and_has_no_reaper() {
    let _alone = Alone::wait();
    let mut gate = Gate::start_beside(&["--keep"]);
    while gate.tells(1) {}
    assert!(gate.child.wait().unwrap().success());
    let begun = Instant::now();
    while reaper_of(&gate.run) {
        assert!(begun.elapsed() < LIMIT, "the reaper is still there");
        std::thread::yield_now();
    }
    assert!(!left_of(&gate.run).is_empty());
    let down = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["down", "--run", &gate.run])
        .output()
        .unwrap();
    assert!(down.status.success(), "{down:?}");
    assert_eq!(left_of(&gate.run), Vec::<String>::new());
}

#[test]
fn a_run_that_ends_by_itself_ends_its_reaper() {
    let mut gate = Gate::start(&[]);
    assert!(gate.tells(3));
    assert!(reaper_of(&gate.run), "a run has no reaper");
    while gate.tells(1) {}
    assert!(gate.child.wait().unwrap().success());
    assert_eq!(left_of(&gate.run), Vec::<String>::new());
    let begun = Instant::now();
    while reaper_of(&gate.run) {
        assert!(begun.elapsed() < LIMIT, "the reaper is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_reaper_is_outside_the_gates_session_and_bears_no_runners_mark() {
    let mut gate = Gate::start(&[]);
    assert!(gate.tells(3));
    let reaper = processes_of(&gate.run)[0];
    let environment = std::fs::read(format!("/proc/{reaper}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("RUNNER_TRACKING_ID"));
    assert!(
        !tree(gate.child.id()).contains(&reaper),
        "the reaper descends from the gate"
    );
    assert_ne!(session(reaper), session(gate.child.id()));
    gate.kill(Killed::Gate);
    gate.vanishes("killed");
}

/// Field 6 of `/proc/PID/stat`; what stands before it is in brackets.
fn session(id: u32) -> String {
    session_of(id).unwrap()
}

fn session_of(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(3).map(str::to_owned)
}

/// A terminal that dies: its master ends, and the kernel hangs up whoever lives in it. The gate still reports.
#[test]
fn a_run_whose_terminal_is_killed_reports_and_leaves_nothing() {
    image();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let config = root().join("fixtures/small/rehearsal.yaml");
    let words = format!(
        "exec {} run --format json --config {} --out {}",
        env!("CARGO_BIN_EXE_rehearsal"),
        config.display(),
        out.display()
    );
    let slot = Slot::wait();
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--command", &words, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events = BufReader::new(child.stdout.take().unwrap());
    let mut gate = Gate {
        child,
        events,
        run: String::new(),
        folder,
        _slot: Some(slot),
    };
    assert!(gate.tells(9));
    gate.kill(Killed::Gate);
    gate.vanishes("its terminal was killed");
    let result = std::fs::read(out.join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(
        (&result["verdict"], &result["exit_code"]),
        (&"inconclusive".into(), &143.into())
    );
    stay_gone(&[gate.run]);
}

fn reaper_of(run: &str) -> bool {
    !processes_of(run).is_empty()
}

fn processes_of(run: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let words = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let reaps = |id: &u32| String::from_utf8_lossy(&words(id)).contains(&format!("reap\0{run}\0"));
    all.filter(reaps).collect()
}
