//! However a run ends, nothing of it stays on the engine: killed, interrupted, or beside another one. What a killed run
//! left goes with `down --all` or the next run, whatever its reaper does meanwhile.
//!
//! Moments are told by the run's own events, so that each is hit on a fast machine and on a slow one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::docker;
use crate::driver::{self, Rehearsed, Running};
use crate::slot::{Alone, Slot};
use serde_json::{Value, json};

/// A moment of a run: an event that has these values.
type Moment<'a> = (&'a str, Value);

fn is(event: &Value, moment: &Value) -> bool {
    moment
        .as_object()
        .expect("an object")
        .iter()
        .all(|(key, value)| event[key] == *value)
}

/// How long a sweep may take, by the acceptance.
const SWEPT_WITHIN: Duration = Duration::from_secs(15);

/// The smallest run that has every one of these moments.
fn small() -> PathBuf {
    docker::image();
    driver::root().join("fixtures/small/interrupted.yaml")
}

/// Starts a run of that, waits for the moment, sends the signal. Gives the run's id and how the process ended. The caller
/// holds a slot.
fn struck(test: &str, (name, moment): &Moment, signal: &str) -> (String, Option<i32>, std::path::PathBuf) {
    let out = driver::folder(&format!("interrupts/{test}/{}", name.replace(' ', "-")));
    let mut running = Running::start_beside(driver::run(&small(), &out), &out);
    let events = running.until(|event| is(event, moment));
    running.signal(signal);
    let code = running.end();
    (driver::id(&events).expect("the run has told its id"), code, out)
}

/// Kills runs and sweeps after each; the engine must be clean in time.
fn killed_and_swept(test: &str, moments: &[Moment]) {
    for moment in moments {
        // Until the sweep is over: it takes down what others keep, who do not share the engine.
        let _slot = Slot::wait();
        let (run, code, out) = struck(test, moment, "KILL");
        assert_eq!(code, None, "{}: it ended before it was killed", moment.0);
        let begun = Instant::now();
        let swept = driver::end(driver::rehearsal(&["down", "--all"]));
        assert_eq!(swept.code, Some(0), "{}: {}", moment.0, swept.stderr);
        let left = driver::left_after(&run, SWEPT_WITHIN.saturating_sub(begun.elapsed()));
        assert_eq!(left, Vec::<String>::new(), "{}: {}", moment.0, swept.stderr);
        assert!(
            out.join("plan.json").exists() && !driver::events(&out).is_empty(),
            "{}: no evidence",
            moment.0
        );
    }
}

fn step(stage: &str, step: &str) -> Value {
    json!({"event": "step-started", "stage": stage, "step": step})
}

fn container(stage: &str, service: &str, state: &str) -> Value {
    json!({"event": "container", "stage": stage, "service": service, "state": state})
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_run_killed_while_the_mirror_comes_up_is_swept() {
    killed_and_swept(
        "killed-control",
        &[
            ("as the run begins", json!({"event": "run-started"})),
            ("while the mirror is made", step("control", "mirror")),
            (
                "while containers are made",
                json!({"event": "step-finished", "step": "mirror"}),
            ),
            (
                "when the first container runs",
                json!({"event": "container", "state": "started"}),
            ),
            ("when the web server is ready", container("control", "web", "ready")),
            ("while a suite runs", step("control", "suite smoke")),
        ],
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_run_killed_in_the_upgrade_is_swept() {
    killed_and_swept(
        "killed-upgrade",
        &[
            ("as the swap begins", step("upgrade", "swap web")),
            ("when the baseline has stopped", container("upgrade", "web", "stopped")),
            ("when the candidate runs", container("upgrade", "web", "started")),
            ("while data is verified", step("upgrade", "data.verify")),
        ],
    );
}

#[test]
fn a_run_killed_in_the_rollback_is_swept() {
    killed_and_swept(
        "killed-rollback",
        &[
            ("as the way back begins", step("rollback", "swap web")),
            (
                "when the candidate has stopped",
                container("rollback", "web", "stopped"),
            ),
            (
                "while a failure is repeated",
                json!({"event": "note", "text": "repeating smoke on an untouched baseline"}),
            ),
            ("as it takes down", json!({"event": "check", "check": "rollback"})),
        ],
    );
}

#[test]
fn the_next_run_sweeps_what_a_killed_one_left() {
    let _slot = Slot::wait();
    let (run, ..) = struck(
        "killed-next",
        &("in the upgrade", container("upgrade", "web", "started")),
        "KILL",
    );
    let out = driver::folder("interrupts/next");
    let begun = Instant::now();
    let mut next = Running::start_beside(driver::run(&small(), &out), &out);
    next.until(|event| event["event"] == "run-started");
    let left = driver::left_after(&run, SWEPT_WITHIN.saturating_sub(begun.elapsed()));
    assert_eq!(left, Vec::<String>::new(), "{:?}", begun.elapsed());
    next.end();
}

/// Interrupts runs; each must have cleaned up and reported by the time its process is gone.
fn interrupted(test: &str, signal: &str, code: i32, moments: &[Moment]) {
    for moment in moments {
        let _slot = Slot::wait();
        let (run, ended, out) = struck(test, moment, signal);
        assert_eq!(ended, Some(code), "{}", moment.0);
        assert_eq!(driver::left_behind(&run), Vec::<String>::new(), "{}", moment.0);
        reports_are_written(&out, moment.0, code);
    }
}

fn reports_are_written(out: &Path, moment: &str, code: i32) {
    let read = |name: &str| {
        std::fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{moment}: {name}: {error}"))
    };
    let result: Value = serde_json::from_str(&read("result.json")).expect("result.json is JSON");
    assert_eq!(
        (&result["verdict"], &result["exit_code"]),
        (&json!("inconclusive"), &json!(code)),
        "{moment}"
    );
    assert!(
        result["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("interrupted")),
        "{moment}: {}",
        result["cause"]
    );
    // What did not happen any more is said to be so.
    assert!(read("junit.xml").contains("type=\"NotRun\""), "{moment}");
    assert!(read("summary.md").starts_with("## INCONCLUSIVE"), "{moment}");
    let last = driver::events(out).pop().expect("there are events");
    assert_eq!(
        (&last["event"], &last["exit_code"]),
        (&json!("run-finished"), &json!(code)),
        "{moment}"
    );
}

#[test]
fn an_interrupted_run_cleans_up_and_reports() {
    interrupted(
        "interrupted",
        "INT",
        130,
        &[
            ("as the run begins", json!({"event": "run-started"})),
            (
                "when the first container runs",
                json!({"event": "container", "state": "started"}),
            ),
            ("when the baseline has stopped", container("upgrade", "web", "stopped")),
            (
                "when the candidate has stopped",
                container("rollback", "web", "stopped"),
            ),
        ],
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_terminated_run_cleans_up_and_reports() {
    interrupted(
        "terminated",
        "TERM",
        143,
        &[
            ("while the mirror is made", step("control", "mirror")),
            ("while a suite runs", step("control", "suite smoke")),
            ("when the candidate runs", container("upgrade", "web", "started")),
            (
                "while a failure is repeated",
                json!({"event": "note", "text": "repeating smoke on an untouched baseline"}),
            ),
        ],
    );
}

#[test]
fn a_second_signal_does_not_cut_the_clean_up_short() {
    let out = driver::folder("interrupts/twice");
    let mut running = Running::start(driver::run(&driver::world("incident"), &out), &out);
    let events = running.until(|event| is(event, &container("control", "web", "started")));
    // The first decides, whatever comes after it.
    running.signal("INT");
    running.signal("INT");
    running.signal("TERM");
    assert_eq!(running.end(), Some(130));
    assert_eq!(
        driver::left_behind(&driver::id(&events).expect("an id")),
        Vec::<String>::new()
    );
    reports_are_written(&out, "twice", 130);
}

#[test]
fn two_runs_on_one_engine_leave_each_other_alone() {
    let _alone = Alone::wait();
    let outs = ["interrupts/left", "interrupts/right"].map(driver::folder);
    let mut runs = outs
        .each_ref()
        .map(|out| Running::start_beside(driver::run(&driver::world("twin"), out), out));
    for running in &mut runs {
        running.until(|event| is(event, &container("control", "db", "ready")));
    }
    // Nor does a sweep touch what is at work.
    let swept = driver::end(driver::rehearsal(&["down", "--all"]));
    assert_eq!(swept.code, Some(0), "{}", swept.stderr);
    for (running, out) in runs.iter_mut().zip(&outs) {
        assert_eq!(
            running.end(),
            Some(0),
            "{}",
            std::fs::read_to_string(out.join("stderr.txt")).unwrap_or_default()
        );
        let run = driver::id(&driver::events(out)).expect("an id");
        assert!(
            swept.stderr.contains(&format!("run {run} is left alone")),
            "{}",
            swept.stderr
        );
        assert_eq!(driver::left_behind(&run), Vec::<String>::new());
    }
}

#[test]
fn a_run_at_its_time_limit_cleans_up_and_is_inconclusive() {
    let out = driver::folder("interrupts/limit");
    let mut command = driver::run(&driver::world("never-ready"), &out);
    command.args(["--timeout", "8s"]);
    let run = Rehearsed::of(command, &out);
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    let result = run.result();
    assert_eq!(result["verdict"], "inconclusive");
    assert!(
        result["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("time limit")),
        "{}",
        result["cause"]
    );
    assert_eq!(driver::left_behind(&run.id()), Vec::<String>::new());
}
