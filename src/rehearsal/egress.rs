//! What the candidate tried to reach, once both releases have run.

use super::Rehearsal;
use crate::check::egress as oracle;
use crate::mirror::Mirror;
use crate::record::result::StageStatus;
use crate::record::stage::StageId;

/// The stage in which the candidate runs.
const STAGE: StageId = StageId::Upgrade;

impl Rehearsal<'_> {
    /// Compares at the end: the baseline may ask as late as after the rollback.
    pub(super) async fn compare_attempts(&self, mirror: &Mirror) {
        let id = oracle::ABOUT.id;
        let attempts = match mirror.attempts().await {
            Ok(attempts) => attempts,
            Err(error) => return self.answered(id, STAGE, StageStatus::Error, Some(format!("{error:#}"))),
        };
        if let Some(why) = &attempts.unheard {
            let reason = format!("this engine does not hand questions for names outside on to the agent: {why}");
            self.recorder.note(format!("`{id}` was skipped: {reason}"));
            attempts
                .raw_unheard
                .into_iter()
                .for_each(|note| self.recorder.note(note));
            return self.answered(id, STAGE, StageStatus::Skipped, Some(reason));
        }
        oracle::notes(&attempts)
            .into_iter()
            .for_each(|note| self.recorder.note(note));
        if !self.asks(id, STAGE) {
            return;
        }
        let found = oracle::findings(&attempts);
        let reason = found.first().map(|finding| finding.title.clone());
        self.answered(id, STAGE, StageStatus::Passed, reason);
        found.into_iter().for_each(|finding| self.found(finding));
    }
}
