//! The rehearsal: one loop that executes the plan. What a step does stands in a file of its own; what is looked at,
//! judged, repeated and confirmed is the same for every check. Events are its only output.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::OptionFuture;
use time::Date;

use crate::check::catalog::find;
use crate::check::ground::Grounds;
use crate::check::pair::Pair;
use crate::check::{Case, Entry, Moment};
use crate::config::settings::Settings;
use crate::lock;
use crate::plan::{Plan, Planned, StagePlan};
use crate::record::finding::Finding;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::text::redact::Redactor;
use crate::world::candidates::Candidates;
use crate::world::model::{Restart, World};
use crate::world::replica::Replica;

mod answer;
mod apart;
mod bring_up;
mod confirm;
pub mod course;
mod driver;
mod front_pages;
mod look;
pub mod not_run;
pub mod on_mirror;
mod one_cause;
pub mod probe;
pub mod recorder;
mod repeat;
pub mod scrub;
mod swap;
mod tests_run;

#[cfg(test)]
mod laws;

use course::{AfterFailure, Course};
use recorder::Recorder;

/// Suspects are tried again at most this often on the release that failed.
const REPEATS: usize = 4;

/// Everything a run of the plan needs.
pub struct Rehearsal<'a> {
    /// What was asked.
    pub settings: &'a Settings,
    /// What will happen.
    pub plan: &'a Plan,
    /// Production's facts.
    pub lock: &'a lock::State,
    /// Production.
    pub world: &'a World,
    /// What the release changes.
    pub candidate: &'a Candidates,
    /// Where mirrors are made.
    pub grounds: &'a dyn Grounds,
    /// The pair in words.
    pub pair: Pair,
    /// What is said goes here.
    pub recorder: Recorder,
    /// Learns what suites capture.
    pub redactor: Redactor,
    /// The image that runs Hurl files.
    pub hurl_image: String,
    /// How the run goes on after a stage that failed.
    pub after_failure: AfterFailure,
    /// CAs that the gate's own requests trust, PEM: the run's own and a company's.
    pub ca: Vec<String>,
    /// When the run must be over.
    pub deadline: Instant,
    /// The day on which waivers hold or have expired.
    pub today: Date,
}

/// How a stage goes on after a step.
enum Next {
    /// With the next step.
    On,
    /// Not at all: there is nothing left on which a step could run.
    End,
}

impl Rehearsal<'_> {
    /// Executes the plan. Whoever interrupts this takes the mirror down by the run's labels.
    pub async fn run(&self) {
        let mut course = Course::default();
        for stage in self.plan.stages.iter().filter(|stage| stage.skipped.is_none()) {
            if stage.id == StageId::Load && self.has_failed(&course) {
                let words = "load: not sent, for the candidate has failed before";
                self.recorder.note(words.to_owned());
                continue;
            }
            self.stage_and_untouched(stage, &mut course).await;
            self.confirm_before_going_on(&mut course).await;
            if course.is_over(self.after_failure, &self.recorder) {
                break;
            }
        }
        self.look_when_over(&mut course).await;
        self.look_apart(&mut course).await;
        self.confirm(&mut course).await;
        self.answer(&course);
    }

    /// Something failed as the candidate's doing, confirmed or not yet, and nobody has signed for it.
    fn has_failed(&self, course: &Course) -> bool {
        let suspects = course
            .suspects
            .iter()
            .map(|suspect| self.signed(suspect.finding.clone()));
        let found = self.recorder.findings().into_iter().filter(Finding::blames_candidate);
        suspects.chain(found).any(|finding| finding.waived.is_none())
    }

    /// A mirror that is to stay is worth most at the moment of the failure: whether it is one is asked at once.
    async fn confirm_before_going_on(&self, course: &mut Course) {
        if self.after_failure != AfterFailure::Stay || course.suspects.is_empty() {
            return;
        }
        self.confirm(course).await;
        if course.is_over(self.after_failure, &self.recorder) {
            let words =
                "a failure is confirmed, and the mirror stays as it was then: what would have followed did not run";
            self.recorder.note(words.to_owned());
        }
    }

    /// A stage; beside it the baseline comes up that what has failed will be asked of, so that nobody waits for it later.
    async fn stage_and_untouched(&self, stage: &StagePlan, course: &mut Course) {
        let beside = course.wants_untouched().then(|| self.untouched_beside());
        let ((), untouched) = tokio::join!(self.stage(stage, course), OptionFuture::from(beside));
        course.untouched = untouched.or(course.untouched.take());
    }

    async fn stage(&self, stage: &StagePlan, course: &mut Course) {
        self.recorder.stage_started(stage.id);
        let candidates = self.candidates();
        course.enter(stage.id, &candidates, &self.replicas());
        let mut ran = stage.steps.is_empty();
        let mut settled = false;
        for planned in &stage.steps {
            if !settled && is_settled_before(stage.id, planned) {
                self.settle(stage.id, course).await;
                settled = true;
            }
            if let Some(note) = course.why_not(planned) {
                course.remark(note, &self.recorder);
                continue;
            }
            ran = true;
            if let Next::End = self.step(stage.id, planned, course).await {
                break;
            }
        }
        if stage.id == StageId::Control {
            self.control_ends(course);
        }
        match settled {
            true => self.repeat_here(stage.id, course).await,
            false => self.settle(stage.id, course).await,
        }
        let (status, reason) = match course.status_of(stage.id, &self.recorder) {
            (Status::Passed, _) if !ran => (
                Status::NotRun,
                Some("the release that it is about did not come up".to_owned()),
            ),
            came_to => came_to,
        };
        self.recorder.stage_finished(stage.id, status, reason);
    }

    async fn step(&self, stage: StageId, planned: &Planned, course: &mut Course) -> Next {
        match &planned.id {
            Step::Mirror => self.make_mirror(stage, course).await,
            Step::Restore(_) | Step::Start(_) => self.start(stage, course).await,
            Step::Run(subject) => self.run_tests(stage, planned.on, subject, course).await,
            Step::Swap(_) => self.swap(stage, planned, course).await,
            Step::Check(id) => self.look_as_step(stage, planned, *id, course).await,
            Step::Other(_) => Next::On,
        }
    }

    fn case(&self, stage: StageId) -> Case<'_> {
        Case {
            settings: self.settings,
            world: self.world,
            candidate: self.candidate,
            lock: self.lock,
            pair: &self.pair,
            stage,
            today: self.today,
        }
    }

    fn candidates(&self) -> Vec<String> {
        self.candidate.services.keys().cloned().collect()
    }

    /// Every container of both releases.
    fn replicas(&self) -> BTreeSet<Replica> {
        let case = self.case(StageId::Control);
        case.replicas(&case.services())
    }

    fn control_ends(&self, course: &mut Course) {
        if let Some(ground) = &course.ground {
            let turning = |replica: &Replica| self.may_work_in_turns(&replica.service);
            course.facts.lived.control_ends(&**ground, &self.replicas(), turning);
        }
    }

    /// Its policy starts it again, and nobody asks it anything: a scheduler sleeps, does its work and ends.
    fn may_work_in_turns(&self, name: &str) -> bool {
        let Some(service) = self.world.services.get(name) else {
            return false;
        };
        let comes_again = matches!(service.restart, Restart::Always | Restart::UnlessStopped);
        comes_again && service.ports.is_empty() && service.health.is_none() && !self.is_addressed(name)
    }

    fn time_left(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.max(Duration::from_secs(1))
    }

    /// The checks that a stage asks, in the order of the catalog.
    fn asked_in(&self, stage: StageId) -> impl Iterator<Item = &'static dyn Entry> {
        let asked = crate::check::catalog::CATALOG.iter().copied();
        asked.filter(move |check| self.plan.asks(check.about().id, stage))
    }

    /// Records a finding, signed for where somebody has.
    fn found(&self, finding: Finding) -> Finding {
        let finding = self.signed(finding);
        self.recorder.finding(finding.clone());
        finding
    }

    fn signed(&self, mut finding: Finding) -> Finding {
        crate::check::waiver::sign(&mut finding, &self.settings.policy, self.today);
        finding
    }

    /// `{{run}}`: short, derived from the seed, another one for each `number`.
    fn run_value(&self, number: u64) -> String {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(format!("{}/{number}", self.plan.seed));
        hash.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is done last of all takes the release away: it is judged before, while it stands. What `control` does last,
/// it does to both releases.
fn is_settled_before(stage: StageId, planned: &Planned) -> bool {
    let Step::Check(id) = &planned.id else { return false };
    let moment = find(*id).and_then(|check| check.about().moment_in(stage));
    matches!(stage, StageId::Upgrade | StageId::Rollback) && moment == Some(Moment::Last)
}

static RUNS: AtomicU64 = AtomicU64::new(1);

fn next_run() -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}
