//! Answers: what has no health check may run long before it listens, so the front pages of the addresses that the
//! configuration names are asked until they answer. A service with a health check is ready when that says so, and is not asked.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;
use url::Url;

use super::Rehearsal;
use crate::agent::wait::{Awaited, WaitCall};
use crate::agent::{Answer, Call};
use crate::check::ground::Expected;
use crate::check::question::front_pages;
use crate::mirror::Mirror;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind, Waited};
use crate::text::units::millis;
use crate::world::replica::Replica;

/// A release that answers, but not as the baseline does, is taken as ready after this.
const OTHER_ANSWER: Duration = Duration::from_secs(5);

/// An answer to a question with a limit may come so much later.
const AT_MOST_LATER: Duration = Duration::from_secs(2);

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
    let silent = tokio::select! {
        done = join_all(waits) => done.into_iter().flatten().next(),
        Some(crashed) = crashes.next() => return Err(Box::new(crashed)),
    };
    if let Some(replica) = silent {
        let waited = Waited {
            allowed: budget,
            took: budget.saturating_sub(patience) + begun.elapsed().min(patience),
        };
        return Err(Box::new(mirror.failure(&replica, ServiceFailureKind::NotReady(waited))));
    }
    if let Some((url, good)) = &expected.probe {
        let settled = WaitCall::Http {
            url: url.clone(),
            statuses: vec![*good],
            deadline_ms: millis(SETTLED.min(patience)),
        };
        // What stays bad is for the suites and the probe to tell.
        let _settled = mirror.agent().call(Call::Wait(settled)).await;
    }
    Ok(())
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
        let others = front_pages(self.settings).into_iter();
        let others = others.filter(|url| probe.as_ref().is_none_or(|probe| place(probe) != place(url)));
        probe.iter().cloned().chain(others).collect()
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

/// The container that does not answer, if one does not. Of several each is asked for a connection, because the answer is
/// one's only.
async fn silent(mirror: &Mirror, service: &str, url: &Url, good: Option<u16>, patience: Duration) -> Option<Replica> {
    let begun = Instant::now();
    let all = mirror.containers_of(service);
    if !answers(mirror, url, good, patience).await {
        return all.into_iter().next().map(|running| running.replica);
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let left = patience.saturating_sub(begun.elapsed());
    let connects = all.into_iter().filter(|running| running.replica.is_numbered());
    let connects = connects.map(|running| async move {
        // Behind a name of production's another port may be the service's own.
        let is_own = url.host_str() == Some(service);
        // Without the agent that has no answer, and what became of it is asked by whoever hears of it.
        let ports = [port];
        let accepts = timeout(left + AT_MOST_LATER, mirror.accepts(&running, &ports, left)).await;
        (is_own && !accepts.unwrap_or_default()).then_some(running.replica)
    });
    join_all(connects).await.into_iter().flatten().next()
}

/// With a known good status: that one for a while, then any.
async fn answers(mirror: &Mirror, url: &Url, good: Option<u16>, patience: Duration) -> bool {
    let ask = |statuses: Vec<u16>, deadline: Duration| {
        let call = WaitCall::Http {
            url: url.to_string(),
            statuses,
            deadline_ms: millis(deadline),
        };
        async move {
            matches!(
                mirror.agent().call(Call::Wait(call)).await,
                Ok(Answer::Awaited(Awaited { after_ms: Some(_), .. }))
            )
        }
    };
    if let Some(good) = good
        && ask(vec![good], OTHER_ANSWER.min(patience)).await
    {
        return true;
    }
    ask(Vec::new(), patience).await
}
