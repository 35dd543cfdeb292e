//! The lock, on a real engine with the real binary: taken, checked, moved; and what a run makes of one.
//!
//! Production is a handful of containers that each test starts and removes itself, labelled as Compose labels them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::driver::{self, Ended, Rehearsed, end, rehearsal};
use crate::production::Production;
use serde_json::Value;

impl Production {
    fn lock(&self, file: &Path, more: &[&str]) -> Ended {
        end(lock(
            file,
            &[&["--from", "docker", "--project", &self.project], more].concat(),
        ))
    }
}

/// `rehearsal lock`, where no configuration lies.
fn lock(file: &Path, more: &[&str]) -> Command {
    let folder = file.parent().expect("a folder");
    let mut command = rehearsal(&[&["lock", "--out", file.to_str().expect("a path of ours")], more].concat());
    command.current_dir(folder);
    command
}

#[test]
fn a_lock_is_taken_checked_and_seen_to_move() {
    let file = driver::folder("lock/taken").join("production.lock");
    let mut production = Production::of("moved");
    production.start("db", "incident/postgres:15");
    production.start("idp", "incident/provider:1.3.3");

    let taken = production.lock(&file, &[]);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let text = std::fs::read_to_string(&file).expect("it is written");
    for fact in [
        "django-oauth-toolkit: \"1.3.3\"",
        "os: debian 11",
        "openssl: 1.1.1w",
        "glibc: \"2.31\"",
        "python: \"3.9.2\"",
        "postgres: \"15.",
        "digest: \"sha256:",
    ] {
        let bare = fact.replace('"', "");
        assert!(
            text.contains(fact) || text.replace('"', "").contains(&bare),
            "{fact} is not in\n{text}"
        );
    }

    let same = production.lock(&file, &["--check"]);
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), ""), "{}", same.stderr);

    production.stop("idp");
    production.start("idp", "incident/provider:1.7.0");
    let moved = production.lock(&file, &["--check"]);
    assert_eq!(moved.code, Some(1), "{}", moved.stderr);
    assert!(
        moved
            .stdout
            .contains("services.idp.facts.django-oauth-toolkit: was 1.3.3, is 1.7.0"),
        "{}",
        moved.stdout
    );
    assert!(!moved.stdout.contains("services.db"), "{}", moved.stdout);
    assert_eq!(
        std::fs::read_to_string(&file).expect("it is there"),
        text,
        "a check writes nothing"
    );

    production.stop("idp");
    let gone = production.lock(&file, &["--check"]);
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.stdout
            .contains("services.idp.image: was incident/provider:1.3.3, is absent"),
        "{}",
        gone.stdout
    );
}

#[test]
fn a_plain_server_is_read_through_a_command() {
    let file = driver::folder("lock/exec").join("production.lock");
    let mut production = Production::of("exec");
    production.start("server", "incident/provider:1.3.3");
    let place = format!("idp,web=exec:docker exec -i {}", production.name("server"));
    let taken = end(lock(&file, &["--from", &place]));
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let text = std::fs::read_to_string(&file).expect("it is written");
    assert!(
        text.contains("django-oauth-toolkit") && !text.contains("digest") && text.contains("exec docker (idp, web)"),
        "{text}"
    );
    assert_eq!(end(lock(&file, &["--from", &place, "--check"])).code, Some(0));

    let gone = end(lock(
        &file,
        &[
            "--from",
            "web=exec:docker exec -i no-such-container-anywhere",
            "--check",
        ],
    ));
    assert_eq!(gone.code, Some(3), "{}", gone.stderr);
}

#[test]
fn probes_of_a_file_run_on_production_only_when_somebody_says_so() {
    let file = driver::folder("lock/own").join("production.lock");
    let mut production = Production::of("own");
    production.start("web", "incident/shop:1.0");
    let taken = production.lock(
        &file,
        &["--probe", "release=cut -d '\"' -f 2 /srv/shop/built_as.py | head -n 1"],
    );
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert!(
        std::fs::read_to_string(&file)
            .expect("written")
            .contains("release: \"1.0\"")
    );
    let refused = production.lock(&file, &["--check"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("built_as.py") && refused.stderr.contains("--run-probes"),
        "{}",
        refused.stderr
    );
    assert_eq!(production.lock(&file, &["--check", "--run-probes"]).code, Some(0));
}

#[test]
fn a_lock_that_is_not_there_cannot_be_checked() {
    let file = driver::folder("lock/absent").join("production.lock");
    let checked = end(lock(&file, &["--check"]));
    assert_eq!(checked.code, Some(3));
    assert!(checked.stderr.contains("it is not there"), "{}", checked.stderr);
}

/// A run of the smallest world with `lock` for its lock.
fn small(name: &str, lock: Option<&str>, more: &str) -> Rehearsed {
    let folder = driver::folder(&format!("lock/{name}"));
    let config = folder.join("rehearsal.yaml");
    let compose = driver::root().join("fixtures/small/compose.yaml");
    let text = format!(
        "production: {{compose: {}, lock: production.lock, max_lock_age: 7d}}\ncandidate: {{web: {{env: {{RELEASE: \"2\"}}}}}}\n{more}",
        compose.display()
    );
    std::fs::write(&config, text).expect("writable");
    if let Some(lock) = lock {
        std::fs::write(folder.join("production.lock"), lock).expect("writable");
    }
    let out = folder.join("out");
    Rehearsed::of(driver::run(&config, &out), &out)
}

/// Inconclusive with every report, nothing started, and a cause that says `why`.
fn cannot_tell(run: &Rehearsed, why: &str) -> Value {
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    let result = run.result();
    assert_eq!(result["verdict"], "inconclusive");
    let first = &result["findings"][0];
    assert!(
        first["title"].as_str().is_some_and(|title| title.contains(why)),
        "{first}"
    );
    assert!(
        result["lock"]["statement"]
            .as_str()
            .is_some_and(|said| said.contains(why)),
        "{}",
        result["lock"]
    );
    assert_eq!(run.findings(), ["mirror-fidelity"]);
    assert!(run.read("junit.xml").contains("mirror-fidelity") && run.read("summary.md").contains("lock"));
    assert!(
        !PathBuf::from(&run.out).join("logs/control").exists(),
        "something was started"
    );
    result
}

#[test]
fn a_lock_that_is_missing_broken_or_stale_is_inconclusive_and_no_waiver_helps() {
    let waiver = "policy: {waive: [{check: mirror-fidelity, reason: never mind}]}\n";
    cannot_tell(&small("missing", None, waiver), "it is not there");
    cannot_tell(
        &small(
            "broken",
            Some("version: 1\ncaptured: {at: 2026-11-20T09:00:00Z}\nservice: {}\n"),
            "",
        ),
        "unknown key `service`",
    );
    let stale = "version: 1\ncaptured: {at: 2020-01-01T00:00:00Z, from: docker context prod}\nservices: {}\n";
    let result = cannot_tell(&small("stale", Some(stale), waiver), "is stale");
    assert!(
        result["lock"]["age_seconds"]
            .as_u64()
            .is_some_and(|age| age > 86_400 * 365)
    );
    assert_eq!(result["lock"]["source"], "docker context prod");
}
