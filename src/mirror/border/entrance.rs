//! The way into a mirror that stays: one small container of ours that passes connections on, published on loopback.
//!
//! The mirror's networks are closed, and a container in closed networks only cannot publish ports. So the entrance
//! also stands in a network of its own, in which there is nobody else. It passes on to the listed ports and nowhere
//! else, forwards no packets, asks no name server but the mirror's, and its own network is not translated to the
//! outside: whoever breaks into it has found no way out.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, EndpointSettings, HostConfig, PortBinding};

use crate::engine::Engine;
use crate::engine::network::Leads;
use crate::mirror::names::directory::Directory;
use crate::mirror::names::fronts::Name;
use crate::world::model::World;

/// The first port on which the entrance listens inside.
const FIRST_PORT: u16 = 10_000;
/// From its start until it listens.
const OPENS_WITHIN: Duration = Duration::from_secs(60);
/// Ports that are known to speak something else than HTTP.
const NO_HTTP: [u16; 14] = [21, 22, 25, 53, 389, 465, 587, 636, 1883, 3306, 5432, 5672, 6379, 27017];
/// Ports on which servers speak TLS.
const HTTPS: [u16; 3] = [443, 8443, 9443];

/// What can be reached from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedPort {
    /// Name inside the mirror: a service's, or one of production's.
    pub host: String,
    /// Port inside the mirror.
    pub port: u16,
    /// Who answers there.
    pub answers: Answers,
    /// The name inside to which connections are passed on.
    pub leads_to: String,
    /// The port of 127.0.0.1, on the engine's machine; 0 before it is open.
    pub local: u16,
}

/// Who answers at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// A service of production's.
    Service,
    /// The agent, under one of production's names.
    Front,
}

impl OpenedPort {
    fn to_service(host: &str, port: u16, directory: &Directory<'_>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            answers: Answers::Service,
            leads_to: directory.reached_at(host),
            local: 0,
        }
    }

    fn to_front(name: &Name) -> Self {
        Self {
            host: name.host.clone(),
            port: name.port,
            answers: Answers::Front,
            leads_to: name.host.clone(),
            local: 0,
        }
    }

    /// Where to point a browser or a client.
    pub fn address(&self) -> String {
        let scheme = match self.port {
            port if HTTPS.contains(&port) => "https://",
            port if NO_HTTP.contains(&port) => "",
            _ => "http://",
        };
        format!("{scheme}127.0.0.1:{}", self.local)
    }
}

/// Every TCP port that production publishes, and the names that the agent answers to.
pub fn ways(world: &World, fronts: &[Name]) -> Vec<OpenedPort> {
    let directory = &Directory::of(fronts);
    let published = world.services.values().flat_map(|service| {
        // Who lives in another's network is reached there.
        let host = service.shares_network.as_deref().unwrap_or(&service.name);
        let reachable = !service.no_network;
        let ports = service.published.iter().filter(move |_| reachable);
        ports.map(move |port| OpenedPort::to_service(host, *port, directory))
    });
    let named = fronts.iter().map(OpenedPort::to_front);
    let mut all: Vec<OpenedPort> = Vec::new();
    for way in published.chain(named) {
        if !all.contains(&way) {
            all.push(way);
        }
    }
    all
}

/// Opens them. None where there are none.
///
/// # Errors
/// The engine refused, or the mirror's agent never came up.
pub async fn open(engine: &Engine, world: &World, ways: Vec<OpenedPort>) -> Result<Vec<OpenedPort>> {
    if ways.is_empty() {
        return Ok(ways);
    }
    // Engines lead a container's packets by, and publish its ports from, the network whose name is the first in order.
    let (network, name) = (engine.name("--entrance"), engine.name("entrance"));
    engine.create_outer_network(&network, Leads::Nowhere).await?;
    let inner = world
        .networks
        .keys()
        .map(|inner| (engine.name(inner), EndpointSettings::default()));
    stand(engine, "entrance", &name, body(engine, &network, &ways), inner).await?;
    let opened = opened(engine, engine.run(), ways.clone()).await?;
    anyhow::ensure!(opened.len() == ways.len(), "the engine did not publish every port");
    Ok(opened)
}

/// Those of `ways` that a run's entrance has open.
///
/// # Errors
/// The run has no entrance.
pub async fn opened(engine: &Engine, run: &str, ways: Vec<OpenedPort>) -> Result<Vec<OpenedPort>> {
    let found = engine.inspect(&format!("rehearsal-{run}-entrance")).await?;
    let ports = found
        .network_settings
        .and_then(|settings| settings.ports)
        .unwrap_or_default();
    let passages = found.config.and_then(|config| config.cmd).unwrap_or_default();
    let open = |mut way: OpenedPort| {
        let target = format!("{}:{}", way.leads_to, way.port);
        let inside = passages
            .iter()
            .find_map(|word| Some(word.split_once('=').filter(|(_, to)| *to == target)?.0))?;
        let bound = ports.get(&format!("{inside}/tcp"))?.as_ref()?.first()?;
        way.local = bound.host_port.as_ref()?.parse().ok()?;
        Some(way)
    };
    Ok(ways.into_iter().filter_map(open).collect())
}

fn key(port: u16) -> String {
    format!("{port}/tcp")
}

fn body(engine: &Engine, network: &str, ways: &[OpenedPort]) -> ContainerCreateBody {
    let listed = || ways.iter().zip(FIRST_PORT..);
    let words = listed().map(|(way, inside)| format!("{inside}={}:{}", way.leads_to, way.port));
    let bound = |(_, inside): (&OpenedPort, u16)| {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: None,
        };
        (key(inside), Some(vec![binding]))
    };
    let mut body = passing(engine, network, words.collect());
    body.exposed_ports = Some(listed().map(|(_, inside)| key(inside)).collect());
    if let Some(host) = body.host_config.as_mut() {
        host.port_bindings = Some(listed().map(bound).collect());
        // Names of the mirror are the engine's to know; any other is asked of nobody.
        host.dns = Some(vec!["127.0.0.1".to_owned()]);
    }
    body
}

/// Makes a container of ours that passes connections on, lets it into the mirror's networks, and waits until it is open.
pub(crate) async fn stand(
    engine: &Engine,
    what: &str,
    name: &str,
    body: ContainerCreateBody,
    inner: impl Iterator<Item = (String, EndpointSettings)>,
) -> Result<()> {
    let id = engine
        .create_container(name, "", body)
        .await
        .with_context(|| format!("the {what}'s container could not be made"))?;
    for (network, endpoint) in inner {
        engine.connect_network(&network, &id, endpoint).await?;
    }
    engine
        .start(name)
        .await
        .with_context(|| format!("the {what} could not be started"))?;
    engine
        .await_word(&id, OPENS_WITHIN)
        .await
        .with_context(|| format!("the {what} does not open"))
}

/// A container of ours that passes connections on, each `PORT=HOST:PORT`, and can do nothing else.
pub(crate) fn passing(engine: &Engine, network: &str, passages: Vec<String>) -> ContainerCreateBody {
    let words = ["agent", "entrance"].map(str::to_owned).into_iter().chain(passages);
    ContainerCreateBody {
        image: Some(format!("rehearsal-agent:{}", engine.run())),
        entrypoint: Some(vec!["/rehearsal".to_owned()]),
        cmd: Some(words.collect()),
        labels: Some(engine.labels(&[])),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            sysctls: Some(HashMap::from([("net.ipv4.ip_forward".to_owned(), "0".to_owned())])),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::Service;

    fn service(name: &str, published: &[u16]) -> (String, Service) {
        let service = Service {
            name: name.to_owned(),
            published: published.to_vec(),
            ..Service::default()
        };
        (name.to_owned(), service)
    }

    #[test]
    fn ways_lead_to_what_production_publishes_and_to_its_name() {
        let (name, mut aside) = service("aside", &[9000]);
        aside.shares_network = Some("web".to_owned());
        let (lone, mut alone) = service("alone", &[1]);
        alone.no_network = true;
        let world = World {
            services: [
                service("web", &[8080, 8080]),
                service("db", &[]),
                (name, aside),
                (lone, alone),
            ]
            .into(),
            ..World::default()
        };
        let names = [Name::of("https://login.example.com/o").unwrap()];
        let ways: Vec<String> = ways(&world, &names)
            .iter()
            .map(|way| format!("{}:{}", way.host, way.port))
            .collect();
        assert_eq!(ways, ["web:9000", "web:8080", "login.example.com:443"]);
    }

    #[test]
    fn a_way_to_a_service_behind_a_front_of_its_name_leads_past_the_front() {
        let world = World {
            services: [service("idp", &[1812])].into(),
            ..World::default()
        };
        let names = [Name::of("http://idp/").unwrap()];
        let ways = ways(&world, &names);
        let to: Vec<(Answers, &str)> = ways.iter().map(|way| (way.answers, way.leads_to.as_str())).collect();
        let wanted = [(Answers::Service, "idp.origin.rehearsal.test"), (Answers::Front, "idp")];
        assert_eq!(to, wanted);
    }

    #[test]
    fn an_address_says_what_is_spoken_there() {
        let at = |port| {
            OpenedPort {
                local: 49153,
                ..OpenedPort::to_service("web", port, &Directory::default())
            }
            .address()
        };
        assert_eq!(at(8080), "http://127.0.0.1:49153");
        assert_eq!(at(443), "https://127.0.0.1:49153");
        assert_eq!(at(5432), "127.0.0.1:49153");
    }
}
