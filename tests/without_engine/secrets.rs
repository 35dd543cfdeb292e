//! No secret leaves by a command's output, and no command asks for secrets and variables that it does not use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::driver::{self, Ended, end, rehearsal, without_engine};
use serde_json::Value;

/// A configuration whose production needs nothing, and whose every other key needs what only a pipeline has.
const CONFIG: &str = r#"production: {compose: compose.yaml, lock: ops/production.lock}
candidate:
  web: {image: "${CANDIDATE_IMAGE}", env: {TOKEN: {secret: NOBODYS_TOKEN}}}
auth:
  service: idp
  login: {start: "http://web:8080/login", expect: "http://web:8080/", username: "${NOBODY}", password: {secret: NOBODYS_PASSWORD}}
suites:
  smoke: {target: "http://web:8080", min_tests: "${NOBODYS_NUMBER}", requests: [{get: /, headers: {X-Key: {secret: NOBODYS_KEY}}}]}
stages: {upgrade: {probe: "${NOBODYS_PROBE}"}}
"#;

const COMPOSE: &str = r#"services:
  web: {image: "shop:1", environment: {PASSWORD: "${PASSWORD:-}", PIN: "${PIN:-}", URL: "http://web/?pin=${PIN:-}"}}
  idp: {image: "idp:1"}
"#;

/// A folder with a production and a configuration.
fn project(name: &str, config: &str) -> PathBuf {
    let folder = driver::folder(&format!("secrets/{name}"));
    std::fs::create_dir(folder.join("ops")).expect("the folder is ours");
    std::fs::write(folder.join("rehearsal.yaml"), config).expect("the folder is ours");
    std::fs::write(folder.join("compose.yaml"), COMPOSE).expect("the folder is ours");
    folder
}

/// A command in a folder, without an engine.
fn within(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = without_engine(arguments);
    command.current_dir(folder);
    command
}

fn is_inert(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let hostile = |ch: char| ch.is_control() && ch != '\n';
        assert!(!text.contains(hostile), "{text:?}");
    }
}

#[test]
fn production_that_is_printed_holds_no_marked_secret() {
    for format in ["yaml", "json"] {
        let config = driver::world("twin");
        let config = config.to_str().expect("a path of ours");
        let printed = end(rehearsal(&["config", "--config", config, "--format", format]));
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        assert!(!printed.stdout.contains("stand-in-for-alice"), "{}", printed.stdout);
        assert!(printed.stdout.contains("TEST_PASSWORD") && printed.stdout.contains("[redacted]"));
    }
}

#[test]
fn a_marked_secret_that_is_an_ordinary_word_goes_from_values_alone_and_the_plan_warns_of_it() {
    let config = r#"production: {compose: compose.yaml}
candidate: {web: {image: "shop:2"}}
suites:
  smoke: {target: "http://web:8080", requests: [{name: root, get: /, basic: {username: {secret: PASSWORD}, password: {secret: PIN}}}]}
"#;
    let folder = project("word", config);
    let run = |arguments: &[&str]| {
        let mut command = within(&folder, arguments);
        end({
            command.env("PASSWORD", "web").env("PIN", "4711");
            command
        })
    };
    let printed = run(&["config", "--format", "json"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let web = &serde_json::from_str::<Value>(&printed.stdout).expect("JSON")["services"]["web"];
    assert_eq!(web["image"], "shop:1");
    assert_eq!(web["environment"]["PASSWORD"], "[redacted]");
    assert_eq!(web["environment"]["PIN"], "[redacted]");
    assert_eq!(web["environment"]["URL"], "http://web/?pin=[redacted]");

    let planned = run(&["plan"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    for wanted in [
        "candidate  web  shop:2",
        "warning: the secret `PIN` is shorter than 6 characters",
        "warning: the secret `PASSWORD` is shorter than 6 characters",
    ] {
        assert!(planned.stdout.contains(wanted), "{wanted}\n{}", planned.stdout);
    }
    assert!(!planned.stdout.contains("4711"));
}

#[test]
fn a_forged_record_is_inert_on_the_terminal() {
    let folder = driver::folder("secrets/forged");
    let hostile = "\u{1b}]0;pwned\u{7}\u{1b}[2J::error::x\r\u{202e}";
    for (name, text) in [
        (
            "schema",
            serde_json::json!({ "schema": hostile, "rehearsal": hostile }).to_string(),
        ),
        (
            "field",
            serde_json::json!({ "schema": "rehearsal/v1", "exit_code": hostile }).to_string(),
        ),
        (
            "key",
            serde_json::json!({ "schema": "rehearsal/v1", hostile: 1 }).to_string(),
        ),
    ] {
        let record = folder.join(format!("{name}.json"));
        std::fs::write(&record, text).expect("the folder is ours");
        let ended = end(without_engine(&["report", record.to_str().expect("a path")]));
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("error: "), "{}", ended.stderr);
        is_inert(&ended);
    }
}

#[test]
fn a_command_that_only_asks_what_production_is_needs_no_variable_of_the_candidate_and_no_secret_of_a_suite() {
    let folder = project("keys", CONFIG);
    let printed = end(within(&folder, &["config"]));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);

    let taken = end(within(&folder, &["lock", "--from", "exec:env PRETENDED=1"]));
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let lock =
        std::fs::read_to_string(folder.join("ops/production.lock")).expect("the configuration's lock is written");
    // Which service a plain server runs is read from the names in `candidate`.
    assert!(lock.contains("\n  web:"), "{lock}");
    assert!(!folder.join("production.lock").exists());

    let seen = end(within(&folder, &["doctor"]));
    assert!(seen.stdout.contains("production has 2 service(s)"), "{}", seen.stdout);
    let planned = end(within(&folder, &["plan"]));
    assert_eq!(
        planned.code,
        Some(2),
        "what a run uses must be there: {}",
        planned.stdout
    );
}

#[test]
fn a_configuration_that_was_found_and_cannot_be_used_is_an_error() {
    let folder = project("unusable", &CONFIG.replace("compose.yaml", "nowhere.yaml"));
    for arguments in [&["lock"][..], &["config"], &["up"]] {
        let ended = end(within(&folder, arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("rehearsal.yaml:1:"),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    assert!(!folder.join("production.lock").exists());
    let ended = end(within(&folder, &["down", "--config", "absent.yaml"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("absent.yaml"), "{}", ended.stderr);
}
