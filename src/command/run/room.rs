//! Whether the engine's machine can hold the run, asked before anything is pulled, built or started.

use super::Run;
use crate::check::trouble;
use crate::engine::Engine;
use crate::prepare::budget::Budget;
use crate::rehearsal::recorder::Recorder;

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    /// As far as it can be told.
    Yes,
    /// Too little of something, which has been recorded.
    No,
}

impl Run<'_> {
    pub(super) async fn fits(&self, engine: &Engine, recorder: &Recorder) -> Fits {
        let room = match engine.room().await {
            Ok(room) => room,
            Err(error) => {
                recorder.note(format!("what the engine's machine has could not be told: {error:#}"));
                return Fits::Yes;
            }
        };
        let budget = Budget::of(&self.prepared);
        budget.tight(&room).into_iter().for_each(|note| recorder.note(note));
        let short = budget.short(&room);
        for what in &short {
            recorder.finding(trouble::too_little(&what.to_string(), what.way_out()));
        }
        if short.is_empty() { Fits::Yes } else { Fits::No }
    }
}
