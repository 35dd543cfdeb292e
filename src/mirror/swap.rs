//! The swap: another release takes a service's place on the same volumes, names and networks. Upgrade and rollback are
//! this one function: it is told which of the two comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::failure::{ServiceFailure, ServiceFailureKind};
use super::{Mirror, Running};
use crate::record::container::ContainerState;
use crate::record::release::Role;
use crate::world::model::Service;

/// The engine's own default when production gives no grace period.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How one service's release gave way to another.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// Service.
    pub service: String,
    /// How the old one went.
    pub stopped: Stopped,
    /// From the new one's start to ready.
    pub ready: Duration,
    /// Exits of the new one on its way up.
    pub exits: usize,
}

/// How a release was stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// From the signal to the end.
    pub took: Duration,
    /// It did not stop by itself within its grace period.
    pub killed: bool,
    /// Its exit code.
    pub exit_code: Option<i64>,
}

/// The time that a swap may take, and from when on it counts.
struct Within {
    budget: Duration,
    clock: Clock,
}

enum Clock {
    /// While the new release comes up: what the old one takes to stop is not the new one's.
    ComingUp { left: Duration },
    /// From the order on: on the way back, what the failed release takes to stop is part of the outage.
    Order { until: Instant },
}

impl Within {
    fn of(budget: Duration, to: Role) -> Self {
        let clock = match to {
            Role::Candidate => Clock::ComingUp { left: budget },
            Role::Baseline => Clock::Order {
                until: Instant::now() + budget,
            },
        };
        Self { budget, clock }
    }

    fn left(&self) -> Duration {
        let left = match self.clock {
            Clock::ComingUp { left } => left,
            Clock::Order { until } => until.saturating_duration_since(Instant::now()),
        };
        left.max(Duration::from_millis(1))
    }

    /// A service took so long to come up.
    fn spend(&mut self, took: Duration) {
        if let Clock::ComingUp { left } = &mut self.clock {
            *left = left.saturating_sub(took);
        }
    }

    /// Says the budget that the user gave, not what was left of it for the last wait.
    fn in_words(&self, mut failure: ServiceFailure) -> Box<ServiceFailure> {
        if let ServiceFailureKind::NotReady(_) = failure.kind {
            failure.kind = ServiceFailureKind::NotReady(self.budget);
        }
        Box::new(failure)
    }
}

impl Mirror {
    /// Puts `releases` in the place of what runs, in dependency order. Services that live in a replaced service's
    /// network, or ask to be restarted with it, are recreated after it.
    ///
    /// # Errors
    /// The first service that did not come up; those before it are in place, its own container stays as evidence.
    pub async fn swap(
        &self,
        releases: &BTreeMap<String, Service>,
        within: Duration,
        to: Role,
    ) -> Result<Vec<Swapped>, Box<ServiceFailure>> {
        let order = self.world().in_dependency_order();
        let followers = self.followers(&order, releases);
        let replaced: Vec<&str> = releases.keys().map(String::as_str).collect();
        let leaving: Vec<&str> = followers.iter().map(|running| running.service.name.as_str()).collect();
        self.logs().turn(to, &[replaced, leaving].concat());
        let mut within = Within::of(within, to);
        let mut done = Vec::new();
        for name in order.iter().filter(|name| releases.contains_key(**name)) {
            self.mark_swapped(name, to);
            let release = Arc::new(releases[*name].clone());
            done.push(self.replace(&release, &mut within).await?);
        }
        for running in followers {
            done.push(self.replace(&running.service, &mut within).await?);
        }
        Ok(done)
    }

    /// What is recreated after others have been replaced, in order.
    fn followers(&self, order: &[&str], releases: &BTreeMap<String, Service>) -> Vec<Running> {
        let replaced: BTreeSet<&str> = releases.keys().map(String::as_str).collect();
        let others = order.iter().filter(|name| !replaced.contains(**name));
        others
            .filter_map(|name| self.container_of(name))
            .filter(|running| follows(&running.service, &replaced))
            .collect()
    }

    async fn replace(&self, release: &Arc<Service>, within: &mut Within) -> Result<Swapped, Box<ServiceFailure>> {
        // As Compose does: the new container is made first, so that the gap is only stop and start.
        let made = self.make(release).await?;
        let stopped = self.stop(&release.name).await;
        let old = self.running().remove(&release.name);
        let begun = Instant::now();
        let (launched, ()) = tokio::join!(self.launch(made, within.left(), || ()), self.remove(old));
        launched.map_err(|failure| within.in_words(failure))?;
        let ready = begun.elapsed();
        within.spend(ready);
        self.tell(&release.name, ContainerState::Ready, None, Some(ready));
        let exits = self.history(&release.name).map_or(0, |seen| seen.exits.len());
        Ok(Swapped {
            service: release.name.clone(),
            stopped,
            ready,
            exits,
        })
    }

    /// Stops a service production's way: its signal, its grace period.
    pub async fn stop(&self, service: &str) -> Stopped {
        let Some(running) = self.container_of(service) else {
            return Stopped::default();
        };
        let grace = running.service.stop_grace.unwrap_or(DEFAULT_GRACE);
        let before = self.inner.watch.of(&running.id).borrow().exits.len();
        self.before_stop(&running).await;
        let begun = Instant::now();
        let asked = self.engine().stop(&running.id, grace).await;
        let took = begun.elapsed();
        let mut seen = self.inner.watch.of(&running.id);
        let ended = seen.wait_for(|seen| !seen.running || seen.exits.len() > before);
        let last = tokio::time::timeout(Duration::from_secs(2), ended).await;
        let exit = last
            .ok()
            .and_then(Result::ok)
            .and_then(|seen| seen.last_exit().cloned());
        self.logs().settled(&running.id).await;
        let detail = asked.err().map(|error| format!("{error:#}"));
        self.tell(service, ContainerState::Stopped, detail, Some(took));
        let killed = exit.as_ref().is_some_and(|exit| exit.code == 137 && !exit.oom) && took >= grace;
        Stopped {
            took,
            killed,
            exit_code: exit.map(|exit| exit.code),
        }
    }

    /// Starts again a service that was stopped, and waits until it is ready.
    ///
    /// # Errors
    /// It did not come up again.
    pub async fn start_again(&self, service: &str, limit: Duration) -> Result<(), Box<ServiceFailure>> {
        let Some(running) = self.container_of(service) else {
            return Ok(());
        };
        let before = self.inner.watch.of(&running.id).borrow().exits.len();
        if let Err(error) = self.engine().start_again(&running.id).await {
            let kind = ServiceFailureKind::of(&error, ServiceFailureKind::NotStarted);
            return Err(Box::new(self.failure(service, kind)));
        }
        self.after_start(&running).await?;
        self.await_ready(&running, before, limit)
            .await
            .map(drop)
            .map_err(Box::new)
    }

    async fn remove(&self, old: Option<Running>) {
        if let Some(running) = old {
            // What cannot be removed now is found by the sweep at the end.
            let _removed = self.engine().remove_container(&running.id).await;
        }
    }

    fn mark_swapped(&self, service: &str, to: Role) {
        let mut swapped = self.inner.swapped.lock().unwrap_or_else(PoisonError::into_inner);
        match to {
            Role::Candidate => swapped.insert(service.to_owned()),
            Role::Baseline => swapped.remove(service),
        };
    }

    /// Which release a service's present container is of.
    pub(super) fn role_of(&self, service: &str) -> Role {
        let swapped = self.inner.swapped.lock().unwrap_or_else(PoisonError::into_inner);
        match swapped.contains(service) {
            true => Role::Candidate,
            false => Role::Baseline,
        }
    }
}

/// Whether a service must be recreated when one of `replaced` was.
fn follows(service: &Service, replaced: &BTreeSet<&str>) -> bool {
    service
        .shares_network
        .as_deref()
        .is_some_and(|other| replaced.contains(other))
        || service
            .depends_on
            .iter()
            .any(|need| need.restart && replaced.contains(need.service.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_has_its_whole_time_however_long_the_baseline_takes_to_stop() {
        let minute = Duration::from_secs(60);
        let mut within = Within::of(minute, Role::Candidate);
        // Nothing but coming up is spent.
        assert_eq!(within.left(), minute);
        within.spend(minute / 4);
        assert_eq!(within.left(), minute / 4 * 3);
        within.spend(minute);
        assert_eq!(within.left(), Duration::from_millis(1));
    }

    #[test]
    fn the_way_back_counts_from_the_order() {
        let mut within = Within::of(Duration::ZERO, Role::Baseline);
        within.spend(Duration::ZERO);
        assert_eq!(within.left(), Duration::from_millis(1));
    }
}
