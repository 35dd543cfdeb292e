//! Apart: what leaves a mirror unfit for anything else is done on one of its own, when all else is over: production's release is
//! looked at first, then the candidate in its place, on the same volumes. Nothing that was seen before can be hurt by it.

use std::sync::Arc;

use super::Rehearsal;
use super::course::{Course, Look};
use crate::check::ground::{Copy, Ground};
use crate::check::{Entry, Moment};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;

impl Rehearsal<'_> {
    /// Every check that asks for a mirror of its own.
    pub(super) async fn look_apart(&self, course: &mut Course) {
        let asked: Vec<&'static dyn Entry> = self.asked_apart().collect();
        if asked.is_empty() || course.is_over(self.after_failure, &self.recorder) || !course.facts.candidate_came_up() {
            return;
        }
        self.recorder
            .note("a mirror of its own comes up for what would spoil this one".to_owned());
        let first = (course.ground.take(), course.in_place.take());
        // What is to be repeated on the first mirror is not repeated on this one.
        let earlier = std::mem::take(&mut course.suspects);
        if let Err(lost) = self.look_at_both(course).await {
            self.nobody_looked(&asked, &lost, course);
        }
        (course.ground, course.in_place) = first;
        let later = std::mem::replace(&mut course.suspects, earlier);
        course.suspects.extend(later);
    }

    fn asked_apart(&self) -> impl Iterator<Item = &'static dyn Entry> {
        let apart = |check: &&'static dyn Entry| check.about().moment_in(StageId::Faults) == Some(Moment::Apart);
        self.asked_in(StageId::Faults).filter(apart)
    }

    async fn look_at_both(&self, course: &mut Course) -> Result<(), Lost> {
        let ground = self.another(Copy::Apart).await;
        let ground = ground.map_err(|why| lost(&format!("no mirror of its own came up: {why}")))?;
        ground.enter(StageId::Control);
        (course.ground, course.in_place) = (Some(Arc::clone(&ground)), Some(Role::Baseline));
        self.look_at(StageId::Control, Moment::Apart, course).await;
        if course.broken.is_some() {
            return Ok(());
        }
        ground.enter(StageId::Faults);
        self.candidate_comes_up(&*ground, course).await?;
        course.in_place = Some(Role::Candidate);
        self.look_at(StageId::Faults, Moment::Apart, course).await;
        self.repeat_here(StageId::Faults, course).await;
        Ok(())
    }

    /// It has come up before, on the first mirror: what keeps it from that here is nobody's doing.
    async fn candidate_comes_up(&self, ground: &dyn Ground, course: &Course) -> Result<(), Lost> {
        let within = self.settings.stages.upgrade.within.min(self.time_left());
        match self.put_in_place(ground, Role::Candidate, within, course).await {
            Outcome::Held(_) => Ok(()),
            Outcome::Broke(failure) => Err(lost(&format!(
                "the candidate did not come up on a mirror of its own: {}",
                failure.line()
            ))),
            Outcome::Lost(lost) => Err(lost),
        }
    }

    /// No look, no pass.
    fn nobody_looked(&self, asked: &[&'static dyn Entry], lost: &Lost, course: &mut Course) {
        let looked = |check: &dyn Entry, stage: StageId, looks: &[Look]| {
            let own = |look: &Look| look.check.about().id == check.about().id && look.stage == stage;
            looks.iter().any(own)
        };
        for check in asked {
            for (stage, role) in [(StageId::Control, Role::Baseline), (StageId::Faults, Role::Candidate)] {
                if looked(*check, stage, &course.looks) {
                    continue;
                }
                course.looks.push(Look {
                    check: *check,
                    stage,
                    role,
                    seen: Err(lost.clone()),
                    took_ms: 0,
                });
            }
        }
    }
}

fn lost(why: &str) -> Lost {
    Lost::new(Part::Step, why)
}
