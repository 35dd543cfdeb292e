//! `runtime-constraint`: what the candidate says it needs is what production has.

use std::collections::BTreeMap;

use serde::Serialize;
use strum::Display;

use super::mirror_fidelity::ask;
use super::pair::Pair;
use super::{About, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::lock::Facts;
use crate::lock::probe::{self, Kind};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::version::Requirement;

static ABOUT: About = About {
    id: CheckId::RuntimeConstraint,
    question: "does production have what the candidate declares to need?",
    explain: "candidate.SERVICE.requires names facts and versions, such as postgres: \">=14\". Each is compared with \
              the lock's fact of that name, without a lock with the mirror's. What a service is (postgres, redis, \
              keycloak …) is looked for in every service, the candidate's own last; what the candidate runs on \
              (python, glibc, kernel …) in its own: on a plain server the server's, else its own image's. Operators: \
              >=, >, <=, <, =, !=; a comma means and; 16 means any 16.x; 16.4 is less than 16.10. A need that is not \
              met blocks; one that nobody can answer is inconclusive. What to do: bring production to the version \
              first, or release what does not need it.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Swapped),
    ],
    step: "",
};

/// Production has what the candidate needs.
pub struct RuntimeConstraint;

/// The facts that needs are compared with.
#[derive(Debug, Serialize)]
pub struct Has {
    whose: Whose,
    /// By service; of the candidate's image nothing where it did not come up.
    facts: BTreeMap<String, Facts>,
    came_up: bool,
}

/// Whose facts were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
enum Whose {
    /// The lock has them.
    #[serde(rename = "production")]
    #[strum(to_string = "production")]
    Production,
    /// There is no lock, and its containers were asked.
    #[serde(rename = "the mirror")]
    #[strum(to_string = "the mirror")]
    Mirror,
    /// The candidate brings them itself.
    #[serde(rename = "the candidate's image")]
    #[strum(to_string = "the candidate's image")]
    Image,
}

impl Check for RuntimeConstraint {
    type Seen = Has;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let mut candidates = given.settings.candidate.values();
        let none = candidates.all(|candidate| candidate.requires.is_empty());
        none.then(|| "the candidate declares no needs (`candidate.requires`)".to_owned())
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Has, Lost> {
        match at.role {
            Role::Baseline => Ok(of_production(at).await),
            Role::Candidate => Ok(of_image(at).await),
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Has, after: &Has) -> Vec<Finding> {
        // Production has no needs of its own that it could fail alike.
        if after.whose != Whose::Image {
            return Vec::new();
        }
        let all = needs(case).filter_map(|(service, fact, requirement)| {
            let need = |whose, found| Need {
                service,
                fact,
                requirement,
                whose,
                found,
            };
            match found_in_production(case, service, fact, before) {
                Some(found) => need(before.whose, found).judge(case.pair),
                None if after.came_up => need(after.whose, own(after, service, fact)).judge(case.pair),
                None => None,
            }
        });
        all.collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Has) -> Option<Unanswered> {
        let why = "the candidate did not come up, so its image could not be asked";
        (!after.came_up).then(|| Unanswered::NotRun(why.to_owned()))
    }
}

/// Without a lock the mirror is asked.
async fn of_production(at: &At<'_>) -> Has {
    let auth = at.case.settings.auth_services();
    let (whose, facts) = match at.case.lock.lock() {
        Some(lock) => {
            let names = lock.services.keys().chain(auth.first());
            let facts = names.map(|name| (name.clone(), lock.facts_of(name, auth)));
            (Whose::Production, facts.collect())
        }
        None => (Whose::Mirror, facts_of(at, at.case.world.services.keys()).await),
    };
    Has {
        whose,
        facts,
        came_up: true,
    }
}

async fn of_image(at: &At<'_>) -> Has {
    let came_up = at.facts.candidate_came_up();
    Has {
        whose: Whose::Image,
        facts: if came_up {
            facts_of(at, at.case.candidate.services.keys()).await
        } else {
            BTreeMap::new()
        },
        came_up,
    }
}

async fn facts_of<'a>(at: &At<'_>, services: impl Iterator<Item = &'a String>) -> BTreeMap<String, Facts> {
    let script = probe::script(&BTreeMap::new());
    let asked = services.map(|service| async {
        let facts = ask(at.ground, service, &script, &BTreeMap::new()).await;
        (service.clone(), facts.unwrap_or_default())
    });
    futures_util::future::join_all(asked).await.into_iter().collect()
}

fn needs<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    case.settings.candidate.iter().flat_map(|(service, candidate)| {
        candidate
            .requires
            .iter()
            .map(move |(fact, requirement)| (service.as_str(), fact.as_str(), requirement.as_str()))
    })
}

fn own(has: &Has, service: &str, fact: &str) -> Vec<String> {
    let own = has.facts.get(service).and_then(|facts| facts.get(fact));
    own.cloned().into_iter().collect()
}

/// What production's facts say; `None` where the candidate brings it in its own image.
fn found_in_production(case: &Case<'_>, service: &str, fact: &str, has: &Has) -> Option<Vec<String>> {
    let own = || own(has, service, fact);
    match probe::kind(fact) {
        Kind::Product => {
            let others = has.facts.iter().filter(|(name, _)| *name != service);
            let others: Vec<String> = others.filter_map(|(_, facts)| facts.get(fact).cloned()).collect();
            Some(if others.is_empty() { own() } else { others })
        }
        Kind::Machine => Some(own()),
        Kind::Runtime | Kind::System | Kind::Packages => is_plain_server(case, service).then(own),
    }
}

fn is_plain_server(case: &Case<'_>, service: &str) -> bool {
    let production = case.lock.lock().and_then(|lock| lock.services.get(service));
    production.is_some_and(|production| production.image.is_none() && production.digest.is_none())
}

/// One declared need and what is known of it.
#[derive(Debug, Clone)]
struct Need<'a> {
    /// The candidate's service.
    service: &'a str,
    /// Name of the fact.
    fact: &'a str,
    /// As declared.
    requirement: &'a str,
    whose: Whose,
    /// Every version of it that was found; two servers may stand side by side.
    found: Vec<String>,
}

impl Need<'_> {
    /// What is wrong with it, if anything is.
    fn judge(&self, pair: &Pair) -> Option<Finding> {
        let Ok(requirement) = Requirement::read(self.requirement) else {
            return Some(self.finding(
                Blame::Mirror,
                format!("`{}: {}` is no requirement", self.fact, self.requirement),
                String::new(),
            ));
        };
        if self.found.is_empty() {
            let title = format!(
                "needs {} {requirement}, and nothing tells which {} has",
                self.fact, self.whose
            );
            let help = "take a lock in which a probe answers this (`rehearsal explain lock`), or take the need out";
            return Some(self.finding(Blame::Mirror, title, help.to_owned()));
        }
        // A fact may hold several versions that are installed side by side: none of them may be too old.
        let versions = self.found.iter().flat_map(|found| found.split(", "));
        let unmet = versions
            .filter_map(|version| Some((requirement.unmet_by(version)?, version)))
            .next();
        let (condition, version) = unmet?;
        let title = format!("needs {} {condition}, {} has {version}", self.fact, self.whose);
        let help = match self.whose {
            Whose::Production | Whose::Mirror => format!(
                "do not deploy {}: bring production's {} there first",
                pair.candidate(),
                self.fact
            ),
            Whose::Image => format!("build {} on {} {condition}", pair.candidate(), self.fact),
        };
        Some(self.finding(Blame::Candidate, title, help))
    }

    fn finding(&self, blame: Blame, title: String, help: String) -> Finding {
        let declared = format!(
            "candidate.{}.requires: {}: \"{}\"",
            self.service, self.fact, self.requirement
        );
        Finding::new(ABOUT.id, StageId::Upgrade, blame, title)
            .about(self.service.to_owned())
            .seen(vec![declared])
            .help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::finding::Severity;

    fn judged(requirement: &str, found: &[&str]) -> Option<Finding> {
        let found = found.iter().map(|version| (*version).to_owned()).collect();
        Need {
            service: "web",
            fact: "postgres",
            requirement,
            whose: Whose::Production,
            found,
        }
        .judge(&Pair::default())
    }

    #[test]
    fn the_sentence_is_exact() {
        let finding = judged(">=14", &["13.16"]).expect("it is not met");
        assert_eq!(finding.title, "needs postgres >= 14, production has 13.16");
        assert_eq!((finding.severity, finding.blame), (Severity::Error, Blame::Candidate));
    }

    #[test]
    fn ten_is_more_than_four_and_the_comma_means_and() {
        assert!(judged(">=16.5", &["16.10"]).is_none());
        assert_eq!(
            judged(">=14,<17", &["17.2"]).expect("too new").title,
            "needs postgres < 17, production has 17.2"
        );
        assert_eq!(
            judged(">=14", &["9.6.24, 15.14"]).expect("one is old").title,
            "needs postgres >= 14, production has 9.6.24"
        );
    }

    #[test]
    fn what_nobody_knows_is_not_passed() {
        let finding = judged(">=14", &[]).expect("nobody knows");
        assert_eq!(finding.blame, Blame::Mirror);
        assert_eq!(
            finding.title,
            "needs postgres >= 14, and nothing tells which production has"
        );
    }
}
