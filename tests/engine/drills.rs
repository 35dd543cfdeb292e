//! Failures that are made for production's alert rules, on a real engine with the real binary: what `fixtures/ramp`,
//! `fixtures/outage` and `fixtures/leak` promise.

use serde_json::Value;

use crate::driver::{self, Rehearsed};
use crate::worlds::{ends, expectations};

fn rehearsed(folder: &str, world: &str) -> Rehearsed {
    crate::docker::image();
    let run = Rehearsed::world(folder, world);
    let file = driver::root().join("fixtures").join(folder).join("expected.yaml");
    ends(world, &expectations(&file)[world], &run);
    run
}

/// What was said of an alert in a scenario.
fn said(run: &Rehearsed, scenario: &str, alert: &str) -> Value {
    let result = run.result();
    let mut all = result["alerts"].as_array().expect("a list").iter();
    let said = all.find(|one| one["scenario"] == scenario && one["alert"] == alert);
    said.expect("it was asked").clone()
}

#[test]
fn alerts_that_ring_when_a_shop_has_fallen_over_are_blocked_and_a_threshold_is_suggested() {
    let run = rehearsed("ramp", "late");
    for alert in ["ShopFails", "ShopIsFull"] {
        let said = said(&run, "ramp", alert);
        assert_ne!(said["says"], "fires", "{said}");
        assert!(said["first_failure_ms"].is_u64(), "{said}");
        assert!(said["crash_ms"].is_u64(), "{said}");
    }
    let report = run.read("report.html");
    assert!(report.contains("0 s before the first failed request"), "{report}");
    let (config, out) = (
        driver::root().join("fixtures/ramp/late.yaml"),
        run.out.to_str().expect("ours"),
    );
    let config = config.to_str().expect("ours");
    let suggested = driver::end(driver::rehearsal(&[
        "alerts", "suggest", "--config", config, "--out", out,
    ]));
    let new = suggested
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("+        expr: shop_customers > "));
    let threshold: f64 = new
        .unwrap_or_else(|| panic!("{suggested:?}"))
        .parse()
        .expect("a number");
    assert!((9.0..55.0).contains(&threshold), "{suggested:?}");
    // No share of errors is early enough.
    assert_eq!(suggested.code, Some(3), "{suggested:?}");
    assert!(
        suggested
            .stderr
            .contains("ShopFails: 0.9: no threshold tells every failure in time"),
        "{suggested:?}"
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn an_alert_that_rings_while_a_shop_fills_passes() {
    let run = rehearsed("ramp", "twin");
    let said = said(&run, "ramp", "ShopIsFull");
    assert!(said["lead_ms"].as_i64().is_some_and(|lead| lead > 0), "{said}");
    assert!(said["crash_lead_ms"].as_i64() >= said["lead_ms"].as_i64(), "{said}");
}

#[test]
fn an_alert_that_waits_for_ten_minutes_while_a_provider_answers_late_is_blocked() {
    let run = rehearsed("outage", "slow-alert");
    let said = said(&run, "auth-slow", "ProviderIsSlow");
    // The desk waits for four seconds of the five.
    assert!(
        said["first_failure_ms"].as_u64().is_some_and(|first| first >= 3_000),
        "{said}"
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn an_alert_that_rings_when_somebody_waits_for_a_provider_passes() {
    rehearsed("outage", "slow-alert-twin");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn an_alert_that_counts_errors_rings_when_memory_has_run_out_and_is_blocked() {
    let run = rehearsed("leak", "late");
    let said = said(&run, "memory", "ShopRunsOutOfMemory");
    assert!(said["crash_ms"].is_u64() || said["first_failure_ms"].is_u64(), "{said}");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn an_alert_that_rings_while_memory_fills_passes() {
    let run = rehearsed("leak", "twin");
    let said = said(&run, "memory", "ShopRunsOutOfMemory");
    assert_eq!(said["recorded"], true, "{said}");
}
