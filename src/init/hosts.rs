//! Names under which people reach production, off the labels and variables of usual fronts.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use crate::world::model::{Service, World};

/// A name, and who answers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `https://shop.example.com`.
    pub url: String,
    /// The service behind it.
    pub service: String,
    /// Its port there.
    pub port: u16,
    /// What says so.
    pub because: String,
}

/// The names, each once.
pub(super) fn found(world: &World) -> Vec<Host> {
    let mut all: Vec<Host> = Vec::new();
    for service in world.services.values() {
        let by_labels = of_traefik(service).into_iter().chain(of_caddy(service));
        let told = by_labels
            .chain(of_nginx_proxy(service))
            .chain(of_portal(service, world));
        for host in told {
            if !all.iter().any(|other| other.url == host.url) {
                all.push(host);
            }
        }
    }
    all
}

/// `Host(…)` of a router's rule, as Traefik 2 and 3 read labels.
static RULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Host\(([^)]*)\)").expect("a pattern of ours"));
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[`'\x22]([A-Za-z0-9.-]+)[`'\x22]").expect("a pattern of ours"));

fn of_traefik(service: &Service) -> Vec<Host> {
    let router = |key: &str| key.starts_with("traefik.http.routers.");
    let labels = || service.labels.iter().filter(move |(key, _)| router(key));
    let is_tls = labels().any(|(key, value)| {
        key.contains(".tls") && value != "false" || key.ends_with(".entrypoints") && value.contains("secure")
    });
    let scheme = if is_tls { "https" } else { "http" };
    let port = service
        .labels
        .iter()
        .find(|(key, _)| key.ends_with(".loadbalancer.server.port"));
    let port = port.and_then(|(_, port)| port.parse().ok());
    let rules = labels().filter(|(key, _)| key.ends_with(".rule"));
    let names = rules.flat_map(|(_, rule)| {
        let hosts = RULE.captures_iter(rule).filter_map(|found| found.get(1));
        hosts.flat_map(|list| NAME.captures_iter(list.as_str()).filter_map(|found| found.get(1)))
    });
    let names: Vec<&str> = names.map(|name| name.as_str()).collect();
    hosts(
        service,
        &names,
        scheme,
        port,
        &format!("a label of `{}` for Traefik", service.name),
    )
}

/// `caddy: shop.example.com`, as caddy-docker-proxy reads labels; Caddy ends TLS by itself.
fn of_caddy(service: &Service) -> Vec<Host> {
    let named = service.labels.get("caddy").map(String::as_str).unwrap_or_default();
    let names: Vec<&str> = named.split([',', ' ']).filter(|name| name.contains('.')).collect();
    hosts(
        service,
        &names,
        "https",
        None,
        &format!("a label of `{}` for Caddy", service.name),
    )
}

/// `VIRTUAL_HOST`, as nginx-proxy reads it; with TLS where its companion gets a certificate.
fn of_nginx_proxy(service: &Service) -> Vec<Host> {
    let said = |name: &str| service.env.get(name).and_then(Option::as_deref);
    let names: Vec<&str> = said("VIRTUAL_HOST").unwrap_or_default().split(',').collect();
    let port = said("VIRTUAL_PORT").and_then(|port| port.parse().ok());
    let is_tls = said("LETSENCRYPT_HOST").is_some() || said("CERT_NAME").is_some();
    let scheme = if is_tls { "https" } else { "http" };
    hosts(
        service,
        &names,
        scheme,
        port,
        &format!("`VIRTUAL_HOST` of `{}`", service.name),
    )
}

/// `DOMAINS: a.example.com -> http://app:3000, …`, as https-portal reads it.
fn of_portal(service: &Service, world: &World) -> Vec<Host> {
    let domains = service
        .env
        .get("DOMAINS")
        .and_then(Option::as_deref)
        .unwrap_or_default();
    let pairs = domains.split(',').filter_map(|pair| pair.split_once("->"));
    let host = |(name, behind): (&str, &str)| {
        let behind = Url::parse(behind.trim()).ok()?;
        let other = world.services.get(behind.host_str()?)?;
        hosts(
            other,
            &[name.trim()],
            "https",
            behind.port_or_known_default(),
            &format!("`DOMAINS` of `{}`", service.name),
        )
        .pop()
    };
    pairs.filter_map(host).collect()
}

/// Only names that stand for one host, and a service whose port is known.
fn hosts(service: &Service, names: &[&str], scheme: &str, port: Option<u16>, because: &str) -> Vec<Host> {
    let Some(port) = port.or_else(|| service.ports.iter().min().copied()) else {
        return Vec::new();
    };
    let names = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| name.contains('.') && !name.contains(['*', '~']));
    names
        .filter_map(|name| Url::parse(&format!("{scheme}://{name}")).ok())
        .map(|url| Host {
            url: url.as_str().trim_end_matches('/').to_owned(),
            service: service.name.clone(),
            port,
            because: because.to_owned(),
        })
        .collect()
}
