//! Volumes: made with the run's labels before anything mounts them, because the engine would make them without; copies
//! of host folders are filled once, whatever rights the services that mount them have.

use std::path::Path;

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, HostConfig, Mount as EngineMount, MountType};

use super::container;
use crate::engine::archive;
use crate::mirror::{Mirror, Setup};
use crate::world::model::{Mount, Service, Source};

/// Where a folder's volume is mounted while it is filled.
const FILLED_AT: &str = "/fill";

impl Mirror {
    /// The service with what others lend it: their mounts and files, where it has none of its own.
    pub(crate) fn with_lent(&self, service: &Service) -> Service {
        let mut whole = service.clone();
        for from in &service.volumes_from {
            let running = self.container_of(&from.service).map(|running| running.service);
            let Some(other) = running.as_deref().or_else(|| self.world().services.get(&from.service)) else {
                continue;
            };
            let other = self.with_lent(other);
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

    /// Makes the volumes that a service mounts and nobody made before.
    pub(crate) async fn make_volumes(&self, service: &Service) -> Result<()> {
        let declared = self.image(&service.image).volumes;
        let undeclared = |target: &String| !service.mounts.iter().any(|own| same_place(&own.target, target));
        let anonymous = declared.into_iter().filter(undeclared).map(anonymous);
        for mount in service.mounts.iter().cloned().chain(anonymous) {
            let Some(volume) = container::volume_of(service, &mount) else {
                continue;
            };
            // Held while the volume is made: who comes second must find it filled.
            let mut made = self.inner.volumes.lock().await;
            if !made.contains(&volume) {
                make(&self.inner.setup, &volume, &mount.source, &service.image).await?;
                made.insert(volume);
            }
        }
        Ok(())
    }
}

fn anonymous(target: String) -> Mount {
    Mount {
        target,
        source: Source::Anonymous,
        read_only: false,
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

async fn make(setup: &Setup, volume: &str, source: &Source, image: &str) -> Result<()> {
    let name = setup.volume(volume);
    setup.engine.create_volume(&name).await?;
    match source {
        Source::Folder(folder) => fill(setup, &name, folder, image).await,
        _ => Ok(()),
    }
}

/// Through a container that is never started; any image will do.
async fn fill(setup: &Setup, volume: &str, folder: &Path, image: &str) -> Result<()> {
    let path = folder.to_path_buf();
    let archive = tokio::task::spawn_blocking(move || archive::of_folder(&path)).await??;
    let mount = EngineMount {
        target: Some(FILLED_AT.to_owned()),
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
    let filler = setup
        .engine
        .create_container(&format!("{volume}-filler"), "", body)
        .await?;
    let filled = setup.engine.upload(&filler, FILLED_AT, archive).await;
    setup.engine.remove_container(&filler).await?;
    filled.with_context(|| format!("`{}` could not be copied into the mirror", folder.display()))
}
