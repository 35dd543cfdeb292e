//! A mirror that lives already, known again by what the engine says of it, so that another release can take a place there.
//! What its services went through before is not known any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};

use super::logs::Logs;
use super::service::volumes;
use super::{Inner, Mirror, Running, Setup, agent, networks};
use crate::engine::container::Standing;
use crate::engine::watch::Watch;
use crate::world::model::Service;
use crate::world::replica::Replica;

impl Mirror {
    /// The mirror of the engine's run: of this world, and up.
    ///
    /// # Errors
    /// It is of another world, a part of it is gone, or what is made in it now would not trust it: what the names of
    /// production's are signed with went with the command that made it.
    pub async fn adopt(setup: Setup) -> Result<Self> {
        ensure!(
            setup.authority().is_none(),
            "its names are answered to with TLS, and what signed for them went with the command that made it"
        );
        let (watch, subnets) = tokio::try_join!(Watch::begin(&setup.engine), networks::found(&setup))?;
        let agent = agent::again(&setup).await?;
        let standing = standing(&setup).await?;
        for (one, _) in standing.values() {
            watch.know(&one.id, one.running, one.healthy);
        }
        let logs = Logs::new(&setup.engine, &setup.redactor, setup.logs.clone(), setup.news.clone());
        let services = Arc::new(setup.world.services.clone());
        let next = standing.values().map(|(_, generation)| generation + 1).max();
        let inner = Inner {
            watch,
            logs,
            subnets: Arc::new(subnets),
            agent,
            running: Mutex::new(running(&setup, standing)),
            generation: AtomicU32::new(next.unwrap_or_default()),
            services: Mutex::new(services),
            swapped: Mutex::default(),
            completed: Mutex::default(),
            usual_exits: Mutex::default(),
            volumes: tokio::sync::Mutex::new(made(&setup)),
            trusts: Mutex::default(),
            made: Mutex::default(),
            calls: Mutex::default(),
            setup,
        };
        let mirror = Self { inner: Arc::new(inner) };
        mirror.follow_restarts();
        Ok(mirror)
    }
}

/// Each replica's last container, and the how manieth of the mirror it is.
async fn standing(setup: &Setup) -> Result<BTreeMap<Replica, (Standing, u32)>> {
    let mut all: BTreeMap<Replica, (Standing, u32)> = BTreeMap::new();
    for one in setup.engine.standing().await? {
        let Some((replica, generation)) = known(setup, &one) else {
            continue;
        };
        if all.get(&replica).is_none_or(|(_, other)| *other < generation) {
            all.insert(replica, (one, generation));
        }
    }
    Ok(all)
}

/// Which replica a container is, by its name.
fn known(setup: &Setup, one: &Standing) -> Option<(Replica, u32)> {
    let service = setup.world.services.get(&one.service)?;
    let begin = setup.engine.name(&setup.prefix);
    which(service, one.name.strip_prefix(&begin)?)
}

/// `REPLICA-GENERATION`.
fn which(service: &Service, name: &str) -> Option<(Replica, u32)> {
    let mut replicas = service.instances();
    replicas.find_map(|replica| {
        let generation = name.strip_prefix(&format!("{replica}-"))?.parse().ok()?;
        Some((replica, generation))
    })
}

fn running(setup: &Setup, standing: BTreeMap<Replica, (Standing, u32)>) -> BTreeMap<Replica, Running> {
    let of = |(replica, (one, _)): (Replica, (Standing, u32))| {
        let service = Arc::new(setup.world.services.get(&replica.service)?.clone());
        let running = Running {
            id: one.id,
            name: one.name,
            replica: replica.clone(),
            service,
        };
        Some((replica, running))
    };
    standing.into_iter().filter_map(of).collect()
}

/// Volumes that are there, and filled.
fn made(setup: &Setup) -> BTreeSet<String> {
    let services = setup.world.services.values();
    services
        .flat_map(|service| volumes::of(service, &setup.image(&service.image)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::replica::Replicas;

    #[test]
    fn a_container_is_known_again_by_its_replica_and_its_generation() {
        let of = |count: u32| Service {
            name: "web".to_owned(),
            replicas: Replicas::of(count),
            ..Service::default()
        };
        assert_eq!(which(&of(1), "web-7"), Some((Replica::only("web"), 7)));
        assert_eq!(which(&of(2), "web-2-7"), Some((Replica::numbered("web", 2), 7)));
        assert_eq!(which(&of(2), "web-3-7"), None);
        assert_eq!(which(&of(1), "web-2-7"), None);
    }
}
