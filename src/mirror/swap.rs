//! The swap: another release takes production's place on the same volumes, names and networks. Upgrade and rollback are
//! this one function: it is told which of the two comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use tokio::sync::watch;

use super::failure::ServiceFailure;
use super::readiness::{Patience, Volumes, restarts_no_more};
use super::start::{Coming, Failing, Milestone, Progress, Started, first_failure, shares_namespace, to_make};
use super::{Mirror, Running};
use crate::agent::probe::Question;
use crate::record::container::ContainerState;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::world::deploy::Deploy;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// The engine's own default when production gives no grace period.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How one container's release gave way to another.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// Which container of which service.
    pub replica: Replica,
    /// How the old one went.
    pub stopped: Stopped,
    /// When the new one was started, since the first could be.
    pub begun: Duration,
    /// From its start to ready.
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
    /// What became of requests that it had begun; nothing where it was asked none.
    pub in_flight: Option<InFlight>,
}

/// Requests that were under way when a release was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Begun before.
    pub begun: usize,
    /// Answered to the end.
    pub completed: usize,
}

/// The time that a swap may take, and from when on it counts.
struct Within {
    budget: Duration,
    clock: Clock,
}

enum Clock {
    /// While the new release comes up: what the old one takes to stop is not the new one's.
    ComingUp,
    /// From the order on: on the way back, what the failed release takes to stop is part of the outage.
    Order { until: Instant },
}

impl Within {
    fn of(budget: Duration, to: Role) -> Self {
        let clock = match to {
            Role::Candidate => Clock::ComingUp,
            Role::Baseline => Clock::Order {
                until: Instant::now() + budget,
            },
        };
        Self { budget, clock }
    }

    fn left(&self) -> Duration {
        let left = match self.clock {
            Clock::ComingUp => self.budget,
            Clock::Order { until } => until.saturating_duration_since(Instant::now()),
        };
        left.max(Duration::from_millis(1))
    }

    fn patience(&self) -> Patience {
        Patience {
            allowed: self.budget,
            left: self.left(),
            volumes: Volumes::Used,
        }
    }
}

/// What has given way, and what comes in its place.
#[derive(Default)]
struct Places {
    made: BTreeMap<Replica, Running>,
    stopped: BTreeMap<Replica, Stopped>,
    old: Vec<Running>,
}

impl Mirror {
    /// Does what `docker compose up -d` does: what is gone is stopped, what is changed gives way, each after all that it
    /// depends on, and then everything that does not run is started, each as soon as what it depends on allows. What
    /// `asks` names is under way at a service while it is stopped.
    ///
    /// # Errors
    /// The first service that did not come up; its own container stays as evidence.
    pub async fn swap(
        &self,
        deploy: &Deploy,
        within: Duration,
        to: Role,
        asks: Option<&Question>,
    ) -> Result<Vec<Swapped>, Box<ServiceFailure>> {
        let within = Within::of(within, to);
        self.begin(deploy, to);
        self.take_away(&deploy.gone).await;
        let mut places = self.give_way(deploy, asks).await.map_err(Box::new)?;
        let old = std::mem::take(&mut places.old);
        let (started, _) = tokio::join!(
            self.start_what_does_not_run(deploy, &mut places, within.patience(), to),
            join_all(old.into_iter().map(|running| self.remove(running)))
        );
        if let Some(failure) = first_failure(&started) {
            return Err(Box::new(failure.clone()));
        }
        let swapped = started.into_iter().filter_map(|started| {
            let stopped = places.stopped.remove(&started.replica).unwrap_or_default();
            let exits = self.history(&started.replica).map_or(0, |seen| seen.exits.len());
            deploy
                .made()
                .contains(started.replica.service.as_str())
                .then_some(Swapped {
                    stopped,
                    begun: started.begun,
                    ready: started.took,
                    exits,
                    replica: started.replica,
                })
        });
        Ok(swapped.collect())
    }

    /// From now on the mirror stands for this model.
    fn begin(&self, deploy: &Deploy, to: Role) {
        let made = deploy.made();
        self.remember_what_has_ended(&made);
        self.remember_usual_exits(&made);
        let restarted = made.iter().flat_map(|name| deploy.restarted_with(name));
        let restarted: Vec<&str> = restarted.map(|service| service.name.as_str()).collect();
        let gone: Vec<&str> = deploy.gone.iter().map(String::as_str).collect();
        let others = restarted.into_iter().chain(gone);
        let others = others.flat_map(|name| self.containers_of(name));
        let leaving = made.into_iter().flat_map(|name| self.leaving(name, deploy));
        let leaving: Vec<Replica> = leaving.chain(others).map(|running| running.replica).collect();
        self.logs().turn(to, &leaving);
        let changed = deploy.anew.iter().chain(&deploy.gone);
        changed.for_each(|name| self.mark_swapped(name, to));
        *self.inner.services.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&deploy.services);
    }

    /// What has ended well by itself, however soon it counted as ready, may do so in the next release, too. Only
    /// production's own shows that: a candidate's end is no leave to end again.
    fn remember_what_has_ended(&self, leaving: &BTreeSet<&str>) {
        let has_ended = |running: &Running| {
            let seen = self.history(&running.replica).unwrap_or_default();
            let well = seen.last_exit().is_some_and(|exit| exit.code == 0);
            well && !seen.running && restarts_no_more(running.service.restart, 0)
        };
        let have_ended = |name: &str| {
            let all = self.containers_of(name);
            !all.is_empty() && all.iter().all(has_ended)
        };
        let own = leaving.iter().filter(|name| self.role_of(name) == Role::Baseline);
        let ended: Vec<String> = own
            .filter(|name| have_ended(name))
            .map(|name| (*name).to_owned())
            .collect();
        let mut completed = self.inner.completed.lock().unwrap_or_else(PoisonError::into_inner);
        completed.extend(ended);
    }

    /// What ends well again and again in production's release is no crash of the next one's. What failed while volumes were
    /// empty is no measure: the next release finds them filled.
    fn remember_usual_exits(&self, leaving: &BTreeSet<&str>) {
        let own = leaving.iter().filter(|name| self.role_of(name) == Role::Baseline);
        let exits = |running: &Running| self.history(&running.replica).map_or(0, |seen| seen.well_ended());
        let most = |name: &str| self.containers_of(name).iter().map(exits).max().unwrap_or_default();
        let usual: Vec<(String, usize)> = own.map(|name| ((*name).to_owned(), most(name))).collect();
        let mut known = self.inner.usual_exits.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(usual);
    }

    /// Stops and removes what there is no more.
    pub(super) async fn take_away(&self, gone: &BTreeSet<String>) {
        let all: Vec<Running> = gone.iter().flat_map(|name| self.containers_of(name)).collect();
        join_all(all.iter().map(|running| self.stop_under(running, None))).await;
        for running in &all {
            self.running().remove(&running.replica);
        }
        join_all(all.into_iter().map(|running| self.remove(running))).await;
    }

    /// The containers of a changed service that do not stay: all of them, but where there are only more or fewer.
    fn leaving(&self, service: &str, deploy: &Deploy) -> Vec<Running> {
        let mut leaving = self.containers_of(service);
        if deploy.rescaled.contains(service) {
            let run = deploy.services.get(service).map_or(0, |service| service.replicas.run);
            leaving.retain(|running| running.replica.number > run);
        }
        leaving
    }

    /// The containers of a changed service that come anew.
    fn coming(&self, service: &Service, deploy: &Deploy) -> Vec<Replica> {
        let stays = |replica: &Replica| deploy.rescaled.contains(&service.name) && self.container(replica).is_some();
        service.instances().filter(|replica| !stays(replica)).collect()
    }

    /// What is changed gives way: its new container is made first, as Compose does, so that the gap is only stop and start.
    async fn give_way(&self, deploy: &Deploy, asks: Option<&Question>) -> Result<Places, ServiceFailure> {
        let made = deploy.made();
        let mut places = Places::default();
        for level in deploy.levels() {
            let here = level.iter().filter(|service| made.contains(service.name.as_str()));
            let here: Vec<Arc<Service>> = here.map(|service| Arc::new((*service).clone())).collect();
            let alone = here.iter().filter(|service| !shares_namespace(service));
            let coming = alone.flat_map(|service| {
                let replicas = self.coming(service, deploy).into_iter();
                replicas.map(move |replica| async move { self.make(&replica, service).await })
            });
            for running in try_join_all(coming).await? {
                places.made.insert(running.replica.clone(), running);
            }
            let names = here.iter().map(|service| service.name.as_str());
            let changed = names.clone().filter(|name| !deploy.rescaled.contains(*name));
            let with = changed.flat_map(|name| deploy.restarted_with(name));
            let with: BTreeSet<&str> = with.map(|service| service.name.as_str()).collect();
            let with = with.into_iter().flat_map(|name| self.containers_of(name)).collect();
            self.stop_all(with, asks, &mut places).await;
            let old: Vec<Running> = names.flat_map(|name| self.leaving(name, deploy)).collect();
            self.stop_all(old.clone(), asks, &mut places).await;
            for running in &old {
                self.running().remove(&running.replica);
            }
            places.old.extend(old);
        }
        Ok(places)
    }

    /// Stops those that have not been stopped yet.
    async fn stop_all(&self, mut all: Vec<Running>, asks: Option<&Question>, places: &mut Places) {
        all.retain(|running| !places.stopped.contains_key(&running.replica));
        let stopped = join_all(all.iter().map(|running| self.stop_under(running, asks))).await;
        let replicas = all.into_iter().map(|running| running.replica);
        places.stopped.extend(replicas.zip(stopped));
    }

    /// All that has given way has given up its addresses by now.
    async fn start_what_does_not_run(
        &self,
        deploy: &Deploy,
        places: &mut Places,
        patience: Patience,
        to: Role,
    ) -> Vec<Started> {
        if let Some(started) = self.waits_in_vain() {
            return vec![started];
        }
        let (mut coming, mut progress) = (Vec::new(), Progress::new());
        for to_make in to_make(deploy.services.values()) {
            let replica = to_make.replica().clone();
            let comes = match (places.made.remove(&replica), self.container(&replica)) {
                (Some(made), _) => Some(Coming::Made(made)),
                (None, None) => Some(to_make),
                (None, Some(running)) => self.again(running, places, to),
            };
            let milestone = comes.as_ref().map_or(Milestone::Ready, |_| Milestone::Waiting);
            progress.insert(replica, watch::Sender::new(milestone));
            coming.extend(comes);
        }
        // What had ended by itself, and ends so again, is no news, where nobody waits for it.
        let failing = |replica: &Replica| {
            let service = replica.service.as_str();
            let counts = deploy.waits_for(service) || deploy.made().contains(service);
            match counts || places.stopped.contains_key(replica) {
                true => Failing::Ends,
                false => Failing::Alone,
            }
        };
        let mut started = self.come_up(coming, &Arc::new(progress), patience, failing).await;
        self.look_again(&mut started).await;
        started.retain(|one| one.failure.is_none() || failing(&one.replica) == Failing::Ends);
        started
    }

    /// A container that does not run is started, whyever it has ended.
    fn again(&self, running: Running, places: &Places, to: Role) -> Option<Coming> {
        let (name, ended) = (&running.replica, !self.inner.watch.of(&running.id).borrow().running);
        if ended {
            self.logs().stays(&running.id);
            let why = match places.stopped.contains_key(name) {
                true => "it is restarted with what it depends on",
                false => "it had ended, and `docker compose up -d` starts what does not run",
            };
            let stage = match to {
                Role::Candidate => StageId::Upgrade,
                Role::Baseline => StageId::Rollback,
            };
            self.note(format!("{stage}: `{name}` runs again: {why}"));
        }
        ended.then_some(Coming::Again(running))
    }

    /// Stops a service, all of its containers, production's way: its signal, its grace period.
    pub async fn stop(&self, service: &str) -> Vec<Stopped> {
        let all = self.containers_of(service);
        join_all(all.iter().map(|running| self.stop_under(running, None))).await
    }

    async fn stop_under(&self, running: &Running, asks: Option<&Question>) -> Stopped {
        let grace = running.service.stop_grace.unwrap_or(DEFAULT_GRACE);
        let before = self.inner.watch.of(&running.id).borrow().exits.len();
        self.before_stop(running).await;
        let held = self.hold(running, asks).await;
        let begun = Instant::now();
        self.inner.watch.stops(&running.id);
        let stop = async { (self.engine().stop(&running.id, grace).await, begun.elapsed()) };
        let ((asked, took), in_flight) = tokio::join!(stop, self.let_go(running, held));
        let mut seen = self.inner.watch.of(&running.id);
        let ended = seen.wait_for(|seen| !seen.running || seen.exits.len() > before);
        let last = tokio::time::timeout(Duration::from_secs(2), ended).await;
        let exit = last
            .ok()
            .and_then(Result::ok)
            .and_then(|seen| seen.last_exit().cloned());
        self.logs().settled(&running.id).await;
        let detail = asked.err().map(|error| format!("{error:#}"));
        self.tell(&running.replica, ContainerState::Stopped, detail, Some(took));
        let killed = exit.as_ref().is_some_and(|exit| exit.code == 137 && !exit.oom) && took >= grace;
        Stopped {
            took,
            killed,
            exit_code: exit.map(|exit| exit.code),
            in_flight,
        }
    }

    /// Starts again a service that was stopped, all of its containers, and waits until they are ready.
    ///
    /// # Errors
    /// It did not come up again.
    pub async fn start_again(&self, service: &str, limit: Duration) -> Result<(), Box<ServiceFailure>> {
        let all = self.containers_of(service);
        let patience = || Patience::all_of(limit, Volumes::Used);
        let again = all.iter().map(|running| self.launch_again(running, patience(), || ()));
        try_join_all(again).await.map(drop).map_err(Box::new)
    }

    async fn remove(&self, old: Running) {
        // What cannot be removed now is found by the sweep at the end.
        let _removed = self.engine().remove_container(&old.id).await;
    }

    fn mark_swapped(&self, service: &str, to: Role) {
        let mut swapped = self.inner.swapped.lock().unwrap_or_else(PoisonError::into_inner);
        match to {
            Role::Candidate => swapped.insert(service.to_owned()),
            Role::Baseline => swapped.remove(service),
        };
    }

    /// Which release a service's present container is of.
    pub fn role_of(&self, service: &str) -> Role {
        let swapped = self.inner.swapped.lock().unwrap_or_else(PoisonError::into_inner);
        match swapped.contains(service) {
            true => Role::Candidate,
            false => Role::Baseline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_has_its_whole_time_however_long_the_baseline_takes_to_stop() {
        let minute = Duration::from_secs(60);
        assert_eq!(Within::of(minute, Role::Candidate).left(), minute);
    }

    #[test]
    fn the_way_back_counts_from_the_order() {
        let within = Within::of(Duration::ZERO, Role::Baseline);
        assert_eq!(within.left(), Duration::from_millis(1));
    }
}
