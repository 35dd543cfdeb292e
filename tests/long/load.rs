//! `make test-load`: thresholds against production's release, on a real engine. Each run takes minutes by its nature, and
//! needs a machine that does nothing else: where that is not so, it rightly says that nobody can tell.

use serde_json::Value;

use crate::driver::{self, Rehearsed};
use crate::slot::Alone;

/// Runs a world of `fixtures/worlds/load`.
fn rehearsed(name: &str) -> Rehearsed {
    let _alone = Alone::wait();
    let world = driver::root().join("fixtures/worlds/load").join(name);
    let out = driver::folder(&format!("load/{name}"));
    crate::docker::image();
    Rehearsed::beside(driver::run(&world.with_extension("yaml"), &out), &out)
}

fn row(run: &Rehearsed) -> Value {
    run.result()["slowdowns"][0].clone()
}

#[test]
fn a_release_that_is_slower_than_production_beside_it_and_again_when_restarted_is_blocked() {
    let run = rehearsed("slower");
    assert_eq!(run.findings(), ["slowdown"], "{}", run.ended.stderr);
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    let row = row(&run);
    assert_eq!(row["answer"], "beyond", "{row}");
    let slower = row["value"].as_f64().unwrap();
    assert!((0.4..0.8).contains(&slower), "{row}");
}

#[test]
fn a_release_that_is_as_fast_as_production_beside_it_passes() {
    let run = rehearsed("slower-twin");
    assert_eq!(run.findings(), [""; 0], "{}", run.ended.stderr);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let row = row(&run);
    assert_eq!(row["answer"], "within", "{row}");
    assert!(row["caught"].as_f64().unwrap() < 0.2, "{row}");
}

/// What is recorded of the releases' capacity.
fn capacity(run: &Rehearsed) -> Value {
    run.result()["capacity"].clone()
}

fn bears(capacity: &Value, who: &str) -> f64 {
    capacity[who]["held"].as_f64().unwrap_or_else(|| panic!("{capacity}"))
}

#[test]
fn a_release_that_bears_less_than_production_beside_it_and_again_when_restarted_is_a_warning() {
    let run = rehearsed("less");
    assert_eq!(run.findings(), ["capacity"], "{}", run.ended.stderr);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let capacity = capacity(&run);
    assert_eq!(capacity["answer"], "lower", "{capacity}");
    let share = bears(&capacity, "candidate") / bears(&capacity, "baseline");
    assert!((0.25..0.6).contains(&share), "{capacity}");
    for who in ["baseline", "candidate"] {
        let ran_out = (&capacity[who]["ran_out"], &capacity[who]["ran_out_of"]);
        assert_eq!(ran_out, (&"cpu-limit".into(), &"web".into()), "{capacity}");
    }
    let line = format!(
        "{:.0} → {:.0} requests a second",
        bears(&capacity, "baseline"),
        bears(&capacity, "candidate")
    );
    assert!(run.ended.stderr.contains(&line), "{line}: {}", run.ended.stderr);
}

#[test]
fn a_release_that_bears_as_much_as_production_beside_it_is_not_warned_of() {
    let run = rehearsed("less-twin");
    assert_eq!(run.findings(), [""; 0], "{}", run.ended.stderr);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let capacity = capacity(&run);
    assert!(
        bears(&capacity, "baseline") > 0.0 && bears(&capacity, "candidate") > 0.0,
        "{capacity}"
    );
}
