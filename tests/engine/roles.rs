//! Which image plays which role, and whose failure a failure is: what wrongly opened or shut the gate.

use std::path::PathBuf;

use serde_json::json;

use crate::docker::{self, docker};
use crate::driver::{self, Rehearsed, Running};
use crate::in_workflow::git;

/// A tag that production runs one image of and the candidate another.
const ROLLING: &str = "rehearsal-test/rolling:latest";

/// The smallest production from an image of a moving tag.
fn world(name: &str) -> PathBuf {
    docker::image();
    let folder = driver::folder(&format!("roles/{name}"));
    let small = driver::root().join("fixtures/small");
    let read = |file: &str| std::fs::read_to_string(small.join(file)).expect("the fixture is there");
    let compose = read("compose.yaml").replacen(docker::IMAGE, ROLLING, 1);
    let config = read("rehearsal.yaml")
        .replace("web: {env: {RELEASE: \"2\"}}", &format!("web: {{image: {ROLLING}}}"))
        .replace("compose.yaml}", "compose.yaml, lock: production.lock}");
    for (file, text) in [("compose.yaml", compose), ("rehearsal.yaml", config)] {
        std::fs::write(folder.join(file), text).expect("the folder is ours");
    }
    folder
}

/// What production runs, as a lock of today has it.
fn lock(folder: &std::path::Path, digest: &str) {
    let lock = format!(
        "version: 1\ncaptured: {{at: 2026-11-28T09:00:00Z, from: a test}}\nservices:\n  web: {{image: {ROLLING}, digest: \
         \"{digest}\"}}\n"
    );
    std::fs::write(folder.join("production.lock"), lock).expect("the folder is ours");
}

fn rehearsed(folder: &std::path::Path, out: &str) -> Rehearsed {
    let out = folder.join(out);
    Rehearsed::of(driver::run(&folder.join("rehearsal.yaml"), &out), &out)
}

fn id(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", image])
}

#[test]
fn a_pin_is_productions_and_the_candidate_is_what_its_name_says_today() {
    let folder = world("pin");
    docker(&["tag", docker::IMAGE, ROLLING]);
    let production = id(ROLLING);
    // A lock never expires here: what is asked is whose the pin is.
    lock(&folder, &production);
    let config = folder.join("rehearsal.yaml");
    let text = std::fs::read_to_string(&config).expect("ours");
    let text = text.replace("lock: production.lock}", "lock: production.lock, max_lock_age: 3000d}");
    std::fs::write(&config, text).expect("ours");

    let same = rehearsed(&folder, "same");
    assert_eq!(same.ended.code, Some(3), "{}", same.ended.stderr);
    let found = same.result()["findings"][0].clone();
    assert!(
        found["title"]
            .as_str()
            .is_some_and(|title| title.starts_with("nothing to rehearse: `web`")),
        "{found}"
    );

    // CI moves the tag to a release that cannot come up.
    let recipe = folder.join("Dockerfile");
    std::fs::write(&recipe, format!("FROM {}\nRUN rm -rf /www\n", docker::IMAGE)).expect("ours");
    docker(&[
        "build",
        "--tag",
        ROLLING,
        "--file",
        recipe.to_str().expect("ours"),
        folder.to_str().expect("ours"),
    ]);
    let bad = id(ROLLING);
    assert_ne!(bad, production);
    let moved = rehearsed(&folder, "moved");
    let result = moved.result();
    assert_eq!(result["candidate"][0]["digest"], json!(bad), "{}", moved.ended.stderr);
    assert_eq!(result["baseline"][0]["digest"], json!(production));
    assert_eq!(moved.ended.code, Some(1), "{}", moved.ended.stderr);
}

#[test]
fn an_agent_that_dies_after_the_swap_is_nobodys_failure() {
    docker::image();
    let out = driver::folder("roles/agent");
    let config = driver::root().join("fixtures/small/rehearsal.yaml");
    let mut running = Running::start(driver::run(&config, &out), &out);
    let swapped = |event: &serde_json::Value| {
        event["event"] == "step-started" && event["stage"] == "upgrade" && event["step"] == "swap web"
    };
    let events = running.until(swapped);
    let run = driver::id(&events).expect("the run has told its id");
    docker(&["kill", &format!("rehearsal-{run}-agent")]);
    assert_eq!(running.end(), Some(3));
    let result: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("result.json")).expect("a record")).expect("JSON");
    assert_eq!(result["verdict"], "inconclusive");
    let blames = |finding: &serde_json::Value| finding["blame"] == "candidate";
    let findings = result["findings"].as_array().expect("findings");
    assert!(!findings.iter().any(blames), "{findings:?}");
    assert!(
        findings.iter().any(|finding| finding.to_string().contains("agent")),
        "{findings:?}"
    );
}

/// A change that makes its own failure production's, and waives it.
#[test]
fn production_and_policy_are_as_the_base_of_a_change_has_them() {
    docker::image();
    let folder = driver::folder("roles/base");
    let small =
        |file: &str| std::fs::read_to_string(driver::root().join("fixtures/small").join(file)).expect("it is there");
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("the folder is ours");
    let compose = small("compose.yaml").replace("pages:/data]", "pages:/data, \"./www:/www\"]");
    std::fs::create_dir(folder.join("www")).expect("the folder is ours");
    write("www/index.html", "fine");
    write("compose.yaml", &compose);
    write("release.yaml", &small("release.yaml"));
    write("rehearsal.yaml", &small("block.yaml"));
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["commit", "--quiet", "--message=x"],
    ] {
        git(&folder, arguments);
    }

    let waivers = [
        "start-and-restart",
        "boot-production-env",
        "upgrade-in-place",
        "candidate-exercised",
        "rollback",
    ]
    .map(|check| format!("{{check: {check}, reason: it is fine}}"));
    let policy = format!("policy: {{waive: [{}]}}\n", waivers.join(", "));
    write("rehearsal.yaml", &(small("block.yaml") + &policy));
    write("compose.yaml", &compose.replace("\"8080\", -h", "\"8081\", -h"));
    write("www/index.html", "something else");
    let out = folder.join("out");
    let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
    command.args(["--production-from", "main"]);
    let run = Rehearsed::of(command, &out);
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    let result = run.result();
    assert_eq!(result["stages"][0]["status"], "passed", "{}", run.ended.stderr);
    assert_eq!(result["production"]["from"], "main");
    let findings = result["findings"].as_array().expect("findings");
    assert!(
        findings.iter().all(|finding| finding["waived"].is_null()),
        "{findings:?}"
    );
    assert!(!run.ended.stderr.contains("/from-"), "{}", run.ended.stderr);
}
