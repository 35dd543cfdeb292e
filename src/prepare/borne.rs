//! The name of production's that the mirror itself answers to.

use std::sync::Arc;

use anyhow::Result;

use crate::config::settings::Settings;
use crate::lock;
use crate::mirror::authority::Authority;
use crate::mirror::follow;
use crate::mirror::names::{Borne, Name};
use crate::world::model::World;

/// The issuer's name, where no service bears it: answered to by the mirror, for the outermost front of the product.
pub fn borne(settings: &Settings, world: &World, run: &str, lock: Option<&lock::Lock>) -> Result<Option<Borne>> {
    let (Some(name), Some(service)) = (borne_name(settings, world), settings.auth_services().last()) else {
        return Ok(None);
    };
    let authority = if name.tls {
        let production = lock.and_then(|lock| lock.auth.as_ref()?.tls.as_ref());
        let form = production.map(follow::form).unwrap_or_default();
        Some(Arc::new(Authority::new(run, form)?))
    } else {
        None
    };
    Ok(Some(Borne {
        host: name.host,
        port: name.port,
        service: service.clone(),
        authority,
    }))
}

/// The name alone.
pub fn borne_name(settings: &Settings, world: &World) -> Option<Name> {
    let auth = settings.auth.as_ref().filter(|auth| !auth.services.is_empty())?;
    let name = auth.issuer.as_deref().and_then(Name::of)?;
    (!name.is_borne_in(world)).then_some(name)
}
