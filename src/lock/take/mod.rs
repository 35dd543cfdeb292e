//! Takes a lock: asks production, read-only, wherever it is. One file a source.

mod auth;
mod docker;
mod exec;
mod key_size;
mod options;
mod registry;
mod tls;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use time::OffsetDateTime;

pub use options::{From, Place, Wanted};

use crate::context::Context;
use crate::lock::facts::{AuthFacts, Captured, Lock, ServiceFacts};
use crate::lock::probe;

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
