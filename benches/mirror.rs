//! What a mirror costs: a world of twelve services with health checks, up to ready and down again, by Rehearsal, by
//! the engine's API at its bare best and by docker compose, one after the other in one run, again and again; then
//! worlds of trivial containers, each twice as large as the one before.
//!
//! `make bench-mirror`. Figures are ratios within one run: a machine's speed, and what else it does, is in both.

#![allow(clippy::unwrap_used, reason = "a bench ends where something goes wrong")]

#[path = "../tests/engine/mod.rs"]
mod engine;
#[path = "../tests/stage/mod.rs"]
mod stage;

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{CreateContainerOptions, EventsOptions, RemoveContainerOptions};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use rehearsal::config::compose::{self, LoadOptions};
use rehearsal::mirror::model::{Attachment, Network, Service, World};
use rehearsal::mirror::{Mirror, from_compose, sweep};
use stage::{LIMIT, run_name};

const ROUNDS: usize = 5;
const FILE: &str = "fixtures/bench/compose.yaml";
/// Of the bare API's time, at most.
const GOAL_API: f64 = 1.1;
/// Of docker compose's time, at most.
const GOAL_COMPOSE: f64 = 0.8;
/// Trivial containers, and how much dearer one of the largest world may be than one of the smallest.
const SIZES: [usize; 3] = [25, 50, 100];
const GOAL_LINEAR: f64 = 1.25;

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
    engine::image();
    let mut met = twelve_services().await;
    met &= growing_worlds().await;
    std::process::exit(i32::from(!met));
}

async fn twelve_services() -> bool {
    let world = twelve();
    let (mut ours, mut bare, mut composed) = (Vec::new(), Vec::new(), Vec::new());
    println!(
        "{} services with health checks, up to ready + down, in seconds:\n",
        world.services.len()
    );
    println!("round   Rehearsal           bare API            docker compose");
    for round in 1..=ROUNDS {
        ours.push(by_rehearsal(world.clone()).await);
        bare.push(by_api(&world).await);
        composed.push(by_compose());
        let last = [ours.last(), bare.last(), composed.last()].map(|took| shown(*took.unwrap()));
        println!("{round:>5}   {}   {}   {}", last[0], last[1], last[2]);
    }
    let to_api = ratio(&ours, &bare);
    let to_compose = ratio(&ours, &composed);
    println!();
    let met = [
        said("Rehearsal / bare API", to_api, GOAL_API),
        said("Rehearsal / docker compose", to_compose, GOAL_COMPOSE),
    ];
    met.iter().all(|met| *met)
}

async fn growing_worlds() -> bool {
    println!("\ntrivial containers, up + down, in seconds:\n");
    let mut each = Vec::new();
    for size in SIZES {
        let took = by_rehearsal(trivial(size)).await;
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
        files: vec![engine::root().join(FILE)],
        ..LoadOptions::default()
    };
    from_compose::world(&compose::load(&options).unwrap()).unwrap()
}

fn trivial(size: usize) -> World {
    let service = |number: usize| Service {
        name: format!("s{number:03}"),
        image: engine::IMAGE.to_owned(),
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

async fn by_rehearsal(world: World) -> Took {
    let begun = Instant::now();
    let engine = stage::connect(&run_name()).await;
    let setup = stage::setup(&engine, world).await;
    let mirror = Mirror::prepare(setup).await.unwrap();
    let started = mirror.start(LIMIT).await.unwrap();
    let up = begun.elapsed();
    assert!(started.iter().all(|one| one.failure.is_none()), "{started:?}");
    let begun = Instant::now();
    engine.close().await;
    sweep::remove_run(&engine, engine.run()).await.unwrap();
    Took {
        up,
        down: begun.elapsed(),
    }
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
            .current_dir(engine::root())
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
