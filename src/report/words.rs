//! What the reports say alike: the words for a state, the pair of versions, the way out.

use crate::record::cases::{self, Case, Subject};
use crate::record::load::{LimitAnswer, LimitRecord, LoadRecord, SlowdownRecord};
use crate::record::release::Release;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Counts, Finding, Folded, Record, Tally, Test};
use crate::record::verdict::Verdict;
use crate::record::word::Word;
use crate::text::{capacity, harmless};

/// Longest line that a report takes from the record.
pub const LINE: usize = 1000;

/// What readers are told: one shard's pass is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It opens the gate.
    Pass,
    /// One shard found nothing; it opens nothing.
    Part,
    /// The candidate would have gone wrong.
    Block,
    /// Rehearsal could not tell.
    Inconclusive,
}

impl Told {
    /// Of a record; what no version of ours knows could not be told.
    pub fn of(result: &Record) -> Self {
        match result.verdict.or(Verdict::Inconclusive) {
            Verdict::Pass if result.shard.is_some() => Self::Part,
            Verdict::Pass => Self::Pass,
            Verdict::Block => Self::Block,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }

    /// First word of the first line of every report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Part => "ONE PART",
            Self::Block => "BLOCK",
            Self::Inconclusive => "INCONCLUSIVE",
        }
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
    let here = |finding: &Finding| finding.stage == test.stage && speaks_of(finding, &test.name);
    let mut findings = result.findings.iter();
    match findings.find(|finding| finding.tells_of(test) || here(finding)) {
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

/// `2 more of the same cause: upgrade-in-place in upgrade (data.verify / kept), …`; nothing where a finding speaks for
/// itself alone.
pub fn folded(finding: &Finding) -> Option<String> {
    let named: Vec<String> = finding.folded.iter().map(folded_name).collect();
    let line = format!("{} more of the same cause: {}", named.len(), named.join(", "));
    (!named.is_empty()).then(|| harmless::line(&line, LINE))
}

fn folded_name(folded: &Folded) -> String {
    let place = format!("{} in {}", word(&folded.check), word(&folded.stage));
    match folded.tests.as_slice() {
        [] => place,
        [test] => format!("{place} ({} / {})", test.suite, test.name),
        [test, others @ ..] => format!("{place} ({} / {} and {} more)", test.suite, test.name, others.len()),
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

/// `34 cases: 30 passed, 2 failed, 2 not run; of these 20 tests (2 failed), 2 sign-ins, 3 starts, 9 checks (2 not run)`;
/// what is zero is not mentioned. The one line about numbers.
pub fn counts(result: &Record) -> String {
    let counts = Counts::of(result);
    let all = counts.all();
    let kinds = [
        (counts.kinds.tests, "test"),
        (counts.kinds.sign_ins, "sign-in"),
        (counts.kinds.starts, "start"),
        (counts.kinds.checks, "check"),
        (counts.kinds.stages, "stage"),
    ];
    let kinds = kinds.iter().filter(|(tally, _)| tally.all > 0);
    let kinds: Vec<String> = kinds.map(|(tally, what)| kind(tally, what)).collect();
    let passed = (all.passed > 0).then(|| format!("{} passed", all.passed));
    let parts: Vec<String> = passed.into_iter().chain(not_passed(&all)).collect();
    let (all, parts, kinds) = (counted(all.all, "case", "cases"), parts.join(", "), kinds.join(", "));
    format!("{all}: {parts}; of these {kinds}")
}

fn kind(tally: &Tally, what: &str) -> String {
    let all = counted(tally.all, what, &format!("{what}s"));
    let parts = not_passed(tally);
    if parts.is_empty() {
        all
    } else {
        format!("{all} ({})", parts.join(", "))
    }
}

fn not_passed(tally: &Tally) -> Vec<String> {
    let parts = [
        (tally.failed, "failed"),
        (tally.errors, "error"),
        (tally.skipped, "skipped"),
        (tally.not_run, "not run"),
    ];
    let there = parts.iter().filter(|(count, _)| *count > 0);
    there.map(|(count, word)| format!("{count} {word}")).collect()
}

/// What did not run, a line for each reason: `login, data.verify, 9 checks in upgrade: the run ended before them`. A
/// stage that did not run at all says so itself.
pub fn not_run(result: &Record) -> Vec<String> {
    let cases = cases::of(result);
    let begun = result.stages.iter().filter(|stage| stage.status != Status::NotRun);
    let mut reasons: Vec<(String, Vec<(String, Left)>)> = Vec::new();
    for stage in begun {
        let here = |case: &&Case| case.stage == Some(&stage.id) && case.status == Status::NotRun;
        let of_cases = cases.iter().filter(here).filter_map(left_case);
        let steps = stage.steps.iter().filter(|step| step.status == Status::NotRun);
        let of_steps = steps.map(|step| (step.reason.as_deref(), Left::Step(&step.id)));
        for (reason, left) in of_steps.chain(of_cases) {
            let reason = harmless::line(reason.unwrap_or("no reason was recorded"), LINE);
            let stage = word(&stage.id);
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, all)) => all.push((stage, left)),
                None => reasons.push((reason, vec![(stage, left)])),
            }
        }
    }
    reasons.iter().map(|(reason, left)| left_out(reason, left)).collect()
}

/// Something that did not run.
enum Left<'a> {
    Step(&'a str),
    Check,
    Test(&'a Test),
}

fn left_case<'a>(case: &Case<'a>) -> Option<(Option<&'a str>, Left<'a>)> {
    match &case.subject {
        Subject::Check(answer) => Some((answer.record.and_then(|check| check.reason.as_deref()), Left::Check)),
        Subject::Test(test) => Some((Some(&test.message), Left::Test(test))),
        // Their steps are told.
        _ => None,
    }
}

fn left_out(reason: &str, left: &[(String, Left)]) -> String {
    let places: Vec<String> = left
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(|here| format!("{} in {}", left_in(here), here[0].0))
        .collect();
    let reason = match reason.strip_suffix(" before it") {
        Some(begin) if left.len() > 1 => format!("{begin} before them"),
        _ => reason.to_owned(),
    };
    harmless::line(&format!("{}: {reason}", places.join("; ")), 2 * LINE)
}

fn left_in(here: &[(String, Left)]) -> String {
    let steps = here.iter().filter_map(|(_, left)| match left {
        Left::Step(name) => Some(harmless::line(name, 100)),
        _ => None,
    });
    let tests: Vec<&Test> = here
        .iter()
        .filter_map(|(_, left)| match left {
            Left::Test(test) => Some(*test),
            _ => None,
        })
        .collect();
    let of_tests = match tests.as_slice() {
        [] => None,
        [test] => Some(harmless::line(&format!("{} / {}", test.suite, test.name), 200)),
        more => Some(counted(more.len() as u64, "test", "tests")),
    };
    let checks = here.iter().filter(|(_, left)| matches!(left, Left::Check)).count() as u64;
    let of_checks = (checks > 0).then(|| counted(checks, "check", "checks"));
    steps.chain(of_tests).chain(of_checks).collect::<Vec<_>>().join(", ")
}

/// `1 retry`, `2 retries`.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The release that was under load.
pub fn under_load(load: &LoadRecord) -> &'static str {
    if load.stage == StageId::Control {
        "baseline"
    } else {
        "candidate"
    }
}

/// What each release did under load, a line each, and a line for each threshold that is not kept.
pub fn load(result: &Record) -> Vec<String> {
    let line = |load: &LoadRecord| {
        let latency = load.latency.iter().filter(|one| !one.vague);
        let latency: Vec<String> = latency
            .map(|one| format!("{} {}", one.quantile, micros(Some(one.latency_us))))
            .collect();
        format!(
            "{}: {} of {} requests sent at {}/s, {} answered well; {}",
            under_load(load),
            load.sent,
            load.planned,
            load.rate,
            load.good,
            latency.join(", ")
        )
    };
    let limits = result.load.iter().flat_map(|load| &load.limits);
    let open = limits.filter(|limit| limit.answer != LimitAnswer::Within);
    let limit = |limit: &LimitRecord| {
        let (of, value) = (
            of_limit(&limit.key, Some(limit.limit)),
            of_limit(&limit.key, limit.value),
        );
        match limit.answer.or(LimitAnswer::Unknown) {
            LimitAnswer::Beyond => format!("{} {value}, {} {of}: broken", limit.key, limit.level),
            _ => format!("{} {value}, {} {of}: cannot be told", limit.key, limit.level),
        }
    };
    let in_turns = result.slowdowns.iter().map(slowdown);
    result
        .load
        .iter()
        .map(line)
        .chain(open.map(limit))
        .chain(in_turns)
        .chain(result.capacity.as_ref().map(capacity::line))
        .collect()
}

/// A slow-down that must be caught, what was seen of it, and what would have been.
fn slowdown(slowdown: &SlowdownRecord) -> String {
    let answer = match slowdown.answer.or(LimitAnswer::Unknown) {
        LimitAnswer::Within => "kept".to_owned(),
        LimitAnswer::Beyond => "broken".to_owned(),
        LimitAnswer::Unknown => format!(
            "cannot be told: {}",
            slowdown.reason.as_deref().unwrap_or("no reason is recorded")
        ),
    };
    format!(
        "{} {}, {} {}: {answer}; in {} pairs of slices {} would have been caught",
        slowdown.key,
        change(slowdown.value),
        slowdown.level,
        change(Some(slowdown.limit)),
        slowdown.pairs,
        change(slowdown.caught)
    )
}

/// A change as people say it, or a dash.
pub fn change(share: Option<f64>) -> String {
    // A record may claim anything.
    let share = share.filter(|share| share.is_finite());
    share.map_or_else(
        || "–".to_owned(),
        |share| format!("{:+.1} %", share.clamp(-1e3, 1e6) * 100.0),
    )
}

/// A time under load, or a dash.
pub fn micros(micros: Option<u64>) -> String {
    let fine = |micros| crate::text::units::fine(std::time::Duration::from_micros(micros));
    micros.map_or_else(|| "–".to_owned(), fine)
}

/// A figure in the unit of its threshold, or a dash.
pub fn of_limit(key: &str, value: Option<f64>) -> String {
    // A record may claim anything.
    let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
        return "–".to_owned();
    };
    match key {
        "error_rate" => format!("{:.2} %", value * 100.0),
        "throughput" => format!("{value:.1}/s"),
        _ => micros(Some(value.min(1e15) as u64)),
    }
}

/// `pass` opens gates; what one shard came to, where that is no other verdict, is `shard`.
pub(super) fn verdict(result: &Record) -> String {
    match Told::of(result) {
        Told::Part => "shard".to_owned(),
        Told::Pass | Told::Block | Told::Inconclusive => result.verdict.to_string(),
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
    fn a_finding_names_those_that_it_speaks_for_and_their_tests_have_its_way_out() {
        let mut result = samples::block();
        let finding = &result.findings[0];
        assert_eq!(
            folded(finding).as_deref(),
            Some("1 more of the same cause: upgrade-in-place in upgrade (data.verify / kept)")
        );
        assert_eq!(folded(&result.findings[1]), None);
        assert_eq!(way_out(&result, &result.tests[7]), finding.help);
        let another = finding.folded[0].tests[0].clone();
        result.findings[0].folded[0].tests.push(another);
        let named = folded(&result.findings[0]).expect("it speaks for another");
        assert!(named.ends_with("(data.verify / kept and 1 more)"), "{named}");
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
            "17 cases: 8 passed, 2 failed, 1 error, 4 skipped, 2 not run; of these \
             9 tests (1 failed, 1 error, 2 skipped, 1 not run), 2 sign-ins (1 failed), 3 starts, \
             3 checks (2 skipped, 1 not run)"
        );
        assert_eq!(
            counts(&samples::pass()),
            "10 cases: 10 passed; of these 4 tests, 2 sign-ins, 3 starts, 1 stage"
        );
    }

    #[test]
    fn what_did_not_run_is_one_line_with_its_reason() {
        let mut result = samples::block();
        assert!(not_run(&result).is_empty());
        let reason = Some("the run ended before it".to_owned());
        for step in &mut result.stages[1].steps[1..] {
            (step.status, step.reason) = (Status::NotRun.into(), reason.clone());
        }
        for check in &mut result.checks[2..4] {
            (check.status, check.reason) = (Status::NotRun.into(), reason.clone());
        }
        result.findings.clear();
        assert_eq!(
            not_run(&result),
            ["suite smoke, login, 2 checks in upgrade: the run ended before them"]
        );
        (result.tests[5].status, result.tests[5].message) = (Status::NotRun.into(), "nothing was captured".to_owned());
        assert_eq!(not_run(&result)[1], "smoke / account in upgrade: nothing was captured");
    }

    #[test]
    fn a_release_is_named_with_the_beginning_of_its_digest() {
        let result = samples::block();
        assert_eq!(release(&result.candidate[0]), "shop:2 (sha256:222222222222)");
        assert_eq!(release(&result.mirror[1]), "keycloak:18.0.2");
    }
}
