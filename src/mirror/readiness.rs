//! Readiness: seen from the engine's events and from questions of our own, never from a fixed sleep.
//!
//! A service with a health check is ready when that check passes, and what `health.rs` says beside it. A service without
//! a check is ready when a port it declares accepts a connection, or, when it declares none, when it has started. Exits
//! end the wait at once, and so does `unhealthy`, but for the first start: on empty volumes it is slower than any that
//! production has seen for years.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::failure::{ServiceFailure, ServiceFailureKind, Waited};
use super::{Mirror, Running};
use crate::engine::watch::History;
use crate::record::outcome::{Lost, Part};
use crate::record::release::Role;
use crate::text::units::seconds;
use crate::world::model::{Condition, Restart, Service};

/// An image's ports at which nothing listens are waited for no longer: images declare ports that a configuration does
/// not use.
pub(super) const SILENT_PORTS: Duration = Duration::from_secs(15);
/// Exits that are tolerated while something other than the candidate comes up under a restart policy.
const TOLERATED_EXITS: usize = 5;
/// The same at a first start, when what others wait for fills its volume. An engine doubles its pause from 100 ms at each
/// exit, so these take 51 s; a database that initialises took up to 20 s here.
const FIRST_EXITS: usize = 10;
/// Exit code of what was killed.
const KILLED: i64 = 137;
/// Of what a health check said last, no more lines are told.
const HEALTH_LINES: usize = 3;
/// The same in characters.
const HEALTH_CHARACTERS: usize = 300;
/// What the engine says of a check that it could not start.
const NOT_STARTED: &str = "unable to start container process: ";
/// A candidate crashes at its second exit, where production's release has not exited as often in its place.
const CANDIDATE_EXITS: usize = 2;

/// Exit codes of a command that is not there, or cannot be run: no time will mend that.
const CANNOT_RUN: [i64; 2] = [126, 127];

/// How long a service is waited for, and for which of its starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// What the configuration allows.
    pub allowed: Duration,
    /// What is left of it.
    pub left: Duration,
    /// What its start finds.
    pub volumes: Volumes,
}

impl Patience {
    /// The whole of what is allowed.
    pub(super) fn all_of(allowed: Duration, volumes: Volumes) -> Self {
        Self {
            allowed,
            left: allowed,
            volumes,
        }
    }

    /// What is left when others have taken so long.
    pub(super) fn after(self, spent: Duration) -> Self {
        Self {
            left: self.left.saturating_sub(spent).max(Duration::from_millis(1)),
            ..self
        }
    }
}

/// What a start finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volumes {
    /// It is the first: slower than any that production has seen for years.
    Empty,
    /// A release has used them: this one, or another in its place.
    Used,
}

/// How a wait ends that does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Exited,
    Unhealthy,
    TooLate,
}

/// How a service has come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameUp {
    /// It can be used.
    Ready,
    /// It was a one-shot, and has ended well.
    Completed,
}

impl Mirror {
    /// Waits until a started container is ready, or has ended well where that is how it is meant to be.
    /// `before`: exits of the container that happened before it was started this time.
    pub(super) async fn await_ready(
        &self,
        running: &Running,
        before: usize,
        patience: Patience,
    ) -> Result<CameUp, ServiceFailure> {
        let (begun, mut seen) = (Instant::now(), self.inner.watch.of(&running.id));
        let verdict = tokio::select! {
            ended = self.await_end(running, before, patience.volumes, &mut seen) => ended,
            () = self.await_unhealthy(running, patience.volumes) => Err(End::Unhealthy),
            () = self.await_good(running, patience) => Ok(CameUp::Ready),
            () = tokio::time::sleep(patience.left) => Err(End::TooLate),
            // Nothing that is asked over the network would ever be answered.
            gone = self.agent().lost() => return Err(lost(running, &gone)),
        };
        match verdict {
            Ok(came_up) => {
                self.note_unhealthy(running, begun.elapsed());
                Ok(came_up)
            }
            Err(end) => {
                let took = begun.elapsed().min(patience.left);
                let waited = Waited {
                    allowed: patience.allowed,
                    took,
                };
                Err(self.not_ready(running, end, waited).await)
            }
        }
    }

    /// Everything that can be said of a service that did not become ready.
    async fn not_ready(&self, running: &Running, end: End, waited: Waited) -> ServiceFailure {
        let is_unhealthy = self.inner.watch.of(&running.id).borrow().healthy == Some(false);
        let kind = match end {
            End::Exited => ServiceFailureKind::Exited,
            End::TooLate if self.ends_again_and_again(running) => ServiceFailureKind::Exited,
            End::TooLate if !is_unhealthy => ServiceFailureKind::NotReady(waited),
            End::TooLate | End::Unhealthy => ServiceFailureKind::Unhealthy(Some(waited)),
        };
        if end == End::Exited {
            self.logs().settled(&running.id).await;
        }
        let mut failure = self.failure(&running.replica, kind);
        if end != End::Exited {
            self.add_health(running, &mut failure).await;
        }
        failure.oom |= failure.exit_code == Some(KILLED) && self.was_out_of_memory(&running.id).await;
        failure
    }

    /// It is late because it ends whenever it is started.
    fn ends_again_and_again(&self, running: &Running) -> bool {
        let seen = self.inner.watch.of(&running.id);
        let seen = seen.borrow();
        !seen.running && seen.exits.len() >= CANDIDATE_EXITS
    }

    /// What was waited through stands in the report: production would have to wait, too.
    fn note_unhealthy(&self, running: &Running, took: Duration) {
        let unhealthy = self.inner.watch.of(&running.id).borrow().unhealthy;
        if unhealthy > 0 {
            let (service, took) = (&running.replica, seconds(took));
            self.note(format!(
                "`{service}` was unhealthy at its first start on an empty volume, and ready {took} after it: \
                 a `start_period` of its health check would say so"
            ));
        }
    }

    /// Why the health check has not passed: what the engine has recorded of it, or that only the network is missing.
    async fn add_health(&self, running: &Running, failure: &mut ServiceFailure) {
        let said = match self.last_check(running).await {
            Some((exit, output)) if exit != 0 => health_words(exit, &output),
            Some(_) if !running.service.ports.is_empty() => silent_words(&running.service.ports),
            _ => return,
        };
        failure.fatal.get_or_insert_with(|| said.clone());
        failure.log.push(said);
    }

    /// What the engine has recorded of the last time that it asked the health check: exit code and output.
    async fn last_check(&self, running: &Running) -> Option<(i64, String)> {
        let found = self.engine().inspect(&running.id).await.ok()?;
        let last = found.state?.health?.log?.pop()?;
        Some((last.exit_code?, last.output.unwrap_or_default()))
    }

    /// The engine's own flag, for where its event has not come yet. A restart makes it forget.
    async fn was_out_of_memory(&self, container: &str) -> bool {
        let state = self
            .engine()
            .inspect(container)
            .await
            .ok()
            .and_then(|found| found.state);
        state.and_then(|state| state.oom_killed).unwrap_or_default()
    }

    /// Returns when a container has crashed for good, or a candidate's is unhealthy; never, if it does not.
    pub async fn crash_of(&self, running: Running) -> ServiceFailure {
        let volumes = match self.role_of(&running.service.name) {
            Role::Candidate => Volumes::Used,
            // It is ready, and its own questions may be further than the engine's.
            Role::Baseline => Volumes::Empty,
        };
        let mut seen = self.inner.watch.of(&running.id);
        let ended = tokio::select! {
            ended = self.await_end(&running, 0, self.volumes_now(), &mut seen) => ended,
            () = self.await_unhealthy(&running, volumes) => Err(End::Unhealthy),
        };
        let kind = match ended {
            Ok(_) => return std::future::pending().await,
            Err(End::Unhealthy) => ServiceFailureKind::Unhealthy(None),
            Err(End::Exited | End::TooLate) => ServiceFailureKind::Exited,
        };
        self.logs().settled(&running.id).await;
        self.failure(&running.replica, kind)
    }

    /// Returns when the container has ended for good.
    async fn await_end(
        &self,
        running: &Running,
        before: usize,
        volumes: Volumes,
        seen: &mut watch::Receiver<History>,
    ) -> Result<CameUp, End> {
        let service = &running.service;
        let whose = match self.is_candidate(&service.name) {
            true => Whose::Candidate(self.usual_exits(service)),
            false => Whose::Production(volumes),
        };
        let tolerated = tolerated(service.restart, whose);
        let done = |seen: &History| {
            let exits = seen.exits.len().saturating_sub(before);
            let well = seen.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
            (exits > 0 && !seen.running && well) || exits >= tolerated
        };
        let Ok(state) = seen.wait_for(done).await.map(|state| state.clone()) else {
            return std::future::pending().await;
        };
        let well = state.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
        if well && self.may_complete(running) {
            // Who waits for it gets the address that production's gets.
            self.engine().let_go(&running.id).await;
            Ok(CameUp::Completed)
        } else {
            Err(End::Exited)
        }
    }

    /// Returns when the engine calls the container unhealthy and no more time would mend that: at its first start it is
    /// given all of its time, unless its check cannot even be run.
    async fn await_unhealthy(&self, running: &Running, volumes: Volumes) {
        let mut seen = self.inner.watch.of(&running.id);
        if seen.wait_for(|seen| seen.healthy == Some(false)).await.is_err() {
            return std::future::pending().await;
        }
        if volumes == Volumes::Empty && !self.check_cannot_run(running).await {
            std::future::pending().await
        }
    }

    async fn check_cannot_run(&self, running: &Running) -> bool {
        let last = self.last_check(running).await;
        last.is_some_and(|(exit, output)| CANNOT_RUN.contains(&exit) || output.contains(NOT_STARTED))
    }

    /// Returns when the service is ready to be used; never, if it is not.
    async fn await_good(&self, running: &Running, patience: Patience) {
        if self.is_one_shot(&running.service.name) {
            return std::future::pending().await;
        }
        match self.health_check(&running.service) {
            Some(check) => self.await_health(running, check, patience).await,
            None => self.await_ports(running).await,
        }
    }

    async fn await_ports(&self, running: &Running) {
        let service = &running.service;
        let mut ports = self.image(&service.image).ports;
        ports.extend(&service.ports);
        if ports.is_empty() || service.networks.is_empty() {
            return;
        }
        let _silent = self.accepts(running, &ports, SILENT_PORTS).await;
    }

    /// Whether somebody waits for this service to end.
    fn is_one_shot(&self, name: &str) -> bool {
        let waits =
            |need: &crate::world::model::Dependency| need.service == name && need.condition == Condition::Completed;
        self.services()
            .values()
            .any(|service| service.depends_on.iter().any(waits))
    }

    /// Whether ending with 0 is how this service is meant to be: somebody waits for it, or production's release did so.
    fn may_complete(&self, running: &Running) -> bool {
        let name = &running.service.name;
        let did = self.has_completed(name);
        // What the release adds has no past to be compared with.
        let is_new = !self.world().services.contains_key(name) && running.service.restart == Restart::No;
        let may_end = is_new || !self.is_candidate(name);
        self.is_one_shot(name) || did || (may_end && !self.has_health_check(running))
    }

    /// How often a candidate's container may exit on its way up: as often as production's had ended well in that place
    /// when it gave way, and more where what it depends on comes up at the same time.
    fn usual_exits(&self, service: &Service) -> usize {
        let usual = self.inner.usual_exits.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = usual.get(&service.name).copied().unwrap_or_default();
        let mut needs = service.depends_on.iter();
        match needs.any(|need| self.is_candidate(&need.service)) {
            true => usual.max(TOLERATED_EXITS - 1),
            false => usual,
        }
    }

    /// Whether a release has used the volumes: production's once it has given way.
    fn volumes_now(&self) -> Volumes {
        let usual = self.inner.usual_exits.lock().unwrap_or_else(PoisonError::into_inner);
        match usual.is_empty() {
            true => Volumes::Empty,
            false => Volumes::Used,
        }
    }

    /// Whether a service has ended as it was meant to, in whichever release.
    fn has_completed(&self, name: &str) -> bool {
        let completed = self.inner.completed.lock().unwrap_or_else(PoisonError::into_inner);
        completed.contains(name)
    }

    fn is_candidate(&self, name: &str) -> bool {
        self.role_of(name) == Role::Candidate
    }
}

/// Whose exits are counted.
#[derive(Debug, Clone, Copy)]
enum Whose {
    /// Production's, at such a start.
    Production(Volumes),
    /// The candidate's, in whose place so many are usual.
    Candidate(usize),
}

/// At so many exits a start has failed.
fn tolerated(restart: Restart, whose: Whose) -> usize {
    match (restart, whose) {
        (Restart::No, _) => 1,
        (_, Whose::Candidate(usual)) => CANDIDATE_EXITS.max(usual + 1),
        // None at all means no limit.
        (Restart::OnFailure(Some(count @ 1..)), _) => usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1),
        (_, Whose::Production(Volumes::Empty)) => FIRST_EXITS,
        (_, Whose::Production(Volumes::Used)) => TOLERATED_EXITS,
    }
}

fn lost(running: &Running, gone: &anyhow::Error) -> ServiceFailure {
    let lost = Lost::new(Part::Agent, format!("{gone:#}"));
    ServiceFailure::unseen(&running.replica, ServiceFailureKind::Lost(lost))
}

/// A failing health check in its own words, at most a few lines of them.
fn health_words(exit: i64, output: &str) -> String {
    // The engine's own words for a check that it could not even start: what is behind the runtime's frame says why.
    if let Some((_, why)) = output.split_once(NOT_STARTED) {
        let why = last_words_of(why);
        let why = why.trim_start_matches("exec: ").trim_end_matches(": unknown");
        return format!("its health check cannot run {why}");
    }
    match last_words_of(output) {
        said if said.is_empty() => format!("its health check ended with {exit}: and said nothing"),
        said => format!("its health check ended with {exit}: {said}"),
    }
}

/// The last lines of it, and of those the end: what a program says last is why it gave up.
fn last_words_of(output: &str) -> String {
    let lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    let said = lines[lines.len().saturating_sub(HEALTH_LINES)..].join(" / ");
    let too_long = said.chars().count().saturating_sub(HEALTH_CHARACTERS);
    said.chars().skip(too_long).collect()
}

/// The check passes in the container, and nobody else would reach the service.
fn silent_words(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    format!(
        "its health check passes, but nothing accepts connections from the network at the port that production's files declare ({ports})"
    )
}

/// With this policy and exit code the engine leaves the container alone.
pub(super) fn restarts_no_more(policy: Restart, code: i64) -> bool {
    match policy {
        Restart::No => true,
        Restart::OnFailure(_) => code == 0,
        Restart::Always | Restart::UnlessStopped => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_may_exit_while_a_database_initialises_and_a_candidate_as_often_as_production() {
        let (first, later) = (Whose::Production(Volumes::Empty), Whose::Production(Volumes::Used));
        assert!(tolerated(Restart::Always, first) > tolerated(Restart::Always, later));
        assert_eq!(tolerated(Restart::Always, Whose::Candidate(0)), 2);
        assert_eq!(tolerated(Restart::Always, Whose::Candidate(4)), 5);
        for whose in [first, later, Whose::Candidate(4)] {
            assert_eq!(tolerated(Restart::No, whose), 1);
        }
        assert_eq!(tolerated(Restart::OnFailure(Some(3)), first), 4);
    }

    #[test]
    fn a_failing_health_check_is_told_in_its_own_words() {
        assert_eq!(
            health_words(127, "/bin/sh: wget: not found\n"),
            "its health check ended with 127: /bin/sh: wget: not found"
        );
        assert_eq!(
            health_words(1, " \n"),
            "its health check ended with 1: and said nothing"
        );
        let framed = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": \
                      executable file not found in $PATH: unknown";
        assert_eq!(
            health_words(-1, framed),
            "its health check cannot run \"curl\": executable file not found in $PATH"
        );
        assert!(health_words(1, &"x".repeat(10_000)).len() < 400);
    }

    #[test]
    fn what_a_failing_check_said_last_is_told() {
        let traceback = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n    \
                         raise HTTPError(url)\nurllib.error.HTTPError: HTTP Error 503: Service Unavailable\n";
        assert_eq!(
            health_words(1, traceback),
            "its health check ended with 1: File \"<string>\", line 1, in <module> / raise HTTPError(url) / \
             urllib.error.HTTPError: HTTP Error 503: Service Unavailable"
        );
        let long = format!("{}\nthe end", "ö".repeat(10_000));
        assert!(
            health_words(1, &long).ends_with("ö / the end"),
            "{}",
            health_words(1, &long)
        );
    }
}
