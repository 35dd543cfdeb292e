//! Whether the engine's machine can hold the run, asked before anything is pulled, built or started.

use std::ops::ControlFlow;

use super::Run;
use crate::check::trouble;
use crate::engine::Engine;
use crate::prepare::budget::{Budget, Short};
use crate::rehearsal::recorder::Recorder;

impl Run<'_> {
    /// Goes on where there is room, as far as that can be told; else what there is too little of has been recorded.
    pub(super) async fn fits(&self, engine: &Engine, recorder: &Recorder) -> ControlFlow<()> {
        let room = match engine.room().await {
            Ok(room) => room,
            Err(error) => {
                recorder.note(format!("what the engine's machine has could not be told: {error:#}"));
                return ControlFlow::Continue(());
            }
        };
        let budget = Budget::of(&self.prepared);
        budget.tight(&room).into_iter().for_each(|note| recorder.note(note));
        match budget.short(&room) {
            None => ControlFlow::Continue(()),
            Some(short) => {
                recorder.finding(trouble::too_little(&short.to_string(), Short::WAY_OUT));
                ControlFlow::Break(())
            }
        }
    }
}
