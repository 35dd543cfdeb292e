//! `make test-releases`, some minutes: a public product's release, deployed by `docker compose up -d` on this engine and by
//! a rehearsal, ends with the same containers, and each starts after all that it depends on. The product's images are
//! stood in for by `fixtures/stand-in`; everything else is the product's own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::docker::docker;
use crate::driver::{self, Rehearsed};

/// A folder of `fixtures/releases`.
struct Product {
    name: &'static str,
    /// Production, and the release, as `docker compose` is told of them.
    before: &'static [&'static str],
    after: &'static [&'static str],
    /// The same release, in `rehearsal.yaml`.
    configured: &'static str,
    /// What is asked of it.
    asked: &'static str,
    /// What stands for what: images, ports that this machine may have given away, and what the stand-in's shell cannot.
    stands_for: &'static [(&'static str, &'static str)],
}

const AUTHENTIK: Product = Product {
    name: "authentik",
    before: &[
        "--env-file",
        "production.env",
        "-f",
        "compose.yaml",
        "-f",
        "no-socket.yaml",
    ],
    after: &[
        "--env-file",
        "production.env",
        "--project-directory",
        ".",
        "-f",
        "release/compose.yaml",
        "-f",
        "no-socket.yaml",
    ],
    configured: "production: {compose: [compose.yaml, no-socket.yaml], env_file: production.env}\n\
                 release: {compose: [release/compose.yaml, no-socket.yaml]}\n",
    asked: "http://server:9000/-/health/ready/",
    stands_for: &[
        ("docker.io/library/", "rehearsal-test/"),
        ("ghcr.io/goauthentik/", "rehearsal-test/"),
        ("${COMPOSE_PORT_HTTP:-9000}:", ""),
        ("${COMPOSE_PORT_HTTPS:-9443}:", ""),
    ],
};

const OUTLINE: Product = Product {
    name: "outline",
    before: &["--env-file", "production.env", "-f", "compose.yaml"],
    after: &["--env-file", "production.env", "-f", "after.yaml"],
    configured: "production: {compose: compose.yaml, env_file: production.env}\n\
                 release: {images: {rehearsal-test/outline: \"rehearsal-test/outline:1.0.0\"}}\n",
    asked: "http://outline:3000/_health/",
    stands_for: &[
        ("docker.getoutline.com/outlinewiki/", "rehearsal-test/"),
        ("quay.io/keycloak/", "rehearsal-test/"),
        ("image: steveltn/", "image: rehearsal-test/"),
        ("image: postgres:", "image: rehearsal-test/postgres:"),
        ("image: redis:", "image: rehearsal-test/redis:"),
        ("80:80", "80"),
        ("443:443", "443"),
    ],
};

const NETBOX: Product = Product {
    name: "netbox",
    before: &[
        "--env-file",
        "production.env",
        "-f",
        "compose.yaml",
        "-f",
        "compose.override.yaml",
    ],
    after: &[
        "--env-file",
        "production.env",
        "--env-file",
        "release.env",
        "-f",
        "compose.yaml",
        "-f",
        "compose.override.yaml",
    ],
    configured: "production: {compose: [compose.yaml, compose.override.yaml], env_file: production.env}\n\
                 release: {env_file: release.env}\n",
    asked: "http://netbox:8080/login/",
    stands_for: &[
        ("docker.io/netboxcommunity/", "rehearsal-test/"),
        ("docker.io/valkey/", "rehearsal-test/"),
        ("docker.io/", "rehearsal-test/"),
        ("8000:8080", "8080"),
        ("ps -aux", "ps"),
    ],
};

impl Product {
    /// A copy in which the images are the stand-ins.
    fn staged(&self) -> PathBuf {
        let folder = driver::folder(&format!("public-releases/{}", self.name));
        copy(&driver::root().join("fixtures/releases").join(self.name), &folder, self);
        // The release, as somebody would write it down who deploys by hand.
        std::fs::write(folder.join("release.env"), "VERSION=v4.1-3.0.2\n").unwrap();
        let production = std::fs::read_to_string(folder.join("compose.yaml")).unwrap();
        let after = production.replace("outline:0.87.4", "outline:1.0.0");
        std::fs::write(folder.join("after.yaml"), after).unwrap();
        let suite = format!(
            "suites: {{smoke: {{requests: [{{name: up, get: \"{}\"}}]}}}}\ntimeout: 20m\n",
            self.asked
        );
        std::fs::write(folder.join("rehearsal.yaml"), format!("{}{suite}", self.configured)).unwrap();
        folder
    }
}

fn copy(from: &Path, to: &Path, product: &Product) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&path, &target, product);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let stand_in = |text: String, (real, ours): &(&str, &str)| text.replace(real, ours);
            std::fs::write(target, product.stands_for.iter().fold(text, stand_in)).unwrap();
        }
    }
}

/// A project of Docker Compose's. Dropping it takes it down.
struct Compose<'a> {
    folder: &'a Path,
    product: &'a Product,
}

impl Compose<'_> {
    fn project(&self) -> String {
        format!("rehearsal-test-{}", self.product.name)
    }

    fn run(&self, files: &[&str], words: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(["compose", "-p", &self.project()]).args(files).args(words);
        command.current_dir(self.folder).env_clear();
        for name in ["PATH", "HOME", "DOCKER_HOST"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let output = command.output().expect("docker compose is there");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Who depends on whom, on either side of the release.
    fn dependencies(&self) -> Vec<Dependency> {
        let sides = [self.product.before, self.product.after].map(|files| {
            let text = self.run(files, &["config", "--format", "json"]);
            serde_json::from_str::<Value>(&text).expect("JSON")
        });
        let services = sides.iter().enumerate().flat_map(|(side, model)| {
            model["services"]
                .as_object()
                .into_iter()
                .flatten()
                .map(move |of| (side, of))
        });
        let dependencies = services.flat_map(|(side, (service, model))| {
            let needs = model["depends_on"].as_object().into_iter().flatten();
            needs.map(move |(need, how)| Dependency {
                side,
                service: service.clone(),
                need: need.clone(),
                healthy: how["condition"] == "service_healthy",
            })
        });
        dependencies.collect()
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        self.run(
            self.product.before,
            &["down", "--volumes", "--remove-orphans", "--timeout", "0"],
        );
    }
}

struct Dependency {
    /// Production's, or the release's.
    side: usize,
    service: String,
    need: String,
    healthy: bool,
}

/// A container's start, seen by the engine.
struct Start {
    service: String,
    container: Value,
}

/// A process that goes on until this is dropped.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        // It may have ended with its engine.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// What is started while something is done, in order; `owner` is the label that says whose containers count.
fn starts_during<T>(owner: &str, service: &str, done: impl FnOnce() -> T) -> (T, Vec<(String, Start)>) {
    let begin = docker(&["info", "--format", "{{.SystemTime}}"]);
    let marker = format!("rehearsal-test-marker-{}", std::process::id());
    let events = Command::new("docker")
        .args(["events", "--since", &begin, "--format", "{{json .}}"])
        .args(["--filter", "event=start", "--filter", "event=destroy"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker is there");
    let mut events = Endless(events);
    let lines = BufReader::new(events.0.stdout.take().expect("a pipe")).lines();
    let (owner, service, last) = (owner.to_owned(), service.to_owned(), marker.clone());
    let reader = thread::spawn(move || {
        let events = lines.map_while(Result::ok);
        let events = events.map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
        let ours = events.take_while(|event| event["Actor"]["ID"] != last.as_str());
        let started = ours.filter(|event| event["Type"] == "container" && event["Action"] == "start");
        started.filter_map(|event| start(&event, &owner, &service)).collect()
    });
    let outcome = done();
    docker(&["volume", "create", &marker]);
    docker(&["volume", "rm", &marker]);
    (outcome, reader.join().expect("it reads"))
}

/// By whom, and what; nothing where it is no service of that kind.
fn start(event: &Value, owner: &str, service: &str) -> Option<(String, Start)> {
    let labels = &event["Actor"]["Attributes"];
    let whose = labels[owner].as_str()?.to_owned();
    let service = labels[service].as_str()?.to_owned();
    let text = docker(&["inspect", event["Actor"]["ID"].as_str()?]);
    let container = serde_json::from_str::<Value>(&text).ok()?[0].take();
    Some((whose, Start { service, container }))
}

fn of(whose: &str, starts: Vec<(String, Start)>) -> Vec<Start> {
    let own = starts.into_iter().filter(|(owner, _)| owner == whose);
    own.map(|(_, start)| start).collect()
}

/// A container but for what tells two engines' objects apart: names, ids, and where a folder lies.
fn shape(container: &Value) -> Value {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let restart = host["RestartPolicy"]["Name"].as_str().filter(|name| !name.is_empty());
    json!({
        "image": config["Image"],
        "command": config["Cmd"],
        "entrypoint": config["Entrypoint"],
        "environment": sorted(&config["Env"], |variable| Some(variable.clone())),
        "user": config["User"],
        "health": config["Healthcheck"],
        "restart": restart.unwrap_or("no"),
        "ulimits": host["Ulimits"],
        "mounts": sorted(&container["Mounts"], mount),
        "networks": networks(container),
    })
}

fn sorted(list: &Value, one: impl Fn(&Value) -> Option<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = list.as_array().into_iter().flatten().filter_map(one).collect();
    all.sort_by_key(Value::to_string);
    all
}

/// The mirror copies files into its containers.
fn mount(mount: &Value) -> Option<Value> {
    let source = Path::new(mount["Source"].as_str()?);
    let is_folder = mount["Type"] != "bind" || source.is_dir();
    is_folder.then(|| json!([mount["Destination"], mount["RW"]]))
}

/// Names within each network, without those that the engine or Compose give a container of its own.
fn networks(container: &Value) -> Vec<Value> {
    let (id, name) = (container["Id"].as_str().unwrap(), container["Name"].as_str().unwrap());
    let own = |alias: &&Value| {
        let alias = alias.as_str().unwrap_or_default();
        !id.starts_with(alias) && name.trim_start_matches('/') != alias
    };
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten();
    let names = networks.map(|(network, endpoint)| {
        let network = network.rsplit(['_', '-']).next().unwrap_or_default();
        let aliases = endpoint["Aliases"].as_array().into_iter().flatten().filter(own);
        json!([network, aliases.collect::<Vec<_>>()])
    });
    names.collect()
}

/// By service, its containers one after the other: one that is only restarted stands there twice.
fn shapes(starts: &[Start]) -> BTreeMap<&str, Vec<Value>> {
    let mut all: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for start in starts {
        all.entry(&start.service).or_default().push(shape(&start.container));
    }
    all
}

/// How many containers a service had.
fn containers(starts: &[Start], service: &str) -> usize {
    let own = starts.iter().filter(|start| start.service == service);
    let ids: BTreeSet<String> = own.map(|start| start.container["Id"].to_string()).collect();
    ids.len()
}

/// Who was started before something that it depends on: of that, the container of the same side must be there.
fn out_of_order(starts: &[Start], dependencies: &[Dependency]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let side = containers(&starts[..=at], &start.service) - 1;
        let own = dependencies
            .iter()
            .filter(|one| one.service == start.service && one.side == side);
        for dependency in own {
            let wanted = containers(starts, &dependency.need).min(side + 1);
            if containers(&starts[..at], &dependency.need) < wanted {
                wrong.push(format!("{} before {}", start.service, dependency.need));
            }
        }
    }
    wrong
}

/// What our own events tell of readiness: who was started before what it waits for was ready. What the release drops is
/// waited for by nobody.
fn too_early(events: &[Value], dependencies: &[Dependency]) -> Vec<String> {
    let mut states: BTreeMap<&str, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in events {
        let (Some(service), Some(state)) = (event["service"].as_str(), event["state"].as_str()) else {
            continue;
        };
        if !["started", "ready", "stopped"].contains(&state) {
            continue;
        }
        if state == "started" {
            let waits = dependencies.iter().filter(|one| one.service == service && one.healthy);
            let early = waits.filter(|one| !matches!(states.get(one.need.as_str()), Some(&("ready" | "stopped"))));
            wrong.extend(early.map(|one| format!("{service} before {} was ready", one.need)));
        }
        states.insert(service, state);
    }
    wrong
}

fn ends_as_compose_does(product: &Product) {
    let folder = product.staged();
    let compose = Compose {
        folder: &folder,
        product,
    };
    let images = [product.before, product.after].map(|files| compose.run(files, &["config", "--images"]));
    let built = Command::new(driver::root().join("fixtures/stand-in/build.sh"))
        .args(images.iter().flat_map(|text| text.lines()))
        .status();
    assert!(
        built.is_ok_and(|built| built.success()),
        "fixtures/stand-in/build.sh failed"
    );
    let dependencies = compose.dependencies();

    let labels = ("com.docker.compose.project", "com.docker.compose.service");
    let ((), theirs) = starts_during(labels.0, labels.1, || {
        compose.run(product.before, &["up", "--detach"]);
        compose.run(product.after, &["up", "--detach", "--remove-orphans"]);
    });
    let theirs = of(&compose.project(), theirs);
    drop(compose);

    let out = folder.join("out");
    let labels = ("dev.rehearsal.run", "dev.rehearsal.service");
    let (run, ours) = starts_during(labels.0, labels.1, || {
        let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
        command.args(["--only", "upgrade"]);
        Rehearsed::of(command, &out)
    });
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let ours = of(&run.id(), ours);

    assert!(!theirs.is_empty());
    let (ended, wanted) = (shapes(&ours), shapes(&theirs));
    assert_eq!(ended.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (service, ended) in ended {
        assert_eq!(ended, wanted[service], "{service}");
    }
    assert_eq!(out_of_order(&theirs, &dependencies), [""; 0], "Docker Compose");
    assert_eq!(out_of_order(&ours, &dependencies), [""; 0], "the rehearsal");
    assert_eq!(too_early(&driver::events(&out), &dependencies), [""; 0]);
}

#[test]
fn authentik_without_redis_ends_as_docker_compose_ends_it() {
    ends_as_compose_does(&AUTHENTIK);
}

#[test]
fn netbox_with_its_worker_and_housekeeping_ends_as_docker_compose_ends_it() {
    ends_as_compose_does(&NETBOX);
}

#[test]
fn outline_and_the_portal_that_is_restarted_with_it_end_as_docker_compose_ends_them() {
    ends_as_compose_does(&OUTLINE);
}
