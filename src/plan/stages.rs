//! What each stage does, in order. A new stage is a function here, and whatever its steps need.

use std::collections::BTreeSet;

use super::model::{CheckPlan, Planned, StagePlan};
use super::narrowing::Narrowing;
use crate::check::catalog::{self, CATALOG};
use crate::check::question::{self, questions};
use crate::check::{Given, Moment};
use crate::config::settings::{Data, Rollback, Settings};
use crate::engine::image::ImageFacts;
use crate::record::headline::ALTERS_NOTHING;
use crate::record::release::Role;
use crate::record::shard::IN_ANOTHER;
use crate::record::stage::StageId;
use crate::record::step::{DataEntry, Step, Subject};
use crate::world::deploy::Deploy;
use crate::world::model::{Service, World};

/// Plans a stage.
pub(super) fn plan(id: StageId, given: &Given<'_>, narrowing: &Narrowing) -> StagePlan {
    let settings = given.settings;
    if given.alters_nothing() {
        return StagePlan {
            id,
            skipped: Some(ALTERS_NOTHING.to_owned()),
            steps: Vec::new(),
            checks: Vec::new(),
        };
    }
    let skipped = match (&settings.stages.rollback, id) {
        (Rollback::ForwardOnly(reason), StageId::Rollback) => Some(format!("forward only: {reason}")),
        _ => narrowing.stage(id),
    };
    let checks = checks(id, given, narrowing);
    let skipped = skipped.or_else(|| is_anothers(&checks, id).then(|| IN_ANOTHER.to_owned()));
    let mut steps = Steps {
        given: *given,
        settings,
        narrowing,
        checks: &checks,
        stage: id,
        steps: Vec::new(),
    };
    match id {
        StageId::Control => steps.control(given.world),
        StageId::Upgrade => steps.upgrade(),
        StageId::Faults | StageId::Load => steps.looks(Moment::Last, Role::Candidate),
        StageId::Rollback => steps.rollback(),
    }
    StagePlan {
        id,
        steps: if skipped.is_some() { Vec::new() } else { steps.steps },
        checks,
        skipped,
    }
}

/// A stage that is nothing but looks, none of which is this shard's.
fn is_anothers(checks: &[CheckPlan], id: StageId) -> bool {
    let is_looks = matches!(id, StageId::Faults | StageId::Load);
    let anothers = |check: &CheckPlan| check.skipped.as_deref() == Some(IN_ANOTHER);
    is_looks && checks.iter().any(anothers) && checks.iter().all(|check| check.skipped.is_some())
}

fn checks(id: StageId, given: &Given<'_>, narrowing: &Narrowing) -> Vec<CheckPlan> {
    let answered = CATALOG
        .iter()
        .filter(|check| check.about().answers_in(id) && check.is_asked(id, given));
    let planned = answered.map(|check| CheckPlan {
        id: check.about().id,
        skipped: check.left_out(id, given).or_else(|| narrowing.check(check.about().id)),
    });
    planned.collect()
}

/// Steps, as they are added.
struct Steps<'a> {
    given: Given<'a>,
    settings: &'a Settings,
    narrowing: &'a Narrowing,
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
        let mut begun = BTreeSet::new();
        for restore in &self.settings.data.restore {
            let needed = world.with_needs(restore.needs());
            self.starts(world, &mut begun, |name| needed.contains(name));
            let step = Step::Restore(restore.into.to_string());
            self.add(step, Role::Baseline, format!("from {}", restore.from));
        }
        self.starts(world, &mut begun, |_| true);
        self.looks(Moment::Up, Role::Baseline);
        self.suites(Role::Baseline);
        self.data(&[DataEntry::Seed, DataEntry::Verify], Role::Baseline);
        self.looks(Moment::Drill, Role::Baseline);
        self.looks(Moment::Last, Role::Baseline);
    }

    /// Starts those of them that are not begun yet.
    fn starts<'w>(&mut self, world: &'w World, begun: &mut BTreeSet<&'w str>, wanted: impl Fn(&str) -> bool) {
        let order = world.in_dependency_order().into_iter();
        for name in order.filter(|name| wanted(name)) {
            if begun.insert(name) {
                let what = format!("start {}", image_of(world, name));
                for replica in world.services.get(name).into_iter().flat_map(Service::instances) {
                    self.add(Step::Start(replica.to_string()), Role::Baseline, what.clone());
                }
            }
        }
    }

    fn upgrade(&mut self) {
        // An engine may know more of the image: a health check, ports.
        let asked = questions(&self.given, |_| ImageFacts::default());
        let asked = match asked.is_empty() {
            true => "what the image's health check asks or where it listens".to_owned(),
            false => question::words(&asked),
        };
        let what = format!("the candidate takes the baseline's place, while a probe asks {asked}");
        self.swap(Role::Candidate, &what);
        self.suites(Role::Candidate);
        self.data(&[DataEntry::Verify], Role::Candidate);
        self.looks(Moment::Drill, Role::Candidate);
        self.looks(Moment::Last, Role::Candidate);
    }

    fn rollback(&mut self) {
        self.data(&[DataEntry::Write, DataEntry::VerifyWrite], Role::Candidate);
        self.swap(Role::Baseline, "the baseline comes back, against the clock");
        self.suites(Role::Baseline);
        self.data(&[DataEntry::Verify, DataEntry::VerifyWriteAfter], Role::Baseline);
        self.looks(Moment::Drill, Role::Baseline);
        self.looks(Moment::Last, Role::Baseline);
    }

    fn add(&mut self, id: Step, on: Role, what: impl Into<String>) {
        let what = what.into();
        self.steps.push(Planned { id, on, what });
    }

    fn swap(&mut self, to: Role, what: &str) {
        let (candidate, world) = (self.given.candidate, self.given.world);
        let deploy = match to {
            Role::Candidate => candidate.upgrade(world),
            Role::Baseline => candidate.rollback(world),
        };
        let services = candidate.touched().into_iter().cloned().collect();
        self.add(Step::Swap(services), to, format!("{what}{}", order_of(&deploy)));
    }

    fn suites(&mut self, on: Role) {
        let suites = self.settings.suites.iter();
        for suite in suites.filter(|suite| self.narrowing.suite(&suite.name)) {
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

/// In which order services go and come, where that says anything: what depends on nothing of the others goes with the
/// first.
fn order_of(deploy: &Deploy) -> String {
    let made = deploy.made();
    let gone: Vec<&str> = deploy.gone.iter().map(String::as_str).collect();
    let levels = deploy.levels().into_iter().map(|level| {
        let names = level.into_iter().map(|service| service.name.as_str());
        names.filter(|name| made.contains(name)).collect::<Vec<_>>()
    });
    let gone = (!gone.is_empty()).then(|| format!("{} gone", gone.join(", ")));
    let come = levels.filter(|level| !level.is_empty()).map(|level| level.join(", "));
    let turns: Vec<String> = gone.into_iter().chain(come).collect();
    match turns.len() {
        0 | 1 => String::new(),
        _ => format!("; in order: {}", turns.join(", then ")),
    }
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
