//! What becomes a test case: a suite for each stage with its steps and checks, and one for each user suite within it.

use std::collections::HashSet;

use crate::record;
use crate::record::finding::{Blame, Severity};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Check, Finding, Record, Stage, Step, Test};
use crate::record::verdict::Verdict;
use crate::record::word::Word;
use crate::report::words;
use crate::text::harmless;

/// Longest text of one case.
const DETAIL: usize = 64 * 1024;
/// Longest name.
const NAME: usize = 300;

/// A `testsuite`.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// `control`, `control / smoke`.
    pub name: String,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// In order, never empty: an empty suite is dropped by some readers and green for others.
    pub cases: Vec<Case>,
    /// `system-out` of the suite itself.
    pub output: Option<String>,
}

/// A `testcase`.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `stage.subject`.
    pub classname: String,
    /// Unique with `classname`.
    pub name: String,
    /// Milliseconds.
    pub duration_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it was declared.
    pub location: Option<(String, u32)>,
    /// `system-out`.
    pub output: Option<String>,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// The configuration leaves it out, with the reason.
    Skipped(String),
    /// The candidate is at fault.
    Failure(Trouble),
    /// Rehearsal could not tell.
    Error(Trouble),
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// Attribute `type`.
    pub kind: &'static str,
    /// First line: what broke, the pair of versions, the way out.
    pub message: String,
    /// The rest.
    pub detail: String,
}

/// The record as suites, in the order of the contract. Where the verdict is not `pass`, at least one case is red.
pub fn suites(result: &Record) -> Vec<Suite> {
    let mut suites: Vec<Suite> = result.stages.iter().flat_map(|stage| of_stage(result, stage)).collect();
    let recorded = |test: &&Test| result.stages.iter().any(|stage| stage.id == test.stage);
    let homeless: Vec<&Test> = result.tests.iter().filter(|test| !recorded(test)).collect();
    suites.extend(of_tests(result, &homeless, 0));
    if result.verdict != Verdict::Pass && !suites.iter().flat_map(|suite| &suite.cases).any(Case::is_red) {
        tell_the_verdict(result, &mut suites);
    }
    if suites.is_empty() {
        suites.push(Suite {
            name: "rehearsal".to_owned(),
            start_ms: 0,
            cases: vec![verdict_case(result)],
            output: None,
        });
    }
    make_unique(&mut suites);
    suites
}

impl Case {
    /// A failure or an error.
    pub fn is_red(&self) -> bool {
        matches!(self.outcome, Outcome::Failure(_) | Outcome::Error(_))
    }
}

fn of_stage(result: &Record, stage: &Stage) -> Vec<Suite> {
    let tests: Vec<&Test> = result.tests.iter().filter(|test| test.stage == stage.id).collect();
    let steps = stage.steps.iter().filter(|step| !told_by_tests(step, &tests));
    let mut cases: Vec<Case> = steps.map(|step| of_step(result, &stage.id, step)).collect();
    let checks: Vec<&Check> = result.checks.iter().filter(|check| check.stage == stage.id).collect();
    cases.extend(checks.iter().map(|check| of_check(result, check)));
    let told = |finding: &&Finding| {
        checks
            .iter()
            .any(|check| check.check == finding.check && check.status.or(Status::Error).is_red())
    };
    let findings = result
        .findings
        .iter()
        .filter(|finding| finding.stage == stage.id && !told(finding));
    cases.extend(
        findings
            .filter(|finding| keeps_shut(finding))
            .map(|finding| of_finding(result, finding)),
    );
    let mut suites = of_tests(result, &tests, stage.start_ms);
    let red = cases
        .iter()
        .chain(suites.iter().flat_map(|suite| &suite.cases))
        .any(Case::is_red);
    if cases.is_empty() || (!red && stage.status.or(Status::Error).is_red()) {
        cases.push(of_whole_stage(result, stage));
    }
    suites.insert(
        0,
        Suite {
            name: words::word(&stage.id),
            start_ms: stage.start_ms,
            cases,
            output: None,
        },
    );
    suites
}

/// A step that runs a user suite is told by that suite's own cases, unless it knows of trouble that none of them shows.
fn told_by_tests(step: &Step, tests: &[&Test]) -> bool {
    let Ok(record::step::Step::Run(subject)) = step.id.parse() else {
        return false;
    };
    let suite = subject.to_string();
    let mut own = tests.iter().filter(|test| test.suite == suite).peekable();
    own.peek().is_some()
        && (!step.status.or(Status::Error).is_red() || own.any(|test| test.status.or(Status::Error).is_red()))
}

fn keeps_shut(finding: &Finding) -> bool {
    finding.waived.is_none()
        && finding.severity == Severity::Error
        && !matches!(finding.blame.known(), Some(Blame::PreExisting | Blame::Nobody))
}

fn of_step(result: &Record, stage: &Word<StageId>, step: &Step) -> Case {
    let subject = step.id.split_once(' ').map_or("mirror", |(_, subject)| subject);
    let service = step.id.split_once(' ').map(|(_, subject)| subject);
    let way_out = format!("see logs/{stage}/ and `rehearsal run --keep`");
    let told = Told {
        kind: "StepFailed",
        status: step.status.or(Status::Error),
        reason: step.reason.as_deref(),
        detail: "",
    };
    let outcome = told.outcome(result, stage, service, &way_out);
    case(stage, subject, &step.id, step.duration_ms, outcome)
}

fn of_check(result: &Record, check: &Check) -> Case {
    let own: Vec<&Finding> = result
        .findings
        .iter()
        .filter(|finding| finding.check == check.check && finding.stage == check.stage)
        .collect();
    let first = own.iter().find(|finding| finding.waived.is_none());
    let way_out = first.map_or(format!("`rehearsal explain {}`", check.check), |finding| {
        finding.help.clone()
    });
    let reason = first.map(|finding| finding.title.as_str()).or(check.reason.as_deref());
    let detail = own
        .iter()
        .map(|finding| story(finding))
        .collect::<Vec<_>>()
        .join("\n\n");
    let told = Told {
        kind: "CheckFailed",
        status: check.status.or(Status::Error),
        reason,
        detail: &detail,
    };
    let outcome = match own.iter().find_map(|finding| finding.waived.as_deref()) {
        Some(waiver) if first.is_none() && check.status == Status::Failed => {
            Outcome::Skipped(harmless::line(&format!("waived: {waiver}"), words::LINE))
        }
        _ => told.outcome(
            result,
            &check.stage,
            first.and_then(|finding| finding.service.as_deref()),
            &way_out,
        ),
    };
    case(
        &check.stage,
        &words::word(&check.check),
        &words::word(&check.check),
        check.duration_ms,
        outcome,
    )
}

fn of_finding(result: &Record, finding: &Finding) -> Case {
    let blamed = finding.blame == Blame::Candidate;
    let status = if blamed { Status::Failed } else { Status::Error };
    let detail = story(finding);
    let told = Told {
        kind: "CheckFailed",
        status,
        reason: Some(&finding.title),
        detail: &detail,
    };
    let outcome = told.outcome(result, &finding.stage, finding.service.as_deref(), &finding.help);
    case(
        &finding.stage,
        &words::word(&finding.check),
        &words::word(&finding.check),
        0,
        outcome,
    )
}

fn story(finding: &Finding) -> String {
    let cause = finding
        .cause
        .as_ref()
        .map(|cause| format!("{}: {cause}", finding.title));
    let way_out = format!("way out: {}", finding.help);
    let mut lines = vec![cause.unwrap_or_else(|| finding.title.clone())];
    lines.extend(finding.evidence.iter().map(|line| format!("  {line}")));
    lines.push(way_out);
    lines.extend(finding.waived.as_ref().map(|waiver| format!("waived: {waiver}")));
    lines.join("\n")
}

fn of_whole_stage(result: &Record, stage: &Stage) -> Case {
    let told = Told {
        kind: "StageFailed",
        status: stage.status.or(Status::Error),
        reason: stage.reason.as_deref(),
        detail: "",
    };
    let outcome = told.outcome(
        result,
        &stage.id,
        None,
        "see the first red case of the stages before it",
    );
    case(&stage.id, "stage", &words::word(&stage.id), stage.duration_ms, outcome)
}

fn of_tests(result: &Record, tests: &[&Test], start_ms: u64) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for test in tests {
        let name = format!("{} / {}", words::word(&test.stage), harmless::line(&test.suite, NAME));
        let case = of_test(result, test);
        match suites.iter_mut().find(|suite| suite.name == name) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite {
                name,
                start_ms,
                cases: vec![case],
                output: None,
            }),
        }
    }
    suites
}

fn of_test(result: &Record, test: &Test) -> Case {
    // By law the candidate is never blamed for what the baseline shows on its own.
    let on_baseline = test.stage == StageId::Control && test.status == Status::Failed;
    let status = if on_baseline {
        Status::Error
    } else {
        test.status.or(Status::Error)
    };
    let told = Told {
        kind: "TestFailed",
        status,
        reason: Some(&test.message),
        detail: &test.detail,
    };
    let outcome = told.outcome(
        result,
        &test.stage,
        test.service.as_deref(),
        &words::way_out(result, test),
    );
    let mut case = case(&test.stage, &test.suite, &test.name, test.duration_ms, outcome);
    case.location = test.location.as_deref().and_then(location);
    if test.retries > 0 && !case.is_red() {
        case.output = Some(format!("passed after {} retries", test.retries));
    }
    case
}

/// `smoke/shop.hurl:12` as a file and a line.
pub fn location(text: &str) -> Option<(String, u32)> {
    let (file, line) = text.rsplit_once(':')?;
    let file = harmless::line(file, NAME);
    let line: u32 = line.parse().ok().filter(|line| *line > 0)?;
    (!file.is_empty()).then_some((file, line))
}

fn case(stage: &Word<StageId>, subject: &str, name: &str, duration_ms: u64, outcome: Outcome) -> Case {
    let or_unnamed = |text: String| if text.is_empty() { "unnamed".to_owned() } else { text };
    let classname = format!("{}.{}", words::word(stage), or_unnamed(harmless::line(subject, NAME)));
    let name = or_unnamed(harmless::line(name, NAME));
    Case {
        classname,
        name,
        duration_ms,
        outcome,
        location: None,
        output: None,
    }
}

/// What a record says of itself.
struct Told<'a> {
    kind: &'static str,
    status: Status,
    reason: Option<&'a str>,
    detail: &'a str,
}

impl Told<'_> {
    fn outcome(&self, result: &Record, stage: &Word<StageId>, service: Option<&str>, way_out: &str) -> Outcome {
        match self.status {
            Status::Passed => Outcome::Passed,
            Status::Skipped => Outcome::Skipped(self.broke("left out by the configuration")),
            Status::Failed => Outcome::Failure(self.trouble(self.kind, result, stage, service, way_out)),
            Status::Error => Outcome::Error(self.trouble("CouldNotTell", result, stage, service, way_out)),
            Status::NotRun => Outcome::Error(self.trouble("NotRun", result, stage, service, way_out)),
        }
    }

    fn broke(&self, otherwise: &str) -> String {
        let reason = harmless::line(self.reason.unwrap_or_default(), words::LINE);
        if reason.is_empty() {
            otherwise.to_owned()
        } else {
            reason
        }
    }

    fn trouble(
        &self,
        kind: &'static str,
        result: &Record,
        stage: &Word<StageId>,
        service: Option<&str>,
        way_out: &str,
    ) -> Trouble {
        let broke = self.broke(if kind == "NotRun" {
            "planned, and did not run"
        } else {
            "no reason was recorded"
        });
        let pair = words::pair(result, service);
        let way_out = harmless::line(way_out, words::LINE);
        let message = harmless::line(
            &format!("{broke} ({stage}; {pair}); way out: {way_out}"),
            4 * words::LINE,
        );
        Trouble {
            kind,
            message,
            detail: harmless::block(self.detail, DETAIL),
        }
    }
}

/// The last resort of failing closed: no case is red, and the verdict is.
fn tell_the_verdict(result: &Record, suites: &mut [Suite]) {
    if let Some(last) = suites.last_mut() {
        last.cases.push(verdict_case(result));
    }
}

fn verdict_case(result: &Record) -> Case {
    let trouble = || Trouble {
        kind: "Verdict",
        message: words::cause(result),
        detail: String::new(),
    };
    let outcome = match result.verdict.or(Verdict::Inconclusive) {
        Verdict::Pass => Outcome::Passed,
        Verdict::Block => Outcome::Failure(trouble()),
        Verdict::Inconclusive => Outcome::Error(trouble()),
    };
    let name = "verdict".to_owned();
    let classname = "rehearsal.verdict".to_owned();
    Case {
        classname,
        name,
        duration_ms: 0,
        outcome,
        location: None,
        output: None,
    }
}

/// Where two cases bear one name, readers keep only the first.
fn make_unique(suites: &mut [Suite]) {
    let mut seen = HashSet::new();
    for case in suites.iter_mut().flat_map(|suite| &mut suite.cases) {
        let name = case.name.clone();
        let mut count = 1;
        while !seen.insert((case.classname.clone(), case.name.clone())) {
            count += 1;
            case.name = format!("{name} ({count})");
        }
    }
}
