//! Products that stand beside a release: whose image is one of these is hardly what a repository releases.

use crate::engine::pull::reference::Reference;
use crate::lock::probe;
use crate::world::model::Service;

/// How a product is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP.
    Http,
    /// Something else.
    Other,
}

/// The last part of an image's path, and how its product is spoken to. The names are those under which the products
/// themselves publish (their public image repositories, November 2026).
const BESIDE: [(&str, Speaks); 40] = [
    ("postgres", Speaks::Other),
    ("postgresql", Speaks::Other),
    ("pgvector", Speaks::Other),
    ("postgis", Speaks::Other),
    ("timescaledb", Speaks::Other),
    ("mysql", Speaks::Other),
    ("mariadb", Speaks::Other),
    ("mongo", Speaks::Other),
    ("mongodb", Speaks::Other),
    ("redis", Speaks::Other),
    ("valkey", Speaks::Other),
    ("keydb", Speaks::Other),
    ("dragonfly", Speaks::Other),
    ("memcached", Speaks::Other),
    ("rabbitmq", Speaks::Other),
    ("nats", Speaks::Other),
    ("kafka", Speaks::Other),
    ("cp-kafka", Speaks::Other),
    ("zookeeper", Speaks::Other),
    ("cassandra", Speaks::Other),
    ("pgbouncer", Speaks::Other),
    ("eclipse-mosquitto", Speaks::Other),
    ("elasticsearch", Speaks::Http),
    ("opensearch", Speaks::Http),
    ("clickhouse-server", Speaks::Http),
    ("meilisearch", Speaks::Http),
    ("minio", Speaks::Http),
    ("nginx", Speaks::Http),
    ("httpd", Speaks::Http),
    ("traefik", Speaks::Http),
    ("caddy", Speaks::Http),
    ("haproxy", Speaks::Http),
    ("envoy", Speaks::Http),
    ("https-portal", Speaks::Http),
    ("nginx-proxy", Speaks::Http),
    ("acme-companion", Speaks::Other),
    ("adminer", Speaks::Http),
    ("prometheus", Speaks::Http),
    ("grafana", Speaks::Http),
    ("gotenberg", Speaks::Http),
];

/// Products that people sign in with, beside those that a lock's probe knows.
const SIGN_IN: [&str; 9] = [
    "casdoor",
    "freeipa",
    "fusionauth",
    "hydra",
    "kratos",
    "lldap",
    "logto",
    "pocket-id",
    "zitadel",
];

/// The product that an image is, where it is one of these.
pub(super) fn beside(service: &Service) -> Option<Speaks> {
    let name = last(service)?;
    let found = BESIDE.iter().find(|(product, _)| *product == name);
    found.map(|(_, speaks)| *speaks)
}

/// The product that people sign in with which a service is, by its image's name.
pub(super) fn signs_in(service: &Service) -> Option<&'static str> {
    probe::signs_in(&Reference::of(&service.image).path).or_else(|| {
        let name = last(service)?;
        SIGN_IN.into_iter().find(|product| *product == name)
    })
}

fn last(service: &Service) -> Option<String> {
    let path = Reference::of(&service.image).path;
    path.rsplit('/').next().map(str::to_owned)
}
