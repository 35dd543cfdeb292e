//! From a service of the model to what the engine makes a container of.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount as EngineMount,
    MountTmpfsOptions, MountType, MountVolumeOptions, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use crate::engine::image::ImageFacts;
use crate::world::addresses::Subnet;
use crate::world::model::{
    Attachment, Health, HostPath, Limits, Memory, Mount, Restart, Service, Source, VolumeOptions,
};
use crate::world::replica::Replica;

/// Names on the engine that a container refers to.
pub struct EngineNames<'a> {
    /// Network of the world → network on the engine.
    pub network: &'a (dyn Fn(&str) -> String + Sync),
    /// Volume of the world → volume on the engine.
    pub volume: &'a (dyn Fn(&str) -> String + Sync),
    /// Network of the world → its addresses in this run.
    pub subnet: &'a (dyn Fn(&str) -> Option<Subnet> + Sync),
    /// Volume on the engine → where it is on the engine's machine, where parts of it must be mounted by that.
    pub place: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Running service → its container.
    pub container: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Which of its service's containers it is.
    pub replica: &'a Replica,
}

/// The container of a service, attached to its first network only: engines before API 1.44 refuse more at creation.
pub fn body(
    service: &Service,
    image: &ImageFacts,
    names: &EngineNames<'_>,
    labels: HashMap<String, String>,
) -> ContainerCreateBody {
    let first = service.networks.iter().next();
    let mut all_labels: HashMap<String, String> = service.labels.clone().into_iter().collect();
    all_labels.extend(labels);
    ContainerCreateBody {
        image: Some(service.image.clone()),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        env: Some(environment(service)),
        labels: Some(all_labels),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        tty: Some(service.limits.tty),
        open_stdin: Some(service.limits.stdin_open),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service
            .stop_grace
            .map(|grace| i64::try_from(grace.as_secs()).unwrap_or(i64::MAX)),
        healthcheck: service.health.as_ref().map(health),
        networking_config: first.map(|(network, attachment)| {
            let endpoint = endpoint(attachment, (names.subnet)(network).as_ref());
            NetworkingConfig {
                endpoints_config: Some(HashMap::from([((names.network)(network), endpoint)])),
            }
        }),
        host_config: Some(host(service, image, names)),
        ..Default::default()
    }
}

/// How a service is in one network: its names there, and its address where that is fixed.
pub fn endpoint(attachment: &Attachment, subnet: Option<&Subnet>) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(attachment.aliases.clone()),
        links: some(&attachment.links),
        ipam_config: subnet.and_then(|subnet| subnet.fixed(attachment)),
        ..Default::default()
    }
}

fn environment(service: &Service) -> Vec<String> {
    // A bare name takes the variable away, as the engine has it.
    let entry = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    service.env.iter().map(entry).collect()
}

fn host(service: &Service, image: &ImageFacts, names: &EngineNames<'_>) -> HostConfig {
    let limits = &service.limits;
    HostConfig {
        network_mode: Some(network_mode(service, names)),
        mounts: Some(mounts(service, image, names)),
        tmpfs: in_memory(service),
        restart_policy: Some(restart(service.restart)),
        // Whatever driver production logs with, the mirror's logs must be readable.
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::new()),
        }),
        publish_all_ports: Some(false),
        init: limits.init,
        privileged: limits.privileged.then_some(true),
        readonly_rootfs: limits.read_only.then_some(true),
        cap_add: some(&limits.cap_add),
        cap_drop: some(&limits.cap_drop),
        security_opt: some(&limits.security_opt),
        group_add: some(&limits.group_add),
        extra_hosts: some(&limits.extra_hosts),
        dns_search: some(&limits.dns_search),
        dns_options: some(&limits.dns_options),
        sysctls: (!limits.sysctls.is_empty()).then(|| limits.sysctls.clone().into_iter().collect()),
        ipc_mode: limits.ipc.as_deref().map(|mode| namespace(mode, names)),
        pid_mode: limits.pid.as_deref().map(|mode| namespace(mode, names)),
        runtime: limits.runtime.clone(),
        ..resources(limits)
    }
}

fn resources(limits: &Limits) -> HostConfig {
    HostConfig {
        memory: limits.memory.map(signed),
        memory_swap: limits.memory_swap,
        memory_reservation: limits.memory_reservation.map(signed),
        nano_cpus: limits.nano_cpus.map(signed),
        cpu_shares: limits.cpu_shares.map(signed),
        cpu_quota: limits.cpu_quota,
        cpu_period: limits.cpu_period,
        cpuset_cpus: limits.cpuset.clone(),
        pids_limit: limits.pids,
        shm_size: limits.shm_size.map(signed),
        memory_swappiness: limits.swappiness,
        oom_score_adj: limits.oom_score_adj,
        oom_kill_disable: limits.oom_kill_disable,
        ulimits: (!limits.ulimits.is_empty()).then(|| limits.ulimits.iter().map(ulimit).collect()),
        ..Default::default()
    }
}

fn ulimit((name, soft, hard): &(String, i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn namespace(mode: &str, names: &EngineNames<'_>) -> String {
    match mode
        .strip_prefix("service:")
        .and_then(|service| (names.container)(service))
    {
        Some(container) => format!("container:{container}"),
        None => mode.to_owned(),
    }
}

fn network_mode(service: &Service, names: &EngineNames<'_>) -> String {
    if let Some(other) = &service.shares_network {
        return format!("container:{}", (names.container)(other).unwrap_or_default());
    }
    match service.networks.keys().next() {
        Some(network) if !service.no_network => (names.network)(network),
        _ => "none".to_owned(),
    }
}

fn restart(policy: Restart) -> RestartPolicy {
    let (name, count) = match policy {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(limit) => (RestartPolicyNameEnum::ON_FAILURE, limit.map(signed)),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: count,
    }
}

fn health(health: &Health) -> HealthConfig {
    let nanos = |duration: Option<Duration>| duration.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    HealthConfig {
        test: (!health.test.is_empty()).then(|| health.test.clone()),
        interval: nanos(health.interval),
        timeout: nanos(health.timeout),
        retries: health.retries.map(signed),
        start_period: nanos(health.start_period),
        start_interval: nanos(health.start_interval),
    }
}

/// Memory with options of its own: a mount of the engine's knows only two of them.
fn in_memory(service: &Service) -> Option<HashMap<String, String>> {
    let of = |mount: &Mount| match &mount.source {
        Source::Memory(Memory::Options(options)) => Some((mount.target.clone(), options.clone())),
        _ => None,
    };
    let all: HashMap<String, String> = service.mounts.iter().filter_map(of).collect();
    (!all.is_empty()).then_some(all)
}

fn mounts(service: &Service, image: &ImageFacts, names: &EngineNames<'_>) -> Vec<EngineMount> {
    let own = service.mounts.iter().filter_map(|mount| engine_mount(mount, names));
    let taken = |path: &&String| {
        !service
            .mounts
            .iter()
            .any(|mount| mount.target.trim_end_matches('/') == path.trim_end_matches('/'))
    };
    let declared = image.volumes.iter().filter(taken).filter_map(|path| {
        let mount = Mount {
            target: path.clone(),
            source: Source::Anonymous,
            read_only: false,
            volume: VolumeOptions::default(),
        };
        engine_mount(&mount, names)
    });
    own.chain(declared).collect()
}

/// One mount; memory with options of its own is none.
fn engine_mount(mount: &Mount, names: &EngineNames<'_>) -> Option<EngineMount> {
    let base = EngineMount {
        target: Some(mount.target.clone()),
        read_only: mount.read_only.then_some(true),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    };
    let made = match &mount.source {
        Source::Memory(Memory::Options(_)) => return None,
        Source::Memory(Memory::Mount { size, mode }) => EngineMount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: size.map(signed),
                mode: mode.map(i64::from),
                ..Default::default()
            }),
            ..base
        },
        Source::Host(host) => part_of_host(
            host,
            volume_of(names.replica, mount).map(|name| (names.volume)(&name)),
            names,
            base,
        ),
        _ => EngineMount {
            source: volume_of(names.replica, mount).map(|volume| (names.volume)(&volume)),
            volume_options: volume_options(&mount.volume),
            ..base
        },
    };
    Some(made)
}

fn volume_options(said: &VolumeOptions) -> Option<MountVolumeOptions> {
    (*said != VolumeOptions::default()).then(|| MountVolumeOptions {
        no_copy: said.no_copy.then_some(true),
        subpath: said.subpath.clone(),
        ..Default::default()
    })
}

/// What is mounted hides what the image has there, as it does on production's host.
fn part_of_host(host: &HostPath, volume: Option<String>, names: &EngineNames<'_>, base: EngineMount) -> EngineMount {
    let below = host.below.to_string_lossy().into_owned();
    let place = volume.as_deref().filter(|_| !below.is_empty()).and_then(names.place);
    match place {
        Some(place) => EngineMount {
            typ: Some(MountType::BIND),
            source: Some(format!("{place}/{below}")),
            ..base
        },
        None => EngineMount {
            source: volume,
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(true),
                subpath: (!below.is_empty()).then_some(below),
                ..Default::default()
            }),
            ..base
        },
    }
}

/// A volume of the engine at a path.
pub fn volume_mount(volume: &str, target: &str) -> EngineMount {
    EngineMount {
        target: Some(target.to_owned()),
        source: Some(volume.to_owned()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    }
}

/// The world's name of the volume behind a mount; `None` for memory.
pub fn volume_of(replica: &Replica, mount: &Mount) -> Option<String> {
    match &mount.source {
        Source::Volume(name) => Some(name.clone()),
        Source::Anonymous if replica.number == 1 => Some(hashed(&replica.service, &mount.target)),
        // Each replica has its own, and finds it again.
        Source::Anonymous => Some(hashed(
            &replica.service,
            &format!("{} {}", mount.target, replica.number),
        )),
        Source::AnonymousOf(other) => Some(hashed(other, &mount.target)),
        // Services that share a folder of the host share its copy.
        Source::Host(host) => Some(hashed("folder", &host.root.to_string_lossy())),
        Source::Memory { .. } => None,
    }
}

/// A short name that stays the same, so that a swap finds the volume again.
fn hashed(kind: &str, what: &str) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(what.as_bytes());
    format!("{kind}-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_volume_where_it_is_mounted_is_asked_of_the_engine() {
        let replica = Replica::only("web");
        let names = EngineNames {
            network: &|name| name.to_owned(),
            volume: &|name| format!("run-{name}"),
            subnet: &|_| None,
            place: &|_| None,
            container: &|_| None,
            replica: &replica,
        };
        let mount = |volume: VolumeOptions| Mount {
            target: "/data".to_owned(),
            source: Source::Volume("files".to_owned()),
            read_only: false,
            volume,
        };
        let part = VolumeOptions {
            subpath: Some("a/b".to_owned()),
            no_copy: true,
        };
        let asked = engine_mount(&mount(part), &names).unwrap();
        assert_eq!(asked.source.as_deref(), Some("run-files"));
        let options = asked.volume_options.unwrap();
        assert_eq!((options.subpath.as_deref(), options.no_copy), (Some("a/b"), Some(true)));
        let whole = engine_mount(&mount(VolumeOptions::default()), &names).unwrap();
        assert_eq!(whole.volume_options, None);
    }

    #[test]
    fn a_release_that_shows_another_part_of_a_volume_is_another() {
        let of = |part: &str| Service {
            mounts: vec![Mount {
                target: "/data".to_owned(),
                source: Source::Volume("files".to_owned()),
                read_only: false,
                volume: VolumeOptions {
                    subpath: Some(part.to_owned()),
                    no_copy: false,
                },
            }],
            ..Service::default()
        };
        assert!(of("a").stays_for(&of("a")) && !of("a").stays_for(&of("b")));
    }
}
