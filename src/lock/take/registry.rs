//! Production's images as their registries have them now: digests, and no more. For what cannot be entered.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use futures_util::future::try_join_all;

use super::options::{FactSource, TakeOptions};
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::pull::credentials::Keyring;
use crate::lock::facts::ServiceFacts;
use crate::text::redact::Redactor;

/// Asks for the digest of every image that production's files name. The engine asks, with the
/// credentials of this machine's logins.
///
/// # Errors
/// No configuration says what production's images are, or a registry does not answer.
pub(super) async fn read(
    from: &FactSource,
    options: &TakeOptions,
    context: &Context,
) -> Result<BTreeMap<String, ServiceFacts>> {
    let asked = |service: &&String| from.services.is_empty() || from.services.contains(service);
    let images: Vec<(&String, &String)> = options.services.iter().filter(|(service, _)| asked(service)).collect();
    if images.is_empty() {
        bail!("no configuration says which images production runs: name one with `--config`");
    }
    let engine = Engine::connect(&Address::find(context)?, &RunLabels::of_none()).await?;
    let keyring = Keyring::read(context, &Redactor::default())?.with_index(engine.index().await);
    let all = images.into_iter().map(|(service, image)| {
        let (engine, keyring) = (&engine, &keyring);
        async move {
            let asked = engine.registry_digest(image, keyring).await;
            let digest = asked.map_err(|failure| anyhow!("`{service}`: {failure}; {}", failure.help()))?;
            let facts = ServiceFacts {
                image: Some(image.clone()),
                digest: Some(digest),
                ..ServiceFacts::default()
            };
            Ok::<_, anyhow::Error>((service.clone(), facts))
        }
    });
    Ok(try_join_all(all).await?.into_iter().collect())
}
