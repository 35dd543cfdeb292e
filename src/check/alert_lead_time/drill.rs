//! A drill: a failure is made, users go on asking, and what production's Prometheus would scrape is written down, second
//! by second. It runs where nothing else does: its own traffic changes no test.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::{join, join_all};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::leak::Leak;
use crate::agent::exchange::{HttpAnswer, HttpCall, SERVER_ERROR};
use crate::alerts::exporters::{self, Asked};
use crate::alerts::exposition;
use crate::alerts::rules::Rules;
use crate::alerts::series::{MOST_SERIES, Recorder, Recording, Sample};
use crate::check::At;
use crate::config::alerts::{Alerts, Preset};
use crate::record::outcome::{Lost, Outcome};
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::text::units::of_millis;

const SECOND: Duration = Duration::from_secs(1);
/// What is asked each second must be answered in one; production's scrapes wait for longer, and get no better answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// So many redirects a blackbox exporter follows.
const REDIRECTS: u32 = 10;

/// What is recorded, and where.
pub(super) struct Drill<'a> {
    pub at: &'a At<'a>,
    pub alerts: &'a Alerts,
    /// What no rule asks for is not kept.
    pub rules: &'a Rules,
    /// The suites that users run where nobody signs in.
    pub suites: Vec<Subject>,
    /// The service whose memory runs out, where one's does.
    pub leak: Option<&'a Leak>,
    /// What is known of what rules ask for, by the series' name.
    pub asked: &'a Mutex<HashMap<String, bool>>,
}

impl Drill<'_> {
    /// Records for as long as it is asked for.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn record(&self) -> Result<Recording, Lost> {
        let recorder = Mutex::new(Recorder::default());
        let long = self.alerts.record.as_secs();
        self.record_until(&recorder, |recorded| recorded >= long).await?;
        Ok(finished(recorder))
    }

    /// Records until it is over, which is asked each second of the seconds that are recorded.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn record_until(&self, recorder: &Mutex<Recorder>, is_over: impl Fn(u64) -> bool) -> Result<(), Lost> {
        let over = CancellationToken::new();
        let scraping = async {
            let scraped = self.scrape(recorder, is_over).await;
            over.cancel();
            scraped
        };
        let (scraped, used) = join(scraping, self.use_it(recorder, &over)).await;
        scraped.and(used)
    }

    async fn scrape(&self, recorder: &Mutex<Recorder>, is_over: impl Fn(u64) -> bool) -> Result<(), Lost> {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (begun, mut recorded) = (Instant::now(), 0);
        let crashes = crashes(self.at);
        while !is_over(recorded) {
            seconds.tick().await;
            let samples = self.second(recorder).await?;
            if self::crashes(self.at) > crashes {
                lock(recorder).crashed();
            }
            let wanted: Vec<Sample> = samples
                .into_iter()
                .filter(|sample| self.wants(sample.labels.name()))
                .collect();
            // Where something was long in answering, more than one second is over; they are all what it said then.
            let over = begun.elapsed().as_secs().max(recorded) + 1;
            for _ in recorded..over {
                lock(recorder).second(wanted.clone());
            }
            recorded = over;
        }
        Ok(())
    }

    /// What is scraped in one second.
    async fn second(&self, recorder: &Mutex<Recorder>) -> Result<Vec<Sample>, Lost> {
        let exported = join_all(self.alerts.scrape.iter().map(|(job, url)| self.exported(job, url)));
        let probes = self.probes();
        let probed = join_all(probes.iter().map(|url| self.probed(url, recorder)));
        let (exported, probed) = join(exported, probed).await;
        let mut samples = Vec::new();
        for some in exported.into_iter().chain(probed) {
            samples.extend(some?);
        }
        if self.alerts.presets.contains(&Preset::Cadvisor) {
            samples.extend(self.containers().await);
        }
        Ok(samples)
    }

    /// What is asked as by a blackbox exporter, and by users.
    fn probes(&self) -> Vec<String> {
        if !self.alerts.probe.is_empty() {
            return self.alerts.probe.clone();
        }
        let settings = self.at.case.settings;
        let login = settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
        let start = login.map(|login| login.start.clone()).filter(|start| !start.is_empty());
        start.into_iter().chain(settings.stages.upgrade.probe.clone()).collect()
    }

    async fn exported(&self, job: &str, url: &str) -> Result<Vec<Sample>, Lost> {
        let instance = instance(url);
        let answer = self.get(url, 0).await?.filter(|answer| answer.status == 200);
        let Some(answer) = answer else {
            return Ok(vec![exporters::up(job, &instance, false)]);
        };
        let body = BASE64_STANDARD.decode(&answer.body).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let read = exposition::read(&text, |name| self.wants(name)).into_iter();
        let target = [("instance", instance.as_str()), ("job", job)];
        let own = read.map(|sample| Sample {
            labels: sample.labels.scraped_from(&target),
            ..sample
        });
        Ok(own.chain([exporters::up(job, &instance, true)]).collect())
    }

    /// Whether a rule asks for series of that name.
    fn wants(&self, name: &str) -> bool {
        let mut asked = lock(self.asked);
        match asked.get(name) {
            Some(wants) => *wants,
            None => {
                let wants = self.rules.ask_for(name);
                // Names without an end must not fill the memory.
                if asked.len() < MOST_SERIES {
                    asked.insert(name.to_owned(), wants);
                }
                wants
            }
        }
    }

    async fn probed(&self, url: &str, recorder: &Mutex<Recorder>) -> Result<Vec<Sample>, Lost> {
        let answer = self.get(url, REDIRECTS).await?;
        if is_failed(answer.as_ref()) {
            lock(recorder).failed();
        }
        let asked = Asked {
            url,
            status: answer.as_ref().map(|answer| answer.status),
            took: answer
                .as_ref()
                .map_or(ANSWER_WITHIN, |answer| Duration::from_millis(answer.duration_ms)),
            redirects: answer.as_ref().map_or(0, |answer| answer.trail.len().saturating_sub(1)),
        };
        Ok(match self.alerts.presets.contains(&Preset::Blackbox) {
            true => asked.samples(),
            false => Vec::new(),
        })
    }

    /// Whether users get what they ask for now.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn is_good(&self) -> Result<bool, Lost> {
        for url in self.probes() {
            if is_failed(self.get(&url, REDIRECTS).await?.as_ref()) {
                return Ok(false);
            }
        }
        Ok(self.used().await? != Some(Used::Failed))
    }

    async fn containers(&self) -> Vec<Sample> {
        let used = self.at.ground.usage().await.into_iter();
        let samples = used.flat_map(|(replica, usage)| {
            let world = self.at.case.world;
            let image = world
                .services
                .get(&replica.service)
                .map_or("", |service| service.image.as_str());
            let usage = match self.leak {
                Some(leak) => leak.as_in_production(&replica, usage),
                None => usage,
            };
            exporters::container(&replica.service, &replica.to_string(), image, &usage)
        });
        samples.collect()
    }

    async fn get(&self, url: &str, follow: u32) -> Result<Option<HttpAnswer>, Lost> {
        let call = HttpCall {
            method: "GET".to_owned(),
            url: url.to_owned(),
            follow,
            timeout_ms: crate::text::units::millis(ANSWER_WITHIN),
            insecure: true,
            ..HttpCall::default()
        };
        self.at.ground.http(call).await
    }

    /// A user signs in each second, or where nobody does the suites run, until it is over.
    async fn use_it(&self, recorder: &Mutex<Recorder>, over: &CancellationToken) -> Result<(), Lost> {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !over.is_cancelled() {
            tokio::select! {
                () = over.cancelled() => break,
                _ = seconds.tick() => {}
            }
            // One under way when it is over is let end: what it captured is to be hidden.
            match self.used().await? {
                None => break,
                Some(Used::Well) => {}
                Some(Used::Failed) => lock(recorder).failed(),
            }
        }
        Ok(())
    }

    /// What a user gets; `None` where nobody can be one.
    async fn used(&self) -> Result<Option<Used>, Lost> {
        match self.at.driver.sign_in().await.map(|outcome| outcome.came_to) {
            None => self.run_suites().await,
            Some(Outcome::Held(())) => Ok(Some(Used::Well)),
            Some(Outcome::Broke(_)) => Ok(Some(Used::Failed)),
            Some(Outcome::Lost(lost)) => Err(lost),
        }
    }

    async fn run_suites(&self) -> Result<Option<Used>, Lost> {
        let mut used = None;
        for suite in &self.suites {
            for test in self.at.driver.run(suite).await {
                used = match (used, test.status) {
                    (Some(Used::Failed), _) | (_, Status::Failed) => Some(Used::Failed),
                    (_, Status::Passed) => Some(Used::Well),
                    (used, Status::Error | Status::Skipped | Status::NotRun) => used,
                };
            }
        }
        Ok(used)
    }
}

/// What a user got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Used {
    /// What was wanted.
    Well,
    /// Something else.
    Failed,
}

/// A user gets no answer, or an error.
fn is_failed(answer: Option<&HttpAnswer>) -> bool {
    answer.is_none_or(|answer| answer.status >= SERVER_ERROR)
}

/// How often a container has ended in an error until now, or lost a process for want of memory.
fn crashes(at: &At<'_>) -> usize {
    let replicas = at.case.replicas(&at.case.services());
    let of = |replica| {
        let history = at.ground.history(replica);
        let ended = history.exits.iter().filter(|exit| exit.code != 0);
        ended.count() + history.memory_kills
    };
    replicas.iter().map(of).sum()
}

/// What failed and what crashed, and when.
pub(super) fn harms(raised: &Recording) -> Vec<String> {
    let failed = raised
        .first_failure
        .map(|second| format!("the first request fails after {}", of_seconds(second)));
    let crashed = raised
        .crash
        .map(|second| format!("a container crashes after {}", of_seconds(second)));
    failed.into_iter().chain(crashed).collect()
}

/// For people.
pub(super) fn of_seconds(seconds: usize) -> String {
    of_millis(seconds as u64 * 1_000)
}

/// What was recorded.
pub(super) fn finished(recorder: Mutex<Recorder>) -> Recording {
    recorder.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As Prometheus names a target: `web:8080`.
fn instance(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return url.to_owned();
    };
    let port = url.port_or_known_default().map(|port| format!(":{port}"));
    format!("{}{}", url.host_str().unwrap_or_default(), port.unwrap_or_default())
}
