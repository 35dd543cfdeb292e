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

use super::{Engine, LABEL_RUN, LABEL_SERVICE};

const NANOS: i64 = 1_000_000_000;
/// Between two tries to hear the engine again.
const BACK_AGAIN: Duration = Duration::from_millis(200);

/// All that was seen of one container.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How often it was started.
    pub starts: u32,
    /// Each exit, in order.
    pub exits: Vec<Exit>,
    /// It runs now.
    pub running: bool,
    /// What the engine's health check last said; `None` before its first word since the last start.
    pub healthy: Option<bool>,
    /// Signals it was sent, in order, as numbers.
    pub signals: Vec<i64>,
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
}

/// Something that happened, for those who follow along.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Container id.
    pub container: String,
    /// Its service label; empty for containers that stand for no service.
    pub service: String,
    /// `start`, `die`, `oom`, `healthy`, `unhealthy`.
    pub what: &'static str,
    /// Exit code of `die`.
    pub exit: Option<i64>,
}

/// Follows the run's containers. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    seen: Arc<Mutex<HashMap<String, watch::Sender<Seen>>>>,
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
    pub fn of(&self, container: &str) -> watch::Receiver<Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(container.to_owned())
            .or_insert_with(|| watch::Sender::new(Seen::default()))
            .subscribe()
    }

    fn take(&self, event: EventMessage) {
        let actor = event.actor.unwrap_or_default();
        let (id, attributes) = (actor.id.unwrap_or_default(), actor.attributes.unwrap_or_default());
        let facts: BTreeMap<&str, &str> = attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let number = |name: &str| facts.get(name).and_then(|text| text.parse::<i64>().ok());
        let Some(what) = word_for(event.action.as_deref().unwrap_or_default()) else {
            return;
        };
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = seen
                .entry(id.clone())
                .or_insert_with(|| watch::Sender::new(Seen::default()));
            entry.send_modify(|seen| apply(seen, what, number("exitCode"), number("signal")));
        }
        let service = facts.get(LABEL_SERVICE).copied().unwrap_or_default().to_owned();
        // Nobody following is fine.
        let _followers = self.news.send(Happened {
            container: id,
            service,
            what,
            exit: number("exitCode"),
        });
    }
}

fn word_for(action: &str) -> Option<&'static str> {
    match action {
        "start" => Some("start"),
        "die" => Some("die"),
        "oom" => Some("oom"),
        "kill" => Some("kill"),
        "health_status: healthy" => Some("healthy"),
        "health_status: unhealthy" => Some("unhealthy"),
        _ => None,
    }
}

fn apply(seen: &mut Seen, what: &str, exit: Option<i64>, signal: Option<i64>) {
    match what {
        "start" => {
            seen.starts += 1;
            seen.running = true;
            seen.healthy = None;
        }
        "die" => {
            // The kernel's word comes before the exit; the engine's own flag is forgotten at the next start.
            let oom = seen.exits.last().is_some_and(|exit| exit.code == OOM_PENDING);
            if oom {
                seen.exits.pop();
            }
            seen.running = false;
            seen.exits.push(Exit {
                code: exit.unwrap_or(-1),
                oom,
                at: Instant::now(),
            });
        }
        // The two are told by different threads of the engine: the word may come after the exit.
        "oom" if !seen.running && seen.ended().next().is_some() => {
            if let Some(exit) = seen.exits.last_mut() {
                exit.oom = true;
            }
        }
        "oom" if seen.exits.last().is_none_or(|exit| exit.code != OOM_PENDING) => {
            seen.exits.push(Exit {
                code: OOM_PENDING,
                oom: true,
                at: Instant::now(),
            });
        }
        "kill" => seen.signals.extend(signal),
        "healthy" => seen.healthy = Some(true),
        "unhealthy" => seen.healthy = Some(false),
        _ => {}
    }
}

/// Stands in the list between the kernel's kill and the exit that follows it.
const OOM_PENDING: i64 = i64::MIN;

impl Seen {
    /// Exits that have happened.
    pub fn ended(&self) -> impl Iterator<Item = &Exit> {
        self.exits.iter().filter(|exit| exit.code != OOM_PENDING)
    }

    /// The last exit, if it does not run now.
    pub fn last_exit(&self) -> Option<&Exit> {
        self.ended().last()
    }
}
