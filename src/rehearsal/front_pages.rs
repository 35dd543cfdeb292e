//! Front pages: what has no health check may run long before it listens, so the front pages of the addresses that the
//! configuration names are asked until they answer. A service with a health check is ready when that says so, and is not asked.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use url::Url;

use super::Rehearsal;
use crate::agent::wait::{Awaited, WaitCall};
use crate::agent::{Answer, Call};
use crate::check::ground::Expected;
use crate::check::question::front_pages;
use crate::config::settings::SignInBy;
use crate::mirror::Mirror;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind, Waited};
use crate::mirror::names::several::Asked;
use crate::record::release::Role;
use crate::text::units::millis;
use crate::world::replica::Replica;

/// A release that answers, but not as the baseline does, is taken as ready after this.
const OTHER_ANSWER: Duration = Duration::from_secs(5);

/// After a swap others may hold connections to what is gone: until the probe is answered well again, at most this.
const SETTLED: Duration = Duration::from_secs(10);

/// Waits until those of the services that have no health check answer. What does not answer at all is returned as a
/// failure.
pub(super) async fn wait(
    mirror: &Mirror,
    expected: &Expected,
    patience: Duration,
    budget: Duration,
) -> Result<(), Box<ServiceFailure>> {
    let begun = Instant::now();
    let is_asked = |service: &String| {
        let running = mirror.container_of(service);
        expected.services.contains(service) && running.is_some_and(|running| !mirror.has_health_check(&running))
    };
    let is_named = |service: &String| expected.addresses.iter().any(|(named, _)| named == service);
    let asked = expected.addresses.iter().filter(|(service, _)| is_asked(service));
    let waits = asked.map(|(service, url)| async move {
        let good = expected.good_of(url);
        silent(mirror, service, url, good, patience).await
    });
    let containers = expected
        .services
        .iter()
        .flat_map(|service| mirror.containers_of(service));
    let mut crashes: FuturesUnordered<_> = containers.map(|running| mirror.crash_of(running)).collect();
    // Production's others are waited for whatever becomes of one that nobody asks.
    let ends_the_wait = |name: &String| mirror.role_of(name) == Role::Candidate || is_named(name);
    let (mut waits, mut bystander) = (std::pin::pin!(join_all(waits)), None);
    let silent = loop {
        tokio::select! {
            done = &mut waits => break done.into_iter().flatten().next(),
            Some(crashed) = crashes.next() => {
                if ends_the_wait(&crashed.replica.service) {
                    return Err(Box::new(crashed));
                }
                bystander.get_or_insert(crashed);
            }
        }
    };
    if let Some(replica) = silent {
        let waited = Waited {
            allowed: budget,
            took: budget.saturating_sub(patience) + begun.elapsed().min(patience),
        };
        return Err(Box::new(mirror.failure(&replica, ServiceFailureKind::NotReady(waited))));
    }
    if let Some((url, good)) = &expected.probe {
        let within = SETTLED.min(patience);
        let settled = asked_at(mirror, url).into_iter().map(|asked| async move {
            // What stays bad is for the suites and the probe to tell.
            let _settled = gives(mirror, url, &asked, vec![*good], within).await;
        });
        join_all(settled).await;
    }
    bystander.map_or(Ok(()), |crashed| Err(Box::new(crashed)))
}

impl Rehearsal<'_> {
    /// What must answer before tests are run; `probe` is what is asked and the status that the baseline gives.
    pub(super) fn expected(&self, services: Vec<String>, probe: Option<(String, u16)>) -> Expected {
        let named = |url: Url| Some((self.service_at(&url)?, url));
        Expected {
            services,
            addresses: self.addresses(probe.as_ref()).into_iter().filter_map(named).collect(),
            probe,
        }
    }

    /// What is asked of every address that the configuration names, the probe's first.
    fn addresses(&self, probe: Option<&(String, u16)>) -> Vec<Url> {
        let probe = probe.and_then(|(url, _)| Url::parse(url).ok());
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        let others = front_pages(self.settings).into_iter().chain(self.directory());
        let others = others.filter(|url| probe.as_ref().is_none_or(|probe| place(probe) != place(url)));
        probe.iter().cloned().chain(others).collect()
    }

    /// The configuration asks something of it.
    pub(super) fn is_addressed(&self, name: &str) -> bool {
        let addresses = self.addresses(None);
        addresses
            .iter()
            .any(|url| self.service_at(url).as_deref() == Some(name))
    }

    /// The directory with which users sign in, where they do.
    fn directory(&self) -> Option<Url> {
        match &self.settings.auth.as_ref()?.login.as_ref()?.by {
            SignInBy::Ldap(directory) => Url::parse(&format!("ldap://{}:{}", directory.host, directory.port)).ok(),
            _ => None,
        }
    }

    /// The service that bears the host's name, or stands behind it.
    fn service_at(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?;
        let mut hosts = self.settings.production.hosts.iter();
        if let Some(named) = hosts.find(|named| named.name() == host) {
            return Some(named.service.clone());
        }
        let services = self.candidate.services.values().chain(self.world.services.values());
        let mut bearers = services.filter(|service| {
            let mut aliases = service.networks.values().flat_map(|attachment| &attachment.aliases);
            service.name == host || aliases.any(|name| name == host)
        });
        bearers.next().map(|service| service.name.clone())
    }
}

/// How each of the containers is asked that answer a URL: by itself where it can be.
fn asked_at(mirror: &Mirror, url: &str) -> Vec<Asked> {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let several = mirror.several_at(&host.unwrap_or_default());
    match several.first() {
        Some(Asked::Alone { .. }) => several,
        Some(Asked::InTurn) | None => vec![Asked::InTurn],
    }
}

/// The container that does not answer, if one does not.
async fn silent(mirror: &Mirror, service: &str, url: &Url, good: Option<u16>, patience: Duration) -> Option<Replica> {
    let each = asked_at(mirror, url.as_str()).into_iter().map(|asked| async move {
        let answers = answers(mirror, url.as_str(), &asked, good, patience).await;
        (!answers).then_some(asked)
    });
    match join_all(each).await.into_iter().flatten().next()? {
        Asked::Alone { replica, .. } => Some(replica),
        Asked::InTurn => mirror.container_of(service).map(|running| running.replica),
    }
}

/// With a known good status: that one for a while, then any.
async fn answers(mirror: &Mirror, url: &str, asked: &Asked, good: Option<u16>, patience: Duration) -> bool {
    if let Some(good) = good
        && gives(mirror, url, asked, vec![good], OTHER_ANSWER.min(patience)).await
    {
        return true;
    }
    gives(mirror, url, asked, Vec::new(), patience).await
}

/// One of these statuses, or any where none is named, within that time.
async fn gives(mirror: &Mirror, url: &str, asked: &Asked, statuses: Vec<u16>, within: Duration) -> bool {
    let deadline_ms = millis(within);
    let reached_at = asked.reached_at().map(str::to_owned);
    let call = match directory_at(url) {
        // Whoever listens there answers.
        Some((host, port)) => WaitCall::Tcp {
            host: reached_at.unwrap_or(host),
            ports: vec![port],
            deadline_ms,
        },
        None => WaitCall::Http {
            url: url.to_owned(),
            reached_at,
            statuses,
            deadline_ms,
        },
    };
    matches!(
        mirror.agent().call(Call::Wait(call)).await,
        Ok(Answer::Awaited(Awaited { after_ms: Some(_), .. }))
    )
}

fn directory_at(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "ldap")?;
    Some((url.host_str()?.to_owned(), url.port()?))
}
