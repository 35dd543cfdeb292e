//! What a service leaves behind: others that mount the same volume or folder of the host find it there when its writer is
//! long gone.

use std::path::{Path, PathBuf};

use super::model::{Mount, Service, Source, World};
use super::one_tree;

/// Where others find what a service has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The folder or volume, as its writer has it.
    pub written: Place,
    /// The same, or a part of it, or what it is a part of: as its reader has it.
    pub read: Place,
    /// Who mounts it, too.
    pub reader: String,
}

/// What a mount shows, beyond the containers that mount it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A named volume.
    Volume(String),
    /// A folder or file of production's host, absolute.
    Host(PathBuf),
}

impl Place {
    fn of(mount: &Mount) -> Option<Self> {
        match &mount.source {
            Source::Volume(name) => Some(Self::Volume(name.clone())),
            // Sockets, and files that nobody keeps anything in.
            Source::Host(host) if one_tree::is_lone_file(host) => None,
            Source::Host(host) => Some(Self::Host(one_tree::place_of(host))),
            _ => None,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host(own), Self::Host(other)) => own.starts_with(other) || other.starts_with(own),
            _ => self == other,
        }
    }

    /// As people say it, a path as seen from a folder.
    pub fn words(&self, from: &Path) -> String {
        match self {
            Self::Volume(name) => format!("the volume {name}"),
            Self::Host(path) => match path.strip_prefix(from) {
                Ok(below) => format!("./{}", below.display()),
                Err(_) => path.display().to_string(),
            },
        }
    }
}

/// The first place that a service may write and another of production's mounts.
pub fn left(service: &Service, world: &World) -> Option<Left> {
    let written = service.mounts.iter().filter(|mount| !mount.read_only);
    written.filter_map(Place::of).find_map(|written| {
        let mut others = world.services.values().filter(|other| other.name != service.name);
        others.find_map(|other| {
            let mut places = other.mounts.iter().filter_map(Place::of);
            let read = places.find(|place| place.meets(&written))?;
            Some(Left {
                written: written.clone(),
                read,
                reader: other.name.clone(),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::{HostPath, VolumeOptions};

    fn service(name: &str, source: Source, read_only: bool) -> Service {
        let mount = Mount {
            target: "/x".to_owned(),
            source,
            read_only,
            volume: VolumeOptions::default(),
        };
        Service {
            name: name.to_owned(),
            mounts: vec![mount],
            ..Service::default()
        }
    }

    fn host(root: &str, below: &str) -> Source {
        Source::Host(HostPath {
            root: root.into(),
            below: below.into(),
        })
    }

    fn world(services: &[Service]) -> World {
        let named = services.iter().map(|service| (service.name.clone(), service.clone()));
        World {
            services: named.collect(),
            ..World::default()
        }
    }

    #[test]
    fn what_is_written_to_a_folder_of_which_another_mounts_a_part_is_left_to_it() {
        let app = service("app", host("/srv/shop/site", ""), false);
        let web = service("web", host("/srv/shop/site", "public"), true);
        let found = left(&app, &world(&[app.clone(), web.clone()])).expect("web reads it");
        let from = Path::new("/srv/shop");
        assert_eq!(
            (found.written.words(from), found.read.words(from), &*found.reader),
            ("./site".to_owned(), "./site/public".to_owned(), "web")
        );
        // Who may only read leaves nothing.
        assert_eq!(left(&web, &world(&[app, web.clone()])), None);
    }

    #[test]
    fn nothing_is_left_where_nobody_else_mounts_it() {
        let volume = |name: &str| Source::Volume(name.to_owned());
        let app = service("app", volume("data"), false);
        let other = service("other", volume("cache"), false);
        assert_eq!(left(&app, &world(&[app.clone(), other])), None);
        let reader = service("reader", volume("data"), true);
        let found = left(&app, &world(&[app.clone(), reader])).expect("it reads it");
        assert_eq!(found.written.words(Path::new("/")), "the volume data");
    }
}
