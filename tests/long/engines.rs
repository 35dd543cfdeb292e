//! `make test-engines`, engines other than this machine's own: Docker 28, as on another machine and with containerd's way of
//! keeping images, over TLS and over SSH with Docker's own way; and Podman, as root's and as a user's, to which all images
//! must be copied once more.
//!
//! Docker 28 runs in a container, of which there is one at a time. It has the machine's version 1 of cgroups, so version
//! 2 is not tried here.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::driver::{self, Running};
use crate::other_engine::{Docker28, IMAGES, kill, podman, podman_without_root, script, text};
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
fn podman_without_root_tells_the_incident_from_its_twin() {
    let _turn = Turn::wait();
    let engine = podman_without_root(&IMAGES);
    engine.tells_the_incident_from_its_twin("4.");
    engine.has_nothing_of_a_killed_gate();
}

#[test]
fn podman_tells_the_incident_from_its_twin() {
    let _turn = Turn::wait();
    let engine = podman(driver::folder("engines/podman"), &[], &IMAGES);
    engine.tells_the_incident_from_its_twin("4.");
    engine.has_no_way_out(false);
    engine.opens_a_host_by_name();
    engine.has_nothing_of_a_killed_gate();
}

#[test]
fn docker_28_is_reached_over_tls_by_who_may() {
    let _turn = Turn::wait();
    let folder = driver::folder("engines/tls");
    script("tools.sh", &["openssl"]);
    script("engines/certificates.sh", &[text(&folder)]);
    let tls = "--tlsverify --tlscacert /etc/docker/tls/ca.pem --tlscert /etc/docker/tls/cert.pem --tlskey /etc/docker/tls/key.pem";
    let options: Vec<&str> = tls.split(' ').collect();
    let docker = Docker28::start("tls", folder.clone(), &options);
    let host = format!("tcp://127.0.0.1:{}", docker.port);
    let certificates = folder.join("client");
    let mut engine = docker.reached_by(vec![
        ("DOCKER_HOST", host),
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        ("DOCKER_CERT_PATH", text(&certificates).to_owned()),
    ]);
    let passed = engine.rehearse("small/rehearsal.yaml", "small");
    assert_eq!(passed.ended.code, Some(0), "{}", passed.ended.stderr);
    engine.has_nothing_of_a_killed_gate();
    // Somebody else's authority: neither side may trust the other.
    let others = folder.join("others");
    script("engines/certificates.sh", &[text(&others)]);
    engine.variables[2].1 = text(&others.join("client")).to_owned();
    let refused = engine.rehearse("small/rehearsal.yaml", "refused");
    assert_eq!(refused.ended.code, Some(3), "{}", refused.ended.stderr);
    let words = refused.ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("no container engine answers at `tcp://127.0.0.1:"),
        "{words}"
    );
    assert!(words.contains("certificate"), "{words}");
}

/// A folder with an `ssh` that reads its own configuration: who runs the test has one that is none of ours.
fn ssh_of_its_own(folder: &Path) {
    script("tools.sh", &["ssh"]);
    for name in ["ssh", "bin"] {
        std::fs::create_dir_all(folder.join(name)).expect("the folder is ours");
    }
    let key = folder.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", text(&key)])
        .status()
        .expect("ssh-keygen is there");
    assert!(made.success());
    std::fs::copy(folder.join("key.pub"), folder.join("ssh/authorized_keys")).expect("the key is there");
    let config = format!(
        "IdentityFile {0}/key\nIdentitiesOnly yes\nUserKnownHostsFile {0}/known_hosts\nStrictHostKeyChecking yes\n",
        folder.display()
    );
    std::fs::write(folder.join("config"), config).expect("the folder is ours");
    let real = std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))
        .map(|folder| folder.join("ssh"))
        .find(|file| file.exists())
        .expect("ssh is there");
    let real = real.display();
    let wrapper = format!("#!/bin/sh\nexec {real} -F '{}/config' \"$@\"\n", folder.display());
    let file = folder.join("bin/ssh");
    std::fs::write(&file, wrapper).expect("the folder is ours");
    let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, runs).expect("the file is ours");
}

#[test]
fn docker_28_is_reached_over_ssh_where_its_host_is_known() {
    let _turn = Turn::wait();
    let folder = driver::folder("engines/ssh");
    ssh_of_its_own(&folder);
    let docker = Docker28::start("ssh", folder.clone(), &[]);
    let path = std::env::var("PATH").expect("a PATH");
    let port = docker.ssh.clone();
    let engine = docker.reached_by(vec![
        ("DOCKER_HOST", format!("ssh://root@127.0.0.1:{port}")),
        ("PATH", format!("{}:{path}", folder.join("bin").display())),
    ]);
    let refused = engine.rehearse("small/rehearsal.yaml", "unknown");
    assert_eq!(refused.ended.code, Some(3), "{}", refused.ended.stderr);
    let words = refused.ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Host key verification failed"), "{words}");
    let keys = Command::new("ssh-keyscan")
        .args(["-p", &port, "127.0.0.1"])
        .output()
        .expect("ssh-keyscan is there");
    std::fs::write(folder.join("known_hosts"), keys.stdout).expect("the folder is ours");
    engine.tells_the_incident_from_its_twin("28.");
    engine.builds_what_buildkit_can();
    engine.has_nothing_of_a_killed_gate();
}

/// In the first seconds of either swap, when the engine's answers are what everything hangs on.
#[test]
fn an_engine_that_ends_during_a_swap_is_nobodys_fault() {
    let _turn = Turn::wait();
    for stage in ["upgrade", "rollback"] {
        let docker = Docker28::start(stage, driver::folder(&format!("engines/ends-{stage}")), &[]);
        let killed = docker.name.clone();
        let host = format!("tcp://127.0.0.1:{}", docker.port);
        let engine = docker.reached_by(vec![("DOCKER_HOST", host)]);
        let (command, out) = engine.command("small/rehearsal.yaml", "run");
        let mut running = Running::start(command, &out);
        running
            .until(|event| event["event"] == "step-started" && event["stage"] == stage && event["step"] == "swap web");
        kill(&killed);
        assert_eq!(running.end(), Some(3), "{stage}");
        let result: Value = serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
        let findings = result["findings"].as_array().unwrap();
        assert!(
            findings
                .iter()
                .all(|finding| finding["severity"] != "error" || finding["blame"] != "candidate"),
            "{findings:?}"
        );
        let cause = result["cause"].as_str().unwrap();
        assert!(
            cause.contains("the agent is gone") || cause.contains("engine"),
            "{cause}"
        );
    }
}
