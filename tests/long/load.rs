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
