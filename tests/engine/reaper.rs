//! SIGKILL of the gate at many points: its reaper leaves nothing, without any later command.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::docker::{image, left_behind, left_of, root};
use crate::gate::{Gate, Killed, LIMIT, kill_after, processes_of, reaper_of, session_of, stay_gone, tree};
use crate::signals::hears_signals;
use crate::slot::{Alone, Slot};

#[test]
fn a_killed_gate_leaves_nothing_wherever_it_was() {
    let points = [(3, 0), (3, 900), (6, 0), (9, 0), (17, 200), (24, 0)];
    let kill = |((events, pause), whom)| kill_after(events, Duration::from_millis(pause), whom);
    let runs: Vec<String> = points
        .into_iter()
        .zip(Killed::in_turn())
        .filter_map(kill)
        .map(|(run, _)| run)
        .collect();
    assert_eq!(runs.len(), points.len(), "a run ended before it was killed");
    stay_gone(&runs);
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
    assert_eq!(left_behind(&gate.run), Vec::<String>::new());
}

#[test]
fn a_run_that_ends_by_itself_ends_its_reaper() {
    let mut gate = Gate::start(&[]);
    assert!(gate.tells(3));
    assert!(reaper_of(&gate.run), "a run has no reaper");
    while gate.tells(1) {}
    assert!(gate.child.wait().unwrap().success());
    assert_eq!(left_behind(&gate.run), Vec::<String>::new());
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
    assert_ne!(session_of(reaper).unwrap(), session_of(gate.child.id()).unwrap());
    gate.kill(Killed::Gate);
    gate.vanishes("killed");
}

/// A report, once it is there: it is written when nothing of the run is left on the engine.
fn written(path: &std::path::Path) -> Vec<u8> {
    let begun = Instant::now();
    loop {
        match std::fs::read(path) {
            Ok(report) => return report,
            Err(error) => assert!(begun.elapsed() < LIMIT, "{}: {error}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
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
    let _slot = Slot::wait();
    let child = hears_signals("script")
        .args(["--quiet", "--flush", "--command", &words, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut gate = Gate::of(child, folder);
    assert!(gate.tells(9));
    gate.kill(Killed::Gate);
    gate.vanishes("its terminal was killed");
    let result: serde_json::Value = serde_json::from_slice(&written(&out.join("result.json"))).unwrap();
    assert_eq!(
        (&result["verdict"], &result["exit_code"]),
        (&"inconclusive".into(), &143.into())
    );
    stay_gone(&[gate.run]);
}
