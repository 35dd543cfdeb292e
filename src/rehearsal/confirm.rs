//! Confirmation: flaky is not guilty. What failed on the candidate was repeated there; now the same tests run on a
//! baseline that the candidate has not touched, on fresh volumes, until each has had five runs with `control`. What
//! that baseline fails even once is nobody's fault. A clean run pays nothing for this.

use std::collections::{BTreeMap, BTreeSet};

use super::{Course, LOGIN, On, REPEATS, Rehearsal, Suspect};
use crate::check::{self, auth_login, boot_production_env, rollback, upgrade_in_place};
use crate::mirror::{Mirror, Setup};
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::result::{StageStatus, TestRecord, TestStatus};
use crate::record::stage::StageId;

/// What the untouched baseline showed: (suite, test) → failures of runs.
type Shown = BTreeMap<(String, String), (usize, usize)>;

/// What becomes of a suspect.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Guilty,
    Flaky(String),
    Unclear(String),
}

impl Rehearsal<'_> {
    pub(super) async fn confirm(&self, mirror: &Mirror, course: Course) {
        let suspects = course.suspects;
        if !self.agent_lives(mirror).await {
            let title = "the agent is gone: what failed meanwhile cannot be told apart from that".to_owned();
            self.found(check::control::cannot_tell(StageId::Control, title, Vec::new()));
        }
        let asks: BTreeSet<&str> = suspects
            .iter()
            .filter(|suspect| needs_baseline(suspect))
            .map(|suspect| suspect.suite.as_str())
            .collect();
        let shown = if asks.is_empty() {
            Ok(Shown::new())
        } else {
            self.ask_untouched_baseline(&asks).await
        };
        let fates: Vec<Fate> = suspects.iter().map(|suspect| fate(suspect, &shown)).collect();
        self.report(&suspects, &fates, shown.as_ref().unwrap_or(&Shown::new()));
        self.answer_checks(&suspects, &fates);
    }

    async fn ask_untouched_baseline(&self, suites: &BTreeSet<&str>) -> Result<Shown, String> {
        self.recorder.note(format!(
            "repeating {} on an untouched baseline",
            suites.iter().copied().collect::<Vec<_>>().join(", ")
        ));
        let (unheard, _) = tokio::sync::mpsc::unbounded_channel();
        let setup = Setup {
            prefix: "again-".to_owned(),
            logs: None,
            news: unheard,
            ..self.setup.clone()
        };
        let mirror = Mirror::prepare(setup).await.map_err(|error| format!("{error:#}"))?;
        let started = mirror
            .start(self.time_left())
            .await
            .map_err(|error| format!("{error:#}"))?;
        if let Some(failure) = super::control::first_failure(&started) {
            return Err(failure.line());
        }
        let all: Vec<String> = self.setup.world.services.keys().cloned().collect();
        let _answered = self
            .await_answers(
                &mirror,
                &all,
                None,
                super::answers::FIRST_ANSWER,
                super::answers::FIRST_ANSWER,
            )
            .await;
        let mut shown = Shown::new();
        for suite in suites {
            self.repeat_on(&mirror, suite, &mut shown).await;
        }
        Ok(shown)
    }

    async fn repeat_on(&self, mirror: &Mirror, suite: &str, shown: &mut Shown) {
        let on = On {
            mirror,
            stage: StageId::Control,
        };
        let mut captures = Default::default();
        if suite.starts_with("data.")
            && let Some(seed) = &self.settings.data.seed
        {
            captures = self
                .run_suite(on, "data.seed", seed, captures, &self.data_run())
                .await
                .captures;
        }
        if suite.starts_with("data.verify_write")
            && let Some(write) = &self.settings.data.write
        {
            captures = self
                .run_suite(on, "data.write", write, captures, &self.data_run())
                .await
                .captures;
        }
        // `write` and `verify_write` have no run in control that could count.
        let runs = if suite.contains("write") { REPEATS + 1 } else { REPEATS };
        for _ in 0..runs {
            let tests = match (suite, self.login(StageId::Control)) {
                (LOGIN, Some(login)) => vec![super::login_record(
                    StageId::Control,
                    &self.sign_in(mirror, login).await,
                )],
                _ => match self.body_of(suite) {
                    Some(body) => {
                        self.run_suite(on, suite, body, captures.clone(), &self.run_for(suite))
                            .await
                            .tests
                    }
                    None => Vec::new(),
                },
            };
            for test in tests {
                let count = shown.entry((suite.to_owned(), test.name.clone())).or_insert((0, 0));
                count.0 += usize::from(test.status != TestStatus::Passed);
                count.1 += 1;
            }
        }
    }

    fn report(&self, suspects: &[Suspect], fates: &[Fate], shown: &Shown) {
        // In the order in which they were seen: the first speaks for the run.
        let mut groups: Vec<Vec<&Suspect>> = Vec::new();
        for (suspect, fate) in suspects.iter().zip(fates) {
            match fate {
                Fate::Guilty => {
                    let same =
                        |group: &&mut Vec<&Suspect>| group[0].stage == suspect.stage && group[0].suite == suspect.suite;
                    match groups.iter_mut().find(same) {
                        Some(group) => group.push(suspect),
                        None => groups.push(vec![suspect]),
                    }
                }
                Fate::Flaky(why) => self.excuse(
                    suspect,
                    Blame::Flaky,
                    why,
                    "flaky: make it steady, or take it out of the gate",
                ),
                Fate::Unclear(why) => self.excuse(
                    suspect,
                    Blame::Mirror,
                    why,
                    "run again; what is compared with could not be had",
                ),
            }
        }
        for suspects in &groups {
            if let Some(mut finding) = self.guilty(suspects) {
                finding
                    .evidence
                    .extend(suspects.iter().map(|suspect| repeats(suspect, shown)));
                self.found(finding);
            }
        }
    }

    fn guilty(&self, suspects: &[&Suspect]) -> Option<Finding> {
        let first = suspects.first()?;
        let tests: Vec<&TestRecord> = suspects.iter().map(|suspect| &suspect.test).collect();
        let (cause, pair) = (first.cause.clone(), self.pair());
        match (&first.login, first.stage, first.suite.as_str()) {
            (Some(failed), stage, _) => Some(auth_login::fails(stage, failed, &pair)),
            (None, StageId::Upgrade, "data.verify") => upgrade_in_place::data_lost(&tests, cause, &pair),
            (None, StageId::Upgrade, suite) => boot_production_env::tests_fail(suite, &tests, cause, &pair),
            (None, _, suite @ ("data.write" | "data.verify_write")) => {
                rollback::write_fails(suite, &tests, cause, &pair)
            }
            (None, _, suite) => rollback::tests_fail(suite, &tests, cause, &pair),
        }
    }

    fn excuse(&self, suspect: &Suspect, blame: Blame, why: &str, help: &str) {
        let test = &suspect.test;
        self.recorder
            .reclassify(suspect.stage, &suspect.suite, &test.name, TestStatus::Error, why);
        let title = format!(
            "`{}` / `{}` failed in {}, but {why}",
            suspect.suite, test.name, suspect.stage
        );
        let finding = Finding::new(check_of(suspect), suspect.stage, blame, title)
            .about(test.service.clone())
            .because(test.message.clone())
            .seen(vec![test.detail.clone()])
            .help(help);
        self.found(finding);
    }

    /// Every check that was planned and has had its chance gets its answer.
    fn answer_checks(&self, suspects: &[Suspect], fates: &[Fate]) {
        let recorded = self.recorder.recorded(self.plan);
        let done = |stage: StageId| {
            recorded.stages.iter().any(|record| {
                record.id == stage && !matches!(record.status, StageStatus::NotRun | StageStatus::Skipped)
            })
        };
        for stage in [StageId::Upgrade, StageId::Rollback]
            .into_iter()
            .filter(|stage| done(*stage))
        {
            let Some(plan) = self.plan.stage(stage) else { continue };
            for check in plan.checks.iter().filter(|check| check.skipped.is_none()) {
                // These have been answered where they were asked.
                let open = !matches!(check.id.as_str(), "log-difference" | "auth-exercised" | "egress");
                if open {
                    let (status, reason) = self.answer(&check.id, stage, &recorded, suspects, fates);
                    self.answered(&check.id, stage, status, reason);
                }
            }
        }
    }

    fn answer(
        &self,
        id: &str,
        stage: StageId,
        recorded: &crate::record::recorded::Recorded,
        suspects: &[Suspect],
        fates: &[Fate],
    ) -> (StageStatus, Option<String>) {
        let finding = recorded
            .findings
            .iter()
            .find(|f| f.check == id && f.stage == stage && f.severity == Severity::Error);
        if let Some(finding) = finding {
            let status = if finding.blame == Blame::Candidate {
                StageStatus::Failed
            } else {
                StageStatus::Error
            };
            return (status, Some(finding.title.clone()));
        }
        let excused = suspects
            .iter()
            .zip(fates)
            .find(|(suspect, fate)| suspect.stage == stage && check_of(suspect) == id && **fate != Fate::Guilty);
        if let Some((suspect, _)) = excused {
            return (StageStatus::Error, Some(suspect.test.message.clone()));
        }
        let steps = recorded
            .stages
            .iter()
            .find(|record| record.id == stage)
            .map(|record| record.steps.as_slice())
            .unwrap_or_default();
        let missing = steps
            .iter()
            .find(|step| step.status == StageStatus::NotRun && is_asked_by(id, &step.id));
        match missing {
            Some(step) => (StageStatus::NotRun, Some(format!("step {} did not run", step.id))),
            None => (StageStatus::Passed, None),
        }
    }
}

/// What the repeats of a guilty test showed, in words.
fn repeats(suspect: &Suspect, shown: &Shown) -> String {
    let test = format!("{} / {}", suspect.suite, suspect.test.name);
    match shown.get(&(suspect.suite.clone(), suspect.test.name.clone())) {
        Some((_, runs)) => {
            format!("{test}: failed again when repeated; an untouched baseline passed it {runs} of {runs} more times")
        }
        None => format!("{test}: failed again when repeated; it passed before the rollback"),
    }
}

/// Steps without which a check has no answer.
fn is_asked_by(check: &str, step: &str) -> bool {
    match check {
        "auth-login" => step == "login",
        "boot-production-env" => step.starts_with("suite "),
        "upgrade-in-place" => step.starts_with("data.") || step.starts_with("swap "),
        "rollback" => step != "without auth" && step != "login",
        _ => false,
    }
}

/// The check that speaks of a suspect.
fn check_of(suspect: &Suspect) -> &'static str {
    match (&suspect.login, suspect.stage, suspect.suite.as_str()) {
        (Some(_), ..) => auth_login::ABOUT.id,
        (None, StageId::Upgrade, "data.verify") => upgrade_in_place::ABOUT.id,
        (None, StageId::Upgrade, _) => boot_production_env::ABOUT.id,
        (None, ..) => rollback::ABOUT.id,
    }
}

/// `verify_write` after the rollback is compared with its run on the candidate, everything else with the baseline.
fn needs_baseline(suspect: &Suspect) -> bool {
    suspect.reproduced && suspect.suite != "data.verify_write after the rollback"
}

fn fate(suspect: &Suspect, shown: &Result<Shown, String>) -> Fate {
    if !suspect.reproduced {
        return Fate::Flaky(format!("not again in {REPEATS} repeats: flaky"));
    }
    if !needs_baseline(suspect) {
        return Fate::Guilty;
    }
    let shown = match shown {
        Ok(shown) => shown,
        Err(why) => return Fate::Unclear(format!("an untouched baseline to compare with did not come up: {why}")),
    };
    match shown.get(&(suspect.suite.clone(), suspect.test.name.clone())) {
        Some((0, runs)) if *runs > 0 => Fate::Guilty,
        Some((failed, runs)) if *runs > 0 => Fate::Flaky(format!(
            "an untouched baseline fails it too, {failed} of {runs} times: flaky"
        )),
        _ => Fate::Unclear("an untouched baseline did not run it".to_owned()),
    }
}
