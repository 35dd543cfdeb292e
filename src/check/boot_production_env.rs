//! `boot-production-env`: the candidate comes up with production's environment, and does what the baseline did.

use super::About;
use super::control::{and_more, brief, evidence_of};
use super::pair::Pair;
use crate::mirror::failure::ServiceFailure;
use crate::record::finding::{Blame, Finding};
use crate::record::result::TestRecord;
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "boot-production-env",
    question: "does the candidate come up in production's environment and pass the suites that production passes?",
    explain: "The candidate is started with production's environment, mounts, limits, user and flags. It must be \
              ready within stages.upgrade.within and pass every test that the baseline passed. A test's failure \
              blocks only after it was repeated on the candidate, and five times in all on a baseline that the \
              candidate has not touched. What to do: read the named test and the candidate's first fatal log line; \
              what the release newly needs must be in production's environment first.",
};

fn finding(title: String) -> Finding {
    Finding::new(ABOUT.id, StageId::Upgrade, Blame::Candidate, title)
}

/// The candidate was not ready in its time, or could not be started at all.
pub fn not_ready(failure: &ServiceFailure, pair: &Pair) -> Finding {
    let help = format!(
        "do not deploy: {} starts here and {} does not",
        pair.baseline(),
        pair.candidate()
    );
    finding(failure.headline())
        .about(failure.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
        .help(help)
}

/// Tests that the baseline passes, and the candidate fails every time.
pub fn tests_fail(suite: &str, failed: &[&TestRecord], cause: Option<String>, pair: &Pair) -> Option<Finding> {
    let first = failed.first()?;
    let more = and_more(failed.len());
    let title = format!(
        "`{suite}` / `{}`{more} fails on the candidate: {}",
        first.name,
        brief(&first.message)
    );
    let help = format!("do not deploy: {} passes this on the same mirror", pair.baseline());
    let found = finding(title).about(first.service.clone()).because(cause);
    Some(found.seen(evidence_of(failed)).help(help))
}
