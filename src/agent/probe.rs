//! Probes: the same question at a fixed rate, whatever became of the earlier ones, so that a gap in the answers is
//! a gap in the service and not in the asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::exchange::{Browser, ask};
use super::failure::millis;
use super::session::lock;
use super::{Answer, ProbeSample};

/// Questions under way at the same time; beyond it a question counts as unanswered without being asked.
const MOST_ASKED: usize = 512;

/// A probe keeps no more samples, and asks no further.
const MOST_SAMPLES: usize = 100_000;

/// The probes under way.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, Probe>>);

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
    /// Starts a probe; one of the same name is forgotten.
    pub fn start(&self, browser: Arc<Browser>, name: String, url: String, every: Duration, limit: Duration) {
        let stop = CancellationToken::new();
        let asking = tokio::spawn(run(
            browser,
            url,
            every.max(Duration::from_millis(1)),
            limit,
            stop.clone(),
        ));
        lock(&self.0).insert(name, Probe { stop, asking });
    }

    /// Ends a probe; its questions under way end by their own limit.
    pub async fn stop(&self, name: &str) -> Answer {
        let Some(mut probe) = lock(&self.0).remove(name) else {
            let message = format!("no probe named `{name}` is running");
            return Answer::Failed {
                kind: "request".to_owned(),
                message,
                duration_ms: 0,
            };
        };
        probe.stop.cancel();
        Answer::Probe((&mut probe.asking).await.unwrap_or_default())
    }
}

async fn run(
    browser: Arc<Browser>,
    url: String,
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
                    asked.spawn(question(browser.clone(), url.clone(), limit, started));
                }
            }
        }
    }
    while let Some(done) = asked.join_next().await {
        samples.extend(done);
    }
    // Asked after all that came before: a release that was ready between two questions would else have none.
    samples.push(question(browser, url, limit, started).await);
    samples.sort_by_key(|sample| sample.at_ms);
    samples
}

async fn question(browser: Arc<Browser>, url: String, limit: Duration, started: Instant) -> ProbeSample {
    let at_ms = millis(started.elapsed());
    let answer = ask(&browser, &url, limit).await;
    ProbeSample {
        at_ms,
        done_ms: millis(started.elapsed()),
        status: answer.as_ref().ok().copied(),
        failure: answer.err().map(|failure| failure.kind.to_owned()),
    }
}

fn unasked(started: Instant) -> ProbeSample {
    let now = millis(started.elapsed());
    ProbeSample {
        at_ms: now,
        done_ms: now,
        status: None,
        failure: Some("timeout".to_owned()),
    }
}
