//! The way out of a mirror, to the hosts that the configuration opens by name: one small container of ours that passes
//! connections on to them and to nobody else.
//!
//! It stands in all networks of the mirror, at an address that is known before, and in one network of its own that leads
//! outside. The agent answers the open names with its address; where no agent is asked, every container has them in its
//! `hosts`. It looks the names up outside, forwards no packets, and holds no rights: whoever breaks into it has
//! found the same hosts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::Result;
use bollard::models::{EndpointSettings, HostConfig};

use super::entrance;
use crate::config::settings::{Border, OpenHost};
use crate::engine::network::Leads;
use crate::mirror::setup::Setup;
use crate::world::addresses::Subnet;
use crate::world::model::{Service, World};

/// Makes the door and waits until it is open. None where nothing is to be reached.
pub(crate) async fn open(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Result<()> {
    if setup.open.is_empty() || subnets.is_empty() {
        return Ok(());
    }
    let engine = &setup.engine;
    let name = engine.name(&format!("{}door", setup.prefix));
    // By the network whose name is the first in order engines lead a container's packets.
    let network = engine.name(&format!("--{}door", setup.prefix));
    engine.create_outer_network(&network, Leads::Outside).await?;
    let mut body = entrance::passing(engine, &network, passages(&setup.open));
    if let Some(sysctls) = body.host_config.as_mut().and_then(|host| host.sysctls.as_mut()) {
        // Ports of well-known services, without the right to them.
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    let inner = subnets.iter().map(|(inner, subnet)| {
        let endpoint = EndpointSettings {
            ipam_config: Some(subnet.for_door()),
            ..Default::default()
        };
        (setup.network(inner), endpoint)
    });
    entrance::stand(engine, "door", &name, body, inner).await
}

/// As the agent's program is told: each port leads to the same port of its host.
fn passages(open: &[OpenHost]) -> Vec<String> {
    let of = |open: &OpenHost| {
        let host = open.host.clone();
        open.ports
            .clone()
            .into_iter()
            .map(move |port| format!("{port}={host}:{port}"))
    };
    let mut all: Vec<String> = open.iter().flat_map(of).collect();
    all.sort();
    all.dedup();
    all
}

/// The door's address in each network; none where nothing is open.
pub(crate) fn addresses(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Vec<Ipv4Addr> {
    let open = !setup.open.is_empty();
    subnets.values().filter(|_| open).map(Subnet::door).collect()
}

/// Open names for the `hosts` of a container in this network, where it does not ask the agent.
pub(crate) fn tell_hosts(setup: &Setup, subnet: Option<&Subnet>, host: &mut HostConfig) {
    let Some(subnet) = subnet.filter(|_| !setup.engine.hands_on_unknown_names()) else {
        return;
    };
    let lines = setup.open.iter().map(|open| format!("{}:{}", open.host, subnet.door()));
    host.extra_hosts.get_or_insert_default().extend(lines);
}

/// What is open, one sentence each, for plans and reports.
pub fn notes(open: &[OpenHost]) -> Vec<String> {
    let of = |open: &OpenHost| {
        let ports: Vec<String> = open.ports.iter().map(u16::to_string).collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        let (host, ports) = (&open.host, ports.join(" and "));
        format!("`{host}` is open to the mirror, {word} {ports}: `policy.allow_egress` says so")
    };
    open.iter().map(of).collect()
}

/// How far the border is open, if it is: who may forge frames can send a datagram past the agent by the bridge itself,
/// or, where it is closed, to the engine's own machine. Engines give that right to every container that is not denied it.
pub fn raw_note(world: &World, border: Border) -> Option<String> {
    let forgers = world.services.values().filter(|service| may_forge(service)).count();
    let all = world.services.len();
    let how = match border {
        Border::Heard => {
            "past it; `policy: {border: closed}` keeps them on the engine's machine, and `cap_drop: [NET_RAW]` in production \
             denies them"
        }
        Border::Closed => {
            "to the engine's own machine, and no further; `cap_drop: [NET_RAW]` in production denies them"
        }
    };
    (forgers > 0).then(|| {
        format!(
            "the border: {forgers} of {all} services may forge frames (NET_RAW, an engine's default), and so send single \
             datagrams {how}"
        )
    })
}

fn may_forge(service: &Service) -> bool {
    let limits = &service.limits;
    let has = |words: &[String], name: &str| {
        let mut words = words.iter().map(|word| word.to_uppercase());
        words.any(|word| word.trim_start_matches("CAP_") == name)
    };
    let adds = has(&limits.cap_add, "NET_RAW") || has(&limits.cap_add, "ALL");
    let denied = has(&limits.cap_drop, "NET_RAW") || (has(&limits.cap_drop, "ALL") && !adds);
    !denied && !service.no_network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(host: &str, ports: &[u16]) -> OpenHost {
        OpenHost {
            host: host.to_owned(),
            ports: ports.to_vec(),
        }
    }

    #[test]
    fn every_port_leads_to_the_same_port_of_its_host_once() {
        let all = [
            open("a.example.com", &[443, 80]),
            open("a.example.com", &[443]),
            open("b.example.com", &[443]),
        ];
        let wanted = ["443=a.example.com:443", "443=b.example.com:443", "80=a.example.com:80"];
        assert_eq!(passages(&all), wanted);
    }

    #[test]
    fn what_is_open_is_said_with_its_ports() {
        let said = notes(&[open("a.example.com", &[443, 80]), open("b.example.com", &[5432])]);
        assert!(
            said[0].starts_with("`a.example.com` is open to the mirror, ports 443 and 80:"),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("`b.example.com` is open to the mirror, port 5432:"),
            "{said:?}"
        );
    }

    #[test]
    fn who_may_forge_frames_is_counted_and_who_is_denied_it_is_not() {
        let service = |name: &str, drop: &[&str], add: &[&str]| {
            let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
            let mut service = Service {
                name: name.to_owned(),
                ..Service::default()
            };
            service.limits.cap_drop = words(drop);
            service.limits.cap_add = words(add);
            (name.to_owned(), service)
        };
        let world = |services: Vec<(String, Service)>| World {
            services: services.into_iter().collect(),
            ..World::default()
        };
        let denied = vec![service("a", &["NET_RAW"], &[]), service("b", &["all"], &["CHOWN"])];
        assert_eq!(raw_note(&world(denied.clone()), Border::Heard), None);
        let more = vec![service("c", &[], &[]), service("d", &["ALL"], &["CAP_NET_RAW"])];
        let all = world([denied, more].concat());
        let note = |border| raw_note(&all, border).unwrap_or_default();
        let (heard, closed) = (note(Border::Heard), note(Border::Closed));
        assert!(
            heard.contains("2 of 4 services") && heard.contains("past it"),
            "{heard}"
        );
        assert!(
            closed.contains("to the engine's own machine, and no further"),
            "{closed}"
        );
    }
}
