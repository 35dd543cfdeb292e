//! Limits and rights.

use crate::compose::{self, Project};
use crate::world::model::Limits;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file;

/// A namespace of the host or of a container outside the project.
pub fn is_outside(mode: &str) -> bool {
    mode == "host" || mode.starts_with("container:")
}

/// A runtime that every engine has.
pub fn is_everywhere(runtime: &str) -> bool {
    matches!(runtime, "runc" | "io.containerd.runc.v2")
}

/// A security option that refers to what only production's host has, or opens this machine.
pub fn is_of_the_host(option: &str) -> bool {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match name {
        "apparmor" | "seccomp" => value == "unconfined" || name == "apparmor" && value != "docker-default",
        "systempaths" | "label" => true,
        _ => false,
    }
}

/// Security options as the engine wants them: `name=value`, and a seccomp profile's text instead of its path.
fn security(project: &Project, from: &compose::Service) -> Result<Vec<String>, Diagnostic> {
    let kept = from.security_opt.iter().filter(|option| !is_of_the_host(option));
    let translated = kept.map(|option| match option.split_once(['=', ':']) {
        Some(("seccomp", path)) if path != "builtin" => {
            let file = project.directory.join(path);
            let profile = file::text(&file).map_err(|error| {
                let message = format!("the seccomp profile `{}` could not be read: {error}", file.display());
                Diagnostic::at(&from.span, message).help("the mirror needs the profile that production has")
            })?;
            Ok(format!("seccomp={profile}"))
        }
        Some((name, value)) => Ok(format!("{name}={value}")),
        None => Ok(option.clone()),
    });
    translated.collect()
}

/// Limits and rights of a service; what would give it more of this machine than a container has is left out.
pub fn limits(project: &Project, from: &compose::Service) -> Result<Limits, Diagnostic> {
    let security_opt = security(project, from)?;
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
    Ok(Limits {
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
        security_opt,
        group_add: from.group_add.clone(),
        read_only: from.read_only,
        privileged: false,
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
        ipc: from.ipc.clone().filter(|mode| !is_outside(mode)),
        pid: from.pid.clone().filter(|mode| !is_outside(mode)),
        oom_score_adj: from.limits.oom_score_adj,
        oom_kill_disable: from.limits.oom_kill_disable.then_some(true),
        swappiness: from.limits.memory_swappiness,
        runtime: from.runtime.clone().filter(|runtime| is_everywhere(runtime)),
        // `${DOCKER_PLATFORM:-}` names none where nobody sets it.
        platform: from.platform.clone().filter(|platform| !platform.is_empty()),
    })
}
