//! What a mirror is made from, and what it tells while it lives.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::names::authority::Authority;
use super::names::directory::Directory;
use super::names::fronts::Front;
use crate::config::settings::OpenHost;
use crate::engine::Engine;
use crate::engine::image::ImageFacts;
use crate::record::container::ContainerState;
use crate::text::redact::Redactor;
use crate::world::model::World;

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
    /// Service.
    pub service: String,
    /// What.
    pub state: ContainerState,
    /// Exit code and the like.
    pub detail: Option<String>,
    /// Milliseconds that it took, where it took any.
    pub took: Option<Duration>,
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
    /// Who wants to know.
    pub news: UnboundedSender<News>,
    /// Names of production's that the agent answers to.
    pub fronts: Vec<Front>,
    /// Hosts outside that may be reached.
    pub open: Vec<OpenHost>,
    /// The program that is the agent: [`THIS_PROGRAM`](crate::engine::archive::THIS_PROGRAM), unless a test names another.
    pub program: PathBuf,
}

impl Setup {
    /// Who bears which name.
    pub(super) fn directory(&self) -> Directory<'_> {
        Directory::of(self.fronts.iter().map(|front| &front.name))
    }

    /// Who signs for the names that are answered to with TLS; a run has one.
    pub fn authority(&self) -> Option<&Authority> {
        self.fronts.iter().find_map(|front| front.authority.as_deref())
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
