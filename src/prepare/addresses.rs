//! Hosts and ports of the URLs that are asked inside the mirror: what cannot be answered there is known before anything
//! runs.

use std::collections::BTreeMap;

use url::{Host, Url};

use crate::config::settings::{Address, Settings};
use crate::prepare::fronts;
use crate::world::model::{Service, World};
use crate::yaml::diagnostic::{Diagnostic, nearest};

/// Addresses that lead to the agent itself, and names that nothing in the mirror bears.
pub(super) fn errors(settings: &Settings, world: &World, candidates: &BTreeMap<String, Service>) -> Vec<Diagnostic> {
    let known = known(settings, world, candidates);
    let wrong = settings.addresses.iter().filter_map(|address| {
        let host = host_of(address)?;
        if is_oneself(&host) {
            return Some(oneself(address, &host, settings, world));
        }
        let Host::Domain(name) = host else { return None };
        let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(&name));
        (!is_known).then(|| nobody(address, &name, &known))
    });
    wrong.collect()
}

/// Addresses that ask a service at the port by which production publishes it: inside the mirror it listens on its own.
pub(super) fn notes(settings: &Settings, world: &World) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let published = settings
        .addresses
        .iter()
        .filter_map(|address| published_in(&Url::parse(&address.url).ok()?, world));
    for note in published {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

fn published_in(url: &Url, world: &World) -> Option<String> {
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let bears = |service: &&Service| service.names().any(|name| name.eq_ignore_ascii_case(host));
    let service = world.services.values().find(bears)?;
    if service.ports.contains(&port) {
        return None;
    }
    let (_, own) = service.outside.iter().find(|(outside, _)| *outside == port)?;
    Some(format!(
        "`{host}:{port}` asks at the port that production publishes: inside the mirror `{host}` listens on {own}"
    ))
}

/// Every name that is answered to in the mirror, or led outside from it.
fn known(settings: &Settings, world: &World, candidates: &BTreeMap<String, Service>) -> Vec<String> {
    let services = world.services.values().chain(candidates.values());
    let fronts = fronts::names(settings, world).into_iter().map(|name| name.host);
    let open = settings.policy.allow_egress.iter().map(|open| open.host.clone());
    let borne = services.flat_map(Service::names).cloned();
    let mut known: Vec<String> = borne.chain(fronts).chain(open).collect();
    known.sort();
    known.dedup();
    known
}

/// The host, where it is written out.
fn host_of(address: &Address) -> Option<Host<String>> {
    let url = Url::parse(&address.url).ok()?;
    let host = url.host()?.to_owned();
    // A name that is filled in while a suite runs cannot be known.
    let is_filled_in = matches!(&host, Host::Domain(name) if name.contains(['{', '%']));
    (!is_filled_in).then_some(host)
}

fn is_oneself(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unspecified(),
    }
}

fn oneself(address: &Address, host: &Host<String>, settings: &Settings, world: &World) -> Diagnostic {
    let message = format!("`{host}` is inside the mirror the agent that asks, and no service");
    let mut changed = settings.replaced.iter().filter_map(|name| world.services.get(name));
    let example = changed.next().or_else(|| world.services.values().next());
    let example = example.map_or_else(String::new, |service| {
        let port = service.ports.first().copied().unwrap_or(80);
        format!(", as in `http://{}:{port}`", service.name)
    });
    Diagnostic::at(&address.span, message).help(format!(
        "write the service's name and the port on which it listens in its container{example}"
    ))
}

fn nobody(address: &Address, name: &str, known: &[String]) -> Diagnostic {
    let near = nearest(name, known.iter().map(String::as_str));
    let way_out = near.map_or_else(
        || {
            format!(
                "the mirror answers to {}; a host outside must stand in policy.allow_egress",
                known.join(", ")
            )
        },
        |near| format!("did you mean `{near}`?"),
    );
    Diagnostic::at(&address.span, format!("nothing in the mirror bears the name `{name}`")).help(way_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_told_from_the_one_that_is_listened_on() {
        let web = Service {
            name: "web".to_owned(),
            ports: vec![80, 8443],
            outside: vec![(8085, 80), (8443, 8443)],
            ..Service::default()
        };
        let world = World {
            services: BTreeMap::from([("web".to_owned(), web)]),
            ..World::default()
        };
        let note = |url: &str| published_in(&Url::parse(url).expect("a URL"), &world);
        assert_eq!(
            note("http://WEB:8085/up").as_deref(),
            Some("`web:8085` asks at the port that production publishes: inside the mirror `web` listens on 80")
        );
        for fine in [
            "http://web/",
            "https://web:8443/",
            "http://web:9000/",
            "http://other:8085/",
        ] {
            assert_eq!(note(fine), None, "{fine}");
        }
    }
}
