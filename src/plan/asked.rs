//! What the configuration asks for beside what always runs.

use crate::config::settings::Settings;
use crate::record::stage::StageId;

/// The stages that the configuration asks for, in order.
pub(super) fn stages(settings: &Settings) -> impl Iterator<Item = StageId> {
    let is_asked = |id: &StageId| match id {
        StageId::Control | StageId::Upgrade | StageId::Rollback => true,
        StageId::Faults => settings.stages.faults.is_some(),
        StageId::Load => settings.stages.load.is_some(),
    };
    StageId::ALL.iter().copied().filter(is_asked)
}
