//! The candidate: what differs between production's model and the release's, service by service, and what a deploy has
//! to do with that difference, there and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::deploy::Deploy;
use super::model::{Service, World};
use super::replica::{Replica, Replicas};

/// What a release changes.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// Its services that production has in another form, or not at all.
    pub services: BTreeMap<String, Service>,
    /// Those whose containers stay though its files say otherwise when they start: its deploy goes by that.
    pub staying: BTreeMap<String, Service>,
    /// Those of the first whose image is the release's own word: no pin of production's is theirs.
    pub named: BTreeSet<String>,
    /// Production's services that it has no more and that its deploy stops.
    pub removed: BTreeSet<String>,
    /// Those that it has no more and that nobody stops.
    pub orphans: BTreeSet<String>,
    /// Variables that are blank in it because nothing sets them: service → names.
    pub unset: BTreeMap<String, BTreeSet<String>>,
    /// It is another project than production.
    pub other_project: Option<ProjectNames>,
    /// Why its deploy would be refused before anything changes: nothing more is known of it.
    pub refused: Option<String>,
}

/// Two projects on production's machine: the release starts beside production, on volumes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNames {
    /// What runs.
    pub production: String,
    /// What the release's files say.
    pub release: String,
}

/// A service of which the release has more or fewer replicas, and as many run here of either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenScale {
    /// Service.
    pub service: String,
    /// Production's number.
    pub from: u32,
    /// The release's.
    pub to: u32,
    /// That of both here: `policy.max_replicas`.
    pub run: u32,
    /// Whether that is all that the release changes of it.
    pub scope: Scope,
}

/// What else of a service a release changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    ScaleAlone,
    /// Its image or its settings.
    More,
}

impl Candidates {
    /// Whether production has nothing in that place.
    pub fn adds(&self, service: &str, production: &World) -> bool {
        self.services.contains_key(service) && !production.services.contains_key(service)
    }

    /// Whether nothing that runs would be another.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.removed.is_empty() && self.orphans.is_empty()
    }

    /// Every service that its deploy touches.
    pub fn touched(&self) -> BTreeSet<&String> {
        self.services.keys().chain(&self.removed).collect()
    }

    /// Lets no service be more containers than that, and calls those of one service alike in both releases.
    pub fn cap_replicas(&mut self, production: &mut World, most: u32) {
        for (name, own) in &mut production.services {
            let new = self.services.get_mut(name).map(|new| &mut new.replicas);
            Replicas::cap(&mut own.replicas, new, most);
            if let Some(staying) = self.staying.get_mut(name) {
                staying.replicas = own.replicas;
            }
        }
        for (name, new) in &mut self.services {
            if !production.services.contains_key(name) {
                Replicas::cap(&mut new.replicas, None, most);
            }
        }
    }

    /// The containers that stand for a service, in whichever of the two releases.
    pub fn replicas(&self, service: &str, production: &World) -> BTreeSet<Replica> {
        let both = [self.services.get(service), production.services.get(service)];
        both.into_iter().flatten().flat_map(Service::instances).collect()
    }

    /// Services of which there are more or fewer and that are the same otherwise: what runs of them stays.
    fn rescaled(&self, production: &World) -> BTreeSet<String> {
        let is_rescaled = |(name, new): &(&String, &Service)| {
            let own = production.services.get(*name);
            let same = own.filter(|own| own.stays_for(new) && own.replicas != new.replicas);
            same.is_some() && !self.named.contains(*name)
        };
        let rescaled = self.services.iter().filter(is_rescaled);
        rescaled.map(|(name, _)| name.clone()).collect()
    }

    /// Changes of scale that the mirror does not show, because it runs no more than `policy.max_replicas` of a service.
    pub fn unseen_scales(&self, production: &World) -> Vec<UnseenScale> {
        let pairs = self.services.iter().filter_map(|(name, new)| {
            let own = production.services.get(name)?;
            let (before, after) = (own.replicas, new.replicas);
            (before.wanted != after.wanted && before.run == after.run).then(|| UnseenScale {
                service: name.clone(),
                from: before.wanted,
                to: after.wanted,
                run: after.run,
                scope: match own.stays_for(new) && !self.named.contains(name) {
                    true => Scope::ScaleAlone,
                    false => Scope::More,
                },
            })
        });
        pairs.collect()
    }

    /// From production to the release.
    pub fn upgrade(&self, production: &World) -> Deploy {
        let mut services = production.services.clone();
        services.retain(|name, _| !self.removed.contains(name) && !self.orphans.contains(name));
        services.extend(self.staying.clone());
        services.extend(self.services.clone());
        Deploy {
            services: Arc::new(services),
            anew: self.services.keys().cloned().collect(),
            rescaled: self.rescaled(production),
            gone: self.removed.clone(),
        }
    }

    /// Back to production: the same with production's files.
    pub fn rollback(&self, production: &World) -> Deploy {
        let (gone, changed): (BTreeSet<String>, BTreeSet<String>) = self
            .services
            .keys()
            .cloned()
            .partition(|name| self.adds(name, production));
        Deploy {
            services: Arc::new(production.services.clone()),
            anew: changed.union(&self.removed).cloned().collect(),
            rescaled: self.rescaled(production),
            gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(names: &[&str], image: &str) -> BTreeMap<String, Service> {
        let service = |name: &&str| Service {
            name: (*name).to_owned(),
            image: image.to_owned(),
            ..Service::default()
        };
        names.iter().map(|name| ((*name).to_owned(), service(name))).collect()
    }

    fn named(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn names(services: &BTreeMap<String, Service>) -> BTreeSet<String> {
        services.keys().cloned().collect()
    }

    #[test]
    fn replicas_are_capped_and_called_alike_in_both_releases() {
        let mut production = World {
            services: services(&["web", "db"], "shop:1"),
            ..World::default()
        };
        let mut release = Candidates {
            services: services(&["web", "worker"], "shop:1"),
            ..Candidates::default()
        };
        let scale = |services: &mut BTreeMap<String, Service>, name: &str, count: u32| {
            services.get_mut(name).expect("a service").replicas = Replicas::of(count);
        };
        scale(&mut release.services, "web", 5);
        scale(&mut release.services, "worker", 3);
        release.cap_replicas(&mut production, 2);
        let called = |service: &Service| service.instances().map(|one| one.to_string()).collect::<Vec<_>>();
        assert_eq!(called(&production.services["web"]), ["web-1"]);
        assert_eq!(called(&release.services["web"]), ["web-1", "web-2"]);
        assert_eq!(called(&release.services["worker"]), ["worker-1", "worker-2"]);
        assert_eq!(called(&production.services["db"]), ["db"]);
        let there = release.upgrade(&production);
        assert_eq!(there.rescaled, named(&["web"]));
        assert_eq!(release.rollback(&production).rescaled, named(&["web"]));
    }

    #[test]
    fn a_change_of_scale_beyond_what_runs_here_is_unseen() {
        let mut release = Candidates {
            services: services(&["web", "worker", "api"], "shop:1"),
            ..Candidates::default()
        };
        let mut production = World {
            services: services(&["web", "worker", "api"], "shop:1"),
            ..World::default()
        };
        for (name, from, to) in [("web", 3, 5), ("worker", 3, 5), ("api", 1, 5)] {
            production.services.get_mut(name).expect("it").replicas = Replicas::of(from);
            release.services.get_mut(name).expect("it").replicas = Replicas::of(to);
        }
        release.services.get_mut("worker").expect("it").image = "shop:2".to_owned();
        release.cap_replicas(&mut production, 2);
        let unseen = release.unseen_scales(&production);
        let of = |service: &str, scope| UnseenScale {
            service: service.to_owned(),
            from: 3,
            to: 5,
            run: 2,
            scope,
        };
        assert_eq!(unseen, [of("web", Scope::ScaleAlone), of("worker", Scope::More)]);
        release.cap_replicas(&mut production, 5);
        assert_eq!(release.unseen_scales(&production), []);
    }

    #[test]
    fn there_and_back_are_the_same_with_the_other_files() {
        let production = World {
            services: services(&["web", "db", "cache", "old"], "shop:1"),
            ..World::default()
        };
        let release = Candidates {
            services: services(&["web", "worker"], "shop:2"),
            staying: services(&["db"], "shop:1, started after web"),
            removed: named(&["cache"]),
            orphans: named(&["old"]),
            ..Candidates::default()
        };
        let there = release.upgrade(&production);
        assert_eq!(names(&there.services), named(&["db", "web", "worker"]));
        assert_eq!((there.anew, there.gone), (named(&["web", "worker"]), named(&["cache"])));
        assert_eq!(there.services["web"].image, "shop:2");
        assert_eq!(there.services["db"], release.staying["db"]);
        let back = release.rollback(&production);
        assert_eq!(*back.services, production.services);
        assert_eq!((back.anew, back.gone), (named(&["cache", "web"]), named(&["worker"])));
    }
}
