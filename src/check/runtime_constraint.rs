//! `runtime-constraint`: what the candidate says it needs is what production has.

use super::About;
use super::pair::Pair;
use crate::config::settings::Settings;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;
use crate::text::version::Requirement;

/// What this check is.
pub const ABOUT: About = About {
    id: "runtime-constraint",
    question: "does production have what the candidate declares to need?",
    explain: "candidate.SERVICE.requires names facts and versions, such as postgres: \">=14\". Each is compared with \
              the lock's fact of that name, without a lock with the mirror's. What a service is (postgres, redis, \
              keycloak …) is looked for in every service, the candidate's own last; what the candidate runs on \
              (python, glibc, kernel …) in its own: on a plain server the server's, else its own image's. Operators: \
              >=, >, <=, <, =, !=; a comma means and; 16 means any 16.x; 16.4 is less than 16.10. A need that is not \
              met blocks; one that nobody can answer is inconclusive. What to do: bring production to the version \
              first, or release what does not need it.",
};

/// Why it is left out, if it is.
pub fn left_out(settings: &Settings) -> Option<String> {
    let none = settings
        .candidate
        .values()
        .all(|candidate| candidate.requires.is_empty());
    none.then(|| "the candidate declares no needs (`candidate.requires`)".to_owned())
}

/// One declared need and what is known of it.
#[derive(Debug, Clone)]
pub struct Need<'a> {
    /// The candidate's service.
    pub service: &'a str,
    /// Name of the fact.
    pub fact: &'a str,
    /// As declared.
    pub requirement: &'a str,
    /// Whose facts were looked at: `production`, `the mirror`, `the candidate's image`.
    pub whose: &'static str,
    /// Every version of it that was found; two servers may stand side by side.
    pub found: Vec<String>,
}

impl Need<'_> {
    /// What is wrong with it, if anything is.
    pub fn judge(&self, pair: &Pair) -> Option<Finding> {
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
            "production" | "the mirror" => format!(
                "do not deploy {}: bring production's {} there first",
                pair.candidate(),
                self.fact
            ),
            _ => format!("build {} on {} {condition}", pair.candidate(), self.fact),
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
            whose: "production",
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
