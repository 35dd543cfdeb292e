//! Probe traffic: one question every 100 ms while a stage goes on.

use super::Rehearsal;
use super::course::Course;
use crate::check::traffic::Traffic;
use crate::config::settings::{RequestStep, Settings};
use crate::plan::Planned;
use crate::record::stage::StageId;
use crate::record::step::Step;

impl Rehearsal<'_> {
    /// Begins to ask before the first step that it is to accompany. Nothing to ask is no error: there is no traffic then.
    pub(super) async fn traffic_begins(&self, stage: StageId, planned: &Planned, course: &mut Course) {
        let accompanied = match stage {
            StageId::Control => !matches!(planned.id, Step::Mirror | Step::Start(_)) && course.in_place.is_some(),
            StageId::Upgrade => true,
            StageId::Rollback => false,
        };
        let (Some(url), Some(ground)) = (url(self.settings), course.ground.clone()) else {
            return;
        };
        if accompanied && course.probing.is_none() {
            ground.probe_begins(stage.as_str(), &url).await;
            course.probing = Some(url);
        }
    }

    /// Ends, and keeps what was seen.
    pub(super) async fn traffic_ends(&self, stage: StageId, course: &mut Course) {
        let (Some(url), Some(ground)) = (course.probing.take(), course.ground.clone()) else {
            return;
        };
        let good = course.facts.traffic.get(&StageId::Control);
        let good = good.and_then(|traffic| traffic.as_ref().ok()?.good);
        let samples = ground.probe_ends(stage.as_str()).await;
        let traffic = samples.map(|samples| Traffic::of(&url, &samples, good));
        course.facts.traffic.insert(stage, traffic);
    }
}

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
