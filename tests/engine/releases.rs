//! Releases that are more than one service's image, on a real engine with the real binary: one image under three services,
//! a variable, files of their own.

use std::process::Command;

use serde_json::{Value, json};

use crate::driver::{self, Rehearsed};

/// Runs a configuration of `fixtures/release`.
fn rehearsed(name: &str) -> Rehearsed {
    let folder = driver::root().join("fixtures/release");
    let made = Command::new(folder.join("images.sh")).status();
    assert!(
        made.is_ok_and(|made| made.success()),
        "fixtures/release/images.sh failed"
    );
    let out = driver::folder(&format!("releases/{name}"));
    let run = Rehearsed::of(driver::run(&folder.join(name).with_extension("yaml"), &out), &out);
    assert_eq!(
        driver::left_behind(&run.id()),
        Vec::<String>::new(),
        "{name} left something behind"
    );
    run
}

fn cause(result: &Value) -> &str {
    result["cause"].as_str().expect("a line")
}

fn candidate(result: &Value) -> Vec<&str> {
    let all = result["candidate"].as_array().expect("a list").iter();
    all.map(|release| release["service"].as_str().expect("a name"))
        .collect()
}

/// What was told of a service's containers, in order.
fn told(run: &Rehearsed, service: &str) -> Vec<String> {
    let events = driver::events(&run.out).into_iter();
    let own = events.filter(|event| event["service"] == json!(service));
    // When the engine says that it has exited is the engine's affair.
    let told = own.filter_map(|event| Some(event["state"].as_str()?.to_owned()));
    told.filter(|state| state != "exited").collect()
}

#[test]
#[ignore = "each night: make test-worlds"]
fn one_image_under_three_services_is_deployed_in_all_of_them() {
    let run = rehearsed("images");
    let result = run.result();
    assert_eq!(run.ended.code, Some(0), "{}\n{}", cause(&result), result["findings"]);
    assert_eq!(candidate(&result), ["migrate", "web", "worker"]);
    assert_eq!(result["findings"], json!([]));
    assert!(
        cause(&result).starts_with("migrate, web and worker stand:2 for stand:1: "),
        "{}",
        cause(&result)
    );
}

#[test]
fn one_of_three_that_does_not_start_is_named_and_blocks() {
    let run = rehearsed("variable");
    let result = run.result();
    assert_eq!(run.ended.code, Some(1), "{}\n{}", cause(&result), result["findings"]);
    assert!(
        cause(&result).starts_with("start-and-restart: `worker` exited with code 1: FATAL: no queue of format 2; "),
        "{}",
        cause(&result)
    );
}

#[test]
fn a_release_of_files_comes_and_goes_as_compose_would_have_it() {
    let run = rehearsed("files");
    let result = run.result();
    assert_eq!(run.ended.code, Some(0), "{}\n{}", cause(&result), result["findings"]);
    assert_eq!(candidate(&result), ["index", "web"]);
    // A job of production's that is run again by every deploy, and ends as it did, is no news.
    assert_eq!(result["findings"], json!([]));
    assert!(
        cause(&result).starts_with("index stand:2, new, web stand:2 for stand:1, cache gone: "),
        "{}",
        cause(&result)
    );
    let signed = "no test notices `index` (no test asks it yet)";
    assert!(cause(&result).contains(signed), "{}", cause(&result));
    // What the release adds is started and stopped once; what it drops is stopped and comes back.
    assert_eq!(told(&run, "index"), ["started", "ready", "stopped"]);
    assert_eq!(told(&run, "cache"), ["started", "ready", "stopped", "started", "ready"]);
    for stage in ["upgrade", "rollback"] {
        let note =
            format!("{stage}: `migrate` runs again: it had ended, and `docker compose up -d` starts what does not run");
        assert!(run.ended.stderr.contains(&note), "{}", run.ended.stderr);
    }
}
