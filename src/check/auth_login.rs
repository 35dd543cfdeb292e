//! `auth-login`: the real sign-in, at production's version of the authentication product. The primary check.

use super::About;
use super::pair::Pair;
use crate::config::settings::Settings;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "auth-login",
    question: "can a user sign in?",
    explain: "Signs in as auth.login says, without a browser: GET start, follow redirects to the first form with a \
              password field, fill it in with its hidden fields, submit, follow; then auth.login.expect must be \
              answered as said. On the baseline the same page is asked without a session and must not be answered \
              so. A start-up or health check cannot see what this sees: the process is healthy, only the sign-in \
              fails. What to do: the cause names the request that the authentication product refused; either the \
              product is upgraded first, or the release must not need it.",
};

/// Why it is left out, if it is.
pub fn left_out(settings: &Settings) -> Option<String> {
    match &settings.auth {
        None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
        Some(auth) if auth.login.is_none() => {
            Some("the configuration does not say how to sign in (`auth.login`)".to_owned())
        }
        Some(_) => None,
    }
}

/// What a failed sign-in left to see.
#[derive(Debug, Clone, Default)]
pub struct Failed {
    /// At which hop, and what: `GET http://web:8080/login answered 500`.
    pub message: String,
    /// Every hop.
    pub trail: Vec<String>,
    /// First fatal line of the candidate's log since the sign-in began.
    pub fatal: Option<String>,
    /// What asking the authentication dependency showed: `GET … answers 404`.
    pub asked: Vec<String>,
}

/// The candidate cannot sign in where the baseline can.
pub fn fails(stage: StageId, failed: &Failed, pair: &Pair) -> Finding {
    let auth = pair.auth();
    let help = match stage {
        StageId::Rollback => format!(
            "after a rollback nobody can sign in: plan the way back before deploying {}",
            pair.candidate()
        ),
        _ if auth.is_empty() => format!("do not deploy: {} signs in on the same mirror", pair.baseline()),
        _ => format!(
            "keep {}, or first move {auth} to a version that offers what {} asks for",
            pair.baseline(),
            pair.candidate()
        ),
    };
    let title = match stage {
        StageId::Rollback => format!("nobody can sign in after the rollback: {}", failed.message),
        _ => format!("nobody can sign in: {}", failed.message),
    };
    Finding::new(ABOUT.id, stage, Blame::Candidate, title)
        .about(pair.changed.first().map(|(service, _, _)| service.clone()))
        .because(failed.fatal.clone().or_else(|| failed.asked.first().cloned()))
        .seen(failed.trail.iter().chain(&failed.asked).cloned().collect())
        .help(help)
}
