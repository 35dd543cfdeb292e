//! The agent's container: in all networks of the mirror, and spoken to from the first moment on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, EndpointSettings, HostConfig, NetworkingConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::border::{door, outside};
use super::names::serve;
use super::setup::Setup;
use crate::agent::Call;
use crate::agent::client::Client;
use crate::engine::archive;
use crate::engine::exec::Conversation;
use crate::world::addresses::Subnet;

/// Bytes on their way to or from the agent.
const PIPE: usize = 64 * 1024;
/// What is run in its container to speak with it.
const SERVE: [&str; 3] = ["/rehearsal", "agent", "serve"];

/// The agent on its way.
pub(super) type Arrival = JoinHandle<Result<()>>;
/// Turns true when the agent answers for names, its own and those outside, and the door is open.
pub(super) type Answering = watch::Receiver<bool>;

/// The agent, whether it is there already or on its way.
pub(super) struct Agent {
    /// Can be spoken to at once.
    pub client: Client,
    /// Whether it has come; `None` where somebody has waited for it.
    pub arrival: Mutex<Option<Arrival>>,
    /// Until when services are not started.
    pub answering: Answering,
}

/// A client that can be spoken to at once, while its agent is still being made; and whether that succeeds.
pub(super) fn begin(setup: &Setup, subnets: &Arc<BTreeMap<String, Subnet>>, image: Arrival) -> Agent {
    let ((to_agent, calls), (replies, from_agent)) = (tokio::io::duplex(PIPE), tokio::io::duplex(PIPE));
    let (setup, subnets) = (setup.clone(), Arc::clone(subnets));
    let client = Client::over(from_agent, to_agent);
    let agent = client.clone();
    let (answers, answering) = watch::channel(false);
    let arrival = tokio::spawn(async move {
        image.await??;
        let ((output, input), ()) = tokio::try_join!(make(&setup, &subnets), door::open(&setup, &subnets))?;
        tokio::spawn(pump(output, replies));
        tokio::spawn(pump(calls, input));
        tokio::try_join!(
            serve::begin(&setup, &subnets, &agent),
            outside::answer(&setup, &subnets, &agent)
        )?;
        if setup.engine.keeps() {
            agent.call(Call::Stay).await?;
        }
        answers.send_replace(true);
        Ok(())
    });
    Agent {
        client,
        arrival: Mutex::new(Some(arrival)),
        answering,
    }
}

/// A conversation of one's own with an agent that stays: what it answers to, it answers to as before.
pub(super) async fn again(setup: &Setup) -> Result<Agent> {
    let name = setup.engine.name(&format!("{}agent", setup.prefix));
    let conversation = setup.engine.converse(&name, &SERVE).await;
    let (output, input) = conversation.context("the mirror's agent is gone")?;
    let client = Client::over(output, input);
    client.call(Call::Ping).await?;
    let (_answers, answering) = watch::channel(true);
    Ok(Agent {
        client,
        arrival: Mutex::new(None),
        answering,
    })
}

/// Carries bytes until one side ends, and tells the other.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    // The client says that the agent is gone.
    let _carried = tokio::io::copy(&mut from, &mut to).await;
    let _told = to.shutdown().await;
}

/// The agent's container in all networks, and the conversation with it.
async fn make(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Result<Conversation> {
    let directory = setup.directory();
    let mut networks = subnets.iter().map(|(name, subnet)| {
        let endpoint = EndpointSettings {
            aliases: Some(directory.of_agent(name)),
            ipam_config: Some(subnet.for_agent()),
            ..Default::default()
        };
        (setup.network(name), endpoint)
    });
    let name = setup.engine.name(&format!("{}agent", setup.prefix));
    let id = setup
        .engine
        .create_container(&name, "", body(setup, networks.next()))
        .await
        .context("the agent's container could not be made")?;
    for (network, endpoint) in networks {
        setup.engine.connect_network(&network, &id, endpoint).await?;
    }
    setup
        .engine
        .start(&name)
        .await
        .context("the agent could not be started")?;
    setup.engine.converse(&id, &SERVE).await
}

/// Begins to make the agent's image: it needs nothing of the mirror.
pub(super) fn image(setup: &Setup) -> Arrival {
    let setup = setup.clone();
    tokio::spawn(async move { make_image(&setup).await })
}

async fn make_image(setup: &Setup) -> Result<()> {
    let (name, tag) = ("rehearsal-agent", setup.engine.run());
    if setup.engine.image(&format!("{name}:{tag}")).await?.is_some() {
        return Ok(());
    }
    let program = setup.program.clone();
    let archive = tokio::task::spawn_blocking(move || archive::of_program(&program)).await??;
    let label = |(name, value): (&String, &String)| format!("LABEL {name}={value}");
    setup
        .engine
        .import(name, tag, archive, setup.engine.labels(&[]).iter().map(label).collect())
        .await
}

fn body(setup: &Setup, first: Option<(String, EndpointSettings)>) -> ContainerCreateBody {
    let own = first
        .as_ref()
        .filter(|_| setup.engine.hands_on_unknown_names())
        .and_then(|(_, endpoint)| endpoint.ipam_config.as_ref()?.ipv4_address.clone());
    // It takes its networks' gateway addresses. Every address is its own then: it must neither carry packets from one network
    // to another nor answer a ping to whomever.
    let takes_gateways = own.is_some();
    let quiet = [("net.ipv4.ip_forward", "0"), ("net.ipv4.icmp_echo_ignore_all", "1")];
    let quiet = quiet.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ContainerCreateBody {
        image: Some(format!("rehearsal-agent:{}", setup.engine.run())),
        entrypoint: Some(vec!["/rehearsal".to_owned()]),
        cmd: Some(vec!["agent".to_owned(), "hold".to_owned()]),
        labels: Some(setup.engine.labels(&[])),
        host_config: Some(HostConfig {
            network_mode: Some(
                first
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |(name, _)| name.clone()),
            ),
            publish_all_ports: Some(false),
            dns_search: own.as_ref().map(|_| vec![".".to_owned()]),
            dns: own.map(|own| vec![own]),
            cap_add: takes_gateways.then(|| vec!["NET_ADMIN".to_owned()]),
            sysctls: takes_gateways.then(|| HashMap::from(quiet)),
            ..Default::default()
        }),
        networking_config: first.map(|endpoint| NetworkingConfig {
            endpoints_config: Some(HashMap::from([endpoint])),
        }),
        ..Default::default()
    }
}
