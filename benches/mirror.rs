//! What a mirror costs: a world of twelve services with health checks, up to ready and down again, by Rehearsal, by
//! the engine's API at its bare best and by docker compose, one after the other in one run, again and again; then
//! worlds of trivial containers, each twice as large as the one before.
//!
//! `make bench-mirror`. Figures are ratios within one run: a machine's speed, and what else it does, is in both.

#![allow(clippy::unwrap_used, reason = "a bench ends where something goes wrong")]

#[path = "../tests/common/docker.rs"]
mod docker;
#[path = "../tests/common/miscounted.rs"]
mod miscounted;
#[expect(dead_code, reason = "the bench uses a part of it")]
#[path = "../tests/common/slot.rs"]
mod slot;
#[expect(dead_code, reason = "the bench uses a part of it")]
#[path = "../tests/common/stage.rs"]
mod stage;

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{CreateContainerOptions, EventsOptions, RemoveContainerOptions};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use rehearsal::compose::{self, LoadOptions};
use rehearsal::engine::sweep;
use rehearsal::mirror::{Mirror, News, Setup};
use rehearsal::world::from_compose;
use rehearsal::world::model::{Attachment, Health, Network, Service, World};
use stage::{LIMIT, Stage, all_lines, run_name};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const ROUNDS: usize = 5;
const FILE: &str = "fixtures/bench/compose.yaml";
/// Of the bare API's time, at most.
const GOAL_API: f64 = 1.1;
/// Of docker compose's time, at most.
const GOAL_COMPOSE: f64 = 0.8;
/// Of docker compose's time, at most, for `up` and `down` as a user calls them.
const GOAL_COMMANDS: f64 = 0.9;
/// Trivial containers, and how much dearer one of the largest world may be than one of the smallest.
const SIZES: [usize; 3] = [25, 50, 100];
const GOAL_LINEAR: f64 = 1.25;
/// From a service's being ready to that being seen, in milliseconds, at most.
const GOAL_SEEN: u64 = 100;

/// Up to ready, and down again.
#[derive(Debug, Clone, Copy)]
struct Took {
    up: Duration,
    down: Duration,
}

impl Took {
    fn whole(self) -> f64 {
        (self.up + self.down).as_secs_f64()
    }
}

#[tokio::main]
async fn main() {
    docker::image();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    println!("load: {}", std::fs::read_to_string("/proc/loadavg").unwrap().trim());
    let mut met = true;
    if is_wanted("twelve") {
        met &= twelve_services().await;
    }
    if is_wanted("readiness") {
        met &= readiness().await;
    }
    if is_wanted("growing") {
        met &= growing_worlds().await;
    }
    std::process::exit(i32::from(!met));
}

async fn twelve_services() -> bool {
    let world = twelve();
    let (mut ours, mut bare, mut composed, mut commands) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let config = Config::new();
    let mut timeline = None;
    println!(
        "{} services with health checks, up to ready + down, in seconds:\n",
        world.services.len()
    );
    println!("round   Rehearsal           its commands        bare API            docker compose");
    for round in 1..=ROUNDS {
        let (took, times) = by_rehearsal(world.clone()).await;
        ours.push(took);
        commands.push(by_commands(&config));
        bare.push(by_api(&world).await);
        composed.push(by_compose());
        let last = [ours.last(), commands.last(), bare.last(), composed.last()].map(|took| shown(*took.unwrap()));
        println!("{round:>5}   {}   {}   {}   {}", last[0], last[1], last[2], last[3]);
        timeline = Some(times);
    }
    timeline.into_iter().for_each(|times| times.show());
    let to_api = ratio(&ours, &bare);
    let to_compose = ratio(&ours, &composed);
    println!();
    let met = [
        said(
            "`up` and `down` / docker compose",
            ratio(&commands, &composed),
            GOAL_COMMANDS,
        ),
        said("Rehearsal / bare API", to_api, GOAL_API),
        said("Rehearsal / docker compose", to_compose, GOAL_COMPOSE),
    ];
    met.iter().all(|met| *met)
}

/// A service that becomes ready at a moment that it tells itself, by the clock that it has in common with us.
async fn readiness() -> bool {
    println!("\nfrom being ready to that being seen, in milliseconds:\n");
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(seen_late().await);
    }
    println!("        {all:?}");
    let worst = all.into_iter().max().unwrap();
    let met = worst <= GOAL_SEEN;
    let word = if met { "met" } else { "MISSED" };
    println!("\nreadiness seen after {worst} ms (goal: at most {GOAL_SEEN} ms, {word})");
    met
}

async fn seen_late() -> u64 {
    let line = "sleep 0.7; read up rest </proc/uptime; echo $up; touch /tmp/ready; sleep infinity";
    let web = Service {
        command: Some(["sh", "-c", line].map(str::to_owned).to_vec()),
        health: Some(Health {
            test: ["CMD", "test", "-f", "/tmp/ready"].map(str::to_owned).to_vec(),
            interval: Some(Duration::from_secs(3)),
            ..Health::default()
        }),
        stop_signal: Some("SIGKILL".to_owned()),
        ..trivial(1).services.into_values().next().unwrap()
    };
    let mut world = trivial(1);
    world.services.insert(web.name.clone(), web.clone());
    let stage = Stage::of(world).await;
    let begun = uptime(&std::fs::read_to_string("/proc/uptime").unwrap());
    let started = stage.mirror.start(LIMIT).await.unwrap().started;
    let seen = begun + u64::try_from((started[0].begun + started[0].took).as_millis()).unwrap();
    let ready = uptime(&all_lines(&stage.mirror, &web.name, 1).await[0]);
    stage.down().await;
    seen.saturating_sub(ready)
}

/// Milliseconds since the machine started, which it tells in hundredths of a second.
fn uptime(text: &str) -> u64 {
    let seconds = text.split_whitespace().next().unwrap();
    seconds.replace('.', "").parse::<u64>().unwrap() * 10
}

async fn growing_worlds() -> bool {
    println!("\ntrivial containers, up + down, in seconds:\n");
    let mut each = Vec::new();
    for size in SIZES {
        let (took, _) = by_rehearsal(trivial(size)).await;
        let one = took.whole() / size as f64;
        println!("{size:>5}   {}   {:.0} ms each", shown(took), one * 1e3);
        each.push(one);
    }
    let growth = each.last().unwrap() / each.first().unwrap();
    println!();
    said("one of the largest world / one of the smallest", growth, GOAL_LINEAR)
}

fn shown(took: Took) -> String {
    format!(
        "{:.2} + {:.2} = {:.2}",
        took.up.as_secs_f64(),
        took.down.as_secs_f64(),
        took.whole()
    )
}

/// The median of the rounds' own ratios: what disturbs one round does not count.
fn ratio(ours: &[Took], theirs: &[Took]) -> f64 {
    let mut all: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a.whole() / b.whole()).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn said(what: &str, ratio: f64, goal: f64) -> bool {
    let met = ratio <= goal;
    let word = if met { "met" } else { "MISSED" };
    println!("{what}: {ratio:.2} (goal: at most {goal:.2}, {word})");
    met
}

fn twelve() -> World {
    let options = LoadOptions {
        files: vec![docker::root().join(FILE)],
        ..LoadOptions::default()
    };
    from_compose::world(&compose::load(&options).unwrap()).unwrap()
}

fn trivial(size: usize) -> World {
    let service = |number: usize| Service {
        name: format!("s{number:03}"),
        image: docker::IMAGE.to_owned(),
        command: Some(["sleep", "infinity"].map(str::to_owned).to_vec()),
        networks: BTreeMap::from([("default".to_owned(), Attachment::named([format!("s{number:03}")]))]),
        ..Service::default()
    };
    World {
        services: (0..size)
            .map(service)
            .map(|service| (service.name.clone(), service))
            .collect(),
        networks: BTreeMap::from([("default".to_owned(), Network::default())]),
        ..World::default()
    }
}

/// What happened when.
#[derive(Debug, Clone)]
struct Timeline {
    begun: Instant,
    all: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Timeline {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            all: Arc::default(),
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.all.lock().unwrap().push((what.into(), self.begun.elapsed()));
    }

    /// Notes what services tell.
    fn listen(&self) -> UnboundedSender<News> {
        let (news, mut heard) = unbounded_channel::<News>();
        let times = self.clone();
        tokio::spawn(async move {
            while let Some(news) = heard.recv().await {
                if let News::Container(change) = news {
                    times.note(format!("{} {}", change.replica, change.state));
                }
            }
        });
        news
    }

    fn show(&self) {
        println!("\nRehearsal's last round, in seconds:\n");
        for (what, at) in self.all.lock().unwrap().iter() {
            println!("{:>8.2}   {what}", at.as_secs_f64());
        }
    }
}

async fn by_rehearsal(world: World) -> (Took, Timeline) {
    let times = Timeline::begin();
    let engine = stage::connect(&run_name()).await;
    times.note("connected");
    let setup = Setup {
        news: times.listen(),
        ..stage::setup(&engine, world).await
    };
    times.note("images known");
    let mirror = Mirror::prepare(setup).await.unwrap();
    times.note("networks made");
    let started = mirror.start(LIMIT).await.unwrap().started;
    let up = times.begun.elapsed();
    assert!(started.iter().all(|one| one.failure.is_none()), "{started:?}");
    engine.close().await;
    if let Err(error) = sweep::remove_run(&engine, engine.run()).await {
        let words = format!("{error:#}");
        assert!(is_miscounted(&words), "{words}");
        println!("{words}");
    }
    let down = times.begun.elapsed() - up;
    times.note("down again");
    (Took { up, down }, times)
}

/// The least that an engine can be asked: everything at once, readiness from its own events.
async fn by_api(world: &World) -> Took {
    let docker = Docker::connect_with_defaults()
        .unwrap()
        .negotiate_version()
        .await
        .unwrap();
    let network = run_name();
    let begun = Instant::now();
    let events = docker.events(Some(EventsOptions {
        since: Some(time::OffsetDateTime::now_utc().unix_timestamp().to_string()),
        filters: Some(HashMap::from([("event".to_owned(), vec!["health_status".to_owned()])])),
        ..Default::default()
    }));
    let request = NetworkCreateRequest {
        name: network.clone(),
        internal: Some(true),
        ..Default::default()
    };
    docker.create_network(request).await.unwrap();
    let made = join_all(world.services.values().map(|service| start(&docker, &network, service))).await;
    let mut waiting: Vec<String> = made;
    let mut events = Box::pin(events);
    while !waiting.is_empty() {
        let event = events.next().await.unwrap().unwrap();
        let id = event.actor.and_then(|actor| actor.id).unwrap_or_default();
        if event.action.as_deref() == Some("health_status: healthy") {
            waiting.retain(|one| *one != id);
        }
    }
    let up = begun.elapsed();
    let begun = Instant::now();
    join_all(
        world
            .services
            .keys()
            .map(|name| remove(&docker, format!("{network}-{name}"))),
    )
    .await;
    let removed = docker.remove_network(&network).await;
    assert!(
        removed
            .as_ref()
            .map_or_else(|error| is_miscounted(&error.to_string()), |()| true),
        "{removed:?}"
    );
    Took {
        up,
        down: begun.elapsed(),
    }
}

/// Engines before 28 may count wrong where many containers start at once, and keep the network until they restart.
fn is_miscounted(words: &str) -> bool {
    words.contains("has active endpoints")
}

async fn start(docker: &Docker, network: &str, service: &Service) -> String {
    let name = format!("{network}-{}", service.name);
    let health = service.health.clone().unwrap();
    let nanos = |time: Option<Duration>| time.map(|time| i64::try_from(time.as_nanos()).unwrap());
    let endpoint = EndpointSettings {
        aliases: Some(vec![service.name.clone()]),
        ..Default::default()
    };
    let body = ContainerCreateBody {
        image: Some(service.image.clone()),
        cmd: service.command.clone(),
        healthcheck: Some(HealthConfig {
            test: Some(health.test),
            interval: nanos(health.interval),
            timeout: nanos(health.timeout),
            retries: health.retries.map(|count| i64::try_from(count).unwrap()),
            ..Default::default()
        }),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])),
        }),
        ..Default::default()
    };
    let options = CreateContainerOptions {
        name: Some(name),
        ..Default::default()
    };
    let id = docker.create_container(Some(options), body).await.unwrap().id;
    docker
        .start_container(&id, None::<bollard::query_parameters::StartContainerOptions>)
        .await
        .unwrap();
    id
}

async fn remove(docker: &Docker, name: String) {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        ..Default::default()
    };
    docker.remove_container(&name, Some(options)).await.unwrap();
}

/// A configuration for the twelve services.
struct Config(tempfile::TempDir);

impl Config {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = docker::root().join(FILE);
        let production = format!("production: {{compose: {}}}", file.display());
        let text = format!("{production}\ncandidate: {{s01: {{env: {{RELEASE: \"2\"}}}}}}\n");
        std::fs::write(folder.path().join("rehearsal.yaml"), text).unwrap();
        Self(folder)
    }
}

/// As a user calls it: the program's own start, its configuration, its leftovers are in it.
fn by_commands(config: &Config) -> Took {
    let called = |command: &str| {
        let begun = Instant::now();
        let ended = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .arg(command)
            .current_dir(config.0.path())
            .output()
            .unwrap();
        let took = begun.elapsed();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        took
    };
    Took {
        up: called("up"),
        down: called("down"),
    }
}

fn by_compose() -> Took {
    let name = run_name();
    let compose = |words: &[&str]| {
        let begun = Instant::now();
        let done = Command::new("docker")
            .args([
                "compose",
                "--progress",
                "quiet",
                "--project-name",
                &name,
                "--file",
                FILE,
            ])
            .args(words)
            .current_dir(docker::root())
            .output()
            .unwrap();
        let took = begun.elapsed();
        let words = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() || is_miscounted(&words), "{words}");
        took
    };
    Took {
        up: compose(&["up", "--detach", "--wait"]),
        down: compose(&["down", "--timeout", "0", "--volumes"]),
    }
}
