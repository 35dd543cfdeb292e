//! Who takes new keys and bears clocks that go wrong, on a real engine with the real binary: what `fixtures/rotation` promises.

use serde_json::Value;

use crate::driver::{self, Rehearsed};
use crate::worlds::{ends, expectations};

fn rehearsed(world: &str) -> Rehearsed {
    let run = Rehearsed::world("rotation", world);
    let file = driver::root().join("fixtures/rotation/expected.yaml");
    ends(world, &expectations(&file)[world], &run);
    run
}

#[test]
fn a_release_that_reads_the_keys_once_is_blocked_after_a_rotation() {
    let findings = rehearsed("keys-once").result()["findings"].to_string();
    for says in [
        "its token is not taken, at last it answers 401; to the old one's it answers 200",
        "an untouched baseline passed it 4 of 4 more times",
        "after auth.rotate whoever signs in gets",
        "an untouched baseline passed it 1 of 1 more times",
    ] {
        assert!(findings.contains(says), "{findings}");
    }
}

#[test]
fn a_release_without_leeway_is_blocked_where_production_has_some() {
    let findings = rehearsed("no-leeway").result()["findings"].to_string();
    let says =
        "the candidate bears tokens that ended 0 s ago, desk shop:1.0 55 s ago: smoke / its account answers HTTP 401";
    assert!(findings.contains(says), "{findings}");
}

#[test]
fn their_clean_twin_takes_new_keys_and_passes_without_a_warning() {
    let run = rehearsed("twin");
    for of in ["control-baseline", "faults-candidate"] {
        let seen = run.read(&format!("evidence/auth-rotation-skew-{of}.json"));
        let seen: Value = serde_json::from_str(&seen).expect("it is JSON");
        let number = |list: &str| seen[list].as_array().map(Vec::len);
        // The suite's request and the page behind the sign-in are one: two changes, and four shifts to either side.
        assert_eq!((number("rotation"), number("skew")), (Some(2), Some(8)), "{seen}");
        assert!(seen["rotation"][1]["taken_ms"].is_u64(), "{seen}");
        assert_eq!((number("left"), number("untold")), (Some(0), Some(0)), "{seen}");
        let seen = run.read(&format!("evidence/auth-rotate-{of}.json"));
        let seen: Value = serde_json::from_str(&seen).expect("it is JSON");
        // The old key is gone: whoever was signed in by it is out on both, and somebody signs in anew.
        let is_out = &seen["seen"]["is_signed_in"]["refused"];
        assert!(seen["seen"]["back_ms"].is_u64() && is_out.is_string(), "{seen}");
    }
}
