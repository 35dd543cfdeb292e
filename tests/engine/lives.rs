//! How containers live that no test asks, in worlds that end as they must.

use crate::driver::{self, Rehearsed};
use crate::worlds;

/// Runs a world of `fixtures/worlds/lives`.
fn ends_as_expected(name: &str) {
    let folder = driver::root().join("fixtures/worlds/lives");
    let expected = worlds::expectations(&folder.join("expected.yaml")).remove(name);
    let out = driver::folder(&format!("lives/{name}"));
    crate::docker::image();
    let run = Rehearsed::of(driver::run(&folder.join(name).with_extension("yaml"), &out), &out);
    worlds::ends(name, &expected.expect("it is in expected.yaml"), &run);
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_worker_that_nothing_tests_is_found_where_there_is_no_way_back() {
    ends_as_expected("forward-only");
}

#[test]
fn a_clean_release_of_which_there_is_no_way_back_passes_without_a_warning() {
    ends_as_expected("forward-only-twin");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_worker_that_ends_and_comes_back_in_both_releases_passes() {
    ends_as_expected("recycles");
}

#[test]
fn a_worker_that_stays_and_ends_again_and_again_beside_the_candidate_blocks_it() {
    ends_as_expected("beside");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn an_old_worker_that_dies_of_what_the_new_one_left_is_no_way_back() {
    ends_as_expected("no-way-back");
}
