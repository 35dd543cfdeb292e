//! An authentication product in production, and a configuration that has no `auth`: the dependency that this whole tool is
//! about, and nobody asks it.

use crate::config::settings::Settings;
use crate::engine::pull::reference::Reference;
use crate::lock::probe::{AUTH_PRODUCTS, signs_in};
use crate::lock::{Lock, ServiceFacts};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;
use crate::world::model::{Service, World};

/// A warning for each service that people sign in with and nobody asks, with the lines to add.
pub fn warnings(settings: &Settings, world: &World, lock: Option<&Lock>) -> Vec<Finding> {
    if settings.auth.is_some() {
        return Vec::new();
    }
    let facts = |service: &Service| lock.and_then(|lock| lock.services.get(&service.name));
    let services = world.services.values();
    services
        .filter_map(|service| Some(warning(&service.name, product(service, facts(service))?)))
        .collect()
}

/// As the lock's probes know it, else by the name of its image.
fn product(service: &Service, facts: Option<&ServiceFacts>) -> Option<&'static str> {
    let is = |name: &&str| facts.is_some_and(|facts| facts.facts.contains_key(*name));
    let probed = AUTH_PRODUCTS.into_iter().find(is);
    probed.or_else(|| signs_in(&Reference::of(&service.image).path))
}

fn warning(service: &str, product: &str) -> Finding {
    let title = format!("`{service}` is {product}, with which people sign in, and the configuration has no `auth`");
    let help = format!(
        "no sign-in is rehearsed: add auth: {{service: {service}, login: {{start: URL, expect: URL, username: NAME, password: \
         WORD}}}}"
    );
    Finding::new(CheckId::Control, StageId::Control, Blame::Nobody, title)
        .about(service.to_owned())
        .detail("no-auth")
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::finding::Severity;

    fn product_of(image: &str, facts: &[&str]) -> Option<&'static str> {
        let service = Service {
            name: "idp".to_owned(),
            image: image.to_owned(),
            ..Service::default()
        };
        let known = facts.iter().map(|name| ((*name).to_owned(), "1".to_owned()));
        let own = ServiceFacts {
            facts: known.collect(),
            ..ServiceFacts::default()
        };
        product(&service, Some(&own))
    }

    #[test]
    fn a_product_is_known_by_a_probe_or_by_its_images_name() {
        assert_eq!(product_of("acme/login:1", &["openldap"]), Some("openldap"));
        assert_eq!(product_of("quay.io/keycloak/keycloak:18", &[]), Some("keycloak"));
        assert_eq!(product_of("ghcr.io/dexidp/dex:v2.38.0", &[]), Some("dex"));
        assert_eq!(product_of("ghcr.io/goauthentik/server:2025.10", &[]), Some("authentik"));
        assert_eq!(product_of("acme/index:1", &[]), None);
        assert_eq!(product_of("postgres:15", &["postgres"]), None);
    }

    #[test]
    fn the_warning_decides_nothing_and_has_the_lines_to_add() {
        let found = warning("idp", "keycloak");
        assert_eq!(found.severity, Severity::Warn);
        assert!(
            found.help.contains("auth: {service: idp, login: {start:"),
            "{}",
            found.help
        );
    }
}
