//! What a mirror is made from, and what it tells while it lives.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::names::authority::Authority;
use super::names::directory::Directory;
use super::names::fronts::Front;
use super::names::issuer::Signer;
use super::names::relays::Relays;
use crate::config::settings::{OpenHost, Restore};
use crate::engine::Engine;
use crate::engine::image::ImageFacts;
use crate::engine::network::Gateway;
use crate::record::container::ContainerState;
use crate::record::release::Role;
use crate::text::redact::Redactor;
use crate::world::model::World;
use crate::world::replica::Replica;

/// Something the mirror wants known while it happens.
#[derive(Debug, Clone)]
pub enum News {
    /// A container changed.
    Container(Change),
    /// A remark for the reader, one sentence.
    Note(String),
}

/// What happened to a service's container.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which container of which service.
    pub replica: Replica,
    /// What.
    pub state: ContainerState,
    /// Exit code and the like.
    pub detail: Option<String>,
    /// Milliseconds that it took, where it took any.
    pub took: Option<Duration>,
}

/// What services have shown at earlier starts, on whichever of a run's mirrors.
#[derive(Debug, Default)]
pub struct Shown {
    /// Services at whose image's ports nothing listens.
    pub(super) silent: BTreeSet<String>,
    /// Containers of releases whose health check held when it had passed.
    pub(super) held: BTreeSet<(Replica, Role)>,
}

/// What a mirror is made from.
#[derive(Clone)]
pub struct Setup {
    /// The run's engine.
    pub engine: Engine,
    /// Tells this mirror's objects from those of the run's other mirrors; empty for the first.
    pub prefix: String,
    /// What it stands for.
    pub world: Arc<World>,
    /// Facts of every image in it, and of the candidates'.
    pub images: Arc<HashMap<String, ImageFacts>>,
    /// No secret reaches a log.
    pub redactor: Redactor,
    /// Where logs are written; `None` = kept in memory only.
    pub logs: Option<PathBuf>,
    /// What is restored before anything else uses it, in order.
    pub restores: Vec<Restore>,
    /// Who wants to know.
    pub news: UnboundedSender<News>,
    /// Names of production's that the agent answers to.
    pub fronts: Vec<Front>,
    /// How the authentication dependency is reached under its own names.
    pub relays: Relays,
    /// Who signs where the authentication dependency's own TLS is ended by its relays; `None` = it passes.
    pub ends_tls: Option<Arc<Authority>>,
    /// Whose key stands among the issuer's own, where the configuration asks for it.
    pub signer: Option<Arc<Signer>>,
    /// Hosts outside that may be reached.
    pub open: Vec<OpenHost>,
    /// Who takes what is sent to other addresses outside.
    pub gateway: Gateway,
    /// The program that is the agent: [`THIS_PROGRAM`](crate::engine::archive::THIS_PROGRAM), unless a test names another.
    pub program: PathBuf,
    /// What all mirrors of the run have in common.
    pub shown: Arc<Mutex<Shown>>,
}

impl Setup {
    /// Who bears which name.
    pub(super) fn directory(&self) -> Directory<'_> {
        let relayed = self.relays.relayed.keys();
        let relayed = relayed.filter_map(|name| self.world.services.get(name));
        Directory::of(self.fronts.iter().map(|front| &front.name)).relaying(relayed)
    }

    /// Who signs for the names that are answered to with TLS; a run has one.
    pub fn authority(&self) -> Option<&Authority> {
        let fronts = self.fronts.iter().find_map(|front| front.authority.as_deref());
        fronts.or(self.ends_tls.as_deref())
    }

    /// Name of a network of the world on the engine.
    pub(super) fn network(&self, network: &str) -> String {
        self.engine.name(&format!("{}{network}", self.prefix))
    }

    /// Name of a volume of the world on the engine.
    pub(super) fn volume(&self, volume: &str) -> String {
        self.engine.name(&format!("{}{volume}", self.prefix))
    }

    /// Facts of an image; none where nobody asked.
    pub(super) fn image(&self, reference: &str) -> ImageFacts {
        self.images.get(reference).cloned().unwrap_or_default()
    }
}
