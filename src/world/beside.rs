//! Beside: a second container of a service next to the one in place, in the same networks and with the same dependencies,
//! under a name of its own, so that two releases of it can be asked in turn.

use std::fmt;

use super::candidates::Candidates;
use super::model::{Attachment, Mount, Service, Source, World};

/// What is added to a service's name.
const BESIDE: &str = "beside";

/// Why production's release cannot stand beside the one in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The release changes several services: a copy of one would ask the others of the release in place.
    Several(Vec<String>),
    /// One of the two releases has no such service.
    OnlyOnce(String),
    /// It lives in another service's namespace, or another one in its.
    Lives(String),
    /// Both would write there.
    Writes {
        /// The service.
        service: String,
        /// A volume, or a folder.
        place: String,
    },
    /// There is no way to ask it.
    NoNetwork(String),
    /// A service bears the name that the second one would have.
    Taken(String),
}

/// Production's release of the one service that a release changes, as it can stand beside whichever release is in place.
///
/// # Errors
/// It cannot.
pub fn beside(release: &Candidates, world: &World) -> Result<Service, Obstacle> {
    let touched: Vec<&String> = release.touched().into_iter().collect();
    let [name] = touched[..] else {
        return Err(Obstacle::Several(touched.into_iter().cloned().collect()));
    };
    let (Some(own), Some(new)) = (world.services.get(name), release.services.get(name)) else {
        return Err(Obstacle::OnlyOnce(name.clone()));
    };
    let upgrade = release.upgrade(world);
    if upgrade.made().len() > 1 || [own, new].into_iter().any(lives_elsewhere) {
        return Err(Obstacle::Lives(name.clone()));
    }
    if let Some(place) = [own, new].into_iter().find_map(writes) {
        let service = name.clone();
        return Err(Obstacle::Writes { service, place });
    }
    if own.no_network || own.networks.is_empty() {
        return Err(Obstacle::NoNetwork(name.clone()));
    }
    let second = second(own);
    let mut all = world.services.values().chain(upgrade.services.values());
    match all.any(|other| other.names().any(|taken| *taken == second.name)) {
        true => Err(Obstacle::Taken(second.name)),
        false => Ok(second),
    }
}

/// As many containers of it as there are in production's place.
fn second(own: &Service) -> Service {
    let name = format!("{}.{BESIDE}", own.name);
    let place = |attachment: &Attachment| Attachment {
        links: attachment.links.clone(),
        ..Attachment::named([&name])
    };
    let networks = own.networks.iter();
    Service {
        networks: networks
            .map(|(network, attachment)| (network.clone(), place(attachment)))
            .collect(),
        hostname: None,
        published: Vec::new(),
        outside: Vec::new(),
        name,
        ..own.clone()
    }
}

fn lives_elsewhere(service: &Service) -> bool {
    let mut modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
    service.shares_network.is_some() || modes.any(|mode| mode.starts_with("service:"))
}

/// Where it writes that outlives it, or that others see.
fn writes(service: &Service) -> Option<String> {
    let lent = service
        .volumes_from
        .first()
        .map(|from| format!("what `{}` lends", from.service));
    let place = |mount: &Mount| match &mount.source {
        _ if mount.read_only => None,
        Source::Volume(name) => Some(format!("the volume `{name}`")),
        Source::AnonymousOf(other) => Some(format!("the volume of `{other}`")),
        Source::Host(path) => Some(format!("the folder `{}`", path.root.display())),
        Source::Anonymous => Some(format!("the volume at `{}`", mount.target)),
        Source::Memory { .. } => None,
    };
    lent.or_else(|| service.mounts.iter().find_map(place))
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Several(names) if names.is_empty() => f.write_str("the release changes no service"),
            Self::Several(names) => {
                let names = names.join("`, `");
                write!(
                    f,
                    "the release changes several services, `{names}`: production's release of one would ask the new ones of the others"
                )
            }
            Self::OnlyOnce(name) => write!(f, "only one of the two releases has a service `{name}`"),
            Self::Lives(name) => write!(f, "`{name}` shares a namespace with another service"),
            Self::Writes { service, place } => write!(f, "both releases of `{service}` would write to {place}"),
            Self::NoNetwork(name) => write!(f, "`{name}` is in no network"),
            Self::Taken(name) => write!(f, "a service bears the name `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::{Condition, Dependency, Memory, VolumeOptions};

    fn web(image: &str) -> Service {
        Service {
            name: "web".to_owned(),
            image: image.to_owned(),
            networks: [(
                "front".to_owned(),
                Attachment {
                    place: Some(7),
                    ..Attachment::named(["web", "shop.example.com"])
                },
            )]
            .into(),
            depends_on: vec![Dependency {
                service: "db".to_owned(),
                condition: Condition::Healthy,
                restart: false,
                optional: false,
            }],
            ..Service::default()
        }
    }

    fn world_of(services: &[Service]) -> World {
        World {
            services: services.iter().map(|one| (one.name.clone(), one.clone())).collect(),
            ..World::default()
        }
    }

    fn release_of(services: &[Service]) -> Candidates {
        Candidates {
            services: services.iter().map(|one| (one.name.clone(), one.clone())).collect(),
            ..Candidates::default()
        }
    }

    fn beside_of(change: impl Fn(&mut Service)) -> Result<Service, Obstacle> {
        let (mut old, mut new) = (web("shop:1"), web("shop:2"));
        change(&mut old);
        change(&mut new);
        beside(&release_of(&[new]), &world_of(&[old]))
    }

    #[test]
    fn the_second_bears_none_of_the_firsts_names_and_addresses_and_is_the_same_otherwise() {
        let second = beside_of(|_| ()).unwrap();
        assert_eq!((second.name.as_str(), second.image.as_str()), ("web.beside", "shop:1"));
        assert_eq!(second.networks["front"], Attachment::named(["web.beside"]));
        assert_eq!(second.depends_on, web("").depends_on);
        assert_eq!(second.names().collect::<Vec<_>>(), ["web.beside", "web.beside"]);
    }

    #[test]
    fn what_both_would_write_is_in_the_way_and_what_they_only_read_is_not() {
        let mount = |source: Source, read_only| Mount {
            target: "/data".to_owned(),
            source,
            read_only,
            volume: VolumeOptions::default(),
        };
        let volume = |read_only| mount(Source::Volume("files".to_owned()), read_only);
        let written = beside_of(|web| web.mounts = vec![volume(false)]);
        let words = "both releases of `web` would write to the volume `files`";
        assert_eq!(written.unwrap_err().to_string(), words);
        assert!(beside_of(|web| web.mounts = vec![volume(true)]).is_ok());
        let memory = Source::Memory(Memory::Options(String::new()));
        assert!(beside_of(|web| web.mounts = vec![mount(memory.clone(), false)]).is_ok());
        // The first one's is full, the second one's would be empty.
        assert!(beside_of(|web| web.mounts = vec![mount(Source::Anonymous, false)]).is_err());
    }

    #[test]
    fn a_copy_of_one_of_several_changed_services_would_ask_the_others_new_release() {
        let api = |image: &str| Service {
            name: "api".to_owned(),
            ..web(image)
        };
        let world = world_of(&[web("shop:1"), api("api:1")]);
        let several = beside(&release_of(&[web("shop:2"), api("api:2")]), &world);
        assert_eq!(
            several,
            Err(Obstacle::Several(vec!["api".to_owned(), "web".to_owned()]))
        );
        assert_eq!(beside(&release_of(&[]), &world), Err(Obstacle::Several(Vec::new())));
        let new_only = beside(&release_of(&[api("api:2")]), &world_of(&[web("shop:1")]));
        assert_eq!(new_only, Err(Obstacle::OnlyOnce("api".to_owned())));
    }

    #[test]
    fn who_shares_a_namespace_or_has_no_network_or_whose_name_is_taken_stands_alone() {
        let lives = Err(Obstacle::Lives("web".to_owned()));
        assert_eq!(beside_of(|web| web.shares_network = Some("db".to_owned())), lives);
        let helper = Service {
            name: "helper".to_owned(),
            shares_network: Some("web".to_owned()),
            ..Service::default()
        };
        let hosted = beside(&release_of(&[web("shop:2")]), &world_of(&[web("shop:1"), helper]));
        assert_eq!(hosted, lives);
        let alone = beside_of(|web| web.no_network = true);
        assert_eq!(alone, Err(Obstacle::NoNetwork("web".to_owned())));
        let taken = Service {
            name: "web.beside".to_owned(),
            ..Service::default()
        };
        let taken = beside(&release_of(&[web("shop:2")]), &world_of(&[web("shop:1"), taken]));
        assert_eq!(taken, Err(Obstacle::Taken("web.beside".to_owned())));
    }
}
