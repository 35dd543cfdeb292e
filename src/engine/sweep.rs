//! Taking down: everything that bears a run's label, and what dead runs left behind.
//!
//! A run is alive while its process holds the lock of its file; a run of another machine is alive until its deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bollard::models::{ContainerSummary, EndpointResource, ImageSummary, NetworkDisconnectRequest, Volume};
use bollard::query_parameters as query;
use futures_util::future::join_all;
use rustix::fs::{FlockOperation, flock};

use super::Engine;
use super::labels::{LABEL_DEADLINE, LABEL_HOST, LABEL_KEPT, LABEL_LOCK, LABEL_RUN};
use crate::engine::words::{engine_words, gone};

/// Sweeps that find nothing, in a row, until a run counts as gone: a call under way may still make something.
const CLEAN_SWEEPS: u32 = 2;
/// Sweeps that find nothing but networks that seem miscounted, in a row, until they count as that: an engine says the same
/// for a moment where somebody is on the way out.
const MISCOUNTED_SWEEPS: u32 = 12;
/// Sweeps at most.
const MOST_SWEEPS: u32 = 40;

/// The proof that this run is alive. Dropping it (or dying) ends that.
#[derive(Debug)]
pub struct Alive {
    _file: File,
    path: PathBuf,
}

impl Alive {
    /// Takes the lock of a run's file below `folder`.
    ///
    /// # Errors
    /// The folder cannot be written: the machine's doing.
    pub fn begin(folder: &Path, run: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("`{}` could not be made", folder.display()))?;
        let path = lock_file(folder, run);
        loop {
            let file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .with_context(|| format!("`{}` could not be opened", path.display()))?;
            flock(&file, FlockOperation::LockExclusive)
                .map_err(|error| anyhow!("`{}` could not be locked: {error}", path.display()))?;
            // A sweep that looked at it in between has taken it for a dead run's.
            if is_still_at(&file, &path) {
                return Ok(Self { _file: file, path });
            }
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // A file that stays is harmless: nobody holds its lock.
        let _removed = std::fs::remove_file(&self.path);
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    let place = |found: std::io::Result<Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
    let there = place(std::fs::metadata(path));
    there.is_some() && there == place(file.metadata())
}

/// The file by whose lock a run is known to be alive.
pub fn lock_file(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}.run"))
}

/// Which machine, boot and mount namespace this process lives in: only there do lock files tell the truth.
pub fn this_host() -> String {
    use sha2::Digest as _;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/mnt")
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default();
    let hash = sha2::Sha256::digest(format!("{}{space}", boot.trim()));
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A run that has something on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its id.
    pub run: String,
    /// Whether it may be removed.
    pub liveness: Liveness,
    /// The configuration that it was of, where it was asked to stay.
    pub kept_for: Option<String>,
    /// Until when it may live, seconds since 1970; 0 = nobody said.
    pub deadline: u64,
    /// When the first of it was made, seconds since 1970, where the engine says so.
    pub since: Option<u64>,
    /// What it has there.
    pub objects: Vec<Object>,
}

/// Whether what a run has on the engine is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Its process is at work, as far as can be told.
    Alive,
    /// It was asked to stay, and its time is not over.
    Kept,
    /// Nobody wants it.
    Dead,
}

/// Something on the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

/// What an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        })
    }
}

/// Every run that has something on the engine.
///
/// # Errors
/// The engine does not answer.
pub async fn leftovers(engine: &Engine) -> Result<Vec<Leftover>> {
    let found = all_labelled(engine, LABEL_RUN).await?;
    Ok(by_run(found, &this_host(), now()))
}

/// What bears a run's name alone says nothing of it: somebody has put it there by hand.
fn by_run(mut found: Vec<Found>, host: &str, now: u64) -> Vec<Leftover> {
    found.sort_by_key(|found| !found.labels.contains_key(LABEL_DEADLINE));
    let mut runs: BTreeMap<String, Leftover> = BTreeMap::new();
    for Found { object, since, labels } in found {
        let Some(run) = labels.get(LABEL_RUN).cloned() else {
            continue;
        };
        let left = runs
            .entry(run.clone())
            .or_insert_with(|| of_labels(run, &labels, host, now));
        left.since = [left.since, since].into_iter().flatten().min();
        left.objects.push(object);
    }
    let mut all: Vec<Leftover> = runs.into_values().collect();
    all.iter_mut().for_each(|left| left.objects.sort());
    all
}

fn of_labels(run: String, labels: &HashMap<String, String>, host: &str, now: u64) -> Leftover {
    let deadline = labels
        .get(LABEL_DEADLINE)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let here = labels.get(LABEL_HOST).is_some_and(|other| other == host);
    let lock = labels.get(LABEL_LOCK).filter(|_| here);
    let locked = lock.and_then(|path| is_locked(Path::new(path)));
    let kept_for = labels.get(LABEL_KEPT).cloned();
    let liveness = match locked {
        Some(true) => Liveness::Alive,
        _ if now >= deadline => Liveness::Dead,
        _ if kept_for.is_some() => Liveness::Kept,
        Some(false) => Liveness::Dead,
        None => Liveness::Alive,
    };
    Leftover {
        run,
        liveness,
        kept_for,
        deadline,
        since: None,
        objects: Vec::new(),
    }
}

fn now() -> u64 {
    u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default()
}

/// Lock files of runs of which no process holds the lock any more.
pub fn dead_lock_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "run") && is_locked(path) == Some(false))
        .collect();
    files.sort();
    files
}

/// Removes those files, and the folders of the same name beside them; what could not be removed is returned.
pub fn remove_lock_files(folder: &Path) -> Vec<PathBuf> {
    let remove = |path: &PathBuf| {
        let Ok(file) = File::open(path) else { return };
        // Whoever is about to lock it waits for this lock, and then sees that the file has gone.
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            // What the dead run kept there; most have nothing.
            let _none = std::fs::remove_dir_all(path.with_extension(""));
            let _found_again_where_it_stays = std::fs::remove_file(path);
        }
    };
    dead_lock_files(folder).iter().for_each(remove);
    dead_lock_files(folder)
}

/// Whether a process of this machine holds the file; `None` where that cannot be told, as with other users' files.
fn is_locked(path: &Path) -> Option<bool> {
    match File::open(path) {
        Ok(file) => Some(flock(&file, FlockOperation::NonBlockingLockShared).is_err()),
        Err(error) => (error.kind() == std::io::ErrorKind::NotFound).then_some(false),
    }
}

/// Networks that an engine keeps though nothing is in them. Where many containers join or leave one at once, Docker's
/// engines before 28.1 can lose count (moby issues 17217, 42119, 43286), and only a restart of the engine lets such a
/// network go. It holds nothing and leads nowhere, so that it is told, and stands in nobody's way.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Miscounted(Vec<String>);

impl Miscounted {
    /// What is to be told of them, if there are any.
    pub fn words(&self) -> Option<String> {
        let names: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!(
                "empty network {names} stays: the engine has lost count of who is in it, and lets it go after a restart \
                 of its own"
            )
        })
    }
}

/// What became of what dead runs had left.
#[derive(Debug, Default)]
pub struct Swept {
    /// How many runs something was removed of.
    pub runs: usize,
    /// What the engine keeps.
    pub miscounted: Miscounted,
}

/// Removes what dead runs left behind.
///
/// # Errors
/// The engine refused.
pub async fn sweep_dead(engine: &Engine) -> Result<Swept> {
    let dead = leftovers(engine)
        .await?
        .into_iter()
        .filter(|left| left.liveness == Liveness::Dead);
    let mut swept = Swept::default();
    for left in dead {
        let Miscounted(kept) = remove_run(engine, &left.run).await?;
        swept.runs += usize::from(kept.len() < left.objects.len());
        swept.miscounted.0.extend(kept);
    }
    Ok(swept)
}

/// Removes every container, network, volume and image of a run; returns once nothing of it is left that the engine lets go.
///
/// # Errors
/// Something could not be removed: the message names it.
pub async fn remove_run(engine: &Engine, run: &str) -> Result<Miscounted> {
    let label = format!("{LABEL_RUN}={run}");
    let mut clean = 0;
    let mut last = Vec::new();
    for _ in 0..MOST_SWEEPS {
        let Sweep {
            found,
            errors,
            miscounted,
        } = remove_labelled(engine, &label).await?;
        clean = if found == 0 { clean + 1 } else { 0 };
        let enough = match miscounted.0.is_empty() {
            true => CLEAN_SWEEPS,
            false => MISCOUNTED_SWEEPS,
        };
        if clean >= enough {
            return Ok(miscounted);
        }
        if !errors.is_empty() || found == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        last = errors;
    }
    bail!(
        "not everything of run `{run}` could be removed: {}; try `rehearsal down --all`",
        last.join("; ")
    )
}

/// One sweep of a run: how much was found. What could not be removed is found again by the next, but for what the engine
/// keeps.
///
/// # Errors
/// The engine does not answer.
pub async fn sweep_once(engine: &Engine, run: &str) -> Result<usize> {
    Ok(remove_labelled(engine, &format!("{LABEL_RUN}={run}")).await?.found)
}

/// What one sweep came to.
struct Sweep {
    /// How much there was, but for what is miscounted.
    found: usize,
    /// What could not be removed.
    errors: Vec<String>,
    /// What seems to be.
    miscounted: Miscounted,
}

async fn remove_labelled(engine: &Engine, label: &str) -> Result<Sweep> {
    let docker = engine.docker();
    let containers = containers(engine, label).await?;
    let mut errors = each(containers.iter(), |id| async move {
        // Whoever was killed may have left a start under way, of which an engine that is told to remove knows nothing yet.
        // Docker 20.10 answers this question only when the start is over, and then there is something to stop first.
        let _settled = engine.inspect(id).await;
        engine.remove_container(id).await
    })
    .await;
    let filters = filter(label);
    let networks = docker
        .list_networks(Some(query::ListNetworksOptions {
            filters: filters.clone(),
        }))
        .await?;
    let networks: Vec<String> = networks.into_iter().filter_map(|network| network.name).collect();
    let volumes = docker
        .list_volumes(Some(query::ListVolumesOptions {
            filters: filters.clone(),
        }))
        .await?;
    let volumes: Vec<String> = volumes
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| volume.name)
        .collect();
    let images = docker
        .list_images(Some(query::ListImagesOptions {
            // The builder's own steps between the recipe's last and the finished image bear the labels, too.
            all: true,
            filters,
            ..Default::default()
        }))
        .await?;
    let images = children_first(images.into_iter().map(|image| (image.id, image.parent_id)).collect());
    let (networks_left, volumes_left, images_left) = tokio::join!(
        join_all(networks.iter().map(|name| remove_network(docker, name))),
        each(
            volumes.iter(),
            |name| async move { gone(remove_volume(docker, name).await) }
        ),
        remove_images(docker, &images),
    );
    errors.extend(volumes_left.into_iter().chain(images_left));
    let mut miscounted = Miscounted::default();
    for (name, left) in networks.iter().zip(networks_left) {
        match left {
            Ok(Letting::Go) => {}
            Ok(Letting::Miscounted) => miscounted.0.push(name.clone()),
            Err(error) => errors.push(format!("{error:#}")),
        }
    }
    let networks = networks.len() - miscounted.0.len();
    Ok(Sweep {
        found: containers.len() + networks + volumes.len() + images.len(),
        errors,
        miscounted,
    })
}

/// What an engine does with a network that is to go.
enum Letting {
    /// It lets it go.
    Go,
    /// It keeps it for somebody who is not there.
    Miscounted,
}

/// Removes a network, also one that something else is in: what somebody let in by hand, or what the engine forgot to
/// take out. That is taken out by force.
async fn remove_network(docker: &bollard::Docker, network: &str) -> Result<Letting> {
    let Err(refused) = gone(docker.remove_network(network).await) else {
        return Ok(Letting::Go);
    };
    let inside = ends_in(docker, network).await?;
    if inside.is_empty() && refused.to_string().contains("has active endpoints") {
        return Ok(Letting::Miscounted);
    }
    for container in inside {
        let request = NetworkDisconnectRequest {
            container,
            force: Some(true),
        };
        gone(docker.disconnect_network(network, request).await)?;
    }
    gone(docker.remove_network(network).await).map(|()| Letting::Go)
}

/// What is in a network, as far as the engine knows.
async fn ends_in(docker: &bollard::Docker, network: &str) -> Result<Vec<String>> {
    match docker
        .inspect_network(network, None::<query::InspectNetworkOptions>)
        .await
    {
        Ok(network) => Ok(network.containers.unwrap_or_default().into_iter().map(who).collect()),
        Err(error) => gone(Err(error)).map(|()| Vec::new()),
    }
}

/// By what the engine finds it: an end without a container (`ep-…`) by its name alone.
fn who((id, end): (String, EndpointResource)) -> String {
    match end.name {
        Some(name) if id.starts_with("ep-") => name,
        _ => id,
    }
}

async fn remove_volume(docker: &bollard::Docker, name: &str) -> Result<(), bollard::errors::Error> {
    docker
        .remove_volume(name, Some(query::RemoveVolumeOptions { force: true }))
        .await
}

/// Images in the order in which they can go, of id and parent.
fn children_first(mut left: Vec<(String, String)>) -> Vec<String> {
    let mut order = Vec::new();
    while !left.is_empty() {
        let parents: BTreeSet<String> = left.iter().map(|(_, parent)| parent.clone()).collect();
        let (inner, mut free): (Vec<_>, Vec<_>) = left.into_iter().partition(|(id, _)| parents.contains(id));
        if free.is_empty() {
            // A circle is no order: as they come.
            order.extend(inner.into_iter().map(|(id, _)| id));
            break;
        }
        order.extend(free.drain(..).map(|(id, _)| id));
        left = inner;
    }
    order
}

async fn remove_images(docker: &bollard::Docker, images: &[String]) -> Vec<String> {
    let mut errors = Vec::new();
    for id in images {
        if let Err(error) = gone(remove_image(docker, id).await) {
            errors.push(format!("{error:#}"));
        }
    }
    errors
}

async fn remove_image(docker: &bollard::Docker, id: &str) -> Result<(), bollard::errors::Error> {
    // What it was built upon is the engine's cache for the next run.
    let options = query::RemoveImageOptions {
        force: true,
        noprune: true,
        ..Default::default()
    };
    docker.remove_image(id, Some(options), None).await.map(drop)
}

async fn each<'a, F: Future<Output = Result<()>>>(
    names: impl Iterator<Item = &'a String>,
    remove: impl Fn(&'a str) -> F,
) -> Vec<String> {
    let removed = join_all(names.map(|name| remove(name))).await;
    removed
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect()
}

fn filter(label: &str) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])]))
}

async fn containers(engine: &Engine, label: &str) -> Result<Vec<String>> {
    let options = query::ListContainersOptions {
        all: true,
        filters: filter(label),
        ..Default::default()
    };
    let found = engine
        .docker()
        .list_containers(Some(options))
        .await
        .map_err(|error| anyhow!("{}", engine_words(&error)))?;
    Ok(found.into_iter().filter_map(|container| container.id).collect())
}

/// An object with its labels.
struct Found {
    object: Object,
    since: Option<u64>,
    labels: HashMap<String, String>,
}

/// Everything that bears `label`.
async fn all_labelled(engine: &Engine, label: &str) -> Result<Vec<Found>> {
    let docker = engine.docker();
    let options = query::ListContainersOptions {
        all: true,
        filters: filter(label),
        ..Default::default()
    };
    let (containers, networks, volumes, images) = tokio::try_join!(
        docker.list_containers(Some(options)),
        docker.list_networks(Some(query::ListNetworksOptions { filters: filter(label) })),
        docker.list_volumes(Some(query::ListVolumesOptions { filters: filter(label) })),
        docker.list_images(Some(query::ListImagesOptions {
            all: true,
            filters: filter(label),
            ..Default::default()
        })),
    )?;
    let found = containers.into_iter().map(of_container);
    let found = found.chain(networks.into_iter().map(of_network));
    let found = found.chain(volumes.volumes.into_iter().flatten().map(of_volume));
    Ok(found.chain(images.into_iter().map(of_image)).collect())
}

impl Found {
    fn new(kind: ObjectKind, name: String, since: Option<i64>, labels: HashMap<String, String>) -> Self {
        Self {
            object: Object { kind, name },
            since: since.and_then(|seconds| u64::try_from(seconds).ok()),
            labels,
        }
    }
}

fn of_container(container: ContainerSummary) -> Found {
    let named = container.names.and_then(|names| names.into_iter().next());
    let name = named.or(container.id).unwrap_or_default();
    let name = name.trim_start_matches('/').to_owned();
    let labels = container.labels.unwrap_or_default();
    Found::new(ObjectKind::Container, name, container.created, labels)
}

fn of_network(network: bollard::models::Network) -> Found {
    let (name, labels) = (network.name.unwrap_or_default(), network.labels.unwrap_or_default());
    Found::new(ObjectKind::Network, name, None, labels)
}

fn of_volume(volume: Volume) -> Found {
    Found::new(ObjectKind::Volume, volume.name, None, volume.labels)
}

fn of_image(image: ImageSummary) -> Found {
    let name = image.repo_tags.into_iter().next().unwrap_or(image.id);
    Found::new(ObjectKind::Image, name, Some(image.created), image.labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run of this machine is whose labels say this. No lock file = its process has gone.
    fn state(kept: bool, here: bool, deadline: u64) -> Liveness {
        let host = if here { "this" } else { "another" };
        let mut labels = HashMap::from([
            (LABEL_HOST.to_owned(), host.to_owned()),
            (LABEL_LOCK.to_owned(), "/nowhere/x.run".to_owned()),
            (LABEL_DEADLINE.to_owned(), deadline.to_string()),
        ]);
        if kept {
            labels.insert(LABEL_KEPT.to_owned(), "/shop/rehearsal.yaml".to_owned());
        }
        of_labels("x".to_owned(), &labels, "this", 100).liveness
    }

    #[test]
    fn what_is_kept_is_kept_until_its_time_is_over() {
        assert_eq!(state(true, true, 101), Liveness::Kept);
        assert_eq!(state(true, true, 100), Liveness::Dead);
        assert_eq!(state(true, false, 101), Liveness::Kept);
        assert_eq!(state(true, false, 100), Liveness::Dead);
    }

    #[test]
    fn what_is_not_kept_dies_with_its_process_or_with_its_time() {
        assert_eq!(state(false, true, 101), Liveness::Dead);
        assert_eq!(state(false, false, 101), Liveness::Alive);
        assert_eq!(state(false, false, 100), Liveness::Dead);
    }

    #[test]
    fn what_bears_a_runs_name_alone_does_not_decide_that_it_is_dead() {
        let found = |name: &str, more: &[(&str, &str)]| {
            let labels = [&[(LABEL_RUN, "x")], more].concat().into_iter();
            let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
            Found {
                object: Object {
                    kind: ObjectKind::Container,
                    name: name.to_owned(),
                },
                since: None,
                labels: labels.collect(),
            }
        };
        let own = [(LABEL_HOST, "another"), (LABEL_DEADLINE, "101")];
        let runs = by_run(vec![found("by-hand", &[]), found("agent", &own)], "this", 100);
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].liveness, runs[0].objects.len()), (Liveness::Alive, 2));
    }

    #[test]
    fn an_image_goes_before_the_one_it_was_made_from() {
        let image = |id: &str, parent: &str| (id.to_owned(), parent.to_owned());
        let all = vec![image("a", "base"), image("c", "b"), image("b", "a"), image("x", "")];
        assert_eq!(children_first(all), ["c", "x", "b", "a"]);
        assert_eq!(children_first(vec![image("a", "a")]), ["a"]);
    }

    #[test]
    fn a_lock_file_is_dead_when_nobody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let alive = Alive::begin(folder.path(), "alive").unwrap();
        std::fs::write(lock_file(folder.path(), "dead"), "").unwrap();
        std::fs::write(folder.path().join("other.txt"), "").unwrap();
        assert_eq!(dead_lock_files(folder.path()), [lock_file(folder.path(), "dead")]);
        assert_eq!(remove_lock_files(folder.path()), Vec::<PathBuf>::new());
        assert!(lock_file(folder.path(), "alive").exists());
        drop(alive);
        assert!(!lock_file(folder.path(), "alive").exists());
    }
}
