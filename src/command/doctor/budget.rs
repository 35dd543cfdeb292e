//! What a run will need, beside what the engine's machine has.

use std::path::Path;

use super::{Diagnosis, Health, Whose};
use crate::command::last::Last;
use crate::engine::Engine;
use crate::engine::room::Room;
use crate::prepare::Prepared;
use crate::prepare::budget::{Budget, Short};
use crate::record::image::Had;
use crate::text::units::bytes;

impl Diagnosis {
    /// Of production alone: what the release changes is not asked for here. `out` is where runs leave their records.
    pub(super) async fn budget(&mut self, prepared: &Prepared, engine: Option<&Engine>, out: &Path) {
        let mut budget = Budget::of(prepared);
        if let Some(engine) = engine {
            leave_what_is_there(&mut budget, engine).await;
        }
        for (about, line) in budget.lines() {
            self.add(about, Health::Fine, line);
        }
        self.add("time", Health::Fine, Last::of(out).words(prepared.settings.timeout));
        let Some(engine) = engine else { return };
        match engine.room().await {
            Ok(room) => self.room(&budget, &room),
            Err(error) => self.add("room", Health::Note, format!("could not be told: {error:#}")),
        }
    }

    fn room(&mut self, budget: &Budget, room: &Room) {
        match budget.short(room) {
            Some(short) => self.wrong("room", short.to_string(), Whose::Machine, Short::WAY_OUT),
            None => self.add("room", Health::Fine, words(room)),
        }
        for tight in budget.tight(room) {
            self.add("room", Health::Note, tight);
        }
    }
}

/// What the engine has under a name is not pulled or built, but where that is asked for each time.
async fn leave_what_is_there(budget: &mut Budget, engine: &Engine) {
    let mut lacking = Vec::new();
    for image in std::mem::take(&mut budget.images) {
        let once = matches!(image.had, Had::IfMissing | Had::BuildIfMissing | Had::Never);
        let there = engine.image(&image.image).await.is_ok_and(|facts| facts.is_some());
        if !(once && there && image.digest.is_none()) {
            lacking.push(image);
        }
    }
    budget.images = lacking;
}

fn words(room: &Room) -> String {
    let say = |told: &Result<u64, String>, what: &str| match told {
        Ok(count) => format!("{} {what}", bytes(*count)),
        Err(why) => why.clone(),
    };
    let processors = match &room.processors {
        Ok(count) => format!("{count} processors"),
        Err(why) => why.clone(),
    };
    let (memory, disk) = (say(&room.memory, "of memory"), say(&room.disk, "of disk free"));
    format!("the engine's machine has {memory}, {processors}, {disk}")
}
