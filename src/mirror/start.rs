//! Bringing up: every service as soon as what it depends on allows it, while the agent is still on its way. Services that do not depend on each other start at the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::failure::{ServiceFailure, ServiceFailureKind};
use super::readiness::{CameUp, Patience, Volumes};
use super::restore::Restored;
use super::{Mirror, Running};
use crate::record::container::ContainerState;
use crate::text::fatal::{first_fatal, last_words};
use crate::world::model::{Condition, Restart, Service};
use crate::world::replica::Replica;

/// How far a service has come, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Milestone {
    Waiting,
    Started,
    Ready,
    Completed,
    Failed,
}

/// What becomes of the others when one does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// Nobody waits for them any more.
    Ends,
    /// They come up all the same.
    Alone,
}

/// How a service comes up.
pub(super) enum Coming {
    /// Its container has to be made.
    ToMake(Replica, Arc<Service>),
    /// Its container is made.
    Made(Running),
    /// Its container has ended, and is started again.
    Again(Running),
}

/// How far services have come, for those who wait for them.
pub(super) type Progress = BTreeMap<Replica, watch::Sender<Milestone>>;

/// How long a service took to come up.
#[derive(Debug, Clone)]
pub struct Started {
    /// Which container of which service.
    pub replica: Replica,
    /// When it was begun, since `start` was called.
    pub begun: Duration,
    /// From the engine's start of it until ready (or ended, for a one-shot).
    pub took: Duration,
    /// What went wrong, if it did not come up.
    pub failure: Option<ServiceFailure>,
}

/// What bringing production up came to.
#[derive(Debug, Clone, Default)]
pub struct BroughtUp {
    /// Every container that was begun.
    pub started: Vec<Started>,
    /// What was restored, or was to be.
    pub restored: Vec<Restored>,
}

impl BroughtUp {
    /// Why it is not production that stands there, in one line.
    pub fn failure(&self) -> Option<String> {
        let restore = self.restored.iter().find_map(Restored::failure_line);
        restore.or_else(|| first_failure(&self.started).map(ServiceFailure::line))
    }
}

impl Mirror {
    /// Makes and starts every service, and restores what is to be restored before others use it. Stops waiting at the first failure; what had been started by then keeps running
    /// (its log is evidence) until the run is taken down. `within`: until all of them are ready.
    ///
    /// # Errors
    /// The agent did not come up: the machine's doing.
    pub async fn start(&self, within: Duration) -> Result<BroughtUp> {
        let arrival = self
            .inner
            .agent
            .arrival
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut arrival) = arrival else {
            return Ok(self.start_services(within).await);
        };
        let mut services = std::pin::pin!(self.start_services(within));
        tokio::select! {
            all = &mut services => {
                if all.failure().is_none() {
                    arrival.await??;
                }
                Ok(all)
            }
            arrived = &mut arrival => {
                arrived??;
                Ok(services.await)
            }
        }
    }

    async fn start_services(&self, within: Duration) -> BroughtUp {
        if let Some(started) = self.waits_in_vain() {
            return BroughtUp {
                started: vec![started],
                ..BroughtUp::default()
            };
        }
        let services = self.services();
        let waiting = services
            .values()
            .flat_map(Service::instances)
            .map(|replica| (replica, watch::Sender::new(Milestone::Waiting)));
        let (progress, begun) = (Arc::new(waiting.collect()), Instant::now());
        let (mut all, mut restoring) = (BroughtUp::default(), Duration::ZERO);
        for wave in self.waves() {
            // What is restored takes its own time.
            let since = begun.elapsed();
            let patience = Patience::all_of(within, Volumes::Empty).after(since.saturating_sub(restoring));
            let coming = wave.services.iter().filter_map(|name| services.get(*name));
            let mut started = self
                .come_up(to_make(coming), &progress, patience, |_| Failing::Ends)
                .await;
            self.look_again(&mut started).await;
            started.iter_mut().for_each(|started| started.begun += since);
            all.started.extend(started);
            if let (Some(restore), None) = (wave.restore, all.failure()) {
                let restored = self.restore(restore, begun).await;
                restoring += restored.took;
                all.restored.push(restored);
            }
            if all.failure().is_some() {
                break;
            }
        }
        all
    }

    /// Who waits for the health of what has no check: `docker compose up -d` gives up there, even where the one who waits
    /// runs already.
    pub(super) fn waits_in_vain(&self) -> Option<Started> {
        let services = self.services();
        let waiting = services.values().find_map(|service| {
            let mut needs = service.depends_on.iter();
            let need = needs.find(|need| {
                let other = services.get(&need.service);
                need.condition == Condition::Healthy
                    && !need.optional
                    && other.is_some_and(|other| self.has_no_check(other))
            });
            Some((service.instances().next()?, need?.service.clone()))
        });
        let (replica, other) = waiting?;
        Some(Started {
            begun: Duration::ZERO,
            took: Duration::ZERO,
            failure: Some(ServiceFailure::unseen(
                &replica,
                ServiceFailureKind::NoHealthCheck(other),
            )),
            replica,
        })
    }

    /// Of an image that nobody has looked at it is not known.
    fn has_no_check(&self, service: &Service) -> bool {
        self.inner.setup.images.contains_key(&service.image) && self.health_check(service).is_none()
    }

    /// Brings services up, each as soon as what it depends on allows it. `failing` says what a failure of one does to
    /// the others.
    pub(super) async fn come_up(
        &self,
        coming: Vec<Coming>,
        progress: &Arc<Progress>,
        patience: Patience,
        failing: impl Fn(&Replica) -> Failing,
    ) -> Vec<Started> {
        let begun = Instant::now();
        let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
        for one in coming {
            let (mirror, progress, replica) = (self.clone(), Arc::clone(progress), one.replica().clone());
            let task = tasks.spawn(async move { mirror.bring_up(one, &progress, begun, patience).await });
            names.insert(task.id(), replica);
        }
        let mut all = gather(tasks, &names, failing).await;
        all.sort_by_key(|started| started.begun);
        all
    }

    /// What has no check is ready when it has started, and may have failed since. What its policy starts again is on its
    /// way: production waits for it, too.
    pub(super) async fn look_again(&self, all: &mut [Started]) {
        let services = self.services();
        let stays_down = |started: &&mut Started| {
            let service = services.get(&started.replica.service);
            service.is_some_and(|service| service.restart == Restart::No)
        };
        let up = all.iter_mut().filter(|started| started.failure.is_none());
        for started in up.filter(stays_down) {
            let seen = self.history(&started.replica).unwrap_or_default();
            if !seen.running && seen.last_exit().is_some_and(|exit| exit.code != 0) {
                // Its last words say why.
                if let Some(running) = self.container(&started.replica) {
                    self.logs().settled(&running.id).await;
                }
                started.failure = Some(self.failure(&started.replica, ServiceFailureKind::Exited));
            }
        }
    }

    async fn bring_up(&self, coming: Coming, progress: &Progress, begun: Instant, patience: Patience) -> Started {
        let service = Arc::clone(coming.service());
        let replica = coming.replica().clone();
        let say = |milestone| {
            if let Some(sender) = progress.get(&replica) {
                sender.send_replace(milestone);
            }
        };
        let ready = self.made_early(coming).await;
        let held = self
            .await_dependencies(&replica, &service, progress, patience.volumes)
            .await;
        await_turn(&replica, progress).await;
        self.await_agent().await;
        let since = begun.elapsed();
        let started = || say(Milestone::Started);
        let result = match (held, ready) {
            (Err(failure), _) | (Ok(()), Err(failure)) => Err(failure),
            (Ok(()), Ok(coming)) => self.run_up(coming, patience.after(since), started).await,
        };
        let took = begun.elapsed().saturating_sub(since);
        say(self.milestone(&service.name, &result));
        let failure = result.err().map(|failure| self.with_waiters(failure));
        if failure.is_none() {
            self.tell(&replica, ContainerState::Ready, None, Some(took));
        }
        Started {
            replica,
            begun: since,
            took,
            failure,
        }
    }

    /// Made while others start: only the start itself has to wait. What shares a namespace needs the other first.
    async fn made_early(&self, coming: Coming) -> Result<Coming, ServiceFailure> {
        match coming {
            Coming::ToMake(replica, service) if !shares_namespace(&service) => {
                self.make(&replica, &service).await.map(Coming::Made)
            }
            other => Ok(other),
        }
    }

    async fn run_up(
        &self,
        coming: Coming,
        patience: Patience,
        started: impl FnOnce(),
    ) -> Result<CameUp, ServiceFailure> {
        match coming {
            Coming::ToMake(replica, service) => {
                let made = self.make(&replica, &service).await?;
                self.launch(made, patience, started).await
            }
            Coming::Made(running) => self.launch(running, patience, started).await,
            Coming::Again(running) => self.launch_again(&running, patience, started).await,
        }
    }

    /// Names that the agent answers for are asked from the first moment on. Without it the whole start fails.
    async fn await_agent(&self) {
        let mut answering = self.inner.agent.answering.clone();
        let _gone = answering.wait_for(|answers| *answers).await.map(drop);
    }

    /// What a service has come to, for those who wait for it. One that has completed may do so on either release.
    fn milestone(&self, service: &str, result: &Result<CameUp, ServiceFailure>) -> Milestone {
        match result {
            Ok(CameUp::Completed) => {
                let mut completed = self.inner.completed.lock().unwrap_or_else(PoisonError::into_inner);
                completed.insert(service.to_owned());
                Milestone::Completed
            }
            Ok(CameUp::Ready) => Milestone::Ready,
            Err(_) => Milestone::Failed,
        }
    }

    /// `found`: in a deploy others wait at production's pace, for which users do, too; a first start is ours alone.
    async fn await_dependencies(
        &self,
        replica: &Replica,
        service: &Service,
        progress: &Progress,
        found: Volumes,
    ) -> Result<(), ServiceFailure> {
        let runs = |(_, at): &(&Replica, &watch::Sender<Milestone>)| *at.borrow() >= Milestone::Ready;
        let ran: BTreeSet<Replica> = progress.iter().filter(runs).map(|(other, _)| other.clone()).collect();
        let shared = service
            .shares_network
            .iter()
            .map(|other| (other.clone(), Condition::Started, false));
        let named = service
            .depends_on
            .iter()
            .map(|need| (need.service.clone(), need.condition, need.optional));
        for (other, condition, optional) in named.chain(shared) {
            // Compose waits for every replica of a service.
            for (one, sender) in progress.iter().filter(|(one, _)| one.service == other) {
                let reached = reaches(sender, condition).await;
                if !optional && reached == Milestone::Failed {
                    return Err(self.failure(replica, ServiceFailureKind::Held(one.to_string())));
                }
                if condition == Condition::Healthy && found == Volumes::Used && !ran.contains(one) {
                    self.await_engines_word(one).await;
                }
            }
        }
        Ok(())
    }

    /// Starts a container and waits until it is ready.
    pub(super) async fn launch(
        &self,
        running: Running,
        patience: Patience,
        started: impl FnOnce(),
    ) -> Result<CameUp, ServiceFailure> {
        let replica = running.replica.clone();
        let begun = Instant::now();
        self.running().insert(replica.clone(), running.clone());
        if let Err(error) = self.engine().start(&running.name).await {
            return Err(self.failure(&replica, ServiceFailureKind::of(&error, ServiceFailureKind::NotStarted)));
        }
        self.inner.logs.follow(&running.id);
        self.tell(&replica, ContainerState::Started, None, Some(begun.elapsed()));
        self.after_start(&running).await?;
        started();
        let came_up = tokio::select! {
            came_up = self.await_ready(&running, 0, patience) => came_up,
            never = self.relay_what_comes_to_listen(&running) => match never {},
        };
        self.relay_what_listens(&running).await;
        came_up
    }

    /// Starts a container that has ended, and waits until it is ready.
    pub(super) async fn launch_again(
        &self,
        running: &Running,
        patience: Patience,
        started: impl FnOnce(),
    ) -> Result<CameUp, ServiceFailure> {
        let before = self.inner.watch.of(&running.id).borrow().exits.len();
        if let Err(error) = self.engine().start_again(&running.id).await {
            let kind = ServiceFailureKind::of(&error, ServiceFailureKind::NotStarted);
            return Err(self.failure(&running.replica, kind));
        }
        self.after_start(running).await?;
        started();
        self.await_ready(running, before, patience).await
    }

    /// Everything known of a container that did not come up.
    pub fn failure(&self, replica: &Replica, what: ServiceFailureKind) -> ServiceFailure {
        let seen = self.history(replica).unwrap_or_default();
        let exit = seen.last_exit();
        let has_died = matches!(what, ServiceFailureKind::Exited);
        let running = self.container(replica);
        let log = running.map_or_else(Vec::new, |running| self.logs().of_container(&running.id).lines);
        ServiceFailure {
            exit_code: exit.map(|exit| exit.code),
            oom: seen.exits.iter().any(|exit| exit.oom),
            restarts: seen.starts.saturating_sub(1),
            fatal: first_fatal(&log).or_else(|| last_words(&log).filter(|_| has_died)),
            log: log[log.len().saturating_sub(30)..].to_vec(),
            ..ServiceFailure::unseen(replica, what)
        }
    }

    fn with_waiters(&self, mut failure: ServiceFailure) -> ServiceFailure {
        let name = failure.replica.service.clone();
        let waits = |service: &Service| {
            let need = service.depends_on.iter().find(|need| need.service == name)?;
            Some(format!("`{}` waits for {}", service.name, need.condition))
        };
        failure.waited_by = self.services().values().filter_map(waits).collect();
        failure
    }
}

/// What every task came to. The first failure cuts off the others.
async fn gather(
    mut tasks: JoinSet<Started>,
    names: &HashMap<Id, Replica>,
    failing: impl Fn(&Replica) -> Failing,
) -> Vec<Started> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next_with_id().await {
        let started = match ended {
            Ok((_, started)) => started,
            // Cut off, because another has failed.
            Err(error) if error.is_cancelled() => continue,
            Err(error) => lost(names.get(&error.id()).cloned().unwrap_or_else(|| Replica::only(""))),
        };
        if started.failure.is_some() && failing(&started.replica) == Failing::Ends {
            tasks.abort_all();
        }
        all.push(started);
    }
    all
}

/// Nobody knows what became of the service: it did not come up.
fn lost(replica: Replica) -> Started {
    let words = "the task that brings it up has ended without a word: a bug in Rehearsal";
    let kind = ServiceFailureKind::NotStarted(words.to_owned());
    Started {
        begun: Duration::ZERO,
        took: Duration::ZERO,
        failure: Some(ServiceFailure::unseen(&replica, kind)),
        replica,
    }
}

/// Every container of these services, to be made.
pub(super) fn to_make<'s>(services: impl Iterator<Item = &'s Service>) -> Vec<Coming> {
    let of = |service: &'s Service| {
        let shared = Arc::new(service.clone());
        service
            .instances()
            .map(move |replica| Coming::ToMake(replica, Arc::clone(&shared)))
    };
    services.flat_map(of).collect()
}

/// How far it has come once that is true of it, or can be no more.
async fn reaches(sender: &watch::Sender<Milestone>, condition: Condition) -> Milestone {
    let wanted = match condition {
        Condition::Started => Milestone::Started,
        Condition::Healthy => Milestone::Ready,
        Condition::Completed => Milestone::Completed,
    };
    let mut receiver = sender.subscribe();
    let reached = receiver.wait_for(|state| *state >= wanted).await;
    reached.map_or(Milestone::Failed, |state| *state)
}

/// Compose starts the replicas of a service one after the other, and waits for none to be ready.
async fn await_turn(replica: &Replica, progress: &Progress) {
    if let Some(sender) = replica.before().and_then(|before| progress.get(&before)) {
        reaches(sender, Condition::Started).await;
    }
}

/// The failure that others only followed from.
pub fn first_failure(started: &[Started]) -> Option<&ServiceFailure> {
    let failures = || started.iter().filter_map(|started| started.failure.as_ref());
    let own = failures().find(|failure| !matches!(failure.kind, ServiceFailureKind::Held(_)));
    own.or_else(|| failures().next())
}

impl Coming {
    pub(super) fn service(&self) -> &Arc<Service> {
        match self {
            Self::ToMake(_, service) => service,
            Self::Made(running) | Self::Again(running) => &running.service,
        }
    }

    pub(super) fn replica(&self) -> &Replica {
        match self {
            Self::ToMake(replica, _) => replica,
            Self::Made(running) | Self::Again(running) => &running.replica,
        }
    }
}

/// Whether it can be made only where another one's container is.
pub(super) fn shares_namespace(service: &Service) -> bool {
    let mut modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
    service.shares_network.is_some() || modes.any(|mode| mode.starts_with("service:"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn came_up(service: &str) -> Started {
        Started {
            failure: None,
            ..lost(Replica::only(service))
        }
    }

    /// A job that has run before, is run again and fails, ends nobody's wait.
    #[tokio::test]
    async fn a_failure_that_is_nobodys_business_lets_the_others_come_up() {
        for (failing, came) in [(Failing::Alone, 2), (Failing::Ends, 1)] {
            let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
            let (failed, mut has_failed) = watch::channel(());
            let job = tasks.spawn(async { lost(Replica::only("job")) });
            let web = tasks.spawn(async move {
                // Until the job's failure has been heard of.
                let _gone = has_failed.changed().await;
                came_up("web")
            });
            names.insert(job.id(), Replica::only("job"));
            names.insert(web.id(), Replica::only("web"));
            let hears = Mutex::new(Some(failed));
            let all = gather(tasks, &names, |_| {
                hears.lock().unwrap().take();
                failing
            })
            .await;
            assert_eq!(all.len(), came, "{failing:?}");
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_is_a_failure_of_its_service_and_the_others_are_gathered() {
        let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
        let (go, mut gone) = watch::channel(false);
        let db = tasks.spawn(async move {
            go.send_replace(true);
            came_up("db")
        });
        let web = tasks.spawn(async move {
            let _after_db = gone.wait_for(|gone| *gone).await;
            panic!("on purpose")
        });
        names.insert(db.id(), Replica::only("db"));
        names.insert(web.id(), Replica::only("web"));
        let mut all = gather(tasks, &names, |_| Failing::Ends).await;
        all.sort_by(|one, other| one.replica.cmp(&other.replica));
        let said: Vec<Option<String>> = all.iter().map(|one| Some(one.failure.as_ref()?.line())).collect();
        assert_eq!(said[0], None);
        let web = said[1].as_deref().unwrap();
        assert!(
            web.starts_with("`web` could not be started: ") && web.contains("a bug"),
            "{web}"
        );
    }
}
