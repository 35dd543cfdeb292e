//! Restoring: data like production's, put into volumes before anything mounts them, and into services before anything
//! else uses them. Whatever goes wrong here is production's side of the mirror, never the candidate's.

mod client;
mod failure;
mod source;
mod target;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Mirror;
use crate::config::settings::{Restore, Target};
use crate::text::units::{bytes, seconds};
pub use failure::RestoreFailure;
use source::Opened;

/// What restoring came to.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What got it: a service, or `volume:NAME`.
    pub into: String,
    /// Where it came from, as written.
    pub from: String,
    /// When it was begun, since the start of the mirror was.
    pub begun: Duration,
    /// How long it took.
    pub took: Duration,
    /// Bytes as they were kept.
    pub packed: u64,
    /// Bytes as they were restored.
    pub unpacked: u64,
    /// Why it came to nothing.
    pub failure: Option<RestoreFailure>,
}

impl Restored {
    /// `db from `dump.sql.zst`, 1.2 MiB (9.4 MiB unpacked) in 1.3 s`.
    pub fn line(&self) -> String {
        let unpacked = match self.unpacked == self.packed {
            true => String::new(),
            false => format!(" ({} unpacked)", bytes(self.unpacked)),
        };
        let (packed, took) = (bytes(self.packed), seconds(self.took));
        format!("{} from {}, {packed}{unpacked} in {took}", self.into, self.from)
    }

    /// What went wrong, in one line.
    pub fn failure_line(&self) -> Option<String> {
        let cause = &self.failure.as_ref()?.cause;
        Some(format!(
            "`{}` could not be restored from {}: {cause}",
            self.into, self.from
        ))
    }
}

/// Services that come up together, and what is restored when they have.
pub(super) struct Wave<'a> {
    pub services: BTreeSet<&'a str>,
    pub restore: Option<&'a Restore>,
}

impl Mirror {
    /// Volumes are filled before anything mounts them; what is restored into is up, with what it needs, before anything
    /// else is.
    pub(super) fn waves(&self) -> Vec<Wave<'_>> {
        let world = self.world();
        let mut waves = Vec::new();
        let mut begun: BTreeSet<&str> = BTreeSet::new();
        for restore in &self.inner.setup.restores {
            let services: BTreeSet<&str> = &world.with_needs(restore.needs()) - &begun;
            begun.extend(&services);
            waves.push(Wave {
                services,
                restore: Some(restore),
            });
        }
        let rest = world
            .services
            .keys()
            .map(String::as_str)
            .filter(|name| !begun.contains(name));
        waves.push(Wave {
            services: rest.collect(),
            restore: None,
        });
        waves
    }

    /// Restores one entry. `begun`: when the start of the mirror was.
    pub(super) async fn restore(&self, restore: &Restore, begun: Instant) -> Restored {
        let since = begun.elapsed();
        let mut restored = Restored {
            into: restore.into.to_string(),
            from: restore.from.to_string(),
            begun: since,
            took: Duration::ZERO,
            packed: 0,
            unpacked: 0,
            failure: None,
        };
        let failure = match self.open(&restore.from).await {
            Ok(opened) => {
                let sizes = opened.sizes();
                let failure = self.put_into(restore, opened).await.err();
                (restored.packed, restored.unpacked) = sizes.read();
                failure
            }
            Err(error) => Some(RestoreFailure::of(&error)),
        };
        restored.took = begun.elapsed().saturating_sub(since);
        restored.failure = failure.map(|failure| RestoreFailure {
            place: format!("{:?}", restore.span),
            ..failure
        });
        restored
    }

    async fn put_into(&self, restore: &Restore, opened: Opened) -> Result<(), RestoreFailure> {
        match &restore.into {
            Target::Service(name) => self.feed_service(name, restore.through.as_deref(), opened).await,
            Target::Volume(name) => self.feed_volume(name, opened).await,
        }
    }
}
