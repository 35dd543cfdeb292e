//! Mounts, secrets and configs: what a container of the mirror finds in its file system.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::Reader;
use super::disguise::folder_behind;
use crate::compose::{self, FileSource, MountKind};
use crate::world::model::{BoundFile, FileInside, HostPath, Memory, Mount, Source, VolumeOptions};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file::{self, MOST_CONTENT};

/// Folders of the machine that are no part of an application: mirrored by nothing.
const HOST_FOLDERS: [&str; 8] = [
    "/",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/var/lib/docker",
    "/boot",
];

/// What engines call their sockets.
const ENGINE_SOCKETS: [&str; 3] = ["docker.sock", "podman.sock", "containerd.sock"];

impl Reader<'_> {
    /// What is mounted, and the files that are put into the container instead.
    pub(super) fn mounts(&mut self, from: &compose::Service) -> Result<(Vec<Mount>, Vec<FileInside>), Diagnostic> {
        let (mut mounts, mut files) = (Vec::new(), Vec::new());
        for mount in &from.mounts {
            let mount = &self.without_disguise(mount);
            let source = match mount.kind {
                MountKind::Volume => mount.source.clone().map_or(Source::Anonymous, Source::Volume),
                MountKind::Tmpfs => Source::Memory(Memory::Mount {
                    size: mount
                        .tmpfs
                        .as_ref()
                        .and_then(|options| options.size)
                        .and_then(|size| u64::try_from(size).ok()),
                    mode: mount.tmpfs.as_ref().and_then(|options| options.mode),
                }),
                MountKind::Bind => match self.bind(from, mount)? {
                    Bound::Folder(source) => source,
                    Bound::File(file) => {
                        files.push(file);
                        continue;
                    }
                    Bound::Nothing => continue,
                },
                MountKind::Image | MountKind::NamedPipe | MountKind::Cluster => {
                    self.notes.push(without(from, mount));
                    continue;
                }
            };
            mounts.push(Mount {
                target: mount.target.clone(),
                source,
                read_only: mount.read_only,
                volume: volume_options(mount),
            });
        }
        mounts.extend(from.tmpfs.iter().map(|text| memory(text)));
        files.extend(self.objects(from, true)?);
        files.extend(self.objects(from, false)?);
        Ok((mounts, files))
    }

    /// A volume that is a folder of the host under another name is mounted as that folder.
    fn without_disguise(&self, mount: &compose::Mount) -> compose::Mount {
        let named = mount.source.as_ref().filter(|_| mount.kind == MountKind::Volume);
        let Some(folder) = named.and_then(|name| folder_behind(self.project.volumes.get(name)?)) else {
            return mount.clone();
        };
        let part = mount.volume.as_ref().and_then(|options| options.subpath.as_deref());
        let path = part.map_or(folder.path.clone(), |part| folder.path.join(part));
        compose::Mount {
            kind: MountKind::Bind,
            source: Some(path.display().to_string()),
            read_only: mount.read_only || folder.read_only,
            volume: None,
            ..mount.clone()
        }
    }

    fn bind(&mut self, from: &compose::Service, mount: &compose::Mount) -> Result<Bound, Diagnostic> {
        let path = PathBuf::from(mount.source.clone().unwrap_or_default());
        let text = path.display().to_string();
        if HOST_FOLDERS.contains(&text.trim_end_matches('/')) || text == "/" {
            self.notes.push(format!(
                "service `{}`: the host's `{text}` is not mounted in the mirror",
                from.name
            ));
            return Ok(Bound::Nothing);
        }
        if path
            .file_name()
            .is_some_and(|name| ENGINE_SOCKETS.iter().any(|socket| name == *socket))
        {
            self.engine_sockets.insert(from.name.clone());
            self.notes.push(format!(
                "service `{}`: `{text}` is not mounted: no release is given this machine's engine",
                from.name
            ));
            return Ok(Bound::Nothing);
        }
        let Ok(facts) = std::fs::metadata(&path) else {
            let creates = mount.bind.as_ref().is_none_or(|options| options.create_host_path);
            if creates {
                self.notes.push(format!(
                    "service `{}`: `{text}` is not on this machine; the mirror has an empty folder",
                    from.name
                ));
                return Ok(Bound::Folder(whole(path)));
            }
            return Err(Diagnostic::at(&mount.span, format!("`{text}` does not exist"))
                .help("the mirror mounts what production mounts: check it out, or leave the mount out"));
        };
        if facts.file_type().is_socket() || facts.file_type().is_char_device() || facts.file_type().is_block_device() {
            self.notes.push(format!(
                "service `{}`: `{text}` is not mounted: no release is given this machine's sockets and devices",
                from.name
            ));
            return Ok(Bound::Nothing);
        }
        if facts.is_dir() {
            return Ok(Bound::Folder(whole(resolved(&path))));
        }
        let content = file::bytes(&path, MOST_CONTENT)
            .map_err(|error| Diagnostic::at(&mount.span, format!("`{text}` could not be read: {error}")))?;
        Ok(Bound::File(FileInside {
            target: mount.target.clone(),
            content,
            mode: facts.mode() & 0o7777,
            uid: u64::from(facts.uid()),
            gid: u64::from(facts.gid()),
            bound: Some(BoundFile {
                path: resolved(&path),
                read_only: mount.read_only,
            }),
            origin: Some(path),
        }))
    }

    /// Secrets (or configs) as files.
    fn objects(&mut self, from: &compose::Service, secrets: bool) -> Result<Vec<FileInside>, Diagnostic> {
        let (uses, known, folder) = if secrets {
            (&from.secrets, &self.project.secrets, "/run/secrets/")
        } else {
            (&from.configs, &self.project.configs, "/")
        };
        let of_file = |uses: &&compose::FileMount| {
            let known = known.get(&uses.source);
            known.is_some_and(|object| matches!(object.source, FileSource::File(_)))
        };
        let written = |uses: &&compose::FileMount| uses.uid.is_some() || uses.gid.is_some() || uses.mode.is_some();
        let in_vain = uses.iter().filter(of_file).filter(written);
        self.notes
            .extend(in_vain.map(|uses| without_written_rights(from, uses)));
        uses.iter()
            .map(|uses| object(uses, known.get(&uses.source), folder))
            .collect()
    }
}

fn volume_options(mount: &compose::Mount) -> VolumeOptions {
    let options = mount.volume.as_ref();
    VolumeOptions {
        subpath: options.and_then(|options| options.subpath.clone()),
        no_copy: options.is_some_and(|options| options.nocopy),
    }
}

/// A folder as it is, whatever others mount of it.
fn whole(path: PathBuf) -> Source {
    Source::Host(HostPath {
        root: path,
        below: PathBuf::new(),
    })
}

/// Links lead to one place, by whatever way.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A mount that the mirror has not.
fn without(from: &compose::Service, mount: &compose::Mount) -> String {
    let why = match mount.kind {
        MountKind::Image => "engines before API 1.48 cannot mount images",
        MountKind::NamedPipe => "named pipes are Windows'",
        _ => "cluster volumes are Swarm's",
    };
    format!(
        "service `{}`: nothing is mounted at `{}`, where production mounts a `{}`: {why}",
        from.name,
        mount.target,
        mount.kind.as_str()
    )
}

enum Bound {
    Folder(Source),
    File(FileInside),
    Nothing,
}

fn object(
    uses: &compose::FileMount,
    known: Option<&compose::FileObject>,
    folder: &str,
) -> Result<FileInside, Diagnostic> {
    let refuse = |why: String, help: &str| Err(Diagnostic::at(&uses.span, why).help(help));
    let name = &uses.source;
    let mut of_file = None;
    let content = match known.map(|object| &object.source) {
        Some(FileSource::Content(text)) => text.clone().into_bytes(),
        Some(FileSource::Environment { value: Some(value), .. }) => value.clone().into_bytes(),
        Some(FileSource::Environment { variable, value: None }) => {
            return refuse(
                format!("`{name}` comes from `{variable}`, which is not set"),
                "set it in the environment or in `production.env_file`",
            );
        }
        Some(FileSource::File(path)) => match file::bytes(path, MOST_CONTENT) {
            Ok(content) => {
                of_file = Some(path.clone());
                content
            }
            Err(error) => {
                return refuse(
                    format!("`{}` could not be read: {error}", path.display()),
                    "the mirror needs the file that production has, with its secrets replaced",
                );
            }
        },
        _ => {
            return refuse(
                format!("`{name}` is external: the mirror cannot know its content"),
                "give it a `file`, `environment` or `content` in a further compose file",
            );
        }
    };
    let target = uses.target.clone().unwrap_or_else(|| name.clone());
    let target = if target.starts_with('/') {
        target
    } else {
        format!("{folder}{target}")
    };
    let (mode, uid, gid) = match of_file.as_ref().map(std::fs::metadata) {
        // Compose mounts the file itself, whatever rights are written.
        Some(Ok(facts)) => (facts.mode() & 0o7777, u64::from(facts.uid()), u64::from(facts.gid())),
        _ => written_rights(uses),
    };
    Ok(FileInside {
        target,
        content,
        mode,
        uid,
        gid,
        origin: of_file,
        bound: None,
    })
}

/// Of what Compose copies into a container: mode, owner and group.
fn written_rights(uses: &compose::FileMount) -> (u32, u64, u64) {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
    (uses.mode.unwrap_or(0o444), number(&uses.uid), number(&uses.gid))
}

/// Rights are written of what has those of its file.
fn without_written_rights(from: &compose::Service, uses: &compose::FileMount) -> String {
    format!(
        "service `{}`: `uid`, `gid` and `mode` of `{}` do nothing, as with `docker compose`: it has those of its file",
        from.name, uses.source
    )
}

fn memory(text: &str) -> Mount {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    Mount {
        target: target.to_owned(),
        source: Source::Memory(Memory::Options(options.to_owned())),
        read_only: options.split(',').any(|o| o == "ro"),
        volume: VolumeOptions::default(),
    }
}
