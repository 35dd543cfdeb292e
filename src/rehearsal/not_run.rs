//! Law 1: what was planned and did not happen is in the record, as `not-run`, never absent.

use crate::plan::{Plan, StagePlan};
use crate::record::recorded::Recorded;
use crate::record::recorded::{CheckRecord, StageRecord, StepRecord};
use crate::record::status::Status;

/// Adds what the plan has and the record has not.
pub fn complete(recorded: &mut Recorded, plan: &Plan) {
    for planned in &plan.stages {
        if !recorded.stages.iter().any(|stage| stage.id == planned.id) {
            let (status, reason) = absent(planned);
            let stage = StageRecord {
                id: planned.id,
                status,
                reason,
                start_ms: 0,
                duration_ms: 0,
                steps: Vec::new(),
            };
            recorded.stages.push(stage);
        }
        steps(recorded, planned);
        checks(recorded, planned);
    }
    recorded.stages.sort_by_key(|stage| stage.id);
}

fn absent(planned: &StagePlan) -> (Status, Option<String>) {
    match &planned.skipped {
        Some(reason) => (Status::Skipped, Some(reason.clone())),
        None => (Status::NotRun, Some("the run ended before it".to_owned())),
    }
}

fn steps(recorded: &mut Recorded, planned: &StagePlan) {
    let Some(stage) = recorded.stages.iter_mut().find(|stage| stage.id == planned.id) else {
        return;
    };
    for step in &planned.steps {
        if !stage.steps.iter().any(|done| done.id == step.id) {
            stage.steps.push(StepRecord {
                id: step.id.clone(),
                status: Status::NotRun,
                reason: Some("the run ended before it".to_owned()),
                start_ms: 0,
                duration_ms: 0,
            });
        }
    }
}

fn checks(recorded: &mut Recorded, planned: &StagePlan) {
    for check in &planned.checks {
        if recorded
            .checks
            .iter()
            .any(|done| done.check == check.id && done.stage == planned.id)
        {
            continue;
        }
        let skipped = check.skipped.clone().or_else(|| planned.skipped.clone());
        recorded.checks.push(CheckRecord {
            check: check.id,
            stage: planned.id,
            status: if skipped.is_some() {
                Status::Skipped
            } else {
                Status::NotRun
            },
            reason: skipped.or_else(|| Some("the run ended before it".to_owned())),
            duration_ms: 0,
        });
    }
}
