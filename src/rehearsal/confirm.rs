//! Confirmation: flaky is not guilty. What failed on the candidate was repeated there; now the same is asked of a baseline
//! that the candidate has not touched, on fresh volumes. What that baseline shows even once is nobody's fault. A clean run
//! pays nothing for this. Then text is weighed: it counts only beside a failure in behaviour that stands.

use std::sync::Arc;

use super::course::{Course, Suspect};
use super::one_cause::of_one_cause;
use super::repeat::{Shown, Sight, Sighting, most};
use super::{REPEATS, Rehearsal};
use crate::check::facts::Ran;
use crate::check::ground::{Copy, Ground};
use crate::check::{Again, Entry, Evidence};
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::{DataEntry, Subject};
use crate::suite::Captures;

/// What an untouched baseline showed of one suspicion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    fine: usize,
    failed: usize,
    /// It was skipped, did not run, or was lost: nobody can tell.
    unclear: usize,
}

/// What becomes of a suspect.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Guilty,
    Flaky(String),
    Unclear(String),
}

impl Rehearsal<'_> {
    pub(super) async fn confirm(&self, course: &mut Course) {
        let suspects = std::mem::take(&mut course.suspects);
        let tallies = self.ask_untouched_baseline(&suspects, course).await;
        let fates: Vec<(Suspect, Fate, Tally)> = suspects
            .into_iter()
            .enumerate()
            .map(|(at, suspect)| {
                let tally = tallies.as_ref().map(|all| all[at]);
                let fate = fate(&suspect, tally.as_ref().map_err(|why| why.as_str()));
                (suspect, fate, tally.unwrap_or_default())
            })
            .collect();
        self.report(fates, course);
        self.weigh_texts(std::mem::take(&mut course.texts));
    }

    /// For each suspect what an untouched baseline showed; an error says why none came up.
    async fn ask_untouched_baseline(&self, suspects: &[Suspect], course: &mut Course) -> Result<Vec<Tally>, String> {
        let mut tallies = vec![Tally::default(); suspects.len()];
        let asks: Vec<usize> = (0..suspects.len())
            .filter(|at| suspects[*at].needs_baseline())
            .collect();
        if asks.is_empty() {
            return Ok(tallies);
        }
        self.recorder
            .note(format!("repeating {} on an untouched baseline", names(suspects, &asks)));
        if course.untouched.is_none() {
            course.untouched = Some(self.untouched().await);
        }
        let Some(ground) = course.untouched.clone().transpose()? else {
            return Ok(tallies);
        };
        self.bear_as_many(&*ground, suspects, course).await;
        let mut done: Vec<Sighting> = Vec::new();
        for at in &asks {
            let way = suspects[*at].way();
            if done.contains(&way) {
                continue;
            }
            let same: Vec<usize> = asks
                .iter()
                .copied()
                .filter(|other| suspects[*other].way() == way)
                .collect();
            self.ask(&*ground, &way, suspects, &same, &mut tallies, course).await;
            done.push(way);
        }
        Ok(tallies)
    }

    /// What has failed so far will be asked of an untouched baseline: it comes up while the run goes on.
    pub(super) async fn untouched_beside(&self) -> Result<Arc<dyn Ground>, String> {
        let words = "an untouched baseline comes up beside this mirror, to repeat there what failed";
        self.recorder.note(words.to_owned());
        self.untouched().await
    }

    async fn untouched(&self) -> Result<Arc<dyn Ground>, String> {
        self.another(Copy::Untouched).await
    }

    /// Another mirror with production's release on it; an error says why none came up.
    pub(super) async fn another(&self, copy: Copy) -> Result<Arc<dyn Ground>, String> {
        let words = |error: anyhow::Error| format!("{error:#}");
        let ground = self.grounds.prepare(copy).await.map_err(words)?;
        let brought_up = ground.start(self.start_within()).await.map_err(words)?;
        if let Some(failure) = brought_up.failure() {
            return Err(failure);
        }
        self.await_production(&*ground, &brought_up).await;
        Ok(ground)
    }

    /// One way of seeing things again, as often as makes five times with `control`.
    async fn ask(
        &self,
        ground: &dyn Ground,
        way: &Sighting,
        suspects: &[Suspect],
        same: &[usize],
        tallies: &mut [Tally],
        course: &Course,
    ) {
        let Some(Ok(before)) = course.baseline_of(way.check) else {
            return;
        };
        let Some(check) = crate::check::catalog::find(way.check) else {
            return;
        };
        let captures = self.prelude(ground, &way.again).await;
        let facts = course.facts.elsewhere();
        for _ in 0..runs(&way.again) {
            let (seen, ran) = self
                .once_more(check, way, ground, captures.clone(), (before, &facts))
                .await;
            let shown = seen.map(|seen| self.shown(check, way, before, &seen));
            for at in same {
                let finding = &suspects[*at].finding;
                let sight = shown.as_ref().map_or(Sight::Untold, |shown: &Shown| shown.of(finding));
                tallies[*at].count(sight, ran.as_ref(), finding);
            }
        }
    }

    /// What must have been written before an entry of `data` can be asked.
    async fn prelude(&self, ground: &dyn Ground, again: &Again) -> Captures {
        let before: &[DataEntry] = match again {
            Again::Tests(Subject::Data(DataEntry::VerifyWrite | DataEntry::VerifyWriteAfter)) => {
                &[DataEntry::Seed, DataEntry::Write]
            }
            Again::Tests(Subject::Data(DataEntry::Verify | DataEntry::Write)) => &[DataEntry::Seed],
            _ => &[],
        };
        let on = self.on(ground, StageId::Control);
        let mut captures = Captures::default();
        for entry in before {
            if let Some(body) = self.settings.data.body(*entry) {
                captures = on.run_with(&Subject::Data(*entry), body, captures).await.captures;
            }
        }
        captures
    }

    /// In the order in which they were seen: the first speaks for the run.
    fn report(&self, fates: Vec<(Suspect, Fate, Tally)>, course: &Course) {
        let mut guilty: Vec<(Suspect, Tally)> = Vec::new();
        for (suspect, fate, tally) in fates {
            match fate {
                Fate::Guilty => guilty.push((suspect, tally)),
                Fate::Flaky(why) => {
                    let help = "flaky: make it steady, or take it out of the gate";
                    self.excuse(suspect, Blame::Flaky, &why, help);
                }
                Fate::Unclear(why) => {
                    let help = "run again; what is compared with could not be had";
                    self.excuse(suspect, Blame::Mirror, &why, help);
                }
            }
        }
        for role in [Role::Candidate, Role::Baseline] {
            let shown = guilty.iter().filter(|(suspect, _)| suspect.role == role).collect();
            for finding in of_one_cause(self.alike(shown), &course.facts) {
                self.found(finding);
            }
        }
    }

    /// What one release showed, each check's findings about one suite as one.
    fn alike(&self, shown: Vec<&(Suspect, Tally)>) -> Vec<Finding> {
        let of = |check: &&'static dyn Entry| {
            let own = shown
                .iter()
                .filter(|(suspect, _)| suspect.check.about().id == check.about().id);
            // Signed for one by one: what is folded is alike in that, too.
            let findings = own.map(|(suspect, tally)| self.signed(with_repeats(suspect, *tally)));
            check.fold(findings.collect())
        };
        crate::check::catalog::CATALOG.iter().flat_map(of).collect()
    }

    fn excuse(&self, suspect: Suspect, blame: Blame, why: &str, help: &str) {
        let finding = suspect.finding;
        for test in &finding.tests {
            self.recorder.reclassify(finding.stage, test, Status::Error, why);
        }
        let what = finding
            .tests
            .first()
            .map(|test| format!("`{}` / `{}` failed", test.suite, test.name));
        let what = what.unwrap_or_else(|| finding.title.clone());
        let excused = Finding {
            blame,
            title: format!("{what} in {}, but {why}", finding.stage),
            help: help.to_owned(),
            ..finding
        };
        self.found(excused);
    }

    /// Law 4: text counts only beside a failure in behaviour of the same stage that stands and that nobody signed for.
    fn weigh_texts(&self, texts: Vec<Finding>) {
        for text in texts {
            let stands = |finding: &Finding| {
                let behaviour = crate::check::catalog::find(finding.check)
                    .is_some_and(|check| check.about().evidence == Evidence::Behaviour);
                behaviour && finding.stage == text.stage && finding.waived.is_none() && finding.blames_candidate()
            };
            let beside = self.recorder.findings().iter().flat_map(Finding::all).any(stands);
            self.found(if beside { as_evidence(text) } else { text });
        }
    }
}

fn as_evidence(text: Finding) -> Finding {
    Finding {
        blame: Blame::Candidate,
        severity: Severity::Error,
        ..text
    }
}

/// With `control` at least five runs; what is written has no run in control that could count.
fn runs(again: &Again) -> usize {
    use DataEntry::{VerifyWrite, VerifyWriteAfter, Write};
    match again {
        Again::Tests(Subject::Data(Write | VerifyWrite | VerifyWriteAfter)) => REPEATS + 1,
        again => most(again),
    }
}

impl Tally {
    /// `shown`: the finding was there again; `None` = the look was lost.
    fn count(&mut self, sight: Sight, ran: Option<&Ran>, finding: &Finding) {
        let tests = ran.map_or(&[][..], |ran| &ran.tests);
        let passed = |test: &crate::record::test::TestRecord| {
            test.status == Status::Passed && finding.tests.contains(&test.id())
        };
        let looked = finding.tests.is_empty() || tests.iter().any(passed);
        match sight {
            Sight::Shown => self.failed += 1,
            Sight::Fine if looked => self.fine += 1,
            Sight::Fine | Sight::Untold => self.unclear += 1,
        }
    }
}

fn names(suspects: &[Suspect], asks: &[usize]) -> String {
    let mut names: Vec<String> = Vec::new();
    for at in asks {
        let name = match suspects[*at].way().again {
            Again::Tests(subject) | Again::TestsHere(subject) => subject.to_string(),
            Again::Look | Again::Once | Again::Part(_) | Again::AsSeen => {
                crate::record::step::Step::Check(suspects[*at].check.about().id).to_string()
            }
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn fate(suspect: &Suspect, tally: Result<&Tally, &str>) -> Fate {
    if !suspect.reproduced {
        let repeats = match most(&suspect.way().again) {
            1 => "not again when it was repeated".to_owned(),
            more => format!("not again in {more} repeats"),
        };
        return Fate::Flaky(format!("{repeats}: flaky"));
    }
    if !suspect.needs_baseline() {
        return Fate::Guilty;
    }
    match tally {
        Err(why) => Fate::Unclear(format!("an untouched baseline to compare with did not come up: {why}")),
        Ok(Tally {
            failed: 0,
            unclear: 0,
            fine: 1..,
        }) => Fate::Guilty,
        Ok(Tally {
            failed: failed @ 1..,
            fine,
            unclear,
        }) => {
            let runs = failed + fine + unclear;
            Fate::Flaky(format!(
                "an untouched baseline fails it too, {failed} of {runs} times: flaky"
            ))
        }
        Ok(_) => Fate::Unclear("an untouched baseline could not tell: it skipped it, or did not run it".to_owned()),
    }
}

/// What the repeats of something guilty showed, in words.
fn with_repeats(suspect: &Suspect, tally: Tally) -> Finding {
    let mut finding = suspect.finding.clone();
    let what = match finding.tests.first() {
        Some(test) => format!("{} / {}", test.suite, test.name),
        None => crate::record::step::Step::Check(finding.check).to_string(),
    };
    let runs = tally.fine;
    finding.evidence.push(if runs > 0 {
        format!("{what}: failed again when repeated; an untouched baseline passed it {runs} of {runs} more times")
    } else {
        format!("{what}: failed again when repeated; it passed before the rollback")
    });
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::check::CheckId;

    #[test]
    fn a_look_that_could_not_tell_did_not_see_it_go_well() {
        let finding = Finding::new(CheckId::Load, StageId::Load, Blame::Candidate, "slow");
        let mut tally = Tally::default();
        for sight in [Sight::Untold, Sight::Shown, Sight::Untold, Sight::Fine] {
            tally.count(sight, None, &finding);
        }
        let wanted = Tally {
            fine: 1,
            failed: 1,
            unclear: 2,
        };
        assert_eq!(tally, wanted);
    }
}
