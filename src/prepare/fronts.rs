//! The names of production's that the mirror itself answers to.

use std::sync::Arc;

use anyhow::Result;

use crate::config::settings::Settings;
use crate::lock;
use crate::mirror::names::authority::Authority;
use crate::mirror::names::follow;
use crate::mirror::names::fronts::{Front, Name};
use crate::world::model::World;

/// A front for each of the names, all certified by the run's one CA; the issuer's is for the outermost service of the
/// product.
///
/// # Errors
/// The CA could not be made: the machine's doing.
pub fn fronts(settings: &Settings, world: &World, run: &str, lock: Option<&lock::Lock>) -> Result<Vec<Front>> {
    let (names, Some(service)) = (names(settings, world), settings.auth_services().last()) else {
        return Ok(Vec::new());
    };
    let authority = if names.iter().any(|name| name.tls) {
        let production = lock.and_then(|lock| lock.auth.as_ref()?.tls.as_ref());
        let profile = production.map(follow::profile).unwrap_or_default();
        Some(Arc::new(Authority::new(run, profile)?))
    } else {
        None
    };
    let front = |name: Name| Front {
        authority: authority.clone().filter(|_| name.tls),
        service: service.clone(),
        name,
    };
    Ok(names.into_iter().map(front).collect())
}

/// The names alone: the issuer's, where no service bears it.
pub fn names(settings: &Settings, world: &World) -> Vec<Name> {
    let auth = settings.auth.as_ref().filter(|auth| !auth.services.is_empty());
    let issuer = auth.and_then(|auth| Name::of(auth.issuer.as_deref()?));
    issuer.into_iter().filter(|name| !name.is_borne_in(world)).collect()
}
