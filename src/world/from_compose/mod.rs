//! From Compose to the mirror's own model: what is rewritten for a run, what is not mirrored and why, and what is
//! refused because ignoring it would make the mirror lie.

mod build;
mod disguise;
mod limits;
mod mounts;
mod networks;
mod notes;
mod replicas;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use disguise::folder_behind;
use networks::Networks;

use crate::compose::{self, NetworkMode, Project};
use crate::world::model::{Condition, Dependency, Health, Hook, PullPolicy, Restart, Service, VolumesFrom, World};
use crate::world::replica::Replicas;
use crate::yaml::diagnostic::Diagnostic;

/// The world that a project describes.
///
/// # Errors
/// Bind mounts, secrets and seccomp profiles whose files are not there.
pub fn world(project: &Project) -> Result<World, Diagnostic> {
    let mut world = World::default();
    let networks = Networks::of(project);
    world.networks = networks.all(project);
    let volumes = project.volumes.iter();
    let volumes = volumes.filter(|(_, volume)| folder_behind(volume).is_none());
    world.volumes = volumes.map(|(name, _)| name.clone()).collect();
    notes::of_project(project, &mut world.unmirrored);
    for service in project.services.values() {
        if let Some(why) = notes::left_out(service) {
            world
                .unmirrored
                .push(format!("service `{}` is not mirrored: {why}", service.name));
            continue;
        }
        let translated = Reader {
            project,
            networks: &networks,
            notes: &mut world.unmirrored,
            engine_sockets: &mut world.engine_sockets,
        }
        .service(service)?;
        world.services.insert(service.name.clone(), translated);
    }
    let names: Vec<String> = world.services.keys().cloned().collect();
    for service in world.services.values_mut() {
        service
            .depends_on
            .retain(|need| need.optional || names.contains(&need.service));
        service.volumes_from.retain(|from| names.contains(&from.service));
    }
    Ok(world)
}

struct Reader<'a> {
    project: &'a Project,
    networks: &'a Networks,
    notes: &'a mut Vec<String>,
    engine_sockets: &'a mut BTreeSet<String>,
}

impl Reader<'_> {
    fn service(&mut self, from: &compose::Service) -> Result<Service, Diagnostic> {
        replicas::can_be(from)?;
        notes::of_service(from, self.notes);
        if from.use_api_socket {
            self.engine_sockets.insert(from.name.clone());
        }
        let (mounts, files) = self.mounts(from)?;
        Ok(Service {
            name: from.name.clone(),
            image: image_of(self.project, from),
            build: from
                .build
                .as_ref()
                .map(|build| build::build(self.project, &from.span, build)),
            pull_policy: pull_policy(from),
            replicas: Replicas::of(from.replicas()),
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
            networks: self.networks.attachments(from, self.notes),
            shares_network: match &from.network_mode {
                Some(NetworkMode::Service(other)) => Some(other.clone()),
                _ => None,
            },
            no_network: matches!(from.network_mode, Some(NetworkMode::None)),
            mounts,
            volumes_from: volumes_from(from),
            files,
            health: from.healthcheck.as_ref().map(health),
            depends_on: dependencies(from),
            restart: restart(from)?,
            stop_signal: from.stop_signal.clone(),
            stop_grace: from.stop_grace_period,
            ports: ports(from),
            datagram_ports: datagram_ports(from),
            published: published(from).collect(),
            outside: outside(from),
            post_start: from.post_start.iter().map(hook).collect(),
            pre_stop: from.pre_stop.iter().map(hook).collect(),
            limits: limits::limits(self.project, from)?,
        })
    }
}

fn hook(from: &compose::Hook) -> Hook {
    let set = from.environment.iter();
    Hook {
        command: from.command.clone(),
        user: from.user.clone(),
        working_dir: from.working_dir.clone(),
        env: set
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect(),
    }
}

fn volumes_from(from: &compose::Service) -> Vec<VolumesFrom> {
    let of_services = from.volumes_from.iter().filter(|other| !other.container);
    of_services
        .map(|other| VolumesFrom {
            service: other.name.clone(),
            read_only: other.mode.as_deref() == Some("ro"),
        })
        .collect()
}

fn image_of(project: &Project, from: &compose::Service) -> String {
    from.image
        .clone()
        .unwrap_or_else(|| format!("{}-{}", project.name, from.name))
}

fn pull_policy(from: &compose::Service) -> PullPolicy {
    const DAY: Duration = Duration::from_secs(86_400);
    match from.pull_policy.as_deref() {
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        // Of what cannot be built, Compose takes no notice of it.
        Some("build") if from.build.is_some() => PullPolicy::Build,
        Some("refresh") => PullPolicy::Older(Duration::ZERO),
        Some("daily") => PullPolicy::Older(DAY),
        Some("weekly") => PullPolicy::Older(7 * DAY),
        Some(other) => {
            let every = other.strip_prefix("every_").and_then(compose::parse_duration);
            every.map_or(PullPolicy::Missing, PullPolicy::Older)
        }
        None => PullPolicy::Missing,
    }
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

/// A policy of `deploy` takes the place of `restart`, even where it names no condition: then nothing restarts.
fn restart(from: &compose::Service) -> Result<Restart, Diagnostic> {
    let deployed = from.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
    match (deployed, from.restart) {
        (Some(policy), _) => deployed_restart(from, policy),
        (None, None | Some(compose::Restart::No)) => Ok(Restart::No),
        (None, Some(compose::Restart::Always)) => Ok(Restart::Always),
        (None, Some(compose::Restart::UnlessStopped)) => Ok(Restart::UnlessStopped),
        (None, Some(compose::Restart::OnFailure(limit))) => Ok(Restart::OnFailure(limit.map(u64::from))),
    }
}

fn deployed_restart(from: &compose::Service, policy: &compose::RestartPolicy) -> Result<Restart, Diagnostic> {
    match policy.condition.as_deref() {
        None | Some("" | "none" | "no") => Ok(Restart::No),
        Some("any" | "always") => Ok(Restart::Always),
        Some("unless-stopped") => Ok(Restart::UnlessStopped),
        Some("on-failure") => Ok(Restart::OnFailure(policy.max_attempts)),
        Some(other) => {
            let message = format!("`{other}` is not a restart policy: no engine takes it");
            Err(Diagnostic::at(&from.span, message)
                .help("`deploy.restart_policy.condition` is one of `none`, `on-failure`, `any`, `unless-stopped`"))
        }
    }
}

fn ports(from: &compose::Service) -> Vec<u16> {
    let exposed = from
        .expose
        .iter()
        .filter_map(|text| text.strip_suffix("/tcp").unwrap_or(text).parse().ok());
    published(from).chain(exposed).collect()
}

fn datagram_ports(from: &compose::Service) -> Vec<u16> {
    let published = from.ports.iter().filter(|port| port.protocol == "udp");
    let published = published.map(|port| port.target);
    let exposed = from
        .expose
        .iter()
        .filter_map(|text| text.strip_suffix("/udp")?.parse().ok());
    published.chain(exposed).collect()
}

fn outside(from: &compose::Service) -> Vec<(u16, u16)> {
    let of = |port: &compose::Port| Some((port.published.as_ref()?.parse().ok()?, port.target));
    from.ports.iter().filter_map(of).collect()
}

fn published(from: &compose::Service) -> impl Iterator<Item = u16> {
    from.ports
        .iter()
        .filter(|port| port.protocol == "tcp")
        .map(|port| port.target)
}
