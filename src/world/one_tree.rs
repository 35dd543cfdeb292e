//! The folders and files of production's host that containers mount: on that host they are one tree, and what one
//! service writes another sees. So the mirror has one copy of each topmost folder, and every mount shows its part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::model::{BoundFile, FileInside, HostPath, Mount, Service, Source, VolumeOptions};

/// What begins a certificate: files with such get the run's CA, and are no service's to write.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Lets every mount of the services show its part of the one tree. May be told of more services later, and again.
pub fn join(services: &mut [&mut Service]) {
    let roots = roots(services);
    let shared = shared_files(services);
    for service in services {
        for mount in &mut service.mounts {
            if let Source::Host(host) = &mut mount.source {
                *host = placed(&place_of(host), &roots);
            }
        }
        let is_seen = |file: &BoundFile| is_below_any(&file.path, &roots) || shared.contains(&file.path);
        let (seen, alone): (Vec<_>, Vec<_>) = std::mem::take(&mut service.files).into_iter().partition(|file| {
            let bound = file.bound.as_ref();
            bound.is_some_and(is_seen) && !file.content.starts_with(CERTIFICATE)
        });
        service.files = alone;
        service
            .mounts
            .extend(seen.iter().filter_map(|file| mounted(file, &roots)));
    }
}

/// The topmost of all folders that are mounted.
fn roots(services: &[&mut Service]) -> BTreeSet<PathBuf> {
    let mounts = services.iter().flat_map(|service| &service.mounts);
    let hosts = mounts.filter_map(|mount| match &mount.source {
        Source::Host(host) if !is_lone_file(host) => Some(host.root.clone()),
        _ => None,
    });
    let all: BTreeSet<PathBuf> = hosts.collect();
    let is_topmost = |path: &&PathBuf| !path.ancestors().skip(1).any(|above| all.contains(above));
    all.iter().filter(is_topmost).cloned().collect()
}

/// Files that several services mount, and one of them to write.
fn shared_files(services: &[&mut Service]) -> BTreeSet<PathBuf> {
    let mut seen: BTreeMap<&Path, (BTreeSet<&str>, bool)> = BTreeMap::new();
    for service in services {
        for file in service.files.iter().filter_map(|file| file.bound.as_ref()) {
            let (who, written) = seen.entry(&file.path).or_default();
            who.insert(&service.name);
            *written |= !file.read_only;
        }
    }
    let shared = seen.iter().filter(|(_, (who, written))| who.len() > 1 && *written);
    shared.map(|(path, _)| path.to_path_buf()).collect()
}

/// A file that lies in no mounted folder: of its copy that file alone is mounted.
pub(super) fn is_lone_file(host: &HostPath) -> bool {
    host.root.file_name().map(Path::new) == Some(&host.below)
}

/// Where on the host it is.
pub(super) fn place_of(host: &HostPath) -> PathBuf {
    if is_lone_file(host) || host.below.as_os_str().is_empty() {
        host.root.clone()
    } else {
        host.root.join(&host.below)
    }
}

fn is_below_any(path: &Path, roots: &BTreeSet<PathBuf>) -> bool {
    path.ancestors().any(|above| roots.contains(above))
}

fn placed(path: &Path, roots: &BTreeSet<PathBuf>) -> HostPath {
    match path.ancestors().find(|above| roots.contains(*above)) {
        Some(root) => HostPath {
            root: root.to_path_buf(),
            below: path.strip_prefix(root).map(Path::to_path_buf).unwrap_or_default(),
        },
        None => HostPath {
            root: path.to_path_buf(),
            below: path.file_name().map(PathBuf::from).unwrap_or_default(),
        },
    }
}

fn mounted(file: &FileInside, roots: &BTreeSet<PathBuf>) -> Option<Mount> {
    let bound = file.bound.as_ref()?;
    Some(Mount {
        target: file.target.clone(),
        source: Source::Host(placed(&bound.path, roots)),
        read_only: bound.read_only,
        volume: VolumeOptions::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(root: &str, below: &str) -> Source {
        Source::Host(HostPath {
            root: root.into(),
            below: below.into(),
        })
    }

    fn service(name: &str, folders: &[&str], files: &[(&str, bool)]) -> Service {
        let mount = |path: &&str| Mount {
            target: "/x".to_owned(),
            source: host(path, ""),
            read_only: false,
            volume: VolumeOptions::default(),
        };
        let file = |(path, read_only): &(&str, bool)| FileInside {
            target: "/y".to_owned(),
            content: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            origin: Some(path.into()),
            bound: Some(BoundFile {
                path: path.into(),
                read_only: *read_only,
            }),
        };
        Service {
            name: name.to_owned(),
            mounts: folders.iter().map(mount).collect(),
            files: files.iter().map(file).collect(),
            ..Service::default()
        }
    }

    fn sources(service: &Service) -> Vec<Source> {
        service.mounts.iter().map(|mount| mount.source.clone()).collect()
    }

    #[test]
    fn a_folder_within_a_mounted_folder_is_a_part_of_its_copy() {
        let mut app = service("app", &["/srv/site", "/srv/other"], &[]);
        let mut web = service("web", &["/srv/site/public"], &[]);
        join(&mut [&mut app, &mut web]);
        assert_eq!(sources(&app), [host("/srv/site", ""), host("/srv/other", "")]);
        assert_eq!(sources(&web), [host("/srv/site", "public")]);
        // A neighbour whose name begins alike is another folder.
        let mut near = service("near", &["/srv/site2"], &[]);
        join(&mut [&mut app, &mut near]);
        assert_eq!(sources(&near), [host("/srv/site2", "")]);
    }

    #[test]
    fn a_release_that_mounts_a_folder_above_moves_the_copy_up() {
        let mut web = service("web", &["/srv/site/public"], &[]);
        join(&mut [&mut web]);
        let mut release = service("web", &["/srv/site"], &[]);
        join(&mut [&mut web, &mut release]);
        join(&mut [&mut web, &mut release]);
        assert_eq!(sources(&web), [host("/srv/site", "public")]);
    }

    #[test]
    fn a_file_in_a_mounted_folder_or_one_that_several_mount_to_write_is_one_file() {
        let mut app = service(
            "app",
            &["/srv/site"],
            &[("/srv/token.env", false), ("/srv/only.conf", false)],
        );
        let mut web = service("web", &[], &[("/srv/site/a.conf", true), ("/srv/token.env", true)]);
        join(&mut [&mut app, &mut web]);
        join(&mut [&mut app, &mut web]);
        assert_eq!(
            sources(&app),
            [host("/srv/site", ""), host("/srv/token.env", "token.env")]
        );
        assert_eq!(
            sources(&web),
            [host("/srv/site", "a.conf"), host("/srv/token.env", "token.env")]
        );
        assert!(web.mounts[0].read_only && web.files.is_empty());
        // What one service alone mounts, and what nobody writes, stays a copy of its own.
        assert_eq!(app.files.len(), 1);
        let mut other = service("other", &[], &[("/srv/c.conf", true)]);
        let mut third = service("third", &[], &[("/srv/c.conf", true)]);
        join(&mut [&mut other, &mut third]);
        assert!(other.mounts.is_empty() && third.mounts.is_empty());
    }
}
