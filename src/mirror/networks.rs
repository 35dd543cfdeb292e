//! The world's networks, and where each is in this run.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::future::try_join_all;

use super::setup::Setup;
use crate::world::addresses::{self, Layout, Subnet};

/// Makes all of them.
pub(super) async fn make(setup: &Setup) -> Result<BTreeMap<String, Subnet>> {
    let routes = addresses::routes();
    let made = try_join_all(setup.world.networks.iter().map(|(name, network)| {
        let services = setup.world.services.values();
        let inside = services.filter(|service| service.networks.contains_key(name)).count();
        // Each may be there twice while it is swapped; the agent and the tests' containers are there too.
        let layout = Layout::of(network, 2 * inside + 8);
        let on_engine = setup.network(name);
        let taken = routes.clone();
        async move {
            let subnet = setup.engine.create_network(&on_engine, &layout, taken).await?;
            Ok::<_, anyhow::Error>((name.clone(), subnet))
        }
    }));
    Ok(made.await?.into_iter().collect())
}
