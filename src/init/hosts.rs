//! Names under which people reach production, off the labels and variables of usual fronts.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use crate::config::read;
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
        let place = |host: &Host| read::place(&host.url).ok();
        for host in told {
            let is_new = !all.iter().any(|other| place(other) == place(&host));
            // A service is reached by its own name without this.
            if is_new && place(&host).is_some_and(|(name, _)| !world.services.contains_key(&name)) {
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

/// The port in `{{upstreams 3000}}`.
static UPSTREAM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"upstreams\s+(?:[a-z0-9]+\s+)?(\d+)").expect("a pattern of ours"));

/// `caddy: shop.example.com` and `caddy_1: …`, as caddy-docker-proxy reads labels; Caddy ends TLS by itself.
fn of_caddy(service: &Service) -> Vec<Host> {
    let is_site = |key: &str| match key.strip_prefix("caddy") {
        Some("") => true,
        Some(number) => number
            .strip_prefix('_')
            .is_some_and(|number| number.parse::<u32>().is_ok()),
        None => false,
    };
    let sites = service.labels.iter().filter(|(key, _)| is_site(key));
    let of_site = |(key, named): (&String, &String)| {
        let names: Vec<&str> = named.split([',', ' ']).collect();
        let leads_to = service.labels.get(&format!("{key}.reverse_proxy"));
        let port = leads_to.and_then(|upstream| UPSTREAM.captures(upstream)?.get(1)?.as_str().parse().ok());
        let because = format!("a label of `{}` for Caddy", service.name);
        hosts(service, &names, "https", port, &because)
    };
    sites.flat_map(of_site).collect()
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

/// Only names that `production.hosts` takes, and a service whose port is known.
fn hosts(service: &Service, names: &[&str], scheme: &str, port: Option<u16>, because: &str) -> Vec<Host> {
    let Some(port) = port.or_else(|| service.ports.iter().min().copied()) else {
        return Vec::new();
    };
    let names = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| name.contains('.') && !name.contains(['*', '~']));
    let whole = |name: &str| match name.contains("://") {
        true => name.to_owned(),
        false => format!("{scheme}://{name}"),
    };
    names
        .map(whole)
        .filter(|url| read::place(url).is_ok())
        .filter_map(|url| Url::parse(&url).ok())
        .map(|url| Host {
            url: url.as_str().trim_end_matches('/').to_owned(),
            service: service.name.clone(),
            port,
            because: because.to_owned(),
        })
        .collect()
}
