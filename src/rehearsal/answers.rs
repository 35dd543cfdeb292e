//! Answers: what has no health check may run long before it listens, so the addresses that the configuration names are
//! asked until they answer. A service with a health check is ready when that says so, and is not asked.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use url::Url;

use super::{Rehearsal, probe};
use crate::agent::wait::{Awaited, WaitCall};
use crate::agent::{Answer, Call};
use crate::check::ground::Expected;
use crate::config::settings::{RequestStep, SuiteBody};
use crate::mirror::Mirror;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::text::units::millis;

/// What production's release may take to answer at all; the suites tell the rest.
pub(super) const FIRST_ANSWER: Duration = Duration::from_secs(30);
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
    let is_asked = |service: &String| {
        let running = mirror.container_of(service);
        expected.services.contains(service) && running.is_some_and(|running| !mirror.has_health_check(&running))
    };
    let asked = expected.addresses.iter().filter(|(service, _)| is_asked(service));
    let waits = asked.map(|(service, url)| async move {
        let good = expected.good_of(url);
        (answers(mirror, url, good, patience).await, service)
    });
    let crashes = expected
        .services
        .iter()
        .map(|service| Box::pin(mirror.crash_of(service)));
    let silent = tokio::select! {
        done = join_all(waits) => done.into_iter().find(|(answered, _)| !answered).map(|(_, service)| service),
        (crashed, ..) = select_all(crashes), if !expected.services.is_empty() => return Err(Box::new(crashed)),
    };
    if let Some(service) = silent {
        return Err(Box::new(mirror.failure(service, ServiceFailureKind::NotReady(budget))));
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
            addresses: self.addresses().into_iter().filter_map(named).collect(),
            probe,
        }
    }

    /// Every address that a suite, the sign-in or the probe names in full; each host and port once, the probe's first.
    fn addresses(&self) -> Vec<Url> {
        let data = &self.settings.data;
        let data = [&data.seed, &data.verify, &data.write, &data.verify_write]
            .into_iter()
            .flatten();
        let bodies = self.settings.suites.iter().map(|suite| &suite.body).chain(data);
        let login = self.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
        let login = login
            .into_iter()
            .flat_map(|login| [login.start.clone(), login.expect.get.clone()]);
        let all = probe::url(self.settings)
            .into_iter()
            .chain(bodies.flat_map(texts))
            .chain(login);
        let mut seen = BTreeSet::new();
        let parsed = all
            .filter(|text| !text.contains("{{"))
            .filter_map(|text| Url::parse(&text).ok());
        parsed
            .filter(|url| seen.insert((url.host_str().map(str::to_owned), url.port_or_known_default())))
            .collect()
    }

    /// The service that bears the host's name.
    fn service_at(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?;
        let services = self.candidate.values().chain(self.world.services.values());
        let mut bearers = services.filter(|service| {
            let mut aliases = service.networks.values().flat_map(|attachment| &attachment.aliases);
            service.name == host || aliases.any(|name| name == host)
        });
        bearers.next().map(|service| service.name.clone())
    }
}

fn texts(body: &SuiteBody) -> Vec<String> {
    let steps = body
        .requests
        .iter()
        .filter_map(|step: &RequestStep| probe::absolute(&step.url, body.target.as_deref()));
    steps.chain(body.target.clone()).collect()
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
