//! Cases: what is counted, everywhere. Tests, sign-ins, starts of services and checks are cases; other steps are none.
//! Whoever shows a number or a result takes it from [`of`], so that no two reports count differently.
//!
//! A check whose findings are all about tests that went wrong adds no case: those tests say it; so where another
//! finding of the same cause speaks for them. A finding without such a test is its check's case. A sign-in is the step `login` with the check of the same stage in one.

use std::collections::BTreeSet;

use super::check::CheckId;
use super::finding::{Blame, Severity};
use super::stage::StageId;
use super::status::Status;
use super::step;
use super::v1::{Check, Counts, Finding, Folded, Kinds, Record, Stage, Step, Tally, Test};
use super::verdict::Verdict;
use super::word::Word;

/// One case.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// Of which stage; `None` for the run's own.
    pub stage: Option<&'a Word<StageId>>,
    /// What it is.
    pub subject: Subject<'a>,
    /// How it ended: `failed` is the candidate's doing.
    pub status: Status,
}

/// What a case is.
#[derive(Debug, Clone)]
pub enum Subject<'a> {
    /// A service of the mirror came up.
    Start(&'a Step),
    /// Somebody signed in.
    SignIn {
        /// The step.
        step: &'a Step,
        /// What the check says.
        answer: Option<Answer<'a>>,
    },
    /// A check was answered.
    Check(Answer<'a>),
    /// A stage of which no other case tells how it ended.
    Stage(&'a Word<StageId>, Option<&'a Stage>),
    /// A test.
    Test(&'a Test),
    /// The verdict, where no other case tells it.
    Run,
}

/// A check in one stage, with what it found.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// Which.
    pub check: &'a Word<CheckId>,
    /// As recorded; `None` where only its findings are.
    pub record: Option<&'a Check>,
    /// Everything that it found in the stage.
    pub findings: Vec<&'a Finding>,
}

/// Every case, stage by stage; within a stage its starts, sign-ins and checks, then the tests. Where the verdict is
/// `block`, one has failed; where it is `inconclusive`, one is red.
pub fn of(record: &Record) -> Vec<Case<'_>> {
    let mut cases: Vec<Case> = stages(record)
        .into_iter()
        .flat_map(|stage| StageOf { record, stage }.cases())
        .collect();
    let told = match record.verdict.or(Verdict::Inconclusive) {
        Verdict::Pass => !cases.is_empty(),
        Verdict::Block => cases.iter().any(|case| case.status == Status::Failed),
        Verdict::Inconclusive => cases.iter().any(|case| case.status.is_red()),
    };
    if !told {
        let status = match record.verdict.or(Verdict::Inconclusive) {
            Verdict::Pass => Status::Passed,
            Verdict::Block => Status::Failed,
            Verdict::Inconclusive => Status::Error,
        };
        cases.push(Case {
            stage: None,
            subject: Subject::Run,
            status,
        });
    }
    cases
}

/// Stages in order, then those that something else names.
fn stages(record: &Record) -> Vec<&Word<StageId>> {
    let own = record.stages.iter().map(|stage| &stage.id);
    let tests = record.tests.iter().map(|test| &test.stage);
    let checks = record.checks.iter().map(|check| &check.stage);
    let findings = record.findings.iter().filter(|finding| keeps_shut(finding));
    let mut seen = BTreeSet::new();
    own.chain(tests)
        .chain(checks)
        .chain(findings.map(|finding| &finding.stage))
        .filter(|stage| seen.insert(stage.to_string()))
        .collect()
}

/// A finding that keeps the gate shut.
pub fn keeps_shut(finding: &Finding) -> bool {
    finding.waived.is_none()
        && finding.severity == Severity::Error
        && !matches!(finding.blame.known(), Some(Blame::PreExisting | Blame::Nobody))
}

/// One stage of a record.
struct StageOf<'a> {
    record: &'a Record,
    stage: &'a Word<StageId>,
}

impl<'a> StageOf<'a> {
    fn cases(&self) -> Vec<Case<'a>> {
        let answers = self.answers();
        let is_sign_in = |answer: &Answer| *answer.check == CheckId::AuthLogin;
        let sign_in = answers.iter().find(|answer| is_sign_in(answer));
        let mut cases: Vec<Case> = self.steps().filter_map(|step| self.of_step(step, sign_in)).collect();
        let signs_in = cases.iter().any(|case| matches!(case.subject, Subject::SignIn { .. }));
        let checks = answers.iter().filter(|answer| !(signs_in && is_sign_in(answer)));
        cases.extend(checks.filter(|answer| !self.is_folded(answer)).map(|answer| {
            let status = answer.status();
            self.case(Subject::Check(answer.clone()), status)
        }));
        let tests: Vec<Case> = self.tests().map(|test| self.of_test(test)).collect();
        cases.extend(self.of_whole(&cases, &tests));
        cases.extend(tests);
        cases
    }

    fn case(&self, subject: Subject<'a>, status: Status) -> Case<'a> {
        Case {
            stage: Some(self.stage),
            subject,
            status,
        }
    }

    fn own(&self) -> impl Iterator<Item = &'a Stage> {
        let id = self.stage;
        self.record.stages.iter().filter(move |stage| stage.id == *id)
    }

    fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.own().flat_map(|stage| &stage.steps)
    }

    fn tests(&self) -> impl Iterator<Item = &'a Test> {
        let id = self.stage;
        self.record.tests.iter().filter(move |test| test.stage == *id)
    }

    fn of_step(&self, step: &'a Step, sign_in: Option<&Answer<'a>>) -> Option<Case<'a>> {
        let status = step.status.or(Status::Error);
        match step.id.parse() {
            Ok(step::Step::Start(_)) => Some(self.case(Subject::Start(step), status)),
            Ok(step::Step::Check(CheckId::AuthLogin)) => {
                let answer = sign_in.cloned();
                let status = answer.as_ref().map_or(status, |answer| answer.with(status));
                Some(self.case(Subject::SignIn { step, answer }, status))
            }
            _ => None,
        }
    }

    fn of_test(&self, test: &'a Test) -> Case<'a> {
        // By law the candidate is never blamed for what the baseline shows on its own.
        let on_baseline = test.stage == StageId::Control && test.status == Status::Failed;
        let status = if on_baseline {
            Status::Error
        } else {
            test.status.or(Status::Error)
        };
        self.case(Subject::Test(test), status)
    }

    /// The stage itself, where it has no case of its own, or is red and nothing in it is.
    fn of_whole(&self, cases: &[Case], tests: &[Case]) -> Option<Case<'a>> {
        let stage = self.own().next();
        let status = stage.map_or(Status::Passed, |stage| stage.status.or(Status::Error));
        let red = cases.iter().chain(tests).any(|case| case.status.is_red());
        let silent = stage.is_some() && cases.is_empty();
        (silent || (status.is_red() && !red)).then(|| self.case(Subject::Stage(self.stage, stage), status))
    }

    fn answers(&self) -> Vec<Answer<'a>> {
        let found = |check: &Word<CheckId>| {
            let own = self
                .record
                .findings
                .iter()
                .filter(|finding| finding.stage == *self.stage);
            own.filter(|finding| finding.check == *check).collect()
        };
        let recorded = self.record.checks.iter().filter(|check| check.stage == *self.stage);
        let mut answers: Vec<Answer> = recorded
            .map(|record| Answer {
                check: &record.check,
                record: Some(record),
                findings: found(&record.check),
            })
            .collect();
        let findings = self.record.findings.iter();
        for finding in findings.filter(|finding| finding.stage == *self.stage && keeps_shut(finding)) {
            if !answers.iter().any(|answer| *answer.check == finding.check) {
                answers.push(Answer {
                    check: &finding.check,
                    record: None,
                    findings: found(&finding.check),
                });
            }
        }
        answers
    }

    /// Tests that went wrong say everything that this check found, under its own name or under another's.
    fn is_folded(&self, answer: &Answer) -> bool {
        let told = |is_about: &dyn Fn(&Test) -> bool| self.tests().any(|test| went_wrong(test) && is_about(test));
        let own = answer.findings.iter().filter(|finding| keeps_shut(finding));
        let own = own.map(|finding| told(&|test| finding.is_about(test)));
        let others = self.folded(answer).map(|one| told(&|test| one.is_about(test)));
        let mut all = own.chain(others).peekable();
        all.peek().is_some() && all.all(|is_told| is_told)
    }

    /// What a check found, and another one speaks for.
    fn folded(&self, answer: &Answer) -> impl Iterator<Item = &'a Folded> {
        let shut = self.record.findings.iter().filter(|finding| keeps_shut(finding));
        let (check, stage) = (answer.check, self.stage);
        let folded = shut.flat_map(|finding| &finding.folded);
        folded.filter(move |one| one.check == *check && one.stage == *stage)
    }
}

fn went_wrong(test: &Test) -> bool {
    matches!(test.status.or(Status::Error), Status::Failed | Status::Error)
}

impl Answer<'_> {
    /// How the check ended: the worse of what it says of itself and what it found; what is signed for is left out.
    pub fn status(&self) -> Status {
        self.with(Status::Skipped)
    }

    fn with(&self, other: Status) -> Status {
        if self.waiver().is_some() {
            return Status::Skipped;
        }
        let own = self
            .record
            .map_or(Status::Skipped, |check| check.status.or(Status::Error));
        let found = self
            .findings
            .iter()
            .filter(|finding| keeps_shut(finding))
            .map(|finding| {
                if finding.blame == Blame::Candidate {
                    Status::Failed
                } else {
                    Status::Error
                }
            });
        found.fold(worse(own, other), worse)
    }

    /// Who has signed for a check that failed.
    pub fn waiver(&self) -> Option<&str> {
        let failed = self.record.is_some_and(|check| check.status == Status::Failed);
        let signed = self.findings.iter().all(|finding| finding.waived.is_some());
        let waiver = self.findings.iter().find_map(|finding| finding.waived.as_deref());
        waiver.filter(|_| failed && signed)
    }
}

fn worse(one: Status, other: Status) -> Status {
    let rank = |status: Status| match status {
        Status::Skipped => 0,
        Status::Passed => 1,
        Status::NotRun => 2,
        Status::Error => 3,
        Status::Failed => 4,
    };
    if rank(one) < rank(other) { other } else { one }
}

impl Counts {
    /// Sums the cases of a record, whatever sums it holds.
    pub fn of(record: &Record) -> Self {
        let cases = of(record);
        let all = Tally::of(cases.iter());
        let kind = |is: fn(&Subject) -> bool| Tally::of(cases.iter().filter(|case| is(&case.subject)));
        Self {
            tests: all.all,
            passed: all.passed,
            failed: all.failed,
            errors: all.errors,
            skipped: all.skipped,
            not_run: all.not_run,
            kinds: Kinds {
                tests: kind(|subject| matches!(subject, Subject::Test(_))),
                sign_ins: kind(|subject| matches!(subject, Subject::SignIn { .. })),
                starts: kind(|subject| matches!(subject, Subject::Start(_))),
                checks: kind(|subject| matches!(subject, Subject::Check(_))),
                stages: kind(|subject| matches!(subject, Subject::Stage(..) | Subject::Run)),
            },
        }
    }
}

impl Tally {
    fn of<'a>(cases: impl Iterator<Item = &'a Case<'a>>) -> Self {
        let mut tally = Self::default();
        for case in cases {
            tally.all += 1;
            match case.status {
                Status::Passed => tally.passed += 1,
                Status::Failed => tally.failed += 1,
                Status::Error => tally.errors += 1,
                Status::Skipped => tally.skipped += 1,
                Status::NotRun => tally.not_run += 1,
            }
        }
        tally
    }
}
