//! Names under which people reach production, off the labels and variables of usual fronts.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use super::products;
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
    /// How much of the name is its.
    pub share: Share,
    /// What says so.
    pub because: String,
}

/// How much of a name leads to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All, but for what others have.
    Whole,
    /// Some of its requests: those below a path, for example.
    Part,
}

/// Names of production.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Names, each with the one service that answers.
    pub known: Vec<Host>,
    /// Names for each of which several services answer, and nobody knows which answers most.
    pub shared: Vec<Host>,
}

impl Hosts {
    /// The names, each once. Of several services that of the router that takes all: the mirror's front knows no paths.
    pub(super) fn of(world: &World) -> Self {
        let mut hosts = Self::default();
        let mut all: Vec<((String, u16), Vec<Host>)> = Vec::new();
        for host in world.services.values().flat_map(|service| told(service, world)) {
            let Ok(place) = read::host_place(&host.url) else {
                continue;
            };
            match all.iter_mut().find(|(other, _)| *other == place) {
                // A service is reached by its own name without this.
                None if world.services.contains_key(&place.0) => {}
                None => all.push((place, vec![host])),
                Some((_, same)) => same.push(host),
            }
        }
        for (_, same) in all {
            match same.iter().any(|host| host.share == Share::Whole) {
                true => hosts.add(same.into_iter().filter(|host| host.share == Share::Whole).collect()),
                false => hosts.add(same),
            }
        }
        hosts
    }

    /// At which port a front speaks HTTP to a service.
    pub(super) fn port_of(&self, service: &str) -> Option<u16> {
        let mut all = self.known.iter().chain(&self.shared);
        all.find(|host| host.service == service).map(|host| host.port)
    }

    /// Those who answer alike to one name.
    fn add(&mut self, mut alike: Vec<Host>) {
        alike.dedup_by_key(|host| (host.service.clone(), host.port));
        match alike.len() {
            1 => self.known.append(&mut alike),
            _ => self.shared.append(&mut alike),
        }
    }
}

fn told(service: &Service, world: &World) -> Vec<Host> {
    let by_labels = of_traefik(service).into_iter().chain(of_caddy(service));
    by_labels
        .chain(of_nginx_proxy(service))
        .chain(of_portal(service, world))
        .collect()
}

/// `Host(…)` of a router's rule, as Traefik 2 and 3 read labels.
static RULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Host\(([^)]*)\)").expect("a pattern of ours"));
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[`'\x22]([A-Za-z0-9.-]+)[`'\x22]").expect("a pattern of ours"));

fn of_traefik(service: &Service) -> Vec<Host> {
    let label = |key: &str| service.labels.get(key).map(String::as_str);
    let routers = || {
        let keys = service.labels.iter();
        keys.filter_map(|(key, value)| Some((key.strip_prefix("traefik.http.routers.")?, value)))
    };
    let is_tls = routers().any(|(key, value)| {
        key.contains(".tls") && value != "false" || key.ends_with(".entrypoints") && value.contains("secure")
    });
    let scheme = if is_tls { "https" } else { "http" };
    let port_of = |name: &str| {
        label(&format!("traefik.http.services.{name}.loadbalancer.server.port"))?
            .parse()
            .ok()
    };
    let any = || {
        let mut ports = service.labels.iter();
        ports
            .find(|(key, _)| key.ends_with(".loadbalancer.server.port"))?
            .1
            .parse()
            .ok()
    };
    let of_rule = |(key, rule): (&str, &String)| {
        let router = key.strip_suffix(".rule")?;
        let behind = label(&format!("traefik.http.routers.{router}.service")).unwrap_or(router);
        let lists = RULE.captures_iter(rule).filter_map(|found| found.get(1));
        let names = lists.flat_map(|list| NAME.captures_iter(list.as_str()).filter_map(|found| found.get(1)));
        let names: Vec<&str> = names.map(|name| name.as_str()).collect();
        let because = format!("a label of `{}` for Traefik", service.name);
        let mut hosts = hosts(service, &names, scheme, port_of(behind).or_else(any), &because);
        // Anything else in the rule takes less than the name.
        let share = if rule.contains("&&") { Share::Part } else { Share::Whole };
        hosts.iter_mut().for_each(|host| host.share = share);
        Some(hosts)
    };
    routers().filter_map(of_rule).flatten().collect()
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
    let usual = || products::http(service).map(|(_, port)| port);
    let lowest = || service.ports.iter().min().copied();
    let Some(port) = port.or_else(usual).or_else(lowest) else {
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
        .filter(|url| read::host_place(url).is_ok())
        .filter_map(|url| Url::parse(&url).ok())
        .map(|url| Host {
            url: url.as_str().trim_end_matches('/').to_owned(),
            service: service.name.clone(),
            port,
            share: Share::Whole,
            because: because.to_owned(),
        })
        .collect()
}
