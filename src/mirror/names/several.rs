//! Several: one name inside the mirror may be that of several containers, and each of them is to be asked.

use super::directory::Directory;
use crate::mirror::Mirror;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// How one of several containers that bear a name is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// By a name of ours that it bears alone.
    Alone {
        /// Which it is.
        replica: Replica,
        /// The name.
        reached_at: String,
    },
    /// By whoever stands before all of them and passes one question after the other on, to the next each time.
    InTurn,
}

impl Asked {
    /// Its own name, where it has one.
    pub fn reached_at(&self) -> Option<&str> {
        match self {
            Self::Alone { reached_at, .. } => Some(reached_at),
            Self::InTurn => None,
        }
    }
}

impl Mirror {
    /// How each of the containers is asked that a host name stands for, in the order of their numbers; none where it
    /// stands for one only, for several services, or for nobody here.
    pub fn several_at(&self, host: &str) -> Vec<Asked> {
        let directory = self.inner.setup.directory();
        let services = self.services();
        let is_meant = |replica: &Replica| {
            services
                .get(&replica.service)
                .is_some_and(|own| self.is_meant(host, own))
        };
        let running = self.running_now().into_iter().map(|running| running.replica);
        let meant: Vec<Replica> = running.filter(is_meant).collect();
        match meant.iter().all(|replica| replica.service == meant[0].service) {
            true => each(&directory, host, &meant),
            false => Vec::new(),
        }
    }

    /// … where production's service is several containers, too: what is asked more often of one release than of the other
    /// compares nothing.
    pub fn several_as_in_production_at(&self, host: &str) -> Vec<Asked> {
        let is_several = |service: &Service| service.instances().nth(1).is_some();
        let mut services = self.inner.setup.world.services.values();
        match services.any(|service| is_several(service) && self.is_meant(host, service)) {
            true => self.several_at(host),
            false => Vec::new(),
        }
    }

    /// Whether a host name stands for a service: by the front that bears it, or else as one of its own.
    fn is_meant(&self, host: &str, service: &Service) -> bool {
        let is_host = |name: &str| name.eq_ignore_ascii_case(host);
        match self.fronts().iter().find(|front| is_host(&front.name.host)) {
            Some(front) => front.service == service.name,
            None => service.names().any(|name| is_host(name)),
        }
    }
}

fn each(directory: &Directory<'_>, host: &str, replicas: &[Replica]) -> Vec<Asked> {
    let asked = |replica: &Replica| match directory.is_the_agents(host) {
        true => Asked::InTurn,
        false => Asked::Alone {
            replica: replica.clone(),
            reached_at: directory.reached_alone(replica),
        },
    };
    match replicas {
        [] | [_] => Vec::new(),
        several => several.iter().map(asked).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::names::fronts::Name;

    #[test]
    fn each_of_several_is_asked_by_a_name_of_its_own_and_in_turn_where_another_stands_before_them() {
        let front = Name {
            host: "shop.example.com".to_owned(),
            port: 443,
            tls: true,
        };
        let directory = Directory::of([&front]);
        let both = [1, 2].map(|number| Replica::numbered("web", number));
        let alone = |number: u32| Asked::Alone {
            replica: Replica::numbered("web", number),
            reached_at: format!("{number}.web.origin.rehearsal.test"),
        };
        assert_eq!(each(&directory, "web", &both), [alone(1), alone(2)]);
        assert_eq!(
            each(&directory, "Shop.example.com", &both),
            [Asked::InTurn, Asked::InTurn]
        );
        assert_eq!(each(&directory, "web", &both[..1]), []);
    }
}
