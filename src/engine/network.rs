//! Networks: closed as far as the engine can close them, each in a subnet of this run alone.

use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow};
use bollard::errors::Error as DockerError;
use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters as query;

use super::Engine;
use super::words::engine_words;
use crate::world::addresses::{self, Block, Layout, Subnet};
use crate::world::model::Network;

/// Subnets that are tried for a network, until one is free.
const ADDRESS_TRIES: u32 = 30;

/// How closed a network is, the most telling first: what an engine refuses, it is not asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// What is sent outside arrives at the gateway's address, and the agent takes it. Not `internal`: an engine drops such
    /// frames there. It is as closed all the same: this machine has no address in it, so containers find neither the
    /// machine's ports nor anybody who would carry packets on, and the engine translates nothing to the outside.
    ByAgent,
    /// `internal`, and without an address of this machine. Only there do engines keep IPv6 away from the machine.
    Closed,
    /// `internal`, for engines that do not take Docker's options.
    Plain,
    /// Not the mirror's: ports can be published from it, and nothing in it is translated to the outside.
    Untranslated,
    /// As the engine makes one if it is told nothing: it leads outside.
    Open,
}

/// Who takes what a network's containers send outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gateway {
    /// The agent, where the engine lets it.
    #[default]
    Agent,
    /// Nobody: containers have no way there at all, and the engine drops what is forged for outside. Its machine itself
    /// still takes it: measured on 20.10 and on 28.5, there in the mode `isolated` as well.
    Nobody,
}

/// Where a network leads that is not the mirror's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// To the world outside.
    Outside,
    /// To the ports that are published from it, and no further.
    Nowhere,
}

/// No address of the machine's in a network's IPv4 subnet: else containers reach the machine's own ports there, and
/// what they send outside is swallowed instead of failing. Known to all of Docker's engines since 2018.
const NO_IPV4: (&str, &str) = ("com.docker.network.bridge.inhibit_ipv4", "true");
/// The same for IPv6; engines older than 27.1 pass over it.
const NO_IPV6: (&str, &str) = ("com.docker.network.bridge.gateway_mode_ipv6", "isolated");
/// Nothing is sent outside under the machine's own address.
const UNTRANSLATED: (&str, &str) = ("com.docker.network.bridge.enable_ip_masquerade", "false");

impl Isolation {
    /// The first to ask for.
    fn first(engine: &Engine, subnet_has_v6: bool, gateway: Gateway) -> Self {
        match gateway {
            Gateway::Agent if engine.hands_on_unknown_names && !subnet_has_v6 => Self::ByAgent,
            Gateway::Agent | Gateway::Nobody => Self::Closed,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::ByAgent => Some(Self::Closed),
            Self::Closed => Some(Self::Plain),
            Self::Untranslated => Some(Self::Open),
            Self::Plain | Self::Open => None,
        }
    }

    fn is_internal(self) -> bool {
        matches!(self, Self::Closed | Self::Plain)
    }

    fn options(self, has_v6: bool) -> Option<HashMap<String, String>> {
        let all: &[(&str, &str)] = match self {
            Self::ByAgent => &[NO_IPV4, UNTRANSLATED],
            Self::Closed if has_v6 => &[NO_IPV4, NO_IPV6],
            Self::Closed => &[NO_IPV4],
            Self::Untranslated => &[UNTRANSLATED],
            Self::Plain | Self::Open => return None,
        };
        Some(
            all.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

impl Engine {
    /// Makes a network that has no way out, in a subnet outside `taken` that none of the engine's networks has. Which
    /// those have is asked only where the engine refuses the first choice.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_network(
        &self,
        name: &str,
        layout: &Layout,
        taken: Vec<Block>,
        gateway: Gateway,
    ) -> Result<Subnet> {
        let first = Isolation::first(self, layout.has_v6(), gateway);
        let (subnet, isolation) = self.make_network(name, layout, taken, first).await?;
        Ok(if isolation == Isolation::ByAgent {
            subnet.with_agent_as_gateway()
        } else {
            subnet
        })
    }

    /// A network that is there already: where, and whether the agent is its gateway.
    ///
    /// # Errors
    /// It is not there, or is not of this layout.
    pub async fn find_network(&self, name: &str, layout: &Layout) -> Result<Subnet> {
        let found = self.docker.inspect_network(name, None::<query::InspectNetworkOptions>);
        let found = found.await.map_err(|error| anyhow!("{}", engine_words(&error)))?;
        let configs = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let mut subnets = configs
            .iter()
            .filter_map(|config| config.subnet.as_deref()?.split_once('/'));
        let v4 = subnets
            .clone()
            .find_map(|(first, prefix)| Some((first.parse().ok()?, prefix.parse().ok()?)));
        let v6 = subnets.find_map(|(first, _)| first.parse().ok());
        let subnet = v4.and_then(|(first, prefix)| Subnet::found(layout, first, prefix, v6));
        let subnet = subnet.with_context(|| format!("network `{name}` is not that of today's production"))?;
        Ok(match self.hands_on_unknown_names && found.internal != Some(true) {
            true => subnet.with_agent_as_gateway(),
            false => subnet,
        })
    }

    /// Makes the network in which an entrance or a door stands alone: ports can be published from it, and it leads
    /// outside if that is asked for. Else nothing in it is translated to the outside, where the engine knows how.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_outer_network(&self, name: &str, leads: Leads) -> Result<()> {
        let first = match leads {
            Leads::Outside => Isolation::Open,
            Leads::Nowhere => Isolation::Untranslated,
        };
        let layout = Layout::of(&Network::default(), 1);
        self.make_network(name, &layout, addresses::routes(), first).await?;
        Ok(())
    }

    /// A network as closed as the engine makes one, in a subnet that is free; where it is, and how closed.
    async fn make_network(
        &self,
        name: &str,
        layout: &Layout,
        mut taken: Vec<Block>,
        mut isolation: Isolation,
    ) -> Result<(Subnet, Isolation)> {
        let mut tries = 0;
        loop {
            let subnet = Subnet::choose(layout, &taken, random()?).with_context(|| {
                format!("network `{name}` could not be made: every private subnet is in use on this machine")
            })?;
            let request = NetworkCreateRequest {
                name: name.to_owned(),
                driver: Some("bridge".to_owned()),
                internal: Some(isolation.is_internal()),
                enable_ipv6: layout.has_v6().then_some(true),
                ipam: Some(subnet.ipam()),
                options: isolation.options(layout.has_v6()),
                labels: Some(self.labels(&[])),
                ..Default::default()
            };
            let docker = self.docker.clone();
            let Err(error) = self.finish(async move { docker.create_network(request).await }).await? else {
                return Ok((subnet, isolation));
            };
            tries += 1;
            match isolation.next() {
                _ if tries >= ADDRESS_TRIES => {}
                _ if is_taken(&error) => {
                    taken.push(subnet.block());
                    taken.extend(self.subnets().await?);
                    continue;
                }
                Some(next) => {
                    isolation = next;
                    continue;
                }
                None => {}
            }
            return Err(error).with_context(|| format!("network `{name}` could not be made"));
        }
    }

    /// Subnets of all networks that the engine has.
    async fn subnets(&self) -> Result<Vec<Block>> {
        let networks = self.docker.list_networks(None::<query::ListNetworksOptions>).await?;
        let pools = networks
            .into_iter()
            .filter_map(|network| network.ipam?.config)
            .flatten();
        Ok(pools.filter_map(|pool| Block::parse(&pool.subnet?)).collect())
    }

    /// Attaches a container to a further network.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn connect_network(&self, network: &str, container: &str, endpoint: EndpointSettings) -> Result<()> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(endpoint),
        };
        self.docker
            .connect_network(network, request)
            .await
            .with_context(|| format!("could not join network `{network}`"))
    }
}

fn random() -> Result<[u8; 12]> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(random)
}

/// The subnet is another network's: Docker says "overlaps", or that the gateway is there already where only the range
/// differs; Podman says "already used".
fn is_taken(error: &DockerError) -> bool {
    let words = engine_words(error);
    ["overlap", "failed to allocate gateway", "already used"]
        .iter()
        .any(|sign| words.contains(sign))
}
