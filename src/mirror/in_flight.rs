//! Requests in flight while a release is stopped: begun before it is told to, and let go when it knows.

use std::time::Duration;

use url::Url;

use super::swap::InFlight;
use super::{Mirror, Running};
use crate::agent::held::{HeldAnswer, HeldCall};
use crate::agent::probe::Question;
use crate::agent::{Answer, Call};

/// The engine tells of the signal; one that does not has sent it by then.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// From the first bytes of a request until the release has taken it up: nobody cuts off what was not begun.
const TAKEN_UP: Duration = Duration::from_millis(200);
/// From the signal until the release has noticed it.
const NOTICED: Duration = Duration::from_millis(200);

/// Requests that wait, by their name.
pub(super) struct Waiting(String);

impl Mirror {
    /// Begins requests at a service, where the question is its.
    pub(super) async fn hold(&self, running: &Running, asks: Option<&Question>) -> Option<Waiting> {
        let Question::Get(url) = asks? else { return None };
        let service = &running.service;
        let host = service.shares_network.as_ref().unwrap_or(&service.name);
        let parsed = Url::parse(url).ok()?;
        if parsed.host_str() != Some(host) {
            return None;
        }
        let begin = HeldCall::Begin {
            held: running.name.clone(),
            url: url.clone(),
            at: self.inner.setup.directory().reached_alone(&running.replica),
        };
        match self.agent().call(Call::Held(begin)).await {
            Ok(Answer::Held(HeldAnswer::Begun(_))) => {
                // On a busy machine a release takes up a while later what has been sent to it.
                tokio::time::sleep(TAKEN_UP).await;
                Some(Waiting(running.name.clone()))
            }
            // A release that takes no request has none in flight.
            _ => None,
        }
    }

    /// Ends them when the service has been told to stop.
    pub(super) async fn let_go(&self, running: &Running, waiting: Option<Waiting>) -> Option<InFlight> {
        let Waiting(held) = waiting?;
        let mut seen = self.inner.watch.of(&running.id);
        let told = seen.wait_for(|seen| !seen.signals.is_empty() || !seen.running);
        // Told or not, it has its signal by then.
        let _told = tokio::time::timeout(TOLD_WITHIN, told).await.is_ok();
        tokio::time::sleep(NOTICED).await;
        match self.agent().call(Call::Held(HeldCall::Finish { held })).await {
            Ok(Answer::Held(HeldAnswer::Ended { begun, completed })) => Some(InFlight { begun, completed }),
            _ => None,
        }
    }
}
