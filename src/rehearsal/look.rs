//! Looking: every check at its moments, on the release that stands there. What it sees is written down as evidence; what
//! it makes of it is a finding, or a suspicion that must be confirmed.

use std::collections::BTreeSet;
use std::time::Instant;

use super::course::{Course, Look, Suspect};
use super::driver::OnGround;
use super::repeat::Sighting;
use super::{Next, Rehearsal};
use crate::check::catalog::find;
use crate::check::facts::Facts;
use crate::check::ground::Ground;
use crate::check::spans::Span;
use crate::check::{Again, At, Entry, Evidence, Moment, Seen};
use crate::plan::Planned;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::text::units::millis;

/// What a look came to, for the step that it is.
enum Judged {
    /// Nothing is to be said of it.
    Fine,
    /// It is not as it must be, in words.
    Found(String),
    /// It is not, and somebody has signed for all of it.
    Signed,
    /// It cannot be told, and why.
    Untold(String),
}

impl Rehearsal<'_> {
    /// A check whose look is a step of the plan.
    pub(super) async fn look_as_step(
        &self,
        stage: StageId,
        planned: &Planned,
        id: CheckId,
        course: &mut Course,
    ) -> Next {
        let (Some(check), Some(ground)) = (find(id), course.ground.clone()) else {
            return Next::On;
        };
        let step = self.recorder.step(stage, &planned.id);
        self.is_strained_by(check, stage, course);
        let looked = self.look(check, &*ground, stage, planned.on, course).await;
        course.lives_on(stage, &self.replicas());
        if let (Err(lost), StageId::Control) = (&looked, stage) {
            course.broken.get_or_insert(lost.to_string());
        }
        let (status, reason) = match self.judge(check, stage, planned.on, looked, course) {
            Judged::Fine | Judged::Signed => (Status::Passed, None),
            Judged::Untold(why) => (Status::Error, Some(why)),
            Judged::Found(title) if stage != StageId::Control && has_comparison(check) => (Status::Failed, Some(title)),
            Judged::Found(title) => (Status::Error, Some(title)),
        };
        step.ended(status, reason);
        let ends = course.broken.is_some() && check.about().moment_in(stage) == Some(Moment::Up);
        if ends { Next::End } else { Next::On }
    }

    /// What ends while a check makes failures is that check's, or nobody's.
    pub(super) fn is_strained_by(&self, check: &'static dyn Entry, stage: StageId, course: &mut Course) {
        if let Some(role) = course.in_place.filter(|_| check.strains(&self.case(stage))) {
            course.begins(Span::strained(stage, role), &self.replicas());
        }
    }

    /// Judges what the release in place has shown in this stage so far.
    pub(super) async fn settle(&self, stage: StageId, course: &mut Course) {
        self.look_at(stage, Moment::Tried, course).await;
        if stage == StageId::Control && course.broken.is_none() {
            self.look_at(stage, Moment::ForComparison, course).await;
            self.baseline_traffic(course).await;
            self.look_at(stage, Moment::Probed, course).await;
        }
        self.repeat_here(stage, course).await;
    }

    /// Every check of that moment looks.
    pub(super) async fn look_at(&self, stage: StageId, moment: Moment, course: &mut Course) {
        let Some(ground) = course.ground.clone() else { return };
        // Where nothing stands, what was to stand there is looked at: it did not come up.
        let Some(role) = course.in_place.or_else(|| last_try(stage, course)) else {
            return;
        };
        let here = |check: &&'static dyn Entry| check.about().moment_in(stage) == Some(moment);
        let asked: Vec<&'static dyn Entry> = match moment {
            Moment::ForComparison | Moment::Probed => self.compared_later().filter(here).collect(),
            _ => self.asked_in(stage).filter(here).collect(),
        };
        for check in asked {
            let looked = self.look(check, &*ground, stage, role, course).await;
            self.judge(check, stage, role, looked, course);
        }
    }

    /// Every check that looks at how the release has stopped that gave way. Production's stop is what the candidate's is
    /// compared with.
    pub(super) async fn look_stopping(&self, stage: StageId, left: Role, course: &mut Course) {
        let Some(ground) = course.ground.clone() else { return };
        let here = |check: &&'static dyn Entry| check.about().moment_in(stage) == Some(Moment::Stopping);
        for check in self.compared_later().filter(here).collect::<Vec<_>>() {
            let looked = self.look(check, &*ground, stage, left, course).await;
            if left == Role::Candidate {
                self.judge(check, stage, left, looked, course);
            }
        }
    }

    /// Checks that compare with production as it was in `control`.
    fn compared_later(&self) -> impl Iterator<Item = &'static dyn Entry> {
        let later = |check: &&'static dyn Entry| {
            let mut stages = StageId::ALL.iter();
            stages.any(|stage| self.plan.asks(check.about().id, *stage))
        };
        crate::check::catalog::CATALOG.iter().copied().filter(later)
    }

    /// When all stages are over, each release is looked at once more by those who ask for it.
    pub(super) async fn look_when_over(&self, course: &mut Course) {
        let Some(ground) = course.ground.clone() else { return };
        if !ground.agent_lives().await {
            let title = "the agent is gone: what failed meanwhile cannot be told apart from that".to_owned();
            self.found(crate::check::trouble::cannot_tell(StageId::Control, title, Vec::new()));
        }
        let begun = course.facts.swaps.keys().copied().collect::<Vec<_>>();
        for stage in begun {
            let here = |check: &&'static dyn Entry| check.about().moment_in(stage) == Some(Moment::Over);
            for check in self.asked_in(stage).filter(here).collect::<Vec<_>>() {
                self.compare_when_over(check, &*ground, stage, course).await;
            }
        }
    }

    async fn compare_when_over(
        &self,
        check: &'static dyn Entry,
        ground: &dyn Ground,
        stage: StageId,
        course: &mut Course,
    ) {
        let before = self.look(check, ground, stage, Role::Baseline, course).await;
        let after = self.look(check, ground, stage, Role::Candidate, course).await;
        let (Ok(before), Ok(after)) = (before, after) else {
            return;
        };
        self.remark(check, stage, Some(&before), &after);
        for finding in check.judge(&self.case(stage), &before, &after) {
            self.found(finding);
        }
    }

    /// One look; its evidence is on disk when this returns.
    async fn look(
        &self,
        check: &'static dyn Entry,
        ground: &dyn Ground,
        stage: StageId,
        role: Role,
        course: &mut Course,
    ) -> Result<Seen, Lost> {
        let begun = Instant::now();
        let driver = self.on(ground, stage);
        let before = course.baseline_of(check.about().id);
        let before = before.and_then(|seen| seen.as_ref().ok());
        let looked = check.look(&self.at(&driver, role, before, &course.facts, None)).await;
        driver.leave(role, &mut course.facts);
        if let Ok(seen) = &looked {
            let name = format!("{}-{stage}-{role}.json", check.about().id);
            self.recorder.evidence(&name, &seen.evidence);
        }
        course.looks.push(Look {
            check,
            stage,
            role,
            seen: looked.clone(),
            took_ms: millis(begun.elapsed()),
        });
        looked
    }

    /// A look that leaves nothing behind.
    pub(super) async fn look_once(
        &self,
        check: &'static dyn Entry,
        way: &Sighting,
        ground: &dyn Ground,
        before: &Seen,
        facts: &Facts,
    ) -> Result<Seen, Lost> {
        let part = match &way.again {
            Again::Part(part) => Some(part.as_str()),
            Again::AsSeen | Again::Look | Again::Once | Again::Tests(_) | Again::TestsHere(_) => None,
        };
        let driver = self.on(ground, way.stage);
        check.look(&self.at(&driver, way.role, Some(before), facts, part)).await
    }

    fn at<'a>(
        &'a self,
        driver: &'a OnGround<'a>,
        role: Role,
        before: Option<&'a Seen>,
        facts: &'a Facts,
        part: Option<&'a str>,
    ) -> At<'a> {
        At {
            case: self.case(driver.stage),
            ground: driver.ground,
            driver,
            role,
            facts,
            before,
            part,
            ca: &self.ca,
        }
    }

    /// What a look means. In `control`, and of checks that do not look there, it is said at once; elsewhere it is what the
    /// candidate shows and the baseline did not.
    fn judge(
        &self,
        check: &'static dyn Entry,
        stage: StageId,
        role: Role,
        looked: Result<Seen, Lost>,
        course: &mut Course,
    ) -> Judged {
        let seen = match looked {
            Ok(seen) => seen,
            Err(lost) => return Judged::Untold(lost.to_string()),
        };
        let production = match stage {
            StageId::Control => None,
            _ => course.baseline_of(check.about().id),
        };
        let before = production.and_then(|seen| seen.as_ref().ok());
        self.remark(check, stage, before, &seen);
        if stage == StageId::Control || !has_comparison(check) {
            return self.doubt(check, stage, &seen, course);
        }
        let Some(before) = before else {
            let lost = production.and_then(|seen| seen.as_ref().err());
            let why = course.is_compared_with_nothing(check.about().id, stage, lost.cloned());
            return Judged::Untold(why);
        };
        let findings = self.compared(check, stage, before, &seen);
        let title = findings
            .iter()
            .find(|finding| finding.blames_candidate())
            .map(|finding| finding.title.clone());
        for finding in findings {
            self.take(check, role, finding, course);
        }
        title.map_or(Judged::Fine, Judged::Found)
    }

    fn remark(&self, check: &'static dyn Entry, stage: StageId, before: Option<&Seen>, seen: &Seen) {
        let rows = check.rows(seen);
        if !rows.is_empty() {
            self.recorder.fidelity(rows);
        }
        self.recorder.calls(check.calls(&self.case(stage), seen));
        self.recorder.load(check.load(&self.case(stage), before, seen));
        self.recorder.slowdowns(check.slowdowns(&self.case(stage), seen));
        self.recorder.capacity(check.capacity(&self.case(stage), seen));
        self.recorder.alerts(check.alerts(&self.case(stage), seen));
        for note in check.notes(&self.case(stage), seen) {
            self.recorder.note(note);
        }
    }

    fn doubt(&self, check: &'static dyn Entry, stage: StageId, seen: &Seen, course: &mut Course) -> Judged {
        let doubts = check.doubts(&self.case(stage), seen);
        let found: Vec<Finding> = doubts.into_iter().map(|doubt| self.found(doubt)).collect();
        let open = found.iter().find(|finding| finding.waived.is_none()).cloned();
        if let (Some(open), StageId::Control) = (&open, stage) {
            course.broken.get_or_insert(open.title.clone());
        }
        match (found.into_iter().next(), open) {
            (None, _) => Judged::Fine,
            (Some(_), None) => Judged::Signed,
            (Some(first), Some(_)) => Judged::Found(first.title),
        }
    }

    /// Law 3: what the baseline shows, too, is nobody's doing.
    pub(super) fn compared(
        &self,
        check: &'static dyn Entry,
        stage: StageId,
        before: &Seen,
        after: &Seen,
    ) -> Vec<Finding> {
        let case = self.case(stage);
        let always: BTreeSet<_> = check
            .judge(&case, before, before)
            .iter()
            .map(Finding::identity)
            .collect();
        let mut findings = check.judge(&case, before, after);
        for finding in findings
            .iter_mut()
            .filter(|finding| always.contains(&finding.identity()))
        {
            if finding.blame == Blame::Candidate {
                finding.blame = Blame::PreExisting;
            }
        }
        findings
    }

    /// A finding on its way: text waits for behaviour, what can be repeated is repeated, the rest is said at once.
    fn take(&self, check: &'static dyn Entry, role: Role, finding: Finding, course: &mut Course) {
        let known = |suspect: &Suspect| suspect.finding.identity() == finding.identity();
        if course.suspects.iter().any(known) {
            return;
        }
        if check.about().evidence == Evidence::Text {
            course.texts.push(finding);
        } else if finding.blames_candidate() && check.again(&finding) != Again::AsSeen {
            course.suspects.push(Suspect {
                check,
                role,
                finding,
                reproduced: false,
            });
        } else {
            self.found(finding);
        }
    }
}

/// It looks at production, and so at a difference later.
fn has_comparison(check: &'static dyn Entry) -> bool {
    check.about().compares()
}

/// The release that was to take the place in this stage, and did not come up.
fn last_try(stage: StageId, course: &Course) -> Option<Role> {
    course.facts.swaps.get(&stage)?;
    match stage {
        StageId::Control | StageId::Faults | StageId::Load => None,
        StageId::Upgrade => Some(Role::Candidate),
        StageId::Rollback => Some(Role::Baseline),
    }
}
