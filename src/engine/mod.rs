//! The engine: the one place that speaks to Docker (or what answers in its stead). Every object it makes bears the
//! run's labels, so that whatever happens to this process, a sweep finds them.

pub mod archive;
pub mod build;
pub mod line;
pub mod observe;
pub mod pull;
pub mod reaper;
pub mod sweep;
pub mod tail;
pub mod watch;
pub(crate) mod words;

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, ImageInspect, NetworkConnectRequest,
    NetworkCreateRequest, VolumeCreateRequest,
};
use bollard::{Docker, query_parameters as query};
use bytes::Bytes;
use futures_util::StreamExt as _;
use testcontainers::core::ImageExt as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ReuseDirective};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio_util::io::StreamReader;
use tokio_util::task::TaskTracker;

use crate::engine::words::{engine_words, gone, one_line, start_words};
use crate::record::release::EngineRecord;
use crate::world::addresses::{self, Block, Layout, Subnet};
use crate::world::model::{Hook, Network};
use line::Line;
use line::address::Address;
use line::agree::agree;

/// Label that names the run.
pub const LABEL_RUN: &str = "dev.rehearsal.run";
/// Label that says until when a run may live, seconds since 1970.
pub const LABEL_DEADLINE: &str = "dev.rehearsal.deadline";
/// Label that tells on which machine the run's process is.
pub const LABEL_HOST: &str = "dev.rehearsal.host";
/// Label that names the file which the run's process holds locked as long as it lives.
pub const LABEL_LOCK: &str = "dev.rehearsal.lock";
/// Label that names the service a container stands for.
pub const LABEL_SERVICE: &str = "dev.rehearsal.service";
/// Label of what is to stay: it names the configuration. Not swept before its deadline.
pub const LABEL_KEPT: &str = "dev.rehearsal.kept";

/// How closed a network is, the most telling first: what an engine refuses, it is not asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// What is sent outside arrives at the gateway's address, and the agent takes it. Not `internal`: an engine drops such
    /// frames there. It is as closed all the same: this machine has no address in it, so containers find neither the
    /// machine's ports nor anybody who would carry packets on, and the engine translates nothing to the outside.
    Led,
    /// `internal`, and without an address of this machine. Only there do engines keep IPv6 away from the machine.
    Closed,
    /// `internal`, for engines that do not take Docker's options.
    Plain,
    /// Not the mirror's: ports can be published from it, and nothing in it is translated to the outside.
    Untranslated,
    /// As the engine makes one if it is told nothing: it leads outside.
    Open,
}

/// No address of the machine's in a network's IPv4 subnet: else containers reach the machine's own ports there, and
/// what they send outside is swallowed instead of failing. Known to all of Docker's engines since 2018.
const NO_IPV4: (&str, &str) = ("com.docker.network.bridge.inhibit_ipv4", "true");
/// The same for IPv6; engines older than 27.1 pass over it.
const NO_IPV6: (&str, &str) = ("com.docker.network.bridge.gateway_mode_ipv6", "isolated");
/// Nothing is sent outside under the machine's own address.
const UNTRANSLATED: (&str, &str) = ("com.docker.network.bridge.enable_ip_masquerade", "false");

impl Form {
    /// The first to ask for.
    fn first(engine: &Engine, subnet_has_v6: bool) -> Self {
        match engine.hands_on_unknown_names {
            true if !subnet_has_v6 => Self::Led,
            _ => Self::Closed,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Led => Some(Self::Closed),
            Self::Closed => Some(Self::Plain),
            Self::Untranslated => Some(Self::Open),
            Self::Plain | Self::Open => None,
        }
    }

    fn is_internal(self) -> bool {
        matches!(self, Self::Closed | Self::Plain)
    }

    fn options(self, has_v6: bool) -> Option<HashMap<String, String>> {
        let all: &[(&str, &str)] = match self {
            Self::Led => &[NO_IPV4, UNTRANSLATED],
            Self::Closed if has_v6 => &[NO_IPV4, NO_IPV6],
            Self::Closed => &[NO_IPV4],
            Self::Untranslated => &[UNTRANSLATED],
            Self::Plain | Self::Open => return None,
        };
        Some(
            all.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

/// Containers that are started at the same time. On two cores, more come up no sooner; and engines before 28 may lose
/// count where many join or leave a network at once, and then refuse to remove it ("has active endpoints") until they
/// are restarted. Fewer at once make that rarer, not impossible.
const STARTS: usize = 4;
/// Containers that are removed at the same time.
const REMOVALS: usize = 8;
/// Subnets that are tried for a network, until one is free.
const ADDRESS_TRIES: u32 = 30;
/// Output of one command is cut here: 16 MiB.
const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// A run's connection to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    run: Arc<str>,
    labels: Arc<HashMap<String, String>>,
    by_testcontainers: bool,
    hands_on_unknown_names: bool,
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

/// What a command inside a service's container did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub exit: i64,
    /// Standard output, raw.
    pub stdout: Vec<u8>,
    /// Standard error, raw.
    pub stderr: Vec<u8>,
    /// Start to exit.
    pub duration: Duration,
}

/// Who the labels say a run is.
#[derive(Debug, Clone)]
pub struct RunLabels {
    /// Id of the run.
    pub run: String,
    /// Seconds since 1970.
    pub deadline: u64,
    /// Which machine's process owns it.
    pub host: String,
    /// The file that process holds locked.
    pub lock: PathBuf,
    /// The configuration whose mirror is to stay when the run has ended; `None` = nothing is.
    pub kept: Option<PathBuf>,
}

/// What is known of an image.
#[derive(Debug, Clone, Default)]
pub struct ImageFacts {
    /// `sha256:…`: the registry's digest where it has one, else the image's own id.
    pub digest: String,
    /// The image's own id.
    pub id: String,
    /// Health check of its recipe.
    pub health: Option<bollard::models::HealthConfig>,
    /// TCP ports it says it listens on.
    pub ports: Vec<u16>,
    /// Paths it declares as volumes.
    pub volumes: Vec<String>,
    /// What its recipe's shell form runs in; empty = the engine's default.
    pub shell: Vec<String>,
    /// `repository@sha256:…`, by which registries know it; empty = it was made here.
    pub repo_digests: Vec<String>,
    /// `linux/amd64`, with the variant where there is one.
    pub platform: String,
    /// When it got its name on this engine: when it was pulled last.
    pub tagged: Option<time::OffsetDateTime>,
}

impl RunLabels {
    /// Of a command that makes nothing on the engine.
    pub fn of_none() -> Self {
        Self {
            run: String::new(),
            deadline: 0,
            host: String::new(),
            lock: PathBuf::new(),
            kept: None,
        }
    }
}

impl Engine {
    /// Connects to the engine at an address, and agrees with it on a version of its API.
    ///
    /// # Errors
    /// No engine answers there, or it is too old or too new: the machine's doing; the message says what to do.
    pub async fn connect(address: &Address, labels: &RunLabels) -> Result<Self> {
        let line = Line::to(address.place.clone());
        let docker = line.docker()?;
        let agreed = agree(&docker, address).await?;
        line.speak(agreed.version);
        let map = [
            (LABEL_RUN, labels.run.clone()),
            (LABEL_DEADLINE, labels.deadline.to_string()),
            (LABEL_HOST, labels.host.clone()),
            (LABEL_LOCK, labels.lock.to_string_lossy().into_owned()),
            ("org.testcontainers.managed-by", "testcontainers".to_owned()),
        ];
        let kept = labels
            .kept
            .as_ref()
            .map(|file| (LABEL_KEPT, file.to_string_lossy().into_owned()));
        let all = map
            .into_iter()
            .chain(kept)
            .map(|(name, value)| (name.to_owned(), value));
        Ok(Self {
            docker,
            run: labels.run.as_str().into(),
            labels: Arc::new(all.collect()),
            by_testcontainers: address.known_to_testcontainers,
            hands_on_unknown_names: agreed.hands_on_unknown_names,
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

    /// Facts of an image the engine has; `None` where it has it not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>> {
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(facts_of(found))),
            Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("image `{reference}` could not be inspected")),
        }
    }

    /// Builds an image from an archive of its context.
    ///
    /// # Errors
    /// The build failed: the message ends in what the engine printed last.
    pub async fn build(&self, tag: &str, archive: Vec<u8>, options: query::BuildImageOptions) -> Result<ImageFacts> {
        let mut labels = options.labels.unwrap_or_default();
        labels.extend(self.labels(&[]));
        let options = query::BuildImageOptions {
            t: Some(tag.to_owned()),
            labels: Some(labels),
            rm: true,
            forcerm: true,
            ..options
        };
        let logins = (*self.logins).clone();
        let mut stream = Box::pin(self.docker.build_image(
            options,
            Some(logins),
            Some(bollard::body_full(archive.into())),
        ));
        let mut tail: Vec<String> = Vec::new();
        while let Some(step) = stream.next().await {
            let step = step.map_err(|error| build_failure(tag, &tail, &error.to_string()))?;
            if let Some(detail) = step.error_detail {
                return Err(build_failure(tag, &tail, &detail.message.unwrap_or_default()));
            }
            tail.extend(
                step.stream
                    .map(|line| line.trim_end().to_owned())
                    .filter(|line| !line.is_empty()),
            );
            let surplus = tail.len().saturating_sub(20);
            tail.drain(..surplus);
        }
        self.image(tag)
            .await?
            .with_context(|| format!("image `{tag}` is not there after building it"))
    }

    /// Makes an image out of an archive of a file system.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn import(&self, name: &str, tag: &str, archive: Vec<u8>, changes: Vec<String>) -> Result<()> {
        let options = query::CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            changes,
            ..Default::default()
        };
        let engine = self.clone();
        let reference = format!("{name}:{tag}");
        let tagged = query::TagImageOptions {
            repo: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
        };
        self.finish(async move {
            let body = bollard::body_full(Bytes::from(archive));
            let mut stream = Box::pin(engine.docker.create_image(Some(options), Some(body), None));
            let mut made = String::new();
            while let Some(step) = stream.next().await {
                made = step?.status.unwrap_or(made);
            }
            // Podman names what it imports by the repository alone.
            if engine.image(&reference).await?.is_none() {
                engine.docker.tag_image(&made, Some(tagged)).await?;
            }
            Ok::<(), anyhow::Error>(())
        })
        .await?
        .context("the agent's image could not be made")
    }

    /// Makes a network that has no way out, in a subnet outside `taken` that none of the engine's networks has. Which
    /// those have is asked only where the engine refuses the first choice.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_network(&self, name: &str, layout: &Layout, taken: Vec<Block>) -> Result<Subnet> {
        let first = Form::first(self, layout.has_v6());
        let (subnet, form) = self.make_network(name, layout, taken, first).await?;
        Ok(if form == Form::Led { subnet.led() } else { subnet })
    }

    /// Makes the network in which an entrance or a door stands alone: ports can be published from it, and it leads
    /// outside if that is asked for. Else nothing in it is translated to the outside, where the engine knows how.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_outer_network(&self, name: &str, leads_outside: bool) -> Result<()> {
        let first = if leads_outside { Form::Open } else { Form::Untranslated };
        let layout = Layout::of(&Network::default(), 1);
        self.make_network(name, &layout, addresses::routes(), first).await?;
        Ok(())
    }

    /// A network in the first form that the engine takes, in a subnet that is free; where it is, and the form.
    async fn make_network(
        &self,
        name: &str,
        layout: &Layout,
        mut taken: Vec<Block>,
        mut form: Form,
    ) -> Result<(Subnet, Form)> {
        let mut tries = 0;
        loop {
            let subnet = Subnet::choose(layout, &taken, random()?).with_context(|| {
                format!("network `{name}` could not be made: every private subnet is in use on this machine")
            })?;
            let request = NetworkCreateRequest {
                name: name.to_owned(),
                driver: Some("bridge".to_owned()),
                internal: Some(form.is_internal()),
                enable_ipv6: layout.has_v6().then_some(true),
                ipam: Some(subnet.ipam()),
                options: form.options(layout.has_v6()),
                labels: Some(self.labels(&[])),
                ..Default::default()
            };
            let docker = self.docker.clone();
            let Err(error) = self.finish(async move { docker.create_network(request).await }).await? else {
                return Ok((subnet, form));
            };
            tries += 1;
            match form.next() {
                _ if tries >= ADDRESS_TRIES => {}
                _ if is_taken(&error) => {
                    taken.push(subnet.block());
                    taken.extend(self.subnets().await?);
                    continue;
                }
                Some(next) => {
                    form = next;
                    continue;
                }
                None => {}
            }
            return Err(error).with_context(|| format!("network `{name}` could not be made"));
        }
    }

    /// Subnets of all networks that the engine has.
    async fn subnets(&self) -> Result<Vec<Block>> {
        let networks = self.docker.list_networks(None::<query::ListNetworksOptions>).await?;
        let pools = networks
            .into_iter()
            .filter_map(|network| network.ipam?.config)
            .flatten();
        Ok(pools.filter_map(|pool| Block::parse(&pool.subnet?)).collect())
    }

    /// Makes a volume.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_volume(&self, name: &str) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(self.labels(&[])),
            ..Default::default()
        };
        let docker = self.docker.clone();
        self.finish(async move { docker.create_volume(request).await })
            .await?
            .with_context(|| format!("volume `{name}` could not be made"))?;
        Ok(())
    }

    /// Makes a container and returns its id.
    ///
    /// # Errors
    /// The engine refused: its words are the message.
    pub async fn create_container(&self, name: &str, platform: &str, body: ContainerCreateBody) -> Result<String> {
        let options = query::CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: platform.to_owned(),
        };
        let docker = self.docker.clone();
        let made = self
            .finish(async move { docker.create_container(Some(options), body).await })
            .await?;
        Ok(made.map_err(|error| anyhow!("{}", engine_words(&error)))?.id)
    }

    /// Attaches a container to a further network.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn connect_network(&self, network: &str, container: &str, endpoint: EndpointSettings) -> Result<()> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(endpoint),
        };
        self.docker
            .connect_network(network, request)
            .await
            .with_context(|| format!("could not join network `{network}`"))
    }

    /// Starts a container that was made before. testcontainers adopts it by name and label and starts it, where it
    /// finds this engine: it looks for one by itself, and not everywhere.
    ///
    /// # Errors
    /// The engine refused, e.g. the command does not exist in the image: its words are the message.
    pub async fn start(&self, name: &str) -> Result<()> {
        let _turn = self.starts.acquire().await;
        if !self.by_testcontainers {
            let (engine, name) = (self.clone(), name.to_owned());
            return self.finish(async move { engine.start_again(&name).await }).await?;
        }
        let request = GenericImage::new("adopted", "by-name")
            .with_container_name(name)
            .with_label(LABEL_RUN, self.run.as_ref())
            .with_reuse(ReuseDirective::Always);
        let started = self.finish(async move { request.start().await.map(drop) }).await?;
        started.map_err(|error| anyhow!("{}", start_words(&error.to_string())))
    }

    /// Waits until a container has said anything.
    ///
    /// # Errors
    /// It ended without a word, or said nothing in time.
    pub async fn await_word(&self, container: &str, limit: Duration) -> Result<()> {
        let options = query::LogsOptions {
            follow: true,
            stdout: true,
            ..Default::default()
        };
        let mut said = Box::pin(self.docker.logs(container, Some(options)));
        match tokio::time::timeout(limit, said.next()).await {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(error))) => Err(anyhow!("{}", engine_words(&error))),
            Ok(None) => Err(anyhow!("it ended")),
            Err(_) => Err(anyhow!("it said nothing within {} s", limit.as_secs())),
        }
    }

    /// Starts again a container that ran before.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn start_again(&self, container: &str) -> Result<()> {
        let started = self
            .docker
            .start_container(container, None::<query::StartContainerOptions>)
            .await;
        started.map_err(|error| anyhow!("{}", engine_words(&error)))
    }

    /// Stops a container production's way: its signal, its grace period, then the kill.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<()> {
        let seconds = i32::try_from(grace.as_secs_f64().ceil() as u64).unwrap_or(i32::MAX);
        let options = query::StopContainerOptions {
            t: Some(seconds),
            ..Default::default()
        };
        let docker = self.docker.clone().with_timeout(grace + Duration::from_secs(60));
        match docker.stop_container(container, Some(options)).await {
            Ok(())
            | Err(DockerError::DockerResponseServerError {
                status_code: 304 | 404, ..
            }) => Ok(()),
            Err(error) => Err(anyhow!("{}", engine_words(&error))),
        }
    }

    /// Removes a container, running or not, with its anonymous volumes.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn remove_container(&self, container: &str) -> Result<()> {
        let options = query::RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        let _turn = self.removals.acquire().await;
        gone(self.docker.remove_container(container, Some(options)).await)
    }

    /// Everything the engine knows of a container.
    ///
    /// # Errors
    /// There is no such container.
    pub async fn inspect(&self, container: &str) -> Result<ContainerInspectResponse> {
        Ok(self
            .docker
            .inspect_container(container, None::<query::InspectContainerOptions>)
            .await?)
    }

    /// Puts an archive's files into a container, running or not.
    ///
    /// # Errors
    /// The engine refused, e.g. because the root file system is read-only.
    pub async fn upload(&self, container: &str, path: &str, archive: Vec<u8>) -> Result<()> {
        let options = query::UploadToContainerOptions {
            path: path.to_owned(),
            ..Default::default()
        };
        let body = bollard::body_full(Bytes::from(archive));
        let sent = self.docker.upload_to_container(container, Some(options), body).await;
        sent.map_err(|error| anyhow!("files could not be put into the container: {}", engine_words(&error)))
    }

    /// Brings back an archive of a path of a container.
    ///
    /// # Errors
    /// The path is not there, or the archive is larger than `limit` bytes.
    pub async fn download(&self, container: &str, path: &str, limit: usize) -> Result<Vec<u8>> {
        let options = query::DownloadFromContainerOptions { path: path.to_owned() };
        let mut stream = Box::pin(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = stream.next().await {
            archive.extend_from_slice(&chunk.map_err(|error| anyhow!("{}", engine_words(&error)))?);
            anyhow::ensure!(archive.len() <= limit, "`{path}` is larger than {limit} bytes");
        }
        Ok(archive)
    }

    /// Where the link at a path leads in the end, empty for what is no link; `None` where nothing is.
    pub async fn link_target(&self, container: &str, path: &str) -> Option<String> {
        let options = query::ContainerArchiveInfoOptions { path: path.to_owned() };
        self.docker
            .get_container_archive_info(container, Some(options))
            .await
            .ok()
            .map(|stat| stat.link_target)
    }

    /// Runs a command in a container to its end, as the container's user, without a terminal.
    ///
    /// # Errors
    /// The container does not run, or the engine refused. A command that cannot be found is not an error: exit 126 or 127.
    pub async fn exec(&self, container: &str, command: &[String], stdin: Option<&[u8]>) -> Result<ExecOutput> {
        self.exec_with(container, command, &[], stdin).await
    }

    /// The same with further variables, each `NAME=VALUE`.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_with(
        &self,
        container: &str,
        command: &[String],
        env: &[String],
        stdin: Option<&[u8]>,
    ) -> Result<ExecOutput> {
        let hook = Hook {
            command: command.to_vec(),
            env: env.to_vec(),
            ..Hook::default()
        };
        self.exec_hook(container, &hook, stdin).await
    }

    /// The same as whom and where the hook says.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_hook(&self, container: &str, hook: &Hook, stdin: Option<&[u8]>) -> Result<ExecOutput> {
        let begun = Instant::now();
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(hook.command.clone()),
            env: (!hook.env.is_empty()).then(|| hook.env.clone()),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            ..Default::default()
        };
        let id = self
            .docker
            .create_exec(container, options)
            .await
            .map_err(|error| anyhow!("{}", engine_words(&error)))?
            .id;
        let started = self
            .docker
            .start_exec(&id, None)
            .await
            .map_err(|error| anyhow!("{}", engine_words(&error)))?;
        let StartExecResults::Attached { mut output, mut input } = started else {
            return Err(anyhow!(
                "the engine detached from a command that it was asked to attach to"
            ));
        };
        if let Some(bytes) = stdin {
            // A command that does not read its input ends before it is written: no error.
            let _unread = input.write_all(bytes).await;
            let _unread = input.shutdown().await;
        }
        let mut done = ExecOutput::default();
        while let Some(chunk) = output.next().await {
            match chunk? {
                LogOutput::StdErr { message } => extend(&mut done.stderr, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => extend(&mut done.stdout, &message),
                LogOutput::StdIn { .. } => {}
            }
        }
        done.duration = begun.elapsed();
        done.exit = self.docker.inspect_exec(&id).await?.exit_code.unwrap_or(-1);
        Ok(done)
    }

    /// Starts a command in a container and returns its standard streams; its standard error is dropped.
    ///
    /// # Errors
    /// The container does not run, or the engine refused.
    pub async fn converse(&self, container: &str, command: &[&str]) -> Result<Conversation> {
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            ..Default::default()
        };
        let id = self.docker.create_exec(container, options).await?.id;
        match self.docker.start_exec(&id, None).await? {
            StartExecResults::Attached { output, input } => {
                let bytes = output.filter_map(|chunk| async move {
                    match chunk {
                        Ok(LogOutput::StdOut { message }) => Some(Ok(message)),
                        Ok(_) => None,
                        Err(error) => Some(Err(std::io::Error::other(error))),
                    }
                });
                Ok((Box::pin(StreamReader::new(Box::pin(bytes))), input))
            }
            StartExecResults::Detached => Err(anyhow!("the engine detached from the agent")),
        }
    }
}

/// The two ends of a conversation with a command: what it says, what it hears.
pub type Conversation = (Pin<Box<dyn AsyncRead + Send>>, Pin<Box<dyn AsyncWrite + Send>>);

fn extend(buffer: &mut Vec<u8>, chunk: &[u8]) {
    let room = OUTPUT_LIMIT.saturating_sub(buffer.len());
    buffer.extend_from_slice(&chunk[..chunk.len().min(room)]);
}

fn random() -> Result<[u8; 12]> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(random)
}

/// The subnet is another network's: Docker says "overlaps", or that the gateway is there already where only the range
/// differs; Podman says "already used".
fn is_taken(error: &DockerError) -> bool {
    let words = engine_words(error);
    ["overlap", "failed to allocate gateway", "already used"]
        .iter()
        .any(|sign| words.contains(sign))
}

fn build_failure(tag: &str, tail: &[String], last: &str) -> anyhow::Error {
    anyhow!(
        "image `{tag}` could not be built: {}\n{}",
        one_line(last),
        tail.join("\n")
    )
}

fn facts_of(image: ImageInspect) -> ImageFacts {
    let config = image.config.unwrap_or_default();
    let id = image.id.unwrap_or_default();
    let repo_digests = image.repo_digests.unwrap_or_default();
    let digest = repo_digests.first().and_then(|full| full.split_once('@'));
    let ports = config.exposed_ports.unwrap_or_default();
    let platform = [image.os, image.architecture, image.variant];
    let platform: Vec<String> = platform.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let tagged = image.metadata.and_then(|metadata| metadata.last_tag_time);
    ImageFacts {
        digest: digest.map_or_else(|| id.clone(), |(_, digest)| digest.to_owned()),
        id,
        health: config.healthcheck,
        ports: ports.iter().filter_map(|port| tcp_port(port)).collect(),
        volumes: config.volumes.unwrap_or_default(),
        shell: config.shell.unwrap_or_default(),
        platform: platform.join("/"),
        tagged,
        repo_digests,
    }
}

fn tcp_port(text: &str) -> Option<u16> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    (protocol == "tcp").then(|| port.parse().ok()).flatten()
}
