//! Releases under load, in worlds that end as they must however fast the machine is.

use crate::driver::{self, Rehearsed};
use crate::worlds;

/// Runs a world of `fixtures/worlds/load`.
fn ends_as_expected(name: &str) -> Rehearsed {
    let folder = driver::root().join("fixtures/worlds/load");
    let expected = worlds::expectations(&folder.join("expected.yaml")).remove(name);
    let out = driver::folder(&format!("load/{name}"));
    crate::docker::image();
    let run = Rehearsed::of(driver::run(&folder.join(name).with_extension("yaml"), &out), &out);
    worlds::ends(name, &expected.expect("it is in expected.yaml"), &run);
    run
}

#[test]
fn a_release_that_answers_far_too_late_under_load_is_blocked() {
    let run = ends_as_expected("slow");
    let result = run.result();
    let candidate = &result["load"][1];
    assert_eq!(
        (&candidate["stage"], &candidate["planned"]),
        (&"load".into(), &240.into())
    );
    assert_eq!(candidate["limits"][0]["answer"], "beyond");
    let median = candidate["latency"][0]["latency_us"].as_u64().unwrap();
    assert!(median > 4_000_000, "{median}");
}

#[test]
fn a_release_that_keeps_its_thresholds_under_load_passes() {
    let run = ends_as_expected("slow-twin");
    let result = run.result();
    let answers = result["load"][1]["limits"].as_array().unwrap().iter();
    let answers: Vec<&str> = answers.filter_map(|limit| limit["answer"].as_str()).collect();
    assert_eq!(answers, ["within", "within"]);
}
