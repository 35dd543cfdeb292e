//! What each stage does, in order. A new stage is a function here, and whatever its steps need.

use super::model::{CheckPlan, Planned, StagePlan};
use super::only::Only;
use crate::check::Moment;
use crate::check::catalog::{self, CATALOG};
use crate::check::question::{self, questions};
use crate::config::settings::{Data, Rollback, Settings};
use crate::engine::image::ImageFacts;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::{DataEntry, Step, Subject};
use crate::world::model::World;

/// Plans a stage.
pub(super) fn plan(id: StageId, settings: &Settings, world: &World, only: &Only) -> StagePlan {
    let skipped = match (&settings.stages.rollback, id) {
        (Rollback::ForwardOnly(reason), StageId::Rollback) => Some(format!("forward only: {reason}")),
        _ if !only.stage(id) => Some("left out by --only".to_owned()),
        _ => None,
    };
    let checks = checks(id, settings, only);
    let mut steps = Steps {
        settings,
        only,
        checks: &checks,
        stage: id,
        steps: Vec::new(),
    };
    match id {
        StageId::Control => steps.control(world),
        StageId::Upgrade => steps.upgrade(world),
        StageId::Rollback => steps.rollback(),
    }
    StagePlan {
        id,
        steps: if skipped.is_some() { Vec::new() } else { steps.steps },
        checks,
        skipped,
    }
}

fn checks(id: StageId, settings: &Settings, only: &Only) -> Vec<CheckPlan> {
    let answered = CATALOG
        .iter()
        .filter(|check| check.about().answers_in(id) && check.is_asked(id, settings));
    let planned = answered.map(|check| {
        let left_out = || (!only.check(check.about().id)).then(|| "left out by --only".to_owned());
        CheckPlan {
            id: check.about().id,
            skipped: check.left_out(id, settings).or_else(left_out),
        }
    });
    planned.collect()
}

/// Steps, as they are added.
struct Steps<'a> {
    settings: &'a Settings,
    only: &'a Only,
    checks: &'a [CheckPlan],
    stage: StageId,
    steps: Vec<Planned>,
}

impl Steps<'_> {
    fn control(&mut self, world: &World) {
        self.add(
            Step::Mirror,
            Role::Baseline,
            "make closed networks, volumes and the agent",
        );
        for name in world.in_dependency_order() {
            let what = format!("start {}", image_of(world, name));
            self.add(Step::Start(name.to_owned()), Role::Baseline, what);
        }
        self.looks(Moment::Up, Role::Baseline);
        self.suites(Role::Baseline);
        self.data(&[DataEntry::Seed, DataEntry::Verify], Role::Baseline);
        self.looks(Moment::Last, Role::Baseline);
    }

    fn upgrade(&mut self, world: &World) {
        // An engine may know more of the image: a health check, ports.
        let asked = questions(self.settings, world, |_| ImageFacts::default());
        let asked = match asked.is_empty() {
            true => "what the image's health check asks or where it listens".to_owned(),
            false => question::words(&asked),
        };
        let what = format!("the candidate takes the baseline's place, while a probe asks {asked}");
        self.swap(Role::Candidate, &what);
        self.suites(Role::Candidate);
        self.data(&[DataEntry::Verify], Role::Candidate);
        self.looks(Moment::Last, Role::Candidate);
    }

    fn rollback(&mut self) {
        self.data(&[DataEntry::Write, DataEntry::VerifyWrite], Role::Candidate);
        self.swap(Role::Baseline, "the baseline comes back, against the clock");
        self.suites(Role::Baseline);
        self.data(&[DataEntry::Verify, DataEntry::VerifyWriteAfter], Role::Baseline);
        self.looks(Moment::Last, Role::Baseline);
    }

    fn add(&mut self, id: Step, on: Role, what: impl Into<String>) {
        let what = what.into();
        self.steps.push(Planned { id, on, what });
    }

    fn swap(&mut self, to: Role, what: &str) {
        let services = self.settings.candidate.keys().cloned().collect();
        self.add(Step::Swap(services), to, what);
    }

    fn suites(&mut self, on: Role) {
        for suite in self.settings.suites.iter().filter(|suite| self.only.suite(&suite.name)) {
            let what = format!("at least {}", counted(suite.body.min_tests));
            self.steps.push(Planned {
                id: Step::Run(Subject::Suite(suite.name.clone())),
                on,
                what,
            });
        }
        self.looks(Moment::AfterSuites, on);
    }

    fn data(&mut self, entries: &[DataEntry], on: Role) {
        for entry in entries.iter().filter(|entry| has(&self.settings.data, **entry)) {
            self.add(Step::Run(Subject::Data(*entry)), on, "");
        }
    }

    /// Checks whose look is a step of its own.
    fn looks(&mut self, moment: Moment, on: Role) {
        let wanted = self.checks.iter().filter(|planned| planned.skipped.is_none());
        let built = wanted.filter_map(|planned| catalog::find(planned.id));
        let here = built.filter(|check| check.about().moment_in(self.stage) == Some(moment));
        let steps: Vec<Planned> = here
            .map(|check| Planned {
                id: Step::Check(check.about().id),
                on,
                what: check.about().step.to_owned(),
            })
            .collect();
        self.steps.extend(steps);
    }
}

/// The image that production runs for a service.
pub(super) fn image_of(world: &World, service: &str) -> String {
    let service = world.services.get(service);
    service.map(|service| service.image.clone()).unwrap_or_default()
}

fn counted(tests: u64) -> String {
    match tests {
        1 => "1 test".to_owned(),
        more => format!("{more} tests"),
    }
}

fn has(data: &Data, entry: DataEntry) -> bool {
    data.body(entry).is_some()
}
