//! A run on several runners: a small world as two shards, merged by the real binary, and as a matrix of a real workflow.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::docker;
use crate::driver::{self, Ended, Rehearsed};
use crate::in_workflow::{self, Base, Inputs, Seen};
use crate::slot::Slot;

/// A web server with two suites, of which one asks the release itself: release 3 fails it.
fn world(folder: &Path, release: &str) -> PathBuf {
    let compose = driver::root().join("fixtures/small/compose.yaml");
    std::fs::copy(compose, folder.join("compose.yaml")).expect("it is there");
    let config = format!(
        "production: {{compose: compose.yaml}}
candidate:
  web: {{env: {{RELEASE: \"{release}\"}}}}
suites:
  page:
    target: http://web:8080
    requests:
      - {{name: the page is there, get: /index.html, expect: {{body: fine}}}}
  release:
    service: web
    exec:
      - {{name: it is not the third, command: [sh, -c, 'test \"$RELEASE\" != 3']}}
stages:
  upgrade: {{within: 30s, probe: \"http://web:8080/index.html\"}}
timeout: 3m
"
    );
    let file = folder.join("rehearsal.yaml");
    std::fs::write(&file, config).expect("written");
    file
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// What `rehearsal shard` prints, job by job.
fn matrix(config: &Path) -> Vec<String> {
    let ended = driver::end(driver::without_engine(&[
        "shard",
        "--into",
        "2",
        "--config",
        text(config),
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.trim().lines().count(), 1, "one line: {}", ended.stdout);
    let matrix: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let jobs = matrix["include"].as_array().expect("a list");
    jobs.iter()
        .map(|job| job["shard"].as_str().expect("a word").to_owned())
        .collect()
}

fn shard(config: &Path, shard: &str, out: &Path) -> Rehearsed {
    let mut command = driver::run(config, out);
    command.args(["--shard", shard]);
    Rehearsed::of(command, out)
}

fn merge(shards: &Path, out: &Path) -> Ended {
    driver::end(driver::without_engine(&["merge", text(shards), "--out", text(out)]))
}

#[test]
fn a_clean_release_passes_in_two_shards_and_neither_of_them_is_enough() {
    docker::image();
    let folder = driver::folder("shards/clean");
    let config = world(&folder, "2");
    let shards = matrix(&config);
    assert_eq!(shards, ["1/2=suite:page", "2/2=suite:release"]);
    for (number, name) in shards.iter().enumerate() {
        let out = folder.join(format!("shards/{number}"));
        let ran = shard(&config, name, &out);
        assert_eq!(ran.ended.code, Some(0), "{}", ran.ended.stderr);
        let result = ran.result();
        assert_eq!(result["partial"], serde_json::json!(["shard"]));
        let first = format!("shard {} of 2: ", number + 1);
        assert!(
            result["cause"].as_str().is_some_and(|cause| cause.starts_with(&first)),
            "{}",
            result["cause"]
        );
        assert!(
            ran.ended.stderr.contains(&format!("ONE PART  {first}")),
            "{}",
            ran.ended.stderr
        );
        let alone = merge(&out, &folder.join("alone"));
        assert_eq!(alone.code, Some(3), "{}", alone.stderr);
        assert!(alone.stderr.contains("of 2 is missing"), "{}", alone.stderr);
    }
    let out = folder.join("merged");
    let merged = merge(&folder.join("shards"), &out);
    assert_eq!(merged.code, Some(0), "{}", merged.stderr);
    let result: Value = serde_json::from_slice(&std::fs::read(out.join("result.json")).expect("there")).expect("JSON");
    assert_eq!(
        (&result["verdict"], &result["partial"]),
        (&"pass".into(), &serde_json::json!([]))
    );
    let mut suites: Vec<&str> = result["tests"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|test| test["suite"].as_str())
        .collect();
    suites.sort_unstable();
    assert_eq!(suites, ["page", "page", "page", "release", "release", "release"]);
    for name in ["junit.xml", "report.html", "summary.md"] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_release_that_one_shard_finds_out_is_blocked() {
    docker::image();
    let folder = driver::folder("shards/blocked");
    let config = world(&folder, "3");
    let codes: Vec<Option<i32>> = matrix(&config)
        .iter()
        .enumerate()
        .map(|(number, name)| {
            shard(&config, name, &folder.join(format!("shards/{number}")))
                .ended
                .code
        })
        .collect();
    assert_eq!(codes, [Some(0), Some(1)]);
    let merged = merge(&folder.join("shards"), &folder.join("merged"));
    assert_eq!(merged.code, Some(1), "{}", merged.stderr);
    assert!(
        merged
            .stderr
            .starts_with("BLOCK  boot-production-env: `release` / `it is not the third`"),
        "{}",
        merged.stderr
    );
}

/// The same as a matrix of a workflow, run by act.
fn as_matrix(release: &str, trace: &Path) -> Seen {
    docker::image();
    let _slot = Slot::wait();
    let config = world(trace, release);
    let repository = trace.join("repository");
    in_workflow::repository(&repository);
    let workflow = driver::root().join("tests/action/shards.yml");
    std::fs::copy(workflow, repository.join(".github/workflows/test.yml")).expect("it is there");
    let engine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let inputs = Inputs {
        bin: Path::new(env!("CARGO_BIN_EXE_rehearsal")),
        from: "",
        seed: "",
        config: text(&config),
        candidate: "",
        engine: &engine,
        base: Base::Untold,
    };
    in_workflow::seen_in(&repository, "pull_request", &inputs, trace)
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_matrix_of_two_jobs_opens_the_gate_of_a_clean_release_and_shuts_that_of_another() {
    let trace = driver::folder("shards/matrix-clean");
    let clean = as_matrix("2", &trace);
    assert_eq!(clean.outcome, "success", "{}", clean.log);
    assert!(clean.job_passed, "{}", clean.log);
    assert_eq!((clean.output("verdict"), clean.output("exit-code")), ("pass", "0"));
    let trace = driver::folder("shards/matrix-blocked");
    as_matrix("3", &trace).is_shut("block", "1");
}
