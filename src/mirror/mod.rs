//! The mirror: the containers, networks and volumes that stand for production during one run.
//!
//! [`Mirror::prepare`] makes networks; [`Mirror::start`] starts every service as its dependencies allow,
//! and the agent beside them; [`Mirror::swap`] puts another release in a service's place; [`sweep`] removes all by the
//! run's label, and the [`reaper`] does so where this process cannot any more.
//! Only [`engine`] speaks to the engine.

pub mod authority;
pub mod container;
pub mod door;
pub mod egress;
pub mod entrance;
pub mod failure;
mod files;
pub mod follow;
mod hooks;
pub mod keystore;
pub mod logs;
pub mod names;
pub mod readiness;
pub mod run_container;
pub mod start;
pub mod swap;
pub mod trust;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedSender;

use crate::agent::client::Client;
use crate::config::settings::OpenHost;
use crate::engine::watch::{self, Seen, Watch};
use crate::engine::{Engine, ExecOutput, ImageFacts};
use crate::text::redact::Redactor;
use crate::world::addresses::Subnet;
use crate::world::model::{Service, World};
use logs::Logs;
use names::Borne;
use trust::Trust;

/// A container to run to its end inside the mirror's networks.
#[derive(Debug, Clone, Default)]
pub struct ContainerRun {
    /// Image reference.
    pub image: String,
    /// Replaces the entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the command.
    pub command: Option<Vec<String>>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Files put into it before it starts: absolute path, content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Directories made before it starts, writable for everyone.
    pub directories: Vec<String>,
    /// A glob of files to bring back when it has ended.
    pub collect: Option<String>,
    /// Killed after this long.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct ContainerOutcome {
    /// Exit code; `None` = killed at the limit.
    pub exit: Option<i64>,
    /// Standard output and error, raw, in order of arrival.
    pub output: Vec<u8>,
    /// Path and content of the collected files, sorted by path.
    pub files: Vec<(String, Vec<u8>)>,
    /// Start to exit.
    pub duration: Duration,
}

/// Something the mirror wants known while it happens.
#[derive(Debug, Clone)]
pub struct News {
    /// Service.
    pub service: String,
    /// `created`, `started`, `ready`, `exited`, `unhealthy`, `out of memory`, `stopped`.
    pub state: &'static str,
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
    pub world: World,
    /// Facts of every image in it, and of the candidates'.
    pub images: HashMap<String, ImageFacts>,
    /// No secret reaches a log.
    pub redactor: Redactor,
    /// Where logs are written; `None` = kept in memory only.
    pub logs: Option<PathBuf>,
    /// Who wants to know.
    pub news: UnboundedSender<News>,
    /// A name of production's that the agent answers to.
    pub borne: Option<Borne>,
    /// Hosts outside that may be reached.
    pub open: Vec<OpenHost>,
    /// The program that is the agent: [`archive::THIS_PROGRAM`], unless a test names another.
    pub program: PathBuf,
}

/// A service's container.
#[derive(Debug, Clone)]
pub struct Running {
    /// Id on the engine.
    pub id: String,
    /// Name on the engine.
    pub name: String,
    /// What it was made from.
    pub service: Service,
    /// Lines that the service had logged in this stage before this container started.
    pub since: usize,
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
    agent: Client,
    arrival: Mutex<Option<start::Arrival>>,
    answering: start::Answering,
    running: Mutex<BTreeMap<String, Running>>,
    generation: AtomicU32,
    swapped: Mutex<BTreeSet<String>>,
    completed: Mutex<BTreeSet<String>>,
    volumes: tokio::sync::Mutex<BTreeSet<String>>,
    trusts: Mutex<HashMap<trust::Key, Arc<OnceCell<Trust>>>>,
    made: Mutex<BTreeMap<String, egress::Origin>>,
}

impl Mirror {
    /// Makes networks, and begins to make the agent. Starts none of production's services.
    ///
    /// # Errors
    /// The engine refused something: the machine's doing.
    pub async fn prepare(setup: Setup) -> Result<Self> {
        let image = start::agent_image(&setup);
        let (watch, subnets) = tokio::try_join!(Watch::begin(&setup.engine), start::networks(&setup))?;
        let logs = Logs::new(&setup.engine, &setup.redactor, setup.logs.clone());
        let subnets = Arc::new(subnets);
        let (agent, arrival, answering) = start::agent(&setup, &subnets, image);
        let inner = Inner {
            setup,
            watch,
            logs,
            subnets,
            agent,
            arrival: Mutex::new(Some(arrival)),
            answering,
            running: Mutex::default(),
            generation: AtomicU32::new(0),
            swapped: Mutex::default(),
            completed: Mutex::default(),
            volumes: tokio::sync::Mutex::default(),
            trusts: Mutex::default(),
            made: Mutex::default(),
        };
        let mirror = Self { inner: Arc::new(inner) };
        mirror.follow_restarts();
        Ok(mirror)
    }

    /// Says what happens to containers, and reads on in the log of one that was restarted.
    fn follow_restarts(&self) {
        let (mirror, mut news) = (self.clone(), self.inner.watch.news());
        tokio::spawn(async move {
            while let Ok(happened) = news.recv().await {
                mirror.take(&happened);
            }
        });
    }

    fn take(&self, happened: &watch::Happened) {
        // The run may have other mirrors with services of the same names.
        if !self.running().values().any(|running| running.id == happened.container) {
            return;
        }
        let detail = happened.exit.map(|code| format!("exit code {code}"));
        match happened.what {
            "start" if self.inner.watch.of(&happened.container).borrow().starts > 1 => {
                self.inner.logs.follow(&happened.container, &happened.service);
                self.tell(&happened.service, "restarted", None, None);
            }
            "die" => self.tell(&happened.service, "exited", detail, None),
            "oom" => self.tell(&happened.service, "out of memory", None, None),
            "unhealthy" => self.tell(&happened.service, "unhealthy", None, None),
            _ => {}
        }
    }

    fn tell(&self, service: &str, state: &'static str, detail: Option<String>, took: Option<Duration>) {
        // A run that has stopped listening is a run that is going down.
        let _listening = self.inner.setup.news.send(News {
            service: service.to_owned(),
            state,
            detail,
            took,
        });
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container that stands for a service now.
    pub fn container_of(&self, service: &str) -> Option<Running> {
        self.running().get(service).cloned()
    }

    /// The agent in the mirror's networks.
    pub fn agent(&self) -> &Client {
        &self.inner.agent
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

    /// What was seen of a service's present container.
    pub fn seen(&self, service: &str) -> Option<Seen> {
        let running = self.container_of(service)?;
        Some(self.inner.watch.of(&running.id).borrow().clone())
    }

    /// The name of production's that the agent answers to.
    pub fn borne(&self) -> Option<&Borne> {
        self.inner.setup.borne.as_ref()
    }

    fn next_generation(&self) -> u32 {
        self.inner.generation.fetch_add(1, Ordering::Relaxed)
    }

    /// What is known of an image of this mirror.
    pub fn image(&self, reference: &str) -> ImageFacts {
        self.inner.setup.images.get(reference).cloned().unwrap_or_default()
    }

    /// Runs a command inside a service's container, as the container's own user, without a terminal.
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

/// Name of a network of the world on the engine.
pub(crate) fn network_name(setup: &Setup, network: &str) -> String {
    setup.engine.name(&format!("{}{network}", setup.prefix))
}

/// Name of a volume of the world on the engine.
pub(crate) fn volume_name(setup: &Setup, volume: &str) -> String {
    setup.engine.name(&format!("{}{volume}", setup.prefix))
}
