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

pub use options::{FactSource, SourceKind, TakeOptions};

use crate::context::Context;
use crate::lock::facts::{AuthFacts, Captured, Lock, ServiceFacts};
use crate::lock::probe;

/// Asks production everything.
///
/// # Errors
/// A place does not answer, or answers what no lock can hold: who, and the way out.
pub async fn take(options: &TakeOptions, context: &Context, now: OffsetDateTime) -> Result<Lock> {
    let mut services: BTreeMap<String, ServiceFacts> = BTreeMap::new();
    for from in &options.from {
        let read = match &from.kind {
            SourceKind::Docker(name) => docker::read(name.as_deref(), from, options, context).await,
            SourceKind::Exec(prefix) => exec::read(prefix, from, options).await,
            SourceKind::Registry => registry::read(from, options, context).await,
        };
        for (name, facts) in read.with_context(|| format!("{from}"))? {
            merge(services.entry(name).or_default(), facts);
        }
    }
    let mut auth = match &options.issuer {
        Some(issuer) => Some(auth::read(issuer, options.ca.as_deref()).await?),
        None => None,
    };
    if let Some(product) = product(&services, &options.auth) {
        auth.get_or_insert_with(AuthFacts::default).product = Some(product);
    }
    let from = options
        .from
        .iter()
        .map(FactSource::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    let captured = Captured {
        at: now,
        from,
        by: format!("rehearsal {}", env!("CARGO_PKG_VERSION")),
    };
    Ok(Lock {
        captured,
        probes: options.probes.clone(),
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
