//! One cause is one finding: what a sign-in that fails, or another request that fails alike, explains is told with it.

use crate::check::facts::Facts;
use crate::record::check::CheckId;
use crate::record::finding::Finding;
use crate::record::test::{Reply, TestRecord};

/// The findings of one release; of those that share a cause the first to speak, which names the others.
pub(super) fn of_one_cause(mut findings: Vec<Finding>, facts: &Facts) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.stage, finding.check));
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings {
        match told.iter_mut().find(|first| is_shared(first, &finding, facts)) {
            Some(first) => first.take_in(finding),
            None => told.push(finding),
        }
    }
    told
}

fn is_shared(first: &Finding, other: &Finding, facts: &Facts) -> bool {
    let open = first.waived.is_none() && other.waived.is_none();
    open && (says_the_same(first, other) || is_kept_out(first, other, facts) || is_silent_alike(first, other, facts))
}

/// The release gives the same reason.
fn says_the_same(first: &Finding, other: &Finding) -> bool {
    first.cause.is_some() && first.cause == other.cause
}

/// Nobody can sign in, and so nobody may look.
fn is_kept_out(first: &Finding, other: &Finding, facts: &Facts) -> bool {
    first.check == CheckId::AuthLogin && all_came_back(other, facts, Reply::is_refused)
}

/// One service does not answer.
fn is_silent_alike(first: &Finding, other: &Finding, facts: &Facts) -> bool {
    let silent = |finding: &Finding| all_came_back(finding, facts, Reply::is_silent);
    first.service.is_some() && first.service == other.service && silent(first) && silent(other)
}

/// Every test that a finding is about came back so.
fn all_came_back(finding: &Finding, facts: &Facts, so: impl Fn(Reply) -> bool) -> bool {
    let mut replies = replies(finding, facts).peekable();
    replies.peek().is_some() && replies.all(so)
}

/// What came back of the tests that a finding is about.
pub(super) fn replies<'a>(finding: &'a Finding, facts: &'a Facts) -> impl Iterator<Item = Reply> + 'a {
    let own = |test: &&TestRecord| test.stage == finding.stage && finding.tests.contains(&test.id());
    let tests = facts.ran.iter().flat_map(|ran| &ran.tests).filter(own);
    tests.map(|test| test.reply)
}
