//! The free texts of a record: what may come from a candidate, and so may hold a secret. Words of the schema (`pass`,
//! `control`, a check's id) are not among them, so that a password `pass` cannot make a record unreadable. Fields are
//! named one by one: a new one does not compile until somebody decided.

use super::event::EventKind;
use super::finding;
use super::recorded::Recorded;
use super::release::{EngineRecord, LockRecord, Release};
use super::test::TestRecord;
use super::v1::{Check, Fidelity, Finding, Record, Stage, Step, Test};

/// What is done to each text.
pub type Change<'a> = &'a mut dyn FnMut(&mut String);

/// Something with free texts.
pub trait Texts {
    /// Gives each of them to `change`.
    fn each_text(&mut self, change: Change<'_>);
}

impl Texts for Record {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            schema: _,
            verdict: _,
            cause,
            headline,
            again,
            partial: _,
            exit_code: _,
            started: _,
            duration_ms: _,
            seed: _,
            rehearsal: _,
            candidate,
            baseline,
            mirror,
            lock,
            fidelity,
            stages,
            findings,
            tests,
            checks,
            counts: _,
            engine,
            notes,
        } = self;
        change(cause);
        all([&mut headline.what, &mut headline.pair, &mut headline.way_out], change);
        all(again, change);
        notes.iter_mut().for_each(&mut *change);
        lock.each_text(change);
        for releases in [candidate, baseline, mirror] {
            each(releases, change);
        }
        each(fidelity, change);
        each(stages, change);
        each(findings, change);
        each(tests, change);
        each(checks, change);
        each(engine, change);
    }
}

fn each<'a, T: Texts + 'a>(items: impl IntoIterator<Item = &'a mut T>, change: Change<'_>) {
    for item in items {
        item.each_text(change);
    }
}

fn all<'a>(texts: impl IntoIterator<Item = &'a mut String>, change: Change<'_>) {
    texts.into_iter().for_each(change);
}

/// What was recorded, before it becomes a record.
impl Texts for Recorded {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            stages,
            tests,
            checks,
            findings,
            fidelity: _,
            notes,
        } = self;
        for stage in stages {
            all(&mut stage.reason, change);
            all(stage.steps.iter_mut().filter_map(|step| step.reason.as_mut()), change);
        }
        each(tests, change);
        all(checks.iter_mut().filter_map(|check| check.reason.as_mut()), change);
        each(findings, change);
        all(notes, change);
    }
}

impl Texts for TestRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.message, &mut self.detail], change);
    }
}

impl Texts for finding::Finding {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.title, &mut self.help], change);
        all(&mut self.cause, change);
        all(&mut self.evidence, change);
        each(&mut self.folded, change);
    }
}

impl Texts for Finding {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            check: _,
            severity: _,
            blame: _,
            stage: _,
            service,
            tests,
            title,
            cause,
            evidence,
            help,
            waived,
        } = self;
        all([title, help], change);
        all([service, cause, waived].into_iter().flatten(), change);
        all(
            tests.iter_mut().flat_map(|test| [&mut test.suite, &mut test.name]),
            change,
        );
        all(evidence, change);
    }
}

impl Texts for Test {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            suite,
            name,
            message,
            detail,
            service,
            location,
            stage: _,
            status: _,
            duration_ms: _,
            retries: _,
        } = self;
        all([suite, name, message, detail], change);
        all([service, location].into_iter().flatten(), change);
    }
}

impl Texts for LockRecord {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            age_seconds: _,
            source,
            statement,
        } = self;
        all(source, change);
        change(statement);
    }
}

impl Texts for Release {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            service,
            image,
            digest: _,
        } = self;
        all([service, image], change);
    }
}

impl Texts for Fidelity {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            service,
            fact,
            production,
            mirror,
            state: _,
        } = self;
        all([service, fact], change);
        all([production, mirror].into_iter().flatten(), change);
    }
}

impl Texts for Stage {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            id: _,
            status: _,
            reason,
            start_ms: _,
            duration_ms: _,
            steps,
        } = self;
        all(reason, change);
        each(steps, change);
    }
}

impl Texts for Step {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            id,
            status: _,
            reason,
            start_ms: _,
            duration_ms: _,
        } = self;
        change(id);
        all(reason, change);
    }
}

impl Texts for Check {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            check: _,
            stage: _,
            status: _,
            reason,
            duration_ms: _,
        } = self;
        all(reason, change);
    }
}

impl Texts for EngineRecord {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            name,
            version,
            api,
            platform,
            facts,
        } = self;
        all([name, version, api, platform], change);
        all(facts.values_mut(), change);
    }
}

impl Texts for EventKind {
    fn each_text(&mut self, change: Change<'_>) {
        match self {
            Self::RunStarted { run: _, seed: _ } | Self::StageStarted { stage: _ } => {}
            Self::StageFinished {
                stage: _,
                status: _,
                reason,
            } => all(reason, change),
            Self::StepStarted { stage: _, step } => change(step),
            Self::StepFinished {
                stage: _,
                step,
                status: _,
                reason,
                duration_ms: _,
            } => {
                change(step);
                all(reason, change);
            }
            Self::Container {
                stage: _,
                service,
                state: _,
                detail,
            } => {
                change(service);
                all(detail, change);
            }
            Self::Pull {
                image,
                state: _,
                detail,
            } => {
                change(image);
                all(detail, change);
            }
            Self::Test(test) => test.each_text(change),
            Self::Check(check) => check.each_text(change),
            Self::Finding(finding) => finding.each_text(change),
            Self::Fidelity { rows } => each(rows, change),
            Self::Note { text } => change(text),
            Self::RunFinished {
                verdict: _,
                cause,
                exit_code: _,
            } => change(cause),
        }
    }
}
