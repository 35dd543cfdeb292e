//! Readiness: seen from the engine's events and from a probe of our own, never from a fixed sleep.
//!
//! A service with a health check is ready when that check passes: we run the check ourselves as soon as the container
//! runs, because the engine may run it only every half minute. One without is ready when a port it declares accepts a
//! connection, or, when it declares none, when it has started. Exits and `unhealthy` end the wait at once.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::failure::{ServiceFailure, What};
use super::model::{Condition, Restart};
use super::watch::Seen;
use super::{Mirror, Running};
use crate::agent::{Answer, Call};

/// Between two runs of a health check: at least this.
const SHORTEST_PAUSE: Duration = Duration::from_millis(80);
/// … and at most this, for services that take long.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A service that declares ports and listens on none of them is taken as ready after this: images declare ports that
/// a configuration does not use.
const SILENT_PORTS: Duration = Duration::from_secs(15);
/// Exits that are tolerated while something other than the candidate comes up under a restart policy.
const TOLERATED_EXITS: usize = 5;
/// A candidate crashes at its second exit.
const CANDIDATE_EXITS: usize = 2;

impl Mirror {
    /// Waits until a started container is ready. `true`: it was a one-shot and has ended well.
    pub(super) async fn await_ready(&self, running: &Running, limit: Duration) -> Result<bool, ServiceFailure> {
        let mut seen = self.inner.watch.of(&running.id);
        let verdict = tokio::select! {
            ended = self.await_end(running, &mut seen) => ended,
            () = self.await_good(running) => Ok(false),
            () = tokio::time::sleep(limit) => Err(What::NotReady(limit)),
        };
        match verdict {
            Ok(completed) => Ok(completed),
            Err(what) => {
                if matches!(what, What::Exited) {
                    self.logs().settled(&running.id).await;
                }
                Err(self.failure(&running.service.name, what))
            }
        }
    }

    /// Returns when a service has crashed for good; never, if it does not.
    pub async fn crash_of(&self, service: &str) -> ServiceFailure {
        let Some(running) = self.container_of(service) else { return std::future::pending().await };
        let mut seen = self.inner.watch.of(&running.id);
        match self.await_end(&running, &mut seen).await {
            Ok(_) => std::future::pending().await,
            Err(what) => {
                self.logs().settled(&running.id).await;
                self.failure(service, what)
            }
        }
    }

    /// Returns when the container has ended for good, or is unhealthy.
    async fn await_end(&self, running: &Running, seen: &mut watch::Receiver<Seen>) -> Result<bool, What> {
        let service = &running.service;
        let tolerated = match (service.restart, self.is_candidate(&service.name)) {
            (Restart::No, _) => 1,
            (_, true) => CANDIDATE_EXITS,
            (Restart::OnFailure(Some(count)), _) => usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1),
            _ => TOLERATED_EXITS,
        };
        let done = |seen: &Seen| {
            let ended_well = !seen.running && seen.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
            ended_well || seen.ended().count() >= tolerated || seen.healthy == Some(false)
        };
        let Ok(state) = seen.wait_for(done).await.map(|state| state.clone()) else {
            return std::future::pending().await;
        };
        if state.healthy == Some(false) {
            return Err(What::Unhealthy);
        }
        let well = state.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
        if well && self.may_complete(running) { Ok(true) } else { Err(What::Exited) }
    }

    /// Returns when the service is ready to be used; never, if it is not.
    async fn await_good(&self, running: &Running) {
        if self.is_one_shot(&running.service.name) {
            return std::future::pending().await;
        }
        match self.health_command(running) {
            Some((command, pause)) => self.await_health(running, &command, pause).await,
            None => self.await_ports(running).await,
        }
    }

    async fn await_health(&self, running: &Running, command: &[String], longest: Duration) {
        let mut seen = self.inner.watch.of(&running.id);
        let engine_says = async {
            let _healthy = seen.wait_for(|seen| seen.healthy == Some(true)).await;
        };
        let we_see = async {
            let begun = Instant::now();
            loop {
                let asked = Instant::now();
                // A container that is just being restarted cannot be asked: the next question will tell.
                let passed = self.engine().exec(&running.id, command, None).await.is_ok_and(|done| done.exit == 0);
                if passed {
                    return;
                }
                tokio::time::sleep(pause_after(asked.elapsed(), begun.elapsed(), longest)).await;
            }
        };
        tokio::select! {
            () = engine_says => {}
            () = we_see => {}
        }
    }

    async fn await_ports(&self, running: &Running) {
        let service = &running.service;
        let mut ports = self.image(&service.image).ports;
        ports.extend(&service.ports);
        if ports.is_empty() || service.networks.is_empty() {
            return;
        }
        let deadline_ms = SILENT_PORTS.as_millis().try_into().unwrap_or(u64::MAX);
        let call = Call::AwaitTcp { host: service.name.clone(), ports, deadline_ms };
        if !matches!(self.agent().call(call).await, Ok(Answer::Awaited { .. })) {
            std::future::pending().await
        }
    }

    /// The command of the health check in force, and the pause its author thought right; `None` without one.
    fn health_command(&self, running: &Running) -> Option<(Vec<String>, Duration)> {
        let own = running.service.health.clone().unwrap_or_default();
        let image = self.image(&running.service.image).health.unwrap_or_default();
        let test = if own.test.is_empty() { image.test.unwrap_or_default() } else { own.test };
        let interval = own.interval.unwrap_or(LONGEST_PAUSE).max(SHORTEST_PAUSE);
        match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => Some((rest.to_vec(), interval)),
            Some((kind, [line, ..])) if kind == "CMD-SHELL" => {
                Some((["/bin/sh", "-c", line].map(str::to_owned).to_vec(), interval))
            }
            _ => None,
        }
    }

    /// Whether readiness is told by a health check.
    pub fn has_health_check(&self, running: &Running) -> bool {
        self.health_command(running).is_some()
    }

    /// Whether somebody waits for this service to end.
    fn is_one_shot(&self, name: &str) -> bool {
        let waits = |need: &super::model::Dependency| need.service == name && need.condition == Condition::Completed;
        self.world().services.values().any(|service| service.depends_on.iter().any(waits))
    }

    /// Whether ending with 0 is how this service is meant to be: somebody waits for it, or production's release did so.
    fn may_complete(&self, running: &Running) -> bool {
        let name = &running.service.name;
        let did = self.inner.completed.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        self.is_one_shot(name) || did || (!self.is_candidate(name) && !self.has_health_check(running))
    }

    /// Whether the service's present container was put there by a swap.
    fn is_candidate(&self, name: &str) -> bool {
        self.swapped().contains(name)
    }
}

/// With this policy and exit code the engine leaves the container alone.
fn restarts_no_more(policy: Restart, code: i64) -> bool {
    match policy {
        Restart::No => true,
        Restart::OnFailure(_) => code == 0,
        Restart::Always | Restart::UnlessStopped => false,
    }
}

/// Often at first, then as often as a slow service deserves; never so often that asking is all it does.
fn pause_after(question: Duration, waited: Duration, longest: Duration) -> Duration {
    let patient = if waited < Duration::from_secs(10) { SHORTEST_PAUSE } else { LONGEST_PAUSE.min(longest) };
    patient.max(question / 2)
}
