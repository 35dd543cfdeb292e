//! How the agent comes to answer under production's names, and how nothing else leads past it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use bollard::models::ContainerCreateBody;

use super::authority::{Authority, Identity};
use super::fronts::{Front, Name, http_ports};
use super::relays::Exposed;
use crate::agent::client::Client;
use crate::agent::front::relay::{RelayCall, Transport};
use crate::agent::front::{FrontCall, FrontTls, FrontsCall};
use crate::agent::{Answer, Call};
use crate::mirror::border::outside;
use crate::mirror::setup::Setup;
use crate::world::addresses::Subnet;

/// The agent begins to answer under the names of the fronts.
pub(crate) async fn begin(setup: &Setup, subnets: &BTreeMap<String, Subnet>, agent: &Client) -> Result<()> {
    let fronts: Result<Vec<_>> = setup.fronts.iter().map(|front| call(setup, front)).collect();
    let relayed = setup.relays.relayed.iter();
    let relays: Result<Vec<_>> = relayed.map(|(service, ports)| relays(setup, service, ports)).collect();
    tell(setup, subnets, agent, (fronts?, relays?.concat())).await
}

/// A service's ports, as the agent is told of them.
pub(super) fn relays(setup: &Setup, service: &str, ports: &Exposed) -> Result<Vec<RelayCall>> {
    let ends_tls = match ports.tcp.is_empty() {
        true => None,
        false => ends_tls(setup, service)?,
    };
    let reached_at = setup.directory().reached_at(service);
    let of = |(transport, port): (Transport, &u16)| RelayCall {
        service: service.to_owned(),
        reached_at: reached_at.clone(),
        port: *port,
        transport,
        ends_tls: ends_tls.clone().filter(|_| transport == Transport::Tcp),
    };
    let tcp = ports.tcp.iter().map(|port| (Transport::Tcp, port));
    let udp = ports.udp.iter().map(|port| (Transport::Udp, port));
    Ok(tcp.chain(udp).map(of).collect())
}

/// How a service's own TLS is ended: under each name that it bears.
fn ends_tls(setup: &Setup, service: &str) -> Result<Option<FrontTls>> {
    let service = setup.world.services.get(service);
    let (Some(authority), Some(service)) = (&setup.ends_tls, service) else {
        return Ok(None);
    };
    let names: Vec<String> = service.names().cloned().collect();
    let identity = authority.certify_all(&service.name, &names)?;
    Ok(Some(spoken(authority, identity)))
}

/// The agent answers under further names, or at further ports.
pub(super) async fn tell(
    setup: &Setup,
    subnets: &BTreeMap<String, Subnet>,
    agent: &Client,
    (fronts, relays): (Vec<FrontCall>, Vec<RelayCall>),
) -> Result<()> {
    if fronts.is_empty() && relays.is_empty() {
        return Ok(());
    }
    let networks = outside::networks(setup, subnets);
    let call = FrontsCall {
        fronts,
        relays,
        own: networks.iter().map(|network| network.own).collect(),
        issuer: setup.signer.as_ref().map(|signer| signer.call()),
    };
    match agent.call(Call::Fronts(call)).await? {
        Answer::Failed(failed) => anyhow::bail!(failed.message),
        _ => Ok(()),
    }
}

fn call(setup: &Setup, front: &Front) -> Result<FrontCall> {
    let Name { host, port, .. } = &front.name;
    let service = setup
        .world
        .services
        .get(&front.service)
        .with_context(|| format!("production has no service `{}`", front.service))?;
    let tls = front.authority.as_ref().map(|authority| tls(authority, host));
    Ok(FrontCall {
        host: host.clone(),
        port: *port,
        tls: tls.transpose()?,
        service: setup.directory().reached_at(&front.service),
        ports: match front.port {
            Some(port) => vec![port],
            None => http_ports(service, &setup.image(&service.image)),
        },
        headers: front.headers.clone(),
        forwarded: front.forwarded,
        heard: setup
            .relays
            .services
            .contains(&front.service)
            .then(|| front.service.clone()),
    })
}

fn tls(authority: &Authority, host: &str) -> Result<FrontTls> {
    Ok(spoken(authority, authority.certify(host)?))
}

fn spoken(authority: &Authority, identity: Identity) -> FrontTls {
    let Identity { chain, key } = identity;
    let protocols = authority.profile().protocols.clone();
    FrontTls { chain, key, protocols }
}

/// Production's own `extra_hosts` entry for a name that the mirror answers to would lead to production, and one for a host
/// that is open by name would lead past the door.
pub(crate) fn leave_to_the_mirror(setup: &Setup, body: &mut ContainerCreateBody) {
    let fronts = setup.fronts.iter().map(|front| &front.name.host);
    let names: Vec<&String> = fronts.chain(setup.open.iter().map(|open| &open.host)).collect();
    let is_ours = |entry: &str| {
        let name = entry.split([':', '=']).next().unwrap_or_default();
        names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    };
    if let Some(hosts) = body.host_config.as_mut().and_then(|host| host.extra_hosts.as_mut()) {
        hosts.retain(|entry| !is_ours(entry));
    }
}
