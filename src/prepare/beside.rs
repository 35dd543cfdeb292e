//! Thresholds against the baseline want production's release beside the candidate. Why it cannot stand there, or would be
//! asked by nobody, is known before anything starts.

use std::collections::BTreeSet;

use url::Url;

use crate::config::settings::{Load, RequestStep, Settings, Suite};
use crate::world::beside::beside;
use crate::world::candidates::Candidates;
use crate::world::model::{Service, World};
use crate::yaml::diagnostic::Diagnostic;

/// Both releases can be up at once, and asked.
pub(super) fn can_stand(settings: &Settings, world: &World, release: &Candidates) -> Result<(), Vec<Diagnostic>> {
    // A release that changes nothing is told apart later.
    let load = settings.stages.load.as_ref().filter(|_| !release.touched().is_empty());
    let quantile = load.and_then(|load| Some((load, load.thresholds.against_baseline.keys().next()?)));
    let Some((load, quantile)) = quantile else {
        return Ok(());
    };
    let own = release.services.values().next();
    let obstacle = match beside(release, world) {
        Err(obstacle) => Some(obstacle.to_string()),
        Ok(_) => own.and_then(|own| asked_elsewhere(settings, load, own)),
    };
    match obstacle {
        None => Ok(()),
        Some(why) => Err(vec![refused(load, &format!("{quantile}_vs_baseline"), &why)]),
    }
}

fn refused(load: &Load, key: &str, why: &str) -> Diagnostic {
    let message = format!("`{key}` cannot be judged, for both releases cannot be asked at once: {why}");
    let error = match &load.against_span {
        Some(span) => Diagnostic::at(span, message),
        None => Diagnostic::new(message),
    };
    error.help("hold the load to absolute thresholds, which take the releases one after the other")
}

/// Whom the requests of a load ask, where none of them asks the service itself. What is filled in while it runs is known
/// only then.
fn asked_elsewhere(settings: &Settings, load: &Load, own: &Service) -> Option<String> {
    let suites = settings.suites.iter();
    let suites = suites.filter(|suite| load.mix.as_ref().is_none_or(|name| *name == suite.name));
    let hosts = suites.flat_map(|suite| suite.body.requests.iter().map(move |step| host(suite, step)));
    let hosts: BTreeSet<String> = hosts.collect::<Option<_>>()?;
    // A name of production's hosts is answered by what stands before the service, whoever else bears it.
    let is_front = |host: &String| {
        settings
            .production
            .hosts
            .iter()
            .any(|front| front.name().eq_ignore_ascii_case(host))
    };
    let bears = |host: &String| own.names().any(|name| name.eq_ignore_ascii_case(host)) && !is_front(host);
    if hosts.is_empty() || hosts.iter().any(bears) {
        return None;
    }
    let (hosts, own) = (hosts.into_iter().collect::<Vec<_>>().join("`, `"), &own.name);
    Some(format!(
        "the load asks `{hosts}` and not `{own}` itself: whatever stands before it reaches the release in place alone"
    ))
}

fn host(suite: &Suite, step: &RequestStep) -> Option<String> {
    if step.url.contains("{{") {
        return None;
    }
    let address = Url::parse(&step.url).ok();
    let target = || Url::parse(suite.body.target.as_ref()?).ok();
    Some(address.or_else(target)?.host_str()?.to_owned())
}
