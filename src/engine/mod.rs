//! The engine: the one place that speaks to Docker (or what answers in its stead). Every object it makes bears the
//! run's labels, so that whatever happens to this process, a sweep finds them.

pub mod archive;
pub mod build;
pub mod container;
pub mod exec;
pub mod globs;
pub mod image;
pub mod image_files;
pub mod labels;
pub mod line;
pub mod network;
pub mod observe;
pub mod pull;
pub mod reaper;
pub mod room;
pub mod sweep;
pub mod tail;
pub mod transfer;
pub mod usage;
pub mod watch;
pub(crate) mod words;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::auth::DockerCredentials;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::record::release::EngineRecord;
use labels::{LABEL_DEADLINE, LABEL_KEPT, RunLabels};
use line::Transport;
use line::address::Address;
use line::agree::{Dialect, agree};

/// Containers that are started at the same time. On two cores, more come up no sooner; and engines before 28 may lose
/// count where many join or leave a network at once, and then refuse to remove it ("has active endpoints") until they
/// are restarted. Fewer at once make that rarer, not impossible.
const STARTS: usize = 4;
/// Containers that are removed at the same time: no more than start, for the same reason.
const REMOVALS: usize = 4;

/// A run's connection to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    run: Arc<str>,
    labels: Arc<HashMap<String, String>>,
    by_testcontainers: bool,
    hands_on_unknown_names: bool,
    mounts_parts: bool,
    dialect: Dialect,
    line: Arc<Transport>,
    logins: Arc<HashMap<String, DockerCredentials>>,
    // Calls that make something are finished even when whoever asked has gone: an answer that nobody waits for is
    // a container that nobody removes.
    pending: TaskTracker,
    starts: Arc<Semaphore>,
    removals: Arc<Semaphore>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Engine {
    /// Connects to the engine at an address, and agrees with it on a version of its API.
    ///
    /// # Errors
    /// No engine answers there, or it is too old or too new: the machine's doing; the message says what to do.
    pub async fn connect(address: &Address, labels: &RunLabels) -> Result<Self> {
        let transport = Transport::to(address.endpoint.clone());
        let docker = transport.docker()?;
        let agreed = agree(&docker, address).await?;
        transport.speak(agreed.version);
        Ok(Self {
            docker,
            run: labels.run.as_str().into(),
            labels: Arc::new(labels.on_objects()),
            by_testcontainers: address.known_to_testcontainers,
            hands_on_unknown_names: agreed.hands_on_unknown_names,
            mounts_parts: agreed.mounts_parts,
            dialect: agreed.dialect,
            line: transport,
            logins: Arc::default(),
            pending: TaskTracker::new(),
            starts: Arc::new(Semaphore::new(STARTS)),
            removals: Arc::new(Semaphore::new(REMOVALS)),
        })
    }

    /// The same, with credentials for the registries that recipes of builds may name, by registry.
    #[must_use]
    pub fn with_logins(&self, logins: HashMap<String, DockerCredentials>) -> Self {
        Self {
            logins: Arc::new(logins),
            ..self.clone()
        }
    }

    /// The connection itself, for the few readers of streams.
    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Whether a container may be given a name server of ours without losing the mirror's own names.
    pub fn hands_on_unknown_names(&self) -> bool {
        self.hands_on_unknown_names
    }

    /// Whether a part of a volume can be mounted by its name.
    pub fn mounts_parts(&self) -> bool {
        self.mounts_parts
    }

    /// Id of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// A name on the engine that no other run has.
    pub fn name(&self, rest: &str) -> String {
        format!("rehearsal-{}-{rest}", self.run)
    }

    /// The run's labels and some more.
    pub fn labels(&self, more: &[(&str, &str)]) -> HashMap<String, String> {
        let mut labels = (*self.labels).clone();
        labels.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        labels
    }

    /// What it makes is to stay.
    pub fn keeps(&self) -> bool {
        self.labels.contains_key(LABEL_KEPT)
    }

    /// Until when what it makes may live, seconds since 1970.
    pub fn deadline(&self) -> u64 {
        self.labels
            .get(LABEL_DEADLINE)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    async fn finish<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> Result<T> {
        anyhow::ensure!(!self.pending.is_closed(), "the run is being taken down");
        self.pending
            .spawn(call)
            .await
            .context("a call to the engine was cut off")
    }

    /// The run is being taken down: waits until no call that makes something is under way, and refuses new ones.
    pub async fn close(&self) {
        self.pending.close();
        self.pending.wait().await;
    }

    /// What and where the engine is.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn describe(&self) -> Result<EngineRecord> {
        let (version, info) = tokio::try_join!(self.docker.version(), self.docker.info())?;
        let name = version
            .platform
            .map_or_else(|| "Docker Engine".to_owned(), |platform| platform.name);
        let mut facts = std::collections::BTreeMap::new();
        facts.extend(info.driver.map(|driver| ("storage".to_owned(), driver)));
        facts.extend(
            info.cgroup_version
                .map(|version| ("cgroup".to_owned(), version.to_string())),
        );
        facts.extend(info.ncpu.map(|cpus| ("cpus".to_owned(), cpus.to_string())));
        Ok(EngineRecord {
            name: if name.is_empty() {
                "Docker Engine".to_owned()
            } else {
                name
            },
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            platform: format!(
                "{}/{}",
                version.os.unwrap_or_default(),
                version.arch.unwrap_or_default()
            ),
            facts,
        })
    }

    /// The engine's own clock, seconds since 1970 with fraction, as its event filter wants it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn clock(&self) -> Result<i64> {
        let info = self.docker.info().await?;
        let text = info.system_time.unwrap_or_default();
        let parsed = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339);
        Ok(parsed.map_or_else(
            |_| time::OffsetDateTime::now_utc().unix_timestamp(),
            |at| at.unix_timestamp(),
        ))
    }
}
