//! The mirror's own words for what it is made of. Readers of production's files (Compose today) translate into
//! these; nothing below knows where they came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::replica::{Replica, Replicas};

/// Production, as far as it can be mirrored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// Name → service.
    pub services: BTreeMap<String, Service>,
    /// Name → network.
    pub networks: BTreeMap<String, Network>,
    /// Named volumes that services mount.
    pub volumes: Vec<String>,
    /// What production has and the mirror has not, one sentence each.
    pub unmirrored: Vec<String>,
    /// Services that are given the engine's socket in production: what they start there is no part of the mirror.
    pub engine_sockets: BTreeSet<String>,
}

impl World {
    /// Services in an order in which each stands after those it depends on. Cycles cannot be: the reader refuses them.
    pub fn in_dependency_order(&self) -> Vec<&str> {
        let mut order = Vec::new();
        for name in self.services.keys() {
            self.visit(name, &mut order);
        }
        order
    }

    /// Whether a service that this world has comes with another recipe for its image.
    pub fn is_built_anew_by(&self, new: &Service) -> bool {
        let own = self.services.get(&new.name);
        new.build.is_some() && own.is_some_and(|own| !own.is_built_as(new))
    }

    /// These services, and all that must be there before them.
    pub fn with_needs<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let (mut all, mut open) = (BTreeSet::new(), names.into_iter().collect::<Vec<_>>());
        while let Some(name) = open.pop() {
            if let Some(service) = self.services.get(name).filter(|_| all.insert(name)) {
                open.extend(service.needs());
            }
        }
        all
    }

    /// Adds networks, and to those that are there what else is fixed in them.
    pub fn add_networks(&mut self, others: BTreeMap<String, Network>) {
        for (name, other) in others {
            let network = self.networks.entry(name).or_default();
            network.ipv6 |= other.ipv6;
            network.places.extend(other.places);
            network.places6.extend(other.places6);
        }
    }

    fn visit<'a>(&'a self, name: &'a str, order: &mut Vec<&'a str>) {
        if order.contains(&name) {
            return;
        }
        if let Some(service) = self.services.get(name) {
            for dependency in service.depends_on.iter().filter(|other| other.service != name) {
                self.visit(&dependency.service, order);
            }
            order.push(name);
        }
    }
}

/// A network, closed to the outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    /// Carries IPv6 too.
    pub ipv6: bool,
    /// Places in it that are fixed for somebody: host parts of IPv4 addresses.
    pub places: BTreeSet<u32>,
    /// The same for IPv6: the last 64 bits.
    pub places6: BTreeSet<u64>,
}

/// How a service is in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Names borne there.
    pub aliases: Vec<String>,
    /// Its place where its IPv4 address is fixed: the host part.
    pub place: Option<u32>,
    /// The same for IPv6: the last 64 bits.
    pub place6: Option<u64>,
    /// Names that only this service knows others by: `name:alias`.
    pub links: Vec<String>,
}

impl Attachment {
    /// One that bears these names and takes any address.
    pub fn named(aliases: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            aliases: aliases.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// One service: a container of the mirror, or several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Name, and the name others know it by.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// How to get the image where it is built and not pulled.
    pub build: Option<Build>,
    /// When the image is pulled, or built.
    pub pull_policy: PullPolicy,
    /// How many containers stand for it.
    pub replicas: Replicas,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// `None` = the variable is taken out of what the image sets.
    pub env: BTreeMap<String, Option<String>>,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// User and group.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Domain name.
    pub domainname: Option<String>,
    /// Networks and how it is there; empty with `shares_network`.
    pub networks: BTreeMap<String, Attachment>,
    /// Lives in this service's network namespace.
    pub shares_network: Option<String>,
    /// No network at all.
    pub no_network: bool,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Services whose mounts it has too.
    pub volumes_from: Vec<VolumesFrom>,
    /// Files put into the container before it starts.
    pub files: Vec<FileInside>,
    /// Health check; `None` = the image's own.
    pub health: Option<Health>,
    /// What must be true before it starts.
    pub depends_on: Vec<Dependency>,
    /// What the engine does when it exits.
    pub restart: Restart,
    /// Signal that asks it to stop.
    pub stop_signal: Option<String>,
    /// Killed when it has not stopped by then; default 10 s.
    pub stop_grace: Option<Duration>,
    /// Ports it says it listens on, TCP.
    pub ports: Vec<u16>,
    /// The same for UDP.
    pub datagram_ports: Vec<u16>,
    /// Those of them that production publishes.
    pub published: Vec<u16>,
    /// By which port of production's machine: outside, inside.
    pub outside: Vec<(u16, u16)>,
    /// Commands run in it when it has started; until they have ended well it has not come up.
    pub post_start: Vec<Hook>,
    /// Commands run in it before it is asked to stop.
    pub pre_stop: Vec<Hook>,
    /// Limits and rights.
    pub limits: Limits,
}

impl Service {
    /// The services that must be there before it.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let depends = self.depends_on.iter().map(|need| need.service.as_str());
        let lenders = self.volumes_from.iter().map(|lender| lender.service.as_str());
        let modes = [&self.limits.ipc, &self.limits.pid].into_iter().flatten();
        let shared = modes.filter_map(|mode| mode.strip_prefix("service:"));
        depends
            .chain(lenders)
            .chain(shared)
            .chain(self.shares_network.as_deref())
    }

    /// Whether it mounts a named volume.
    pub fn mounts_volume(&self, name: &str) -> bool {
        let mut mounts = self.mounts.iter();
        mounts.any(|mount| matches!(&mount.source, Source::Volume(volume) if volume == name))
    }

    /// Every name that others know it by, in whatever network.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let aliases = self.networks.values().flat_map(|attachment| &attachment.aliases);
        aliases.chain(&self.hostname).chain([&self.name])
    }

    /// Whether `docker compose up -d` with `new` leaves a container of this one in place: what says only when a service is
    /// started and when its image is had changes no container (Compose's hash of a service leaves it out, too).
    pub fn stays_for(&self, new: &Self) -> bool {
        let container = |service: &Self| Self {
            build: None,
            depends_on: Vec::new(),
            pull_policy: PullPolicy::default(),
            replicas: Replicas::default(),
            ..service.clone()
        };
        self.is_built_as(new) && container(self) == container(new)
    }

    /// The containers that stand for it in the mirror.
    pub fn instances(&self) -> impl Iterator<Item = Replica> + '_ {
        Replica::all(&self.name, self.replicas)
    }

    /// Whether both are built by the same recipe, or neither is built.
    pub fn is_built_as(&self, new: &Self) -> bool {
        match (&self.build, &new.build) {
            (Some(own), Some(new)) => own.makes_the_same_as(new),
            (own, new) => own.is_none() && new.is_none(),
        }
    }
}

/// When an image is pulled, or built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Where the engine has it not.
    #[default]
    Missing,
    /// Before every run.
    Always,
    /// Not at all.
    Never,
    /// Where the engine's is older than this.
    Older(Duration),
    /// Not at all: it is built for every run.
    Build,
}

/// A command that is run in a service's container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// The command's words.
    pub command: Vec<String>,
    /// Who runs it; the container's user where nothing is said.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Further variables, each `NAME=VALUE`.
    pub env: Vec<String>,
}

/// A service has the mounts of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// The other service.
    pub service: String,
    /// It cannot write there.
    pub read_only: bool,
}

/// How an image is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// Folder on this machine.
    pub context: PathBuf,
    /// Relative to the context, or absolute.
    pub dockerfile: Option<String>,
    /// The Dockerfile itself, inline.
    pub dockerfile_inline: Option<String>,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// No step is taken from an earlier build.
    pub no_cache: bool,
    /// Images that it begins with are pulled anew.
    pub pull: bool,
    /// Network of its steps: `host`, `none` or what the engine chooses.
    pub network: Option<String>,
    /// What its steps may do beyond the usual, in BuildKit's words.
    pub entitlements: Vec<String>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    /// Names and addresses that its steps find in /etc/hosts.
    pub extra_hosts: Vec<(String, String)>,
    /// What it is built for, such as `linux/arm64`, where its service says nothing of that.
    pub platform: Option<String>,
    /// Further contexts, by the name that the recipe has for them.
    pub contexts: BTreeMap<String, BuildContext>,
    /// What its steps may see and no layer keeps, by the id that the recipe has for it.
    pub secrets: BTreeMap<String, BuildSecret>,
    /// Sockets of SSH agents that its steps may ask, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Where it is written; empty where that is `rehearsal.yaml`.
    pub place: String,
    /// Why no builder of ours can build it: what it asks for, where that is written, the way out.
    pub refusal: Option<String>,
}

impl Build {
    /// Whether both make the same image: where it is written is no part of a recipe.
    pub fn makes_the_same_as(&self, other: &Self) -> bool {
        let plain = |build: &Self| Self {
            place: String::new(),
            refusal: None,
            ..build.clone()
        };
        plain(self) == plain(other)
    }

    /// The way out where an image cannot be built here.
    pub const BEFORE: &str = "build the image before (`docker buildx build --load`, or `docker compose build`) under the \
                              name that `image:` gives it";

    /// The entitlement to the network of the engine's machine.
    pub const HOSTS_NETWORK: &str = "network.host";

    /// What only BuildKit can do, by the key that asks for it.
    pub fn needs_kit(&self) -> Vec<&'static str> {
        let keys = [
            ("build.additional_contexts", !self.contexts.is_empty()),
            ("build.entitlements", !self.entitlements.is_empty()),
            ("build.secrets", !self.secrets.is_empty()),
            ("build.ssh", !self.ssh.is_empty()),
            ("more than one of `build.extra_hosts`", self.extra_hosts.len() > 1),
        ];
        keys.into_iter().filter(|(_, used)| *used).map(|(key, _)| key).collect()
    }
}

/// A further context of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildContext {
    /// A folder on this machine.
    Folder(PathBuf),
    /// The image that another service's recipe makes, or that it runs.
    Service(String),
    /// An image, by its reference.
    Image(String),
    /// What only BuildKit reads: a repository, a URL.
    Other(String),
}

/// Where a secret of a build comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum BuildSecret {
    /// A file on this machine, read when the build begins.
    File(PathBuf),
    /// It is known already.
    Text(String),
    /// It cannot be had: why, and the way out.
    Missing(String),
}

impl BuildSecret {
    /// The secret itself.
    ///
    /// # Errors
    /// It is not there: the doing of whoever names it.
    pub fn read(&self, id: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Missing(why) => Err(why.clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| {
                let path = path.display();
                format!("secret `{id}` of a build: `{path}` could not be read: {error}")
            }),
        }
    }
}

impl std::fmt::Debug for BuildSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text"),
            Self::Missing(why) => f.debug_tuple("Missing").field(why).finish(),
        }
    }
}

/// One mount.
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: String,
    /// What is there.
    pub source: Source,
    /// Cannot be written.
    pub read_only: bool,
    /// What more is said where it shows a volume.
    pub volume: VolumeOptions,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A named volume of the world.
    Volume(String),
    /// A volume of this service alone, kept across a swap.
    Anonymous,
    /// The volume that is another service's alone.
    AnonymousOf(String),
    /// A folder of this machine, or a file in one.
    Host(HostPath),
    /// Memory.
    Memory(Memory),
}

/// How memory is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// As a mount among the others.
    Mount {
        /// Bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
    },
    /// With options in the kernel's own words, such as `exec,uid=999`.
    Options(String),
}

/// What more is said of a volume where it is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Only this folder of it is seen.
    pub subpath: Option<String>,
    /// What the image has there is not copied into it.
    pub no_copy: bool,
}

/// A place in this machine's file system. The mirror works on a copy, so that no release writes into the user's tree; one
/// copy of what several mounts show, as production's host has it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPath {
    /// The topmost folder of which there is a copy, or the file that lies in none of them.
    pub root: PathBuf,
    /// What is mounted of that copy; empty = all.
    pub below: PathBuf,
}

/// A file of this machine that production mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundFile {
    /// Where it is, links resolved.
    pub path: PathBuf,
    /// Cannot be written.
    pub read_only: bool,
}

/// A file inside a container.
#[derive(Debug, Clone, PartialEq)]
pub struct FileInside {
    /// Absolute path in the container.
    pub target: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Where it came from on this machine.
    pub origin: Option<PathBuf>,
    /// It is mounted in production, and no secret or config: others may see what is written to it.
    pub bound: Option<BoundFile>,
}

/// A health check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`; empty = the image's.
    pub test: Vec<String>,
    /// Between checks.
    pub interval: Option<Duration>,
    /// One check's limit.
    pub timeout: Option<Duration>,
    /// Failures in a row until unhealthy.
    pub retries: Option<u64>,
    /// Failures do not count for this long.
    pub start_period: Option<Duration>,
    /// Between checks during the start period.
    pub start_interval: Option<Duration>,
}

/// What must be true of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The other service.
    pub service: String,
    /// What must be true.
    pub condition: Condition,
    /// Restarted with it.
    pub restart: bool,
    /// Its absence or failure is no hindrance.
    pub optional: bool,
}

/// What must be true of a service before another starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It has been started.
    Started,
    /// Its health check passes.
    Healthy,
    /// It has run and ended with 0.
    Completed,
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        })
    }
}

/// What the engine does when a container exits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    #[default]
    No,
    /// Starts it again, always.
    Always,
    /// Starts it again unless somebody stopped it.
    UnlessStopped,
    /// Starts it again after a failure, at most this often.
    OnFailure(Option<u64>),
}

/// Limits and rights of a container, in the engine's units.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes, memory and swap together; -1 = unlimited.
    pub memory_swap: Option<i64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<i64>,
    /// e.g. `0-1`.
    pub cpuset: Option<String>,
    /// Processes.
    pub pids: Option<i64>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    /// Name, soft, hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// Security options.
    pub security_opt: Vec<String>,
    /// Further groups.
    pub group_add: Vec<String>,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// All rights.
    pub privileged: bool,
    /// The engine's own init as process 1.
    pub init: Option<bool>,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// DNS options.
    pub dns_options: Vec<String>,
    /// `host`, `private`, `service:NAME` resolved by the reader, `shareable` …
    pub ipc: Option<String>,
    /// Process namespace.
    pub pid: Option<String>,
    /// How readily memory is swapped out, 0 to 100.
    pub swappiness: Option<i64>,
    /// Adjusts what the kernel kills first.
    pub oom_score_adj: Option<i64>,
    /// Never killed for memory.
    pub oom_kill_disable: Option<bool>,
    /// Runtime of the engine.
    pub runtime: Option<String>,
    /// `os/arch`.
    pub platform: Option<String>,
}
