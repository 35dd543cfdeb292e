//! A first suite: what health checks ask anyway, front pages, and what an OpenAPI file promises.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::path::PathBuf;

use super::hosts::Hosts;
use super::openapi;
use super::products;
use super::release::Release;
use super::secrets::Secrets;
use super::seen::Seen;
use crate::check::question::health_url;
use crate::world::model::{Condition, Service, World};

/// Suites in the making.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Smoke {
    /// Requests, in order.
    pub requests: Vec<Step>,
    /// Commands inside containers, in order.
    pub commands: Vec<Step>,
    /// What is not written down.
    pub left_out: Vec<LeftOut>,
    /// Services of the release that nothing here asks.
    pub unasked: Vec<String>,
    /// The OpenAPI file that some of it is from.
    pub openapi: Option<PathBuf>,
    /// What that promises, where nobody can tell who keeps it.
    pub promised: Option<Promised>,
}

/// What one of several services may keep.
#[derive(Debug, PartialEq, Eq)]
pub struct Promised {
    /// The file that says so.
    pub file: PathBuf,
    /// The services, each with its port.
    pub by: Vec<String>,
    /// What they would be asked.
    pub steps: Vec<Step>,
}

/// A step that would tell what must not be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The service whose health check says it.
    pub service: String,
    /// The variable that it would tell.
    pub variable: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it says in reports.
    pub name: String,
    /// The service that it asks.
    pub service: String,
    /// What it does there.
    pub asks: Asks,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// A GET that is answered well.
    Get(String),
    /// A GET that is answered with this status.
    GetExactly(String, u16),
    /// A GET of a front page, which may also send people elsewhere, or to the sign-in.
    FrontPage(String),
    /// A command that ends well.
    Command(Vec<String>),
}

impl Asks {
    /// All that is written down of it.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Get(url) | Self::GetExactly(url, _) | Self::FrontPage(url) => vec![url.clone()],
            Self::Command(words) => words.clone(),
        }
    }

    /// The address that it asks.
    pub(super) fn url(&self) -> Option<&str> {
        match self {
            Self::Get(url) | Self::GetExactly(url, _) | Self::FrontPage(url) => Some(url),
            Self::Command(_) => None,
        }
    }

    /// The variable that it would tell. With stand-ins a health check may say something else: then all of it counts.
    fn told<'a>(&self, service: &Service, hosts: &Hosts, secrets: &'a Secrets) -> Option<&'a str> {
        secrets.told_by(service, &self.texts(), |replaced| match step(replaced, hosts) {
            Some(step) if discriminant(&step.asks) == discriminant(self) => step.asks.texts(),
            _ => health_test(replaced).to_vec(),
        })
    }
}

impl Smoke {
    pub(super) fn of(seen: &Seen<'_>, release: &Release, hosts: &Hosts) -> Self {
        let mut smoke = Self::default();
        let running = seen
            .world
            .services
            .values()
            .filter(|service| !ends_by_itself(seen.world, service));
        let running: Vec<&Service> = running.collect();
        let of_release = release.services();
        // What drives the engine had better be left out.
        let is_left = |name: &str| seen.world.engine_sockets.contains(name) && !of_release.contains(name);
        for service in running.iter().filter(|service| !is_left(&service.name)) {
            let Some(step) = step(service, hosts) else { continue };
            match step.asks.told(service, hosts, seen.secrets) {
                Some(variable) => smoke.left_out.push(LeftOut {
                    service: step.service,
                    variable: variable.to_owned(),
                }),
                None if matches!(step.asks, Asks::Command(_)) => smoke.commands.push(step),
                None => smoke.requests.push(step),
            }
        }
        let of_release_running = running.iter().filter(|service| of_release.contains(&*service.name));
        let by = of_release_running.filter_map(|service| Some((service.name.as_str(), http(service, hosts)?)));
        smoke.promise(seen, &by.collect::<Vec<_>>());
        let asked: BTreeSet<&str> = smoke
            .requests
            .iter()
            .chain(&smoke.commands)
            .map(|step| step.service.as_str())
            .collect();
        let unasked = running
            .iter()
            .filter(|service| of_release.contains(&*service.name) && !asked.contains(&*service.name));
        smoke.unasked = unasked.map(|service| service.name.clone()).collect();
        smoke
    }

    /// What the OpenAPI file promises, asked of the service of the release that speaks HTTP, where that is one.
    fn promise(&mut self, seen: &Seen<'_>, by: &[(&str, (&str, u16))]) {
        let Some(promises) = openapi::found(seen.folder) else {
            return;
        };
        let steps = |service: &str, front: &str| {
            let step = |(path, status): &(String, u16)| Step {
                name: format!("{path} is as promised"),
                service: service.to_owned(),
                asks: Asks::GetExactly(format!("{front}{path}"), *status),
            };
            promises.gets.iter().map(step).collect::<Vec<_>>()
        };
        match by {
            [] => {}
            [(service, (scheme, port))] => {
                self.requests
                    .extend(steps(service, &format!("{scheme}://{service}:{port}")));
                self.openapi = Some(promises.file);
            }
            several => {
                self.promised = Some(Promised {
                    by: several
                        .iter()
                        .map(|(name, (_, port))| format!("{name}:{port}"))
                        .collect(),
                    steps: steps("SERVICE", "http://SERVICE:PORT"),
                    file: promises.file,
                });
            }
        }
    }
}

/// One that others wait for the end of.
fn ends_by_itself(world: &World, service: &Service) -> bool {
    let mut needs = world.services.values().flat_map(|other| &other.depends_on);
    needs.any(|need| need.service == service.name && need.condition == Condition::Completed)
}

fn step(service: &Service, hosts: &Hosts) -> Option<Step> {
    let host = service.shares_network.as_deref().unwrap_or(&service.name);
    let test = health_test(service);
    let (name, asks) = if let Some(url) = health_url(test, host).filter(|_| !service.no_network) {
        (format!("{} is healthy", service.name), Asks::Get(url))
    } else if let Some(command) = command(test) {
        (
            format!("{} is healthy by its own check", service.name),
            Asks::Command(command),
        )
    } else {
        let (scheme, port) = http(service, hosts)?;
        let page = format!("{scheme}://{host}:{port}/");
        (format!("{} serves its front page", service.name), Asks::FrontPage(page))
    };
    Some(Step {
        name,
        service: service.name.clone(),
        asks,
    })
}

fn health_test(service: &Service) -> &[String] {
    let health = service.health.as_ref();
    health.map(|health| health.test.as_slice()).unwrap_or_default()
}

fn command(test: &[String]) -> Option<Vec<String>> {
    match test {
        [kind, words @ ..] if kind == "CMD" && !words.is_empty() => Some(words.to_vec()),
        [kind, line] if kind == "CMD-SHELL" => Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]),
        _ => None,
    }
}

/// Where a service speaks HTTP: what a front is told of it, else what it says itself.
fn http(service: &Service, hosts: &Hosts) -> Option<(&'static str, u16)> {
    let told = hosts.port_of(&service.name).filter(|_| !service.no_network);
    told.map(|port| ("http", port)).or_else(|| products::http(service))
}
