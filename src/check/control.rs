//! `control`: production itself passes on the mirror, or nothing can be said of the candidate.

use super::About;
use crate::engine::pull::failure::PullFailure;
use crate::mirror::failure::ServiceFailure;
use crate::record::finding::{Blame, Finding};
use crate::record::result::{TestRecord, TestStatus};
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "control",
    question: "does production's own release pass on the mirror?",
    explain: "Production's release is started on the mirror at production's versions; every suite, the sign-in, \
              data.seed and data.verify run against it. Anything that fails there makes the verdict inconclusive: the \
              mirror or the suite is wrong, and the candidate is never blamed for it. A suite with fewer tests than \
              min_tests proves nothing and counts as failed. What to do: make the suites pass against production as \
              it is, starting with the service or test that is named.",
};

fn finding(stage: StageId, title: String, help: &str) -> Finding {
    Finding::new(ABOUT.id, stage, Blame::Mirror, title).help(help)
}

/// A service of production did not come up on the mirror.
pub fn service_down(stage: StageId, failure: &ServiceFailure) -> Finding {
    let title = format!("the mirror did not come up: {}", failure.headline());
    let help = "production's own release does not start on this mirror: compare its image, environment and volumes with production";
    finding(stage, title, help)
        .about(failure.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
}

/// The machine refused something the mirror needs.
pub fn machine(stage: StageId, error: &str) -> Finding {
    finding(
        stage,
        format!("the mirror could not be made: {error}"),
        "this is the machine's doing: see to it and run again",
    )
}

/// An image cannot be had: by name, whose doing it is, and the way out.
pub fn no_image(failure: &PullFailure) -> Finding {
    let words = (!failure.words.is_empty()).then(|| failure.words.clone());
    let needed = format!("{} is needed by {}", failure.image, failure.wanted_by.join(", "));
    finding(StageId::Control, failure.title(), &failure.help())
        .because(words)
        .seen(vec![needed])
}

/// Tests that production itself fails.
pub fn tests_fail(suite: &str, tests: &[TestRecord], baseline: &str) -> Option<Finding> {
    let bad = |test: &&TestRecord| matches!(test.status, TestStatus::Failed | TestStatus::Error | TestStatus::NotRun);
    let failed: Vec<&TestRecord> = tests.iter().filter(bad).collect();
    let first = failed.first()?;
    let more = and_more(failed.len());
    let title = format!(
        "production itself ({baseline}) fails `{suite}` / `{}`{more}",
        first.name
    );
    let help = "the mirror or the suite is wrong: make it pass against production's release first";
    let found = finding(StageId::Control, title, help).about(first.service.clone());
    Some(found.because(first.message.clone()).seen(evidence_of(&failed)))
}

/// Production itself cannot sign in.
pub fn sign_in_fails(message: &str, evidence: Vec<String>, cause: Option<String>, pair: &str) -> Finding {
    let title = format!("production itself cannot sign in: {message} ({pair})");
    let help = "production's release already fails with this authentication product: check that the mirror runs production's version of it";
    finding(StageId::Control, title, help).because(cause).seen(evidence)
}

/// The protected page is answered without a session: signing in proves nothing.
pub fn login_proves_nothing(url: &str) -> Finding {
    let title = format!("`{url}` is answered as expected without signing in");
    finding(
        StageId::Control,
        title,
        "set auth.login.expect to a page that only a signed-in user gets",
    )
}

/// Fewer tests than the configuration asks for.
pub fn too_few_tests(stage: StageId, suite: &str, ran: u64, wanted: u64) -> Finding {
    let title = format!("suite `{suite}` ran {ran} tests, at least {wanted} are needed");
    let help = "a suite without tests proves nothing: check its files, its selection of tests, and min_tests";
    finding(stage, title, help)
}

/// What could not be told in a later stage, through nobody's fault but the machine's or the suite's.
pub fn cannot_tell(stage: StageId, title: String, evidence: Vec<String>) -> Finding {
    finding(
        stage,
        title,
        "Rehearsal could not tell: see the evidence, and run again",
    )
    .seen(evidence)
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

/// One line a test: name, message, and where it was addressed.
pub fn evidence_of(tests: &[&TestRecord]) -> Vec<String> {
    tests
        .iter()
        .map(|test| format!("{} / {}: {}", test.suite, test.name, test.message))
        .collect()
}
