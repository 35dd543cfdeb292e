//! Images that production's files build: what the builder is told, what it cannot do, and that a build which is
//! killed leaves nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::docker::{self, docker};
use crate::driver;

const CONFIG: &str = "
production: {compose: compose.yaml}
candidate: {web: {image: IMAGE}}
suites: {smoke: {target: 'http://web:8080', requests: [{name: page, get: /}]}}
";

/// A world whose `web` is built so.
fn world(name: &str, build: &str) -> PathBuf {
    docker::image();
    let folder = driver::folder(name);
    let compose = format!("name: {name}\nservices: {{web: {{build: {build}}}}}\n");
    for (file, text) in [("rehearsal.yaml", CONFIG), ("compose.yaml", &compose)] {
        std::fs::write(folder.join(file), text.replace("IMAGE", docker::IMAGE)).expect("the folder is ours");
    }
    folder
}

/// Waits until the engine's client prints something.
fn until(words: &[&str]) -> String {
    let begun = Instant::now();
    loop {
        let said = docker(words);
        if !said.is_empty() {
            return said;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(5),
            "{words:?} never said anything"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_build_that_is_killed_leaves_nothing() {
    let marker = format!("killed{}", std::process::id());
    let recipe = format!(
        "FROM IMAGE AS one\\nLABEL marker={marker}\\nRUN echo one >/one\\nFROM IMAGE\\nLABEL marker={marker}\\n\
         COPY --from=one /one /one\\nRUN echo two >/two\\nRUN sleep 300"
    );
    let folder = world(
        "build-killed",
        &format!("{{context: ., dockerfile_inline: \"{recipe}\"}}"),
    );
    let out = folder.join("out");
    std::fs::create_dir_all(&out).expect("the folder is ours");
    let mut run = driver::Running::start(driver::run(&folder.join("rehearsal.yaml"), &out), &out);
    let label = format!("label=marker={marker}");
    let at_last_step = ["ps", "--quiet", "--no-trunc", "--filter", &label];
    let begun = Instant::now();
    while !docker(&["ps", "--no-trunc", "--format", "{{.Command}}", "--filter", &label]).contains("sleep 300") {
        assert!(begun.elapsed() < Duration::from_mins(5), "the last step never came");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!until(&at_last_step).is_empty());
    let layers = docker(&["images", "--all", "--quiet", "--filter", &label]);
    assert!(layers.lines().count() >= 3, "{layers}");
    let id = driver::id(&driver::events(&out)).expect("the run has said its id");
    run.signal("KILL");
    run.end();
    assert_eq!(driver::left_after(&id, Duration::from_secs(15)), Vec::<String>::new());
    // Its layers are the engine's cache, as after `docker build`: none has a name, and no container is left.
    assert_eq!(
        docker(&["images", "--quiet", "--filter", &label, "--filter", "dangling=false"]),
        ""
    );
    let begun = Instant::now();
    while !docker(&["ps", "--all", "--quiet", "--filter", &label]).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "a container of the build is left"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_unchanged_build_is_the_same_layers_in_the_next_run() {
    let marker = format!("again{}", std::process::id());
    let recipe = format!("FROM IMAGE\\nLABEL marker={marker}\\nRUN cat /proc/sys/kernel/random/uuid >/token");
    let folder = world(
        "build-again",
        &format!("{{context: ., dockerfile_inline: \"{recipe}\"}}"),
    );
    let layers = || {
        let out = folder.join("out");
        driver::Rehearsed::of(driver::run(&folder.join("rehearsal.yaml"), &out), &out);
        let label = format!("label=marker={marker}");
        let mut layers: Vec<String> = docker(&["images", "--all", "--quiet", "--no-trunc", "--filter", &label])
            .lines()
            .map(str::to_owned)
            .collect();
        layers.sort();
        layers
    };
    let first = layers();
    assert!(first.len() >= 2, "{first:?}");
    assert_eq!(layers(), first);
}

#[test]
fn what_only_buildkit_can_do_is_named_with_its_place_and_a_way_out() {
    let build = "{context: ., dockerfile_inline: FROM IMAGE, ssh: [default], additional_contexts: {more: ./more}}";
    let folder = world("build-buildkit", build);
    let out = folder.join("out");
    let rehearsed = driver::Rehearsed::of(driver::run(&folder.join("rehearsal.yaml"), &out), &out);
    assert_eq!(rehearsed.ended.code, Some(3), "{}", rehearsed.ended.stderr);
    let found = &rehearsed.result()["findings"][0];
    let said = format!("{} {}", found["title"], found["help"]);
    for words in [
        "compose.yaml:2:",
        "build.additional_contexts, build.ssh",
        "docker buildx build --load",
    ] {
        assert!(said.contains(words), "{said}");
    }
}
