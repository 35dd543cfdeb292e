//! Waivers: what somebody has signed for.

use time::Date;

use super::catalog::find;
use crate::config::settings::{Policy, Waiver};
use crate::record::finding::Finding;
use crate::record::test::TestId;

/// Marks a finding that somebody has signed for. A waiver that has expired covers nothing.
pub fn sign(finding: &mut Finding, policy: &Policy, today: Date) {
    // Nobody can sign for a mirror that does not work.
    let may_sign = find(finding.check).is_some_and(|check| check.may_be_waived(finding));
    if finding.waived.is_some() || !may_sign {
        return;
    }
    let holds = |waiver: &&Waiver| waiver.expires.is_none_or(|end| today <= end);
    let mut waivers = policy.waive.iter().filter(holds);
    let waiver = waivers.find(|waiver| is_about(waiver, finding));
    finding.waived = waiver.map(|waiver| match &waiver.owner {
        Some(owner) => format!("{} ({owner})", waiver.reason),
        None => waiver.reason.clone(),
    });
}

/// Of a finding about several tests all must be the one that is named: the others nobody has signed for.
fn is_about(waiver: &Waiver, finding: &Finding) -> bool {
    let is_named = |test: &TestId| Some(format!("{} / {}", test.suite, test.name)) == waiver.test;
    let by_test = waiver.test.is_none() || (!finding.tests.is_empty() && finding.tests.iter().all(is_named));
    let by_service = waiver.service.is_none() || waiver.service == finding.service;
    waiver.check == finding.check && by_test && by_service
}
