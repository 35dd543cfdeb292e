//! `auth-login`: the real sign-in, at production's version of the authentication product. The primary check.

use serde::Serialize;

use super::{About, Again, At, Case, Check, Evidence, Moment};
use crate::agent::HttpCall;
use crate::config::settings::{Login, Settings};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::stage::StageId;
use crate::suite::login::LoginOutcome;

static ABOUT: About = About {
    id: CheckId::AuthLogin,
    question: "can a user sign in?",
    explain: "Signs in as auth.login says, without a browser: GET start, follow redirects to the first form with a \
              password field, fill it in with its hidden fields, submit, follow; then auth.login.expect must be \
              answered as said. On the baseline the same page is asked without a session and must not be answered \
              so. A start-up or health check cannot see what this sees: the process is healthy, only the sign-in \
              fails. What to do: the cause names the request that the authentication product refused; either the \
              product is upgraded first, or the release must not need it.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::AfterSuites),
        (StageId::Upgrade, Moment::AfterSuites),
        (StageId::Rollback, Moment::AfterSuites),
    ],
    step: "sign in as the test user",
};

/// A user can sign in.
pub struct AuthLogin;

/// How a sign-in went.
#[derive(Debug, Serialize)]
pub struct SignIn {
    /// The protected page is to be had without a session; asked in `control` alone.
    open: Option<String>,
    /// Why it failed; nothing where it did not.
    failed: Option<Failed>,
}

/// What a failed sign-in left to see.
#[derive(Debug, Clone, Default, Serialize)]
struct Failed {
    /// At which hop, and what: `GET http://web:8080/login answered 500`.
    message: String,
    /// Every hop.
    trail: Vec<String>,
    /// First fatal line of the candidate's log since the sign-in began.
    fatal: Option<String>,
    /// What asking the authentication dependency showed: `GET … answers 404`.
    asked: Vec<String>,
}

impl Check for AuthLogin {
    type Seen = SignIn;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, settings: &Settings) -> Option<String> {
        match &settings.auth {
            None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
            Some(auth) if auth.login.is_none() => {
                Some("the configuration does not say how to sign in (`auth.login`)".to_owned())
            }
            Some(_) => None,
        }
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<SignIn, Lost> {
        let open = match at.case.stage {
            StageId::Control => self.is_open(at).await?,
            StageId::Upgrade | StageId::Rollback => None,
        };
        let marks = at.ground.marks(&at.case.candidates());
        let outcome = at.driver.sign_in().await.ok_or_else(left_out)?;
        let failed = match &outcome.came_to {
            Outcome::Held(()) => None,
            Outcome::Broke(_) => Some(examine(at, &outcome, &marks).await),
            Outcome::Lost(lost) => return Err(lost.clone()),
        };
        Ok(SignIn { open, failed })
    }

    fn doubts(&self, case: &Case<'_>, seen: &SignIn) -> Vec<Finding> {
        let doubt =
            |title: String, help: &str| Finding::new(CheckId::Control, case.stage, Blame::Mirror, title).help(help);
        if let Some(url) = &seen.open {
            let title = format!("`{url}` is answered as expected without signing in");
            return vec![doubt(
                title,
                "set auth.login.expect to a page that only a signed-in user gets",
            )];
        }
        let Some(failed) = &seen.failed else { return Vec::new() };
        let with = format!("{} with {}", case.pair.baseline(), case.pair.auth());
        let title = format!("production itself cannot sign in: {} ({with})", failed.message);
        let help = "production's release already fails with this authentication product: check that the mirror runs production's version of it";
        vec![
            doubt(title, help)
                .because(failed.fatal.clone())
                .seen(failed.trail.clone()),
        ]
    }

    fn judge(&self, case: &Case<'_>, _before: &SignIn, after: &SignIn) -> Vec<Finding> {
        after.failed.iter().map(|failed| fails(case, failed)).collect()
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }
}

fn left_out() -> Lost {
    Lost::new(Part::Step, "the sign-in is left out")
}

impl AuthLogin {
    /// Without a session the protected page must be refused, or the sign-in proves nothing.
    async fn is_open(&self, at: &At<'_>) -> Result<Option<String>, Lost> {
        let outcome = at.driver.ask_without_session().await.ok_or_else(left_out)?;
        match outcome.came_to {
            Outcome::Held(()) => Ok(None),
            Outcome::Broke(_) => Ok(login_of(&at.case).map(|login| login.expect.get.clone())),
            Outcome::Lost(lost) => Err(lost),
        }
    }
}

fn login_of<'a>(case: &Case<'a>) -> Option<&'a Login> {
    case.settings.auth.as_ref()?.login.as_ref()
}

/// Log line, trail, and what the authentication dependency answers to the address that the log complains about.
async fn examine(at: &At<'_>, outcome: &LoginOutcome, marks: &super::ground::Marks) -> Failed {
    let fatal = at.ground.why(&at.case.candidates(), marks).await;
    let url = fatal.as_deref().and_then(url_in).filter(|url| is_of_auth(at, url));
    let asked = match url {
        Some(url) => ask(at, url).await,
        None => None,
    };
    Failed {
        message: outcome.message().to_owned(),
        trail: outcome.trail.clone(),
        fatal,
        asked: asked.into_iter().collect(),
    }
}

fn is_of_auth(at: &At<'_>, url: &url::Url) -> bool {
    let fronts = at.ground.fronts();
    let mut names = at.case.settings.auth_services().iter().chain(&fronts);
    names.any(|name| url.host_str() == Some(name))
}

async fn ask(at: &At<'_>, url: url::Url) -> Option<String> {
    let call = HttpCall {
        session: "look".to_owned(),
        method: "GET".to_owned(),
        url: url.to_string(),
        timeout_ms: 5_000,
        ca: at.ca.to_vec(),
        ..Default::default()
    };
    // What cannot be asked is no evidence; the sign-in itself is.
    let answer = at.ground.http(call).await.ok().flatten()?;
    Some(format!("GET {url} answers {} on this mirror", answer.status))
}

/// The first URL in a log line.
fn url_in(line: &str) -> Option<url::Url> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let end = line[start..]
        .find(|c: char| c.is_whitespace() || "\"'`<>)".contains(c))
        .map_or(line.len(), |at| start + at);
    url::Url::parse(line[start..end].trim_end_matches(['.', ',', ';'])).ok()
}

/// The candidate cannot sign in where the baseline can.
fn fails(case: &Case<'_>, failed: &Failed) -> Finding {
    let (pair, auth) = (case.pair, case.pair.auth());
    let help = match case.stage {
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
    let title = match case.stage {
        StageId::Rollback => format!("nobody can sign in after the rollback: {}", failed.message),
        _ => format!("nobody can sign in: {}", failed.message),
    };
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(pair.changed.first().map(|(service, _, _)| service.clone()))
        .because(failed.fatal.clone().or_else(|| failed.asked.first().cloned()))
        .seen(failed.trail.iter().chain(&failed.asked).cloned().collect())
        .help(help)
}
