//! `rollback`: after the candidate has written, the baseline comes back, reads everything, in time.

use super::About;
use super::control::{and_more, brief, evidence_of};
use super::pair::Pair;
use crate::mirror::failure::ServiceFailure;
use crate::record::finding::{Blame, Finding};
use crate::record::result::TestRecord;
use crate::record::stage::StageId;
use crate::text::units::seconds;
use std::time::Duration;

/// What this check is.
pub const ABOUT: About = About {
    id: "rollback",
    question: "is there a way back?",
    explain: "The candidate runs data.write and data.verify_write, then the baseline takes its place again on the same \
              volumes, against the clock. It must be ready within stages.rollback.within and pass what it passed in \
              control; data.verify and data.verify_write must hold. A migration that the old release cannot read is \
              found here and nowhere else. What to do: make the migration readable by both releases, or say \
              forward_only with the reason, so that nobody counts on a rollback.",
};

fn finding(title: String) -> Finding {
    Finding::new(ABOUT.id, StageId::Rollback, Blame::Candidate, title)
}

fn way_out(pair: &Pair) -> String {
    format!(
        "{} leaves nothing that {} can live with: make it readable by both, or declare rollback.forward_only",
        pair.candidate(),
        pair.baseline()
    )
}

/// The baseline does not come up again.
pub fn not_ready(failure: &ServiceFailure, pair: &Pair) -> Finding {
    let title = format!("there is no way back: {}", failure.headline());
    finding(title)
        .about(failure.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
        .help(way_out(pair))
}

/// The baseline came back too late.
pub fn too_slow(took: Duration, budget: Duration) -> Finding {
    let title = format!("the rollback took {}, {} are allowed", seconds(took), seconds(budget));
    finding(title).help("raise stages.rollback.within only if production can bear it")
}

/// Tests that the baseline passed in control and fails now.
pub fn tests_fail(suite: &str, failed: &[&TestRecord], cause: Option<String>, pair: &Pair) -> Option<Finding> {
    let first = failed.first()?;
    let more = and_more(failed.len());
    let title = format!(
        "after the rollback `{suite}` / `{}`{more} fails: {}",
        first.name,
        brief(&first.message)
    );
    Some(tests(title, failed, cause).help(way_out(pair)))
}

/// The candidate cannot do `data.write`, or does not read back what it wrote.
pub fn write_fails(suite: &str, failed: &[&TestRecord], cause: Option<String>, pair: &Pair) -> Option<Finding> {
    let first = failed.first()?;
    let title = format!(
        "`{suite}` / `{}` fails on the candidate: {}",
        first.name,
        brief(&first.message)
    );
    let help = format!("do not deploy: {} does this on the same mirror", pair.baseline());
    Some(tests(title, failed, cause).help(help))
}

fn tests(title: String, failed: &[&TestRecord], cause: Option<String>) -> Finding {
    let service = failed.first().and_then(|first| first.service.clone());
    finding(title).about(service).because(cause).seen(evidence_of(failed))
}
