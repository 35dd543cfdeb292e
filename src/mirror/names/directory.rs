//! The directory: who bears which name inside the mirror, and under which name the gate itself reaches a service.
//!
//! A service bears its own names, those that a front bears excepted: these are the agent's, which passes on what it is
//! asked. A service whose own name is a front's stands under a name of ours behind it, and so does one that is relayed:
//! there all its names are the agent's, in the networks in which it bears them and in no other.

use std::collections::BTreeSet;

use super::fronts::Name;
use crate::world::model::{Attachment, Service};
use crate::world::replica::Replica;

/// Ends the names that are ours: reserved for tests by RFC 2606, so that nobody bears one outside.
const OURS: &str = "origin.rehearsal.test";

/// Who bears which name.
#[derive(Debug, Clone, Default)]
pub struct Directory<'a> {
    fronts: Vec<&'a Name>,
    relayed: Vec<&'a Service>,
}

impl<'a> Directory<'a> {
    /// Of a mirror with these fronts.
    pub fn of(fronts: impl IntoIterator<Item = &'a Name>) -> Self {
        Self {
            fronts: fronts.into_iter().collect(),
            relayed: Vec::new(),
        }
    }

    /// The same, where these services are relayed.
    #[must_use]
    pub fn relaying(self, relayed: impl IntoIterator<Item = &'a Service>) -> Self {
        Self {
            relayed: relayed.into_iter().collect(),
            ..self
        }
    }

    /// The names of the agent in a network.
    pub fn of_agent(&self, network: &str) -> Vec<String> {
        let fronts = self.fronts.iter().map(|name| &name.host);
        let here = self.relayed.iter().filter_map(|service| service.networks.get(network));
        let names: BTreeSet<&String> = fronts.chain(here.flat_map(|attachment| &attachment.aliases)).collect();
        names.into_iter().cloned().collect()
    }

    /// The service as its container is made: with the names that are left to it in each network.
    #[must_use]
    pub fn assigned(&self, mut service: Service, replica: &Replica) -> Service {
        let reached = self.reached_at(&service.name);
        for attachment in service.networks.values_mut() {
            attachment.aliases = self.left_to(attachment, &service.name, &reached);
            let alone = replica.is_numbered().then(|| self.reached_alone(replica));
            attachment.aliases.extend(alone);
        }
        service
    }

    fn left_to(&self, attachment: &Attachment, name: &str, reached: &str) -> Vec<String> {
        let own = attachment.aliases.iter();
        let own = own.filter(|alias| !self.is_front(alias) && !self.is_relayed(name));
        let ours = (reached != name).then(|| reached.to_owned());
        own.cloned().chain(ours).collect()
    }

    /// The name under which the gate itself reaches a service, whoever stands before it.
    pub fn reached_at(&self, service: &str) -> String {
        if self.is_front(service) || self.is_relayed(service) {
            format!("{service}.{OURS}")
        } else {
            service.to_owned()
        }
    }

    /// The name under which the gate itself reaches one replica and no other.
    pub fn reached_alone(&self, replica: &Replica) -> String {
        if replica.is_numbered() {
            format!("{}.{}.{OURS}", replica.number, replica.service)
        } else {
            self.reached_at(&replica.service)
        }
    }

    /// Every name that is answered to inside, lower case: those of the services, and those of the fronts.
    pub fn inside<'s>(&self, services: impl Iterator<Item = &'s Service>) -> BTreeSet<String> {
        let of_service = |service: &Service| -> Vec<String> {
            let reached = self.reached_at(&service.name);
            let alone = service.instances().map(|replica| self.reached_alone(&replica));
            service.names().cloned().chain([reached]).chain(alone).collect()
        };
        let fronts = self.fronts.iter().map(|name| name.host.clone());
        let all = services.flat_map(of_service).chain(fronts);
        all.map(|name| name.to_ascii_lowercase()).collect()
    }

    /// Whether the agent bears a name, and passes on what it is asked.
    pub fn is_the_agents(&self, host: &str) -> bool {
        let mut names = self.relayed.iter().flat_map(|service| service.names());
        self.is_front(host) || names.any(|name| name.eq_ignore_ascii_case(host))
    }

    fn is_relayed(&self, service: &str) -> bool {
        self.relayed.iter().any(|relayed| relayed.name == service)
    }

    fn is_front(&self, name: &str) -> bool {
        self.fronts.iter().any(|front| front.host.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product() -> Service {
        Service {
            name: "idp".to_owned(),
            networks: [("front".to_owned(), Attachment::named(["idp", "login.example.com"]))].into(),
            ..Service::default()
        }
    }

    fn name(host: &str) -> Name {
        Name {
            host: host.to_owned(),
            port: 443,
            tls: true,
        }
    }

    fn aliases(directory: &Directory<'_>) -> Vec<String> {
        directory.assigned(product(), &Replica::only("idp")).networks["front"]
            .aliases
            .clone()
    }

    #[test]
    fn without_a_front_of_its_names_a_service_bears_all_of_them_and_is_reached_by_its_own() {
        let issuer = name("sso.example.com");
        let directory = Directory::of([&issuer]);
        assert_eq!(directory.of_agent("front"), ["sso.example.com"]);
        assert_eq!(aliases(&directory), ["idp", "login.example.com"]);
        assert_eq!(directory.reached_at("idp"), "idp");
    }

    #[test]
    fn a_service_behind_a_front_of_its_own_name_is_reached_by_a_name_of_ours() {
        let (own, alias) = (name("idp"), name("login.example.com"));
        let directory = Directory::of([&own, &alias]);
        assert_eq!(directory.of_agent("front"), ["idp", "login.example.com"]);
        assert_eq!(directory.reached_at("idp"), "idp.origin.rehearsal.test");
        assert_eq!(aliases(&directory), ["idp.origin.rehearsal.test"]);
        assert_eq!(directory.reached_at("web"), "web");
    }

    #[test]
    fn the_names_of_a_service_that_is_relayed_are_the_agents_where_it_bears_them() {
        let (issuer, product) = (name("sso.example.com"), product());
        let directory = Directory::of([&issuer]).relaying([&product]);
        assert_eq!(
            directory.of_agent("front"),
            ["idp", "login.example.com", "sso.example.com"]
        );
        assert_eq!(directory.of_agent("back"), ["sso.example.com"]);
        assert_eq!(aliases(&directory), ["idp.origin.rehearsal.test"]);
        assert_eq!(directory.reached_at("idp"), "idp.origin.rehearsal.test");
    }

    #[test]
    fn all_replicas_bear_the_services_names_and_each_one_of_ours() {
        let directory = Directory::default();
        let second = Replica::numbered("idp", 2);
        let aliases = directory.assigned(product(), &second).networks["front"].aliases.clone();
        assert_eq!(aliases, ["idp", "login.example.com", "2.idp.origin.rehearsal.test"]);
        assert_eq!(directory.reached_at("idp"), "idp");
        assert_eq!(directory.reached_alone(&second), "2.idp.origin.rehearsal.test");
        assert_eq!(directory.reached_alone(&Replica::only("idp")), "idp");
    }

    #[test]
    fn every_name_of_services_and_fronts_is_inside() {
        let own = name("IDP");
        let inside = Directory::of([&own]).inside([product()].iter());
        let wanted = ["idp", "idp.origin.rehearsal.test", "login.example.com"];
        assert_eq!(inside.into_iter().collect::<Vec<_>>(), wanted);
    }
}
