//! Who tried to get out: what the agent heard, told apart by whose container it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::notes::AskedAnswer;
use crate::record::release::Role;

/// Whose container it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub service: String,
    pub role: Role,
}

/// Names that nobody in the mirror bears and that were asked for, and addresses outside that were sought with their ports:
/// service → names, in the order of asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// By the candidate's containers.
    pub candidate: BTreeMap<String, Vec<String>>,
    /// By all others: production's releases.
    pub production: BTreeMap<String, Vec<String>>,
    /// By containers that the engine's DNS does not name.
    pub unknown: Vec<String>,
    /// Further questions, which were too many to remember.
    pub more: u64,
    /// Why nothing can be said on this engine.
    pub unheard: Option<String>,
    /// Where raw addresses are not heard, and why, one sentence each.
    pub raw_unheard: Vec<String>,
}

/// By asker; a name that the mirror bears is not outside.
pub(super) fn sorted(told: AskedAnswer, made: &BTreeMap<String, Origin>, own: &BTreeSet<String>) -> Attempts {
    let mut attempts = Attempts {
        more: told.more,
        unheard: told.unheard,
        ..Attempts::default()
    };
    // A service that is stopped has no name on the engine for that while: whoever asks for it stays inside.
    for asked in told.asked.iter().filter(|asked| !own.contains(&asked.name)) {
        let names = match origin(&asked.by, made) {
            Some(Origin {
                service,
                role: Role::Candidate,
            }) => attempts.candidate.entry(service.clone()).or_default(),
            Some(Origin { service, .. }) => attempts.production.entry(service.clone()).or_default(),
            // The agent's own questions and those of the tests' containers are the suites'.
            None if asked.by.starts_with("rehearsal-") => continue,
            None => &mut attempts.unknown,
        };
        if !names.contains(&asked.name) {
            names.push(asked.name.clone());
        }
    }
    attempts
}

/// The engine's DNS says `CONTAINER.NETWORK`; both may have dots.
pub(crate) fn origin<'m>(asker: &str, made: &'m BTreeMap<String, Origin>) -> Option<&'m Origin> {
    let is = |name: &str| {
        asker
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut all = made.iter().filter(|(name, _)| is(name));
    all.next_back().map(|(_, origin)| origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::notes::Asked;

    fn asked(by: &str, name: &str) -> Asked {
        Asked {
            by: by.to_owned(),
            from: [198, 18, 1, 2].into(),
            name: name.to_owned(),
            times: 1,
        }
    }

    fn made() -> BTreeMap<String, Origin> {
        let origin = |service: &str, role| Origin {
            service: service.to_owned(),
            role,
        };
        [
            ("rehearsal-r-web-1".to_owned(), origin("web", Role::Baseline)),
            ("rehearsal-r-web-10".to_owned(), origin("web", Role::Candidate)),
            (
                "rehearsal-r-web.internal-2".to_owned(),
                origin("web.internal", Role::Baseline),
            ),
        ]
        .into()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_attempt_is_the_containers_that_made_it() {
        let told = AskedAnswer {
            asked: vec![
                asked("rehearsal-r-web-1.rehearsal-r-front", "old.example.com"),
                asked("rehearsal-r-web-10.rehearsal-r-front", "new.example.com"),
                asked("rehearsal-r-web-10.rehearsal-r-back", "new.example.com"),
                asked("rehearsal-r-web.internal-2.rehearsal-r-front", "dotted.example.com"),
                asked("rehearsal-r-test-4.rehearsal-r-front", "suite.example.com"),
                asked("", "lost.example.com"),
            ],
            ..AskedAnswer::default()
        };
        let attempts = sorted(told, &made(), &BTreeSet::new());
        assert_eq!(
            attempts.candidate,
            [("web".to_owned(), names(&["new.example.com"]))].into()
        );
        let of_production = [
            ("web".to_owned(), names(&["old.example.com"])),
            ("web.internal".to_owned(), names(&["dotted.example.com"])),
        ];
        assert_eq!(attempts.production, of_production.into());
        assert_eq!(attempts.unknown, ["lost.example.com"]);
    }

    #[test]
    fn a_service_that_is_stopped_is_not_outside() {
        let told = AskedAnswer {
            asked: vec![asked("rehearsal-r-web-10.rehearsal-r-front", "idp")],
            ..AskedAnswer::default()
        };
        let attempts = sorted(told, &made(), &["idp".to_owned()].into());
        assert_eq!(attempts, Attempts::default());
    }
}
