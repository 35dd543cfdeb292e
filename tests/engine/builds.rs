//! Images that production's files build: by BuildKit, as users have them; what this engine cannot do is named; and a
//! build that is ended leaves nothing.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker::{self, docker};
use crate::driver::{self, Rehearsed};

const CONFIG: &str = "
production: {compose: compose.yaml}
candidate: {web: {image: IMAGE}}
suites: {smoke: {target: 'http://web:8080', requests: [{name: page, get: /}]}}
stages: {control: {within: 2s}}
";

/// A world of these services, whose `web` has this recipe. `NEW` in it is another word each time.
fn world(name: &str, services: &str, recipe: &str) -> PathBuf {
    docker::image();
    let folder = driver::folder(name);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let new = since.expect("it is later than 1970").as_nanos().to_string();
    let compose = format!("name: {name}\nservices: {services}\nsecrets: {{key: {{file: ./key}}}}\n");
    for (file, text) in [
        ("rehearsal.yaml", CONFIG),
        ("compose.yaml", &compose),
        ("Dockerfile", recipe),
        ("key", "open sesame"),
    ] {
        let text = text.replace("IMAGE", docker::IMAGE).replace("NEW", &new);
        std::fs::write(folder.join(file), text).expect("the folder is ours");
    }
    folder
}

fn rehearsed(folder: &Path) -> Rehearsed {
    let out = folder.join("out");
    Rehearsed::of(driver::run(&folder.join("rehearsal.yaml"), &out), &out)
}

/// How often something is built.
fn begun(folder: &Path) -> usize {
    let events = driver::events(&folder.join("out"));
    let begins = |event: &&Value| event["event"] == "build" && event["state"] == "begins";
    events.iter().filter(begins).count()
}

/// The first finding's words.
fn said(rehearsed: &Rehearsed) -> String {
    assert_eq!(rehearsed.ended.code, Some(3), "{}", rehearsed.ended.stderr);
    rehearsed.result()["findings"][0].to_string()
}

/// Whether this machine's engine is Docker 23 or newer.
fn is_newer() -> bool {
    let version = docker(&["version", "--format", "{{.Server.Version}}"]);
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.expect("an engine has a version") >= 23
}

/// Until this machine has no process of this command line, or has one.
fn wait_for_process(words: &str, wanted: bool) {
    let begun = Instant::now();
    let is_there = || {
        let all = std::fs::read_dir("/proc").expect("it is there").flatten();
        let mut lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim() == words)
    };
    while is_there() != wanted {
        assert!(begun.elapsed() < Duration::from_mins(5), "`{words}`: not {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_build_has_its_secret_its_cache_the_machines_ssh_agent_and_a_key_in_a_file() {
    let recipe = "FROM debian:bookworm-slim
RUN --mount=type=ssh,id=deploy echo NEW; perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; \
                  syswrite $s, pack(\"NC\", 1, 11); sysread $s, $said, 1000; print join \" \", unpack(\"x4 CN\", $said)' >/keys
RUN --mount=type=ssh perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; \
                  syswrite $s, \"NEW\"; sysread $s, $said, 100; print $said' >/seen
RUN --mount=type=secret,id=key cat /run/secrets/key >>/seen
RUN --mount=type=cache,target=/kept echo NEW >/kept/it
RUN --mount=type=cache,target=/kept echo kept $(cat /kept/it) >>/seen
";
    let services =
        "{web: {build: {context: ., secrets: [key], ssh: [default, deploy=./deploy]}, command: [cat, /seen, /keys]}}";
    let folder = world("build-kit", services, recipe);
    let _absent = std::fs::remove_file(folder.join("deploy"));
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(folder.join("deploy"));
    assert!(keygen.status().expect("OpenSSH's client is installed").success());
    let socket = folder.join("agent");
    let _absent = std::fs::remove_file(&socket);
    let agent = UnixListener::bind(&socket).expect("the folder is ours");
    let answering = std::thread::spawn(move || {
        let (mut asks, _) = agent.accept().expect("somebody asks");
        let mut asked = [0; 100];
        let read = asks.read(&mut asked).expect("it asks something");
        asks.write_all(b"the agent answers, ").expect("it listens");
        String::from_utf8_lossy(&asked[..read]).into_owned()
    });
    let out = folder.join("out");
    let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
    command.env("SSH_AUTH_SOCK", &socket);
    let rehearsed = Rehearsed::of(command, &out);
    assert_eq!(begun(&folder), 1, "{}", rehearsed.ended.stderr);
    let asked = answering.join().expect("the agent was asked");
    let printed = rehearsed.read("logs/control/web.log");
    // The answer of an agent that holds one key.
    for words in ["the agent answers, open sesame", &format!("kept {asked}"), "12 1"] {
        assert!(printed.contains(words), "{printed}");
    }
}

#[test]
fn a_step_that_fails_is_told_with_its_last_lines_and_without_the_builds_secrets() {
    let recipe = "FROM IMAGE
RUN --mount=type=secret,id=key cat /run/secrets/key; echo; echo '::error::the disk is flat NEW' >&2; exit 7
";
    let folder = world("build-fails", "{web: {build: {context: ., secrets: [key]}}}", recipe);
    let rehearsed = rehearsed(&folder);
    let said = said(&rehearsed);
    for words in ["web", "could not be built", "exit code: 7", "the disk is flat"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("open sesame") && !rehearsed.ended.stderr.contains("open sesame"));
    assert!(
        !rehearsed.ended.stderr.contains("\n::error::"),
        "{}",
        rehearsed.ended.stderr
    );
}

#[test]
fn a_build_sees_what_dockerignore_leaves_and_nothing_of_ours() {
    let folder = world(
        "build-ignore",
        "{web: {build: ., command: [cat, /list]}}",
        "FROM IMAGE\nCOPY . /all\nRUN echo NEW; cd /all && find . -type f | sort >/list\n",
    );
    for (file, text) in [
        (".dockerignore", "*\n!kept\n!more/kept\n"),
        ("kept", ""),
        ("more/kept", ""),
        ("more/dropped", ""),
    ] {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    }
    let printed = rehearsed(&folder).read("logs/control/web.log");
    assert!(
        printed.contains("./kept") && printed.contains("./more/kept"),
        "{printed}"
    );
    for file in ["dropped", "Dockerfile", "dockerignore", "compose.yaml", "rehearsal"] {
        assert!(!printed.contains(file), "{printed}");
    }
}

#[test]
fn an_unchanged_build_is_the_same_layers_in_the_next_run() {
    let recipe = "FROM IMAGE\nCOPY Dockerfile /\nRUN echo NEW; cat /proc/sys/kernel/random/uuid >/token\n";
    let folder = world("build-again", "{web: {build: ., command: [cat, /token]}}", recipe);
    let token = || {
        let printed = rehearsed(&folder).read("logs/control/web.log");
        let words = printed.split_whitespace().map(str::to_owned);
        words.filter(|word| word.len() == 36).collect::<Vec<_>>()
    };
    let first = token();
    assert!(!first.is_empty());
    assert_eq!((token().first(), begun(&folder)), (first.first(), 1));
}

#[test]
fn one_recipe_is_built_once_and_who_runs_what_another_builds_pulls_nothing() {
    let services = "
  web: {build: ., command: [cat, /it]}
  worker: {build: ., command: [cat, /it]}
  third: {image: rehearsal-test/never-pulled:1, command: [cat, /it]}
  fourth: {image: rehearsal-test/never-pulled:1, build: {context: ., target: other}, command: [cat, /it]}";
    let recipe = "FROM IMAGE AS other\nRUN echo other >/it\nFROM IMAGE\nRUN echo it >/it\n";
    let folder = world("build-shared", services, recipe);
    let out = folder.join("out");
    let planned = driver::end(driver::rehearsal(&[
        "plan",
        "--config",
        &folder.join("rehearsal.yaml").display().to_string(),
    ]));
    assert!(planned.stdout.contains("built"), "{}", planned.stdout);
    let rehearsed = rehearsed(&folder);
    assert_eq!(begun(&folder), 2, "{}", rehearsed.ended.stderr);
    let pulls = driver::events(&out);
    assert!(!pulls.iter().any(|event| event["event"] == "pull"));
    for (service, words) in [("web", "it"), ("worker", "it"), ("third", "other"), ("fourth", "other")] {
        let printed = rehearsed.read(&format!("logs/control/{service}.log"));
        assert!(printed.contains(words), "{service}: {printed}");
    }
}

#[test]
fn what_this_engines_own_builder_does_not_read_is_named_with_its_place_and_the_engine_that_does() {
    let context = "{web: {build: {context: ., additional_contexts: {more: ./more}}, command: [cat, /it]}}";
    let plain = "{web: {build: ., command: [cat, /it]}}";
    for (name, services, recipe, place) in [
        (
            "build-context",
            context,
            "FROM IMAGE\nCOPY --from=more it /it\n",
            "compose.yaml:2:",
        ),
        (
            "build-heredoc",
            plain,
            "FROM IMAGE\nRUN <<END\necho of more >/it\nEND\n",
            "Dockerfile:2",
        ),
    ] {
        let folder = world(name, services, recipe);
        std::fs::create_dir_all(folder.join("more")).expect("the folder is ours");
        std::fs::write(folder.join("more/it"), "of more\n").expect("the folder is ours");
        let rehearsed = rehearsed(&folder);
        if is_newer() {
            assert!(rehearsed.read("logs/control/web.log").contains("of more"));
        } else {
            let said = said(&rehearsed);
            for words in [place, "Docker 23 or newer", "docker buildx build --load"] {
                assert!(said.contains(words), "{said}");
            }
        }
    }
}

#[test]
fn a_builder_that_cannot_be_had_is_named_with_its_line_and_the_way_out() {
    let recipe = "# syntax=registry.invalid/dockerfile:1\nFROM IMAGE\n";
    let said = said(&rehearsed(&world("build-syntax", "{web: {build: .}}", recipe)));
    for words in [
        "Dockerfile:1",
        "# syntax=registry.invalid/dockerfile:1",
        "take the line out",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_build_that_is_killed_or_interrupted_ends_and_leaves_nothing() {
    for (signal, number) in [("KILL", 1), ("INT", 2)] {
        let sleep = format!("sleep {}{number}", 300_000 + std::process::id());
        let name = format!("build-{}", signal.to_lowercase());
        let recipe = format!("FROM IMAGE\nRUN echo NEW; exec {sleep}\n");
        let folder = world(&name, "{web: {build: .}}", &recipe);
        let out = folder.join("out");
        std::fs::create_dir_all(&out).expect("the folder is ours");
        let mut run = driver::Running::start(driver::run(&folder.join("rehearsal.yaml"), &out), &out);
        wait_for_process(&sleep, true);
        let id = driver::id(&driver::events(&out)).expect("the run has said its id");
        run.signal(signal);
        run.end();
        wait_for_process(&sleep, false);
        assert_eq!(driver::left_after(&id, Duration::from_secs(15)), Vec::<String>::new());
        let named = docker(&[
            "images",
            "--quiet",
            "--filter",
            &format!("reference=rehearsal-*:{id}-*"),
        ]);
        assert_eq!(named, "");
    }
}

#[test]
fn a_candidate_whose_own_recipe_does_not_build_is_blocked_and_production_is_not_blamed_for_it() {
    let folder = world(
        "build-candidate",
        "{web: {image: IMAGE}}",
        "FROM IMAGE\nRUN echo the disk is flat; exit 7\n",
    );
    let config = CONFIG.replace("{image: IMAGE}", "{build: {context: .}}");
    std::fs::write(folder.join("rehearsal.yaml"), config).expect("the folder is ours");
    let rehearsed = rehearsed(&folder);
    assert_eq!(rehearsed.ended.code, Some(1), "{}", rehearsed.ended.stderr);
    let found = rehearsed.result()["findings"][0].to_string();
    for words in ["`web` cannot be built", "exit code: 7", "the disk is flat"] {
        assert!(found.contains(words), "{found}");
    }
    assert_eq!(begun(&folder), 1);
}
