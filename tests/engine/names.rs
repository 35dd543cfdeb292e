//! Production's names, on a real engine with the real binary: what `fixtures/names` promises.
//! The images are those of `fixtures/incident`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::slot::Slot;
use serde_json::Value;

/// A run that has ended.
struct Ran {
    exit: Option<i32>,
    result: Value,
    out: PathBuf,
}

impl Ran {
    fn log(&self, stage: &str, service: &str) -> String {
        std::fs::read_to_string(self.out.join("logs").join(stage).join(format!("{service}.log"))).unwrap_or_default()
    }

    fn findings(&self, check: &str) -> Vec<&Value> {
        let all = self.result["findings"].as_array().expect("a list");
        all.iter().filter(|finding| finding["check"] == check).collect()
    }
}

fn run(world: &str) -> Ran {
    let config = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/names")
        .join(format!("{world}.yaml"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names").join(world);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    for name in ["GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "CI"] {
        command.env_remove(name);
    }
    command.arg("run").arg("--config").arg(config).arg("--out").arg(&out);
    let _slot = Slot::wait();
    let output = command.output().expect("the binary runs");
    let result = std::fs::read(out.join("result.json"));
    let result = result.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    Ran {
        exit: output.status.code(),
        result: serde_json::from_slice(&result).expect("JSON"),
        out,
    }
}

#[test]
fn a_sign_in_under_productions_own_name_with_tls_passes() {
    let ran = run("twin");
    assert_eq!(ran.exit, Some(0), "{}", ran.result["cause"]);
    assert!(
        ran.log("upgrade", "idp")
            .contains("GET /o/.well-known/openid-configuration"),
        "the candidate asks the provider"
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn the_incident_is_blocked_under_productions_own_name() {
    let ran = run("incident");
    assert_eq!(ran.exit, Some(1), "{}", ran.result["cause"]);
    let found = ran.findings("auth-login");
    assert_eq!(found.len(), 1);
    let asked = "idp answers 404 to GET /o/.well-known/openid-configuration";
    assert!(found[0]["evidence"].to_string().contains(asked), "{}", found[0]);
}

/// Who asked what, and what came, in one stage.
fn calls(ran: &Ran, stage: &str) -> Vec<[String; 3]> {
    let all = ran.result["calls"].as_array().expect("calls were seen").iter();
    let word = |call: &Value, key: &str| call[key].as_str().expect("a word").to_owned();
    all.filter(|call| call["stage"] == stage)
        .map(|call| ["by", "asked", "answer"].map(|key| word(call, key)))
        .collect()
}

#[test]
fn a_service_is_asked_by_its_own_name_through_a_front_that_changes_nothing() {
    let ran = run("own-twin");
    assert_eq!(ran.exit, Some(0), "{}", ran.result["cause"]);
    assert_eq!(
        ran.result["findings"],
        serde_json::json!([]),
        "a clean twin has no finding"
    );
    let seen = calls(&ran, "upgrade");
    let token = "POST /o/token/ (grant_type=authorization_code";
    let asks = |by: &str, what: &str, answer: &str| {
        seen.iter()
            .any(|call| call[0] == by && call[1].starts_with(what) && call[2] == answer)
    };
    assert!(asks("web", token, "200"), "{seen:?}");
    assert!(asks("the sign-in", "GET /o/authorize/", "302"), "{seen:?}");
    // It is the front's own name: nothing leads past it.
    assert!(
        ran.log("upgrade", "idp").contains("POST /o/token/"),
        "the provider was reached"
    );
    let kept = seen
        .iter()
        .all(|call| !call[1].contains("code=") && !call[1].contains("secret="));
    assert!(kept, "no code and no secret is kept: {seen:?}");
}

#[test]
fn what_was_refused_under_a_services_own_name_names_the_cause() {
    let ran = run("own");
    assert_eq!(ran.exit, Some(1), "{}", ran.result["cause"]);
    let cause = ran.result["cause"].as_str().expect("a line");
    let wanted = "auth-login: shop 2.0 asks for OpenID Connect discovery; production's idp provider:1.3.3 answers 404";
    assert!(cause.starts_with(wanted), "{cause}");
    let asked = ["web", "GET /o/.well-known/openid-configuration", "404"].map(str::to_owned);
    assert!(calls(&ran, "upgrade").contains(&asked));
}
