//! A sign-in by RADIUS against a real FreeRADIUS, on a real engine with the real binary: what `fixtures/radius` promises.

use crate::driver::{self, Rehearsed};
use crate::worlds::{ends, expectations};

fn rehearsed(world: &str) -> Rehearsed {
    let run = Rehearsed::world("radius", world);
    let file = driver::root().join("fixtures/radius/expected.yaml");
    ends(world, &expectations(&file)[world], &run);
    run
}

fn calls(run: &Rehearsed, file: &str) -> Vec<serde_json::Value> {
    let seen: serde_json::Value = serde_json::from_str(&run.read(file)).expect("it is JSON");
    let calls = seen["calls"].as_array().expect("a list").iter();
    calls.map(|call| call["said"]["radius"].clone()).collect()
}

#[test]
#[ignore = "each night: make test-auth"]
fn a_release_that_leaves_out_the_seal_that_production_asks_for_is_blocked_with_its_name() {
    let run = rehearsed("unsealed");
    let findings = run.result()["findings"].to_string();
    assert!(
        findings.contains("radius answers nothing to Access-Request, asked by desk"),
        "{findings}"
    );
    let asked = calls(&run, "evidence/auth-capability-upgrade-candidate.json");
    let silent = asked.iter().filter(|said| said["sealed"] == false);
    assert!(silent.clone().count() > 0, "{asked:?}");
    for said in silent {
        assert_eq!(said["answer"], serde_json::Value::Null);
        assert_eq!(
            said["attributes"],
            serde_json::json!(["User-Name", "User-Password", "NAS-Identifier"])
        );
    }
}

#[test]
#[ignore = "each night: make test-auth"]
fn its_clean_twin_passes_without_a_warning_also_while_the_product_is_silent() {
    let run = rehearsed("twin");
    let traffic = run.read("evidence/auth-traffic-control-baseline.json");
    for secret in ["between-us-8", "wonderland-11"] {
        assert!(!traffic.contains(secret), "{traffic}");
    }
    let seen = run.read("evidence/auth-faults-faults-candidate.json");
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("it is JSON");
    let tried = seen["trials"].as_array().expect("a list").iter();
    let tried: Vec<&str> = tried.map(|trial| trial["fault"].as_str().expect("a word")).collect();
    assert_eq!(tried, ["outage", "errors"]);
    assert!(
        seen["trials"][0]["ports"].as_str().expect("ports").contains("1812"),
        "{seen}"
    );
    let notes = run.result()["notes"].to_string();
    assert!(
        notes.contains("`reset` is skipped: all that was seen at the fronts is RADIUS"),
        "{notes}"
    );
}
