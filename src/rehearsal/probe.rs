//! Probe traffic: one question every 100 ms while a stage goes on.

use crate::agent::{Answer, Call, ProbeSample};
use crate::config::settings::Settings;
use crate::mirror::Mirror;

/// Milliseconds between questions.
const INTERVAL_MS: u64 = 100;
/// A question's limit, milliseconds.
const TIMEOUT_MS: u64 = 5_000;

/// What is asked: the configuration's word, else the first GET of the first suite that needs no capture, else the
/// page where users sign in. `None` where nothing speaks HTTP.
pub fn url(settings: &Settings) -> Option<String> {
    let own = settings.stages.upgrade.probe.clone();
    own.or_else(|| first_get(settings)).or_else(|| Some(settings.auth.as_ref()?.login.as_ref()?.start.clone()))
}

fn first_get(settings: &Settings) -> Option<String> {
    let suite = settings.suites.iter().find(|suite| !suite.body.requests.is_empty())?;
    let plain = |text: &str| !text.contains("{{");
    let step = suite.body.requests.iter().find(|step| {
        step.method == "GET"
            && plain(&step.url)
            && step.basic.is_none()
            && step.headers.iter().all(|(_, value)| plain(value))
            && step.query.is_empty()
    })?;
    absolute(&step.url, suite.body.target.as_deref())
}

/// A path on a target, or a URL as it is.
pub fn absolute(url: &str, target: Option<&str>) -> Option<String> {
    if url.contains("://") {
        return Some(url.to_owned());
    }
    let target = target?.trim_end_matches('/');
    Some(format!("{target}/{}", url.trim_start_matches('/')))
}

/// Begins to ask. Nothing to ask is no error: there is no traffic then.
pub async fn begin(mirror: &Mirror, name: &str, url: Option<&str>) {
    let Some(url) = url else { return };
    let call = Call::ProbeStart { probe: name.to_owned(), url: url.to_owned(), interval_ms: INTERVAL_MS, timeout_ms: TIMEOUT_MS };
    // An agent that is gone is found by the next question that needs an answer.
    let _started = mirror.agent().call(call).await;
}

/// Ends it and returns what was seen.
pub async fn end(mirror: &Mirror, name: &str) -> Vec<ProbeSample> {
    match mirror.agent().call(Call::ProbeStop { probe: name.to_owned() }).await {
        Ok(Answer::Probe(samples)) => samples,
        _ => Vec::new(),
    }
}
