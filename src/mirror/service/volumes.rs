//! Volumes: made with the run's labels before anything mounts them, because the engine would make them without; copies
//! of host folders are filled once, whatever rights the services that mount them have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use bollard::models::{ContainerCreateBody, HostConfig, Mount as EngineMount, MountType};
use tokio::io::AsyncRead;

use super::container;
use crate::engine::archive;
use crate::engine::image::ImageFacts;
use crate::engine::words;
use crate::mirror::{Mirror, Setup};
use crate::world::model::{HostPath, Mount, Service, Source, VolumeOptions};
use crate::world::replica::Replica;

/// Where a folder's volume is mounted while it is filled.
const FILLED_AT: &str = "/fill";

impl Mirror {
    /// The service with what others lend it: their mounts and files, where it has none of its own.
    pub(crate) fn with_lent(&self, service: &Service) -> Service {
        let mut whole = service.clone();
        for from in &service.volumes_from {
            let running = self.container_of(&from.service).map(|running| running.service);
            let described = || self.services().get(&from.service).cloned().map(Arc::new);
            let Some(other) = running.or_else(described) else {
                continue;
            };
            let other = self.with_lent(&other);
            let declared = self.image(&other.image).volumes.into_iter().map(anonymous);
            for mount in other.mounts.iter().cloned().chain(declared) {
                if !whole.mounts.iter().any(|own| same_place(&own.target, &mount.target)) {
                    whole.mounts.push(lent(&other, mount, from.read_only));
                }
            }
            for file in &other.files {
                if file.origin.is_some() && !whole.files.iter().any(|own| own.target == file.target) {
                    whole.files.push(file.clone());
                }
            }
        }
        whole
    }

    /// Makes the volumes that a service mounts and nobody made before. Gives where those are on the engine's machine of
    /// which it mounts parts, for an engine that must be told so.
    pub(crate) async fn make_volumes(&self, replica: &Replica, service: &Service) -> Result<BTreeMap<String, String>> {
        let declared = self.image(&service.image).volumes;
        let undeclared = |target: &String| !service.mounts.iter().any(|own| same_place(&own.target, target));
        let anonymous = declared.into_iter().filter(undeclared).map(anonymous);
        let mut places = BTreeMap::new();
        for mount in service.mounts.iter().cloned().chain(anonymous) {
            let Some(volume) = container::volume_of(replica, &mount) else {
                continue;
            };
            let setup = &self.inner.setup;
            // Held while the volume is made: who comes second must find it filled.
            let mut made = self.inner.volumes.lock().await;
            if !made.contains(&volume) {
                for socket in make(setup, &volume, &mount.source, &service.image).await? {
                    self.note(format!(
                        "`{}` is not in the mirror: no release is given this machine's sockets",
                        socket.display()
                    ));
                }
                made.insert(volume.clone());
            }
            if let Source::Host(host) = &mount.source {
                place(setup, host, &volume, &service.image, &mut places).await?;
            }
        }
        Ok(places)
    }
}

/// Names of the volumes that a service of this image mounts.
pub(in crate::mirror) fn of(service: &Service, image: &ImageFacts) -> Vec<String> {
    let undeclared = |target: &String| !service.mounts.iter().any(|own| same_place(&own.target, target));
    let anonymous = image
        .volumes
        .iter()
        .filter(|target| undeclared(target))
        .cloned()
        .map(anonymous);
    let mounts: Vec<Mount> = service.mounts.iter().cloned().chain(anonymous).collect();
    let of = |replica: Replica| {
        let own = mounts
            .iter()
            .filter_map(move |mount| container::volume_of(&replica, mount));
        own.collect::<Vec<_>>()
    };
    service.instances().flat_map(of).collect()
}

impl Mirror {
    /// Fills a named volume before anything mounts it, through a container that has it where a service will.
    pub(crate) async fn fill_volume(
        &self,
        volume: &str,
        target: &str,
        image: &str,
        archive: Pin<Box<dyn AsyncRead + Send>>,
    ) -> Result<()> {
        let setup = &self.inner.setup;
        let name = setup.volume(volume);
        let mut made = self.inner.volumes.lock().await;
        if made.insert(volume.to_owned()) {
            setup.engine.create_volume(&name).await?;
        }
        let filler = filler(setup, &name, target, image).await?;
        let filled = setup.engine.upload_read(&filler, target, archive).await;
        setup.engine.remove_container(&filler).await?;
        filled
    }
}

/// A part of a folder that is mounted is there, and it is known where.
async fn place(
    setup: &Setup,
    host: &HostPath,
    volume: &str,
    image: &str,
    places: &mut BTreeMap<String, String>,
) -> Result<()> {
    if host.below.as_os_str().is_empty() {
        return Ok(());
    }
    let volume = setup.volume(volume);
    if host.root.is_dir() && !host.root.join(&host.below).exists() {
        let folder = archive::of_folders_below(&host.below)?;
        put(setup, &volume, folder, image).await?;
    }
    if !setup.engine.mounts_parts() {
        let place = setup.engine.place_of_volume(&volume).await?;
        places.insert(volume, place);
    }
    Ok(())
}

fn anonymous(target: String) -> Mount {
    Mount {
        target,
        source: Source::Anonymous,
        read_only: false,
        volume: VolumeOptions::default(),
    }
}

fn same_place(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn lent(owner: &Service, mount: Mount, read_only: bool) -> Mount {
    let source = match mount.source {
        Source::Anonymous => Source::AnonymousOf(owner.name.clone()),
        other => other,
    };
    Mount {
        source,
        read_only: mount.read_only || read_only,
        ..mount
    }
}

/// Gives the sockets of a folder, which have no copy.
async fn make(setup: &Setup, volume: &str, source: &Source, image: &str) -> Result<Vec<PathBuf>> {
    let name = setup.volume(volume);
    setup.engine.create_volume(&name).await?;
    match source {
        Source::Host(host) if host.root.exists() => {
            let filled = fill(setup, &name, &host.root, image).await;
            filled.map_err(|error| words::not_copied(error, &host.root))
        }
        _ => Ok(Vec::new()),
    }
}

/// Through a container that is never started, while the folder is read; any image will do.
async fn fill(setup: &Setup, volume: &str, root: &Path, image: &str) -> Result<Vec<PathBuf>> {
    let filler = filler(setup, volume, FILLED_AT, image).await?;
    let (archive, written) = archive::read_tree(root.to_path_buf());
    let sent = setup.engine.upload_read(&filler, FILLED_AT, archive).await;
    setup.engine.remove_container(&filler).await?;
    // A reader that the engine has left has nothing to say.
    match (written.await?, sent) {
        (Ok(sockets), Ok(())) => Ok(sockets),
        (_, Err(refused)) => Err(refused),
        (Err(unread), Ok(())) => Err(unread.into()),
    }
}

/// Through a container that is never started; any image will do.
async fn put(setup: &Setup, volume: &str, archive: Vec<u8>, image: &str) -> Result<()> {
    let filler = filler(setup, volume, FILLED_AT, image).await?;
    let filled = setup.engine.upload(&filler, FILLED_AT, archive).await;
    setup.engine.remove_container(&filler).await?;
    filled
}

async fn filler(setup: &Setup, volume: &str, target: &str, image: &str) -> Result<String> {
    let mount = EngineMount {
        target: Some(target.to_owned()),
        source: Some(volume.to_owned()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["/rehearsal".to_owned()]),
        labels: Some(setup.engine.labels(&[])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            mounts: Some(vec![mount]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = format!("{volume}-filler");
    setup.engine.create_container(&name, "", body).await
}
