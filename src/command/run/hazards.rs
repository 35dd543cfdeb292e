//! What this job's workflow does with the exit code.

use crate::context::Context;
use crate::publish::github::workflow::Workflow;
use crate::report::github::Mistake;

/// What lets the exit code of this job get lost.
pub(super) fn of_job(context: &Context) -> Vec<Mistake> {
    let Some((workflow, job)) = Workflow::of_job(context).zip(context.variable("GITHUB_JOB")) else {
        return Vec::new();
    };
    let gates = workflow.gates();
    let found = gates
        .iter()
        .filter(|gate| gate.id == job)
        .flat_map(|gate| gate.hazards());
    found
        .filter(|found| found.hazard.loses_exit_code())
        .map(|found| found.mistake())
        .collect()
}
