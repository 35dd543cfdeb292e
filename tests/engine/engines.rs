//! Engines other than this machine's own: on Docker 28, as on another machine and with containerd's way of keeping images,
//! the incident is blocked, its clean twin passes, images are built, and a killed gate leaves nothing; Podman without root performs an
//! upgrade. `make test-engines` has the other ways to reach them, and the rest on Podman.
//!
//! Docker 28 runs in a container, of which there is one at a time. It has the machine's version 1 of cgroups, so version
//! 2 is not tried here.

use crate::driver;
use crate::other_engine::{Docker28, podman_without_root};
use crate::slot::Turn;

#[test]
fn docker_28_with_containerds_images_over_tcp_tells_the_incident_from_its_twin() {
    let _turn = Turn::wait();
    // New installations keep images this way; the other tests have Docker's own store.
    let options = ["--feature", "containerd-snapshotter"];
    let docker = Docker28::start("tcp", driver::folder("engines/tcp"), &options);
    let host = format!("tcp://127.0.0.1:{}", docker.port);
    let engine = docker.reached_by(vec![("DOCKER_HOST", host)]);
    engine.tells_the_incident_from_its_twin("28.");
    engine.has_no_way_out(true);
    engine.opens_a_host_by_name();
    engine.builds_what_buildkit_can();
    engine.has_nothing_of_a_killed_gate();
}

#[test]
fn podman_without_root_performs_an_upgrade() {
    let _turn = Turn::wait();
    let engine = podman_without_root(&["rehearsal-test/busybox:1"]);
    let passed = engine.rehearse("small/rehearsal.yaml", "small");
    assert_eq!(passed.ended.code, Some(0), "{}", passed.ended.stderr);
}
