//! What a release asks of a real directory, on a real engine with the real binary: what `fixtures/directory` promises.

use crate::driver::{self, Rehearsed};
use crate::worlds::{ends, expectations};

fn rehearsed(world: &str) -> Rehearsed {
    let run = Rehearsed::world("directory", world);
    let file = driver::root().join("fixtures/directory/expected.yaml");
    ends(world, &expectations(&file)[world], &run);
    run
}

#[test]
#[ignore = "each night: make test-auth"]
fn a_release_that_sends_passwords_in_the_clear_is_blocked() {
    let run = rehearsed("in-the-clear");
    let evidence = run.result()["findings"][0]["evidence"].to_string();
    assert!(
        evidence.contains("an untouched baseline passed it 4 of 4 more times"),
        "{evidence}"
    );
    // What is read along keeps no values.
    let seen = run.read("evidence/auth-directory-upgrade-candidate.json");
    assert!(!seen.contains("alice") && !seen.contains("dc=example"), "{seen}");
}

#[test]
#[ignore = "each night: make test-auth"]
fn its_clean_twin_turns_to_tls_as_before_and_passes_without_a_warning() {
    rehearsed("twin");
}

#[test]
#[ignore = "each night: make test-auth"]
fn a_release_that_follows_no_groups_within_groups_is_blocked() {
    rehearsed("direct-groups");
}

#[test]
#[ignore = "each night: make test-auth"]
fn its_clean_twin_follows_them_as_before() {
    rehearsed("groups-twin");
}

#[test]
#[ignore = "each night: make test-auth"]
fn a_directory_that_takes_no_password_in_the_clear_any_more_is_blocked_by_its_own_word() {
    rehearsed("needs-tls");
}

#[test]
#[ignore = "each night: make test-auth"]
fn a_directory_that_shows_entries_to_strangers_is_blocked() {
    rehearsed("shows-strangers");
}

#[test]
#[ignore = "each night: make test-auth"]
fn their_clean_twin_asks_for_tls_of_whom_it_never_was_without() {
    rehearsed("directory-twin");
}
