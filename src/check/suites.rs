//! What the user's tests showed, for the checks that judge them.

use serde::Serialize;

use super::facts::{Facts, Ran};
use super::trouble;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::{Reply, Sight, TestId};

/// One test, as a check sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Whose it is.
    pub suite: Subject,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What broke.
    pub message: String,
    /// The service it was addressed to.
    pub service: Option<String>,
    /// What came back.
    pub reply: Reply,
    /// The release's word for why, where it was heard.
    pub cause: Option<String>,
    /// What was said meanwhile, and never in `control`.
    pub said: Vec<String>,
}

impl Shown {
    /// Which test it is.
    pub fn id(&self) -> TestId {
        TestId {
            suite: self.suite.clone(),
            name: self.name.clone(),
        }
    }

    /// `smoke / account: answered 500`.
    pub fn line(&self) -> String {
        format!("{} / {}: {}", self.suite, self.name, self.message)
    }
}

/// Every test of some runs.
pub fn shown<'a>(runs: impl Iterator<Item = &'a Ran>) -> Vec<Shown> {
    let of = |ran: &'a Ran| {
        ran.tests.iter().map(move |test| Shown {
            suite: test.suite.clone(),
            name: test.name.clone(),
            status: test.status,
            message: test.message.clone(),
            service: test.service.clone(),
            reply: test.reply,
            cause: ran.cause.clone(),
            said: match test.status {
                Status::Failed => ran.said.clone(),
                _ => Vec::new(),
            },
        })
    };
    runs.flat_map(of).collect()
}

/// Suites and entries that did not run as many tests as the configuration asks for.
pub fn too_few(facts: &Facts, stage: StageId) -> Vec<Finding> {
    let runs = facts.ran.iter().filter(|ran| ran.stage == stage);
    let short = runs.filter_map(|ran| ran.too_few.map(|few| (&ran.subject, few)));
    short
        .map(|(subject, (ran, wanted))| trouble::too_few_tests(stage, subject, ran, wanted))
        .collect()
}

/// What a release's tests are compared with, and what they showed.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    /// On the baseline.
    pub before: &'a [Shown],
    /// On the release that is judged.
    pub after: &'a [Shown],
}

impl Compared<'_> {
    /// What was to be seen of what a test asked for, on the release that is judged.
    pub fn sight(&self, test: &Shown) -> Sight {
        let before = self.before.iter().find(|one| one.id() == test.id());
        test.reply.shows(before.map(|one| one.reply).unwrap_or_default())
    }
}

/// The tests that failed, each told by `tell`; those that passed before and are not there any more, or are skipped;
/// and those that could not be told, which are nobody's failure and no pass either. A missing capture follows from a
/// failure that is named elsewhere.
pub fn judge(stage: StageId, shown: Compared<'_>, tell: impl Fn(&Shown) -> Finding) -> Vec<Finding> {
    let is_failed = |one: &&Shown| one.status == Status::Failed;
    let any_failed = shown.after.iter().any(|one| is_failed(&one));
    let unclear = |one: &&Shown| one.status == Status::Error || (one.status == Status::NotRun && !any_failed);
    let failed = shown.after.iter().filter(is_failed).map(|one| about(tell(one), one));
    let gone = shown.before.iter().filter_map(|one| gone(one, shown.after));
    let gone = gone.map(|one| about(tell(&one).detail("gone"), &one));
    let unclear = shown.after.iter().filter(unclear).map(|one| {
        let title = format!("`{}` / `{}` could not be told: {}", one.suite, one.name, one.message);
        about(trouble::cannot_tell(stage, title, vec![one.line()]), one)
    });
    failed.chain(gone).chain(unclear).collect()
}

/// A test that passed before, of a suite that ran again, and that did not run then: as one that failed.
fn gone(before: &Shown, after: &[Shown]) -> Option<Shown> {
    let again = after.iter().find(|one| one.id() == before.id());
    let message = match again.map(|one| one.status) {
        None if after.iter().any(|one| one.suite == before.suite) => "it is not there any more".to_owned(),
        Some(Status::Skipped) => "it is skipped".to_owned(),
        _ => return None,
    };
    let passed = before.status == Status::Passed;
    passed.then(|| Shown {
        status: Status::Failed,
        message: format!("{message}, and production's release passes it"),
        service: None,
        reply: Reply::Unknown,
        ..before.clone()
    })
}

fn about(finding: Finding, shown: &Shown) -> Finding {
    let evidence = if finding.evidence.is_empty() {
        std::iter::once(shown.line()).chain(shown.said.clone()).collect()
    } else {
        finding.evidence.clone()
    };
    finding
        .about(shown.service.clone())
        .because(shown.cause.clone())
        .of_tests([shown.id()])
        .seen(evidence)
}

/// Findings about tests of one suite become one, whose title names the first and counts the others.
pub fn fold(findings: Vec<Finding>) -> Vec<Finding> {
    let mut folded: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |other: &&mut Finding| is_alike(other, &finding);
        match folded.iter_mut().find(same) {
            Some(first) => {
                first.tests.extend(finding.tests);
                let new = finding.evidence.into_iter();
                let new: Vec<String> = new.filter(|line| !first.evidence.contains(line)).collect();
                first.evidence.extend(new);
            }
            None => folded.push(finding),
        }
    }
    folded.into_iter().map(counted).collect()
}

fn is_alike(one: &Finding, other: &Finding) -> bool {
    let suite = |finding: &Finding| finding.tests.first().map(|test| test.suite.clone());
    suite(one).is_some()
        && suite(one) == suite(other)
        && (one.check, one.stage, one.blame, one.severity, &one.detail, &one.waived)
            == (
                other.check,
                other.stage,
                other.blame,
                other.severity,
                &other.detail,
                &other.waived,
            )
        && matches!(one.blame, Blame::Candidate | Blame::Mirror)
}

fn counted(finding: Finding) -> Finding {
    let more = and_more(finding.tests.len());
    let Some(first) = finding.tests.first().filter(|_| !more.is_empty()) else {
        return finding;
    };
    let name = format!("`{}`", first.name);
    let title = finding.title.replacen(&name, &format!("{name}{more}"), 1);
    Finding { title, ..finding }
}

/// A message for a title: its beginning. The whole of it is in the evidence.
pub fn brief(message: &str) -> String {
    const MOST: usize = 160;
    if message.chars().count() <= MOST {
        return message.to_owned();
    }
    message.chars().take(MOST).chain("…".chars()).collect()
}

/// How many failures stand behind the one that a title names; nothing where it stands alone.
pub fn and_more(failures: usize) -> String {
    if failures > 1 {
        format!(" (and {} more)", failures - 1)
    } else {
        String::new()
    }
}
