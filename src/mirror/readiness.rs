//! Readiness: seen from the engine's events and from questions of our own, never from a fixed sleep.
//!
//! A service with a health check is ready when that check passes: we ask it ourselves as soon as the container runs,
//! because the engine may ask only every half minute. Where the container has a shell, one command in it asks again and
//! again (`health.sh`): a command of its own for each question costs the engine more than most checks cost. A service
//! without a check is ready when a port it declares accepts a connection, or, when it declares none, when it has
//! started. Exits and `unhealthy` end the wait at once.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::failure::{ServiceFailure, ServiceFailureKind};
use super::{Mirror, Running};
use crate::agent::wait::WaitCall;
use crate::agent::{Answer, Call};
use crate::engine::watch::History;
use crate::record::release::Role;
use crate::world::model::{Condition, Restart};

/// Asks a health check within its container.
const ASK_AGAIN: &str = include_str!("health.sh");
/// How long that command asks before it gives the word back.
const ASKING: Duration = Duration::from_secs(3);
/// Its exit code when the check did not pass.
const NOT_YET: i64 = 1;
/// Between two commands in a container: at least this.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// A check's limit where nobody set one: the engine's own.
const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// A service that declares ports and listens on none of them is taken as ready after this: images declare ports that
/// a configuration does not use.
const SILENT_PORTS: Duration = Duration::from_secs(15);
/// Exits that are tolerated while something other than the candidate comes up under a restart policy.
const TOLERATED_EXITS: usize = 5;
/// Exit code of what was killed.
const KILLED: i64 = 137;
/// Of what a health check said, no more is told.
const HEALTH_LINES: usize = 3;
/// The same in characters.
const HEALTH_CHARACTERS: usize = 300;
/// A candidate crashes at its second exit.
const CANDIDATE_EXITS: usize = 2;

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
        limit: Duration,
    ) -> Result<CameUp, ServiceFailure> {
        let mut seen = self.inner.watch.of(&running.id);
        let verdict = tokio::select! {
            ended = self.await_end(running, before, &mut seen) => ended,
            () = self.await_good(running) => Ok(CameUp::Ready),
            () = tokio::time::sleep(limit) => Err(ServiceFailureKind::NotReady(limit)),
        };
        match verdict {
            Ok(came_up) => Ok(came_up),
            Err(what) => {
                if matches!(what, ServiceFailureKind::Exited) {
                    self.logs().settled(&running.id).await;
                }
                let mut failure = self.failure(&running.service.name, what);
                if !matches!(failure.kind, ServiceFailureKind::Exited) {
                    self.add_health(running, &mut failure).await;
                }
                failure.oom |= failure.exit_code == Some(KILLED) && self.was_out_of_memory(&running.id).await;
                Err(failure)
            }
        }
    }

    /// What the engine has recorded of the last time that it asked the health check.
    async fn add_health(&self, running: &Running, failure: &mut ServiceFailure) {
        let found = self.engine().inspect(&running.id).await.ok();
        let health = found.and_then(|found| found.state?.health);
        let last = health.and_then(|health| health.log?.pop());
        let Some(said) = last.and_then(|last| health_words(last.exit_code, last.output.as_deref())) else {
            return;
        };
        failure.fatal.get_or_insert_with(|| said.clone());
        failure.log.push(said);
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

    /// Returns when a service has crashed for good; never, if it does not.
    pub async fn crash_of(&self, service: &str) -> ServiceFailure {
        let Some(running) = self.container_of(service) else {
            return std::future::pending().await;
        };
        let mut seen = self.inner.watch.of(&running.id);
        match self.await_end(&running, 0, &mut seen).await {
            Ok(_) => std::future::pending().await,
            Err(what) => {
                self.logs().settled(&running.id).await;
                self.failure(service, what)
            }
        }
    }

    /// Returns when the container has ended for good, or is unhealthy.
    async fn await_end(
        &self,
        running: &Running,
        before: usize,
        seen: &mut watch::Receiver<History>,
    ) -> Result<CameUp, ServiceFailureKind> {
        let service = &running.service;
        let tolerated = match (service.restart, self.is_candidate(&service.name)) {
            (Restart::No, _) => 1,
            (_, true) => CANDIDATE_EXITS,
            // None at all means no limit.
            (Restart::OnFailure(Some(count @ 1..)), _) => {
                usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1)
            }
            _ => TOLERATED_EXITS,
        };
        let done = |seen: &History| {
            let exits = seen.exits.len().saturating_sub(before);
            let well = seen.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
            (exits > 0 && !seen.running && well) || exits >= tolerated || seen.healthy == Some(false)
        };
        let Ok(state) = seen.wait_for(done).await.map(|state| state.clone()) else {
            return std::future::pending().await;
        };
        if state.healthy == Some(false) {
            return Err(ServiceFailureKind::Unhealthy);
        }
        let well = state.last_exit().is_some_and(|exit| exit.code == 0) && restarts_no_more(service.restart, 0);
        if well && self.may_complete(running) {
            Ok(CameUp::Completed)
        } else {
            Err(ServiceFailureKind::Exited)
        }
    }

    /// Returns when the service is ready to be used; never, if it is not.
    async fn await_good(&self, running: &Running) {
        if self.is_one_shot(&running.service.name) {
            return std::future::pending().await;
        }
        match self.health_check(running) {
            Some(check) => self.await_health(running, &check).await,
            None => self.await_ports(running).await,
        }
    }

    async fn await_health(&self, running: &Running, check: &HealthCheck) {
        tokio::select! {
            () = is_healthy(self.inner.watch.of(&running.id)) => {}
            () = self.ask_until_it_passes(running, check) => {}
        }
    }

    async fn ask_until_it_passes(&self, running: &Running, check: &HealthCheck) {
        let (shell, env) = check.asked_inside();
        let mut inside = true;
        loop {
            let asked = Instant::now();
            let answer = if inside {
                let question = self.engine().exec_with(&running.id, &shell, &env, None);
                tokio::time::timeout(check.limit + ASKING * 2, question).await
            } else {
                tokio::time::timeout(check.limit, self.engine().exec(&running.id, &check.command, None)).await
            };
            let pause = if inside {
                SHORTEST_PAUSE
            } else {
                asked.elapsed().clamp(SHORTEST_PAUSE, ASKING / 3)
            };
            match answer {
                Ok(Ok(done)) if done.exit == 0 => return,
                Ok(Ok(done)) => inside &= done.exit == NOT_YET,
                // Either there is no shell, or the container is just being restarted.
                Ok(Err(_)) => inside = !inside,
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
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
        let call = WaitCall::Tcp {
            host: self.inner.setup.directory().reached_at(&service.name),
            ports,
            deadline_ms,
        };
        if !matches!(self.agent().call(Call::Wait(call)).await, Ok(Answer::Awaited(_))) {
            std::future::pending().await
        }
    }

    /// The health check in force; `None` without one.
    fn health_check(&self, running: &Running) -> Option<HealthCheck> {
        let own = running.service.health.clone().unwrap_or_default();
        let facts = self.image(&running.service.image);
        let image = facts.health.unwrap_or_default();
        let test = if own.test.is_empty() {
            image.test.unwrap_or_default()
        } else {
            own.test
        };
        let nanos = image
            .timeout
            .and_then(|nanos| u64::try_from(nanos).ok())
            .filter(|nanos| *nanos > 0);
        let limit = own.timeout.or(nanos.map(Duration::from_nanos)).unwrap_or(CHECK_LIMIT);
        let shell = if facts.shell.is_empty() {
            ["/bin/sh", "-c"].map(str::to_owned).to_vec()
        } else {
            facts.shell
        };
        match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => Some(HealthCheck {
                command: rest.to_vec(),
                limit,
            }),
            Some((kind, [line, ..])) if kind == "CMD-SHELL" => Some(HealthCheck {
                command: [shell, vec![line.clone()]].concat(),
                limit,
            }),
            _ => None,
        }
    }

    /// Whether readiness is told by a health check.
    pub fn has_health_check(&self, running: &Running) -> bool {
        self.health_check(running).is_some()
    }

    /// Whether somebody waits for this service to end.
    fn is_one_shot(&self, name: &str) -> bool {
        let waits =
            |need: &crate::world::model::Dependency| need.service == name && need.condition == Condition::Completed;
        self.world()
            .services
            .values()
            .any(|service| service.depends_on.iter().any(waits))
    }

    /// Whether ending with 0 is how this service is meant to be: somebody waits for it, or production's release did so.
    fn may_complete(&self, running: &Running) -> bool {
        let name = &running.service.name;
        let did = self
            .inner
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name);
        self.is_one_shot(name) || did || (!self.is_candidate(name) && !self.has_health_check(running))
    }

    fn is_candidate(&self, name: &str) -> bool {
        self.role_of(name) == Role::Candidate
    }
}

/// Returns when the engine says so; never, where nobody tells any more.
async fn is_healthy(mut seen: watch::Receiver<History>) {
    if seen.wait_for(|seen| seen.healthy == Some(true)).await.is_err() {
        std::future::pending().await
    }
}

/// A failing health check in its own words, at most a few lines of them.
fn health_words(exit: Option<i64>, output: Option<&str>) -> Option<String> {
    let exit = exit.filter(|exit| *exit != 0)?;
    let lines = output.unwrap_or_default().lines().map(str::trim);
    let said: Vec<&str> = lines.filter(|line| !line.is_empty()).take(HEALTH_LINES).collect();
    let said = match said.is_empty() {
        true => "and said nothing".to_owned(),
        false => said.join(" / ").chars().take(HEALTH_CHARACTERS).collect(),
    };
    // The engine's own words for a check that it could not even start: what is behind the runtime's frame says why.
    if let Some((_, why)) = said.split_once("unable to start container process: ") {
        let why = why.trim_start_matches("exec: ").trim_end_matches(": unknown");
        return Some(format!("its health check cannot run {why}"));
    }
    Some(format!("its health check ended with {exit}: {said}"))
}

/// With this policy and exit code the engine leaves the container alone.
fn restarts_no_more(policy: Restart, code: i64) -> bool {
    match policy {
        Restart::No => true,
        Restart::OnFailure(_) => code == 0,
        Restart::Always | Restart::UnlessStopped => false,
    }
}

/// A health check as it is asked.
struct HealthCheck {
    command: Vec<String>,
    limit: Duration,
}

impl HealthCheck {
    /// The command that asks it again and again, and that command's environment.
    fn asked_inside(&self) -> (Vec<String>, Vec<String>) {
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let limit = (self.limit.as_millis() / 10).clamp(1, 360_000);
        let env = vec![
            format!("REHEARSAL_CHECK={}", words.join(" ")),
            format!("REHEARSAL_LIMIT={limit}"),
        ];
        (["/bin/sh", "-c", ASK_AGAIN].map(str::to_owned).to_vec(), env)
    }
}

/// A word that every shell reads as it stands.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn only_the_engines_word_is_health_and_not_its_silence() {
        let (tell, seen) = watch::channel(History::default());
        assert_eq!(is_healthy(seen.clone()).now_or_never(), None);
        tell.send_modify(|seen| seen.healthy = Some(true));
        assert_eq!(is_healthy(seen.clone()).now_or_never(), Some(()));
        tell.send_modify(|seen| seen.healthy = None);
        drop(tell);
        assert_eq!(is_healthy(seen).now_or_never(), None);
    }

    #[test]
    fn a_failing_health_check_is_told_in_its_own_words() {
        let words = |exit, output| health_words(Some(exit), Some(output));
        assert_eq!(
            words(127, "/bin/sh: wget: not found\n").as_deref(),
            Some("its health check ended with 127: /bin/sh: wget: not found")
        );
        assert_eq!(
            words(1, " \n").as_deref(),
            Some("its health check ended with 1: and said nothing")
        );
        let framed = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": \
                      executable file not found in $PATH: unknown";
        assert_eq!(
            words(-1, framed).as_deref(),
            Some("its health check cannot run \"curl\": executable file not found in $PATH")
        );
        assert_eq!(words(0, "fine"), None);
        assert!(words(1, &"x".repeat(10_000)).is_some_and(|said| said.len() < 400));
    }

    #[test]
    fn a_quoted_word_is_read_as_it_stands() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
