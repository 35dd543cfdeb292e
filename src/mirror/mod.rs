//! The mirror: the containers, networks and volumes that stand for production during one run.
//!
//! [`Mirror::prepare`] makes networks; [`Mirror::start`] starts every service as its dependencies allow,
//! and the agent beside them; [`Mirror::swap`] puts another release in a service's place. The engine's room takes it
//! down again, by the run's label.
//!
//! This file holds what a mirror is; what it does stands in the files beside it, each of which adds to [`Mirror`]. None
//! of them is needed here.

mod adopt;
mod agent;
mod beside;
pub mod border;
pub mod failure;
mod health;
mod in_flight;
pub mod logs;
pub mod names;
mod networks;
mod news;
mod prepare;
pub mod readiness;
pub mod restore;
pub mod run_container;
pub mod service;
pub mod setup;
pub mod start;
pub mod swap;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use tokio::sync::{OnceCell, watch};

use crate::agent::client::Client;
use crate::engine::Engine;
use crate::engine::exec::ExecOutput;
use crate::engine::image::ImageFacts;
use crate::engine::watch::{History, Watch};
use crate::world::addresses::Subnet;
use crate::world::model::{Service, World};
use crate::world::replica::Replica;
use agent::Agent;
use border::attempts::Origin;
use logs::Logs;
use names::calls::CallLog;
use names::fronts::Front;
use names::issuer::Signer;
use names::trust::{self, Trust};
use setup::Shown;
pub use setup::{News, Setup};

/// A service's container.
#[derive(Debug, Clone)]
pub struct Running {
    /// Id on the engine.
    pub id: String,
    /// Name on the engine.
    pub name: String,
    /// Which of the service's containers it is.
    pub replica: Replica,
    /// What it was made from.
    pub service: Arc<Service>,
}

/// A mirror. Cheap to clone: all clones are the same mirror.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    setup: Setup,
    watch: Watch,
    logs: Logs,
    subnets: Arc<BTreeMap<String, Subnet>>,
    agent: Agent,
    running: Mutex<BTreeMap<Replica, Running>>,
    generation: AtomicU32,
    services: Mutex<Arc<BTreeMap<String, Service>>>,
    swapped: Mutex<BTreeSet<String>>,
    completed: Mutex<BTreeSet<String>>,
    usual_exits: Mutex<BTreeMap<String, usize>>,
    volumes: tokio::sync::Mutex<BTreeSet<String>>,
    trusts: Mutex<HashMap<trust::Key, Arc<OnceCell<Trust>>>>,
    made: Mutex<BTreeMap<String, Origin>>,
    calls: Mutex<CallLog>,
}

impl Mirror {
    fn running(&self) -> MutexGuard<'_, BTreeMap<Replica, Running>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container that stands for a service now; the first of several.
    pub fn container_of(&self, service: &str) -> Option<Running> {
        self.containers_of(service).into_iter().next()
    }

    /// All containers that stand for a service now, in the order of their numbers.
    pub fn containers_of(&self, service: &str) -> Vec<Running> {
        let running = self.running();
        let own = running.values().filter(|running| running.replica.service == service);
        own.cloned().collect()
    }

    /// All containers that stand for services now.
    pub fn running_now(&self) -> Vec<Running> {
        self.running().values().cloned().collect()
    }

    /// The container that is this replica now.
    pub fn container(&self, replica: &Replica) -> Option<Running> {
        self.running().get(replica).cloned()
    }

    /// The agent in the mirror's networks.
    pub fn agent(&self) -> &Client {
        &self.inner.agent.client
    }

    /// The addresses of a network of the world in this mirror.
    pub fn subnet(&self, network: &str) -> Option<&Subnet> {
        self.inner.subnets.get(network)
    }

    /// The mirror's logs.
    pub fn logs(&self) -> &Logs {
        &self.inner.logs
    }

    /// The run's engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.setup.engine
    }

    /// What the mirror stands for.
    pub fn world(&self) -> &World {
        &self.inner.setup.world
    }

    /// What has happened to a replica's present container.
    pub fn history(&self, replica: &Replica) -> Option<History> {
        let running = self.container(replica)?;
        Some(self.inner.watch.of(&running.id).borrow().clone())
    }

    /// The same, now and as it changes.
    pub fn follow(&self, replica: &Replica) -> Option<watch::Receiver<History>> {
        let running = self.container(replica)?;
        Some(self.inner.watch.of(&running.id))
    }

    /// The services that are to be there now.
    pub(crate) fn services(&self) -> Arc<BTreeMap<String, Service>> {
        let services = self.inner.services.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&services)
    }

    /// Names of production's that the agent answers to.
    pub fn fronts(&self) -> &[Front] {
        &self.inner.setup.fronts
    }

    /// Who signs in the issuer's place, where a key of the run's own stands among the issuer's.
    pub fn signer(&self) -> Option<Arc<Signer>> {
        self.inner.setup.signer.clone()
    }

    /// What services have shown at earlier starts.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.inner.setup.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_generation(&self) -> u32 {
        self.inner.generation.fetch_add(1, Ordering::Relaxed)
    }

    /// What is known of an image of this mirror.
    pub fn image(&self, reference: &str) -> ImageFacts {
        self.inner.setup.image(reference)
    }

    /// Runs a command inside a service's container, the first of several, as the container's own user, without a terminal.
    ///
    /// # Errors
    /// The service has no running container, or the engine refused.
    pub async fn exec(&self, service: &str, command: &[String], stdin: Option<&[u8]>) -> Result<ExecOutput> {
        let running = self
            .container_of(service)
            .with_context(|| format!("service `{service}` has no container"))?;
        self.engine().exec(&running.id, command, stdin).await
    }
}
