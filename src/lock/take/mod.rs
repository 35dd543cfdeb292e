//! Takes a lock: asks production, read-only, wherever it is. One file a source.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use time::OffsetDateTime;

use super::{AuthFacts, Captured, Lock, OwnProbe, ServiceFacts, probe};
use crate::context::Context;

pub mod auth;
pub mod docker;
pub mod exec;
pub mod registry;
pub mod tls;

/// Where facts are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A Docker engine, by the name of its context where it is not the usual one.
    Docker(Option<String>),
    /// A command that runs `sh` on a plain server: `ssh web-1`.
    Exec(String),
    /// The registries of production's images.
    Registry,
}

/// `[SERVICE,…=]PLACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// What is read there; empty = whatever is found.
    pub services: Vec<String>,
    /// Where.
    pub place: Place,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "docker" => Ok(Self::Docker(None)),
            None if text == "registry" => Ok(Self::Registry),
            Some(("docker", context)) if !context.is_empty() => Ok(Self::Docker(Some(context.to_owned()))),
            Some(("exec", prefix)) if !prefix.trim().is_empty() => Ok(Self::Exec(prefix.trim().to_owned())),
            _ => Err(format!(
                "`{text}` is no place: there are docker, docker:CONTEXT, exec:'ssh web-1' and registry"
            )),
        }
    }
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(place) = text.parse() {
            return Ok(Self {
                services: Vec::new(),
                place,
            });
        }
        let name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match text.split_once('=') {
            Some((names, place)) if names.split(',').all(name) => Ok(Self {
                services: names.split(',').map(str::to_owned).collect(),
                place: place.parse()?,
            }),
            _ => Err(text.parse::<Place>().err().unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Docker(None) => f.write_str("docker"),
            Place::Docker(Some(context)) => write!(f, "docker context {context}"),
            // The rest of the command line may hold what no file should.
            Place::Exec(prefix) => write!(f, "exec {}", prefix.split_whitespace().next().unwrap_or_default()),
            Place::Registry => f.write_str("registry"),
        }?;
        if self.services.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.services.join(", "))
        }
    }
}

/// What is asked of production.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// In this order; where two know a service, the later adds to the earlier.
    pub from: Vec<From>,
    /// Production's services and their images, as its files have them; empty where no configuration says.
    pub services: BTreeMap<String, String>,
    /// What the candidate replaces: the service that a plain server runs unless somebody says otherwise.
    pub baseline: Vec<String>,
    /// The authentication dependency's services, the product first.
    pub auth: Vec<String>,
    /// The Compose project, where several run on one engine.
    pub project: Option<String>,
    /// The user's own probes.
    pub probes: BTreeMap<String, OwnProbe>,
    /// The issuer whose public endpoints are read.
    pub issuer: Option<String>,
    /// A company's own authority, PEM, for the issuer.
    pub ca: Option<Vec<u8>>,
}

/// Asks production everything.
///
/// # Errors
/// A place does not answer, or answers what no lock can hold: who, and the way out.
pub async fn take(wanted: &Wanted, context: &Context, now: OffsetDateTime) -> Result<Lock> {
    let mut services: BTreeMap<String, ServiceFacts> = BTreeMap::new();
    for from in &wanted.from {
        let read = match &from.place {
            Place::Docker(name) => docker::read(name.as_deref(), from, wanted, context).await,
            Place::Exec(prefix) => exec::read(prefix, from, wanted).await,
            Place::Registry => registry::read(from, wanted, context).await,
        };
        for (name, facts) in read.with_context(|| format!("{from}"))? {
            merge(services.entry(name).or_default(), facts);
        }
    }
    let mut auth = match &wanted.issuer {
        Some(issuer) => Some(auth::read(issuer, wanted.ca.as_deref()).await?),
        None => None,
    };
    if let Some(product) = product(&services, &wanted.auth) {
        auth.get_or_insert_with(AuthFacts::default).product = Some(product);
    }
    let from = wanted.from.iter().map(From::to_string).collect::<Vec<_>>().join("; ");
    let captured = Captured {
        at: now,
        from,
        by: format!("rehearsal {}", env!("CARGO_PKG_VERSION")),
    };
    Ok(Lock {
        captured,
        probes: wanted.probes.clone(),
        services,
        auth,
    })
}

fn merge(service: &mut ServiceFacts, more: ServiceFacts) {
    service.image = more.image.or(service.image.take());
    service.digest = more.digest.or(service.digest.take());
    service.facts.extend(more.facts);
}

/// The product that people sign in with: the authentication dependency's, or else whichever service is one.
fn product(services: &BTreeMap<String, ServiceFacts>, auth: &[String]) -> Option<(String, String)> {
    let of = |service: &ServiceFacts| {
        let name = probe::AUTH_PRODUCTS
            .into_iter()
            .find(|name| service.facts.contains_key(*name))?;
        Some((name.to_owned(), service.facts.get(name)?.clone()))
    };
    match auth.first() {
        Some(first) => of(services.get(first)?),
        None => services.values().find_map(of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_written() {
        let place = |text: &str| text.parse::<From>().map(|from| from.to_string());
        assert_eq!(place("docker").as_deref(), Ok("docker"));
        assert_eq!(place("docker:prod").as_deref(), Ok("docker context prod"));
        assert_eq!(place("exec:ssh -o Port=22 web-1").as_deref(), Ok("exec ssh"));
        assert_eq!(place("web,idp=exec:ssh web-1").as_deref(), Ok("exec ssh (web, idp)"));
        assert_eq!(place("registry").as_deref(), Ok("registry"));
        for wrong in [
            "",
            "docker:",
            "exec:",
            "exec: ",
            "podman",
            "web=",
            "=docker",
            "we b=docker",
            "web=ssh x",
        ] {
            assert!(
                place(wrong).is_err_and(|error| error.contains("is no place")),
                "{wrong}"
            );
        }
    }
}
