//! Engines other than this machine's own: Docker 28 as on another machine, over TCP, TLS and SSH, with either way of
//! keeping images, and Podman, as root's and as a user's. On each, the incident is blocked, its clean twin passes, and a
//! killed gate leaves nothing.
//!
//! Docker 28 runs in a container, of which there is one at a time. It has the machine's version 1 of cgroups, so version
//! 2 is not tried here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::driver;
use crate::other_engine::{Engine, IMAGES, podman, podman_without_root, script, text};
use crate::slot::Turn;

impl Engine {
    /// Every way out is refused; a raw address is heard, or it is said that it cannot be.
    fn has_no_way_out(&self, raw_is_heard: bool) {
        let tried = self.rehearse("incident/phones-home.yaml", "phones-home");
        assert_eq!(tried.ended.code, Some(0), "{}", tried.ended.stderr);
        let log = tried.read("logs/upgrade/web.log");
        assert_eq!(log.matches(" s, refused: ").count(), 6, "{log}");
        let result = tried.result();
        let heard = result["findings"].to_string().contains("tried to reach 203.0.113.9:80");
        let said = result["notes"].to_string().contains("are refused but not heard");
        assert_eq!((heard, said), (raw_is_heard, !raw_is_heard), "{}", result["notes"]);
    }

    /// A host that is open by name is reached by it, and is no finding. Nobody answers behind the door here.
    fn opens_a_host_by_name(&self) {
        let folder = driver::root().join("fixtures/incident");
        let world = std::fs::read_to_string(folder.join("phones-home.yaml")).expect("the world is there");
        let there = |word: &str| format!("{word}: {}/", folder.display());
        let world = world
            .replace("compose: compose.yaml", &format!("{}compose.yaml", there("compose")))
            .replace("compose: worlds/", &format!("{}worlds/", there("compose")))
            .replace("env_file: ", &there("env_file"))
            .replace("lock: ", &there("lock"));
        let file = self.folder.join("open.yaml");
        let policy = "\npolicy: {allow_egress: [api.example.net]}\n";
        std::fs::write(&file, world + policy).expect("the folder is ours");
        let opened = self.rehearse(text(&file), "open");
        assert_eq!(opened.ended.code, Some(0), "{}", opened.ended.stderr);
        let log = opened.read("logs/upgrade/web.log");
        let reached = |line: &&str| line.contains("way out, ") && line.ends_with(" s, reached");
        let ways: Vec<&str> = log.lines().filter(reached).collect();
        assert!(ways.len() == 1 && ways[0].contains("tcp by name"), "{log}");
        let result = opened.result();
        assert!(!result["findings"].to_string().contains("api.example.net"), "{result}");
        assert!(
            result["notes"]
                .to_string()
                .contains("`api.example.net` is open to the mirror"),
            "{result}"
        );
    }
}

/// Docker 28 in its container, and its two ports.
struct Docker28 {
    name: String,
    folder: PathBuf,
    port: String,
    ssh: String,
}

impl Drop for Docker28 {
    fn drop(&mut self) {
        script("engines/docker-28.sh", &["stop", &self.name]);
    }
}

impl Docker28 {
    fn start(test: &str, folder: PathBuf, options: &[&str]) -> Self {
        let name = format!("rehearsal-test-docker-28-{test}");
        script("busybox.sh", &[]);
        let ports = script(
            "engines/docker-28.sh",
            &[&["start", &name, text(&folder)], options].concat(),
        );
        let [port, ssh] = ports.try_into().expect("two ports");
        let engine = Self {
            name,
            folder,
            port,
            ssh,
        };
        script("engines/docker-28.sh", &[&["load", &engine.name], &IMAGES[..]].concat());
        engine
    }

    fn reached_by(self, variables: Vec<(&'static str, String)>) -> Engine {
        Engine {
            variables,
            look: vec!["exec".to_owned(), self.name.clone(), "docker".to_owned()],
            folder: self.folder.clone(),
            end: Box::new(move || {
                let _lives_as_long = &self;
            }),
        }
    }
}

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
fn podman_without_root_performs_an_upgrade() {
    let _turn = Turn::wait();
    let engine = podman_without_root(&["rehearsal-test/busybox:1"]);
    let passed = engine.rehearse("small/rehearsal.yaml", "small");
    assert_eq!(passed.ended.code, Some(0), "{}", passed.ended.stderr);
}
