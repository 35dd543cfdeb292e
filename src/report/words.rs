//! What the reports say alike: the words for a state, the pair of versions, the way out.

use crate::record::release::Release;
use crate::record::status::Status;
use crate::record::v1::{Finding, Record, Test};
use crate::record::verdict::Verdict;
use crate::record::word::Word;
use crate::text::harmless;

/// Longest line that a report takes from the record.
pub const LINE: usize = 1000;

/// First word of the first line of every report.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Block => "BLOCK",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

/// A stage's, step's, test's or check's state; what no version of ours knows could not be told.
pub fn status(status: Status) -> &'static str {
    status.words()
}

/// A word of the record, whoever wrote it.
pub fn word<T: std::fmt::Display>(word: &Word<T>) -> String {
    harmless::line(&word.to_string(), 100)
}

/// The cause as one harmless line; never empty.
pub fn cause(result: &Record) -> String {
    let cause = harmless::line(&result.cause, LINE);
    if !cause.is_empty() {
        return cause;
    }
    match result.verdict.or(Verdict::Inconclusive) {
        Verdict::Pass => "the candidate may take the baseline's place".to_owned(),
        _ => "no cause was recorded: see result.json".to_owned(),
    }
}

/// The first line in its parts, each with its name: what broke or works, the pair, what to do, and how to bring the
/// moment back. A record that has no parts says its cause.
pub fn headline(result: &Record) -> Vec<(&'static str, String)> {
    let headline = &result.headline;
    let what = if headline.what.is_empty() {
        cause(result)
    } else {
        headline.what.clone()
    };
    let parts = [
        ("what", Some(&what)),
        ("pair", Some(&headline.pair)),
        ("do this", Some(&headline.way_out)),
        ("again", result.again.as_ref()),
    ];
    let said = parts
        .into_iter()
        .filter_map(|(name, text)| Some((name, harmless::line(text?, LINE))));
    said.filter(|(_, text)| !text.is_empty()).collect()
}

/// The pair of versions that a failure is about: `web shop:2 against idp keycloak:18` where another service is
/// concerned, else `web shop:2 in place of shop:1`.
pub fn pair(result: &Record, service: Option<&str>) -> String {
    let by_name = |releases: &'_ [Release], name: &str| releases.iter().find(|one| one.service == name).cloned();
    let blamed = service
        .and_then(|name| by_name(&result.candidate, name))
        .or_else(|| result.candidate.first().cloned());
    let Some(candidate) = blamed else {
        return "no candidate is recorded".to_owned();
    };
    let other = service.and_then(|name| by_name(&result.mirror, name));
    let baseline = by_name(&result.baseline, &candidate.service);
    let pair = match (other, baseline) {
        (Some(other), _) => format!(
            "{} {} against {} {}",
            candidate.service, candidate.image, other.service, other.image
        ),
        (None, Some(old)) => format!("{} {} in place of {}", candidate.service, candidate.image, old.image),
        (None, None) => format!("{} {}", candidate.service, candidate.image),
    };
    harmless::line(&pair, LINE)
}

/// The way out of a failed test: that of the finding which speaks of it, else how to see it for oneself.
pub fn way_out(result: &Record, test: &Test) -> String {
    let mut findings = result.findings.iter().filter(|finding| finding.stage == test.stage);
    match findings.find(|finding| speaks_of(finding, &test.name)) {
        Some(finding) => harmless::line(&finding.help, LINE),
        None => harmless::line(
            &format!(
                "`rehearsal run --only {} --keep` leaves the mirror up to look",
                test.suite
            ),
            LINE,
        ),
    }
}

/// Whether the finding names the test, as a whole word.
fn speaks_of(finding: &Finding, test: &str) -> bool {
    let edge = |ch: Option<char>| !ch.is_some_and(char::is_alphanumeric);
    let names = |text: &String| {
        let mut places = text.match_indices(test);
        places.any(|(at, _)| edge(text[..at].chars().next_back()) && edge(text[at + test.len()..].chars().next()))
    };
    !test.is_empty()
        && [Some(&finding.title), finding.cause.as_ref()]
            .into_iter()
            .flatten()
            .any(names)
}

/// Stages that keep the gate shut, in order; empty when it is open.
pub fn blocked_by(result: &Record) -> Vec<String> {
    let open = result.verdict == Verdict::Pass;
    result
        .stages
        .iter()
        .filter(|stage| !open && stage.status.or(Status::Error).is_red())
        .map(|stage| word(&stage.id))
        .collect()
}

/// `shop:2 (sha256:222222222222)`.
pub fn release(release: &Release) -> String {
    let digest = release.digest.as_deref().map(short_digest);
    let digest = digest.map_or_else(String::new, |digest| format!(" ({digest})"));
    harmless::line(&format!("{}{digest}", release.image), LINE)
}

fn short_digest(digest: &str) -> &str {
    let algorithm = digest.find(':').map_or(0, |at| at + 1);
    &digest[..digest.floor_char_boundary(algorithm + 12)]
}

/// `34 tests: 30 passed, 2 failed, 2 not run; 9 checks: 8 passed, 1 failed`; what is zero is not mentioned.
pub fn counts(result: &Record) -> String {
    let counts = &result.counts;
    let tests = [
        (counts.passed, "passed"),
        (counts.failed, "failed"),
        (counts.errors, "error"),
        (counts.skipped, "skipped"),
        (counts.not_run, "not run"),
    ];
    let of = |status: Status| result.checks.iter().filter(|check| check.status == status).count() as u64;
    let checks = [
        (of(Status::Passed), "passed"),
        (of(Status::Failed), "failed"),
        (of(Status::Error), "error"),
        (of(Status::Skipped), "skipped"),
        (of(Status::NotRun), "not run"),
    ];
    let tests = tally(counts.tests, "test", &tests);
    if result.checks.is_empty() {
        return tests;
    }
    format!("{tests}; {}", tally(result.checks.len() as u64, "check", &checks))
}

fn tally(all: u64, what: &str, parts: &[(u64, &str)]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match (all, parts.is_empty()) {
        (0, _) => format!("no {what}s"),
        (_, true) => format!("{all} {what}s"),
        (1, false) => format!("1 {what}: {}", parts.join(", ")),
        (_, false) => format!("{all} {what}s: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_pair_names_the_service_that_a_failure_is_about() {
        let result = samples::block();
        assert_eq!(pair(&result, Some("idp")), "web shop:2 against idp keycloak:18.0.2");
        assert_eq!(pair(&result, Some("web")), "web shop:2 in place of shop:1");
        assert_eq!(pair(&result, None), "web shop:2 in place of shop:1");
        assert_eq!(pair(&result, Some("gone")), "web shop:2 in place of shop:1");
    }

    #[test]
    fn the_way_out_of_a_test_is_that_of_the_finding_which_names_it() {
        let mut result = samples::block();
        let test = result.tests[5].clone();
        assert!(way_out(&result, &test).contains("--only smoke --keep"));
        result.findings[0].title = "accounting is not the same word".to_owned();
        assert!(way_out(&result, &test).contains("--only smoke --keep"));
        result.findings[0].title = "smoke / account: expected status 200".to_owned();
        assert_eq!(way_out(&result, &test), result.findings[0].help);
    }

    #[test]
    fn an_open_gate_is_blocked_by_nothing() {
        let mut result = samples::block();
        assert_eq!(blocked_by(&result), ["upgrade", "rollback"]);
        result.verdict = Verdict::Pass.into();
        assert!(blocked_by(&result).is_empty());
    }

    #[test]
    fn counts_mention_what_there_is() {
        assert_eq!(
            counts(&samples::block()),
            "9 tests: 4 passed, 1 failed, 1 error, 2 skipped, 1 not run; \
             5 checks: 1 passed, 2 failed, 1 skipped, 1 not run"
        );
        assert_eq!(counts(&samples::pass()), "4 tests: 4 passed; 1 check: 1 passed");
    }

    #[test]
    fn a_release_is_named_with_the_beginning_of_its_digest() {
        let result = samples::block();
        assert_eq!(release(&result.candidate[0]), "shop:2 (sha256:222222222222)");
        assert_eq!(release(&result.mirror[1]), "keycloak:18.0.2");
    }
}
