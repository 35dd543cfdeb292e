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

/// The last parts of an image's path, and how its product is spoken to. The names are those under which the products
/// themselves publish (their public image repositories, November 2026).
const BESIDE: [(&str, Speaks); 110] = [
    ("postgres", Speaks::Other),
    ("postgresql", Speaks::Other),
    ("pgvector", Speaks::Other),
    ("postgis", Speaks::Other),
    ("timescaledb", Speaks::Other),
    ("cockroach", Speaks::Other),
    ("mysql", Speaks::Other),
    ("mysql-server", Speaks::Other),
    ("mariadb", Speaks::Other),
    ("percona-server", Speaks::Other),
    ("mssql/server", Speaks::Other),
    ("mongo", Speaks::Other),
    ("mongodb", Speaks::Other),
    ("redis", Speaks::Other),
    ("redis-stack", Speaks::Other),
    ("redis-stack-server", Speaks::Other),
    ("valkey", Speaks::Other),
    ("keydb", Speaks::Other),
    ("dragonfly", Speaks::Other),
    ("memcached", Speaks::Other),
    ("rabbitmq", Speaks::Other),
    ("nats", Speaks::Other),
    ("kafka", Speaks::Other),
    ("cp-kafka", Speaks::Other),
    ("zookeeper", Speaks::Other),
    ("cp-zookeeper", Speaks::Other),
    ("cassandra", Speaks::Other),
    ("scylla", Speaks::Other),
    ("pgbouncer", Speaks::Other),
    ("pgpool", Speaks::Other),
    ("eclipse-mosquitto", Speaks::Other),
    ("emqx", Speaks::Other),
    ("openldap", Speaks::Other),
    ("openldap-alpine", Speaks::Other),
    ("389ds/dirsrv", Speaks::Other),
    ("freeradius", Speaks::Other),
    ("freeradius-server", Speaks::Other),
    ("opentelemetry-collector", Speaks::Other),
    ("opentelemetry-collector-contrib", Speaks::Other),
    ("acme-companion", Speaks::Other),
    ("watchtower", Speaks::Other),
    ("autoheal", Speaks::Other),
    ("docker-socket-proxy", Speaks::Other),
    ("certbot", Speaks::Other),
    ("cloudflared", Speaks::Other),
    ("tailscale", Speaks::Other),
    ("promtail", Speaks::Other),
    ("fluent-bit", Speaks::Other),
    ("fluentd", Speaks::Other),
    ("timberio/vector", Speaks::Other),
    ("filebeat", Speaks::Other),
    ("telegraf", Speaks::Other),
    ("postgres-backup-local", Speaks::Other),
    ("diun", Speaks::Other),
    ("ofelia", Speaks::Other),
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
    ("adminer", Speaks::Http),
    ("prometheus", Speaks::Http),
    ("grafana", Speaks::Http),
    ("gotenberg", Speaks::Http),
    ("openresty", Speaks::Http),
    ("nginx-unprivileged", Speaks::Http),
    ("nginx-proxy-manager", Speaks::Http),
    ("linuxserver/swag", Speaks::Http),
    ("caddy-docker-proxy", Speaks::Http),
    ("varnish", Speaks::Http),
    ("mailpit", Speaks::Http),
    ("mailhog", Speaks::Http),
    ("mailcatcher", Speaks::Http),
    ("maildev", Speaks::Http),
    ("smtp4dev", Speaks::Http),
    ("pgadmin4", Speaks::Http),
    ("pgweb", Speaks::Http),
    ("phpmyadmin", Speaks::Http),
    ("phppgadmin", Speaks::Http),
    ("mongo-express", Speaks::Http),
    ("redis-commander", Speaks::Http),
    ("redisinsight", Speaks::Http),
    ("kafka-ui", Speaks::Http),
    ("portainer", Speaks::Http),
    ("portainer-ce", Speaks::Http),
    ("dozzle", Speaks::Http),
    ("uptime-kuma", Speaks::Http),
    ("node-exporter", Speaks::Http),
    ("cadvisor", Speaks::Http),
    ("alertmanager", Speaks::Http),
    ("blackbox-exporter", Speaks::Http),
    ("postgres-exporter", Speaks::Http),
    ("postgres_exporter", Speaks::Http),
    ("redis_exporter", Speaks::Http),
    ("loki", Speaks::Http),
    ("grafana/tempo", Speaks::Http),
    ("jaegertracing/jaeger", Speaks::Http),
    ("jaegertracing/all-in-one", Speaks::Http),
    ("zipkin", Speaks::Http),
    ("kibana", Speaks::Http),
    ("opensearch-dashboards", Speaks::Http),
    ("mher/flower", Speaks::Http),
];

/// TCP ports at which usual products speak anything but HTTP: the services that IANA's registry of ports has there, and the
/// defaults of the products in [`BESIDE`].
const NO_HTTP: [u16; 78] = [
    20, 21, 22, 23, 25, 53, 88, 110, 111, 119, 135, 139, 143, 179, 389, 445, 465, 514, 587, 636, 749, 853, 873, 990,
    993, 995, 1025, 1194, 1433, 1434, 1521, 1812, 1813, 1883, 2049, 2181, 2525, 2888, 3268, 3269, 3306, 3389, 3478,
    3888, 3890, 4222, 4317, 4369, 5222, 5269, 5432, 5433, 5671, 5672, 5900, 6222, 6360, 6379, 6380, 6432, 6514, 7687,
    8883, 9042, 9092, 9300, 11211, 16379, 18120, 25672, 26257, 26379, 27017, 27018, 27019, 33060, 61613, 61616,
];
/// TCP ports at which HTTP usually is spoken within TLS.
const TLS: [u16; 4] = [443, 4443, 8443, 9443];

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
    let path = Reference::of(&service.image).path;
    let found = BESIDE.iter().find(|(product, _)| is_named(&path, product));
    found.map(|(_, speaks)| *speaks)
}

/// Where a service speaks HTTP, as far as its image and its ports tell: scheme and port, without TLS where there is both.
pub(super) fn http(service: &Service) -> Option<(&'static str, u16)> {
    let reference = Reference::of(&service.image);
    // PHP's process manager speaks FastCGI, at a port of others.
    let is_fpm = reference.tag.as_deref().is_some_and(|tag| tag.contains("fpm"));
    if beside(service) == Some(Speaks::Other) || service.no_network || is_fpm {
        return None;
    }
    let ports = service.ports.iter().copied().filter(|port| !NO_HTTP.contains(port));
    let port = ports.min_by_key(|port| (TLS.contains(port), *port))?;
    Some((if TLS.contains(&port) { "https" } else { "http" }, port))
}

fn is_named(path: &str, product: &str) -> bool {
    let rest = path.strip_suffix(product);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The product that people sign in with which a service is, by its image's name.
pub(super) fn signs_in(service: &Service) -> Option<&'static str> {
    probe::signs_in(&Reference::of(&service.image).path).or_else(|| {
        let path = Reference::of(&service.image).path;
        SIGN_IN.into_iter().find(|product| is_named(&path, product))
    })
}
