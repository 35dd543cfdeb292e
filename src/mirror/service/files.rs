//! Files that are in a container before it starts: production's own (secrets, configs, bound files) and the run's CA. All
//! are copies, so that they reach an engine on any machine. Where a copy could not be made or not be seen, under a root
//! that is read-only or in a folder that is in memory, the folder becomes a volume, which the engine fills with what the
//! image has there.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use anyhow::Result;
use bollard::models::ContainerCreateBody;

use super::container;
use crate::engine::archive;
use crate::mirror::Mirror;
use crate::mirror::names::trust::{self, Trust};
use crate::world::model::{FileInside, Service, Source};

impl Mirror {
    /// What a container of the service needs so that it trusts the run's CA; nothing where the run has none.
    pub(crate) async fn trust(&self, service: &Service) -> Result<Trust> {
        let setup = &self.inner.setup;
        let Some(authority) = setup.authority() else {
            return Ok(Trust::default());
        };
        let key = trust::key_of(service);
        let cell = {
            let mut trusts = self.inner.trusts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(trusts.entry(key.clone()).or_default())
        };
        let name = setup
            .engine
            .name(&format!("{}look-{}", setup.prefix, self.next_generation()));
        let trust = cell
            .get_or_try_init(|| trust::look(&setup.engine, &name, &key, authority))
            .await?;
        Ok(trust.clone())
    }

    /// Every file that a container of the service gets.
    pub(crate) fn files_for(&self, service: &Service, trust: &Trust) -> Vec<FileInside> {
        let authority = self.inner.setup.authority();
        let with_ca =
            |file: &FileInside| authority.map_or_else(|| file.clone(), |ca| trust::in_own_file(file, service, ca));
        service
            .files
            .iter()
            .map(with_ca)
            .chain(trust.files.iter().cloned())
            .collect()
    }

    /// Makes the volumes that some of the files need; gives their folders.
    pub(crate) async fn make_room(
        &self,
        service: &Service,
        files: &[FileInside],
        body: &mut ContainerCreateBody,
    ) -> Result<Vec<String>> {
        let Some(host) = body.host_config.as_mut() else {
            return Ok(Vec::new());
        };
        bind_in_root(service, &mut host.binds);
        let folders = folders(service, files);
        if let Some(memory) = &mut host.tmpfs {
            memory.retain(|target, _| !folders.iter().any(|folder| folder == bare(target)));
        }
        let mounts = host.mounts.get_or_insert_default();
        for folder in &folders {
            let volume = self.inner.setup.volume(&format!("files-{}", self.next_generation()));
            self.engine().create_volume(&volume).await?;
            mounts.retain(|mount| mount.target.as_deref().is_none_or(|target| bare(target) != folder));
            mounts.push(container::volume_mount(&volume, folder));
        }
        Ok(folders)
    }

    /// Copies the files into a container that has not started: each into its volume, or into the container's root.
    pub(crate) async fn put(
        &self,
        service: &Service,
        files: Vec<FileInside>,
        folders: &[String],
        id: &str,
    ) -> Result<()> {
        let mut rest: Vec<FileInside> = files.into_iter().filter(|file| !is_bound(service, file)).collect();
        for folder in folders {
            let (inside, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|file| is_below(&file.target, folder));
            rest = others;
            let below = |file: FileInside| FileInside {
                target: file.target[folder.len() + 1..].to_owned(),
                ..file
            };
            let inside: Vec<FileInside> = inside.into_iter().map(below).collect();
            self.engine().upload(id, folder, archive::of_files(&inside)?).await?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.engine().upload(id, "/", archive::of_files(&rest)?).await
    }
}

/// Folders that have to become volumes, none below another. What production itself mounts there is one already.
fn folders(service: &Service, files: &[FileInside]) -> Vec<String> {
    let own = |folder: &str| {
        let mut mounts = service.mounts.iter();
        mounts.any(|mount| bare(&mount.target) == folder && !matches!(mount.source, Source::Memory { .. }))
    };
    let needed = files
        .iter()
        .filter_map(|file| file.target.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| !folder.is_empty() && (service.limits.read_only || is_in_memory(service, folder)));
    let all: BTreeSet<&str> = needed.collect();
    all.iter()
        .filter(|folder| !all.iter().any(|other| is_below(folder, other)) && !own(folder))
        .map(|folder| (*folder).to_owned())
        .collect()
}

fn is_in_memory(service: &Service, folder: &str) -> bool {
    service.mounts.iter().any(|mount| {
        let target = bare(&mount.target);
        matches!(mount.source, Source::Memory { .. }) && (folder == target || is_below(folder, target))
    })
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn bare(target: &str) -> &str {
    target.trim_end_matches('/')
}

/// The root itself cannot become a volume: a file directly in one that is read-only is this machine's own.
fn is_bound(service: &Service, file: &FileInside) -> bool {
    service.limits.read_only && file.origin.is_some() && file.target.rfind('/') == Some(0)
}

fn bind_in_root(service: &Service, binds: &mut Option<Vec<String>>) {
    for file in service.files.iter().filter(|file| is_bound(service, file)) {
        if let Some(path) = &file.origin {
            let bind = format!("{}:{}:ro", path.display(), file.target);
            binds.get_or_insert_default().push(bind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::{Memory, Mount, VolumeOptions};

    fn file(target: &str) -> FileInside {
        FileInside {
            target: target.to_owned(),
            content: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            origin: Some("/here".into()),
            bound: None,
        }
    }

    fn files() -> Vec<FileInside> {
        [
            "/etc/ssl/certs/a",
            "/etc/ssl/certs/java/cacerts",
            "/run/secrets/x",
            "/x",
            "/data/y",
        ]
        .map(file)
        .to_vec()
    }

    fn mount(target: &str, source: Source) -> Mount {
        Mount {
            target: target.to_owned(),
            source,
            read_only: false,
            volume: VolumeOptions::default(),
        }
    }

    #[test]
    fn a_copy_in_the_containers_own_root_needs_no_volume() {
        assert!(folders(&Service::default(), &files()).is_empty());
    }

    #[test]
    fn a_folder_in_memory_becomes_a_volume() {
        let memory = Source::Memory(Memory::Options(String::new()));
        let service = Service {
            mounts: vec![mount("/run/", memory)],
            ..Service::default()
        };
        assert_eq!(folders(&service, &files()), ["/run/secrets"]);
    }

    #[test]
    fn under_a_read_only_root_every_folder_that_is_none_yet_becomes_a_volume() {
        let mut service = Service {
            mounts: vec![mount("/data", Source::Anonymous)],
            ..Service::default()
        };
        service.limits.read_only = true;
        assert_eq!(folders(&service, &files()), ["/etc/ssl/certs", "/run/secrets"]);
        service.files = files();
        let mut binds = None;
        bind_in_root(&service, &mut binds);
        assert_eq!(binds.unwrap(), ["/here:/x:ro"]);
    }
}
