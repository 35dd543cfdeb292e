//! What happens to the run's containers, from the engine's event stream: starts, exits, out-of-memory kills, health.
//! `inspect` forgets an exit once a container has been restarted; this does not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt as _;
use tokio::sync::{broadcast, watch};

use super::Engine;
use super::labels::{LABEL_RUN, LABEL_SERVICE};

const NANOS: i64 = 1_000_000_000;
/// Between two tries to hear the engine again.
const BACK_AGAIN: Duration = Duration::from_millis(200);

/// All that has happened to one container.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// How often it was started.
    pub starts: u32,
    /// Each exit, in order.
    pub exits: Vec<Exit>,
    /// It runs now.
    pub running: bool,
    /// Since when, where its start was seen.
    pub since: Option<Instant>,
    /// What the engine's health check last said; `None` before its first word since the last start.
    pub healthy: Option<bool>,
    /// How often it was called unhealthy since its last start.
    pub unhealthy: u32,
    /// Signals it was sent, in order, as numbers.
    pub signals: Vec<i64>,
    /// The kernel has killed for memory, and the exit that may follow has not been told.
    pub out_of_memory: bool,
    /// How often the kernel has killed something in it for memory, whether or not the container ended.
    pub memory_kills: usize,
    /// We have asked it to end, and it has not yet.
    pub asked_to_end: bool,
}

/// One end of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 137 = killed.
    pub code: i64,
    /// The kernel killed it for memory.
    pub oom: bool,
    /// When it was seen.
    pub at: Instant,
    /// How long it had run by then, where its start was seen.
    pub ran: Option<Duration>,
    /// Whose doing it was.
    pub by: EndedBy,
}

/// Whose doing an end of a container was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// It ended, or the kernel ended it.
    Itself,
    /// We stopped it.
    Us,
}

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It was started.
    Start,
    /// It has ended.
    Die {
        /// With this code, where the engine says it.
        code: Option<i64>,
    },
    /// The kernel killed something in it for memory.
    OutOfMemory,
    /// It was sent a signal, by its number where the engine says it.
    Signal(Option<i64>),
    /// Its health check passes.
    Healthy,
    /// Its health check fails.
    Unhealthy,
}

/// Something that happened, for those who follow along.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Container id.
    pub container: String,
    /// Its service label; empty for containers that stand for no service.
    pub service: String,
    /// What.
    pub what: Happening,
}

/// Follows the run's containers. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    seen: Arc<Mutex<HashMap<String, watch::Sender<History>>>>,
    news: broadcast::Sender<Happened>,
}

impl Watch {
    /// Begins to follow; returns once the engine has accepted the subscription as of its own clock.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn begin(engine: &Engine) -> Result<Self> {
        let since = engine.clock().await?;
        let watch = Self {
            seen: Arc::default(),
            news: broadcast::channel(4096).0,
        };
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{LABEL_RUN}={}", engine.run())]),
            (
                "event".to_owned(),
                // Podman's filter has a word of its own for what its events then call `die`.
                ["start", "die", "died", "oom", "kill", "health_status"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
        ];
        let filters: HashMap<String, Vec<String>> = filters.into_iter().collect();
        let (docker, follower) = (engine.docker().clone(), watch.clone());
        tokio::spawn(async move {
            let mut last = since.saturating_mul(NANOS);
            loop {
                last = follower.read(&docker, &filters, last).await;
                // An engine that is being restarted tells on where it stopped once it is back.
                tokio::time::sleep(BACK_AGAIN).await;
            }
        });
        Ok(watch)
    }

    /// Takes what happens from a moment on, until the stream breaks; returns the moment of the last event.
    async fn read(&self, docker: &Docker, filters: &HashMap<String, Vec<String>>, since: i64) -> i64 {
        let (seconds, nanos) = (since / NANOS, since % NANOS);
        let options = EventsOptions {
            since: Some(format!("{seconds}.{nanos:09}")),
            until: None,
            filters: Some(filters.clone()),
        };
        let mut last = since;
        let mut stream = Box::pin(docker.events(Some(options)));
        while let Some(Ok(event)) = stream.next().await {
            // The next reading begins after this one.
            last = event.time_nano.map_or(last, |at| last.max(at.saturating_add(1)));
            self.take(event);
        }
        last
    }

    /// All that happens from now on.
    pub fn news(&self) -> broadcast::Receiver<Happened> {
        self.news.subscribe()
    }

    /// What is known of a container, now and as it changes.
    pub fn of(&self, container: &str) -> watch::Receiver<History> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(container.to_owned())
            .or_insert_with(|| watch::Sender::new(History::default()))
            .subscribe()
    }

    /// How a container is that was started before anybody followed; what is heard of it since then stands.
    pub fn know(&self, container: &str, running: bool, healthy: Option<bool>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen
            .entry(container.to_owned())
            .or_insert_with(|| watch::Sender::new(History::default()));
        entry.send_modify(|seen| {
            if seen.starts == 0 && seen.exits.is_empty() {
                (seen.running, seen.healthy) = (running, seen.healthy.or(healthy));
            }
        });
    }

    /// We are about to stop a container: if it runs, its next end is our doing.
    pub fn stops(&self, container: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen
            .entry(container.to_owned())
            .or_insert_with(|| watch::Sender::new(History::default()));
        entry.send_modify(|seen| seen.asked_to_end = seen.running);
    }

    fn take(&self, event: EventMessage) {
        let actor = event.actor.unwrap_or_default();
        let (id, attributes) = (actor.id.unwrap_or_default(), actor.attributes.unwrap_or_default());
        let facts: BTreeMap<&str, &str> = attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let number = |name: &str| facts.get(name).and_then(|text| text.parse::<i64>().ok());
        let Some(what) = happening(event.action.as_deref().unwrap_or_default(), number) else {
            return;
        };
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = seen
                .entry(id.clone())
                .or_insert_with(|| watch::Sender::new(History::default()));
            entry.send_modify(|seen| seen.apply(what));
        }
        let service = facts.get(LABEL_SERVICE).copied().unwrap_or_default().to_owned();
        // Nobody following is fine.
        let _followers = self.news.send(Happened {
            container: id,
            service,
            what,
        });
    }
}

/// In our words; `None` for what does not matter here. `number` gives what the engine says beside it.
fn happening(action: &str, number: impl Fn(&str) -> Option<i64>) -> Option<Happening> {
    match action {
        "start" => Some(Happening::Start),
        "die" => Some(Happening::Die {
            code: number("exitCode"),
        }),
        "oom" => Some(Happening::OutOfMemory),
        "kill" => Some(Happening::Signal(number("signal"))),
        "health_status: healthy" => Some(Happening::Healthy),
        "health_status: unhealthy" => Some(Happening::Unhealthy),
        _ => None,
    }
}

impl History {
    fn apply(&mut self, what: Happening) {
        match what {
            Happening::Start => {
                self.starts += 1;
                self.running = true;
                self.since = Some(Instant::now());
                self.healthy = None;
                self.unhealthy = 0;
                self.asked_to_end = false;
            }
            Happening::Die { code } => self.end(code),
            Happening::OutOfMemory => self.run_out_of_memory(),
            Happening::Signal(number) => self.signals.extend(number),
            Happening::Healthy => self.healthy = Some(true),
            Happening::Unhealthy => {
                self.healthy = Some(false);
                self.unhealthy += 1;
            }
        }
    }

    fn end(&mut self, code: Option<i64>) {
        self.running = false;
        self.exits.push(Exit {
            code: code.unwrap_or(-1),
            oom: std::mem::take(&mut self.out_of_memory),
            at: Instant::now(),
            ran: self.since.take().map(|since| since.elapsed()),
            by: match std::mem::take(&mut self.asked_to_end) {
                true => EndedBy::Us,
                false => EndedBy::Itself,
            },
        });
    }

    /// The kernel's word comes before the exit, or after it: the two are told by different threads of the engine. Its
    /// own flag is forgotten at the next start.
    fn run_out_of_memory(&mut self) {
        self.memory_kills += 1;
        match self.exits.last_mut() {
            Some(exit) if !self.running => exit.oom = true,
            _ => self.out_of_memory = true,
        }
    }

    /// Exits that are not our doing, in order.
    pub fn own_exits(&self) -> impl DoubleEndedIterator<Item = &Exit> {
        self.exits.iter().filter(|exit| exit.by == EndedBy::Itself)
    }

    /// Exits that are not our doing, without those that only show that it was watched for longer: it ended well after
    /// more than `watched`. What works in turns by its restart policy ends so.
    pub fn telling_exits(&self, watched: Option<Duration>) -> usize {
        let is_turn =
            |exit: &&Exit| exit.code == 0 && watched.zip(exit.ran).is_some_and(|(watched, ran)| ran > watched);
        self.own_exits().filter(|exit| !is_turn(exit)).count()
    }

    /// How often it has ended by itself, and well.
    pub fn well_ended(&self) -> usize {
        self.own_exits().filter(|exit| exit.code == 0).count()
    }

    /// The longest that it was seen to run, whatever has ended that.
    pub fn longest(&self) -> Option<Duration> {
        let ended = self.exits.iter().filter_map(|exit| exit.ran);
        ended.chain(self.since.map(|since| since.elapsed())).max()
    }

    /// Its last end was its own, and it does not run since.
    pub fn has_ended(&self) -> bool {
        !self.running && self.exits.last().is_some_and(|exit| exit.by == EndedBy::Itself)
    }

    /// The last exit; it may run again since.
    pub fn last_exit(&self) -> Option<&Exit> {
        self.exits.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIED: Happening = Happening::Die { code: Some(137) };

    fn exits(all: &[Happening]) -> Vec<(i64, bool)> {
        let mut history = History::default();
        all.iter().for_each(|what| history.apply(*what));
        history.exits.iter().map(|exit| (exit.code, exit.oom)).collect()
    }

    #[test]
    fn the_kernels_word_belongs_to_the_exit_beside_it_on_whichever_side() {
        let (start, oom) = (Happening::Start, Happening::OutOfMemory);
        assert_eq!(exits(&[start, oom, DIED]), [(137, true)]);
        assert_eq!(exits(&[start, DIED, oom]), [(137, true)]);
        assert_eq!(exits(&[start, DIED]), [(137, false)]);
        // Of a process that is not the container's first, and ends nothing.
        assert_eq!(exits(&[start, oom]), []);
        let mut history = History::default();
        [start, oom].iter().for_each(|what| history.apply(*what));
        assert_eq!(history.memory_kills, 1);
        assert_eq!(
            exits(&[start, DIED, start, oom, oom, DIED]),
            [(137, false), (137, true)]
        );
    }

    #[test]
    fn a_start_forgets_health_and_no_exit() {
        let mut history = History::default();
        for what in [
            Happening::Start,
            Happening::Healthy,
            Happening::Signal(Some(15)),
            DIED,
            Happening::Start,
        ] {
            history.apply(what);
        }
        assert_eq!((history.starts, history.running, history.healthy), (2, true, None));
        assert_eq!((history.exits.len(), history.signals), (1, vec![15]));
    }

    #[test]
    fn an_end_that_we_asked_for_is_ours_and_no_other() {
        let mut history = History::default();
        let stopped = |history: &mut History| history.asked_to_end = history.running;
        history.apply(Happening::Start);
        stopped(&mut history);
        history.apply(DIED);
        assert!(!history.has_ended());
        // What does not run cannot be stopped.
        stopped(&mut history);
        for what in [Happening::Start, DIED] {
            history.apply(what);
        }
        assert!(history.has_ended());
        let by: Vec<EndedBy> = history.exits.iter().map(|exit| exit.by).collect();
        assert_eq!(by, [EndedBy::Us, EndedBy::Itself]);
        assert_eq!(history.own_exits().count(), 1);
    }

    #[test]
    fn what_is_known_from_before_gives_way_to_what_is_heard() {
        let watch = Watch {
            seen: Arc::default(),
            news: broadcast::channel(1).0,
        };
        watch.know("old", true, Some(true));
        let old = watch.of("old").borrow().clone();
        assert_eq!((old.running, old.healthy, old.starts), (true, Some(true), 0));
        watch.of("died");
        let died = |seen: &mut History| seen.apply(DIED);
        watch.seen.lock().unwrap()["died"].send_modify(died);
        watch.know("died", true, None);
        assert!(!watch.of("died").borrow().running);
    }

    #[test]
    fn an_event_is_read_in_the_engines_words() {
        let number = |name: &str| (name == "exitCode").then_some(3);
        assert_eq!(happening("die", number), Some(Happening::Die { code: Some(3) }));
        assert_eq!(happening("kill", number), Some(Happening::Signal(None)));
        assert_eq!(
            happening("health_status: unhealthy", number),
            Some(Happening::Unhealthy)
        );
        assert_eq!(happening("exec_create: sh", number), None);
    }
}
