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
        let hostile = |ch: char| (ch.is_control() && ch != '\n') || ch == '\u{202e}';
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

#[test]
fn the_line_of_an_env_file_that_cannot_be_read_is_not_shown() {
    let folder = project(
        "quote",
        "production: {compose: compose.yaml}\ncandidate: {web: {image: \"shop:2\"}}\n",
    );
    let compose = "services: {web: {image: \"shop:1\", env_file: [web.env]}, idp: {image: \"idp:1\"}}\n";
    std::fs::write(folder.join("compose.yaml"), compose).expect("the folder is ours");
    std::fs::write(folder.join("web.env"), "A=1\nPASSWORD=\"hunter22 and no end\n").expect("the folder is ours");
    let env_file = ["config", "--compose", "other.yaml", "--env-file", "web.env"];
    std::fs::write(folder.join("other.yaml"), COMPOSE).expect("the folder is ours");
    for arguments in [&["plan"][..], &["config"], &env_file] {
        let ended = end(within(&folder, arguments));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter22"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("line 2 of `") && ended.stderr.contains("web.env"),
            "{}",
            ended.stderr
        );
    }
}

/// A run in a job of GitHub Actions in which the secret is blank.
fn in_a_job(folder: &Path, event: &str, actor: &str) -> Ended {
    let files = ["output", "summary"].map(|name| folder.join(name));
    std::fs::write(folder.join("event.json"), event).expect("the folder is ours");
    files
        .iter()
        .for_each(|file| std::fs::write(file, "").expect("the folder is ours"));
    let mut command = within(folder, &["run"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_ACTOR", actor)
        .env("GITHUB_EVENT_PATH", folder.join("event.json"))
        .env("GITHUB_WORKSPACE", folder.parent().expect("a folder above"))
        .env("GITHUB_OUTPUT", &files[0])
        .env("GITHUB_STEP_SUMMARY", &files[1])
        .env("TEST_PASSWORD", "");
    end(command)
}

#[test]
fn a_secret_that_a_fork_or_dependabot_is_not_given_is_said_once_at_its_line_with_the_way_out() {
    let config = r#"production: {compose: compose.yaml}
candidate: {web: {image: "shop:2"}}
suites:
  smoke:
    target: http://web:8080
    requests:
      - {name: one, get: /, headers: {X-One: {secret: TEST_PASSWORD}}}
      - {name: two, get: /, headers: {X-Two: {secret: TEST_PASSWORD}}}
"#;
    let folder = project("fork", config);
    let fork = r#"{"pull_request": {"head": {"repo": {"full_name": "somebody/shop"}}, "base": {"repo": {"full_name": "acme/shop"}}}}"#;
    let own = fork.replace("somebody", "acme");
    for (event, actor, wanted) in [
        (fork, "somebody", "a pull request from a fork"),
        (&own, "dependabot[bot]", "a pull request of Dependabot"),
        (&own, "alice", "set `TEST_PASSWORD` in the environment"),
    ] {
        let ended = in_a_job(&folder, event, actor);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_eq!(
            ended.stderr.matches("the secret `TEST_PASSWORD` is blank").count(),
            1,
            "{}",
            ended.stderr
        );
        let at =
            "::error file=fork/rehearsal.yaml,line=7,col=46,title=Rehearsal::the secret `TEST_PASSWORD` is blank; ";
        assert!(
            ended.stdout.starts_with(at) && ended.stdout.lines().count() == 1,
            "{}",
            ended.stdout
        );
        let summary = std::fs::read_to_string(folder.join("summary")).expect("a job summary");
        let output = std::fs::read_to_string(folder.join("output")).expect("outputs");
        for text in [&ended.stderr, &ended.stdout, &output] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(
            summary.starts_with("## INCONCLUSIVE") && summary.contains("rehearsal.yaml:7"),
            "{summary}"
        );
        assert!(
            output.starts_with("verdict<<") && output.contains("\ninconclusive\n"),
            "{output}"
        );
    }
    let named = in_a_job(&folder, &own, "alice").stderr;
    assert!(named.contains("only where `production.env_file` names it"), "{named}");
}

#[test]
fn a_candidate_without_its_service_is_told_how_it_was_meant() {
    let ended = end(without_engine(&["plan", "--candidate", "shop:2"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`--candidate SERVICE=shop:2`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_plan_is_inert_on_the_terminal() {
    let config = "production: {compose: compose.yaml}\ncandidate: {web: {image: \"shop:\\e[2J\\x9b31m\\u202e2\"}}\n";
    let folder = project("inert", config);
    let planned = end(within(&folder, &["plan"]));
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(planned.stdout.contains("candidate  web  shop:"), "{}", planned.stdout);
    is_inert(&planned);
}

#[test]
fn an_error_that_quotes_production_shows_no_marked_secret() {
    let config = r#"production: {compose: compose.yaml}
candidate: {web: {image: "shop:2"}}
suites:
  smoke: {target: "http://web:8080", requests: [{name: root, get: /, headers: {X-Key: {secret: PASSWORD}}}]}
"#;
    let folder = project("quoted", config);
    let compose = "services: {web: {image: \"shop:1\", ports: [\"${PASSWORD}\"]}}\n";
    std::fs::write(folder.join("compose.yaml"), compose).expect("the folder is ours");
    let mut command = within(&folder, &["plan"]);
    command.env("PASSWORD", "hunter22");
    let ended = end(command);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`[redacted]`") && !ended.stderr.contains("hunter22"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_secret_that_is_a_word_of_the_vocabulary_breaks_no_record_and_no_log_of_a_job() {
    let config = r#"production: {compose: compose.yaml}
candidate: {web: {image: "shop:2"}}
suites:
  smoke: {target: "http://web:8080", requests: [{name: root, get: /, basic: {username: {secret: WORD}, password: {secret: PASSWORD}}}]}
"#;
    let folder = project("vocabulary", config);
    for word in ["control", "not-run", "inconclusive", "web"] {
        let mut command = within(&folder, &["run"]);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("WORD", word)
            .env("PASSWORD", "hunter22");
        let ended = end(command);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stdout.contains("::add-mask::hunter22\n"), "{}", ended.stdout);
        assert!(
            !ended.stdout.contains(&format!("::add-mask::{word}\n")),
            "{}",
            ended.stdout
        );
        let out = folder.join("rehearsal-out");
        let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("the run writes it");
        let record: Value = serde_json::from_str(&read("result.json")).expect("a record");
        assert_eq!(
            (&record["verdict"], &record["stages"][0]["id"]),
            (&"inconclusive".into(), &"control".into())
        );
        assert_eq!(record["candidate"][0]["service"], "web");
        let plan: Value = serde_json::from_str(&read("plan.json")).expect("a plan");
        assert_eq!(
            (&plan["stages"][0]["id"], &plan["candidate"][0]["service"]),
            (&"control".into(), &"web".into())
        );
        for event in read("events.jsonl").lines() {
            let event: Value = serde_json::from_str(event).expect("an event");
            assert!(
                event["event"].is_string() && !event.to_string().contains("hunter22"),
                "{event}"
            );
        }
        assert!(read("summary.md").starts_with("## INCONCLUSIVE"));
    }
}
