//! Repeats: what failed is tried again, on the release that failed it, while that release is in place.

use std::collections::BTreeSet;

use super::course::{Course, Suspect};
use super::tests_run::inherited;
use super::{REPEATS, Rehearsal};
use crate::check::facts::{Facts, Ran};
use crate::check::ground::Ground;
use crate::check::{Again, Entry, Seen, Unanswered};
use crate::record::finding::{Blame, Finding, Identity, Severity};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::suite::Captures;

/// How something is seen again: one run of its tests, or one look, serves every finding that rests on it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub check: crate::record::check::CheckId,
    pub again: Again,
    pub stage: StageId,
    pub role: Role,
}

/// What one look says of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Shown,
    Fine,
    /// It could not tell, so it did not see it go well.
    Untold,
}

/// What one look says.
pub(super) struct Shown {
    findings: BTreeSet<Identity>,
    /// Of every other finding.
    otherwise: Sight,
}

impl Shown {
    pub fn of(&self, finding: &Finding) -> Sight {
        match self.findings.contains(&finding.identity()) {
            true => Sight::Shown,
            false => self.otherwise,
        }
    }
}

/// How often it is tried again on the release that showed it.
pub(super) fn most(again: &Again) -> usize {
    match again {
        Again::Once => 1,
        _ => REPEATS,
    }
}

impl Suspect {
    /// How it is seen again.
    pub(super) fn way(&self) -> Sighting {
        Sighting {
            check: self.check.about().id,
            again: self.check.again(&self.finding),
            stage: self.finding.stage,
            role: self.role,
        }
    }

    /// It is asked of an untouched baseline. What is compared with the candidate itself is asked of no other release.
    pub(super) fn needs_baseline(&self) -> bool {
        self.reproduced && !matches!(self.way().again, Again::TestsHere(_))
    }
}

impl Rehearsal<'_> {
    /// Every suspect of this stage that has not been repeated yet.
    pub(super) async fn repeat_here(&self, stage: StageId, course: &mut Course) {
        let Some(ground) = course.ground.clone() else { return };
        let open = |suspect: &&Suspect| suspect.finding.stage == stage && Some(suspect.role) == course.in_place;
        let mut ways: Vec<(&'static dyn Entry, Sighting)> = Vec::new();
        for suspect in course
            .suspects
            .iter()
            .filter(open)
            .filter(|suspect| !suspect.reproduced)
        {
            let way = suspect.way();
            if !ways.iter().any(|(_, known)| *known == way) {
                ways.push((suspect.check, way));
            }
        }
        for (check, way) in ways {
            self.is_strained_by(check, stage, course);
            self.repeat(check, &way, &*ground, course).await;
            course.lives_on(stage, &self.replicas());
        }
    }

    async fn repeat(&self, check: &'static dyn Entry, way: &Sighting, ground: &dyn Ground, course: &mut Course) {
        let Some(Ok(before)) = course.baseline_of(way.check).cloned() else {
            return;
        };
        for _ in 0..most(&way.again) {
            let mut open = course
                .suspects
                .iter()
                .filter(|suspect| !suspect.reproduced && suspect.way() == *way);
            if open.next().is_none() {
                return;
            }
            let captures = match &way.again {
                Again::Tests(subject) | Again::TestsHere(subject) => inherited(subject, course),
                Again::Look | Again::Once | Again::Part(_) | Again::AsSeen => Captures::default(),
            };
            let (seen, _) = self
                .once_more(check, way, ground, captures, (&before, &course.facts))
                .await;
            // What is lost in a repeat proves nothing.
            let Ok(seen) = seen else { continue };
            let shown = self.shown(check, way, &before, &seen);
            for suspect in course.suspects.iter_mut().filter(|suspect| suspect.way() == *way) {
                suspect.reproduced |= shown.of(&suspect.finding) == Sight::Shown;
            }
        }
    }

    /// What a look finds now; one judgement says what is shown and whether anything could be told.
    pub(super) fn shown(&self, check: &'static dyn Entry, way: &Sighting, before: &Seen, after: &Seen) -> Shown {
        let case = self.case(way.stage);
        let found = check.judge(&case, before, after);
        let doubts = |finding: &Finding| finding.blame == Blame::Mirror && finding.severity == Severity::Error;
        let is_untold =
            found.iter().any(doubts) || matches!(check.unanswered(&case, after), Some(Unanswered::NotRun(_)));
        let blaming = found.iter().filter(|finding| finding.blames_candidate());
        Shown {
            findings: blaming.map(Finding::identity).collect(),
            otherwise: if is_untold { Sight::Untold } else { Sight::Fine },
        }
    }

    /// Once more the same; of tests also how they went.
    pub(super) async fn once_more(
        &self,
        check: &'static dyn Entry,
        way: &Sighting,
        ground: &dyn Ground,
        captures: Captures,
        (before, facts): (&Seen, &Facts),
    ) -> (Result<Seen, Lost>, Option<Ran>) {
        let (Again::Tests(subject) | Again::TestsHere(subject)) = &way.again else {
            let seen = self.look_once(check, way, ground, before, facts).await;
            return (seen, None);
        };
        let ran = self.run_again(subject, way, ground, captures).await;
        let facts = facts.with_runs(vec![ran.clone()]);
        let seen = self.look_once(check, way, ground, before, &facts).await;
        (seen, Some(ran))
    }

    async fn run_again(&self, subject: &Subject, way: &Sighting, ground: &dyn Ground, captures: Captures) -> Ran {
        let on = self.on(ground, way.stage);
        let tests = match self.settings.body(subject) {
            Some(body) => on.run_with(subject, body, captures).await.tests,
            None => Vec::new(),
        };
        Ran {
            stage: way.stage,
            role: way.role,
            subject: subject.clone(),
            tests,
            too_few: None,
            cause: None,
            said: Vec::new(),
            guarded: Vec::new(),
        }
    }
}
