//! Networks: how services are in them, and which places of them are fixed. A run has subnets of its own, so of
//! production's fixed addresses the host part is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::compose::{self, NetworkAttachment, Project};
use crate::world::addresses::{Block, LAST_PLACE};
use crate::world::model::{Attachment, Network};

/// Production's networks as far as fixed addresses are concerned.
pub struct Networks {
    /// Network → the blocks that its addresses are of.
    blocks: BTreeMap<String, Vec<Block>>,
    /// Network → places that are somebody's.
    places: BTreeMap<String, (BTreeSet<u32>, BTreeSet<u64>)>,
}

impl Networks {
    /// Those of a project.
    pub fn of(project: &Project) -> Self {
        let mut networks = Self {
            blocks: project
                .networks
                .iter()
                .map(|(name, network)| (name.clone(), blocks(project, name, network)))
                .collect(),
            places: BTreeMap::new(),
        };
        for service in project.services.values() {
            for (name, attachment) in &service.networks {
                let (v4, v6) = (networks.place(name, attachment), place6(attachment));
                let (places, places6) = networks.places.entry(name.clone()).or_default();
                places.extend(v4);
                places6.extend(v6);
            }
        }
        networks
    }

    /// All networks of the mirror. One who lives in the host's network is in all of them, so there is at least one.
    pub fn all(&self, project: &Project) -> BTreeMap<String, Network> {
        let written = project.networks.iter();
        let mut all: BTreeMap<String, Network> = written
            .map(|(name, network)| (name.clone(), self.network(name, network)))
            .collect();
        if all.is_empty() && project.services.values().any(is_everywhere) {
            all.insert("default".to_owned(), Network::default());
        }
        all
    }

    fn network(&self, name: &str, network: &compose::Network) -> Network {
        let (places, places6) = self.places.get(name).cloned().unwrap_or_default();
        Network {
            ipv6: network.enable_ipv6 == Some(true),
            places,
            places6,
        }
    }

    /// How a service is in each of its networks: its own name, its container name and its aliases, and where it is.
    pub fn attachments(&self, from: &compose::Service, notes: &mut Vec<String>) -> BTreeMap<String, Attachment> {
        let own = std::iter::once(from.name.clone()).chain(from.container_name.clone());
        let attachment = |(name, attachment): (&String, &NetworkAttachment)| {
            let mut aliases: Vec<String> = own.clone().chain(attachment.aliases.iter().cloned()).collect();
            aliases.sort();
            aliases.dedup();
            let place = self.place(name, attachment);
            let links = links(from);
            notes.extend(note(&from.name, name, attachment, place.is_some()));
            let attachment = Attachment {
                aliases,
                place,
                place6: place6(attachment),
                links,
            };
            (name.clone(), attachment)
        };
        if is_everywhere(from) {
            return self.everywhere(from);
        }
        from.networks.iter().map(attachment).collect()
    }

    fn everywhere(&self, from: &compose::Service) -> BTreeMap<String, Attachment> {
        let own = std::iter::once(from.name.clone()).chain(from.container_name.clone());
        let attachment = Attachment {
            links: links(from),
            ..Attachment::named(own)
        };
        let names = if self.blocks.is_empty() {
            vec!["default".to_owned()]
        } else {
            self.blocks.keys().cloned().collect()
        };
        names.into_iter().map(|name| (name, attachment.clone())).collect()
    }

    fn place(&self, network: &str, attachment: &NetworkAttachment) -> Option<u32> {
        let address = v4(attachment)?;
        let blocks = self.blocks.get(network)?;
        let place = blocks.iter().find_map(|block| block.place(address))?;
        (1..=LAST_PLACE).contains(&place).then_some(place)
    }
}

/// In production it lives in a network that is no part of the files: the host's, or a foreign container's.
fn is_everywhere(from: &compose::Service) -> bool {
    use compose::NetworkMode::{Container, Host, Other};
    matches!(from.network_mode, Some(Host | Container(_) | Other(_)))
}

/// `name:alias`: the engine asks for the name when it is asked for the alias, so a link holds through a swap.
fn links(from: &compose::Service) -> Vec<String> {
    let pair = |link: &String| match link.split_once(':') {
        Some(_) => link.clone(),
        None => format!("{link}:{link}"),
    };
    from.links.iter().map(pair).collect()
}

/// What the files say, else what holds all fixed addresses that are in it: an external network's subnet is not known.
fn blocks(project: &Project, name: &str, network: &compose::Network) -> Vec<Block> {
    let pools = network.ipam.pools.iter();
    let declared: Vec<Block> = pools.filter_map(|pool| Block::parse(pool.subnet.as_deref()?)).collect();
    if !declared.is_empty() {
        return declared;
    }
    let inside = project
        .services
        .values()
        .filter_map(|service| v4(service.networks.get(name)?));
    Block::around(&inside.collect::<Vec<_>>()).into_iter().collect()
}

fn v4(attachment: &NetworkAttachment) -> Option<Ipv4Addr> {
    attachment.ipv4_address.as_deref()?.parse().ok()
}

fn place6(attachment: &NetworkAttachment) -> Option<u64> {
    let address: Ipv6Addr = attachment.ipv6_address.as_deref()?.parse().ok()?;
    let [_, _, _, _, a, b, c, d] = address.segments();
    let place = [a, b, c, d].iter().fold(0, |sum, part| sum << 16 | u64::from(*part));
    (place > 0).then_some(place)
}

fn note(service: &str, network: &str, attachment: &NetworkAttachment, kept: bool) -> Option<String> {
    let written = attachment.ipv4_address.iter().chain(&attachment.ipv6_address);
    let addresses = written
        .map(|address| format!("`{address}`"))
        .collect::<Vec<_>>()
        .join(" and ");
    if addresses.is_empty() {
        return None;
    }
    let what = if kept || attachment.ipv4_address.is_none() {
        "each run has its own subnets; the service has the same place in the run's"
    } else {
        "each run has its own subnets, and there is no such place in them; the engine chooses one"
    };
    Some(format!(
        "service `{service}`: its fixed address {addresses} in `{network}` is another: {what}"
    ))
}
