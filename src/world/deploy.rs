//! A deploy: from what runs to another model, as `docker compose up -d` goes there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::model::{Condition, Dependency, Service, World};

/// What has to become of what runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deploy {
    /// Every service that is to be there afterwards.
    pub services: Arc<BTreeMap<String, Service>>,
    /// Those of them that are changed or new.
    pub anew: BTreeSet<String>,
    /// Those of these of which there are more or fewer, and that are the same otherwise: what runs of them stays.
    pub rescaled: BTreeSet<String>,
    /// Services that are there and are to be no more.
    pub gone: BTreeSet<String>,
}

impl Deploy {
    /// These releases come to what runs; nothing goes.
    pub fn of(releases: BTreeMap<String, Service>, world: &World) -> Self {
        let anew = releases.keys().cloned().collect();
        let mut services = world.services.clone();
        services.extend(releases);
        Self {
            services: Arc::new(services),
            anew,
            ..Self::default()
        }
    }

    /// What is made anew: what is changed or new, and what lives in a namespace of such a service.
    pub fn made(&self) -> BTreeSet<&str> {
        let mut made: BTreeSet<&str> = self.anew.iter().map(String::as_str).collect();
        loop {
            let hosts = made
                .iter()
                .copied()
                .filter(|name| !self.rescaled.contains(*name))
                .collect();
            let lives = |service: &&Service| !made.contains(service.name.as_str()) && lives_in(service, &hosts);
            let more: Vec<&str> = self
                .services
                .values()
                .filter(lives)
                .map(|service| service.name.as_str())
                .collect();
            if more.is_empty() {
                return made;
            }
            made.extend(more);
        }
    }

    /// What is stopped before this service goes, because it asks to be restarted with it.
    pub fn restarted_with<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Service> {
        let asks = move |other: &&Service| {
            let mut needs = other.depends_on.iter();
            needs.any(|need| need.restart && need.service == service)
        };
        self.services.values().filter(asks)
    }

    /// Whether somebody waits for this service to end.
    pub fn waits_for(&self, service: &str) -> bool {
        let ends = |need: &Dependency| need.service == service && need.condition == Condition::Completed;
        let mut all = self.services.values();
        all.any(|other| other.depends_on.iter().any(ends))
    }

    /// Every service, each in a level after those of all that it depends on: those of one level go their ways at the
    /// same time.
    pub fn levels(&self) -> Vec<Vec<&Service>> {
        let mut levels: Vec<Vec<&Service>> = Vec::new();
        let mut done: BTreeMap<&str, usize> = BTreeMap::new();
        while done.len() < self.services.len() {
            let ready = |service: &&Service| {
                let mut needs = needs_of(service).filter(|need| self.services.contains_key(*need));
                !done.contains_key(service.name.as_str()) && needs.all(|need| done.contains_key(need))
            };
            let level: Vec<&Service> = self.services.values().filter(ready).collect();
            if level.is_empty() {
                // A circle, which the reader refuses.
                break;
            }
            done.extend(level.iter().map(|service| (service.name.as_str(), levels.len())));
            levels.push(level);
        }
        levels
    }
}

/// What must be there before a service.
fn needs_of(service: &Service) -> impl Iterator<Item = &str> {
    let named = service.depends_on.iter().map(|need| need.service.as_str());
    named.chain(hosts_of(service)).filter(|other| *other != service.name)
}

/// Services in whose namespaces it lives.
fn hosts_of(service: &Service) -> impl Iterator<Item = &str> {
    let modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
    let shared = modes.filter_map(|mode| mode.strip_prefix("service:"));
    service.shares_network.as_deref().into_iter().chain(shared)
}

fn lives_in(service: &Service, others: &BTreeSet<&str>) -> bool {
    hosts_of(service).any(|host| others.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, needs: &[&str]) -> Service {
        let need = |written: &&str| Dependency {
            service: written.trim_end_matches('!').to_owned(),
            condition: Condition::Started,
            restart: written.ends_with('!'),
            optional: false,
        };
        Service {
            name: name.to_owned(),
            depends_on: needs.iter().map(need).collect(),
            ..Service::default()
        }
    }

    /// A database, a web server that restarts with it, a proxy behind that, and a helper in the web server's network.
    fn deploy(anew: &[&str]) -> Deploy {
        let helper = Service {
            shares_network: Some("web".to_owned()),
            ..service("helper", &[])
        };
        let services = [
            service("web", &["db!"]),
            service("db", &[]),
            service("proxy", &["web", "cache"]),
            service("cache", &[]),
            helper,
        ];
        Deploy {
            services: Arc::new(services.map(|service| (service.name.clone(), service)).into()),
            anew: anew.iter().map(|name| (*name).to_owned()).collect(),
            ..Deploy::default()
        }
    }

    #[test]
    fn each_service_goes_after_all_that_it_depends_on() {
        let deploy = deploy(&[]);
        let levels = deploy.levels();
        let names: Vec<Vec<&str>> = levels
            .iter()
            .map(|level| level.iter().map(|service| service.name.as_str()).collect())
            .collect();
        assert_eq!(names, [&["cache", "db"][..], &["web"], &["helper", "proxy"]]);
    }

    #[test]
    fn what_lives_in_a_changed_services_namespace_is_made_anew_with_it() {
        assert_eq!(deploy(&["web"]).made(), ["helper", "web"].into());
        assert_eq!(deploy(&["db"]).made(), ["db"].into());
    }

    #[test]
    fn what_asks_to_be_restarted_with_a_service_is() {
        let deploy = deploy(&["db"]);
        let restarted: Vec<&str> = deploy.restarted_with("db").map(|one| one.name.as_str()).collect();
        assert_eq!(restarted, ["web"]);
        assert_eq!(deploy.restarted_with("web").count(), 0);
    }
}
