//! `auth-login`: the real sign-in, at production's version of the authentication product. The primary check.

use serde::Serialize;

use super::ground::Marks;
use super::{About, Again, At, Case, Check, Evidence, Moment};
use crate::agent::exchange::HttpCall;
use crate::config::settings::{Login, Settings};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::stage::StageId;
use crate::suite::login::{Kind, Trouble};

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
#[derive(Debug, Clone, Serialize)]
struct Failed {
    #[serde(skip)]
    kind: Kind,
    /// At which hop, and what: `GET http://web:8080/login answered 500`.
    message: String,
    /// Every hop.
    trail: Vec<String>,
    /// First fatal line of the candidate's log since the sign-in began.
    fatal: Option<String>,
    /// What candidate and product said meanwhile, and never in `control`.
    said: Vec<String>,
    /// What the authentication product refused: the evidence without which its version is not blamed.
    refused: Option<Refused>,
}

/// Something that the authentication product refused.
#[derive(Debug, Clone, Serialize)]
struct Refused {
    /// Its service.
    service: String,
    /// `answers 404 to GET /o/.well-known/openid-configuration`, or its own line.
    what: String,
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
            StageId::Control => self.is_open(at).await,
            StageId::Upgrade | StageId::Rollback => Ok(None),
        };
        let own = at.ground.marks(&at.case.candidates());
        let product = at.ground.marks(at.case.settings.auth_services());
        let outcome = at.driver.sign_in().await.ok_or_else(left_out)?;
        let failed = match &outcome.came_to {
            Outcome::Held(()) => None,
            Outcome::Broke(trouble) => Some(examine(at, trouble, outcome.trail.clone(), (&own, &product)).await),
            Outcome::Lost(lost) => return Err(lost.clone()),
        };
        // Where the sign-in fails, that tells what is wrong with the page, too.
        let open = match (open, &failed) {
            (Err(_), Some(_)) => None,
            (open, _) => open?,
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
        vec![
            doubt(title, in_control(failed))
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

/// Log line, trail, and what the authentication product refused meanwhile.
async fn examine(at: &At<'_>, trouble: &Trouble, trail: Vec<String>, marks: (&Marks, &Marks)) -> Failed {
    let fatal = at.ground.why(&at.case.candidates(), marks.0).await;
    let refused = match ask(at, fatal.as_deref()).await {
        Some(refused) => Some(refused),
        None => its_own_words(at, marks.1).await,
    };
    let said = [
        at.ground.new_lines(&at.case.candidates(), marks.0),
        at.ground.new_lines(at.case.settings.auth_services(), marks.1),
    ];
    Failed {
        said: said.concat(),
        kind: trouble.kind,
        message: trouble.message.clone(),
        trail,
        fatal,
        refused,
    }
}

/// What the product answers to the address that the candidate's log complains about, where that is a refusal.
async fn ask(at: &At<'_>, fatal: Option<&str>) -> Option<Refused> {
    let url = fatal.and_then(url_in).filter(|url| is_of_auth(at, url))?;
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
    let product = at.case.settings.auth_services().first()?;
    (answer.status >= 400).then(|| Refused {
        service: product.clone(),
        what: format!("answers {} to GET {}", answer.status, url.path()),
    })
}

fn is_of_auth(at: &At<'_>, url: &url::Url) -> bool {
    let fronts = at.ground.fronts();
    let mut names = at.case.settings.auth_services().iter().chain(&fronts);
    names.any(|name| url.host_str() == Some(name))
}

/// What the product itself says of trouble, and never said while production signed in.
async fn its_own_words(at: &At<'_>, marks: &Marks) -> Option<Refused> {
    let services = at.case.settings.auth_services();
    if services.iter().any(|service| at.case.candidate.contains_key(service)) {
        return None;
    }
    let line = at.ground.why(services, marks).await?;
    Some(Refused {
        service: services.first()?.clone(),
        what: format!("says: {}", line.trim()),
    })
}

/// The first URL in a log line.
fn url_in(line: &str) -> Option<url::Url> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let end = line[start..]
        .find(|c: char| c.is_whitespace() || "\"'`<>)".contains(c))
        .map_or(line.len(), |at| start + at);
    url::Url::parse(line[start..end].trim_end_matches(['.', ',', ';'])).ok()
}

/// What to do where production itself cannot sign in. Only a refusal can be the product's.
fn in_control(failed: &Failed) -> &'static str {
    match failed.kind {
        Kind::Refused => {
            "is that the user, or the password, of a test user whom production has? see auth.login.username and password"
        }
        Kind::NoAnswer => {
            "auth.login names an address that nothing in the mirror answers: services are reached by their names and container ports"
        }
        Kind::NoForm => "auth.login.start must lead to a page with a form that has a password field",
        Kind::Behind => "the sign-in was taken: see auth.login.expect, and whether production's release answers it so",
        Kind::Astray => "see the trail: the sign-in does not come to an end",
        Kind::Error => {
            "production's release already fails with this authentication product: check that the mirror runs production's version of it"
        }
    }
}

/// The candidate cannot sign in where the baseline can. The product's version is named only with evidence from the
/// product: what it answered, or what it said.
fn fails(case: &Case<'_>, failed: &Failed) -> Finding {
    let evidence = failed.trail.iter().cloned().chain(
        failed
            .refused
            .iter()
            .map(|refused| format!("{} {}", refused.service, refused.what)),
    );
    let evidence = evidence.chain(failed.said.iter().cloned());
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title(case, failed))
        .about(case.pair.changed.first().map(|(service, _, _)| service.clone()))
        .because(failed.fatal.clone())
        .seen(evidence.collect())
        .help(help(case, failed))
}

fn title(case: &Case<'_>, failed: &Failed) -> String {
    let (after, message) = match case.stage {
        StageId::Rollback => (" after the rollback", &failed.message),
        StageId::Control | StageId::Upgrade => ("", &failed.message),
    };
    match (&failed.refused, failed.kind) {
        (Some(refused), _) => format!(
            "nobody can sign in{after}: {} {}: {message}",
            refused.service, refused.what
        ),
        (None, Kind::Behind) => format!("the page behind the sign-in is broken{after}: {message}"),
        (None, Kind::Refused) => format!("the sign-in is refused{after}: {message}"),
        (None, _) => format!("nobody can sign in{after}: {message}"),
    }
}

fn help(case: &Case<'_>, failed: &Failed) -> String {
    let pair = case.pair;
    match (case.stage, &failed.refused) {
        (StageId::Rollback, _) => format!(
            "after a rollback nobody can sign in: plan the way back before deploying {}",
            pair.candidate()
        ),
        (_, Some(_)) => format!(
            "keep {}, or first move {} to a version that offers what {} asks for",
            pair.baseline(),
            pair.auth(),
            pair.candidate()
        ),
        (_, None) => format!("do not deploy: {} signs in on the same mirror", pair.baseline()),
    }
}
