//! The budget: what a run will need, as far as that is known before anything starts, and whether the engine's machine has
//! it. What cannot be told stays so: it is said, and stops nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Prepared;
use crate::config::settings::{Dump, Restore};
use crate::engine::room::Room;
use crate::record::image::{Had, ImagePlan};
use crate::text::units::bytes;
use crate::world::model::{Service, Source};

/// Layers of containers, volumes and logs of a small run. Less than this is a disk that is full in a moment.
const LEAST: u64 = 256 * 1024 * 1024;
/// Files that are counted of what the mirror copies.
const MOST_FILES: usize = 100_000;

/// What a run will need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Images that the engine has not, or may not have: as the plan has them.
    pub images: Vec<ImagePlan>,
    /// What services may use.
    pub memory: Memory,
    /// Bytes of folders and dumps that are brought into the mirror, or why they cannot be counted.
    pub brought: Result<u64, String>,
}

/// Memory as the Compose files have it, of whichever release has more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Bytes that are reserved: what the services are said to need.
    pub reserved: u64,
    /// Bytes that the services with a limit may use together.
    pub allowed: u64,
    /// Containers that have a limit.
    pub limited: usize,
    /// Containers in all.
    pub all: usize,
}

/// What the engine's machine has too little of: less disk than is brought into the mirror, or than any run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    /// Bytes that are needed at least.
    pub needed: u64,
    /// Bytes that are free.
    pub there: u64,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the run needs {} of disk at least, and {} are free where the engine keeps images and volumes",
            bytes(self.needed),
            bytes(self.there)
        )
    }
}

impl Short {
    /// The way out.
    pub const WAY_OUT: &str = "make room there (`docker system prune`), or use a machine with a larger disk";
}

impl Budget {
    /// Of what was prepared; after the engine was asked for its images, of what it lacks.
    pub fn of(prepared: &Prepared) -> Self {
        let (world, candidate) = (&prepared.world, &prepared.candidate);
        let before = Memory::of(world.services.values());
        let kept = world
            .services
            .values()
            .filter(|service| !candidate.services.contains_key(&service.name));
        let after = Memory::of(kept.chain(candidate.services.values()));
        let services = world.services.values().chain(candidate.services.values());
        let images = prepared.plan.images.iter();
        Self {
            images: images.filter(|image| image.had != Had::Present).cloned().collect(),
            memory: before.or_more(after),
            brought: brought(services, &prepared.settings.data.restore),
        }
    }

    /// What the machine has surely too little of.
    pub fn short(&self, room: &Room) -> Option<Short> {
        let needed = self.brought.clone().unwrap_or_default().saturating_add(LEAST);
        let there = *room.disk.as_ref().ok()?;
        (there < needed).then_some(Short { needed, there })
    }

    /// What it will need, each in a line with its name.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let named = self
            .images
            .iter()
            .map(|image| image.image.clone())
            .collect::<Vec<_>>()
            .join(", ");
        let images = match self.images.len() {
            0 => "all are there".to_owned(),
            count => {
                format!("{count} may have to be pulled or built, how large they are is told by no engine: {named}")
            }
        };
        let disk = match &self.brought {
            Ok(brought) => format!("{} of folders and dumps are brought into the mirror", bytes(*brought)),
            Err(why) => format!("what is brought into the mirror could not be counted: {why}"),
        };
        vec![("images", images), ("memory", self.memory.words()), ("disk", disk)]
    }

    /// What may become too little. Memory that is reserved is a wish: the engine starts what reserves more than there is,
    /// as it does under `docker compose up -d`.
    pub fn tight(&self, room: &Room) -> Vec<String> {
        let Ok(there) = room.memory else { return Vec::new() };
        let said = [(self.memory.reserved, "reserve"), (self.memory.allowed, "may use")];
        let beyond = said.iter().filter(|(wanted, _)| *wanted > there).map(|(wanted, what)| {
            format!(
                "services {what} {} of memory together, and the engine's machine has {}: where they use it, the kernel kills \
                 one, and that is the machine's doing",
                bytes(*wanted),
                bytes(there)
            )
        });
        beyond.collect()
    }
}

impl Memory {
    fn of<'a>(services: impl Iterator<Item = &'a Service>) -> Self {
        services.fold(Self::default(), |sum, service| {
            let count = u64::from(service.replicas.run);
            let containers = usize::try_from(count).unwrap_or(usize::MAX);
            let all_of = |each: Option<u64>| each.unwrap_or_default().saturating_mul(count);
            let limits = &service.limits;
            let limited = if limits.memory.is_some_and(|limit| limit > 0) {
                containers
            } else {
                0
            };
            Self {
                reserved: sum.reserved.saturating_add(all_of(limits.memory_reservation)),
                allowed: sum.allowed.saturating_add(all_of(limits.memory)),
                limited: sum.limited + limited,
                all: sum.all + containers,
            }
        })
    }

    /// Whichever reserves more, and whichever may use more: both releases are run, one after the other.
    fn or_more(self, other: Self) -> Self {
        let larger = if other.allowed > self.allowed { other } else { self };
        Self {
            reserved: self.reserved.max(other.reserved),
            ..larger
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        let allowed = match self.limited {
            0 => "no service has a limit".to_owned(),
            limited => format!(
                "{limited} of {} containers may use {} together",
                self.all,
                bytes(self.allowed)
            ),
        };
        match self.reserved {
            0 => format!("{allowed}; none is reserved"),
            reserved => format!("{allowed}; {} are reserved", bytes(reserved)),
        }
    }
}

/// Folders that services mount, each once, and dumps that are files.
fn brought<'a>(services: impl Iterator<Item = &'a Service>, restores: &[Restore]) -> Result<u64, String> {
    let mounts = services.flat_map(|service| &service.mounts);
    let folders = mounts.filter_map(|mount| match &mount.source {
        Source::Host(path) => Some(path.root.clone()),
        _ => None,
    });
    let dumps = restores.iter().filter_map(|restore| match &restore.from {
        Dump::File { path, .. } => Some(path.clone()),
        Dump::Output { .. } => None,
    });
    let all: BTreeSet<PathBuf> = folders.chain(dumps).collect();
    let mut left = MOST_FILES;
    all.iter()
        .try_fold(0_u64, |sum, path| Ok(sum.saturating_add(size(path, &mut left)?)))
}

/// Bytes of a file, or of all files of a folder. What is not there has none: who needs it says so.
fn size(path: &Path, left: &mut usize) -> Result<u64, String> {
    let Ok(found) = path.symlink_metadata() else {
        return Ok(0);
    };
    if !found.is_dir() {
        return Ok(found.len());
    }
    let unread = |error: std::io::Error| format!("`{}` cannot be counted: {error}", path.display());
    std::fs::read_dir(path).map_err(unread)?.try_fold(0_u64, |sum, entry| {
        *left = left.checked_sub(1).ok_or_else(|| {
            format!(
                "more than {MOST_FILES} files are copied, the last of them from `{}`",
                path.display()
            )
        })?;
        let entry = entry.map_err(unread)?.path();
        Ok(sum.saturating_add(size(&entry, left)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::replica::Replicas;

    const GIB: u64 = 1 << 30;

    fn room(memory: u64, disk: u64) -> Room {
        Room {
            memory: Ok(memory),
            disk: Ok(disk),
            processors: Ok(2),
        }
    }

    fn untold() -> Room {
        Room {
            memory: Err("nobody says".to_owned()),
            disk: Err("nobody says".to_owned()),
            processors: Err("nobody says".to_owned()),
        }
    }

    fn budget(reserved: u64, allowed: u64, brought: Result<u64, String>) -> Budget {
        Budget {
            images: Vec::new(),
            memory: Memory {
                reserved,
                allowed,
                limited: 1,
                all: 2,
            },
            brought,
        }
    }

    #[test]
    fn less_memory_than_is_reserved_or_allowed_is_tight_and_stops_nothing() {
        let wanted = budget(4 * GIB, 16 * GIB, Ok(0));
        assert_eq!(wanted.tight(&room(16 * GIB, GIB)), Vec::<String>::new());
        let tight = wanted.tight(&room(8 * GIB, GIB));
        assert_eq!(tight.len(), 1);
        assert!(
            tight[0].contains("may use 16.0 GiB") && tight[0].contains("8.0 GiB"),
            "{tight:?}"
        );
        let tight = wanted.tight(&room(2 * GIB, GIB));
        assert_eq!(tight.len(), 2);
        assert!(
            tight[0].contains("reserve 4.0 GiB") && tight[0].contains("2.0 GiB"),
            "{tight:?}"
        );
        assert_eq!(wanted.short(&room(1, GIB)), None);
    }

    #[test]
    fn a_disk_without_room_for_what_is_brought_is_too_small() {
        let wanted = budget(0, 0, Ok(3 * GIB));
        let short = |needed: u64, there: u64| Some(Short { needed, there });
        assert_eq!(wanted.short(&room(GIB, 4 * GIB)), None);
        assert_eq!(wanted.short(&room(GIB, 3 * GIB)), short(3 * GIB + LEAST, 3 * GIB));
        // What cannot be counted still needs what any run needs.
        let uncounted = budget(0, 0, Err("too many files".to_owned()));
        assert_eq!(uncounted.short(&room(GIB, LEAST)), None);
        assert_eq!(uncounted.short(&room(GIB, LEAST - 1)), short(LEAST, LEAST - 1));
    }

    #[test]
    fn what_cannot_be_told_stops_nothing() {
        let large = budget(u64::MAX, u64::MAX, Ok(u64::MAX));
        assert_eq!(large.short(&untold()), None);
        assert!(large.tight(&untold()).is_empty());
    }

    #[test]
    fn memory_is_counted_for_each_container_that_runs() {
        let mut web = Service {
            replicas: Replicas::of(2),
            ..Service::default()
        };
        web.limits.memory = Some(GIB);
        web.limits.memory_reservation = Some(GIB / 2);
        let other = Service::default();
        let memory = Memory::of([&web, &other].into_iter());
        assert_eq!(
            memory,
            Memory {
                reserved: GIB,
                allowed: 2 * GIB,
                limited: 2,
                all: 3
            }
        );
        assert_eq!(
            memory.words(),
            "2 of 3 containers may use 2.0 GiB together; 1.0 GiB are reserved"
        );
        assert_eq!(Memory::default().words(), "no service has a limit; none is reserved");
    }

    #[test]
    fn folders_are_counted_with_all_that_is_below_and_not_beyond_a_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("below")).expect("made");
        for (name, length) in [("a", 10), ("below/b", 32)] {
            std::fs::write(folder.path().join(name), vec![0; length]).expect("written");
        }
        std::os::unix::fs::symlink("/proc/kcore", folder.path().join("link")).expect("made");
        let link = folder.path().join("link").symlink_metadata().expect("there").len();
        assert_eq!(size(folder.path(), &mut 10), Ok(42 + link));
        assert!(size(folder.path(), &mut 2).is_err());
        assert_eq!(size(&folder.path().join("nowhere"), &mut 1), Ok(0));
    }
}
