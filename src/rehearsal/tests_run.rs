//! The user's tests as steps: suites and entries of `data`, each recorded as it went.

use super::course::Course;
use super::{Next, Rehearsal};
use crate::check::facts::Ran;
use crate::check::ground::{Ground, Marks};
use crate::check::memory::MemoryKills;
use crate::config::settings::SuiteBody;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::{DataEntry, Step, Subject};
use crate::record::test::TestRecord;
use crate::suite::Captures;
use crate::text::units::counted;

impl Rehearsal<'_> {
    pub(super) async fn run_tests(&self, stage: StageId, role: Role, subject: &Subject, course: &mut Course) -> Next {
        let (Some(ground), Some(body)) = (course.ground.clone(), self.settings.body(subject)) else {
            return Next::On;
        };
        let step = self.recorder.step(stage, &Step::Run(subject.clone()));
        let on = self.on(&*ground, stage);
        let inherited = inherited(subject, course);
        let begun = Begun {
            marks: ground.marks(&self.heard()),
            memory_kills: MemoryKills::so_far(&*ground, self.case(stage).replicas(&self.heard())),
        };
        let outcome = on.run_with(subject, body, inherited).await;
        if let Subject::Data(DataEntry::Seed | DataEntry::Write) = subject {
            course.data = outcome.captures;
        }
        let tests = as_recorded(stage, outcome.tests);
        self.recorder.tests(&tests);
        let cause = self.cause(&*ground, &begun, &course.marks, &tests).await;
        let said = self.said(&*ground, &begun, &tests);
        let too_few = too_few(&tests, body);
        let (status, reason) = status_of(&tests, too_few);
        step.ended(status, reason);
        course.facts.ran.push(Ran {
            stage,
            role,
            subject: subject.clone(),
            tests,
            too_few,
            cause,
            said,
            guarded: outcome.guarded,
        });
        Next::On
    }

    /// Whose words may explain a failure: the candidate's and the authentication product's, and so whoever is asked.
    fn heard(&self) -> Vec<String> {
        let mut heard = self.candidates();
        let others = self.settings.auth_services().iter().chain(self.world.services.keys());
        for service in others {
            if !heard.contains(service) {
                heard.push(service.clone());
            }
        }
        heard
    }

    /// Why something failed: a process that the kernel killed meanwhile; else as the logs have it since the tests began,
    /// the candidate's, that of the service which a failing test asked, the product's; then what the candidate said since
    /// it took its place. Only what failed pays for the asking.
    async fn cause(&self, ground: &dyn Ground, begun: &Begun, placed: &Marks, tests: &[TestRecord]) -> Option<String> {
        let near = self.near(tests)?;
        let candidates = self.candidates();
        // Both at once: where nothing says why, each waits for late lines.
        let (meanwhile, before) = tokio::join!(ground.why(&near, &begun.marks), ground.why(&candidates, placed));
        let said = meanwhile.or(before);
        // The engine's word of it may come after the answer that it cut off.
        let silent = tests.iter().any(|test| test.reply.is_silent());
        let killed = silent.then(|| begun.memory_kills.since(ground, &near)).flatten();
        killed.or(said)
    }

    /// What may explain a failure beside its cause.
    fn said(&self, ground: &dyn Ground, begun: &Begun, tests: &[TestRecord]) -> Vec<String> {
        let near = self.near(tests);
        near.map_or_else(Vec::new, |near| ground.new_lines(&near, &begun.marks))
    }

    /// The candidate's services, those that a failing test asked, and the authentication product's; `None` where nothing
    /// failed.
    fn near(&self, tests: &[TestRecord]) -> Option<Vec<String>> {
        let failed = || tests.iter().filter(|test| test.status == Status::Failed);
        failed().next()?;
        let asked = failed().filter_map(|test| test.service.as_ref());
        let mut near = self.candidates();
        for name in asked.chain(self.settings.auth_services()) {
            if self.world.services.contains_key(name) && !near.contains(name) {
                near.push(name.clone());
            }
        }
        Some(near)
    }
}

/// How things stood when tests began.
struct Begun {
    marks: Marks,
    memory_kills: MemoryKills,
}

/// What earlier entries of `data` captured is seen by those after them.
pub(super) fn inherited(subject: &Subject, course: &Course) -> Captures {
    match subject {
        Subject::Suite(_) => Captures::default(),
        Subject::Data(_) => course.data.clone(),
        Subject::Rotate | Subject::Revoke => Captures::default(),
    }
}

/// In control a failure is not the candidate's: the plain truth of the run becomes "could not tell".
fn as_recorded(stage: StageId, mut tests: Vec<TestRecord>) -> Vec<TestRecord> {
    if stage == StageId::Control {
        for test in tests.iter_mut().filter(|test| test.status == Status::Failed) {
            test.status = Status::Error;
        }
    }
    tests
}

/// A run with too few tests proves nothing, whatever they said: how many ran, and how many are needed.
fn too_few(tests: &[TestRecord], body: &SuiteBody) -> Option<(u64, u64)> {
    let is_run = |test: &&TestRecord| !matches!(test.status, Status::Skipped | Status::NotRun);
    let ran = u64::try_from(tests.iter().filter(is_run).count()).unwrap_or(u64::MAX);
    let failed = tests.iter().any(|test| test.status == Status::Failed);
    (ran < body.min_tests && !failed).then_some((ran, body.min_tests))
}

fn status_of(tests: &[TestRecord], too_few: Option<(u64, u64)>) -> (Status, Option<String>) {
    if let Some((ran, wanted)) = too_few {
        return (
            Status::Error,
            Some(format!("{} ran, at least {wanted} are needed", counted(ran, "test"))),
        );
    }
    let first = |wanted: fn(Status) -> bool| tests.iter().find(|test| wanted(test.status));
    let line = |test: &TestRecord| Some(format!("{}: {}", test.name, test.message));
    let failed = first(|status| status == Status::Failed);
    let unclear = || first(|status| matches!(status, Status::Error | Status::NotRun));
    match (failed, unclear()) {
        (Some(test), _) => (Status::Failed, line(test)),
        (None, Some(test)) => (Status::Error, line(test)),
        (None, None) => (Status::Passed, None),
    }
}
