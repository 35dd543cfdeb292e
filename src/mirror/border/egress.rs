//! No way out: every container asks the agent for names that the mirror does not bear and sends it what is for addresses
//! outside, and the agent remembers who it was. Here is who that was: the engine names the container behind an address, and the mirror knows what it made.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use anyhow::Result;
use bollard::models::HostConfig;

use super::attempts::{Attempts, Origin, sorted};
use crate::agent::outside::{OutsideAnswer, OutsideCall};
use crate::agent::{Answer, Call};
use crate::engine::network::Gateway;
use crate::mirror::Mirror;
use crate::world::model::Service;

impl Mirror {
    /// Who asked for names outside until now.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn attempts(&self) -> Result<Attempts> {
        let told = match self.agent().call(Call::Outside(OutsideCall::Asked)).await? {
            Answer::Outside(OutsideAnswer::Asked(told)) => told,
            other => anyhow::bail!("the agent answered something else: {other:?}"),
        };
        let made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let raw_unheard = self.raw_unheard(told.raw_unheard.as_deref());
        Ok(Attempts {
            raw_unheard,
            ..sorted(told, &made, &self.own_names())
        })
    }

    /// Networks in which the agent is not the gateway.
    fn raw_unheard(&self, failed: Option<&str>) -> Vec<String> {
        let subnets = self.inner.subnets.iter();
        let deaf: Vec<_> = subnets
            .filter(|(_, subnet)| subnet.gateway_for_agent().is_none())
            .collect();
        let of = |wanted: bool| {
            let names = deaf.iter().filter(|(_, subnet)| subnet.carries_v6() == wanted);
            names
                .map(|(name, _)| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (carrying, other) = (of(true), of(false));
        let sentence = |networks: &str, why: &str| {
            format!("attempts to reach a raw address are refused but not heard in {networks}: {why}")
        };
        let mut all = Vec::new();
        if let Some(why) = failed {
            all.push(sentence(
                "this mirror",
                &format!("the agent cannot take a gateway's address: {why}"),
            ));
        }
        if !carrying.is_empty() {
            all.push(sentence(&carrying, "engines close networks with IPv6 themselves"));
        }
        if !other.is_empty() {
            all.push(sentence(
                &other,
                match self.inner.setup.gateway {
                    Gateway::Agent => "this engine does not leave the gateway's address to the agent",
                    Gateway::Nobody => "`policy.border` closes it",
                },
            ));
        }
        all
    }

    /// Remembers whose container one is, by its name on the engine.
    pub(crate) fn remember(&self, container: &str, service: &str) {
        let origin = Origin {
            service: service.to_owned(),
            role: self.role_of(service),
        };
        let mut made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(container.to_owned(), origin);
    }

    /// Every name that a service of the mirror may have, whether it runs now or not.
    fn own_names(&self) -> BTreeSet<String> {
        let setup = &self.inner.setup;
        let running: Vec<Arc<Service>> = self.running().values().map(|one| Arc::clone(&one.service)).collect();
        setup
            .directory()
            .inside(setup.world.services.values().chain(running.iter().map(AsRef::as_ref)))
    }

    /// What makes a container that lives in `networks` ask the agent. Nothing where it has no network of its own.
    pub(crate) fn ask_the_agent<'n>(&self, networks: impl IntoIterator<Item = &'n String>, host: &mut HostConfig) {
        if !self.engine().hands_on_unknown_names() {
            return;
        }
        let agent = networks
            .into_iter()
            .find_map(|network| self.subnet(network))
            .map(|subnet| subnet.agent().v4);
        let Some(agent) = agent else { return };
        host.dns = Some(vec![agent.to_string()]);
        // Else it would search the domains of this machine.
        host.dns_search.get_or_insert_with(|| vec![".".to_owned()]);
    }
}
