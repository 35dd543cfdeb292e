//! Probe traffic: one question every 100 ms while a stage goes on.

use crate::agent::{Answer, Call, ProbeSample};
use crate::config::settings::{RequestStep, Settings};
use crate::mirror::Mirror;

/// Milliseconds between questions.
const INTERVAL_MS: u64 = 100;
/// A question's limit, milliseconds.
const TIMEOUT_MS: u64 = 5_000;

/// What is asked: the configuration's word, else the first GET of the first suite that needs no capture, else a suite's
/// target, else the page where users sign in. `None` where nothing speaks HTTP. Whatever the baseline answers is good.
pub fn url(settings: &Settings) -> Option<String> {
    let own = settings.stages.upgrade.probe.clone();
    let target = || settings.suites.iter().find_map(|suite| suite.body.target.clone());
    let start = || Some(settings.auth.as_ref()?.login.as_ref()?.start.clone());
    let url = own.or_else(|| first_get(settings)).or_else(target).or_else(start)?;
    // As the agent will write it: it is compared with other addresses.
    url::Url::parse(&url).ok().map(|url| url.to_string())
}

fn first_get(settings: &Settings) -> Option<String> {
    let gets = || {
        let suites = settings.suites.iter().map(|suite| &suite.body);
        suites
            .flat_map(|body| body.requests.iter().map(move |step| (body, step)))
            .filter(|(_, step)| needs_no_capture(step))
    };
    // The probe sends no headers: a step that needs none says more of the application.
    let bare = gets().find(|(_, step)| step.basic.is_none() && step.headers.is_empty());
    let (body, step) = bare.or_else(|| gets().next())?;
    let mut url = url::Url::parse(&absolute(&step.url, body.target.as_deref())?).ok()?;
    if !step.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&step.query);
    }
    Some(url.to_string())
}

fn needs_no_capture(step: &RequestStep) -> bool {
    let plain = |text: &String| !text.contains("{{");
    step.method == "GET" && plain(&step.url) && step.headers.iter().chain(&step.query).all(|(_, value)| plain(value))
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
    let call = Call::ProbeStart {
        probe: name.to_owned(),
        url: url.to_owned(),
        interval_ms: INTERVAL_MS,
        timeout_ms: TIMEOUT_MS,
    };
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
