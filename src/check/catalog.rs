//! The catalog: every check that is built, a line each.

use super::{
    Entry, alert_lead_time, auth_capability, auth_directory, auth_exercised, auth_faults, auth_login, auth_refusals,
    auth_rotate, auth_rotation_skew, auth_tokens, auth_traffic, boot_production_env, candidate_exercised, capacity,
    control, egress, graceful_stop, load, log_difference, mirror_fidelity, rollback, runtime_constraint,
    session_survival, slowdown, start_and_restart, upgrade_in_place,
};
use crate::record::check::CheckId;

/// Every check that is built, in the order of their ids, in which they speak for the first cause.
pub static CATALOG: &[&dyn Entry] = &[
    &mirror_fidelity::MirrorFidelity,
    &control::Control,
    &runtime_constraint::RuntimeConstraint,
    &start_and_restart::StartAndRestart,
    &auth_login::AuthLogin,
    &auth_refusals::AuthRefusals,
    &session_survival::SessionSurvival,
    &boot_production_env::BootProductionEnv,
    &upgrade_in_place::UpgradeInPlace,
    &rollback::Rollback,
    &auth_exercised::AuthExercised,
    &candidate_exercised::CandidateExercised,
    &log_difference::LogDifference,
    &egress::Egress,
    &auth_tokens::AuthTokens,
    &auth_capability::AuthCapability,
    &auth_traffic::AuthTraffic,
    &auth_faults::AuthFaults,
    &auth_rotation_skew::AuthRotationSkew,
    &auth_rotate::AuthRotate,
    &auth_directory::AuthDirectory,
    &graceful_stop::GracefulStop,
    &load::Load,
    &slowdown::Slowdown,
    &capacity::Capacity,
    &alert_lead_time::AlertLeadTime,
];

/// The check of that id, if it is built.
pub fn find(id: CheckId) -> Option<&'static dyn Entry> {
    CATALOG.iter().copied().find(|check| check.about().id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::stage::StageId;

    #[test]
    fn the_catalog_has_each_check_once_in_the_order_of_the_ids() {
        let ids: Vec<CheckId> = CATALOG.iter().map(|check| check.about().id).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(ids, sorted);
    }

    #[test]
    fn each_check_says_what_it_asks_explains_itself_and_answers_somewhere() {
        for check in CATALOG {
            let about = check.about();
            assert!(about.question.ends_with('?'), "{}", about.id);
            assert!(about.explain.len() > 100, "{}", about.id);
            assert!(
                StageId::ALL.iter().any(|stage| about.answers_in(*stage)),
                "{}",
                about.id
            );
            let is_step = about.looks.iter().any(|(_, moment)| moment.is_step());
            assert_eq!(is_step, !about.step.is_empty(), "{}", about.id);
        }
    }
}
