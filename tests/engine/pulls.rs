//! Pulls, on a real engine from a real registry: once, by digest, several at the same time, with credentials; and
//! what a run says where an image cannot be had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::driver::{self, Rehearsed, events};
use crate::registry::{Ear, Gate, Registry, answer, config_for};
use crate::slot::Alone;
use serde_json::Value;

/// Writes a world of services of these images; `more` is put below each service.
fn world(folder: &Path, images: &BTreeMap<&str, String>, more: &str, lock: Option<&str>) -> PathBuf {
    let services: String = images
        .iter()
        .map(|(name, image)| {
            format!("  {name}: {{image: \"{image}\", command: [sleep, infinity], stop_signal: SIGKILL{more}}}\n")
        })
        .collect();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("the folder is ours");
    write("compose.yaml", &format!("services:\n{services}"));
    let named = lock.map_or("", |text| {
        write("production.lock", text);
        ", lock: production.lock, max_lock_age: 3650d"
    });
    let config = format!(
        "production: {{compose: compose.yaml{named}}}\n\
         candidate:\n  web: {{env: {{RELEASE: \"2\"}}}}\n\
         suites:\n  smoke: {{service: web, exec: [{{name: it is there, command: [\"true\"]}}]}}\n\
         timeout: 2m\n"
    );
    write("rehearsal.yaml", &config);
    folder.join("rehearsal.yaml")
}

/// A lock that has this digest of `web`.
fn locked(image: &str, digest: &str) -> String {
    format!(
        "version: 1\ncaptured: {{at: 2026-01-01T00:00:00Z, from: docker context prod}}\n\
         services:\n  web: {{image: \"{image}\", digest: \"{digest}\"}}\n"
    )
}

/// Runs it, logged in as in this `DOCKER_CONFIG`.
fn rehearse(folder: &Path, config: &Path, logins: &Path) -> Rehearsed {
    let out = folder.join("out");
    let mut command = driver::run(config, &out);
    command.env("DOCKER_CONFIG", logins);
    Rehearsed::of(command, &out)
}

/// A run whose verdict is inconclusive because of one image, and what it says of it.
fn cannot_have(rehearsed: &Rehearsed, image: &str, title: &str) -> Value {
    let result = rehearsed.result();
    assert_eq!(rehearsed.ended.code, Some(3), "{}", rehearsed.ended.stderr);
    let findings = result["findings"].as_array().expect("a list");
    let named: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["title"].as_str().is_some_and(|text| text.contains(image)))
        .collect();
    assert_eq!(named.len(), 1, "{findings:?}");
    let told = named[0]["title"].as_str().expect("text");
    assert!(told.contains(title), "{told}");
    assert_eq!(named[0]["check"], "control");
    named[0].clone()
}

fn pulls(rehearsed: &Rehearsed, state: &str) -> Vec<String> {
    let pulls = events(&rehearsed.out);
    let pulls = pulls
        .iter()
        .filter(|event| event["event"] == "pull" && event["state"] == state);
    pulls
        .map(|event| event["image"].as_str().expect("text").to_owned())
        .collect()
}

/// How many pulls were told to have begun and not to have ended, at most.
fn most_under_way(rehearsed: &Rehearsed) -> usize {
    let (mut under_way, mut most) = (0_usize, 0);
    for event in events(&rehearsed.out).iter().filter(|event| event["event"] == "pull") {
        match event["state"].as_str() {
            Some("begins") => under_way += 1,
            Some("done" | "failed") => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    most
}

fn one(image: String) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("web", image)])
}

/// No file of a run's folder holds a text, nor does what the terminal was told.
fn is_nowhere(rehearsed: &Rehearsed, text: &str) {
    let mut folders = vec![rehearsed.out.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("ours") {
            let path = entry.expect("ours").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = std::fs::read(&path).expect("ours");
            assert!(!String::from_utf8_lossy(&content).contains(text), "{}", path.display());
        }
    }
    assert!(!rehearsed.ended.stderr.contains(text), "{}", rehearsed.ended.stderr);
}

#[test]
fn images_that_several_need_are_pulled_once_and_side_by_side() {
    let folder = driver::folder("pulls/once");
    let registry = Registry::open(&folder);
    let (gate, alone) = (Gate::of(3), Arc::new(AtomicBool::new(false)));
    let (at_gate, was_alone) = (gate.clone(), alone.clone());
    let ear = Ear::before(
        &registry,
        Box::new(move |line| {
            let repository = line
                .split("/manifests/")
                .next()
                .filter(|_| line.contains("/manifests/"))?;
            let repository = repository.rsplit('/').next()?;
            if !at_gate.wait(repository) {
                was_alone.store(true, Ordering::Relaxed);
            }
            None
        }),
    );
    for name in ["a:1", "b:1", "c:1", "d:1", "e:1"] {
        registry.push(name);
    }
    let image = |name: &str| format!("{}/{name}", ear.address);
    let images = BTreeMap::from([
        ("web", image("a:1")),
        ("worker", image("a:1")),
        ("store", image("b:1")),
        ("idp", image("c:1")),
        ("mail", image("d:1")),
        ("queue", image("e:1")),
    ]);
    let config = world(&folder, &images, "", None);
    let rehearsed = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(rehearsed.ended.code, Some(0), "{}", rehearsed.ended.stderr);
    assert!(
        !alone.load(Ordering::Relaxed),
        "three pulls were never under way at once"
    );

    let mut begun = pulls(&rehearsed, "begins");
    begun.sort();
    assert_eq!(begun, ["a:1", "b:1", "c:1", "d:1", "e:1"].map(image));
    assert_eq!(pulls(&rehearsed, "done").len(), 5);
    assert_eq!((ear.most_at_once(), most_under_way(&rehearsed)), (3, 3));
    let tagged = ear.manifests();
    for name in ["a", "b", "c", "d", "e"] {
        let asked = tagged
            .iter()
            .filter(|line| line.ends_with(&format!("/{name}/manifests/1")))
            .count();
        assert_eq!(asked, 1, "{tagged:?}");
    }

    let plan: Value = serde_json::from_str(&rehearsed.read("plan.json")).expect("JSON");
    let first = &plan["images"][0];
    assert_eq!(
        (&first["had"], &first["image"]),
        (&"pull".into(), &image("c:1").into()),
        "{plan}"
    );
    assert!(
        rehearsed
            .ended
            .stderr
            .contains(&format!("{}  for web, worker  is pulled now", image("a:1"))),
        "{}",
        rehearsed.ended.stderr
    );

    // The second time everything is there.
    let again = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(again.ended.code, Some(0), "{}", again.ended.stderr);
    assert_eq!(pulls(&again, "begins"), Vec::<String>::new());
    assert_eq!(ear.manifests(), tagged);
}

#[test]
fn what_needs_a_login_is_pulled_with_it_and_refused_without() {
    let folder = driver::folder("pulls/login");
    let registry = Registry::closed(&folder, "joe:the horse's staple");
    registry.push("shop:1");
    let image = format!("{}/shop:1", registry.address);
    let config = world(&folder, &one(image.clone()), "", None);

    let without = rehearse(&folder, &config, &registry.config("nobody", None));
    let finding = cannot_have(&without, &image, "the registry refuses it");
    let help = finding["help"].as_str().expect("text");
    assert!(help.contains("no credentials were found"), "{help}");

    let wrong = registry.config("wrong", Some("joe:a wrong password"));
    let refused = rehearse(&folder, &config, &wrong);
    let finding = cannot_have(&refused, &image, "the registry refuses it");
    let help = finding["help"].as_str().expect("text");
    assert!(help.contains(wrong.to_str().expect("a path of ours")), "{help}");
    assert_eq!(pulls(&refused, "again"), Vec::<String>::new());
    is_nowhere(&refused, "a wrong password");

    let with = rehearse(
        &folder,
        &config,
        &registry.config("joe", Some("joe:the horse's staple")),
    );
    assert_eq!(with.ended.code, Some(0), "{}", with.ended.stderr);
    assert_eq!(pulls(&with, "done"), [image]);
    is_nowhere(&with, "horse's staple");
}

#[test]
fn a_credential_helper_is_asked_and_one_that_fails_is_named() {
    let folder = driver::folder("pulls/helper");
    let registry = Registry::closed(&folder, "robot:kept elsewhere");
    registry.push("shop:1");
    let image = format!("{}/shop:1", registry.address);
    let config = world(&folder, &one(image.clone()), "", None);
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs).expect("ours");
    let helper = |name: &str, script: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = programs.join(format!("docker-credential-{name}"));
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("ours");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("ours");
    };
    helper(
        "test",
        &format!(
            "read -r server || true\n[ \"$1 $server\" = 'get {}' ] || {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
             echo '{{\"ServerURL\": \"x\", \"Username\": \"robot\", \"Secret\": \"kept elsewhere\"}}'",
            registry.address
        ),
    );
    helper("locked", "echo 'the keychain is locked'\nexit 1");
    let logins = |name: &str, content: Value| {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("ours");
        std::fs::write(folder.join("config.json"), content.to_string()).expect("ours");
        folder
    };
    let run = |logins: &Path| {
        let out = folder.join("out");
        let mut command = driver::run(&config, &out);
        let path = std::env::var("PATH").expect("set");
        command
            .env("DOCKER_CONFIG", logins)
            .env("PATH", format!("{}:{path}", programs.display()));
        Rehearsed::of(command, &out)
    };

    let missing = run(&logins("missing", serde_json::json!({"credsStore": "nowhere"})));
    let finding = cannot_have(&missing, &image, "its credentials could not be read");
    let cause = finding["cause"].as_str().expect("text");
    assert!(cause.contains("docker-credential-nowhere"), "{cause}");

    let locked = run(&logins("locked", serde_json::json!({"credsStore": "locked"})));
    let finding = cannot_have(&locked, &image, "its credentials could not be read");
    let cause = finding["cause"].as_str().expect("text");
    assert!(cause.contains("the keychain is locked"), "{cause}");

    let helpers = serde_json::json!({"credHelpers": {registry.address.clone(): "test"}});
    let with = run(&logins("test", helpers));
    assert_eq!(with.ended.code, Some(0), "{}", with.ended.stderr);
    assert_eq!(pulls(&with, "done"), [image]);
    is_nowhere(&with, "kept elsewhere");
}

#[test]
fn what_the_registry_has_not_is_named_and_asked_for_once() {
    let folder = driver::folder("pulls/missing");
    let registry = Registry::open(&folder);
    registry.push("shop:1");
    let ear = Ear::before(&registry, Box::new(|_| None));
    let images = BTreeMap::from([
        ("web", format!("{}/shop:2", ear.address)),
        ("idp", format!("{}/nothing:1", ear.address)),
    ]);
    let config = world(&folder, &images, "", None);
    let rehearsed = rehearse(&folder, &config, &registry.config("nobody", None));
    // One run tells everything that is missing.
    for image in images.values() {
        let finding = cannot_have(&rehearsed, image, "the registry has no such image or tag");
        let cause = finding["cause"].as_str().expect("text");
        assert!(cause.contains("manifest unknown"), "{cause}");
    }
    assert_eq!(pulls(&rehearsed, "again"), Vec::<String>::new());
    assert_eq!(pulls(&rehearsed, "failed").len(), 2);
}

#[test]
fn other_tags_that_the_engine_has_are_named() {
    crate::docker::image();
    let folder = driver::folder("pulls/beside");
    let registry = Registry::open(&folder);
    let logins = registry.config("nobody", None);
    for policy in ["", ", pull_policy: never"] {
        let image = "rehearsal-test/busybox:2".to_owned();
        let config = world(&folder, &one(image.clone()), policy, None);
        let rehearsed = rehearse(&folder, &config, &logins);
        let finding = cannot_have(&rehearsed, &image, "could not be had");
        let help = finding["help"].as_str().expect("text");
        assert!(help.contains("this engine has rehearsal-test/busybox:1"), "{help}");
    }
}

#[test]
fn a_rate_limit_is_said_and_not_tried_again() {
    let folder = driver::folder("pulls/limit");
    let ear = Ear::alone(Box::new(|line| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit, retry-after: 90s. ::error::forged"}]}"#;
        Some(match line {
            "GET /v2/" => answer("200 OK", "", "{}"),
            _ => answer(
                "429 Too Many Requests",
                "Retry-After: 90\r\n",
                if line.starts_with("HEAD") { "" } else { body },
            ),
        })
    }));
    let image = format!("{}/shop:1", ear.address);
    let config = world(&folder, &one(image.clone()), "", None);
    let nobody = config_for(&folder.join("nobody"), &ear.address, None);
    let rehearsed = rehearse(&folder, &config, &nobody);
    let finding = cannot_have(&rehearsed, &image, "the registry's rate limit is reached, for 90s");
    let help = finding["help"].as_str().expect("text");
    assert!(help.contains("log in"), "{help}");
    assert_eq!(pulls(&rehearsed, "begins"), [image]);
    assert_eq!(pulls(&rehearsed, "again"), Vec::<String>::new());
    let asked = ear.manifests().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(asked, 1, "{:?}", ear.manifests());
    assert!(
        !rehearsed
            .ended
            .stderr
            .lines()
            .any(|line| line.trim_start().starts_with("::")),
        "{}",
        rehearsed.ended.stderr
    );
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_connection_that_breaks_is_tried_again() {
    let folder = driver::folder("pulls/broken");
    let registry = Registry::open(&folder);
    registry.push("shop:1");
    let broken = AtomicU32::new(0);
    let ear = Ear::before(
        &registry,
        Box::new(move |line| {
            // Nothing is answered: the engine sees the connection end.
            (line.contains("/manifests/") && broken.fetch_add(1, Ordering::Relaxed) < 2).then(Vec::new)
        }),
    );
    let image = format!("{}/shop:1", ear.address);
    let config = world(&folder, &one(image.clone()), "", None);
    let rehearsed = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(rehearsed.ended.code, Some(0), "{}", rehearsed.ended.stderr);
    assert!(!pulls(&rehearsed, "again").is_empty(), "{:?}", ear.manifests());
}

#[test]
fn a_registry_that_is_gone_is_unreachable_after_some_tries() {
    let folder = driver::folder("pulls/gone");
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound").to_string()
    };
    let image = format!("{address}/shop:1");
    let config = world(&folder, &one(image.clone()), "", None);
    let nobody = config_for(&folder.join("nobody"), &address, None);
    let rehearsed = rehearse(&folder, &config, &nobody);
    cannot_have(&rehearsed, &image, "the registry cannot be reached (tried 3 times)");
    assert_eq!(pulls(&rehearsed, "again").len(), 2);
}

#[test]
fn a_pull_that_hangs_ends_with_the_run() {
    let folder = driver::folder("pulls/hangs");
    let gate = Gate::of(2);
    let ear = Ear::alone(Box::new(move |line| {
        if line != "GET /v2/" {
            gate.wait("nobody else comes");
        }
        Some(answer("200 OK", "", "{}"))
    }));
    let image = format!("{}/shop:1", ear.address);
    let config = world(&folder, &one(image.clone()), "", None);
    let out = folder.join("out");
    let mut command = driver::run(&config, &out);
    command
        .args(["--timeout", "3s"])
        .env("DOCKER_CONFIG", config_for(&folder.join("nobody"), &ear.address, None));
    let rehearsed = Rehearsed::of(command, &out);
    assert_eq!(rehearsed.ended.code, Some(3), "{}", rehearsed.ended.stderr);
    let cause = rehearsed.result()["cause"].as_str().expect("text").to_owned();
    assert!(cause.contains("time limit"), "{cause}");
    assert_eq!(pulls(&rehearsed, "begins"), [image]);
}

#[test]
#[ignore = "each night: make test-worlds"]
fn pull_policy_is_kept_to() {
    let folder = driver::folder("pulls/policy");
    let registry = Registry::open(&folder);
    registry.push("shop:1");
    let image = format!("{}/shop:1", registry.address);
    let nobody = registry.config("nobody", None);

    let never = world(&folder, &one(image.clone()), ", pull_policy: never", None);
    cannot_have(&rehearse(&folder, &never, &nobody), &image, "`pull_policy: never`");

    let always = world(&folder, &one(image.clone()), ", pull_policy: always", None);
    let first = rehearse(&folder, &always, &nobody);
    assert_eq!(first.ended.code, Some(0), "{}", first.ended.stderr);
    let second = rehearse(&folder, &always, &nobody);
    assert_eq!(
        (pulls(&first, "done"), pulls(&second, "done")),
        (vec![image.clone()], vec![image.clone()])
    );

    let daily = world(&folder, &one(image.clone()), ", pull_policy: daily", None);
    // This engine does not say when it pulled an image: one of unknown age is not young.
    let unknown = rehearse(&folder, &daily, &nobody);
    assert_eq!(
        (unknown.ended.code, pulls(&unknown, "done")),
        (Some(0), vec![image.clone()])
    );
    registry.docker(&["tag", &image, &image]);
    let young = rehearse(&folder, &daily, &nobody);
    assert_eq!((young.ended.code, pulls(&young, "begins")), (Some(0), Vec::new()));
}

fn notes(rehearsed: &Rehearsed) -> String {
    let plan: Value = serde_json::from_str(&rehearsed.read("plan.json")).expect("JSON");
    plan["notes"].to_string()
}

/// What `docker` prints, in one piece.
fn engine(words: &[&str]) -> String {
    let mut command = std::process::Command::new("docker");
    command.args(words);
    let ended = driver::end(command);
    assert_eq!(ended.code, Some(0), "docker {words:?}: {}", ended.stderr);
    ended.stdout.trim().to_owned()
}

#[test]
fn the_locks_digest_is_run_wherever_the_tag_points() {
    let folder = driver::folder("pulls/locked");
    let registry = Registry::open(&folder);
    let (old, new) = (registry.push("shop:1"), registry.push("shop:1"));
    assert_ne!(old, new);
    let image = format!("{}/shop:1", registry.address);
    let exact = format!("{}/shop@{old}", registry.address);
    let config = world(&folder, &one(image.clone()), "", Some(&locked(&image, &old)));
    let nobody = registry.config("nobody", None);

    let out = folder.join("out");
    let mut command = driver::run(&config, &out);
    command.arg("--keep").env("DOCKER_CONFIG", &nobody);
    // Until it is taken down again.
    let alone = Alone::wait();
    let kept = Rehearsed::beside(command, &out);
    let label = format!("label=dev.rehearsal.run={}", kept.id());
    let container = engine(&[
        "ps",
        "--all",
        "--quiet",
        "--filter",
        &label,
        "--filter",
        "label=dev.rehearsal.service=web",
    ]);
    let runs = engine(&["inspect", "--format", "{{.Image}}", &container]);
    let known = engine(&["image", "inspect", "--format", "{{json .RepoDigests}}", &runs]);
    let down = driver::end(driver::rehearsal(&["down", "--run", &kept.id()]));
    drop(alone);
    assert_eq!(down.code, Some(0), "{}", down.stderr);
    assert_eq!(kept.ended.code, Some(0), "{}", kept.ended.stderr);
    assert_eq!(known, serde_json::json!([exact]).to_string());
    assert_eq!(pulls(&kept, "done"), [exact.as_str()]);

    let result = kept.result();
    let rows = result["fidelity"].as_array().expect("a list");
    let row = rows
        .iter()
        .find(|row| row["service"] == "web" && row["fact"] == "image");
    let row = row.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(
        (&row["production"], &row["mirror"], &row["state"]),
        (&old.as_str().into(), &old.as_str().into(), &"same".into())
    );
    let moved = |place: &str| format!("`web` runs {exact}, as the lock says; {place} {image} is {new}");
    assert!(notes(&kept).contains(&moved("in the registry")), "{}", notes(&kept));

    // The same where the engine has both.
    registry.docker(&["pull", &image]);
    let again = rehearse(&folder, &config, &nobody);
    assert_eq!(again.ended.code, Some(0), "{}", again.ended.stderr);
    assert_eq!(pulls(&again, "begins"), Vec::<String>::new());
    assert!(notes(&again).contains(&moved("on this engine")), "{}", notes(&again));
    assert_eq!(again.result()["fidelity"][0]["state"], "same");
}

#[test]
fn a_locked_digest_that_the_registry_has_no_more_is_inconclusive() {
    let folder = driver::folder("pulls/lost");
    let registry = Registry::open(&folder);
    let (old, _new) = (registry.push("shop:1"), registry.push("shop:1"));
    registry.delete("shop", &old);
    let image = format!("{}/shop:1", registry.address);
    let config = world(&folder, &one(image.clone()), "", Some(&locked(&image, &old)));
    let rehearsed = rehearse(&folder, &config, &registry.config("nobody", None));
    let exact = format!("{}/shop@{old}", registry.address);
    let finding = cannot_have(&rehearsed, &exact, "no image with this digest");
    let help = finding["help"].as_str().expect("text");
    assert!(
        help.contains("push production's image again") && help.contains("rehearsal lock"),
        "{help}"
    );
    assert_eq!(rehearsed.result()["verdict"], "inconclusive");
}

#[test]
fn a_lock_is_taken_from_a_registry_with_its_login() {
    let folder = driver::folder("pulls/taken");
    let registry = Registry::closed(&folder, "joe:the horse's staple");
    let digest = registry.push("shop:1");
    let image = format!("{}/shop:1", registry.address);
    let config = world(&folder, &one(image.clone()), "", None);
    let file = folder.join("production.lock");
    let take = |login: Option<&str>, more: &[&str]| {
        let (config, file) = (config.to_str().expect("ours"), file.to_str().expect("ours"));
        let words = ["lock", "--from", "registry", "--config", config, "--out", file];
        let mut command = driver::rehearsal(&[&words, more].concat());
        command.env("DOCKER_CONFIG", registry.config("lock", login));
        driver::end(command)
    };

    let refused = take(None, &[]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(&image) && refused.stderr.contains("no credentials were found"),
        "{}",
        refused.stderr
    );
    assert!(!file.exists());

    let joe = Some("joe:the horse's staple");
    let taken = take(joe, &[]);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let text = std::fs::read_to_string(&file).expect("written");
    assert!(text.contains(&digest) && text.contains(&image), "{text}");
    assert!(!text.contains("staple"), "{text}");
    assert_eq!(take(joe, &["--check"]).code, Some(0));

    let next = registry.push("shop:1");
    let moved = take(joe, &["--check"]);
    assert_eq!(moved.code, Some(1), "{}", moved.stderr);
    let line = format!("services.web.digest: was {digest}, is {next}");
    assert!(moved.stdout.contains(&line), "{}", moved.stdout);
}

#[test]
fn what_is_built_is_built_anew_with_logins_and_replaces_nothing() {
    let folder = driver::folder("pulls/built");
    let registry = Registry::closed(&folder, "joe:the horse's staple");
    registry.push("base:1");
    let image = format!("{}/shop:1", registry.address);
    registry.make(&image);
    let id = || engine(&["image", "inspect", "--format", "{{.Id}}", &image]);
    let before = id();
    let recipe = format!("FROM {}/base:1\nENV BUILT=here\n", registry.address);
    let compose = format!(
        "services:\n  web:\n    image: {image}\n    pull_policy: build\n    build: {{context: ., dockerfile_inline: {}}}\n\
         \x20   command: [sleep, infinity]\n    stop_signal: SIGKILL\n\
         \x20 api: {{image: {image}, command: [sh, -c, 'test \"$$BUILT\" = here && exec sleep infinity'], stop_signal: SIGKILL}}\n",
        Value::from(recipe)
    );
    let config = world(&folder, &one(image.clone()), "", None);
    std::fs::write(folder.join("compose.yaml"), compose).expect("ours");
    let text = std::fs::read_to_string(&config).expect("ours");
    let text = text.replace("[\"true\"]", "[sh, -c, 'test \"$BUILT\" = here']");
    std::fs::write(&config, text).expect("ours");

    let without = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(without.ended.code, Some(3), "{}", without.ended.stderr);
    assert!(
        without.ended.stderr.contains("could not be built"),
        "{}",
        without.ended.stderr
    );

    let joe = registry.config("joe", Some("joe:the horse's staple"));
    let with = rehearse(&folder, &config, &joe);
    assert_eq!(with.ended.code, Some(0), "{}", with.ended.stderr);
    is_nowhere(&with, "horse's staple");
    assert_eq!(id(), before);
    assert_eq!(driver::left_behind(&with.id()), Vec::<String>::new());
}

/// An engine that outlives a job has what an earlier one has pulled.
#[test]
fn a_candidate_of_which_the_registry_has_another_by_now_is_told() {
    let folder = driver::folder("pulls/outdated");
    let registry = Registry::open(&folder);
    for name in ["shop:1", "shop:2", "shop:next"] {
        registry.push(name);
    }
    let image = |name: &str| format!("{}/{name}", registry.address);
    let config = world(&folder, &BTreeMap::from([("web", image("shop:1"))]), "", None);
    let text = std::fs::read_to_string(&config).expect("ours");
    let named = format!("web: {{image: \"{}\", env: ", image("shop:next"));
    std::fs::write(&config, text.replace("web: {env: ", &named)).expect("ours");
    registry.docker(&["pull", &image("shop:next")]);
    let told = "as this engine has it; in the registry it is sha256:";

    let same = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(same.ended.code, Some(0), "{}", same.ended.stderr);
    assert!(!same.ended.stderr.contains(told), "{}", same.ended.stderr);

    let pulled = registry.docker(&["image", "inspect", "--format", "{{.Id}}", &image("shop:next")]);
    registry.docker(&["pull", &image("shop:2")]);
    registry.docker(&["tag", &image("shop:2"), &image("shop:next")]);
    registry.docker(&["push", &image("shop:next")]);
    registry.docker(&["tag", pulled.trim(), &image("shop:next")]);
    let other = rehearse(&folder, &config, &registry.config("nobody", None));
    assert_eq!(other.ended.code, Some(0), "{}", other.ended.stderr);
    let line = format!("`web` runs {} {told}", image("shop:next"));
    assert!(other.ended.stderr.contains(&line), "{}", other.ended.stderr);
}
