//! No way out: every container asks the agent for names that the mirror does not bear and sends it what is for addresses
//! outside, and the agent remembers who it was. Here is who that was: the engine names the container behind an address, and the mirror knows what it made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use anyhow::Result;
use bollard::models::HostConfig;

use super::{Mirror, Setup, door};
use crate::agent::client::Client;
use crate::agent::{Answer, Asked, AskedAnswer, Call, Inside, OutsideCall};
use crate::world::addresses::Subnet;
use crate::world::model::Service;

/// Whose container it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    service: String,
    candidate: bool,
}

/// Names that nobody in the mirror bears and that were asked for, and addresses outside that were sought with their ports:
/// service → names, in the order of asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// By the candidate's containers.
    pub candidate: BTreeMap<String, Vec<String>>,
    /// By all others: production's releases.
    pub production: BTreeMap<String, Vec<String>>,
    /// By containers that the engine's DNS does not name.
    pub unknown: Vec<String>,
    /// Further questions, which were too many to remember.
    pub more: u64,
    /// Why nothing can be said on this engine.
    pub unheard: Option<String>,
    /// Where raw addresses are not heard, and why, one sentence each.
    pub raw_unheard: Vec<String>,
}

impl Mirror {
    /// Who asked for names outside until now.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn attempts(&self) -> Result<Attempts> {
        let told = match self.agent().call(Call::Asked).await? {
            Answer::Asked(told) => told,
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
            .filter(|(_, subnet)| subnet.inside().gateway.is_none())
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
                "this engine does not leave the gateway's address to the agent",
            ));
        }
        all
    }

    /// Remembers whose container one is, by its name on the engine.
    pub(super) fn remember(&self, container: &str, service: &str) {
        let origin = Origin {
            service: service.to_owned(),
            candidate: self.swapped().contains(service),
        };
        let mut made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(container.to_owned(), origin);
    }

    /// Every name that a service of the mirror may have, whether it runs now or not.
    fn own_names(&self) -> BTreeSet<String> {
        let setup = &self.inner.setup;
        let running: Vec<Service> = self.running().values().map(|running| running.service.clone()).collect();
        setup
            .world
            .services
            .values()
            .chain(&running)
            .flat_map(Service::names)
            .chain(setup.borne.iter().map(|borne| &borne.host))
            .map(|name| name.to_ascii_lowercase())
            .collect()
    }

    /// What makes a container that lives in `networks` ask the agent. Nothing where it has no network of its own.
    pub(super) fn ask_the_agent<'n>(&self, networks: impl IntoIterator<Item = &'n String>, host: &mut HostConfig) {
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

/// The agent begins to answer for the world outside. Where it cannot, it says so when it is asked who asked.
pub(super) async fn answer_for_outside(
    setup: &Setup,
    subnets: &BTreeMap<String, Subnet>,
    agent: &Client,
) -> Result<()> {
    let call = OutsideCall {
        allowed: setup.open.iter().map(|open| open.host.clone()).collect(),
        doors: door::addresses(setup, subnets),
        networks: networks(setup, subnets),
    };
    agent.call(Call::Outside(call)).await.map(drop)
}

/// The mirror's networks as the agent sees them; none on an engine on which it hears nothing.
pub(super) fn networks(setup: &Setup, subnets: &BTreeMap<String, Subnet>) -> Vec<Inside> {
    let hears = setup.engine.hands_on_unknown_names();
    subnets.values().filter(|_| hears).map(Subnet::inside).collect()
}

fn sorted(told: AskedAnswer, made: &BTreeMap<String, Origin>, own: &BTreeSet<String>) -> Attempts {
    let mut attempts = Attempts {
        more: told.more,
        unheard: told.unheard,
        ..Attempts::default()
    };
    // A service that is stopped has no name on the engine for that while: whoever asks for it stays inside.
    for asked in told.asked.iter().filter(|asked| !own.contains(&asked.name)) {
        let names = match origin(asked, made) {
            Some(Origin {
                service,
                candidate: true,
            }) => attempts.candidate.entry(service.clone()).or_default(),
            Some(Origin { service, .. }) => attempts.production.entry(service.clone()).or_default(),
            // The agent's own questions and those of the tests' containers are the suites'.
            None if asked.by.starts_with("rehearsal-") => continue,
            None => &mut attempts.unknown,
        };
        if !names.contains(&asked.name) {
            names.push(asked.name.clone());
        }
    }
    attempts
}

/// The engine's DNS says `CONTAINER.NETWORK`; both may have dots.
fn origin<'m>(asked: &Asked, made: &'m BTreeMap<String, Origin>) -> Option<&'m Origin> {
    let is = |name: &str| {
        asked
            .by
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut all = made.iter().filter(|(name, _)| is(name));
    all.next_back().map(|(_, origin)| origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(by: &str, name: &str) -> Asked {
        Asked {
            by: by.to_owned(),
            from: [198, 18, 1, 2].into(),
            name: name.to_owned(),
            times: 1,
        }
    }

    fn made() -> BTreeMap<String, Origin> {
        let origin = |service: &str, candidate| Origin {
            service: service.to_owned(),
            candidate,
        };
        [
            ("rehearsal-r-web-1".to_owned(), origin("web", false)),
            ("rehearsal-r-web-10".to_owned(), origin("web", true)),
            ("rehearsal-r-web.internal-2".to_owned(), origin("web.internal", false)),
        ]
        .into()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_attempt_is_the_containers_that_made_it() {
        let told = AskedAnswer {
            asked: vec![
                asked("rehearsal-r-web-1.rehearsal-r-front", "old.example.com"),
                asked("rehearsal-r-web-10.rehearsal-r-front", "new.example.com"),
                asked("rehearsal-r-web-10.rehearsal-r-back", "new.example.com"),
                asked("rehearsal-r-web.internal-2.rehearsal-r-front", "dotted.example.com"),
                asked("rehearsal-r-test-4.rehearsal-r-front", "suite.example.com"),
                asked("", "lost.example.com"),
            ],
            ..AskedAnswer::default()
        };
        let attempts = sorted(told, &made(), &BTreeSet::new());
        assert_eq!(
            attempts.candidate,
            [("web".to_owned(), names(&["new.example.com"]))].into()
        );
        let of_production = [
            ("web".to_owned(), names(&["old.example.com"])),
            ("web.internal".to_owned(), names(&["dotted.example.com"])),
        ];
        assert_eq!(attempts.production, of_production.into());
        assert_eq!(attempts.unknown, ["lost.example.com"]);
    }

    #[test]
    fn a_service_that_is_stopped_is_not_outside() {
        let told = AskedAnswer {
            asked: vec![asked("rehearsal-r-web-10.rehearsal-r-front", "idp")],
            ..AskedAnswer::default()
        };
        let attempts = sorted(told, &made(), &["idp".to_owned()].into());
        assert_eq!(attempts, Attempts::default());
    }
}
