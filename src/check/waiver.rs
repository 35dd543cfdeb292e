//! Waivers: what somebody has signed for.

use time::Date;

use super::catalog::find;
use crate::config::settings::{Policy, Waiver};
use crate::record::finding::Finding;

/// Marks a finding that somebody has signed for. A waiver that has expired covers nothing.
pub fn sign(finding: &mut Finding, policy: &Policy, today: Date) {
    // Nobody can sign for a mirror that does not work.
    let may_sign = find(finding.check).is_some_and(|check| check.may_be_waived(finding));
    let covers =
        |waiver: &&Waiver| may_sign && waiver.check == finding.check && waiver.expires.is_none_or(|end| today <= end);
    let waiver = policy.waive.iter().find(covers);
    finding.waived = waiver.map(|waiver| match &waiver.owner {
        Some(owner) => format!("{} ({owner})", waiver.reason),
        None => waiver.reason.clone(),
    });
}
