//! Who bears an outage of the authentication product, on a real engine with the real binary: what `fixtures/outage` promises.

use crate::driver::{self, Rehearsed};
use crate::worlds::{ends, expectations};

fn rehearsed(world: &str) -> Rehearsed {
    let run = Rehearsed::world("outage", world);
    let file = driver::root().join("fixtures/outage/expected.yaml");
    ends(world, &expectations(&file)[world], &run);
    run
}

#[test]
fn a_release_that_answers_500_while_the_product_is_down_is_blocked() {
    let evidence = rehearsed("answers-500").result()["findings"][0]["evidence"].to_string();
    assert!(
        evidence.contains("fault `outage`: whoever is signed in gets: GET http://desk:8080/account answered 503"),
        "{evidence}"
    );
    assert!(
        evidence.contains("an untouched baseline passed it 4 of 4 more times"),
        "{evidence}"
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_release_that_reads_the_keys_once_is_blocked() {
    rehearsed("keys-once");
}

#[test]
fn their_clean_twin_bears_every_fault_and_passes_without_a_warning() {
    let run = rehearsed("twin");
    let seen = run.read("evidence/auth-faults-faults-candidate.json");
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("it is JSON");
    let tried = seen["trials"].as_array().expect("a list").iter();
    let tried: Vec<&str> = tried.map(|trial| trial["fault"].as_str().expect("a word")).collect();
    assert_eq!(
        tried,
        [
            "down-at-start",
            "outage",
            "slow",
            "errors",
            "rate-limit",
            "reset",
            "jwks"
        ]
    );
    assert_eq!(seen["trials"][1]["ports"], "4593 refused");
    assert_eq!(seen["trials"][6]["paths"], serde_json::json!(["/api/oidc/jwks"]));
    // What was asked under faults is nobody's traffic.
    let calls = run.read("evidence/auth-traffic-control-baseline.json");
    assert!(!calls.contains("\"fault\""), "{calls}");
}
