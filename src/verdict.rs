//! Verdict: pass, block or inconclusive, from the record alone. [`judge`] is pure; there is no path through it from
//! "could not tell" to a pass.

use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::headline::{ALTERS_NOTHING, Headline};
use crate::record::partial::Partial;
use crate::record::recorded::{CheckRecord, Recorded, StageRecord, StepRecord};
use crate::record::shard::Place;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::record::test::TestRecord;
use crate::record::verdict::Verdict;

/// Why a run ended before its plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It did not.
    AsPlanned,
    /// A signal: exit code 130 or 143.
    Signal(ExitCode),
    /// The run's own limit.
    TimeOut,
}

/// The one answer, and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The first line.
    pub headline: Headline,
    /// The process's exit code.
    pub exit_code: ExitCode,
}

/// What a run was.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What blocks.
    pub block_on: &'a [Severity],
    /// How it ended.
    pub ended: Ended,
    /// The pair in words.
    pub pair: &'a str,
    /// What it left out.
    pub partial: &'a [Partial],
    /// What the release changes.
    pub change: Change,
}

/// What a release changes of what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something, or it is not known.
    Something,
    /// It was compared, and is what runs.
    Nothing,
}

/// Judges a run.
pub fn judge(recorded: &Recorded, run: Run<'_>) -> Judgement {
    let Run {
        block_on, ended, pair, ..
    } = run;
    let blocking = first(recorded, |finding| blocks(finding, block_on));
    let unclear = first(recorded, |finding| finding.waived.is_none() && unclear(finding));
    let (verdict, headline) = match (ended, blocking, unclear) {
        (Ended::Signal(_), ..) => inconclusive("interrupted before the rehearsal was over"),
        (_, Some(finding), _) => (Verdict::Block, line(finding, pair)),
        (Ended::TimeOut, ..) => inconclusive("the run's time limit was reached (timeout)"),
        (_, None, Some(finding)) => (Verdict::Inconclusive, line(finding, pair)),
        (Ended::AsPlanned, None, None) if run.change == Change::Nothing => match incomplete(recorded) {
            Some(what) => inconclusive(&what),
            None => (Verdict::Pass, Headline::plain(ALTERS_NOTHING)),
        },
        (Ended::AsPlanned, None, None) => match narrowed(recorded, run)
            .or_else(|| incomplete(recorded))
            .or_else(|| unrehearsed(recorded, run))
        {
            Some(what) => inconclusive(&what),
            None => (Verdict::Pass, success(recorded, run)),
        },
    };
    Judgement {
        verdict,
        headline: match shard(run.partial) {
            Some(place) => headline.after(&place.to_string()),
            None => headline,
        },
        exit_code: exit_code(ended, verdict),
    }
}

/// Whoever reads one shard must see at once that it is not the whole.
fn shard(partial: &[Partial]) -> Option<Place> {
    partial.iter().find_map(|part| match part {
        Partial::Shard(place) => Some(*place),
        _ => None,
    })
}

/// Where the run itself was asked for less, that is the first thing to say.
fn narrowed(recorded: &Recorded, run: Run<'_>) -> Option<String> {
    let narrowed = run.partial.iter().any(|part| matches!(part, Partial::Only(_)));
    let unseen = || {
        let left_out = words(run.partial);
        (!looked_at(recorded)).then(|| format!("{}: no test has asked the candidate anything{left_out}", run.pair))
    };
    unrehearsed(recorded, run).or_else(unseen).filter(|_| narrowed)
}

/// A test or a sign-in has looked at the candidate. (Whether it would notice anything, a whole run asks.)
fn looked_at(recorded: &Recorded) -> bool {
    let stages = recorded.stages.iter().filter(|record| record.id == StageId::Upgrade);
    let steps = stages.flat_map(|record| &record.steps);
    let looks = |step: &&StepRecord| matches!(step.id, Step::Run(_) | Step::Check(CheckId::AuthLogin));
    steps
        .filter(looks)
        .any(|step| matches!(step.status, Status::Passed | Status::Failed))
}

/// A run in which no candidate took production's place says nothing about one.
fn unrehearsed(recorded: &Recorded, run: Run<'_>) -> Option<String> {
    let left_out = words(run.partial);
    (!swapped(recorded, StageId::Upgrade)).then(|| format!("{}: the candidate did not run{left_out}", run.pair))
}

/// Built from what ran, with what was left out.
fn success(recorded: &Recorded, run: Run<'_>) -> Headline {
    let what = if swapped(recorded, StageId::Rollback) {
        "the upgrade and the rollback work on this mirror"
    } else {
        "the upgrade works on this mirror"
    };
    Headline::plain(&format!("{}: {what}{}", run.pair, words(run.partial)))
}

fn words(partial: &[Partial]) -> String {
    partial.iter().map(|part| format!("; {}", part.words())).collect()
}

/// A release took another's place in this stage.
fn swapped(recorded: &Recorded, stage: StageId) -> bool {
    let steps = recorded.stages.iter().filter(|record| record.id == stage);
    let mut swaps = steps.flat_map(|record| &record.steps);
    swaps.any(|step| matches!(step.id, Step::Swap(_)) && step.status == Status::Passed)
}

fn inconclusive(why: &str) -> (Verdict, Headline) {
    (Verdict::Inconclusive, Headline::plain(why))
}

fn exit_code(ended: Ended, verdict: Verdict) -> ExitCode {
    match (ended, verdict) {
        (Ended::Signal(code), _) => code,
        (_, Verdict::Pass) => ExitCode::Pass,
        (_, Verdict::Block) => ExitCode::Block,
        (_, Verdict::Inconclusive) => ExitCode::Inconclusive,
    }
}

fn blocks(finding: &Finding, block_on: &[Severity]) -> bool {
    let by_policy = block_on.contains(&finding.severity);
    let guilty =
        finding.blame == Blame::Candidate || (finding.blame == Blame::Nobody && finding.severity != Severity::Info);
    finding.waived.is_none() && by_policy && guilty
}

fn unclear(finding: &Finding) -> bool {
    matches!(finding.blame, Blame::Mirror | Blame::Flaky) && finding.severity == Severity::Error
}

/// The first cause: the earliest stage speaks first, within it the checks in the order of their ids, and what follows
/// from something else last.
fn first(recorded: &Recorded, wanted: impl Fn(&Finding) -> bool) -> Option<&Finding> {
    let findings = recorded.findings.iter().filter(|finding| wanted(finding));
    findings.min_by_key(|finding| (finding.stage, finding.follows(), finding.check))
}

/// What broke, why, the pair of versions, the way out.
fn line(finding: &Finding, pair: &str) -> Headline {
    let what = format!("{}: {}", finding.check, finding.title);
    Headline::of(&what, finding.cause.as_deref(), pair, &finding.help)
}

/// Law 1: something planned that has no good end.
fn incomplete(recorded: &Recorded) -> Option<String> {
    let nothing = || recorded.stages.is_empty().then(|| "nothing was run".to_owned());
    bad_stage(recorded)
        .or_else(|| bad_step(recorded))
        .or_else(|| bad_check(recorded))
        .or_else(|| bad_test(recorded))
        .or_else(nothing)
}

/// What failed here blocks unless somebody has signed for it, and nothing blocked.
fn fine(status: Status, signed: impl Fn() -> bool) -> bool {
    match status {
        Status::Passed | Status::Skipped => true,
        Status::Failed => signed(),
        Status::Error | Status::NotRun => false,
    }
}

/// Somebody has signed for what a check found in a stage.
fn signed_check(recorded: &Recorded, check: CheckId, stage: StageId) -> bool {
    let mut signed = waived_in(recorded, stage);
    signed.any(|finding| finding.check == check)
}

/// Somebody has signed for a finding that rests on this test.
fn signed_test(recorded: &Recorded, test: &TestRecord) -> bool {
    let mut signed = waived_in(recorded, test.stage);
    signed.any(|finding| finding.tests.contains(&test.id()))
}

fn waived_in(recorded: &Recorded, stage: StageId) -> impl Iterator<Item = &Finding> {
    let here = recorded.findings.iter().filter(move |finding| finding.stage == stage);
    here.filter(|finding| finding.waived.is_some())
}

fn bad_stage(recorded: &Recorded) -> Option<String> {
    let signed = |stage: &StageRecord| waived_in(recorded, stage.id).next().is_some();
    let mut stages = recorded.stages.iter();
    let bad = stages.find(|stage| !fine(stage.status, || signed(stage)))?;
    let reason = bad.reason.as_deref().unwrap_or_default();
    Some(format!("stage {} did not pass: {reason}", bad.id))
}

fn bad_step(recorded: &Recorded) -> Option<String> {
    let signed = |stage: StageId, step: &StepRecord| match &step.id {
        Step::Check(id) => signed_check(recorded, *id, stage),
        Step::Run(subject) => {
            let own = |test: &&TestRecord| test.stage == stage && test.suite == *subject;
            let failed = recorded
                .tests
                .iter()
                .filter(own)
                .filter(|test| test.status == Status::Failed);
            let mut failed = failed.peekable();
            failed.peek().is_some() && failed.all(|test| signed_test(recorded, test))
        }
        _ => waived_in(recorded, stage).any(|finding| finding.tests.is_empty()),
    };
    let stages = recorded.stages.iter().filter(|stage| stage.status != Status::Skipped);
    let mut steps = stages.flat_map(|stage| stage.steps.iter().map(|step| (stage.id, step)));
    let (_, bad) = steps.find(|(stage, step)| !fine(step.status, || signed(*stage, step)))?;
    let reason = bad.reason.as_deref().unwrap_or_default();
    Some(format!("step {} did not pass: {reason}", bad.id))
}

fn bad_check(recorded: &Recorded) -> Option<String> {
    let signed = |check: &CheckRecord| signed_check(recorded, check.check, check.stage);
    let mut checks = recorded.checks.iter();
    let bad = checks.find(|check| !fine(check.status, || signed(check)))?;
    let reason = bad.reason.as_deref().unwrap_or_default();
    Some(format!(
        "check {} was not answered in {}: {reason}",
        bad.check, bad.stage
    ))
}

fn bad_test(recorded: &Recorded) -> Option<String> {
    let mut tests = recorded.tests.iter();
    let bad = tests.find(|test| !fine(test.status, || signed_test(recorded, test)))?;
    Some(format!(
        "test {} / {} did not pass in {}: {}",
        bad.suite, bad.name, bad.stage, bad.message
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::waiver::sign;
    use crate::config::settings::{Border, Policy, SameRelease, Waiver};
    use crate::record::step::Subject;
    use crate::record::test::TestId;

    fn policy() -> Policy {
        Policy {
            block_on: vec![Severity::Error],
            waive: Vec::new(),
            allow_egress: Vec::new(),
            allow_egress_spans: Vec::new(),
            border: Border::default(),
            same_release: SameRelease::default(),
            unexercised: Vec::new(),
            max_replicas: Policy::MAX_REPLICAS,
        }
    }

    fn smoke() -> Subject {
        Subject::Suite("smoke".to_owned())
    }

    fn stage(id: StageId, status: Status) -> StageRecord {
        StageRecord {
            id,
            status,
            reason: None,
            start_ms: 0,
            duration_ms: 1,
            steps: vec![step(Step::Run(smoke()), status), step(swap(), Status::Passed)],
        }
    }

    fn swap() -> Step {
        Step::Swap(vec!["web".to_owned()])
    }

    fn step(id: Step, status: Status) -> StepRecord {
        StepRecord {
            id,
            status,
            reason: None,
            start_ms: 0,
            duration_ms: 1,
        }
    }

    fn judged(recorded: &Recorded, policy: &Policy, ended: Ended) -> Judgement {
        let run = Run {
            block_on: &policy.block_on,
            ended,
            pair: "web shop:2",
            partial: &[],
            change: Change::Something,
        };
        judge(recorded, run)
    }

    fn test(id: StageId, status: Status) -> TestRecord {
        TestRecord {
            status,
            duration_ms: 1,
            ..TestRecord::passed(smoke(), "account", id)
        }
    }

    fn check(check: CheckId, stage: StageId, status: Status) -> CheckRecord {
        CheckRecord {
            check,
            stage,
            status,
            reason: None,
            duration_ms: 1,
        }
    }

    /// All stages, with a test and a check each.
    fn clean() -> Recorded {
        Recorded {
            stages: StageId::ALL.iter().map(|id| stage(*id, Status::Passed)).collect(),
            tests: StageId::ALL.iter().map(|id| test(*id, Status::Passed)).collect(),
            checks: vec![check(CheckId::BootProductionEnv, StageId::Upgrade, Status::Passed)],
            ..Recorded::default()
        }
    }

    fn verdict(recorded: &Recorded) -> Verdict {
        judged(recorded, &policy(), Ended::AsPlanned).verdict
    }

    fn finding(blame: Blame) -> Finding {
        Finding::new(CheckId::BootProductionEnv, StageId::Upgrade, blame, "something broke")
    }

    #[test]
    fn a_clean_record_passes_and_an_empty_one_does_not() {
        assert_eq!(verdict(&clean()), Verdict::Pass);
        assert_eq!(verdict(&Recorded::default()), Verdict::Inconclusive);
    }

    #[test]
    fn each_thing_that_is_red_alone_keeps_the_gate_shut() {
        for status in [Status::Failed, Status::Error, Status::NotRun] {
            let mut records = vec![clean(); 4];
            records[0].stages[1].status = status;
            records[1].stages[1].steps[0].status = status;
            records[2].tests[1].status = status;
            records[3].checks[0].status = status;
            for recorded in records {
                assert_eq!(verdict(&recorded), Verdict::Inconclusive, "{status}: {recorded:?}");
            }
        }
    }

    #[test]
    fn only_the_candidates_errors_block_and_what_is_nobodys_by_policy() {
        let with = |finding: Finding, policy: &Policy| {
            let mut recorded = clean();
            recorded.findings.push(finding);
            judged(&recorded, policy, Ended::AsPlanned).verdict
        };
        let strict = Policy {
            block_on: vec![Severity::Error, Severity::Warn],
            ..policy()
        };
        assert_eq!(with(finding(Blame::Candidate), &policy()), Verdict::Block);
        assert_eq!(with(finding(Blame::Mirror), &policy()), Verdict::Inconclusive);
        assert_eq!(with(finding(Blame::Flaky), &policy()), Verdict::Inconclusive);
        assert_eq!(with(finding(Blame::PreExisting), &policy()), Verdict::Pass);
        assert_eq!(with(finding(Blame::Nobody), &policy()), Verdict::Pass);
        assert_eq!(with(finding(Blame::Nobody), &strict), Verdict::Block);
    }

    #[test]
    fn a_change_of_nothing_is_a_pass_unless_something_could_not_be_told() {
        let policy = policy();
        let run = Run {
            block_on: &policy.block_on,
            ended: Ended::AsPlanned,
            pair: "",
            partial: &[],
            change: Change::Nothing,
        };
        let skipped = StageId::ALL.iter().map(|id| StageRecord {
            steps: Vec::new(),
            ..stage(*id, Status::Skipped)
        });
        let mut recorded = Recorded {
            stages: skipped.collect(),
            ..Recorded::default()
        };
        let judged = judge(&recorded, run);
        assert_eq!((judged.verdict, judged.exit_code), (Verdict::Pass, ExitCode::Pass));
        assert_eq!(judged.headline.to_string(), ALTERS_NOTHING);
        let change = Change::Something;
        assert_eq!(judge(&recorded, Run { change, ..run }).verdict, Verdict::Inconclusive);
        let ended = Ended::Signal(ExitCode::Interrupted);
        assert_eq!(judge(&recorded, Run { ended, ..run }).verdict, Verdict::Inconclusive);
        recorded.stages[0].status = Status::NotRun;
        assert_eq!(judge(&recorded, run).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&Recorded::default(), run).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn the_sentence_of_a_pass_is_built_from_what_ran() {
        let partial = [Partial::ForwardOnly("old data goes".to_owned())];
        let policy = policy();
        let run = |partial| Run {
            block_on: &policy.block_on,
            ended: Ended::AsPlanned,
            pair: "web shop:2",
            partial,
            change: Change::Something,
        };
        let whole = judge(&clean(), run(&[]));
        assert_eq!(
            whole.headline.to_string(),
            "web shop:2: the upgrade and the rollback work on this mirror"
        );
        let mut forward = clean();
        forward.stages.last_mut().expect("the way back").steps.clear();
        let forward = judge(&forward, run(&partial));
        assert_eq!(
            (forward.verdict, forward.headline.to_string().as_str()),
            (
                Verdict::Pass,
                "web shop:2: the upgrade works on this mirror; there is no way back (old data goes)"
            )
        );
    }

    #[test]
    fn a_run_in_which_the_candidate_did_not_take_the_place_never_passes() {
        let mut recorded = clean();
        recorded.stages[1].status = Status::Skipped;
        recorded.stages[1].steps.clear();
        recorded.tests.remove(1);
        assert_eq!(verdict(&recorded), Verdict::Inconclusive);
    }

    #[test]
    fn an_interrupt_and_a_limit_are_inconclusive_whatever_was_seen() {
        let mut recorded = clean();
        let ended = |recorded: &Recorded, ended| judged(recorded, &policy(), ended);
        assert_eq!(ended(&recorded, Ended::TimeOut).exit_code, ExitCode::Inconclusive);
        assert_eq!(
            ended(&recorded, Ended::Signal(ExitCode::Interrupted)).exit_code,
            ExitCode::Interrupted
        );
        recorded.findings.push(finding(Blame::Candidate));
        assert_eq!(ended(&recorded, Ended::TimeOut).verdict, Verdict::Block);
        assert_eq!(
            ended(&recorded, Ended::Signal(ExitCode::Terminated)).verdict,
            Verdict::Inconclusive
        );
    }

    #[test]
    fn the_earliest_stage_speaks_first_and_within_it_the_order_of_the_ids() {
        let mut recorded = clean();
        for (check, stage) in [
            (CheckId::Rollback, StageId::Rollback),
            (CheckId::UpgradeInPlace, StageId::Upgrade),
            (CheckId::AuthLogin, StageId::Upgrade),
        ] {
            recorded
                .findings
                .push(Finding::new(check, stage, Blame::Candidate, "broke"));
        }
        let cause = judged(&recorded, &policy(), Ended::AsPlanned).headline.to_string();
        assert!(cause.starts_with("auth-login: "), "{cause}");
    }

    #[test]
    fn a_waiver_covers_its_check_and_its_test_and_not_its_stage() {
        let mut recorded = clean();
        recorded.stages[1] = stage(StageId::Upgrade, Status::Failed);
        recorded.tests[1].status = Status::Failed;
        recorded.checks[0].status = Status::Failed;
        let mut signed = finding(Blame::Candidate).of_tests([recorded.tests[1].id()]);
        signed.waived = Some("known".to_owned());
        recorded.findings.push(signed);
        assert_eq!(verdict(&recorded), Verdict::Pass);
        let mut other = test(StageId::Upgrade, Status::Failed);
        other.name = "catalogue".to_owned();
        recorded.tests.push(other);
        assert_eq!(
            verdict(&recorded),
            Verdict::Inconclusive,
            "nobody has signed for the other test"
        );
    }

    fn status() -> impl Strategy<Value = Status> {
        proptest::sample::select(vec![
            Status::Passed,
            Status::Passed,
            Status::Passed,
            Status::Failed,
            Status::Error,
            Status::Skipped,
            Status::NotRun,
        ])
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        let blames = vec![
            Blame::Candidate,
            Blame::Mirror,
            Blame::Flaky,
            Blame::PreExisting,
            Blame::Nobody,
        ];
        let parts = (
            proptest::sample::select(CheckId::ALL),
            proptest::sample::select(StageId::ALL),
            proptest::sample::select(blames),
            any::<bool>(),
        );
        parts.prop_map(|(check, stage, blame, of_test)| {
            let found = Finding::new(check, stage, blame, "broke").about("web".to_owned());
            let test = TestId {
                suite: smoke(),
                name: "account".to_owned(),
            };
            if of_test { found.of_tests([test]) } else { found }
        })
    }

    fn any_record() -> impl Strategy<Value = Recorded> {
        let stages = [StageId::Control, StageId::Upgrade, StageId::Rollback];
        let statuses = (status(), status(), status(), status(), status(), status(), status());
        let findings = proptest::collection::vec(any_finding(), 0..3);
        (statuses, findings).prop_map(move |((a, b, c, d, e, f, g), findings)| Recorded {
            stages: stages
                .iter()
                .zip([a, b, c])
                .map(|(id, status)| stage(*id, status))
                .collect(),
            tests: stages
                .iter()
                .zip([d, e, f])
                .map(|(id, status)| test(*id, status))
                .collect(),
            checks: vec![check(CheckId::BootProductionEnv, StageId::Upgrade, g)],
            findings,
            ..Recorded::default()
        })
    }

    fn rank(verdict: Verdict) -> u8 {
        match verdict {
            Verdict::Pass => 0,
            Verdict::Inconclusive => 1,
            Verdict::Block => 2,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_record_with_anything_absent_errored_or_not_run_is_a_pass(recorded in any_record()) {
            let unclear = |status: Status| matches!(status, Status::Error | Status::NotRun);
            let steps = recorded.stages.iter().filter(|stage| stage.status != Status::Skipped);
            let red = recorded.stages.iter().any(|stage| unclear(stage.status))
                || steps.flat_map(|stage| &stage.steps).any(|step| unclear(step.status))
                || recorded.tests.iter().any(|test| unclear(test.status))
                || recorded.checks.iter().any(|check| unclear(check.status));
            if red {
                prop_assert_ne!(verdict(&recorded), Verdict::Pass);
            }
        }

        #[test]
        fn one_more_finding_never_makes_a_pass(recorded in any_record(), more in any_finding()) {
            let before = verdict(&recorded);
            let mut recorded = recorded;
            recorded.findings.push(more);
            prop_assert!(rank(verdict(&recorded)) >= rank(before));
        }

        #[test]
        fn a_waiver_never_makes_a_verdict_worse_and_passes_only_what_is_all_signed(
            recorded in any_record(),
            check in proptest::sample::select(CheckId::ALL),
        ) {
            let policy = Policy {
                waive: vec![Waiver {
                    check,
                    reason: "known".to_owned(),
                    owner: None,
                    expires: None,
                    test: None,
                    service: None,
                }],
                ..policy()
            };
            let mut signed = recorded.clone();
            let today = time::macros::date!(2026 - 11 - 28);
            signed.findings.iter_mut().for_each(|finding| sign(finding, &policy, today));
            let (before, after) = (verdict(&recorded), verdict(&signed));
            prop_assert!(rank(after) <= rank(before));
            if after == Verdict::Pass {
                let stands = |finding: &&Finding| finding.waived.is_none() && (blocks(finding, &policy.block_on) || unclear(finding));
                prop_assert_eq!(signed.findings.iter().find(stands), None);
            }
        }
    }
}
