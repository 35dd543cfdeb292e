//! The world's networks, and where each is in this run.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::future::try_join_all;

use super::setup::Setup;
use crate::world::addresses::{self, Layout, Subnet};
use crate::world::model::Network;

/// Makes all of them.
pub(super) async fn make(setup: &Setup) -> Result<BTreeMap<String, Subnet>> {
    let routes = addresses::routes();
    let made = try_join_all(setup.world.networks.iter().map(|(name, network)| {
        let layout = layout(setup, name, network);
        let on_engine = setup.network(name);
        let taken = routes.clone();
        async move {
            let made = setup.engine.create_network(&on_engine, &layout, taken, setup.gateway);
            Ok::<_, anyhow::Error>((name.clone(), made.await?))
        }
    }));
    Ok(made.await?.into_iter().collect())
}

/// All of them, where they are there already.
pub(super) async fn found(setup: &Setup) -> Result<BTreeMap<String, Subnet>> {
    let found = try_join_all(setup.world.networks.iter().map(|(name, network)| async move {
        let layout = layout(setup, name, network);
        let subnet = setup.engine.find_network(&setup.network(name), &layout).await?;
        Ok::<_, anyhow::Error>((name.clone(), subnet))
    }));
    Ok(found.await?.into_iter().collect())
}

fn layout(setup: &Setup, name: &str, network: &Network) -> Layout {
    let services = setup.world.services.values();
    let inside = services.filter(|service| service.networks.contains_key(name));
    let inside: u32 = inside.map(|service| service.replicas.most).sum();
    // Each may be there twice while it is swapped; the agent and the tests' containers are there too.
    Layout::of(network, 2 * inside as usize + 8)
}
