//! The course of a run: what stages leave to those after them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::recorder::Recorder;
use crate::agent::probe::Question;
use crate::check::facts::Facts;
use crate::check::ground::{Ground, Marks};
use crate::check::spans::Span;
use crate::check::{Entry, Moment, Seen};
use crate::plan::Planned;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::suite::Captures;
use crate::world::replica::Replica;

/// How a run goes on after a stage that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The way back is tried, too.
    GoOn,
    /// It ends (`--fail-fast`).
    End,
    /// It ends where the failure is confirmed, and the mirror stays as it is then (`--keep`).
    Stay,
}

/// What a run has come to so far.
#[derive(Default)]
pub(super) struct Course {
    /// The mirror, once it is made.
    pub ground: Option<Arc<dyn Ground>>,
    /// The release that stands in the mirror.
    pub in_place: Option<Role>,
    /// What happened.
    pub facts: Facts,
    /// What `seed` and `write` captured.
    pub data: Captures,
    /// Where the candidate's logs stood when what is tried now began.
    pub marks: Marks,
    /// What the probe asks around the swap.
    pub probe: Option<Question>,
    /// Every look of every check.
    pub looks: Vec<Look>,
    /// Looks that had nothing of production's to be compared with, and why.
    pub uncompared: Vec<(CheckId, StageId, String)>,
    /// A mirror that the candidate has not touched, once one was needed; an error says why none came up.
    pub untouched: Option<Result<Arc<dyn Ground>, String>>,
    /// Failures that must be confirmed before they block.
    pub suspects: Vec<Suspect>,
    /// Findings that rest on text: what they weigh is known when all behaviour has been judged.
    pub texts: Vec<Finding>,
    /// Why production does not work on the mirror, or what was lost: nothing more can be said.
    pub broken: Option<String>,
    remarks: Vec<String>,
}

/// One look of a check.
pub(super) struct Look {
    pub check: &'static dyn Entry,
    pub stage: StageId,
    pub role: Role,
    pub seen: Result<Seen, Lost>,
    pub took_ms: u64,
}

/// A failure on its way to a finding.
pub(super) struct Suspect {
    pub check: &'static dyn Entry,
    pub role: Role,
    pub finding: Finding,
    /// It was seen again on the release that showed it.
    pub reproduced: bool,
}

impl Course {
    /// A stage begins.
    pub fn enter(&mut self, stage: StageId, services: &[String], replicas: &BTreeSet<Replica>) {
        let Some(ground) = &self.ground else { return };
        ground.enter(stage);
        self.marks = ground.marks(services);
        self.lives_on(stage, replicas);
    }

    /// From now on the release in place meets what production meets, too.
    pub fn lives_on(&mut self, stage: StageId, replicas: &BTreeSet<Replica>) {
        if let Some(role) = self.in_place {
            self.begins(Span::lived(stage, role), replicas);
        }
    }

    /// From now on the containers go through this.
    pub fn begins(&mut self, span: Span, replicas: &BTreeSet<Replica>) {
        if let Some(ground) = &self.ground {
            self.facts.lived.begins(span, &**ground, replicas);
        }
    }

    /// Why a step cannot run: the release that it needs is not in place.
    pub fn why_not(&self, planned: &Planned) -> Option<&'static str> {
        use crate::record::step::DataEntry::{VerifyWrite, VerifyWriteAfter, Write};
        use crate::record::step::{Step, Subject::Data};
        let never_up = "the candidate did not come up, so it could not write before the rollback";
        let missing = self.in_place != Some(planned.on);
        match &planned.id {
            Step::Mirror | Step::Restore(_) | Step::Start(_) | Step::Swap(_) => None,
            Step::Run(Data(Write | VerifyWrite)) if missing => Some(never_up),
            Step::Run(Data(VerifyWriteAfter)) if !self.facts.candidate_came_up() => Some(never_up),
            // What did not come up has been told.
            _ => missing.then_some(""),
        }
    }

    /// Says something once.
    pub fn remark(&mut self, text: impl Into<String>, recorder: &Recorder) {
        let text = text.into();
        if !text.is_empty() && !self.remarks.contains(&text) {
            recorder.note(text.clone());
            self.remarks.push(text);
        }
    }

    /// The look that others are compared with.
    pub fn baseline_of(&self, check: CheckId) -> Option<&Result<Seen, Lost>> {
        let stops = |look: &Look| look.check.about().moment_in(look.stage) == Some(Moment::Stopping);
        let is_production =
            |look: &&Look| look.stage == StageId::Control || (look.role == Role::Baseline && stops(look));
        let mut own = self
            .looks
            .iter()
            .filter(is_production)
            .filter(|look| look.check.about().id == check);
        own.next().map(|look| &look.seen)
    }

    /// A check has seen this release and not production's: it tells nothing. Says why.
    pub fn is_compared_with_nothing(&mut self, check: CheckId, stage: StageId, lost: Option<Lost>) -> String {
        let why = lost.map_or_else(|| "it was not looked at".to_owned(), |lost| lost.to_string());
        let why = format!("what production's release shows was not seen: {why}");
        self.uncompared.push((check, stage, why.clone()));
        why
    }

    /// Something failed that must be asked of an untouched baseline, and none has been sought.
    pub fn wants_untouched(&self) -> bool {
        self.untouched.is_none() && self.suspects.iter().any(Suspect::needs_baseline)
    }

    /// Whether the run ends here.
    pub fn is_over(&self, after: AfterFailure, recorder: &Recorder) -> bool {
        let ends = match after {
            AfterFailure::GoOn => false,
            AfterFailure::End => self.has_failed(recorder),
            AfterFailure::Stay => recorder.findings().iter().any(Finding::blames_candidate),
        };
        self.broken.is_some() || ends
    }

    /// Something failed as the candidate's doing, confirmed or not yet.
    pub fn has_failed(&self, recorder: &Recorder) -> bool {
        !self.suspects.is_empty() || recorder.findings().iter().any(Finding::blames_candidate)
    }

    /// What a stage came to, suspects included: they are confirmed at the end.
    pub fn status_of(&self, stage: StageId, recorder: &Recorder) -> (Status, Option<String>) {
        let findings = recorder.findings();
        let here = || findings.iter().filter(|finding| finding.stage == stage);
        if let Some(finding) = here().find(|finding| finding.blames_candidate()) {
            return (Status::Failed, Some(finding.title.clone()));
        }
        if let Some(suspect) = self.suspects.iter().find(|suspect| suspect.finding.stage == stage) {
            return (Status::Failed, Some(suspect.finding.title.clone()));
        }
        let unclear = |finding: &&Finding| {
            finding.waived.is_none() && finding.blame == Blame::Mirror && finding.severity == Severity::Error
        };
        match (here().find(unclear), &self.broken) {
            (Some(finding), _) => (Status::Error, Some(finding.title.clone())),
            (None, Some(why)) => (Status::Error, Some(why.clone())),
            (None, None) => (Status::Passed, None),
        }
    }
}
