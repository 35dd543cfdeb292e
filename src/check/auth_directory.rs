//! `auth-directory`: what a release asks of a directory over LDAP, it asks as production's release does, and is answered so.

mod asked;
mod differences;
mod side;

use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::record::check::CheckId;
use crate::record::finding::Finding;
use crate::record::outcome::Lost;
use crate::record::stage::StageId;
pub use asked::Asked;

static ABOUT: About = About {
    id: CheckId::AuthDirectory,
    question: "does the candidate ask the directory as production's release does, and is it answered so?",
    explain: "Of what passes the fronts of auth.service over LDAP it is read who binds by which means and whether that goes \
              over TLS, searches by the shape of their filters, controls, results, and which servers an answer refers to; \
              no names and no values. Compared with production's release, service by service: a password that is sent in \
              the clear where production's turns to TLS, or proves it without sending it; what the directory refuses for \
              want of TLS or of a stronger bind; a bind or a search that it answered and refuses now; a referral that is \
              followed no more; groups within groups (by the matching rule in the chain, by an attribute such as \
              tokenGroups, or by asking for the groups of a group) that are looked for no more, or found no more; \
              passwords that are stored by a weaker scheme. Each blocks, after the sign-in and the suites have shown it \
              again, and not on a baseline that the candidate has not touched. Another scheme that is not weaker is a \
              warning. What is asked within StartTLS or ldaps passes unread: where nothing over LDAP was seen of \
              either release, the check is skipped and says so. What to do: set the candidate's directory client as production's \
              is set, or change the directory first.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
    ],
    step: "",
};

/// The directory is asked as before.
pub struct AuthDirectory;

impl Check for AuthDirectory {
    type Seen = Asked;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let none = || "the configuration names no authentication dependency (`auth`)".to_owned();
        given.settings.auth.is_none().then(none)
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Asked, Lost> {
        let mut asked = match at.part {
            None => so_far(at).await?,
            Some(_) => anew(at).await?,
        };
        let before = at.seen_before::<Self>();
        asked.left = before.and_then(|before| asked.left_beside(before));
        Ok(asked)
    }

    fn judge(&self, case: &Case<'_>, before: &Asked, after: &Asked) -> Vec<Finding> {
        differences::of(case, before, after)
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Asked) -> Option<Unanswered> {
        after.left.clone()
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Part("the sign-in and the suites".to_owned())
    }
}

/// What the stage has asked.
async fn so_far(at: &At<'_>) -> Result<Asked, Lost> {
    let calls = at.ground.calls().await?;
    let sign_in = calls.first_sign_in.clone().unwrap_or_default();
    let (begin, end) = (sign_in.start.min(calls.calls.len()), sign_in.end.min(calls.calls.len()));
    let others = [&calls.calls[..begin], &calls.calls[end..]].concat();
    Ok(Asked::of(&calls.calls[begin..end], &others, calls.unseen))
}

/// What a sign-in asks now, and every suite.
async fn anew(at: &At<'_>) -> Result<Asked, Lost> {
    let signed_in = at.driver.sign_in().await;
    let calls = at.ground.calls().await?;
    let begun = calls.calls.len();
    let sign_in = match signed_in {
        Some(_) => calls.of(&calls.last_sign_in).to_vec(),
        None => Vec::new(),
    };
    for suite in at.facts.suites() {
        let _ran = at.driver.run(&suite).await;
    }
    let calls = at.ground.calls().await?;
    let others = calls.calls.get(begun..).unwrap_or_default();
    Ok(Asked::of(&sign_in, others, calls.unseen))
}
