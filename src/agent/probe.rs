//! Probes: the same question at a fixed rate, whatever became of the earlier ones, so that a gap in the answers is
//! a gap in the service and not in the asking.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::exchange::{Browser, ask};
use super::failure::{CallFailure, CallFailureKind, millis};
use super::session::lock;

/// Questions under way at the same time; beyond it a question counts as unanswered without being asked.
const MOST_ASKED: usize = 512;

/// A probe keeps no more samples, and asks no further.
const MOST_SAMPLES: usize = 1_000_000;

/// A question under way is waited for when a probe ends, and its limit is not known then.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// What can be done with a probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeCall {
    /// Asks every `interval_ms`, on a connection of its own each time, until [`ProbeCall::Stop`]. A probe of the same
    /// name is forgotten, with its samples.
    Start {
        /// Name of the probe.
        probe: String,
        /// What to ask.
        asks: Question,
        /// Milliseconds between starts.
        interval_ms: u64,
        /// A single question's limit, milliseconds.
        timeout_ms: u64,
    },
    /// Ends a probe, once the questions under way have ended.
    Stop {
        /// Name of the probe.
        probe: String,
    },
    /// Samples of a probe that has ended, in the order asked.
    Take {
        /// Name of the probe.
        probe: String,
        /// So many have been taken already.
        after: usize,
        /// Not more than these.
        most: usize,
    },
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A GET of a URL. Redirects are not followed, certificates are not verified.
    Get(String),
    /// A TCP connection, closed at once: to a host and a port.
    Connect(String, u16),
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(url) => f.write_str(url),
            Self::Connect(host, port) => write!(f, "tcp://{host}:{port}"),
        }
    }
}

impl ProbeCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Stop { .. } => STOP_LIMIT,
            Self::Start { .. } | Self::Take { .. } => Duration::ZERO,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// It asks from now on.
    Started,
    /// It has ended, with so many samples.
    Stopped(usize),
    /// Samples.
    Samples(Batch<ProbeSample>),
}

/// One question of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSample {
    /// When it was asked, milliseconds since the probe started.
    pub at_ms: u64,
    /// When the answer (or failure) was complete, milliseconds since the probe started.
    pub done_ms: u64,
    /// The status, if a GET had an answer.
    pub status: Option<u16>,
    /// The failure's kind, if there was no answer or no connection.
    pub failure: Option<CallFailureKind>,
}

/// The probes under way, and the samples of those that have ended.
#[derive(Default)]
pub(super) struct Probes {
    running: Mutex<HashMap<String, Probe>>,
    ended: Mutex<HashMap<String, Vec<ProbeSample>>>,
}

struct Probe {
    stop: CancellationToken,
    asking: JoinHandle<Vec<ProbeSample>>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Forgotten or replaced: its questions end with it.
        self.asking.abort();
    }
}

impl Probes {
    /// Does what is asked.
    pub async fn serve(&self, browser: &Arc<Browser>, call: ProbeCall) -> Result<ProbeAnswer, CallFailure> {
        match call {
            ProbeCall::Start {
                probe,
                asks,
                interval_ms,
                timeout_ms,
            } => {
                let (every, limit) = (Duration::from_millis(interval_ms), Duration::from_millis(timeout_ms));
                self.start(browser.clone(), probe, asks, every, limit);
                Ok(ProbeAnswer::Started)
            }
            ProbeCall::Stop { probe } => self.stop(&probe).await.map(ProbeAnswer::Stopped),
            ProbeCall::Take { probe, after, most } => self.take(&probe, after, most).map(ProbeAnswer::Samples),
        }
    }

    fn start(&self, browser: Arc<Browser>, name: String, asks: Question, every: Duration, limit: Duration) {
        lock(&self.ended).remove(&name);
        let stop = CancellationToken::new();
        let asking = tokio::spawn(run(
            browser,
            asks,
            every.max(Duration::from_millis(1)),
            limit,
            stop.clone(),
        ));
        lock(&self.running).insert(name, Probe { stop, asking });
    }

    /// Its questions under way end by their own limit.
    async fn stop(&self, name: &str) -> Result<usize, CallFailure> {
        let running = lock(&self.running).remove(name);
        let mut probe = running.ok_or_else(|| CallFailure::request(format!("no probe named `{name}` is running")))?;
        probe.stop.cancel();
        let ended = (&mut probe.asking).await;
        let samples = ended.map_err(|error| CallFailure::request(format!("the probe `{name}` was lost: {error}")))?;
        let count = samples.len();
        lock(&self.ended).insert(name.to_owned(), samples);
        Ok(count)
    }

    fn take(&self, name: &str, after: usize, most: usize) -> Result<Batch<ProbeSample>, CallFailure> {
        let ended = lock(&self.ended);
        let samples = ended.get(name);
        let samples = samples.ok_or_else(|| CallFailure::request(format!("no probe named `{name}` has ended")))?;
        Ok(Batch::of(samples, after, most))
    }
}

async fn run(
    browser: Arc<Browser>,
    asks: Question,
    every: Duration,
    limit: Duration,
    stop: CancellationToken,
) -> Vec<ProbeSample> {
    let started = Instant::now();
    let mut samples = Vec::new();
    // Dropped with this task: an aborted probe asks nothing more.
    let mut asked = JoinSet::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = asked.join_next() => samples.extend(done),
            _ = ticks.tick() => {
                if samples.len() + asked.len() >= MOST_SAMPLES {
                    break;
                } else if asked.len() >= MOST_ASKED {
                    samples.push(unasked(started));
                } else {
                    asked.spawn(sample(browser.clone(), asks.clone(), limit, started));
                }
            }
        }
    }
    while let Some(done) = asked.join_next().await {
        samples.extend(done);
    }
    // Asked after all that came before: a release that was ready between two questions would else have none.
    samples.push(sample(browser, asks, limit, started).await);
    samples.sort_by_key(|sample| sample.at_ms);
    samples
}

async fn sample(browser: Arc<Browser>, asks: Question, limit: Duration, started: Instant) -> ProbeSample {
    let at_ms = millis(started.elapsed());
    let answer = match &asks {
        Question::Get(url) => ask(&browser, url, limit)
            .await
            .map(Some)
            .map_err(|failure| failure.kind),
        Question::Connect(host, port) => connects(&browser, host, *port, limit).await.map(|()| None),
    };
    ProbeSample {
        at_ms,
        done_ms: millis(started.elapsed()),
        status: answer.as_ref().ok().copied().flatten(),
        failure: answer.err(),
    }
}

async fn connects(browser: &Browser, host: &str, port: u16, limit: Duration) -> Result<(), CallFailureKind> {
    let connected = async {
        let addresses = browser.resolver.addresses(host).await;
        let mut failure = CallFailureKind::Dns;
        for address in addresses.unwrap_or_default() {
            match TcpStream::connect((address, port)).await {
                Ok(_) => return Ok(()),
                Err(_) => failure = CallFailureKind::Connect,
            }
        }
        Err(failure)
    };
    let in_time = timeout(limit, connected).await;
    in_time.unwrap_or(Err(CallFailureKind::Timeout))
}

fn unasked(started: Instant) -> ProbeSample {
    let now = millis(started.elapsed());
    ProbeSample {
        at_ms: now,
        done_ms: now,
        status: None,
        failure: Some(CallFailureKind::Timeout),
    }
}

#[cfg(test)]
impl Probes {
    /// With a probe that has ended.
    pub fn with_ended(name: &str, samples: Vec<ProbeSample>) -> Self {
        Self {
            ended: Mutex::new([(name.to_owned(), samples)].into()),
            ..Self::default()
        }
    }
}
