//! Thresholds against the baseline want production's release beside the candidate. Why it cannot stand there, or would be
//! asked by nobody, is known before anything starts.

use crate::check::two::not_at_once;
use crate::config::settings::{Load, Settings};
use crate::world::candidates::Candidates;
use crate::world::model::World;
use crate::yaml::diagnostic::Diagnostic;

/// Both releases can be up at once, and asked.
pub(super) fn can_stand(settings: &Settings, world: &World, release: &Candidates) -> Result<(), Vec<Diagnostic>> {
    // A release that changes nothing is told apart later.
    let load = settings.stages.load.as_ref().filter(|_| !release.touched().is_empty());
    let quantile = load.and_then(|load| Some((load, load.thresholds.against_baseline.keys().next()?)));
    let Some((load, quantile)) = quantile else {
        return Ok(());
    };
    match not_at_once(settings, load, (release, world)) {
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
