//! The engine: the one place that speaks to Docker (or what answers in its stead). Every object it makes bears the
//! run's labels, so that whatever happens to this process, a sweep finds them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, ImageInspect, Ipam, IpamConfig,
    NetworkConnectRequest, NetworkCreateRequest, VolumeCreateRequest,
};
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::StreamExt as _;
use testcontainers::core::ImageExt as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ReuseDirective};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::StreamReader;
use tokio_util::task::TaskTracker;

use super::ExecOutput;
use crate::report::result::EngineRecord;

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
/// Label of what a later command may need: `kept` mirrors are not swept while they are wanted.
pub const LABEL_KEPT: &str = "dev.rehearsal.kept";

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
    // Calls that make something are finished even when whoever asked has gone: an answer that nobody waits for is
    // a container that nobody removes.
    pending: TaskTracker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("run", &self.run).finish_non_exhaustive()
    }
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
    /// It is to stay when the run has ended.
    pub kept: bool,
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
}

impl RunLabels {
    /// Of a command that makes nothing on the engine.
    pub fn of_none() -> Self {
        Self {
            run: String::new(),
            deadline: 0,
            host: String::new(),
            lock: PathBuf::new(),
            kept: false,
        }
    }
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` (or the usual socket) names.
    ///
    /// # Errors
    /// No engine answers: the machine's doing; the message says what to do.
    pub async fn connect(labels: &RunLabels) -> Result<Self> {
        let docker = testcontainers::core::client::docker_client_instance()
            .await
            .map_err(|error| anyhow!("no container engine could be set up: {error}"))?;
        docker.ping().await.map_err(|error| {
            anyhow!(
                "no container engine answers ({error}); start Docker or Podman, or set DOCKER_HOST to where one listens"
            )
        })?;
        let map = [
            (LABEL_RUN, labels.run.clone()),
            (LABEL_DEADLINE, labels.deadline.to_string()),
            (LABEL_HOST, labels.host.clone()),
            (LABEL_LOCK, labels.lock.to_string_lossy().into_owned()),
            ("org.testcontainers.managed-by", "testcontainers".to_owned()),
        ];
        let kept = labels.kept.then(|| (LABEL_KEPT, "yes".to_owned()));
        let all = map
            .into_iter()
            .chain(kept)
            .map(|(name, value)| (name.to_owned(), value));
        Ok(Self {
            docker,
            run: labels.run.as_str().into(),
            labels: Arc::new(all.collect()),
            pending: TaskTracker::new(),
        })
    }

    /// Connects to the engine at an address, to read and not to make: `unix:///…` or `tcp://…`.
    ///
    /// # Errors
    /// Nobody answers there, or only another way leads there.
    pub async fn at(host: &str) -> Result<Self> {
        let docker = match host.split_once("://") {
            Some(("unix", _)) => Docker::connect_with_unix(host, 120, bollard::API_DEFAULT_VERSION),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(host, 120, bollard::API_DEFAULT_VERSION),
            _ => {
                return Err(anyhow!(
                    "`{host}` cannot be reached directly; use `--from SERVICE=exec:'ssh HOST docker exec -i NAME'`"
                ));
            }
        };
        let docker = docker.map_err(|error| anyhow!("no engine at `{host}`: {error}"))?;
        let docker = docker
            .negotiate_version()
            .await
            .map_err(|error| anyhow!("no engine answers at `{host}`: {error}"))?;
        Ok(Self {
            docker,
            run: "".into(),
            labels: Arc::default(),
            pending: TaskTracker::new(),
        })
    }

    /// The connection itself, for the few readers of streams.
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
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

    /// Facts of an image, pulled if the engine has it not.
    ///
    /// # Errors
    /// It cannot be had: the message names the image and what the registry said.
    pub async fn pull(&self, reference: &str) -> Result<ImageFacts> {
        if let Some(found) = self.image(reference).await? {
            return Ok(found);
        }
        let (name, tag) = split_reference(reference);
        let options = query::CreateImageOptions {
            from_image: Some(name),
            tag,
            ..Default::default()
        };
        let mut stream = Box::pin(self.docker.create_image(Some(options), None, None));
        while let Some(step) = stream.next().await {
            step.map_err(|error| {
                anyhow!(
                    "image `{reference}` could not be pulled: {}",
                    one_line(&error.to_string())
                )
            })?;
        }
        self.image(reference)
            .await?
            .with_context(|| format!("image `{reference}` is not there after pulling it"))
    }

    /// Builds an image from an archive of its context.
    ///
    /// # Errors
    /// The build failed: the message ends in what the engine printed last.
    pub async fn build(&self, tag: &str, archive: Vec<u8>, options: query::BuildImageOptions) -> Result<ImageFacts> {
        let options = query::BuildImageOptions {
            t: Some(tag.to_owned()),
            labels: Some(self.labels(&[])),
            rm: true,
            forcerm: true,
            ..options
        };
        let mut stream = Box::pin(
            self.docker
                .build_image(options, None, Some(bollard::body_full(archive.into()))),
        );
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
        let docker = self.docker.clone();
        self.finish(async move {
            let body = bollard::body_full(Bytes::from(archive));
            let mut stream = Box::pin(docker.create_image(Some(options), Some(body), None));
            while let Some(step) = stream.next().await {
                step?;
            }
            Ok::<(), DockerError>(())
        })
        .await?
        .context("the agent's image could not be made")
    }

    /// Makes a network that has no way out. The engine gives it addresses of its own pools; where those are used up
    /// (some thirty networks), or it has none for IPv6, it gets some of ours.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_network(&self, name: &str, ipv6: bool) -> Result<()> {
        let mut tries = 0;
        loop {
            let request = NetworkCreateRequest {
                name: name.to_owned(),
                driver: Some("bridge".to_owned()),
                internal: Some(true),
                enable_ipv6: ipv6.then_some(true),
                ipam: addresses(tries > 0, ipv6)?,
                labels: Some(self.labels(&[])),
                ..Default::default()
            };
            let docker = self.docker.clone();
            let Err(error) = self.finish(async move { docker.create_network(request).await }).await? else {
                return Ok(());
            };
            tries += 1;
            if !engine_words(&error).contains("overlap") || tries > ADDRESS_TRIES {
                return Err(error).with_context(|| format!("network `{name}` could not be made"));
            }
        }
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

    /// Starts a container that was made before. testcontainers adopts it by name and label and starts it.
    ///
    /// # Errors
    /// The engine refused, e.g. the command does not exist in the image: its words are the message.
    pub async fn start(&self, name: &str) -> Result<()> {
        let request = GenericImage::new("adopted", "by-name")
            .with_container_name(name)
            .with_label(LABEL_RUN, self.run.as_ref())
            .with_reuse(ReuseDirective::Always);
        let started = self.finish(async move { request.start().await.map(drop) }).await?;
        started.map_err(|error| anyhow!("{}", start_words(&error.to_string())))
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
        let begun = Instant::now();
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            env: (!env.is_empty()).then(|| env.to_vec()),
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

/// Subnets for a network: of 198.18.0.0/15, which RFC 2544 keeps for tests, and random unique local ones.
fn addresses(ours: bool, ipv6: bool) -> Result<Option<Ipam>> {
    let mut random = [0u8; 7];
    getrandom::fill(&mut random).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    let [a, b, c, d, e, f, g] = random;
    let v4 = ours.then(|| format!("198.{}.{b}.0/24", 18 + a % 2));
    let v6 = ipv6.then(|| format!("fd{c:02x}:{d:02x}{e:02x}:{f:02x}{g:02x}::/64"));
    let config: Vec<IpamConfig> = v4
        .into_iter()
        .chain(v6)
        .map(|subnet| IpamConfig {
            subnet: Some(subnet),
            ..Default::default()
        })
        .collect();
    Ok((!config.is_empty()).then(|| Ipam {
        config: Some(config),
        ..Default::default()
    }))
}

/// Removing what is already gone is success.
pub(super) fn gone(removed: Result<(), DockerError>) -> Result<()> {
    match removed {
        Ok(()) | Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        // "removal … is already in progress": the sweep looks again.
        Err(DockerError::DockerResponseServerError {
            status_code: 409,
            message,
        }) if message.contains("in progress") => Ok(()),
        Err(error) => Err(anyhow!("{}", engine_words(&error))),
    }
}

/// The engine's own words, without the library's frame around them.
pub(super) fn engine_words(error: &DockerError) -> String {
    match error {
        DockerError::DockerResponseServerError { message, .. } => one_line(message),
        other => one_line(&other.to_string()),
    }
}

fn start_words(message: &str) -> String {
    let inner = message
        .rsplit("Docker responded with status code")
        .next()
        .unwrap_or(message);
    let inner = inner.split_once(": ").map_or(inner, |(_, rest)| rest);
    one_line(inner)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn build_failure(tag: &str, tail: &[String], last: &str) -> anyhow::Error {
    anyhow!(
        "image `{tag}` could not be built: {}\n{}",
        one_line(last),
        tail.join("\n")
    )
}

/// `name:tag` and `name@digest` as the engine's pull call wants them.
fn split_reference(reference: &str) -> (String, Option<String>) {
    if reference.contains('@') {
        return (reference.to_owned(), None);
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), Some(tag.to_owned())),
        _ => (reference.to_owned(), Some("latest".to_owned())),
    }
}

fn facts_of(image: ImageInspect) -> ImageFacts {
    let config = image.config.unwrap_or_default();
    let id = image.id.unwrap_or_default();
    let registry = image.repo_digests.unwrap_or_default().into_iter().next();
    let digest = registry.and_then(|full| full.split_once('@').map(|(_, digest)| digest.to_owned()));
    let ports = config.exposed_ports.unwrap_or_default();
    ImageFacts {
        digest: digest.unwrap_or_else(|| id.clone()),
        id,
        health: config.healthcheck,
        ports: ports.iter().filter_map(|port| tcp_port(port)).collect(),
        volumes: config.volumes.unwrap_or_default(),
        shell: config.shell.unwrap_or_default(),
    }
}

fn tcp_port(text: &str) -> Option<u16> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    (protocol == "tcp").then(|| port.parse().ok()).flatten()
}
