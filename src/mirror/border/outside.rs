//! What the agent is told of the world outside: what is open, and where the mirror ends.

use std::collections::BTreeMap;

use anyhow::Result;

use super::door;
use crate::agent::Call;
use crate::agent::client::Client;
use crate::agent::gateway::Inside;
use crate::agent::outside::{Listen, OutsideCall};
use crate::mirror::setup::Setup;
use crate::world::addresses::Subnet;

/// The agent begins to answer for the world outside. Where it cannot, it says so when it is asked who asked.
pub(crate) async fn answer(setup: &Setup, subnets: &BTreeMap<String, Subnet>, agent: &Client) -> Result<()> {
    let listen = Listen {
        allowed: setup.open.iter().map(|open| open.host.clone()).collect(),
        doors: door::addresses(setup, subnets),
        networks: networks(setup, subnets),
    };
    let call = Call::Outside(OutsideCall::Listen(listen));
    agent.call(call).await.map(drop)
}

/// The mirror's networks as the agent sees them; none on an engine on which it hears nothing.
pub(crate) fn networks(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Vec<Inside> {
    let hears = setup.engine.hands_on_unknown_names();
    subnets.values().filter(|_| hears).map(inside).collect()
}

/// A network as the agent in it sees it.
fn inside(subnet: &Subnet) -> Inside {
    let (first, prefix) = subnet.prefix();
    Inside {
        first,
        prefix,
        own: subnet.agent().v4,
        gateway: subnet.gateway_for_agent(),
    }
}
