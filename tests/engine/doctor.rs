//! `rehearsal doctor` on the real engine: what it lists, what it removes, what it leaves alone.

use crate::docker::{IMAGE, docker, image};
use crate::driver::{end, folder, left_behind, on_the_engine, rehearsal, without_engine};
use crate::slot::Alone;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn line<'a>(report: &'a Value, about: &str) -> &'a Value {
    let lines = report["lines"].as_array().unwrap();
    lines
        .iter()
        .find(|line| line["about"] == about)
        .unwrap_or_else(|| panic!("no line about {about}: {report}"))
}

#[test]
fn without_an_engine_it_says_so_and_whose_doing_it_is() {
    let mut command = without_engine(&["doctor", "--format", "json"]);
    command.env("TMPDIR", folder("doctor/no-engine"));
    let ended = end(command);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let report = json(&ended.stdout);
    let engine = line(&report, "engine");
    assert_eq!(
        (&engine["state"], &engine["whose"]),
        (&"wrong".into(), &"the machine".into())
    );
    assert!(
        engine["seen"].as_str().unwrap().contains("/nowhere/docker.sock"),
        "{engine}"
    );
}

#[test]
fn a_configuration_that_cannot_be_used_is_the_users_doing() {
    let folder = folder("doctor/config");
    std::fs::write(folder.join("rehearsal.yaml"), "production: {compose: nowhere.yaml}\n").unwrap();
    let mut command = rehearsal(&["doctor"]);
    command.current_dir(&folder);
    let ended = end(command);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("✗ configuration") && ended.stdout.contains("you: "),
        "{}",
        ended.stdout
    );
}

/// A run whose process has gone: containers, a network, a volume and a lock file, as labels and names tell.
fn dead_run(run: &str, runs: &std::path::Path) {
    image();
    std::fs::create_dir_all(runs).unwrap();
    let lock = runs.join(format!("{run}.run"));
    std::fs::write(&lock, "").unwrap();
    let label = format!("dev.rehearsal.run={run}");
    let name = format!("rehearsal-{run}-left");
    docker(&["network", "create", "--internal", "--label", &label, &name]);
    docker(&["volume", "create", "--label", &label, &name]);
    docker(&["create", "--label", &label, "--name", &name, IMAGE, "sleep", "1"]);
    assert_eq!(on_the_engine(run).len(), 3, "the engine has what the test made");
}

#[test]
fn what_a_dead_run_left_is_listed_and_removed() {
    // Any run would sweep it.
    let _alone = Alone::wait();
    let run = format!("dead{}", std::process::id());
    let temporary = folder("doctor/dead");
    let user = rustix::process::getuid().as_raw();
    dead_run(&run, &temporary.join(format!("rehearsal-{user}")));
    let doctor = |more: &[&str]| {
        let mut command = rehearsal(&[&["doctor", "--format", "json"], more].concat());
        command.env("TMPDIR", &temporary);
        end(command)
    };
    let listed = doctor(&[]);
    assert_eq!(listed.code, Some(3), "{}", listed.stdout);
    let report = json(&listed.stdout);
    let runs = report["runs"].as_array().unwrap();
    let own = runs.iter().find(|left| left["run"] == run.as_str()).unwrap();
    assert_eq!(own["state"], "dead");
    for kind in ["container", "network", "volume"] {
        let object = format!("{kind} rehearsal-{run}-left");
        assert!(own["objects"].as_array().unwrap().contains(&object.into()), "{own}");
    }
    assert!(report["files"].to_string().contains(&run), "{report}");
    assert_eq!(on_the_engine(&run).len(), 3, "listing removes nothing");

    let removed = doctor(&["--remove"]);
    let report = json(&removed.stdout);
    assert_eq!(left_behind(&run), Vec::<String>::new(), "{report}");
    assert_eq!(report["files"], Value::Array(Vec::new()));
}

/// Nobody's machine has that much memory, and that alone stops nothing.
const TOO_LARGE: &str = "services:\n  web:\n    image: nowhere.example/never/pulled:1\n    deploy: {resources: {reservations: {memory: 900000g}}}\n    \
                         volumes: [\"./large:/large\"]\n";
/// No machine that runs tests has that much disk: bytes of a file that takes none.
const LARGE: u64 = 12 << 40;
const ITS_RELEASE: &str = "production: {compose: compose.yaml}\ncandidate: {web: {env: {RELEASE: \"2\"}}}\nsuites: {smoke: {requests: [{name: it \
                           answers, get: \"http://web:8080/\"}]}}\n";

#[test]
fn a_run_that_the_machine_cannot_hold_is_inconclusive_before_anything_is_pulled() {
    let folder = folder("doctor/too-large");
    std::fs::write(folder.join("compose.yaml"), TOO_LARGE).unwrap();
    std::fs::create_dir(folder.join("large")).unwrap();
    let large = std::fs::File::create(folder.join("large/file")).unwrap();
    large.set_len(LARGE).unwrap();
    std::fs::write(folder.join("rehearsal.yaml"), ITS_RELEASE).unwrap();
    let here = |arguments: &[&str]| {
        let mut command = rehearsal(arguments);
        command.current_dir(&folder);
        end(command)
    };
    let ended = here(&["run", "--out", "out"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let result = json(&std::fs::read_to_string(folder.join("out/result.json")).unwrap());
    let cause = result["cause"].as_str().unwrap();
    assert!(
        cause.contains("cannot hold the run") && cause.contains("needs 12.0 TiB of disk at least"),
        "{cause}"
    );
    let notes = result.to_string();
    assert!(
        notes.contains("services reserve 878.9 TiB of memory together"),
        "{notes}"
    );
    let events = std::fs::read_to_string(folder.join("out/events.jsonl")).unwrap();
    assert!(!events.contains("\"pull\""), "{events}");
    let seen = json(&here(&["doctor", "--format", "json", "--out", "out"]).stdout);
    let room = line(&seen, "room");
    assert_eq!(
        (&room["state"], &room["whose"]),
        (&"wrong".into(), &"the machine".into())
    );
    assert!(
        line(&seen, "images")["seen"]
            .as_str()
            .unwrap()
            .contains("never/pulled:1")
    );
    assert!(
        line(&seen, "time")["seen"]
            .as_str()
            .unwrap()
            .contains("the last time (inconclusive")
    );
}
