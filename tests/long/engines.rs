//! `make test-engines`: an engine that all images must be copied to once more.

use crate::other_engine::{IMAGES, podman_without_root};
use crate::slot::Turn;

#[test]
fn podman_without_root_tells_the_incident_from_its_twin() {
    let _turn = Turn::wait();
    let engine = podman_without_root(&IMAGES);
    engine.tells_the_incident_from_its_twin("4.");
    engine.has_nothing_of_a_killed_gate();
}
