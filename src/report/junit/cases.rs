//! How a case of the record becomes a `testcase`: in a suite for its stage, or in one for its user suite within it.

use std::collections::HashSet;

use crate::record::cases::{self, Answer, Subject};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Finding, Record, Stage, Step, Test};
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

/// The record's cases as suites, in the order of the contract: a suite for each stage, then one for each user suite
/// within it.
pub fn suites(result: &Record) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for one in cases::of(result) {
        let name = suite_name(&one);
        let case = of_case(result, &one);
        match suites.iter_mut().find(|suite| suite.name == name) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite {
                name,
                start_ms: start_ms(result, &one),
                cases: vec![case],
                output: None,
            }),
        }
    }
    make_unique(&mut suites);
    suites
}

fn suite_name(case: &cases::Case) -> String {
    let stage = case.stage.map_or_else(|| "rehearsal".to_owned(), words::word);
    match case.subject {
        Subject::Test(test) => format!("{stage} / {}", harmless::line(&test.suite, NAME)),
        _ => stage,
    }
}

fn start_ms(result: &Record, case: &cases::Case) -> u64 {
    let mut stages = result.stages.iter();
    let stage = stages.find(|stage| Some(&stage.id) == case.stage);
    stage.map_or(0, |stage| stage.start_ms)
}

impl Case {
    /// A failure or an error.
    pub fn is_red(&self) -> bool {
        matches!(self.outcome, Outcome::Failure(_) | Outcome::Error(_))
    }
}

fn of_case(result: &Record, case: &cases::Case) -> Case {
    let place = CaseOf { result, case };
    match &case.subject {
        Subject::Start(step) => place.of_start(step),
        Subject::SignIn { step, answer } => place.of_sign_in(step, answer.as_ref()),
        Subject::Check(answer) => place.of_check(answer),
        Subject::Stage(id, stage) => place.of_whole_stage(id, *stage),
        Subject::Test(test) => place.of_test(test),
        Subject::Run => place.of_run(),
    }
}

/// A case, with the record it is of.
struct CaseOf<'a> {
    result: &'a Record,
    case: &'a cases::Case<'a>,
}

impl CaseOf<'_> {
    fn of_start(&self, step: &Step) -> Case {
        let service = step.id.split_once(' ').map(|(_, subject)| subject);
        let told = Words {
            kind: "StepFailed",
            reason: step.reason.as_deref(),
            detail: "",
            service,
            way_out: &self.way_to_look(),
        };
        self.case(service.unwrap_or("mirror"), &step.id, step.duration_ms, &told)
    }

    fn of_sign_in(&self, step: &Step, answer: Option<&Answer>) -> Case {
        let seen = answer.map(Answered::of).unwrap_or_default();
        let told = Words {
            kind: "SignInFailed",
            reason: seen.reason.as_deref().or(step.reason.as_deref()),
            detail: &seen.detail,
            service: seen.service,
            way_out: &seen.help.map_or_else(|| self.way_to_look(), str::to_owned),
        };
        self.case(&step.id, &step.id, step.duration_ms, &told)
    }

    fn of_check(&self, answer: &Answer) -> Case {
        let seen = Answered::of(answer);
        let name = words::word(answer.check);
        let told = Words {
            kind: "CheckFailed",
            reason: seen.reason.as_deref(),
            detail: &seen.detail,
            service: seen.service,
            way_out: &seen
                .help
                .map_or_else(|| format!("`rehearsal explain {name}`"), str::to_owned),
        };
        self.case(&name, &name, answer.record.map_or(0, |check| check.duration_ms), &told)
    }

    fn of_whole_stage(&self, id: &Word<StageId>, stage: Option<&Stage>) -> Case {
        let told = Words {
            kind: "StageFailed",
            reason: stage.and_then(|stage| stage.reason.as_deref()),
            detail: "",
            service: None,
            way_out: "see the first red case of the stages before it",
        };
        self.case(
            "stage",
            &words::word(id),
            stage.map_or(0, |stage| stage.duration_ms),
            &told,
        )
    }

    fn of_test(&self, test: &Test) -> Case {
        let told = Words {
            kind: "TestFailed",
            reason: Some(&test.message),
            detail: &test.detail,
            service: test.service.as_deref(),
            way_out: &words::way_out(self.result, test),
        };
        let mut case = self.case(&test.suite, &test.name, test.duration_ms, &told);
        case.location = test.location.as_deref().and_then(location);
        if test.retries > 0 && !case.is_red() {
            let retries = words::counted(u64::from(test.retries), "retry", "retries");
            case.output = Some(format!("passed after {retries}"));
        }
        case
    }

    /// The last resort of failing closed: no case tells the verdict.
    fn of_run(&self) -> Case {
        let trouble = || Trouble {
            kind: "Verdict",
            message: words::cause(self.result),
            detail: String::new(),
        };
        let outcome = match self.case.status {
            Status::Passed | Status::Skipped => Outcome::Passed,
            Status::Failed => Outcome::Failure(trouble()),
            Status::Error | Status::NotRun => Outcome::Error(trouble()),
        };
        Case {
            classname: "rehearsal.verdict".to_owned(),
            name: "verdict".to_owned(),
            duration_ms: 0,
            outcome,
            location: None,
            output: None,
        }
    }

    fn stage(&self) -> String {
        self.case.stage.map_or_else(|| "rehearsal".to_owned(), words::word)
    }

    fn way_to_look(&self) -> String {
        format!("see logs/{}/ and `rehearsal run --keep`", self.stage())
    }

    fn case(&self, subject: &str, name: &str, duration_ms: u64, told: &Words) -> Case {
        let or_unnamed = |text: String| if text.is_empty() { "unnamed".to_owned() } else { text };
        Case {
            classname: format!("{}.{}", self.stage(), or_unnamed(harmless::line(subject, NAME))),
            name: or_unnamed(harmless::line(name, NAME)),
            duration_ms,
            outcome: self.outcome(told),
            location: None,
            output: None,
        }
    }

    fn outcome(&self, told: &Words) -> Outcome {
        match self.case.status {
            Status::Passed => Outcome::Passed,
            Status::Skipped => Outcome::Skipped(told.broke("left out by the configuration")),
            Status::Failed => Outcome::Failure(self.trouble(told.kind, "no reason was recorded", told)),
            Status::Error => Outcome::Error(self.trouble("CouldNotTell", "no reason was recorded", told)),
            Status::NotRun => Outcome::Error(self.trouble("NotRun", "planned, and did not run", told)),
        }
    }

    fn trouble(&self, kind: &'static str, otherwise: &str, told: &Words) -> Trouble {
        let broke = told.broke(otherwise);
        let pair = words::pair(self.result, told.service);
        let way_out = harmless::line(told.way_out, words::LINE);
        let message = format!("{broke} ({}; {pair}); way out: {way_out}", self.stage());
        Trouble {
            kind,
            message: harmless::line(&message, 4 * words::LINE),
            detail: harmless::block(told.detail, DETAIL),
        }
    }
}

/// What a check has to say.
#[derive(Default)]
struct Answered<'a> {
    reason: Option<String>,
    detail: String,
    service: Option<&'a str>,
    help: Option<&'a str>,
}

impl<'a> Answered<'a> {
    fn of(answer: &Answer<'a>) -> Self {
        let unsigned = || answer.findings.iter().filter(|finding| finding.waived.is_none());
        // What keeps the gate shut speaks before a warning.
        let first = unsigned()
            .find(|finding| cases::keeps_shut(finding))
            .or_else(|| unsigned().next());
        let recorded = || answer.record.and_then(|check| check.reason.clone());
        let reason = match answer.waiver() {
            Some(waiver) => Some(format!("waived: {waiver}")),
            None => first.map(|finding| finding.title.clone()).or_else(recorded),
        };
        let stories: Vec<_> = answer.findings.iter().map(|finding| story(finding)).collect();
        Self {
            reason,
            detail: stories.join("\n\n"),
            service: first.and_then(|finding| finding.service.as_deref()),
            help: first.map(|finding| finding.help.as_str()),
        }
    }
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

/// `smoke/shop.hurl:12` as a file and a line.
pub fn location(text: &str) -> Option<(String, u32)> {
    let (file, line) = text.rsplit_once(':')?;
    let file = harmless::line(file, NAME);
    let line: u32 = line.parse().ok().filter(|line| *line > 0)?;
    (!file.is_empty()).then_some((file, line))
}

/// What a record says of itself.
struct Words<'a> {
    kind: &'static str,
    reason: Option<&'a str>,
    detail: &'a str,
    service: Option<&'a str>,
    way_out: &'a str,
}

impl Words<'_> {
    fn broke(&self, otherwise: &str) -> String {
        let reason = harmless::line(self.reason.unwrap_or_default(), words::LINE);
        if reason.is_empty() {
            otherwise.to_owned()
        } else {
            reason
        }
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
