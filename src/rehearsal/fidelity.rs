//! Fidelity: the lock's probes, run in the mirror's containers once they are up; and the candidate's declared needs.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Course, Rehearsal};
use crate::check::mirror_fidelity as oracle;
use crate::check::runtime_constraint::{self, Need};
use crate::engine::ImageFacts;
use crate::lock::compare::{self, Mirrored, Roles};
use crate::lock::probe::{self, Kind};
use crate::lock::{Facts, Lock, OwnProbe};
use crate::mirror::Mirror;
use crate::prepare::follow;
use crate::record::finding::{Blame, Finding};
use crate::record::result::{Fidelity, StageStatus};
use crate::record::stage::StageId;
use crate::verdict;

/// Id of the step.
pub const STEP: &str = "fidelity";

/// For all probes of one container.
const LIMIT: Duration = Duration::from_secs(60);

impl Rehearsal<'_> {
    /// Asks the mirror what the lock says of production. An error says where the mirror is not production.
    pub(super) async fn compare_with_lock(&self, mirror: &Mirror, course: &mut Course) -> Result<(), String> {
        let needs = self
            .settings
            .candidate
            .values()
            .any(|candidate| !candidate.requires.is_empty());
        let planned = self.plan.has_step(StageId::Control, STEP);
        let Some(lock) = self.lock.lock().filter(|_| planned) else {
            if needs {
                course.mirrored = self.ask_all(mirror, &BTreeMap::new()).await;
            }
            return Ok(());
        };
        let step = self.recorder.step(StageId::Control, STEP);
        course.mirrored = self.ask_all(mirror, &lock.probes).await;
        let findings = self.compare(lock, course);
        let (status, reason) = verdict_of(&findings);
        for finding in findings {
            self.found(finding);
        }
        self.answered(oracle::ABOUT.id, StageId::Control, status, reason.clone());
        match (status, reason) {
            (StageStatus::Error, Some(why)) => {
                step.ended(StageStatus::Error, Some(why.clone()));
                Err(why)
            }
            _ => {
                step.passed();
                Ok(())
            }
        }
    }

    async fn ask_all(&self, mirror: &Mirror, own: &BTreeMap<String, OwnProbe>) -> BTreeMap<String, Mirrored> {
        let script = probe::script(own);
        let services = self.setup.world.services.values();
        join_all(services.map(|service| async {
            let image = self.setup.images.get(&service.image).cloned().unwrap_or_default();
            let facts = ask(mirror, &service.name, &script, own).await;
            (
                service.name.clone(),
                Mirrored {
                    image: service.image.clone(),
                    digests: known_by(image),
                    facts,
                },
            )
        }))
        .await
        .into_iter()
        .collect()
    }

    /// The table goes into the record; what it means for the verdict comes back, as somebody may have signed for it.
    fn compare(&self, lock: &Lock, course: &Course) -> Vec<Finding> {
        let baseline = self.candidates();
        let roles = Roles {
            auth: self.settings.auth_services(),
            baseline: &baseline,
        };
        let mut rows = compare::fidelity(lock, &course.mirrored, roles);
        rows.extend(self.compare_tls(lock));
        let decide = self.setup.world.services.keys().filter(|name| roles.decide(name));
        let of = |name: &String| {
            oracle::not_as_in_production(
                name,
                &rows.iter().filter(|row| row.service == *name).collect::<Vec<_>>(),
            )
        };
        let mut findings: Vec<Finding> = decide.filter_map(of).collect();
        verdict::waive(
            &mut findings,
            &self.settings.policy,
            time::OffsetDateTime::now_utc().date(),
        );
        self.tell_differences(&rows);
        self.recorder.fidelity(rows);
        findings
    }

    /// TLS under production's name, where the mirror itself answers to it.
    fn compare_tls(&self, lock: &Lock) -> Vec<Fidelity> {
        let production = lock.auth.as_ref().and_then(|auth| auth.tls.as_ref());
        let borne = self.setup.borne.as_ref();
        let ours = borne.and_then(|borne| Some((&borne.service, borne.authority.as_ref()?.form())));
        let (Some(production), Some((service, form))) = (production, ours) else {
            return Vec::new();
        };
        follow::rows(service, production, form)
    }

    /// What differs without deciding is said once, in one line.
    fn tell_differences(&self, rows: &[Fidelity]) {
        let roles = (self.settings.auth_services(), self.candidates());
        let listed = rows
            .iter()
            .filter(|row| row.state == "differs" && !roles.0.contains(&row.service) && !roles.1.contains(&row.service));
        let listed: Vec<String> = listed.map(|row| format!("{} {}", row.service, row.fact)).collect();
        if !listed.is_empty() {
            self.recorder
                .note(format!("the mirror differs from production in {}", listed.join(", ")));
        }
    }

    /// The declared needs that production answers, before the candidate is started: it may not come up for want of them.
    pub(super) fn production_meets_needs(&self, course: &Course) -> Vec<Finding> {
        let pair = self.pair();
        self.needs()
            .filter_map(|(service, fact, requirement)| {
                let (whose, found) = self.found_in_production(service, fact, course)?;
                Need {
                    service,
                    fact,
                    requirement,
                    whose,
                    found,
                }
                .judge(&pair)
            })
            .collect()
    }

    /// The declared needs that the candidate's own image answers.
    pub(super) async fn image_meets_needs(&self, mirror: &Mirror, course: &Course) -> Vec<Finding> {
        let pair = self.pair();
        let mut findings = Vec::new();
        let script = probe::script(&BTreeMap::new());
        for (service, fact, requirement) in self
            .needs()
            .filter(|(service, fact, _)| self.found_in_production(service, fact, course).is_none())
        {
            let facts = ask(mirror, service, &script, &BTreeMap::new())
                .await
                .unwrap_or_default();
            let found = facts.get(fact).cloned().into_iter().collect();
            findings.extend(
                Need {
                    service,
                    fact,
                    requirement,
                    whose: "the candidate's image",
                    found,
                }
                .judge(&pair),
            );
        }
        findings
    }

    fn needs(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.settings.candidate.iter().flat_map(|(service, candidate)| {
            candidate
                .requires
                .iter()
                .map(move |(fact, requirement)| (service.as_str(), fact.as_str(), requirement.as_str()))
        })
    }

    /// Whose facts were looked at and what they say; `None` where the candidate brings it in its own image.
    fn found_in_production(&self, service: &str, fact: &str, course: &Course) -> Option<(&'static str, Vec<String>)> {
        let (whose, facts) = self.production_facts(course);
        let own = facts.get(service).and_then(|facts| facts.get(fact)).cloned();
        match probe::kind(fact) {
            Kind::Product => {
                let others: Vec<String> = facts
                    .iter()
                    .filter(|(name, _)| *name != service)
                    .filter_map(|(_, facts)| facts.get(fact).cloned())
                    .collect();
                let found = if others.is_empty() {
                    own.into_iter().collect()
                } else {
                    others
                };
                Some((whose, found))
            }
            Kind::Machine => Some((whose, own.into_iter().collect())),
            Kind::Runtime | Kind::System | Kind::Packages => self
                .is_plain_server(service)
                .then(|| (whose, own.into_iter().collect())),
        }
    }

    fn production_facts(&self, course: &Course) -> (&'static str, BTreeMap<String, Facts>) {
        let auth = self.settings.auth_services();
        match self.lock.lock() {
            Some(lock) => {
                let names = lock.services.keys().chain(auth.first());
                (
                    "production",
                    names.map(|name| (name.clone(), lock.facts_of(name, auth))).collect(),
                )
            }
            None => {
                let facts = course
                    .mirrored
                    .iter()
                    .map(|(name, mirrored)| (name.clone(), mirrored.facts.clone().unwrap_or_default()));
                ("the mirror", facts.collect())
            }
        }
    }

    fn is_plain_server(&self, service: &str) -> bool {
        let production = self.lock.lock().and_then(|lock| lock.services.get(service));
        production.is_some_and(|production| production.image.is_none() && production.digest.is_none())
    }

    /// Records the check on the candidate's needs. Whether all could be answered is known once the candidate was tried.
    pub(super) fn needs_answered(&self, findings: &[Finding], all_asked: bool) {
        let first = findings.iter().min_by_key(|finding| finding.blame != Blame::Candidate);
        let (status, reason) = match first {
            Some(finding) if finding.blame == Blame::Candidate => (StageStatus::Failed, Some(finding.title.clone())),
            Some(finding) => (StageStatus::Error, Some(finding.title.clone())),
            None if all_asked => (StageStatus::Passed, None),
            None => (
                StageStatus::NotRun,
                Some("the candidate did not come up, so its image could not be asked".to_owned()),
            ),
        };
        self.answered(runtime_constraint::ABOUT.id, StageId::Upgrade, status, reason);
    }
}

/// Every digest by which an image may be known: registries', its own id.
fn known_by(image: ImageFacts) -> Vec<String> {
    let others = image.repo_digests.iter().filter_map(|known| known.split_once('@'));
    let others = others.map(|(_, digest)| digest.to_owned()).collect::<Vec<_>>();
    [image.digest, image.id].into_iter().chain(others).collect()
}

/// What one container says; `None` where it cannot be asked: it has ended, or has no shell.
async fn ask(mirror: &Mirror, service: &str, script: &str, own: &BTreeMap<String, OwnProbe>) -> Option<Facts> {
    let command = ["sh", "-c", script].map(str::to_owned);
    let done = tokio::time::timeout(LIMIT, mirror.exec(service, &command, None)).await;
    let output = done.ok()?.ok()?;
    (output.exit == 0).then(|| probe::answers(&output.stdout, own))
}

/// Signed for is answered, and not as it should be.
fn verdict_of(findings: &[Finding]) -> (StageStatus, Option<String>) {
    let open = findings.iter().find(|finding| finding.waived.is_none());
    match (open, findings.first()) {
        (Some(finding), _) => (StageStatus::Error, Some(finding.title.clone())),
        (None, Some(signed)) => (StageStatus::Failed, Some(signed.title.clone())),
        (None, None) => (StageStatus::Passed, None),
    }
}
