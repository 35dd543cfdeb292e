//! From Compose to the mirror's own model: what is rewritten for a run, what is not mirrored and why, and what is
//! refused because ignoring it would make the mirror lie.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::model::{
    Build, Condition, Dependency, FileInside, Health, Limits, Mount, Network, Restart, Service, Source, World,
};
use crate::config::compose::{self, FileSource, MountKind, NetworkMode, Project};
use crate::config::diagnostic::Diagnostic;

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

/// The world that a project describes.
///
/// # Errors
/// Keys that are valid but cannot be mirrored yet, and bind mounts and secrets whose files are not there.
pub fn world(project: &Project) -> Result<World, Diagnostic> {
    let mut world = World::default();
    for (name, network) in &project.networks {
        world.networks.insert(
            name.clone(),
            Network {
                ipv6: network.enable_ipv6 == Some(true),
            },
        );
        if network.external {
            world.unmirrored.push(format!(
                "network `{name}` is external in production; the mirror has one of its own"
            ));
        }
    }
    for (name, volume) in &project.volumes {
        world.volumes.push(name.clone());
        if volume.external {
            world.unmirrored.push(format!(
                "volume `{name}` is external in production; the mirror starts with an empty one"
            ));
        }
    }
    for service in project.services.values() {
        let translated = Reader {
            project,
            notes: &mut world.unmirrored,
        }
        .service(service)?;
        world.services.insert(service.name.clone(), translated);
    }
    Ok(world)
}

struct Reader<'a> {
    project: &'a Project,
    notes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn service(&mut self, from: &compose::Service) -> Result<Service, Diagnostic> {
        refuse_unbuilt(from)?;
        self.remark(from);
        let (mut mounts, mut files) = self.mounts(from)?;
        mounts.extend(from.tmpfs.iter().map(|text| memory(text)));
        files.extend(self.objects(from, true)?);
        files.extend(self.objects(from, false)?);
        Ok(Service {
            name: from.name.clone(),
            image: image_of(self.project, from),
            build: from.build.as_ref().map(build),
            command: from.command.clone(),
            entrypoint: from.entrypoint.clone(),
            env: from
                .environment
                .iter()
                .filter(|(_, value)| value.is_some())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            labels: from.labels.clone(),
            user: from.user.clone(),
            working_dir: from.working_dir.clone(),
            hostname: from.hostname.clone(),
            domainname: from.domainname.clone(),
            networks: networks(from),
            shares_network: match &from.network_mode {
                Some(NetworkMode::Service(other)) => Some(other.clone()),
                _ => None,
            },
            no_network: matches!(from.network_mode, Some(NetworkMode::None)),
            mounts,
            files,
            health: from.healthcheck.as_ref().map(health),
            depends_on: dependencies(from),
            restart: restart(from),
            stop_signal: from.stop_signal.clone(),
            stop_grace: from.stop_grace_period,
            ports: ports(from),
            limits: limits(from),
        })
    }

    fn remark(&mut self, from: &compose::Service) {
        let name = &from.name;
        let mut note = |wanted: bool, text: &str| {
            if wanted {
                self.notes.push(format!("service `{name}`: {text}"));
            }
        };
        note(from.replicas() > 1, "its replicas are mirrored by one container");
        note(
            !from.devices.is_empty() || !from.gpus.is_empty(),
            "its devices are not mirrored: this machine has none to give",
        );
        note(
            !from.dns.is_empty(),
            "its DNS servers are not mirrored: the mirror cannot reach them",
        );
        note(
            from.networks
                .values()
                .any(|network| network.ipv4_address.is_some() || network.ipv6_address.is_some()),
            "its fixed addresses are not mirrored: each run has its own subnets",
        );
        note(
            from.logging.is_some(),
            "its logging driver is not mirrored: the gate reads logs itself",
        );
        note(from.blkio.is_some(), "its block I/O limits are not mirrored");
        note(
            from.cgroup_parent.is_some() || from.cgroup.is_some(),
            "its cgroup is not mirrored",
        );
        note(
            from.userns_mode.is_some() || from.uts.is_some(),
            "its user and UTS namespaces are not mirrored",
        );
        note(!from.storage_opt.is_empty(), "its storage options are not mirrored");
        note(!from.annotations.is_empty(), "its annotations are not mirrored");
        note(from.mac_address.is_some(), "its MAC address is not mirrored");
    }

    fn mounts(&mut self, from: &compose::Service) -> Result<(Vec<Mount>, Vec<FileInside>), Diagnostic> {
        let (mut mounts, mut files) = (Vec::new(), Vec::new());
        for mount in &from.mounts {
            let source = match mount.kind {
                MountKind::Volume => mount.source.clone().map_or(Source::Anonymous, Source::Volume),
                MountKind::Tmpfs => Source::Memory {
                    size: mount
                        .tmpfs
                        .as_ref()
                        .and_then(|options| options.size)
                        .and_then(|size| u64::try_from(size).ok()),
                    mode: mount.tmpfs.as_ref().and_then(|options| options.mode),
                },
                MountKind::Bind => match self.bind(from, mount)? {
                    Bound::Folder(source) => source,
                    Bound::File(file) => {
                        files.push(file);
                        continue;
                    }
                    Bound::Nothing => continue,
                },
                _ => {
                    return Err(unbuilt(
                        &mount.span,
                        &format!("mounts of type `{}`", mount.kind.as_str()),
                    ));
                }
            };
            mounts.push(Mount {
                target: mount.target.clone(),
                source,
                read_only: mount.read_only,
            });
        }
        Ok((mounts, files))
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
        let Ok(facts) = std::fs::metadata(&path) else {
            let creates = mount.bind.as_ref().is_none_or(|options| options.create_host_path);
            if creates {
                self.notes.push(format!(
                    "service `{}`: `{text}` is not on this machine; the mirror has an empty folder",
                    from.name
                ));
                return Ok(Bound::Folder(Source::Anonymous));
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
            return Ok(Bound::Folder(Source::Folder(path)));
        }
        let content = std::fs::read(&path)
            .map_err(|error| Diagnostic::at(&mount.span, format!("`{text}` could not be read: {error}")))?;
        Ok(Bound::File(FileInside {
            target: mount.target.clone(),
            content,
            mode: facts.mode() & 0o7777,
            uid: u64::from(facts.uid()),
            gid: u64::from(facts.gid()),
            origin: Some(path),
        }))
    }

    /// Secrets (or configs) as files.
    fn objects(&self, from: &compose::Service, secrets: bool) -> Result<Vec<FileInside>, Diagnostic> {
        let (uses, known, folder) = if secrets {
            (&from.secrets, &self.project.secrets, "/run/secrets/")
        } else {
            (&from.configs, &self.project.configs, "/")
        };
        uses.iter()
            .map(|uses| object(uses, known.get(&uses.source), folder))
            .collect()
    }
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
    let mut origin = None;
    let content = match known.map(|object| &object.source) {
        Some(FileSource::Content(text)) => text.clone().into_bytes(),
        Some(FileSource::Environment { value: Some(value), .. }) => value.clone().into_bytes(),
        Some(FileSource::Environment { variable, value: None }) => {
            return refuse(
                format!("`{name}` comes from `{variable}`, which is not set"),
                "set it in the environment or in `production.env_file`",
            );
        }
        Some(FileSource::File(path)) => match std::fs::read(path) {
            Ok(content) => {
                origin = Some(path.clone());
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
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
    Ok(FileInside {
        target,
        content,
        mode: uses.mode.unwrap_or(0o444),
        uid: number(&uses.uid),
        gid: number(&uses.gid),
        origin,
    })
}

fn unbuilt(span: &crate::config::yaml::Span, what: &str) -> Diagnostic {
    Diagnostic::at(span, format!("{what}: valid, but not built yet"))
        .help("leave it out of what Rehearsal reads, e.g. with `!reset` in a further compose file")
}

fn refuse_unbuilt(from: &compose::Service) -> Result<(), Diagnostic> {
    let mode = match &from.network_mode {
        Some(mode @ (NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Other(_))) => Some(mode.to_string()),
        _ => None,
    };
    if let Some(mode) = mode {
        return Err(unbuilt(
            &from.span,
            &format!("`network_mode: {mode}` of service `{}`", from.name),
        ));
    }
    let build = from.build.as_ref();
    let keys = [
        ("post_start", !from.post_start.is_empty()),
        ("pre_stop", !from.pre_stop.is_empty()),
        ("volumes_from", !from.volumes_from.is_empty()),
        ("provider", from.provider.is_some()),
        ("models", !from.models.is_empty()),
        ("use_api_socket", from.use_api_socket),
        ("credential_spec", from.credential_spec.is_some()),
        ("isolation", from.isolation.is_some()),
        ("links", !from.links.is_empty()),
        ("external_links", !from.external_links.is_empty()),
        (
            "build.additional_contexts",
            build.is_some_and(|build| !build.additional_contexts.is_empty()),
        ),
        ("build.secrets", build.is_some_and(|build| !build.secrets.is_empty())),
        ("build.ssh", build.is_some_and(|build| !build.ssh.is_empty())),
    ];
    match keys.iter().find(|(_, used)| *used) {
        Some((key, _)) => Err(unbuilt(&from.span, &format!("`{key}` of service `{}`", from.name))),
        None => Ok(()),
    }
}

fn image_of(project: &Project, from: &compose::Service) -> String {
    from.image
        .clone()
        .unwrap_or_else(|| format!("{}-{}", project.name, from.name))
}

fn build(from: &compose::Build) -> Build {
    let value = |(name, value): (&String, &Option<String>)| value.clone().map(|value| (name.clone(), value));
    Build {
        context: PathBuf::from(&from.context),
        dockerfile: from.dockerfile.as_ref().map(|file| relative_to(&from.context, file)),
        dockerfile_inline: from.dockerfile_inline.clone(),
        target: from.target.clone(),
        args: from.args.iter().filter_map(value).collect(),
    }
}

fn relative_to(context: &str, file: &str) -> String {
    Path::new(file)
        .strip_prefix(context)
        .map_or_else(|_| file.to_owned(), |inside| inside.display().to_string())
}

/// Its own name, its container name and its aliases, on every network.
fn networks(from: &compose::Service) -> BTreeMap<String, Vec<String>> {
    let own = std::iter::once(from.name.clone()).chain(from.container_name.clone());
    let names = |attachment: &compose::NetworkAttachment| {
        let mut names: Vec<String> = own.clone().chain(attachment.aliases.iter().cloned()).collect();
        names.sort();
        names.dedup();
        names
    };
    from.networks
        .iter()
        .map(|(name, attachment)| (name.clone(), names(attachment)))
        .collect()
}

fn health(from: &compose::Healthcheck) -> Health {
    Health {
        test: if from.disable {
            vec!["NONE".to_owned()]
        } else {
            from.test.clone().unwrap_or_default()
        },
        interval: from.interval,
        timeout: from.timeout,
        retries: from.retries,
        start_period: from.start_period,
        start_interval: from.start_interval,
    }
}

fn dependencies(from: &compose::Service) -> Vec<Dependency> {
    let translated = |(service, need): (&String, &compose::Dependency)| Dependency {
        service: service.clone(),
        condition: match need.condition {
            compose::Condition::Started => Condition::Started,
            compose::Condition::Healthy => Condition::Healthy,
            compose::Condition::CompletedSuccessfully => Condition::Completed,
        },
        restart: need.restart,
        optional: !need.required,
    };
    from.depends_on.iter().map(translated).collect()
}

fn restart(from: &compose::Service) -> Restart {
    let deployed = || from.deploy.as_ref()?.restart_policy.as_ref();
    match (from.restart, deployed()) {
        (Some(compose::Restart::No), _) => Restart::No,
        (Some(compose::Restart::Always), _) => Restart::Always,
        (Some(compose::Restart::UnlessStopped), _) => Restart::UnlessStopped,
        (Some(compose::Restart::OnFailure(limit)), _) => Restart::OnFailure(limit.map(u64::from)),
        (None, Some(policy)) => match policy.condition.as_deref() {
            Some("none") => Restart::No,
            Some("on-failure") => Restart::OnFailure(policy.max_attempts),
            _ => Restart::Always,
        },
        (None, None) => Restart::No,
    }
}

fn ports(from: &compose::Service) -> Vec<u16> {
    let published = from
        .ports
        .iter()
        .filter(|port| port.protocol == "tcp")
        .map(|port| port.target);
    let exposed = from
        .expose
        .iter()
        .filter_map(|text| text.strip_suffix("/tcp").unwrap_or(text).parse().ok());
    published.chain(exposed).collect()
}

fn memory(text: &str) -> Mount {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let option = |name: &str| {
        options
            .split(',')
            .find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    };
    let size = option("size").and_then(bytes);
    let mode = option("mode").and_then(|text| u32::from_str_radix(text, 8).ok());
    Mount {
        target: target.to_owned(),
        source: Source::Memory { size, mode },
        read_only: options.split(',').any(|o| o == "ro"),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn limits(from: &compose::Service) -> Limits {
    let unsigned = |number: Option<i64>| {
        number
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| *number > 0)
    };
    // CPUs have at most nine digits after the point; the engine counts in billionths.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let nano_cpus = from
        .cpu_limit()
        .filter(|cpus| *cpus > 0.0)
        .map(|cpus| (cpus * 1e9).round() as u64);
    Limits {
        memory: unsigned(from.memory_limit()),
        memory_swap: from.limits.memory_swap,
        memory_reservation: unsigned(from.memory_reservation()),
        nano_cpus,
        cpu_shares: unsigned(from.limits.cpu_shares),
        cpu_quota: from.limits.cpu_quota,
        cpu_period: from.limits.cpu_period,
        cpuset: from.limits.cpuset.clone(),
        pids: from.pids_limit(),
        shm_size: unsigned(from.shm_size),
        ulimits: from
            .ulimits
            .iter()
            .map(|(name, limit)| (name.clone(), limit.soft_hard().0, limit.soft_hard().1))
            .collect(),
        sysctls: from.sysctls.clone(),
        cap_add: from.cap_add.clone(),
        cap_drop: from.cap_drop.clone(),
        security_opt: from.security_opt.clone(),
        group_add: from.group_add.clone(),
        read_only: from.read_only,
        privileged: from.privileged,
        init: from.init,
        tty: from.tty,
        stdin_open: from.stdin_open,
        extra_hosts: from
            .extra_hosts
            .iter()
            .flat_map(|(name, all)| all.iter().map(move |address| format!("{name}:{address}")))
            .collect(),
        dns_search: from.dns_search.clone(),
        dns_options: from.dns_opt.clone(),
        ipc: from.ipc.clone(),
        pid: from.pid.clone(),
        oom_score_adj: from.limits.oom_score_adj,
        oom_kill_disable: from.limits.oom_kill_disable.then_some(true),
        runtime: from.runtime.clone(),
        platform: from.platform.clone(),
    }
}
