//! Health checks, asked by ourselves: an engine may ask only every half minute. A check costs and may have effects, so it
//! is asked no more often than the engine itself would ask it in the time that is allowed; most of that early, because
//! most services come up early, and none of it before a port accepts where one is to.
//!
//! What passes once is not yet ready. Images of databases start a temporary server on an empty volume, for their scripts
//! alone: production's first question comes too late to meet it, and ours must not be taken in by it. So a port that
//! production's files declare must accept from the network, too; where none is declared, the check must pass again a
//! second later, once for each release of a run, and some seconds later where a port of the image's is silent until then.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::readiness::{Patience, SILENT_PORTS};
use super::{Mirror, Running};
use crate::agent::wait::{Awaited, WaitCall};
use crate::agent::{Answer, Call};
use crate::engine::watch::History;
use crate::text::units::millis;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// Asks a health check within its container.
const ASK_AGAIN: &str = include_str!("health.sh");
/// How long that command asks before it gives the word back.
const ASKING: Duration = Duration::from_secs(3);
/// Its exit code when the check did not pass.
const NOT_YET: i64 = 1;
/// Between two commands in a container: at least this.
const SHORTEST_PAUSE: Duration = Duration::from_millis(70);
/// A check's limit where nobody set one: the engine's own.
const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// Between two questions where nobody says: the engine's own.
const INTERVAL: Duration = Duration::from_secs(30);
/// However seldom production asks, we ask so often.
const LEAST_TIMES: u32 = 5;
/// Each pause is at least this part of the time since the first question, in percent.
const LEAST_GROWTH: u32 = 10;
/// A check that passed must pass again after this, where no port says more.
const HOLD: Duration = Duration::from_secs(1);
/// … and after this, or once it accepts, where the image exposes a port that has kept silent: that may be a server for
/// scripts alone, which takes its time on a slow machine.
const HOLD_IN_SILENCE: Duration = Duration::from_secs(5);

/// The ports of a service at which it can be seen to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ports {
    /// Production's files declare them: one must accept.
    Declared(Vec<u16>),
    /// The image exposes them, or another service in the same network may be who listens there: that alone decides
    /// nothing.
    Exposed(Vec<u16>),
    /// None that we could reach.
    Unknown,
}

impl Mirror {
    /// Returns when a service with a health check is ready: see the head of this file.
    pub(super) async fn await_health(&self, running: &Running, check: HealthCheck, patience: Patience) {
        let ports = self.ports_of(running);
        let mut asking = Asking::of(check, patience.allowed);
        loop {
            self.await_accepting(running, &ports, patience.left).await;
            tokio::select! {
                () = is_healthy(self.inner.watch.of(&running.id)) => {}
                () = self.ask_until_it_passes(running, &mut asking) => {}
            }
            if self.holds(running, &ports, &mut asking).await {
                return;
            }
        }
    }

    /// Returns when the engine itself calls a container healthy: until then `docker compose up -d` holds back what waits for
    /// that, however early the service could be used. After the time in which the engine must have asked once this
    /// returns anyway: some engines never ask.
    pub(super) async fn await_engines_word(&self, replica: &Replica) {
        let running = self.container(replica);
        let check = running.and_then(|running| Some((self.health_check(&running.service)?, running)));
        if let Some((check, running)) = check {
            let limit = check.interval + ASKING;
            let _said = tokio::time::timeout(limit, is_healthy(self.inner.watch.of(&running.id))).await;
        }
    }

    fn ports_of(&self, running: &Running) -> Ports {
        let service = &running.service;
        let is_alone = !self.is_shared(&service.name);
        let ports = match service.ports.is_empty() {
            true => self.image(&service.image).ports,
            false => service.ports.clone(),
        };
        if service.networks.is_empty() {
            Ports::Unknown
        } else if !service.ports.is_empty() && is_alone {
            Ports::Declared(ports)
        } else if ports.is_empty() || self.is_silent(&service.name) {
            Ports::Unknown
        } else {
            Ports::Exposed(ports)
        }
    }

    /// Whether others live in its network, who may wait for its health before they listen at the ports that it declares.
    fn is_shared(&self, name: &str) -> bool {
        let services = self.services();
        let mut others = services.values();
        others.any(|other| other.shares_network.as_deref() == Some(name))
    }

    async fn await_accepting(&self, running: &Running, ports: &Ports, left: Duration) {
        match ports {
            Ports::Unknown => {}
            Ports::Declared(ports) => {
                if !self.accepts(running, ports, left).await {
                    std::future::pending().await
                }
            }
            Ports::Exposed(_) if self.is_silent(&running.service.name) => {}
            Ports::Exposed(ports) => {
                if !self.accepts(running, ports, SILENT_PORTS).await {
                    self.shown().silent.insert(running.service.name.clone());
                }
            }
        }
    }

    fn is_silent(&self, service: &str) -> bool {
        self.shown().silent.contains(service)
    }

    /// Whether one of the ports takes a connection from the network, within that time. Never returns where nobody can
    /// tell: the agent is gone.
    pub async fn accepts(&self, running: &Running, ports: &[u16], within: Duration) -> bool {
        let call = WaitCall::Tcp {
            host: self.inner.setup.directory().reached_alone(&running.replica),
            ports: ports.to_vec(),
            deadline_ms: millis(within),
        };
        match self.agent().call(Call::Wait(call)).await {
            Ok(Answer::Awaited(Awaited { after_ms, .. })) => after_ms.is_some(),
            _ => std::future::pending().await,
        }
    }

    /// Whether a check that has just passed is to be believed.
    async fn holds(&self, running: &Running, ports: &Ports, asking: &mut Asking) -> bool {
        if let Ports::Declared(ports) = ports {
            return self.accepts(running, ports, Duration::ZERO).await;
        }
        let release = (running.replica.clone(), self.role_of(&running.service.name));
        if self.shown().held.contains(&release) {
            return true;
        }
        self.let_go_by(running, ports).await;
        let held = self.passes_again(running, asking).await;
        if held {
            self.shown().held.insert(release);
        }
        held
    }

    /// Gives what was only there for a moment the time to go.
    async fn let_go_by(&self, running: &Running, ports: &Ports) {
        match ports {
            Ports::Exposed(ports) if self.is_silent(&running.service.name) => {
                let accepting = self.accepts(running, ports, HOLD_IN_SILENCE);
                let ((), accepts) = tokio::join!(tokio::time::sleep(HOLD), accepting);
                if accepts {
                    // It was slow, not silent: another mirror of this run waits for it.
                    self.shown().silent.remove(&running.service.name);
                }
            }
            _ => tokio::time::sleep(HOLD).await,
        }
    }

    /// One question more; where all are used up, the engine's next word.
    async fn passes_again(&self, running: &Running, asking: &mut Asking) -> bool {
        if !asking.take_one() {
            is_healthy(self.inner.watch.of(&running.id)).await;
            return true;
        }
        let question = self.engine().exec(&running.id, &asking.check.command, None);
        let answer = tokio::time::timeout(asking.check.limit, question).await;
        matches!(answer, Ok(Ok(done)) if done.exit == 0)
    }

    async fn ask_until_it_passes(&self, running: &Running, asking: &mut Asking) {
        loop {
            let times = asking.may_ask();
            if times == 0 {
                // From now on the engine's own questions tell.
                return std::future::pending().await;
            }
            let asked = Instant::now();
            let heard = match asking.way {
                Way::Inside => self.ask_inside(running, asking, times).await,
                Way::OneByOne => self.ask_once(running, asking).await,
            };
            match heard {
                Heard::Passed => return,
                Heard::NotYet => {}
                Heard::OtherWay => asking.way = asking.way.other(),
            }
            tokio::time::sleep(asking.pause(asked)).await;
        }
    }

    /// One command in the container asks again and again. Its questions are taken from what is left before it begins,
    /// and those that it did not ask are given back.
    async fn ask_inside(&self, running: &Running, asking: &mut Asking, times: u32) -> Heard {
        let (shell, env) = asking.inside(times);
        asking.left -= times;
        let question = self.engine().exec_with(&running.id, &shell, &env, None);
        let limit = asking.check.limit + ASKING * 2;
        match tokio::time::timeout(limit, question).await {
            Ok(Ok(done)) if done.exit == 0 || done.exit == NOT_YET => {
                let asked = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap_or(times);
                asking.left += times.saturating_sub(asked);
                if done.exit == 0 { Heard::Passed } else { Heard::NotYet }
            }
            // There is no shell, or the container is just being restarted: nothing was asked.
            Ok(_) => {
                asking.left += times;
                Heard::OtherWay
            }
            // It hangs in its first question.
            Err(_) => {
                asking.left += times - 1;
                Heard::NotYet
            }
        }
    }

    async fn ask_once(&self, running: &Running, asking: &mut Asking) -> Heard {
        asking.left -= 1;
        let question = self.engine().exec(&running.id, &asking.check.command, None);
        match tokio::time::timeout(asking.check.limit, question).await {
            Ok(Ok(done)) if done.exit == 0 => Heard::Passed,
            Ok(Ok(_)) | Err(_) => Heard::NotYet,
            Ok(Err(_)) => Heard::OtherWay,
        }
    }

    /// The health check in force; `None` without one.
    pub(super) fn health_check(&self, service: &Service) -> Option<HealthCheck> {
        let own = service.health.clone().unwrap_or_default();
        let facts = self.image(&service.image);
        let image = facts.health.unwrap_or_default();
        let test = if own.test.is_empty() {
            image.test.unwrap_or_default()
        } else {
            own.test
        };
        let shell = if facts.shell.is_empty() {
            ["/bin/sh", "-c"].map(str::to_owned).to_vec()
        } else {
            facts.shell
        };
        let command = match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
            Some((kind, [line, ..])) if kind == "CMD-SHELL" => [shell, vec![line.clone()]].concat(),
            _ => return None,
        };
        Some(HealthCheck {
            command,
            limit: own.timeout.or(of_nanos(image.timeout)).unwrap_or(CHECK_LIMIT),
            interval: own.interval.or(of_nanos(image.interval)).unwrap_or(INTERVAL),
        })
    }

    /// Whether readiness is told by a health check.
    pub fn has_health_check(&self, running: &Running) -> bool {
        self.health_check(&running.service).is_some()
    }
}

/// What an engine counts in; 0 is its word for nothing.
fn of_nanos(nanos: Option<i64>) -> Option<Duration> {
    let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
    nanos.filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

/// Returns when the engine says so; never, where nobody tells any more.
async fn is_healthy(mut seen: watch::Receiver<History>) {
    if seen.wait_for(|seen| seen.healthy == Some(true)).await.is_err() {
        std::future::pending().await
    }
}

/// What a question came to.
enum Heard {
    Passed,
    NotYet,
    OtherWay,
}

/// How a check is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By one command in the container, many times.
    Inside,
    /// By a command for each question: the container has no shell.
    OneByOne,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::Inside => Self::OneByOne,
            Self::OneByOne => Self::Inside,
        }
    }
}

/// A health check as it is asked.
#[derive(Debug, Clone)]
pub(super) struct HealthCheck {
    command: Vec<String>,
    limit: Duration,
    interval: Duration,
}

/// How often a check may still be asked, and when.
#[derive(Debug)]
struct Asking {
    check: HealthCheck,
    way: Way,
    left: u32,
    growth: u32,
    begun: Option<Instant>,
}

impl Asking {
    fn of(check: HealthCheck, allowed: Duration) -> Self {
        let times = times(allowed, check.interval);
        Self {
            way: Way::Inside,
            left: times,
            growth: growth(check.interval, times),
            begun: None,
            check,
        }
    }

    /// Questions that may be asked until it passes: the last one is kept to ask whether that holds.
    fn may_ask(&mut self) -> u32 {
        self.begun.get_or_insert_with(Instant::now);
        self.left.saturating_sub(1)
    }

    fn take_one(&mut self) -> bool {
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }

    fn since(&self) -> Duration {
        self.begun.map(|begun| begun.elapsed()).unwrap_or_default()
    }

    /// The longer it takes, the seldomer it is asked.
    fn pause(&self, asked: Instant) -> Duration {
        let least = match self.way {
            Way::Inside => SHORTEST_PAUSE,
            Way::OneByOne => asked.elapsed().clamp(SHORTEST_PAUSE, ASKING / 3),
        };
        least.max(self.since() * self.growth / 100)
    }

    /// The command that asks so often at most, and that command's environment.
    fn inside(&self, times: u32) -> (Vec<String>, Vec<String>) {
        let words: Vec<String> = self.check.command.iter().map(|word| quoted(word)).collect();
        let centiseconds = |time: Duration| time.as_millis() / 10;
        let env = vec![
            format!("REHEARSAL_CHECK={}", words.join(" ")),
            format!("REHEARSAL_LIMIT={}", centiseconds(self.check.limit).clamp(1, 360_000)),
            format!("REHEARSAL_TIMES={times}"),
            format!("REHEARSAL_SINCE={}", centiseconds(self.since())),
            format!("REHEARSAL_GROWTH={}", self.growth),
        ];
        (["/bin/sh", "-c", ASK_AGAIN].map(str::to_owned).to_vec(), env)
    }
}

/// How often the engine would ask in the time that is allowed.
fn times(allowed: Duration, interval: Duration) -> u32 {
    let times = allowed.as_millis() / interval.as_millis().max(1);
    u32::try_from(times).unwrap_or(u32::MAX).max(LEAST_TIMES)
}

/// So that the questions last about until production's own first one, in percent of the time since they began.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn growth(interval: Duration, times: u32) -> u32 {
    let spread = (interval.as_secs_f64() / SHORTEST_PAUSE.as_secs_f64()).max(1.0);
    let growth = spread.powf(1.0 / f64::from(times)) - 1.0;
    ((growth * 100.0) as u32).max(LEAST_GROWTH)
}

/// A word that every shell reads as it stands.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn check(interval: u64) -> HealthCheck {
        HealthCheck {
            command: vec!["pg_isready".to_owned()],
            limit: CHECK_LIMIT,
            interval: Duration::from_secs(interval),
        }
    }

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
    fn a_check_is_asked_as_often_as_production_would_ask_it_and_five_times_at_least() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let left = |allowed, interval| Asking::of(check(interval), allowed).left;
        assert_eq!(left(minutes(3), 10), 18);
        assert_eq!(left(minutes(2), 2), 60);
        assert_eq!(left(minutes(2), 30), 5);
        assert_eq!(left(minutes(1), 3600), 5);
    }

    #[test]
    fn questions_come_early_and_last_until_productions_own_first_one() {
        for (interval, allowed) in [(30, 180), (10, 180), (2, 180), (30, 60), (5, 120)] {
            let asking = Asking::of(check(interval), Duration::from_secs(allowed));
            let (mut at, mut half) = (0.07, 0);
            for _ in 1..asking.left {
                half += u32::from(at < f64::from(u32::try_from(interval).unwrap()) / 2.0);
                at += f64::max(0.07, at * f64::from(asking.growth) / 100.0);
            }
            assert!(
                half * 2 > asking.left.min(20),
                "{interval} {allowed}: {half} of {}",
                asking.left
            );
            assert!(
                at * 4.0 > f64::from(u32::try_from(interval).unwrap()),
                "{interval} {allowed}: {at}"
            );
        }
    }

    #[test]
    fn the_last_question_is_kept_to_ask_whether_it_holds() {
        let mut asking = Asking::of(check(30), Duration::from_secs(1));
        assert_eq!(asking.may_ask(), 4);
        asking.left -= 4;
        assert_eq!(asking.may_ask(), 0);
        assert!(asking.take_one());
        assert!(!asking.take_one());
    }

    #[test]
    fn the_command_inside_asks_no_more_often_than_it_may_and_says_how_often_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let mut asking = Asking::of(check(30), Duration::from_secs(1));
        let line = format!("echo x >> '{}'; false", seen.display());
        asking.check.command = ["sh", "-c", &line].map(str::to_owned).to_vec();
        let (command, env) = asking.inside(2);
        let env = env.iter().filter_map(|entry| entry.split_once('='));
        let done = std::process::Command::new(&command[0])
            .args(&command[1..])
            .envs(env)
            .output()
            .unwrap();
        let asked = std::fs::read_to_string(seen).unwrap().lines().count();
        assert_eq!(done.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), asked.to_string());
        assert!((1..=2).contains(&asked), "{asked}");
    }

    #[test]
    fn a_quoted_word_is_read_as_it_stands() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
