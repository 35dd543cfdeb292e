//! The names in a configuration: each is one of production's, or one that the mirror can answer to.

use std::collections::BTreeMap;

use crate::config::settings::{Dump, Host, Restore, Settings, Target};
use crate::mirror::names::fronts::is_borne;
use crate::prepare::candidate::no_such_service;
use crate::prepare::{addresses, fronts};
use crate::world::model::{Service, World};
use crate::yaml::diagnostic::Diagnostic;

/// Every service that the configuration names is one of production's.
pub(super) fn names_exist(
    settings: &Settings,
    world: &World,
    candidates: &BTreeMap<String, Service>,
) -> Result<(), Vec<Diagnostic>> {
    let auth = settings
        .auth
        .iter()
        .flat_map(|auth| auth.services.iter().zip(&auth.service_spans));
    let data = [
        &settings.data.seed,
        &settings.data.verify,
        &settings.data.write,
        &settings.data.verify_write,
    ];
    let bodies = settings
        .suites
        .iter()
        .map(|suite| &suite.body)
        .chain(data.into_iter().flatten())
        .chain(
            settings
                .auth
                .iter()
                .flat_map(|auth| [&auth.rotate, &auth.revoke])
                .flatten(),
        );
    let steps = bodies.flat_map(|body| body.exec.iter().map(|step| (&step.service, &step.service_span)));
    let hosts = settings.production.hosts.iter();
    let hosts = hosts.map(|host| (&host.service, &host.service_span));
    let unknown = auth
        .chain(steps)
        .chain(hosts)
        .filter(|(name, _)| !world.services.contains_key(*name));
    let mut errors: Vec<Diagnostic> = unknown
        .map(|(name, span)| no_such_service(span, name, world.services.keys()))
        .collect();
    errors.extend(restores_have_their_places(settings, world));
    errors.extend(hosts_are_no_services(settings, world));
    errors.extend(issuer_can_be_borne(settings, world));
    errors.extend(open_hosts_are_outside(settings, world));
    errors.extend(addresses::errors(settings, world, candidates));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What is restored goes to a service or a volume of production's, and comes from a service that can be up before.
fn restores_have_their_places(settings: &Settings, world: &World) -> Vec<Diagnostic> {
    let all = settings.data.restore.iter();
    all.filter_map(|restore| source(restore, world).or_else(|| target(restore, world)))
        .collect()
}

fn source(restore: &Restore, world: &World) -> Option<Diagnostic> {
    let Dump::Output {
        service, service_span, ..
    } = &restore.from
    else {
        return None;
    };
    if !world.services.contains_key(service) && restore.into.name() != service {
        return Some(no_such_service(service_span, service, world.services.keys()));
    }
    let Target::Volume(volume) = &restore.into else {
        return None;
    };
    let before = world.with_needs([service.as_str()]);
    let mounts = |name: &&&str| {
        world
            .services
            .get(**name)
            .is_some_and(|service| service.mounts_volume(volume))
    };
    let mounting = before.iter().find(mounts)?;
    let message =
        format!("`{service}` cannot write what `{volume}` gets: `{mounting}` mounts it, and would start before");
    Some(
        Diagnostic::at(service_span, message)
            .help("write it in a service that starts without that volume, or give a file"),
    )
}

fn target(restore: &Restore, world: &World) -> Option<Diagnostic> {
    match &restore.into {
        Target::Service(name) if !world.services.contains_key(name) => {
            Some(no_such_service(&restore.span, name, world.services.keys()))
        }
        Target::Volume(name) if !world.services.values().any(|service| service.mounts_volume(name)) => {
            let known = world
                .volumes
                .iter()
                .map(|volume| format!("`{volume}`"))
                .collect::<Vec<_>>();
            let message = format!("no service of production mounts a volume `{name}`");
            let help = match known.is_empty() {
                true => "production has no named volumes".to_owned(),
                false => format!("production's volumes are {}", known.join(", ")),
            };
            Some(Diagnostic::at(&restore.span, message).help(help))
        }
        Target::Service(_) | Target::Volume(_) => None,
    }
}

/// A host that is a service's own name would lead others past that service, on all its ports.
fn hosts_are_no_services(settings: &Settings, world: &World) -> Vec<Diagnostic> {
    let hosts = settings.production.hosts.iter();
    let services = hosts.filter(|host| world.services.contains_key(&host.name()));
    let error = |host: &Host| {
        let message = format!(
            "`{}` is the name of a service, and no name from outside the Compose file",
            host.name()
        );
        Diagnostic::at(&host.span, message)
            .help("write the name that people use; the service is reached by its own name without this")
    };
    services.map(error).collect()
}

/// An issuer that the mirror has to answer to must be a name: an address cannot be borne.
fn issuer_can_be_borne(settings: &Settings, world: &World) -> Option<Diagnostic> {
    let auth = settings.auth.as_ref()?;
    let url = url::Url::parse(auth.issuer.as_ref()?).ok()?;
    let host = url.host_str()?.to_owned();
    if url.domain().is_some() || world.services.contains_key(&host) {
        return None;
    }
    let message =
        format!("`auth.issuer` has an address (`{host}`) where a name is needed: the mirror has addresses of its own");
    let error = auth.issuer_span.as_ref().map_or_else(
        || Diagnostic::new(message.clone()),
        |span| Diagnostic::at(span, message.clone()),
    );
    Some(error.help("write the name by which production's services know it"))
}

/// A name that the mirror itself answers to cannot lead outside as well.
fn open_hosts_are_outside(settings: &Settings, world: &World) -> Vec<Diagnostic> {
    let fronts = fronts::names(settings, world);
    let policy = &settings.policy;
    let all = policy.allow_egress.iter().zip(&policy.allow_egress_spans);
    let inside =
        all.filter(|(open, _)| is_borne(&open.host, world) || fronts.iter().any(|name| name.host == open.host));
    inside
        .map(|(open, span)| {
            let message = format!(
                "`{}` is a name inside the mirror: it cannot be opened to the outside",
                open.host
            );
            Diagnostic::at(span, message).help("take it out; the mirror's own names are reached without this")
        })
        .collect()
}
