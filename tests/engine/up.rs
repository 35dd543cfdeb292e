//! A mirror that stays, on the real engine: coming up, the way in, going down.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::docker::{self, docker, image};
use crate::driver::{self, Ended, end, folder, left_behind, on_the_engine, rehearsal};
use crate::slot::Alone;

/// A configuration of a test's own: a mirror is known by its configuration.
struct World {
    folder: PathBuf,
    run: String,
    _alone: Option<Alone>,
}

impl World {
    /// For itself: a `down --all` of another test would take its mirror down.
    fn new(test: &str, config: &str) -> Self {
        Self::in_turn(test, config, Some(Alone::wait()))
    }

    /// Beside one that a test has already.
    fn beside(test: &str, config: &str) -> Self {
        Self::in_turn(test, config, None)
    }

    fn in_turn(test: &str, config: &str, alone: Option<Alone>) -> Self {
        image();
        let folder = folder(&format!("up/{test}"));
        let small = driver::root().join("fixtures/small");
        for (from, to) in [("compose.yaml", "compose.yaml"), (config, "rehearsal.yaml")] {
            std::fs::copy(small.join(from), folder.join(to)).expect("the fixture is there");
        }
        Self {
            folder,
            run: String::new(),
            _alone: alone,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rehearsal(arguments);
        command.current_dir(&self.folder);
        command
    }

    fn up(&mut self, more: &[&str]) -> Ended {
        let ended = end(self.command(&[&["up"], more].concat()));
        self.run = run_of(&ended.stderr).unwrap_or_default();
        ended
    }

    fn down(&self) -> Ended {
        end(self.command(&["down"]))
    }

    /// The label of everything of its mirror, as a filter.
    fn label(&self) -> String {
        format!("label=dev.rehearsal.run={}", self.run)
    }

    /// The container of a service.
    fn container(&self, service: &str) -> String {
        let service = format!("label=dev.rehearsal.service={service}");
        docker(&["ps", "--quiet", "--filter", &self.label(), "--filter", &service])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // For a test that failed: nothing of it stays.
        self.down();
    }
}

fn run_of(text: &str) -> Option<String> {
    let rest = text.split_once("(run ")?.1;
    Some(rest.split_once(')')?.0.to_owned())
}

/// The address behind a name's arrow.
fn address<'a>(text: &'a str, inside: &str) -> &'a str {
    let line = text.lines().find(|line| line.trim_start().starts_with(inside));
    let line = line.unwrap_or_else(|| panic!("no way to {inside}: {text}"));
    line.split_once("→").expect("an arrow").1.trim()
}

fn curl(words: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "10"])
        .args(words)
        .output()
        .expect("curl is there");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_mirror_comes_up_is_entered_and_goes_down() {
    let mut world = World::new("enter", "issuer.yaml");
    let up = world.up(&[]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let page = format!("{}/index.html", address(&up.stderr, "web:8080"));
    assert!(page.starts_with("http://127.0.0.1:"), "{page}");
    assert_eq!(curl(&[&page]), (true, "fine\n".to_owned()));

    // By production's own name, as the terminal says it: the CA that was written is trusted, and no other.
    let told = address(&up.stderr, "login.example.com:443")
        .replace("rehearsal-out", &path(&world.folder.join("rehearsal-out")));
    let words: Vec<&str> = told.split_whitespace().skip(1).collect();
    let (url, options) = words.split_last().expect("words");
    let page = format!("{url}index.html");
    let with_ca = curl(&[options, &[page.as_str()]].concat());
    assert_eq!(with_ca, (true, "fine\n".to_owned()), "{told}");
    let (trusted, why) = curl(&[&options[2..], &[page.as_str()]].concat());
    assert!(!trusted && why.contains("certificate"), "{why}");

    assert!(
        up.stderr.contains(&format!("rehearsal down --run {}", world.run)),
        "{}",
        up.stderr
    );
    let down = world.down();
    assert_eq!(down.code, Some(0), "{}", down.stderr);
    assert_eq!(left_behind(&world.run), Vec::<String>::new());
}

fn path(path: &Path) -> String {
    path.to_str().expect("a path of ours").to_owned()
}

#[test]
fn the_way_in_is_no_way_out() {
    let mut world = World::new("no-way-out", "rehearsal.yaml");
    let up = world.up(&[]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let published = docker(&["ps", "--filter", &world.label(), "--format", "{{.Ports}}"]);
    let bound: Vec<&str> = published
        .split_whitespace()
        .filter(|word| word.contains("->"))
        .collect();
    assert!(
        !bound.is_empty() && bound.iter().all(|port| port.starts_with("127.0.0.1:")),
        "{published}"
    );
    let service = world.container("web");
    let entrance = format!("rehearsal-{}-entrance", world.run);
    // The network of the entrance is not the mirror's.
    let address = |network: &str| {
        let form = format!(
            "{{{{(index .NetworkSettings.Networks \"rehearsal-{}-{network}\").IPAddress}}}}",
            world.run
        );
        docker(&["inspect", "--format", &form, &entrance])
    };
    let (inner, outside) = (address("front"), address("--entrance"));
    // Its wget knows no limit.
    let fetch = |host: &str| {
        let url = format!("http://{host}:10000/index.html");
        let output = Command::new("timeout")
            .args(["5", "docker", "exec", &service, "wget", "-qO-", &url])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(
        (fetch(&inner).as_str(), fetch(&outside).contains("fine")),
        ("fine", false)
    );
    // Who routes through the entrance gets nowhere: it forwards nothing.
    let forwards = docker(&[
        "inspect",
        "--format",
        "{{index .HostConfig.Sysctls \"net.ipv4.ip_forward\"}} {{.HostConfig.ReadonlyRootfs}}",
        &entrance,
    ]);
    assert_eq!(forwards, "0 true");
    let outer = format!("rehearsal-{}---entrance", world.run);
    let alone = docker(&["network", "inspect", "--format", "{{len .Containers}}", &outer]);
    assert_eq!(alone, "1", "somebody else is in the entrance's network");
}

#[test]
fn a_second_up_tells_of_the_first_and_puts_a_candidate_in_place_there() {
    let mut world = World::new("second", "rehearsal.yaml");
    let first = world.up(&["--for", "1h"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let run = world.run.clone();
    let second = world.up(&[]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stderr.contains("has a mirror already"), "{}", second.stderr);
    assert_eq!(world.run, run);
    assert_eq!(address(&second.stderr, "web:8080"), address(&first.stderr, "web:8080"));
    // Another release takes its place there: on the same volumes, and beside what has not changed.
    let written = ["sh", "-c", "echo kept >/data/of-the-user"];
    docker(&[&["exec", &world.container("web")], &written[..]].concat());
    let store = world.container("store");
    let third = world.up(&["--with-candidate"]);
    assert_eq!(third.code, Some(0), "{}", third.stderr);
    let said = ["sh", "-c", "echo $RELEASE; cat /data/of-the-user"];
    let said = docker(&[&["exec", &world.container("web")], &said[..]].concat());
    assert_eq!((said.as_str(), world.container("store")), ("2\nkept", store));
    assert!(!third.stderr.contains("runs again"), "{}", third.stderr);
    let page = format!("{}/index.html", address(&third.stderr, "web:8080"));
    assert_eq!(curl(&[&page]).1, "fine\n");
    // `down` elsewhere leaves it alone.
    let elsewhere = World::beside("second-elsewhere", "rehearsal.yaml");
    let down = elsewhere.down();
    assert!(
        down.stderr.contains(&format!("run {run} is left alone")),
        "{}",
        down.stderr
    );
    assert!(!on_the_engine(&run).is_empty());
}

#[test]
fn the_candidate_takes_its_place_where_that_is_asked() {
    let mut world = World::new("candidate", "rehearsal.yaml");
    let up = world.up(&["--with-candidate"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert_eq!(
        docker(&["exec", &world.container("web"), "sh", "-c", "echo $RELEASE"]),
        "2"
    );
    assert_eq!(
        curl(&[&format!("{}/index.html", address(&up.stderr, "web:8080"))]).1,
        "fine\n"
    );
}

#[test]
fn a_mirror_whose_time_is_over_is_swept_by_the_next() {
    let mut world = World::new("over", "rehearsal.yaml");
    let up = world.up(&["--for", "1ms"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let over = world.run.clone();
    assert!(!on_the_engine(&over).is_empty());
    let next = world.up(&[]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert_ne!(world.run, over);
    assert_eq!(left_behind(&over), Vec::<String>::new());
}

#[test]
fn what_was_let_in_by_hand_does_not_keep_the_mirror_up() {
    let mut world = World::new("by-hand", "rehearsal.yaml");
    let up = world.up(&[]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let network = format!("rehearsal-{}-front", world.run);
    let guest = docker(&[
        "run",
        "--detach",
        "--network",
        &network,
        docker::IMAGE,
        "sleep",
        "infinity",
    ]);
    let down = world.down();
    let state = docker(&["inspect", "--format", "{{.State.Running}}", &guest]);
    docker(&["rm", "--force", &guest]);
    assert_eq!(down.code, Some(0), "{}", down.stderr);
    assert_eq!(left_behind(&world.run), Vec::<String>::new());
    // It is not ours to remove.
    assert_eq!(state, "true");
}

#[test]
fn an_interrupted_up_leaves_nothing() {
    let world = World::new("interrupted", "rehearsal.yaml");
    let log = world.folder.join("stderr.txt");
    let mut command = world.command(&["up"]);
    command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("ours"));
    let mut child = command.spawn().expect("the binary can be started");
    let label = format!(
        "label=dev.rehearsal.kept={}",
        path(&world.folder.join("rehearsal.yaml"))
    );
    let mut names = String::new();
    while names.is_empty() {
        assert!(child.try_wait().expect("our child").is_none(), "it ended too early");
        names = docker(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(sent.success());
    assert_eq!(child.wait().expect("our child").code(), Some(130));
    let run = names.split('-').nth(1).expect("rehearsal-RUN-…");
    assert_eq!(left_behind(run), Vec::<String>::new());
}

#[test]
fn a_kept_run_is_entered_the_same_way() {
    let mut world = World::new("kept", "rehearsal.yaml");
    let run = end(world.command(&["run", "--keep"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    world.run = run_of(&run.stderr).expect("the run is told");
    assert_eq!(
        curl(&[&format!("{}/index.html", address(&run.stderr, "web:8080"))]).1,
        "fine\n"
    );
    assert_eq!(world.down().code, Some(0));
    assert_eq!(left_behind(&world.run), Vec::<String>::new());
}
