//! `auth-exercised`: with the authentication dependency stopped, something must notice.

use super::About;
use crate::config::settings::Settings;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "auth-exercised",
    question: "do the suites and the sign-in notice when the authentication dependency is gone?",
    explain: "At the end, with the baseline back in place, the services of auth.service are stopped and the sign-in \
              and the suites run until the first of them fails. If everything stays green, nothing in this rehearsal \
              tests authentication, so no verdict about it can be given: inconclusive. What to do: describe the \
              sign-in in auth.login, or add a suite step that needs the authentication product.",
};

/// Why it is left out, if it is.
pub fn left_out(settings: &Settings) -> Option<String> {
    match &settings.auth {
        None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
        Some(auth)
            if auth
                .services
                .iter()
                .any(|service| settings.candidate.contains_key(service)) =>
        {
            Some(
                "the authentication dependency is the candidate itself: every check of this run is about it".to_owned(),
            )
        }
        Some(_) => None,
    }
}

/// Everything stayed green although the dependency was stopped.
pub fn not_noticed(services: &[String], tests: usize) -> Finding {
    let title = format!(
        "nothing notices that {} is stopped: {tests} tests stay green without it",
        services.join(", ")
    );
    Finding::new(ABOUT.id, StageId::Rollback, Blame::Mirror, title)
        .about(services.first().cloned())
        .help("the suites do not test authentication: describe auth.login, or add a step that signs in")
}
