//! The built-in checks: one file each, one stable id, one oracle, one help text. They look at facts that the stages
//! gathered and return findings; none of them speaks to an engine.

use crate::config::settings::{Rollback, Settings};
use crate::record::stage::StageId;

pub mod auth_exercised;
pub mod auth_login;
pub mod boot_production_env;
pub mod control;
pub mod egress;
pub mod log_difference;
pub mod mirror_fidelity;
pub mod pair;
pub mod rollback;
pub mod runtime_constraint;
pub mod start_and_restart;
pub mod traffic;
pub mod upgrade_in_place;

/// What a check is, for `rehearsal explain` and for reports.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Stable id.
    pub id: &'static str,
    /// The question it answers.
    pub question: &'static str,
    /// What it does, what makes it fire, what to do then.
    pub explain: &'static str,
}

/// Every check that is built, in the order in which they speak for the first cause.
pub const ALL: [About; 11] = [
    mirror_fidelity::ABOUT,
    control::ABOUT,
    runtime_constraint::ABOUT,
    start_and_restart::ABOUT,
    auth_login::ABOUT,
    boot_production_env::ABOUT,
    upgrade_in_place::ABOUT,
    rollback::ABOUT,
    auth_exercised::ABOUT,
    log_difference::ABOUT,
    egress::ABOUT,
];

/// Whether this is the id of a check.
pub fn is_known(id: &str) -> bool {
    ALL.iter().any(|about| about.id == id)
}

/// Place in the order of first causes; unknown ids come last.
pub fn rank(id: &str) -> usize {
    ALL.iter().position(|about| about.id == id).unwrap_or(ALL.len())
}

/// The checks that are answered in a stage, and why one of them is left out.
pub fn of_stage(stage: StageId, settings: &Settings) -> Vec<(&'static str, Option<String>)> {
    let login = (auth_login::ABOUT.id, auth_login::left_out(settings));
    match stage {
        StageId::Control => vec![
            (mirror_fidelity::ABOUT.id, mirror_fidelity::left_out(settings)),
            (control::ABOUT.id, None),
            login,
        ],
        StageId::Upgrade => vec![
            (runtime_constraint::ABOUT.id, runtime_constraint::left_out(settings)),
            (boot_production_env::ABOUT.id, None),
            (start_and_restart::ABOUT.id, None),
            login,
            (upgrade_in_place::ABOUT.id, None),
            (log_difference::ABOUT.id, None),
            (egress::ABOUT.id, None),
        ],
        StageId::Rollback => {
            let forward = matches!(settings.stages.rollback, Rollback::ForwardOnly(_));
            let exercised = auth_exercised::left_out(settings)
                .or_else(|| forward.then(|| "there is no rollback after which it could be asked".to_owned()));
            vec![(rollback::ABOUT.id, None), login, (auth_exercised::ABOUT.id, exercised)]
        }
    }
}
