//! The signed verdict of real runs: which digest it is about, and whether a deploy may rely on it.

use std::path::{Path, PathBuf};

use crate::driver::{self, Ended, Rehearsed, end, rehearsal};
use crate::registry::Registry;

/// A release that is one image.
const BY_IMAGE: &str = "candidate: {web: {image: \"${CANDIDATE}\"}}";

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// A world of one service, with a pair of keys and a lock.
struct World {
    folder: PathBuf,
    registry: Registry,
}

impl World {
    fn of(name: &str, release: &str) -> Self {
        let folder = driver::folder(&format!("signed/{name}"));
        let registry = Registry::open(&folder);
        let digest = registry.push("shop:1");
        let base = format!("{}/shop@{digest}", registry.address);
        let compose =
            format!("services:\n  web: {{image: \"{base}\", command: [sleep, infinity], stop_signal: SIGKILL}}\n");
        let lock = format!(
            "version: 1\ncaptured: {{at: 2026-01-01T00:00:00Z, from: docker context prod}}\n\
             services:\n  web: {{image: \"{base}\", digest: \"{digest}\"}}\n"
        );
        let config = format!(
            "production: {{compose: compose.yaml, lock: production.lock, max_lock_age: 3650d}}\n{release}\n\
             suites:\n  smoke: {{service: web, exec: [{{name: it is there, command: [\"true\"]}}]}}\n\
             timeout: 2m\n"
        );
        for (name, text) in [
            ("compose.yaml", &*compose),
            ("production.lock", &lock),
            ("rehearsal.yaml", &config),
        ] {
            std::fs::write(folder.join(name), text).expect("the folder is ours");
        }
        let made = end(rehearsal(&["keygen", "--out", shown(&folder.join("rehearsal"))]));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        Self { folder, registry }
    }

    fn rehearse(&self, candidate: &str) -> Rehearsed {
        let out = self.folder.join("out");
        let mut command = driver::run(&self.folder.join("rehearsal.yaml"), &out);
        command.args(["--key", shown(&self.folder.join("rehearsal.key"))]);
        command.env("CANDIDATE", candidate);
        command.env("DOCKER_CONFIG", self.registry.config("nobody", None));
        Rehearsed::of(command, &out)
    }

    fn verify(&self, image: &str) -> Ended {
        let file = |name: &str| self.folder.join(name);
        let [key, bundle, lock, config] = [
            "rehearsal.pub",
            "out/verdict.sigstore.json",
            "production.lock",
            "rehearsal.yaml",
        ]
        .map(file);
        let mut arguments = vec![
            "verify",
            image,
            "--key",
            shown(&key),
            "--bundle",
            shown(&bundle),
            "--strict",
        ];
        arguments.extend(["--lock", shown(&lock), "--config", shown(&config)]);
        end(rehearsal(&arguments))
    }
}

#[test]
fn what_was_pushed_by_digest_is_deployed_by_that_digest() {
    let world = World::of("pushed", BY_IMAGE);
    let digest = world.registry.push("shop:2");
    let image = format!("{}/shop@{digest}", world.registry.address);
    let rehearsed = world.rehearse(&image);
    assert_eq!(rehearsed.ended.code, Some(0), "{}", rehearsed.ended.stderr);
    assert_eq!(rehearsed.result()["candidate"][0]["pushed"], image.as_str());
    let stands = world.verify(&image);
    assert_eq!(stands.code, Some(0), "{}", stands.stderr);
    assert!(stands.stdout.contains(&image), "{}", stands.stdout);

    let other = format!("{}/shop@sha256:{}", world.registry.address, "0".repeat(64));
    assert_eq!(world.verify(&other).code, Some(1));
    std::fs::write(world.folder.join("rehearsal.yaml"), "production: {}\n").expect("ours");
    let changed = world.verify(&image);
    assert_eq!(changed.code, Some(1), "{}", changed.stderr);
    assert!(
        changed.stderr.contains("with another configuration"),
        "{}",
        changed.stderr
    );
}

#[test]
fn what_was_never_pushed_is_not_deployed() {
    let world = World::of("unpushed", BY_IMAGE);
    let image = format!("{}/shop:2", world.registry.address);
    world.registry.make(&image);
    let rehearsed = world.rehearse(&image);
    assert_eq!(rehearsed.ended.code, Some(0), "{}", rehearsed.ended.stderr);
    let result = rehearsed.result();
    let id = result["candidate"][0]["digest"].as_str().expect("the image's own id");
    assert!(result["candidate"][0].get("pushed").is_none(), "{result}");
    let refused = world.verify(&format!("shop@{id}"));
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("push by digest before the rehearsal"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_name_that_is_pulled_anew_is_signed_by_what_was_pulled() {
    let world = World::of("moved", "release: {compose: [next.yaml]}");
    let tag = format!("{}/shop:2", world.registry.address);
    let old = world.registry.push("shop:2");
    let new = world.registry.push("shop:3");
    let by_digest = |digest: &str| format!("{}/shop@{digest}", world.registry.address);
    // The registry's tag is the new one's by now, and the engine's is still the old one's.
    for digest in [&new, &old] {
        world.registry.docker(&["pull", "--quiet", &by_digest(digest)]);
        world.registry.docker(&["tag", &by_digest(digest), &tag]);
        if digest == &new {
            world.registry.docker(&["push", "--quiet", &tag]);
        }
    }
    let compose = std::fs::read_to_string(world.folder.join("compose.yaml")).expect("ours");
    let (before, after) = compose.split_once("command").expect("it has one");
    let (before, _) = before.split_once("image").expect("it has one");
    let next = format!("{before}image: \"{tag}\", pull_policy: always, command{after}");
    std::fs::write(world.folder.join("next.yaml"), next).expect("ours");
    let rehearsed = world.rehearse("");
    assert_eq!(rehearsed.ended.code, Some(0), "{}", rehearsed.ended.stderr);
    let refused = world.verify(&by_digest(&old));
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    let stands = world.verify(&by_digest(&new));
    assert_eq!(stands.code, Some(0), "{}", stands.stderr);
}
