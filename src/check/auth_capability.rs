//! `auth-capability`: what the candidate asks of the authentication dependency that production's release does not, and
//! production's version of the product refuses.

use serde::Serialize;

use super::asked::{self, How, Product, Refusal, newly_refused};
use super::{About, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::agent::front::calls::Said;
use crate::mirror::names::calls::Called;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::AuthCapability,
    question: "does the candidate ask the authentication dependency for something that production's version refuses?",
    explain: "Between every service and the product of auth.service stands a front of ours, which reads along what is \
              asked: over HTTP the method, the path, and the parameters (values only of those that are no secret), over \
              LDAP binds and searches with their results, of TLS the versions and alerts. From this follows what a \
              release asks for: discovery, PKCE, a pushed request, DPoP, a scope, a grant, a response type, how the \
              client proves who it is, StartTLS, Message-Authenticator over RADIUS. What only the candidate asks for in its sign-in, and the product refuses, is told \
              with the answer, the version that the lock says production runs, and, from a table with sources, the \
              version that would do; where nobody knows that, it says unknown. So is what the candidate leaves out. \
              Where the sign-in fails this names the cause in the first line; alone it warns: a release may ask for \
              more than it needs. Where the sign-in asks nothing there that can be read, this is skipped. What to do: move the product first, or let the release do without.",
    evidence: Evidence::Text,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
    ],
    step: "",
};

/// What is asked for is there.
pub struct AuthCapability;

/// What a sign-in asked.
#[derive(Debug, Serialize)]
pub struct Asked {
    calls: Vec<Called>,
    /// Where calls may have gone past the fronts.
    unseen: Vec<String>,
}

/// Why nothing is seen at a front, where the configuration is the reason.
pub(super) fn unseen(given: &Given<'_>) -> Option<String> {
    match &given.settings.auth {
        None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
        Some(auth) if auth.login.is_none() => {
            Some("the configuration does not say how to sign in (`auth.login`)".to_owned())
        }
        Some(_) => None,
    }
}

/// Where a sign-in asked nothing at the fronts that could be read, what it asked elsewhere nobody has seen.
pub(super) fn unread(sign_in: &[Called], unseen: &[String]) -> Option<Unanswered> {
    let is_read = |called: &Called| !matches!(called.call.said, Said::Other);
    if sign_in.iter().any(is_read) {
        return None;
    }
    let why = "the sign-in asks nothing at the fronts that can be read".to_owned();
    let all: Vec<String> = std::iter::once(why).chain(unseen.iter().cloned()).collect();
    Some(Unanswered::Skipped(all.join("; ")))
}

impl Check for AuthCapability {
    type Seen = Asked;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        unseen(given)
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Asked, Lost> {
        let calls = at.ground.calls().await?;
        Ok(Asked {
            calls: calls.of(&calls.first_sign_in).to_vec(),
            unseen: calls.unseen,
        })
    }

    fn judge(&self, case: &Case<'_>, before: &Asked, after: &Asked) -> Vec<Finding> {
        let product = asked::product(case);
        let refused = newly_refused(&before.calls, &after.calls).into_iter();
        refused
            .map(|refusal| finding(case, &refusal, product.as_ref()))
            .collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Asked) -> Option<Unanswered> {
        unread(&after.calls, &after.unseen)
    }
}

fn finding(case: &Case<'_>, refusal: &Refusal, product: Option<&Product>) -> Finding {
    let known = product.and_then(|product| refusal.known(product));
    let source = known.map(|known| format!("{} {}: {}", known.product, known.since, known.source));
    Finding::new(ABOUT.id, case.stage, Blame::Nobody, sentence(case, refusal, product))
        .about(case.pair.first_service())
        .detail(format!("{:?}", refusal.ask))
        .seen(std::iter::once(refusal.evidence()).chain(source).collect())
        .help(way_out(case, refusal, product))
}

/// What to do, with the version to move to where that is known.
pub(super) fn way_out(case: &Case<'_>, refusal: &Refusal, product: Option<&Product>) -> String {
    let baseline = case.pair.baseline();
    match refusal.moves_to(product) {
        Some(version) => format!("keep {baseline}, or first move {} to {version}", refusal.service),
        None => format!(
            "keep {baseline}, or first move {} to a version that takes it",
            case.pair.auth()
        ),
    }
}

/// `shop 2.0 asks for OpenID Connect discovery; production's django-oauth-toolkit 1.3.3 answers 404 (1.5.0 has it)`.
pub(super) fn sentence(case: &Case<'_>, refusal: &Refusal, product: Option<&Product>) -> String {
    let does = match refusal.how {
        How::Asks => "asks for",
        How::LeavesOut => "leaves out",
    };
    let runs = match product {
        Some(product) => format!("{} {}", product.name, product.version),
        None => case.pair.auth(),
    };
    let (release, ask, answer) = (case.pair.release(), refusal.ask.words(), &refusal.answer);
    format!(
        "{release} {does} {ask}; production's {runs} answers {answer} ({})",
        refusal.would_do(product)
    )
}
