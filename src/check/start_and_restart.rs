//! `start-and-restart`: restarts, exit codes, memory kills and start time of the candidate, against the baseline.

use std::time::Duration;

use super::About;
use super::pair::Pair;
use crate::engine::watch::Seen;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::swap::Swapped;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;
use crate::text::units::seconds;

/// What this check is.
pub const ABOUT: About = About {
    id: "start-and-restart",
    question: "does the candidate start once and stay up?",
    explain: "Exits and memory kills are read from the engine's events, because an engine forgets them after a \
              restart. A candidate is crashing at its second exit (or its first, where nothing restarts it); one that \
              only came up by restarting, or takes more than twice the baseline's start time and five seconds, is \
              warned about. The cause is the first fatal line of its log: later lines are often only consequences.",
};

fn finding(blame: Blame, service: &str, title: String) -> Finding {
    Finding::new(ABOUT.id, StageId::Upgrade, blame, title).about(service.to_owned())
}

/// The candidate crashed instead of coming up.
pub fn crashed(failure: &ServiceFailure, pair: &Pair) -> Finding {
    let help = format!(
        "do not deploy: {} stays up here and {} does not",
        pair.baseline(),
        pair.candidate()
    );
    finding(Blame::Candidate, &failure.service, failure.headline())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
        .help(help)
}

/// What happened to a candidate that did come up: exits on its way up, and since.
pub fn after(
    swapped: &Swapped,
    seen: &Seen,
    baseline_start: Option<Duration>,
    cause: Option<String>,
    pair: &Pair,
) -> Vec<Finding> {
    let service = &swapped.service;
    let exits: Vec<_> = seen.ended().collect();
    let mut found = Vec::new();
    let later = exits.len().saturating_sub(swapped.exits);
    let last = exits.last().map_or_else(String::new, |exit| {
        format!(
            ", last with code {}{}",
            exit.code,
            if exit.oom { ", killed for memory" } else { "" }
        )
    });
    if later > 0 && (exits.len() >= 2 || !seen.running) {
        let title = format!("`{service}` exited {later} times after it was ready{last}");
        let help = format!("do not deploy: {} stays up under the same suites", pair.baseline());
        found.push(finding(Blame::Candidate, service, title).because(cause).help(help));
    } else if !exits.is_empty() {
        let title = format!("`{service}` came up only by restarting ({} exits{last})", exits.len());
        let help = "find out what it needs that is not there at its first start";
        found.push(finding(Blame::Nobody, service, title).because(cause).help(help));
    }
    found.extend(slow(swapped, baseline_start));
    found
}

fn slow(swapped: &Swapped, baseline_start: Option<Duration>) -> Option<Finding> {
    let before = baseline_start?;
    let is_slow = swapped.ready > before * 2 && swapped.ready > before + Duration::from_secs(5);
    let title = format!(
        "`{}` takes {} to be ready, the baseline took {}",
        swapped.service,
        seconds(swapped.ready),
        seconds(before)
    );
    let help = "a slow start is downtime in every deploy and every restart";
    is_slow.then(|| finding(Blame::Nobody, &swapped.service, title).help(help))
}

/// A release that had to be killed where the other stopped by itself.
pub fn killed_at_stop(service: &str, took: Duration) -> Finding {
    let title = format!(
        "`{service}` of the candidate did not stop within its grace period and was killed after {}",
        seconds(took)
    );
    finding(Blame::Nobody, service, title).help("handle the stop signal: what is in flight at the kill is lost")
}
