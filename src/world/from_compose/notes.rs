//! What production has and the mirror has not, with the reason: one sentence each, in every plan and report.

use crate::compose::{Deploy, Project, Service};
use crate::world::from_compose::disguise::folder_behind;
use crate::world::from_compose::limits::{is_everywhere, is_of_the_host, is_outside};

/// Why a service has no container in the mirror.
pub fn left_out(from: &Service) -> Option<String> {
    if let Some(provider) = &from.provider {
        let kind = &provider.kind;
        return Some(format!(
            "it is no container; the provider `{kind}` makes it outside the engine"
        ));
    }
    (from.replicas() == 0).then(|| "production runs none of it (`scale: 0`)".to_owned())
}

/// Networks, volumes, secrets and configs.
pub fn of_project(project: &Project, notes: &mut Vec<String>) {
    for (name, network) in &project.networks {
        let driver = network.driver.as_deref().unwrap_or("bridge");
        if network.external {
            notes.push(format!(
                "network `{name}` is external in production; the mirror has one of its own"
            ));
        } else if driver != "bridge" && driver != "default" {
            notes.push(format!(
                "network `{name}` has the driver `{driver}` in production; in the mirror it is a closed bridge"
            ));
        }
        if !network.driver_opts.is_empty() {
            notes.push(format!(
                "network `{name}`: its driver's options are not mirrored: they are for production's host"
            ));
        }
        if network.enable_ipv4 == Some(false) {
            notes.push(format!("network `{name}` carries IPv6 only in production; the mirror's carries IPv4 too, for the gate's own requests"));
        }
    }
    for (name, volume) in &project.volumes {
        let driver = volume.driver.as_deref().unwrap_or("local");
        if volume.external {
            notes.push(format!(
                "volume `{name}` is external in production; the mirror starts with an empty one"
            ));
        } else if folder_behind(volume).is_some() {
            continue;
        } else if driver != "local" || !volume.driver_opts.is_empty() {
            notes.push(format!(
                "volume `{name}` is elsewhere in production (driver `{driver}`, options); the mirror starts with an empty one on this machine"
            ));
        }
    }
    for (name, object) in project.secrets.iter().chain(&project.configs) {
        if object.driver.is_some() || object.template_driver.is_some() {
            notes.push(format!(
                "`{name}`: its driver is Swarm's; the mirror has the content as written"
            ));
        }
    }
}

/// One service.
pub fn of_service(from: &Service, notes: &mut Vec<String>) {
    let mut note = |wanted: bool, text: &str| {
        if wanted {
            notes.push(format!("service `{}`: {text}", from.name));
        }
    };
    of_networks(from, &mut note);
    of_rights(from, &mut note);
    of_host(from, &mut note);
    let unused = from.build.as_ref().map(super::build::unused).unwrap_or_default();
    note(
        !unused.is_empty(),
        &format!(
            "of its `build`, {} not done: the mirror builds for this engine alone, and keeps nothing",
            were(&unused)
        ),
    );
    if let Some(deploy) = &from.deploy {
        of_swarm(deploy, &mut note);
    }
    note(
        from.volumes_from.iter().any(|other| other.container),
        "`volumes_from` of a container is not mirrored: that container is no part of production's files",
    );
    note(
        from.logging.is_some(),
        "its logging driver is not mirrored: the gate reads logs itself",
    );
    note(
        !from.models.is_empty(),
        "its models are not mirrored, nor the variables that name them: no model runner is part of the mirror",
    );
    note(
        from.post_start.iter().chain(&from.pre_stop).any(|hook| hook.privileged),
        "its privileged hooks run without further rights: no release is given all rights on this machine",
    );
}

fn of_networks(from: &Service, note: &mut impl FnMut(bool, &str)) {
    use crate::compose::NetworkMode;
    if let Some(mode @ (NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Other(_))) = &from.network_mode {
        let text = format!(
            "`network_mode: {mode}` is not mirrored: it is in all networks of the mirror instead, under its own name; \
             what others publish on the host it reaches there by their names, not on localhost"
        );
        note(true, &text);
    }
    note(
        !from.dns.is_empty(),
        "its DNS servers are not mirrored: the mirror cannot reach them",
    );
    note(
        !from.external_links.is_empty(),
        "its external links are not mirrored: those containers are no part of production's files",
    );
    let mut attachments = from.networks.values();
    note(
        from.mac_address.is_some() || attachments.clone().any(|network| network.mac_address.is_some()),
        "its MAC address is not mirrored: each run has networks and addresses of its own",
    );
    note(
        attachments.any(|network| {
            network.interface_name.is_some() || !network.driver_opts.is_empty() || !network.link_local_ips.is_empty()
        }),
        "names of interfaces, link-local addresses and driver options of its networks are not mirrored: \
         engines before API 1.49 know them not all",
    );
}

fn of_rights(from: &Service, note: &mut impl FnMut(bool, &str)) {
    note(
        from.privileged,
        "`privileged` is not mirrored: no release is given all rights on this machine; name what it needs in `cap_add`",
    );
    note(
        !from.devices.is_empty() || !from.device_cgroup_rules.is_empty(),
        "its devices are not mirrored: no release is given this machine's devices",
    );
    let reserved = from.deploy.as_ref().and_then(|deploy| deploy.reservations.as_ref());
    note(
        !from.gpus.is_empty() || reserved.is_some_and(|reserved| !reserved.devices.is_empty()),
        "its GPUs and reserved devices are not mirrored: this machine has none to give",
    );
    note(
        from.use_api_socket,
        "`use_api_socket` is not mirrored: no release is given this machine's engine",
    );
    note(
        from.credential_spec.is_some() || from.isolation.as_deref().is_some_and(|mode| mode != "default"),
        "its credential spec and isolation are not mirrored: they are for Windows containers",
    );
    for option in from.security_opt.iter().filter(|option| is_of_the_host(option)) {
        note(
            true,
            &format!(
                "the security option `{option}` is not mirrored: it refers to production's host or opens this machine"
            ),
        );
    }
}

fn of_host(from: &Service, note: &mut impl FnMut(bool, &str)) {
    let outside = [
        ("pid", &from.pid),
        ("ipc", &from.ipc),
        ("uts", &from.uts),
        ("userns_mode", &from.userns_mode),
    ];
    for (key, mode) in outside {
        let Some(mode) = mode else { continue };
        let kept = matches!(key, "pid" | "ipc") && !is_outside(mode);
        note(
            !kept,
            &format!(
                "`{key}: {mode}` is not mirrored: a release has namespaces of its own, not this machine's or others'"
            ),
        );
    }
    note(
        from.blkio.is_some(),
        "its block I/O limits are not mirrored: they are for production's disks",
    );
    note(
        from.cgroup_parent.is_some() || from.cgroup.as_deref() == Some("host"),
        "its place among control groups is not mirrored: they are production's host's",
    );
    note(
        !from.storage_opt.is_empty(),
        "its storage options are not mirrored: they are for production's storage driver",
    );
    note(
        !from.annotations.is_empty(),
        "its annotations are not mirrored: they are for production's container runtime",
    );
    if let Some(runtime) = from.runtime.as_deref().filter(|runtime| !is_everywhere(runtime)) {
        note(
            true,
            &format!("its runtime `{runtime}` is not mirrored: it runs in the engine's default one"),
        );
    }
    let limits = &from.limits;
    note(
        limits.cpu_count.is_some() || limits.cpu_percent.is_some(),
        "`cpu_count` and `cpu_percent` are not mirrored: they are for Windows containers",
    );
    note(
        limits.cpu_rt_period.is_some() || limits.cpu_rt_runtime.is_some(),
        "its real-time CPU limits are not mirrored: few kernels have them",
    );
}

/// What Compose itself reads and does not do on one engine.
fn of_swarm(deploy: &Deploy, note: &mut impl FnMut(bool, &str)) {
    let placement = &deploy.placement;
    let placed = !placement.constraints.is_empty()
        || !placement.preferences.is_empty()
        || placement.max_replicas_per_node.is_some();
    let reserved = deploy.reservations.as_ref();
    let policy = deploy.restart_policy.as_ref();
    let used = [
        ("mode", deploy.mode.as_deref().is_some_and(|mode| mode != "replicated")),
        ("endpoint_mode", deploy.endpoint_mode.is_some()),
        ("labels", !deploy.labels.is_empty()),
        ("placement", placed),
        ("update_config", deploy.update_config.is_some()),
        ("rollback_config", deploy.rollback_config.is_some()),
        (
            "restart_policy.delay",
            policy.is_some_and(|policy| policy.delay.is_some()),
        ),
        (
            "restart_policy.window",
            policy.is_some_and(|policy| policy.window.is_some()),
        ),
        (
            "resources.reservations.cpus",
            reserved.is_some_and(|reserved| reserved.cpus.is_some()),
        ),
        (
            "resources.reservations.generic_resources",
            reserved.is_some_and(|reserved| !reserved.generic.is_empty()),
        ),
    ];
    let is_limited = policy.is_some_and(|policy| policy.max_attempts.is_some_and(|most| most > 0));
    let condition = policy.and_then(|policy| policy.condition.as_deref());
    note(
        is_limited && condition.is_some_and(|condition| !matches!(condition, "" | "on-failure")),
        "of `deploy.restart_policy`, `max_attempts` goes with `condition: on-failure` alone: Docker refuses such a \
         container; the mirror leaves the limit out",
    );
    let keys: Vec<String> = used
        .iter()
        .filter(|(_, used)| *used)
        .map(|(key, _)| format!("`{key}`"))
        .collect();
    note(
        !keys.is_empty(),
        &format!(
            "of `deploy`, {} not mirrored: for Swarm, and the mirror is one machine",
            were(&keys)
        ),
    );
}

fn were<T: std::borrow::Borrow<str>>(keys: &[T]) -> String {
    let verb = if keys.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", keys.join(", "))
}
