//! Answers: every check that a stage planned gets one, in each stage.

use super::Rehearsal;
use super::course::{Course, Look};
use crate::check::{Entry, Unanswered};
use crate::plan::StagePlan;
use crate::record::check::CheckId;
use crate::record::finding::{Finding, Severity};
use crate::record::recorded::CheckRecord;
use crate::record::stage::StageId;
use crate::record::status::Status;

impl Rehearsal<'_> {
    /// Answers for the stages that were begun; the others' checks did not run.
    pub(super) fn answer(&self, course: &Course) {
        let findings = self.recorder.findings();
        let begun = self.recorder.begun();
        for stage in self.plan.stages.iter().filter(|stage| begun.contains(&stage.id)) {
            for check in self.asked_in(stage.id) {
                self.recorder.check(self.answer_of(check, stage, course, &findings));
            }
        }
    }

    fn answer_of(
        &self,
        check: &'static dyn Entry,
        stage: &StagePlan,
        course: &Course,
        findings: &[Finding],
    ) -> CheckRecord {
        let id = check.about().id;
        let own = |look: &&Look| look.check.about().id == id && look.stage == stage.id;
        let looks: Vec<&Look> = course.looks.iter().filter(own).collect();
        let found: Vec<&Finding> = findings
            .iter()
            .flat_map(Finding::all)
            .filter(|finding| finding.check == id && finding.stage == stage.id)
            .collect();
        let (status, reason) = of_findings(&found)
            .or_else(|| of_looks(&looks))
            .or_else(|| of_what_is_uncompared(course, id, stage.id))
            .or_else(|| self.of_what_is_unanswered(check, stage, &looks))
            .unwrap_or_else(|| (Status::Passed, found.first().map(|finding| finding.title.clone())));
        CheckRecord {
            check: id,
            stage: stage.id,
            status,
            reason,
            duration_ms: looks.iter().map(|look| look.took_ms).sum(),
        }
    }

    fn of_what_is_unanswered(
        &self,
        check: &'static dyn Entry,
        stage: &StagePlan,
        looks: &[&Look],
    ) -> Option<(Status, Option<String>)> {
        let case = self.case(stage.id);
        let seen = looks.iter().filter_map(|look| look.seen.as_ref().ok());
        let answers: Vec<Option<Unanswered>> = seen.map(|seen| check.unanswered(&case, seen)).collect();
        // What one look could not tell, no later one of another release makes good.
        let not_run = |answer: &&Option<Unanswered>| matches!(answer, Some(Unanswered::NotRun(_)));
        match answers.iter().find(not_run).or(answers.last())?.clone()? {
            Unanswered::NotRun(why) => Some((Status::NotRun, Some(why))),
            Unanswered::Skipped(why) => Some((Status::Skipped, Some(why))),
        }
    }
}

/// The worst finding speaks; what somebody has signed for is answered, and not as it should be.
fn of_findings(found: &[&Finding]) -> Option<(Status, Option<String>)> {
    let errors = || found.iter().filter(|finding| finding.severity == Severity::Error);
    let told = |status, finding: &Finding| Some((status, Some(finding.title.clone())));
    if let Some(finding) = errors().find(|finding| finding.blames_candidate() || finding.waived.is_some()) {
        return told(Status::Failed, finding);
    }
    errors().next().and_then(|finding| told(Status::Error, finding))
}

/// A look tells nothing where production's was lost.
fn of_what_is_uncompared(course: &Course, check: CheckId, stage: StageId) -> Option<(Status, Option<String>)> {
    let own = |look: &&(CheckId, StageId, String)| (look.0, look.1) == (check, stage);
    let (.., why) = course.uncompared.iter().find(own)?;
    Some((Status::Error, Some(why.clone())))
}

fn of_looks(looks: &[&Look]) -> Option<(Status, Option<String>)> {
    if looks.is_empty() {
        return Some((Status::NotRun, Some("the run ended before it".to_owned())));
    }
    let lost = looks.iter().find_map(|look| look.seen.as_ref().err())?;
    Some((Status::Error, Some(lost.to_string())))
}
