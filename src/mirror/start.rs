//! Bringing up: every service as soon as what it depends on allows it, while the agent is still on its way. Services that do not depend on each other start at the same time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::failure::{ServiceFailure, ServiceFailureKind};
use super::readiness::CameUp;
use super::{Mirror, Running};
use crate::record::container::ContainerState;
use crate::text::fatal::{first_fatal, last_words};
use crate::world::model::{Condition, Service};

/// How far a service has come, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Milestone {
    Waiting,
    Started,
    Ready,
    Completed,
    Failed,
}

/// How long a service took to come up.
#[derive(Debug, Clone)]
pub struct Started {
    /// Service.
    pub service: String,
    /// When it was begun, since `start` was called.
    pub begun: Duration,
    /// From the engine's start of it until ready (or ended, for a one-shot).
    pub took: Duration,
    /// What went wrong, if it did not come up.
    pub failure: Option<ServiceFailure>,
}

impl Mirror {
    /// Makes and starts every service. Stops waiting at the first failure; what had been started by then keeps running
    /// (its log is evidence) until the run is taken down.
    ///
    /// # Errors
    /// The agent did not come up: the machine's doing.
    pub async fn start(&self, limit: Duration) -> Result<Vec<Started>> {
        let arrival = self
            .inner
            .agent
            .arrival
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut arrival) = arrival else {
            return Ok(self.start_services(limit).await);
        };
        let mut services = std::pin::pin!(self.start_services(limit));
        tokio::select! {
            all = &mut services => {
                if all.iter().all(|started| started.failure.is_none()) {
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

    async fn start_services(&self, limit: Duration) -> Vec<Started> {
        let begun = Instant::now();
        let services = self.world().services.values();
        let progress: Arc<BTreeMap<String, watch::Sender<Milestone>>> = Arc::new(
            services
                .clone()
                .map(|s| (s.name.clone(), watch::Sender::new(Milestone::Waiting)))
                .collect(),
        );
        let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
        for service in services {
            let (mirror, progress, service) = (self.clone(), Arc::clone(&progress), Arc::new(service.clone()));
            let name = service.name.clone();
            let task = tasks.spawn(async move { mirror.bring_up(service, &progress, begun, limit).await });
            names.insert(task.id(), name);
        }
        let mut all = gather(tasks, &names).await;
        self.look_again(&mut all);
        all.sort_by_key(|started| started.begun);
        all
    }

    /// What has no check is ready when it has started, and may have failed since.
    fn look_again(&self, all: &mut [Started]) {
        for started in all.iter_mut().filter(|started| started.failure.is_none()) {
            let seen = self.history(&started.service).unwrap_or_default();
            if !seen.running && seen.last_exit().is_some_and(|exit| exit.code != 0) {
                started.failure = Some(self.failure(&started.service, ServiceFailureKind::Exited));
            }
        }
    }

    async fn bring_up(
        &self,
        service: Arc<Service>,
        progress: &BTreeMap<String, watch::Sender<Milestone>>,
        begun: Instant,
        limit: Duration,
    ) -> Started {
        let name = service.name.clone();
        let say = |milestone| {
            if let Some(sender) = progress.get(&name) {
                sender.send_replace(milestone);
            }
        };
        // Made while others start: only the start itself has to wait. What shares a namespace needs the other first.
        let shares = service.shares_network.is_some() || refers_to_service(&service);
        let made = if shares { None } else { Some(self.make(&service).await) };
        let held = self.await_dependencies(&service, progress).await;
        self.await_agent().await;
        let since = begun.elapsed();
        let started = || say(Milestone::Started);
        let result = match (held, made) {
            (Err(failure), _) | (Ok(()), Some(Err(failure))) => Err(failure),
            (Ok(()), Some(Ok(running))) => self.launch(running, limit, started).await,
            (Ok(()), None) => match self.make(&service).await {
                Ok(running) => self.launch(running, limit, started).await,
                Err(failure) => Err(failure),
            },
        };
        let took = begun.elapsed().saturating_sub(since);
        say(self.milestone(&name, &result));
        let failure = result.err().map(|failure| self.with_waiters(failure));
        if failure.is_none() {
            self.tell(&name, ContainerState::Ready, None, Some(took));
        }
        Started {
            service: name,
            begun: since,
            took,
            failure,
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

    async fn await_dependencies(
        &self,
        service: &Service,
        progress: &BTreeMap<String, watch::Sender<Milestone>>,
    ) -> Result<(), ServiceFailure> {
        let shared = service
            .shares_network
            .iter()
            .map(|other| (other.clone(), Condition::Started, false));
        let named = service
            .depends_on
            .iter()
            .map(|need| (need.service.clone(), need.condition, need.optional));
        for (other, condition, optional) in named.chain(shared) {
            let Some(sender) = progress.get(&other) else { continue };
            let wanted = match condition {
                Condition::Started => Milestone::Started,
                Condition::Healthy => Milestone::Ready,
                Condition::Completed => Milestone::Completed,
            };
            let mut receiver = sender.subscribe();
            let reached = receiver.wait_for(|state| *state >= wanted).await.map(|state| *state);
            if !optional && !matches!(reached, Ok(state) if state != Milestone::Failed) {
                return Err(self.failure(&service.name, ServiceFailureKind::Held(other)));
            }
        }
        Ok(())
    }

    /// Starts a container and waits until it is ready.
    pub(super) async fn launch(
        &self,
        running: Running,
        limit: Duration,
        started: impl FnOnce(),
    ) -> Result<CameUp, ServiceFailure> {
        let name = running.service.name.clone();
        let begun = Instant::now();
        self.running().insert(name.clone(), running.clone());
        if let Err(error) = self.engine().start(&running.name).await {
            return Err(self.failure(&name, ServiceFailureKind::of(&error, ServiceFailureKind::NotStarted)));
        }
        self.inner.logs.follow(&running.id);
        self.tell(&name, ContainerState::Started, None, Some(begun.elapsed()));
        self.after_start(&running).await?;
        started();
        self.await_ready(&running, 0, limit).await
    }

    /// Everything known of a service that did not come up.
    pub fn failure(&self, service: &str, what: ServiceFailureKind) -> ServiceFailure {
        let seen = self.history(service).unwrap_or_default();
        let exit = seen.last_exit();
        let has_died = matches!(what, ServiceFailureKind::Exited);
        let running = self.container_of(service);
        let log = running.map_or_else(Vec::new, |running| self.logs().of_container(&running.id).lines);
        ServiceFailure {
            exit_code: exit.map(|exit| exit.code),
            oom: seen.exits.iter().any(|exit| exit.oom),
            restarts: seen.starts.saturating_sub(1),
            fatal: first_fatal(&log).or_else(|| last_words(&log).filter(|_| has_died)),
            log: log[log.len().saturating_sub(30)..].to_vec(),
            ..ServiceFailure::unseen(service, what)
        }
    }

    fn with_waiters(&self, mut failure: ServiceFailure) -> ServiceFailure {
        let name = failure.service.clone();
        let waits = |service: &Service| {
            let need = service.depends_on.iter().find(|need| need.service == name)?;
            Some(format!("`{}` waits for {}", service.name, need.condition))
        };
        failure.waited_by = self.world().services.values().filter_map(waits).collect();
        failure
    }
}

/// What every task came to. The first failure cuts off the others.
async fn gather(mut tasks: JoinSet<Started>, names: &HashMap<Id, String>) -> Vec<Started> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next_with_id().await {
        let started = match ended {
            Ok((_, started)) => started,
            // Cut off, because another has failed.
            Err(error) if error.is_cancelled() => continue,
            Err(error) => lost(names.get(&error.id()).map_or("", String::as_str)),
        };
        if started.failure.is_some() {
            tasks.abort_all();
        }
        all.push(started);
    }
    all
}

/// Nobody knows what became of the service: it did not come up.
fn lost(service: &str) -> Started {
    let words = "the task that brings it up has ended without a word: a bug in Rehearsal";
    Started {
        service: service.to_owned(),
        begun: Duration::ZERO,
        took: Duration::ZERO,
        failure: Some(ServiceFailure::unseen(
            service,
            ServiceFailureKind::NotStarted(words.to_owned()),
        )),
    }
}

fn refers_to_service(service: &Service) -> bool {
    let mut modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
    modes.any(|mode| mode.starts_with("service:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came_up(service: &str) -> Started {
        Started {
            failure: None,
            ..lost(service)
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
        names.insert(db.id(), "db".to_owned());
        names.insert(web.id(), "web".to_owned());
        let mut all = gather(tasks, &names).await;
        all.sort_by(|one, other| one.service.cmp(&other.service));
        let said: Vec<Option<String>> = all.iter().map(|one| Some(one.failure.as_ref()?.line())).collect();
        assert_eq!(said[0], None);
        let web = said[1].as_deref().unwrap();
        assert!(
            web.starts_with("`web` could not be started: ") && web.contains("a bug"),
            "{web}"
        );
    }
}
