//! A Compose project as validated: typed, merged, every path absolute, every default in its place.
//!
//! Nothing here knows YAML. What a value means is decided by the readers; what may later be complained about carries
//! the `span` where it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::options::{Fragment, LoadOptions};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;

/// A Compose project: what `docker compose up` would start.
#[derive(Debug, Clone)]
pub struct Project {
    /// The project's name, the prefix of what it creates.
    pub name: String,
    /// The project directory, absolute: what relative paths were relative to.
    pub directory: PathBuf,
    /// What `${…}` saw: the environment over the env files.
    pub environment: BTreeMap<String, String>,
    /// Services whose profiles are active.
    pub services: BTreeMap<String, Service>,
    /// Services that no active profile selects.
    pub disabled: BTreeMap<String, Service>,
    /// Networks that a service uses, `default` included.
    pub networks: BTreeMap<String, Network>,
    /// Named volumes that a service uses.
    pub volumes: BTreeMap<String, Volume>,
    /// Secrets that a service uses.
    pub secrets: BTreeMap<String, FileObject>,
    /// Configs that a service uses.
    pub configs: BTreeMap<String, FileObject>,
    /// Models that a service uses.
    pub models: BTreeMap<String, Model>,
    /// Top-level `x-…` keys.
    pub extensions: BTreeMap<String, serde_json::Value>,
    /// What deserves a word without being an error, such as unset variables.
    pub warnings: Vec<Diagnostic>,
    /// Variables that are blank because nothing sets them: service → names.
    pub unset: BTreeMap<String, BTreeSet<String>>,
    /// Variables that are set, and that `${…}` of some file asked for, with what it got.
    pub used: BTreeMap<String, String>,
    /// What it was loaded with: a fragment is one more file of the same list.
    pub(super) options: LoadOptions,
    /// The fragments merged over it so far.
    pub(super) fragments: Vec<Fragment>,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name in the file.
    pub name: String,
    /// Where its key stands.
    pub span: Span,
    /// Profiles that select it; none means always.
    pub profiles: Vec<String>,

    /// The image; absent only where there is a `build`.
    pub image: Option<String>,
    /// Where the image is named.
    pub image_span: Option<Span>,
    /// How the image is built.
    pub build: Option<Build>,
    /// `pull_policy`.
    pub pull_policy: Option<String>,
    /// `pull_refresh_after`.
    pub pull_refresh_after: Option<String>,
    /// `platform`.
    pub platform: Option<String>,

    /// Replaces the image's command; an empty list clears it.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entrypoint; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Variables from `env_file` and `environment`; `None` is a bare name that nothing set: not passed on.
    pub environment: BTreeMap<String, Option<String>>,
    /// The env files that `environment` was made from.
    pub env_files: Vec<EnvFile>,
    /// Labels, those of `label_file` included.
    pub labels: BTreeMap<String, String>,
    /// The label files that `labels` was made from.
    pub label_files: Vec<PathBuf>,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `user`.
    pub user: Option<String>,
    /// `group_add`.
    pub group_add: Vec<String>,
    /// `working_dir`.
    pub working_dir: Option<String>,
    /// `init`.
    pub init: Option<bool>,
    /// `tty`.
    pub tty: bool,
    /// `stdin_open`.
    pub stdin_open: bool,
    /// `attach`.
    pub attach: Option<bool>,

    /// What happens when it exits.
    pub restart: Option<Restart>,
    /// The signal that asks it to stop.
    pub stop_signal: Option<String>,
    /// How long it may take to stop.
    pub stop_grace_period: Option<Duration>,
    /// What must be so before it starts, by service; one that is not `required` may be absent from the project.
    pub depends_on: BTreeMap<String, Dependency>,
    /// Replaces the image's health check.
    pub healthcheck: Option<Healthcheck>,
    /// Commands run in the container after its start.
    pub post_start: Vec<Hook>,
    /// Commands run in the container before it is stopped.
    pub pre_stop: Vec<Hook>,
    /// `scale`; see [`Service::replicas`].
    pub scale: Option<u32>,
    /// `deploy`.
    pub deploy: Option<Deploy>,

    /// `container_name`.
    pub container_name: Option<String>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `domainname`.
    pub domainname: Option<String>,
    /// `mac_address`.
    pub mac_address: Option<String>,
    /// Set where the service has no network of its own; `networks` is empty then.
    pub network_mode: Option<NetworkMode>,
    /// The networks it is on; `default` where nothing else is said.
    pub networks: BTreeMap<String, NetworkAttachment>,
    /// Published ports, ranges already taken apart.
    pub ports: Vec<Port>,
    /// `expose`, as written.
    pub expose: Vec<String>,
    /// `links`, as written.
    pub links: Vec<String>,
    /// `external_links`, as written.
    pub external_links: Vec<String>,
    /// Lines for `/etc/hosts`: name and addresses.
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// `dns`.
    pub dns: Vec<String>,
    /// `dns_opt`.
    pub dns_opt: Vec<String>,
    /// `dns_search`.
    pub dns_search: Vec<String>,

    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// `volumes_from`.
    pub volumes_from: Vec<VolumesFrom>,
    /// `tmpfs`, as written: a path and options.
    pub tmpfs: Vec<String>,
    /// Secrets mounted as files.
    pub secrets: Vec<FileMount>,
    /// Configs mounted as files.
    pub configs: Vec<FileMount>,
    /// `read_only`: the root file system.
    pub read_only: bool,
    /// `shm_size` in bytes.
    pub shm_size: Option<i64>,
    /// `storage_opt`.
    pub storage_opt: BTreeMap<String, String>,

    /// `privileged`.
    pub privileged: bool,
    /// `cap_add`.
    pub cap_add: Vec<String>,
    /// `cap_drop`.
    pub cap_drop: Vec<String>,
    /// `security_opt`.
    pub security_opt: Vec<String>,
    /// `sysctls`.
    pub sysctls: BTreeMap<String, String>,
    /// `ulimits`.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `devices`.
    pub devices: Vec<Device>,
    /// `device_cgroup_rules`.
    pub device_cgroup_rules: Vec<String>,
    /// `gpus`.
    pub gpus: Vec<DeviceRequest>,
    /// `pid`: the process namespace.
    pub pid: Option<String>,
    /// `ipc`: the IPC namespace.
    pub ipc: Option<String>,
    /// `uts`: the UTS namespace.
    pub uts: Option<String>,
    /// `userns_mode`.
    pub userns_mode: Option<String>,
    /// `cgroup`: the cgroup namespace.
    pub cgroup: Option<String>,
    /// `cgroup_parent`.
    pub cgroup_parent: Option<String>,
    /// `runtime`.
    pub runtime: Option<String>,
    /// `isolation`.
    pub isolation: Option<String>,
    /// `credential_spec`.
    pub credential_spec: Option<CredentialSpec>,
    /// `use_api_socket`.
    pub use_api_socket: bool,

    /// `cpus`, `mem_limit` and friends, as written; see [`Service::memory_limit`] and [`Service::cpu_limit`].
    pub limits: Limits,
    /// `blkio_config`.
    pub blkio: Option<Blkio>,
    /// `logging`.
    pub logging: Option<Logging>,
    /// `provider`: the service is not a container.
    pub provider: Option<Provider>,
    /// `models`.
    pub models: BTreeMap<String, ModelBinding>,
    /// `develop.watch`; `Some` where `develop` is written.
    pub develop: Option<Vec<Watch>>,
}

impl Service {
    /// How many containers: `scale`, else `deploy.replicas`, else one.
    pub fn replicas(&self) -> u32 {
        let deployed = self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.scale.or(deployed).unwrap_or(1)
    }

    /// The memory limit in bytes: `mem_limit`, else `deploy.resources.limits.memory`.
    pub fn memory_limit(&self) -> Option<i64> {
        self.limits.memory.or_else(|| self.deployed(|limits| limits.memory))
    }

    /// The memory reservation in bytes, likewise.
    pub fn memory_reservation(&self) -> Option<i64> {
        let deployed = || self.deploy.as_ref()?.reservations.as_ref()?.memory;
        self.limits.memory_reservation.or_else(deployed)
    }

    /// The CPU limit in CPUs: `cpus`, else `deploy.resources.limits.cpus`.
    pub fn cpu_limit(&self) -> Option<f64> {
        self.limits.cpus.or_else(|| self.deployed(|limits| limits.cpus))
    }

    /// The limit of processes: `pids_limit`, else `deploy.resources.limits.pids`.
    pub fn pids_limit(&self) -> Option<i64> {
        self.limits.pids.or_else(|| self.deployed(|limits| limits.pids))
    }

    fn deployed<T>(&self, pick: impl Fn(&Resources) -> Option<T>) -> Option<T> {
        pick(self.deploy.as_ref()?.limits.as_ref()?)
    }
}

/// `cpus`, `mem_limit` and friends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// `cpus`.
    pub cpus: Option<f64>,
    /// `cpuset`.
    pub cpuset: Option<String>,
    /// `cpu_count`.
    pub cpu_count: Option<i64>,
    /// `cpu_percent`.
    pub cpu_percent: Option<f64>,
    /// `cpu_period` in microseconds.
    pub cpu_period: Option<i64>,
    /// `cpu_quota` in microseconds.
    pub cpu_quota: Option<i64>,
    /// `cpu_rt_period` in microseconds.
    pub cpu_rt_period: Option<i64>,
    /// `cpu_rt_runtime` in microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// `cpu_shares`.
    pub cpu_shares: Option<i64>,
    /// `mem_limit` in bytes.
    pub memory: Option<i64>,
    /// `mem_reservation` in bytes.
    pub memory_reservation: Option<i64>,
    /// `memswap_limit` in bytes; -1 is without limit.
    pub memory_swap: Option<i64>,
    /// `mem_swappiness`, 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// `pids_limit`; -1 is without limit.
    pub pids: Option<i64>,
    /// `oom_kill_disable`.
    pub oom_kill_disable: bool,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i64>,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Build {
    /// An absolute directory, or a URL.
    pub context: String,
    pub dockerfile: Option<String>,
    pub dockerfile_inline: Option<String>,
    pub target: Option<String>,
    /// `None` is a bare name that nothing set.
    pub args: BTreeMap<String, Option<String>>,
    pub labels: BTreeMap<String, String>,
    pub additional_contexts: BTreeMap<String, String>,
    pub cache_from: Vec<String>,
    pub cache_to: Vec<String>,
    pub no_cache: bool,
    pub pull: bool,
    pub network: Option<String>,
    pub shm_size: Option<i64>,
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    pub isolation: Option<String>,
    pub privileged: bool,
    pub secrets: Vec<FileMount>,
    /// Identity and path; an empty path is the agent's.
    pub ssh: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub platforms: Vec<String>,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub entitlements: Vec<String>,
    pub provenance: Option<String>,
    pub sbom: Option<String>,
}

/// One entry of `env_file`.
#[derive(Debug, Clone)]
pub struct EnvFile {
    /// Absolute.
    pub path: PathBuf,
    /// How it is written.
    pub format: crate::yaml::env_file::Format,
    /// Whether it must be there.
    pub required: bool,
    /// Where it is named.
    pub span: Span,
}

/// What happens when a container exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Restart {
    No,
    Always,
    UnlessStopped,
    /// Only after a failure; with a limit or without.
    OnFailure(Option<u32>),
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Restart::No => f.write_str("no"),
            Restart::Always => f.write_str("always"),
            Restart::UnlessStopped => f.write_str("unless-stopped"),
            Restart::OnFailure(None) => f.write_str("on-failure"),
            Restart::OnFailure(Some(limit)) => write!(f, "on-failure:{limit}"),
        }
    }
}

/// One entry of `depends_on`.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// What must be so.
    pub condition: Condition,
    /// Whether this service is restarted when that one is.
    pub restart: bool,
    /// Whether that service must be there at all.
    pub required: bool,
    /// Where it is written.
    pub span: Span,
}

/// What must be so of another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[allow(missing_docs)]
pub enum Condition {
    #[strum(serialize = "service_started")]
    Started,
    #[strum(serialize = "service_healthy")]
    Healthy,
    #[strum(serialize = "service_completed_successfully")]
    CompletedSuccessfully,
}

impl Condition {
    /// Compose's word for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// `healthcheck`; what is `None` is the image's.
#[derive(Debug, Clone)]
pub struct Healthcheck {
    /// `CMD` and arguments, `CMD-SHELL` and a line, or `NONE`.
    pub test: Option<Vec<String>>,
    /// Time between checks.
    pub interval: Option<Duration>,
    /// Limit of one check.
    pub timeout: Option<Duration>,
    /// Failures that make it unhealthy.
    pub retries: Option<u64>,
    /// Time in which failures do not count.
    pub start_period: Option<Duration>,
    /// Time between checks during the start period.
    pub start_interval: Option<Duration>,
    /// Switches the image's check off.
    pub disable: bool,
    /// Where it is written.
    pub span: Span,
}

/// One command of `post_start` or `pre_stop`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Hook {
    pub command: Vec<String>,
    pub user: Option<String>,
    pub privileged: bool,
    pub working_dir: Option<String>,
    pub environment: BTreeMap<String, Option<String>>,
}

/// `network_mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// No network.
    None,
    /// The host's.
    Host,
    /// That of another service.
    Service(String),
    /// That of a container outside the project.
    Container(String),
    /// Anything else, such as `bridge`.
    Other(String),
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkMode::None => f.write_str("none"),
            NetworkMode::Host => f.write_str("host"),
            NetworkMode::Service(name) => write!(f, "service:{name}"),
            NetworkMode::Container(name) => write!(f, "container:{name}"),
            NetworkMode::Other(name) => f.write_str(name),
        }
    }
}

/// A service on a network.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct NetworkAttachment {
    pub aliases: Vec<String>,
    pub ipv4_address: Option<String>,
    pub ipv6_address: Option<String>,
    pub link_local_ips: Vec<String>,
    pub mac_address: Option<String>,
    pub interface_name: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    /// The order in which networks are joined, highest first.
    pub priority: i64,
    /// Which network gives the default gateway, highest first.
    pub gw_priority: i64,
    /// Whether anything but the name was written.
    pub detailed: bool,
    pub span: Span,
}

/// One published port.
#[derive(Debug, Clone)]
pub struct Port {
    /// `name`.
    pub name: Option<String>,
    /// The container's port.
    pub target: u16,
    /// The host's port or range; `None` lets the engine choose.
    pub published: Option<String>,
    /// The host's address.
    pub host_ip: Option<String>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `app_protocol`.
    pub app_protocol: Option<String>,
    /// `ingress` or `host`.
    pub mode: String,
    /// Where it is written.
    pub span: Span,
}

/// One mount.
#[derive(Debug, Clone)]
pub struct Mount {
    /// What kind of thing is mounted.
    pub kind: MountKind,
    /// A volume's name, an absolute path, an image; `None` is an anonymous volume or a tmpfs.
    pub source: Option<String>,
    /// Where, inside the container.
    pub target: String,
    /// Whether the container may not write.
    pub read_only: bool,
    /// `consistency`.
    pub consistency: Option<String>,
    /// Options of a bind mount.
    pub bind: Option<BindOptions>,
    /// Options of a volume.
    pub volume: Option<VolumeOptions>,
    /// Options of a tmpfs.
    pub tmpfs: Option<TmpfsOptions>,
    /// Options of an image mount.
    pub image: Option<ImageOptions>,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs)]
pub enum MountKind {
    Bind,
    Volume,
    Tmpfs,
    Image,
    #[strum(serialize = "npipe")]
    NamedPipe,
    Cluster,
}

impl MountKind {
    /// Compose's word for it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Options of a bind mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BindOptions {
    pub propagation: Option<String>,
    /// Whether a missing source becomes an empty directory. Without any options it does too.
    pub create_host_path: bool,
    pub recursive: Option<String>,
    pub selinux: Option<String>,
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct VolumeOptions {
    /// Whether the image's content at that place is not copied into an empty volume.
    pub nocopy: bool,
    pub subpath: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TmpfsOptions {
    pub size: Option<i64>,
    pub mode: Option<u32>,
}

/// Options of an image mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ImageOptions {
    pub subpath: Option<String>,
}

/// One entry of `volumes_from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// Whether `name` is a container outside the project and not a service.
    pub container: bool,
    /// The service or container.
    pub name: String,
    /// `ro` or `rw`, where written.
    pub mode: Option<String>,
}

impl fmt::Display for VolumesFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.container { "container:" } else { "" };
        write!(f, "{prefix}{}", self.name)?;
        self.mode.iter().try_for_each(|mode| write!(f, ":{mode}"))
    }
}

/// A secret or config as a service sees it.
#[derive(Debug, Clone)]
pub struct FileMount {
    /// The key under `secrets` or `configs`.
    pub source: String,
    /// Where, inside the container; `None` is the default place (`/NAME` for a config).
    pub target: Option<String>,
    /// Owner.
    pub uid: Option<String>,
    /// Group.
    pub gid: Option<String>,
    /// Permissions.
    pub mode: Option<u32>,
    /// Where it is written.
    pub span: Span,
}

impl PartialEq for FileMount {
    fn eq(&self, other: &Self) -> bool {
        let key = |mount: &Self| (mount.source.clone(), mount.target.clone(), mount.mode);
        key(self) == key(other) && self.uid == other.uid && self.gid == other.gid
    }
}

/// A limit of `ulimits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ulimit {
    /// One number for both.
    Both(i64),
    /// Two numbers.
    Range {
        /// What the process starts with.
        soft: i64,
        /// What it may raise it to.
        hard: i64,
    },
}

impl Ulimit {
    /// The soft and the hard limit.
    pub fn soft_hard(self) -> (i64, i64) {
        match self {
            Ulimit::Both(limit) => (limit, limit),
            Ulimit::Range { soft, hard } => (soft, hard),
        }
    }
}

/// One entry of `devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Device {
    pub source: String,
    pub target: String,
    /// Some of `r`, `w`, `m`; empty where the long form says nothing.
    pub permissions: String,
}

/// One entry of `gpus` or of reserved `devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DeviceRequest {
    pub capabilities: Vec<String>,
    pub driver: Option<String>,
    /// -1 is all.
    pub count: Option<i64>,
    pub device_ids: Vec<String>,
    pub options: BTreeMap<String, String>,
}

/// `credential_spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CredentialSpec {
    pub config: Option<String>,
    pub file: Option<String>,
    pub registry: Option<String>,
}

/// `blkio_config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Blkio {
    pub weight: Option<u16>,
    /// Device path and weight.
    pub weight_device: Vec<(String, u16)>,
    /// Device path and rate, in bytes or operations per second.
    pub device_read_bps: Vec<(String, i64)>,
    pub device_read_iops: Vec<(String, i64)>,
    pub device_write_bps: Vec<(String, i64)>,
    pub device_write_iops: Vec<(String, i64)>,
}

/// `logging`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Logging {
    pub driver: Option<String>,
    pub options: BTreeMap<String, String>,
}

/// `deploy`.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Deploy {
    pub mode: Option<String>,
    pub endpoint_mode: Option<String>,
    pub replicas: Option<u32>,
    pub labels: BTreeMap<String, String>,
    pub limits: Option<Resources>,
    pub reservations: Option<Resources>,
    pub restart_policy: Option<RestartPolicy>,
    pub update_config: Option<UpdateConfig>,
    pub rollback_config: Option<UpdateConfig>,
    pub placement: Placement,
}

/// `deploy.resources.limits` or `.reservations`.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Resources {
    pub cpus: Option<f64>,
    pub memory: Option<i64>,
    pub pids: Option<i64>,
    pub devices: Vec<DeviceRequest>,
    /// Kind and amount.
    pub generic: Vec<(String, i64)>,
}

/// `deploy.restart_policy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RestartPolicy {
    pub condition: Option<String>,
    pub delay: Option<Duration>,
    pub max_attempts: Option<u64>,
    pub window: Option<Duration>,
}

/// `deploy.update_config` or `.rollback_config`.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct UpdateConfig {
    pub parallelism: Option<u64>,
    pub delay: Option<Duration>,
    pub failure_action: Option<String>,
    pub monitor: Option<Duration>,
    pub max_failure_ratio: Option<f64>,
    pub order: Option<String>,
}

/// `deploy.placement`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Placement {
    pub constraints: Vec<String>,
    /// The `spread` of each preference.
    pub preferences: Vec<String>,
    pub max_replicas_per_node: Option<u64>,
}

/// `provider`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Provider {
    pub kind: String,
    pub options: BTreeMap<String, Vec<String>>,
}

/// How a service is told about a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ModelBinding {
    pub endpoint_var: Option<String>,
    pub model_var: Option<String>,
    /// Whether anything but the name was written.
    pub detailed: bool,
}

/// One entry of `develop.watch`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Watch {
    pub path: String,
    pub action: String,
    pub target: Option<String>,
    pub exec: Option<Hook>,
    pub include: Vec<String>,
    pub ignore: Vec<String>,
    pub initial_sync: bool,
}

/// A network of the project.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Network {
    /// The name the engine knows it by.
    pub name: String,
    /// Not created by this project: it must be there.
    pub external: bool,
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub internal: bool,
    pub attachable: bool,
    pub enable_ipv4: Option<bool>,
    pub enable_ipv6: Option<bool>,
    pub labels: BTreeMap<String, String>,
    pub ipam: Ipam,
    /// Where its key stands; `None` is the `default` network that nobody wrote.
    pub span: Option<Span>,
}

/// `ipam` of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ipam {
    pub driver: Option<String>,
    pub pools: Vec<IpamPool>,
    pub options: BTreeMap<String, String>,
}

/// One address pool of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct IpamPool {
    pub subnet: Option<String>,
    pub gateway: Option<String>,
    pub ip_range: Option<String>,
    pub aux_addresses: BTreeMap<String, String>,
}

/// A named volume of the project.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Volume {
    /// The name the engine knows it by.
    pub name: String,
    /// Not created by this project: it must be there.
    pub external: bool,
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub span: Span,
}

/// A secret or a config of the project.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct FileObject {
    pub name: String,
    pub source: FileSource,
    pub labels: BTreeMap<String, String>,
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub template_driver: Option<String>,
    pub span: Span,
}

/// Where the content of a secret or config comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// An absolute path.
    File(PathBuf),
    /// A variable of the environment, with its value where it is set.
    Environment {
        /// The variable's name.
        variable: String,
        /// Its value.
        value: Option<String>,
    },
    /// Written in the file itself.
    Content(String),
    /// Not created by this project: the platform has it.
    External,
}

/// One entry of the top-level `models`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Model {
    /// Its name outside the project, where one is written.
    pub name: Option<String>,
    pub model: String,
    pub context_size: Option<i64>,
    pub runtime_flags: Vec<String>,
    pub span: Span,
}
