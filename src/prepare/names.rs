//! The names in a configuration: each is one of production's, or one that the mirror can answer to.

use std::collections::BTreeMap;

use crate::config::settings::Settings;
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
        .chain(data.into_iter().flatten());
    let steps = bodies.flat_map(|body| body.exec.iter().map(|step| (&step.service, &step.service_span)));
    let unknown = auth
        .chain(steps)
        .filter(|(name, _)| !world.services.contains_key(*name));
    let mut errors: Vec<Diagnostic> = unknown.map(|(name, span)| no_such_service(span, name, world)).collect();
    errors.extend(issuer_can_be_borne(settings, world));
    errors.extend(open_hosts_are_outside(settings, world));
    errors.extend(addresses::errors(settings, world, candidates));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
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
