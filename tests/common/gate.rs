//! A gate that is killed, and what is left of it then: for the tests of the reaper.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::docker::{image, left_behind, left_of, root};
use crate::signals::hears_signals;
use crate::slot::Slot;

/// After this long nothing may be left.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Who is killed.
#[derive(Debug, Clone, Copy)]
pub enum Killed {
    /// The gate alone.
    Gate,
    /// All that it leads.
    ProcessGroup,
    /// All that descend from it.
    ProcessTree,
    /// All processes of the gate's session, as when a job is cancelled.
    Session,
}

impl Killed {
    /// Each in its turn, without end.
    pub fn in_turn() -> impl Iterator<Item = Self> {
        [Self::Gate, Self::ProcessGroup, Self::ProcessTree, Self::Session]
            .into_iter()
            .cycle()
    }
}

/// A gate in a session of its own, as a terminal or a runner starts it.
pub struct Gate {
    pub child: Child,
    events: BufReader<ChildStdout>,
    pub run: String,
    folder: tempfile::TempDir,
    _slot: Option<Slot>,
}

impl Gate {
    /// In a slot.
    pub fn start(more: &[&str]) -> Self {
        let slot = Slot::wait();
        Self {
            _slot: Some(slot),
            ..Self::start_beside(more)
        }
    }

    /// The caller holds a slot.
    pub fn start_beside(more: &[&str]) -> Self {
        image();
        let folder = tempfile::tempdir().unwrap();
        let child = gate(&folder.path().join("out"), more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self::of(child, folder)
    }

    /// A run that has been started, with its events on its standard output. The caller holds a slot.
    pub fn of(mut child: Child, folder: tempfile::TempDir) -> Self {
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
    pub fn tells(&mut self, count: usize) -> bool {
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

    pub fn kill(&mut self, whom: Killed) {
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
    pub fn vanishes(&self, what: &str) -> Duration {
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
    let mut command = hears_signals("setsid");
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
pub fn tree(id: u32) -> Vec<u32> {
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
pub fn kill_after(events: usize, pause: Duration, whom: Killed) -> Option<(String, Duration)> {
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
pub fn stay_gone(runs: &[String]) {
    for run in runs {
        let begun = Instant::now();
        while reaper_of(run) {
            assert!(begun.elapsed() < 2 * LIMIT, "the reaper of {run} does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(left_behind(run), Vec::<String>::new(), "run {run}");
    }
}

/// Its session: field 6 of `/proc/PID/stat`; what stands before it is in brackets.
pub fn session_of(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(3).map(str::to_owned)
}

/// Whether a run has a reaper.
pub fn reaper_of(run: &str) -> bool {
    !processes_of(run).is_empty()
}

/// The processes that reap a run.
pub fn processes_of(run: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let words = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let reaps = |id: &u32| String::from_utf8_lossy(&words(id)).contains(&format!("reap\0{run}\0"));
    all.filter(reaps).collect()
}
