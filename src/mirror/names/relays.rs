//! Relays: the authentication dependency's services that are reached through the agent under their own names, at the
//! ports that are known of them. Why others are not is said.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::model::{Service, World};

/// How the authentication dependency is reached under its own names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relays {
    /// Its services, the product first.
    pub services: Vec<String>,
    /// Those that are relayed, each with the ports that are known before it runs.
    pub relayed: BTreeMap<String, Exposed>,
    /// Those that are not, each with the reason.
    pub direct: BTreeMap<String, String>,
}

/// Ports on which a service listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposed {
    /// Over TCP.
    pub tcp: BTreeSet<u16>,
    /// Over UDP.
    pub udp: BTreeSet<u16>,
}

impl Exposed {
    /// One port of both is the same.
    fn meets(&self, other: &Self) -> bool {
        !self.tcp.is_disjoint(&other.tcp) || !self.udp.is_disjoint(&other.udp)
    }
}

impl Relays {
    /// `exposed`: by a service's image; `None` = nobody has looked yet.
    pub fn of(
        services: &[String],
        world: &World,
        changed: &BTreeSet<String>,
        exposed: impl Fn(&Service) -> Option<Exposed>,
    ) -> Self {
        let mut relays = Self {
            services: services.to_vec(),
            ..Self::default()
        };
        for service in services.iter().filter_map(|name| world.services.get(name)) {
            let looked = exposed(service);
            let mut ports = looked.clone().unwrap_or_default();
            ports.tcp.extend(&service.ports);
            ports.udp.extend(&service.datagram_ports);
            let why = not_alone(service, world, changed);
            match why.or_else(|| relays.not_by_ports(&ports, looked.as_ref())) {
                Some(why) => drop(relays.direct.insert(service.name.clone(), why)),
                None => drop(relays.relayed.insert(service.name.clone(), ports)),
            }
        }
        relays
    }

    /// Every service is reached through the agent, and through nothing else.
    pub fn see_all(&self) -> bool {
        self.direct.is_empty() && !self.relayed.is_empty()
    }

    fn not_by_ports(&self, ports: &Exposed, looked: Option<&Exposed>) -> Option<String> {
        let taken = self.relayed.iter().find(|(_, taken)| taken.meets(ports));
        if ports.tcp.is_empty() && ports.udp.is_empty() && looked.is_some() {
            Some("neither production's files nor its image say on which port it listens".to_owned())
        } else {
            taken.map(|(other, _)| format!("it listens on a port of `{other}`, which has the front there"))
        }
    }

    /// One sentence for each service, for plans.
    pub fn notes(&self) -> Vec<String> {
        let of = |service: &String| {
            format!("calls to `{service}` pass a front of ours, under its own names, and are recorded")
        };
        self.relayed.keys().map(of).chain(self.unseen()).collect()
    }

    /// One sentence for each service that is not relayed.
    pub fn unseen(&self) -> Vec<String> {
        let of = |(service, why): (&String, &String)| {
            format!("calls to `{service}` under its own names are not seen: {why}")
        };
        self.direct.iter().map(of).collect()
    }
}

/// Why a service's names cannot be ours, if so.
fn not_alone(service: &Service, world: &World, changed: &BTreeSet<String>) -> Option<String> {
    let others = || world.services.values().filter(|other| other.name != service.name);
    let shares = |other: &&Service| other.shares_network.as_deref() == Some(&service.name);
    let bears = |other: &&Service| {
        other
            .names()
            .any(|name| service.names().any(|own| own.eq_ignore_ascii_case(name)))
    };
    if changed.contains(&service.name) {
        return Some("the release changes it".to_owned());
    }
    if service.networks.is_empty() || service.no_network || service.shares_network.is_some() {
        return Some("it has no network of its own in the mirror".to_owned());
    }
    // The engine answers to it with the container itself.
    if service.hostname.is_some() {
        return Some("its `hostname` leads past a front".to_owned());
    }
    let shared = others().find(shares);
    let shared = shared.map(|other| format!("`{}` shares its network", other.name));
    let namesake = others().find(bears);
    shared.or_else(|| namesake.map(|other| format!("`{}` bears a name of it, too", other.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::Attachment;

    fn service(name: &str, ports: &[u16]) -> Service {
        Service {
            name: name.to_owned(),
            networks: [("front".to_owned(), Attachment::named([name]))].into(),
            ports: ports.to_vec(),
            ..Service::default()
        }
    }

    fn relays(services: Vec<Service>, changed: &[&str], udp: &[u16]) -> Relays {
        let world = World {
            services: services
                .into_iter()
                .map(|service| (service.name.clone(), service))
                .collect(),
            ..World::default()
        };
        let changed = changed.iter().map(|name| (*name).to_owned()).collect();
        let udp: BTreeSet<u16> = udp.iter().copied().collect();
        let auth = ["idp".to_owned(), "gate".to_owned()];
        let exposed = |_: &Service| {
            Some(Exposed {
                tcp: BTreeSet::new(),
                udp: udp.clone(),
            })
        };
        Relays::of(&auth, &world, &changed, exposed)
    }

    #[test]
    fn a_service_whose_ports_are_known_is_relayed() {
        let relays = relays(vec![service("idp", &[8000]), service("gate", &[443])], &[], &[]);
        assert_eq!(relays.relayed["idp"].tcp, [8000].into());
        assert!(relays.see_all() && relays.unseen().is_empty());
        let radius = self::relays(vec![service("idp", &[])], &[], &[1812, 1813]);
        assert_eq!(radius.relayed["idp"].udp, [1812, 1813].into());
        assert!(radius.see_all());
    }

    #[test]
    fn what_cannot_be_relayed_is_direct_and_says_why() {
        let idp = || service("idp", &[8000]);
        let sidecar = Service {
            shares_network: Some("idp".to_owned()),
            networks: BTreeMap::new(),
            ..service("sidecar", &[])
        };
        let named = Service {
            hostname: Some("sso".to_owned()),
            ..idp()
        };
        let cases = [
            (vec![idp()], &["idp"][..], &[][..], "the release changes it"),
            (vec![service("idp", &[])], &[], &[], "on which port"),
            (vec![idp(), sidecar], &[], &[], "`sidecar` shares its network"),
            (vec![named], &[], &[], "`hostname`"),
        ];
        for (services, changed, udp, why) in cases {
            let relays = relays(services, changed, udp);
            assert!(!relays.see_all());
            let notes = relays.notes().join("\n");
            assert!(notes.contains(why), "{notes}");
        }
        let both = relays(vec![idp(), service("gate", &[8000])], &[], &[]);
        assert!(both.relayed.contains_key("idp") && both.direct["gate"].contains("a port of `idp`"));
    }
}
