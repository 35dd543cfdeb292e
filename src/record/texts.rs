//! The free texts of a record: what may come from a candidate, and so may hold a secret. Words of the schema (`pass`,
//! `control`, a check's id) are not among them, so that a password `pass` cannot make a record unreadable. Fields are
//! named one by one: a new one does not compile until somebody decided.

use super::alerts::{AlertRecord, Told};
use super::calls::CallRecord;
use super::event::EventKind;
use super::finding;
use super::load::{CapacityRecord, LoadRecord, SlowdownRecord};
use super::measured::ProbeRecord;
use super::recorded::Recorded;
use super::release::{AuthRecord, EngineRecord, LockRecord, ProductionRecord, Release};
use super::test::TestRecord;
use super::v1::{Alert, AuthCall, Check, Fidelity, Finding, Folded, Log, Probe, Record, Stage, Step, Test};

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
            rerun,
            partial: _,
            shard: _,
            exit_code: _,
            started: _,
            duration_ms: _,
            seed: _,
            rehearsal: _,
            inputs: _,
            candidate,
            baseline,
            mirror,
            production,
            auth,
            lock,
            fidelity,
            times: _,
            probes,
            load,
            slowdowns,
            capacity,
            calls,
            alerts,
            stages,
            findings,
            tests,
            checks,
            counts: _,
            logs,
            engine,
            notes,
        } = self;
        change(cause);
        all([&mut headline.what, &mut headline.pair, &mut headline.way_out], change);
        all([again, rerun].into_iter().flatten(), change);
        notes.iter_mut().for_each(&mut *change);
        each(production, change);
        each(auth, change);
        lock.each_text(change);
        for releases in [candidate, baseline, mirror] {
            each(releases, change);
        }
        each(fidelity, change);
        each(probes, change);
        each(load, change);
        each(slowdowns, change);
        each(capacity, change);
        each(calls, change);
        each(alerts, change);
        each(stages, change);
        each(findings, change);
        each(tests, change);
        each(checks, change);
        each(logs, change);
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
            times: _,
            probes,
            load,
            slowdowns,
            capacity,
            calls,
            alerts,
            notes,
        } = self;
        each(probes, change);
        each(load, change);
        each(slowdowns, change);
        each(capacity, change);
        each(calls, change);
        each(alerts, change);
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

impl Texts for ProbeRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.asked_for, &mut self.last], change);
        all(&mut self.good, change);
    }
}

impl Texts for LoadRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all(self.steps.iter_mut().map(|step| &mut step.name), change);
        all(self.usage.iter_mut().map(|usage| &mut usage.service), change);
    }
}

impl Texts for SlowdownRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all(&mut self.reason, change);
    }
}

impl Texts for CapacityRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all(&mut self.objective, change);
        all(&mut self.reason, change);
        for born in [&mut self.baseline, &mut self.candidate] {
            all(&mut born.ran_out_of, change);
            all(born.turns.iter_mut().map(|turn| &mut turn.why), change);
        }
    }
}

impl Texts for AlertRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.alert, &mut self.group], change);
        if let Told::NotJudged(why) = &mut self.told {
            change(why);
        }
    }
}

impl Texts for Alert {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.alert, &mut self.group], change);
        all(&mut self.reason, change);
    }
}

impl Texts for CallRecord {
    fn each_text(&mut self, change: Change<'_>) {
        all([&mut self.asked, &mut self.answer], change);
    }
}

impl Texts for AuthCall {
    fn each_text(&mut self, change: Change<'_>) {
        all(
            [&mut self.by, &mut self.service, &mut self.asked, &mut self.answer],
            change,
        );
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
            folded,
        } = self;
        all([title, help], change);
        each(folded, change);
        all([service, cause, waived].into_iter().flatten(), change);
        all(
            tests.iter_mut().flat_map(|test| [&mut test.suite, &mut test.name]),
            change,
        );
        all(evidence, change);
    }
}

impl Texts for Folded {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            check: _,
            stage: _,
            title,
            tests,
        } = self;
        all([title], change);
        all(
            tests.iter_mut().flat_map(|test| [&mut test.suite, &mut test.name]),
            change,
        );
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

impl Texts for Probe {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            stage: _,
            asked_for,
            good,
            asked: _,
            failed: _,
            downtime_ms: _,
            singles: _,
            last,
        } = self;
        all([asked_for, last], change);
        all(good, change);
    }
}

impl Texts for AuthRecord {
    fn each_text(&mut self, change: Change<'_>) {
        let Self { services, issuer } = self;
        all(services, change);
        all(issuer, change);
    }
}

impl Texts for Log {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            stage: _,
            service,
            bytes: _,
            end,
        } = self;
        all([service, end], change);
    }
}

impl Texts for ProductionRecord {
    fn each_text(&mut self, change: Change<'_>) {
        let Self {
            from,
            commit,
            statement,
        } = self;
        all([from, statement], change);
        all(commit, change);
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
            pushed: _,
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
            }
            | Self::Build {
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
