//! `upgrade-in-place`: the candidate takes over the baseline's volumes under traffic, without loss and in time.

use super::About;
use super::control::{and_more, brief, evidence_of};
use super::pair::Pair;
use super::traffic::Traffic;
use crate::record::finding::{Blame, Finding};
use crate::record::result::TestRecord;
use crate::record::stage::StageId;
use std::time::Duration;

use crate::text::units::seconds;

/// What this check is.
pub const ABOUT: About = About {
    id: "upgrade-in-place",
    question: "does the candidate take over production's data and traffic?",
    explain: "The baseline writes data.seed, then the candidate takes its place on the same volumes while a probe asks \
              every 100 ms. data.verify must hold on the candidate as it did on the baseline; the longest time without \
              a good answer (the status that the baseline gives) must stay within stages.upgrade.max_downtime, and \
              the probe must be answered well again. Single failures outside that gap are compared with the \
              baseline's own rate. 38 % of the upgrade failures that DUPTester (SOSP'21) studied are data formats.",
};

fn finding(blame: Blame, title: String) -> Finding {
    Finding::new(ABOUT.id, StageId::Upgrade, blame, title)
}

/// What the baseline wrote does not read the same on the candidate.
pub fn data_lost(failed: &[&TestRecord], cause: Option<String>, pair: &Pair) -> Option<Finding> {
    let first = failed.first()?;
    let more = and_more(failed.len());
    let title = format!(
        "data of the baseline is not as it was: `{}`{more}: {}",
        first.name,
        brief(&first.message)
    );
    let help = format!(
        "do not deploy: the migration of {} loses or changes production's data",
        pair.candidate()
    );
    let found = finding(Blame::Candidate, title).because(cause);
    Some(found.seen(evidence_of(failed)).help(help))
}

/// Downtime, recovery and single failures of the probe.
pub fn traffic(swap: &Traffic, baseline: &Traffic, budget: Duration, pair: &Pair) -> Vec<Finding> {
    let mut found = Vec::new();
    let evidence = vec![swap.words(), format!("baseline alone: {}", baseline.words())];
    if !swap.recovered {
        let title = format!(
            "`{}` is not answered as before after the upgrade: {}",
            swap.url, swap.last
        );
        let help = format!("do not deploy: {} answers it with {}", pair.baseline(), swap.good);
        found.push(finding(Blame::Candidate, title).seen(evidence.clone()).help(help));
    }
    if swap.downtime > budget {
        let title = format!(
            "{} of downtime during the upgrade, {} are allowed",
            seconds(swap.downtime),
            seconds(budget)
        );
        let help = "make the candidate ready sooner, or raise stages.upgrade.max_downtime if production can bear it";
        found.push(finding(Blame::Candidate, title).seen(evidence.clone()).help(help));
    }
    if swap.recovered && swap.single_rate() > baseline.single_rate() && swap.singles > 0 {
        let title = format!(
            "{} of {} probe requests failed outside the swap itself",
            swap.singles, swap.asked
        );
        let help = "look for errors right after start";
        found.push(finding(Blame::Nobody, title).seen(evidence).help(help));
    }
    found
}
