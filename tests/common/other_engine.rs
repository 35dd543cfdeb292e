//! An engine other than this machine's own: what a gate is told of it, and what must hold on each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::driver::{self, Rehearsed, Running};
use serde_json::json;

/// What the incident and its twin need.
pub const IMAGES: [&str; 6] = [
    "incident/provider:1.3.3",
    "incident/provider:1.7.0",
    "incident/postgres:15",
    "incident/shop:1.0",
    "incident/shop:2.0",
    "rehearsal-test/busybox:1",
];
/// After this long nothing may be left of a killed run, by the acceptance.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// What a script of `fixtures/` prints, line by line.
pub fn script(name: &str, words: &[&str]) -> Vec<String> {
    let output = Command::new(driver::root().join("fixtures").join(name))
        .args(words)
        .output()
        .expect("the script can be started");
    assert!(
        output.status.success(),
        "{name} {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// An engine, how a gate is told of it, and how the test looks at it by another way.
pub struct Engine {
    pub variables: Vec<(&'static str, String)>,
    pub look: Vec<String>,
    pub folder: PathBuf,
    pub end: Box<dyn Fn()>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        (self.end)();
    }
}

impl Engine {
    fn gate(&self, mut command: Command) -> Command {
        command.env_remove("DOCKER_HOST");
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    pub fn command(&self, config: &str, name: &str) -> (Command, PathBuf) {
        let out = self.folder.join(name);
        // Events of an earlier run would be taken for this one's.
        let _absent = std::fs::remove_dir_all(&out);
        std::fs::create_dir_all(&out).expect("the folder is ours");
        let config = driver::root().join("fixtures").join(config);
        (self.gate(driver::run(&config, &out)), out)
    }

    pub fn rehearse(&self, config: &str, name: &str) -> Rehearsed {
        let (command, out) = self.command(config, name);
        let done = Rehearsed::of(command, &out);
        if out.join("result.json").exists() {
            self.has_nothing_of(&done.id(), GONE_WITHIN);
        }
        done
    }

    /// The incident's two verdicts, on an engine of this version.
    pub fn tells_the_incident_from_its_twin(&self, version: &str) {
        let incident = self.rehearse("incident/incident.yaml", "incident");
        assert_eq!(incident.ended.code, Some(1), "{}", incident.ended.stderr);
        assert!(incident.findings().contains(&"auth-login".to_owned()));
        let engine = incident.result()["engine"]["version"].clone();
        assert!(
            engine.as_str().is_some_and(|text| text.starts_with(version)),
            "it ran on {engine}"
        );
        let twin = self.rehearse("incident/twin.yaml", "twin");
        assert_eq!(twin.ended.code, Some(0), "{}", twin.ended.stderr);
    }

    /// What only BuildKit reads, by the engine's own: heredocs, named contexts, a secret, a cache; each recipe once.
    pub fn builds_what_buildkit_can(&self) {
        let passed = self.rehearse("builds/rehearsal.yaml", "builds");
        assert_eq!(passed.ended.code, Some(0), "{}", passed.ended.stderr);
        let events = driver::events(&passed.out);
        let begun = events
            .iter()
            .filter(|event| event["event"] == "build" && event["state"] == "begins");
        assert_eq!(begun.count(), 2);
    }

    pub fn has_nothing_of_a_killed_gate(&self) {
        let (command, out) = self.command("incident/incident.yaml", "killed");
        let mut running = Running::start(command, &out);
        let ready = json!({"event": "container", "service": "db", "state": "ready"});
        let wanted = ready.as_object().expect("an object");
        let events = running.until(|event| wanted.iter().all(|(key, value)| event[key] == *value));
        let run = driver::id(&events).expect("the run has told its id");
        assert_ne!(
            self.left_of(&run),
            Vec::<String>::new(),
            "the test looks at another engine"
        );
        running.signal("KILL");
        running.end();
        self.has_nothing_of(&run, GONE_WITHIN);
    }

    fn has_nothing_of(&self, run: &str, limit: Duration) {
        let begun = Instant::now();
        loop {
            let left = self.left_of(run);
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < limit, "run {run} left {left:?}");
            // No event tells that nothing is left.
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn left_of(&self, run: &str) -> Vec<String> {
        let label = format!("label=dev.rehearsal.run={run}");
        let kinds: [&[&str]; 4] = [
            &["ps", "--all", "--quiet"],
            &["network", "ls", "--quiet"],
            &["volume", "ls", "--quiet"],
            &["images", "--all", "--quiet"],
        ];
        let list = |kind: &&[&str]| {
            let words = self.look.iter().map(String::as_str).chain(kind.iter().copied());
            let output = Command::new("docker")
                .args(words)
                .args(["--filter", &label])
                .output()
                .expect("docker is there");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .map(|id| format!("{} {id}", kind[0]))
                .collect::<Vec<_>>()
        };
        kinds.iter().flat_map(list).collect()
    }
}

/// Podman's socket, as root's or as another user's own.
pub fn podman(folder: PathBuf, user: &[&str], images: &[&str]) -> Engine {
    script("busybox.sh", &[]);
    let service = script("engines/podman.sh", &[&["start", text(&folder)], user].concat()).concat();
    let host = format!("unix://{}/podman.sock", folder.display());
    let engine = Engine {
        variables: vec![("DOCKER_HOST", host.clone())],
        look: vec!["--host".to_owned(), host],
        folder: folder.clone(),
        end: Box::new(move || {
            let ended = Command::new("kill").arg(&service).status();
            assert!(
                ended.is_ok_and(|status| status.success()),
                "the service of Podman had ended"
            );
        }),
    };
    script("engines/podman.sh", &[&["load", text(&folder)], images].concat());
    engine
}

/// Whose Podman has no more rights than a user. The folder is outside the project, which may be root's alone.
const USER: &str = "rehearsal-test";

pub fn podman_without_root(images: &[&str]) -> Engine {
    let folder = std::env::temp_dir().join("rehearsal-test-podman-without-root");
    podman(folder, &[USER], images)
}

impl Engine {
    /// Every way out is refused; a raw address is heard, or it is said that it cannot be.
    pub fn has_no_way_out(&self, raw_is_heard: bool) {
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
    pub fn opens_a_host_by_name(&self) {
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

/// An engine in a container is gone, with all that runs on it.
pub fn kill(container: &str) {
    let killed = Command::new("docker").args(["kill", container]).output();
    assert!(
        killed.is_ok_and(|done| done.status.success()),
        "the engine had ended before"
    );
}

/// Docker 28 in its container, and its two ports.
pub struct Docker28 {
    pub name: String,
    folder: PathBuf,
    pub port: String,
    pub ssh: String,
}

impl Drop for Docker28 {
    fn drop(&mut self) {
        script("engines/docker-28.sh", &["stop", &self.name]);
    }
}

impl Docker28 {
    pub fn start(test: &str, folder: PathBuf, options: &[&str]) -> Self {
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

    pub fn reached_by(self, variables: Vec<(&'static str, String)>) -> Engine {
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
