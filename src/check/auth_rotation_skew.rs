//! `auth-rotation-skew`: a release takes the issuer's new signing keys as production's does, and bears as much of a clock that
//! goes wrong.

mod heard;
mod rotation;
mod seen;
mod skew;

use std::collections::BTreeSet;

use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::config::settings::{AuthChange, Settings, Signs};
use crate::record::check::CheckId;
use crate::record::finding::Finding;
use crate::record::outcome::Lost;
use crate::record::stage::StageId;
use heard::heard;
pub(super) use rotation::{PAUSE, TAKEN_WITHIN};
pub use seen::Kept;

static ABOUT: About = About {
    id: CheckId::AuthRotationSkew,
    question: "does the candidate take new signing keys, and bear a clock that goes wrong, as production's release does?",
    explain: "Asked where stages.faults.auth says rotation or skew. Where auth.act_as_issuer says so, each request of a suite that \
              reads and carried a JSON web token as a bearer (RS256), and the page behind the sign-in, is made with that token \
              signed anew by keys of the run's own, with times of this moment. rotation: another key appears among those that \
              the issuer shows, beside the old one; then a third, and the old ones go. A token by the new key is made before, \
              asked with (who knows which keys there are refuses it), and asked with again until it is taken: by production's \
              release in control within 35 s, by the candidate within 40 s. The old key's token must be taken \
              as long as it is shown. skew: no clock is shifted and no libfaketime is used; the tokens are: \
              they begin (iat, nbf) 5, 55, 65 and 300 s from now, or have ended (exp) that long ago. What production's \
              release takes and the candidate refuses, or answers by a server error, blocks, and so does a server error in the \
              place of a refusal; who takes ended tokens for longer than production's release, or keys that are not shown \
              any more, is a warning. Where production's release takes no such token or no new key, it is skipped with its \
              reason. What to do: ask for the issuer's keys again when a token names one that is not known, and give the same \
              leeway to times as before.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Last), (StageId::Faults, Moment::Last)],
    step: "rotate the issuer's signing keys, and shift its tokens' times",
};

/// New keys are taken, and clocks borne, as before.
pub struct AuthRotationSkew;

impl Check for AuthRotationSkew {
    type Seen = Kept;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        AuthChange::ALL.iter().any(|change| asks(given.settings, *change))
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let mut services = given.settings.auth_services().iter();
        if services.any(|service| given.candidate.services.contains_key(service)) {
            return Some("the authentication dependency is the candidate itself".to_owned());
        }
        (!holds_a_key(given.settings)).then(|| NOBODY_SIGNS.to_owned())
    }

    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Kept, Lost> {
        let marks = at.marks();
        let kept = kept(at).await;
        // What is said to tokens of ours is nothing that a release is known to say.
        at.driver.set_aside(&marks).await;
        kept
    }

    fn judge(&self, case: &Case<'_>, before: &Kept, after: &Kept) -> Vec<Finding> {
        let turned = rotation::findings(case, &before.rotation, &after.rotation);
        let skewed = skew::findings(case, &before.skew, &after.skew);
        [turned, skewed].concat()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Kept) -> Option<Unanswered> {
        let listed = |reasons: &BTreeSet<String>| reasons.iter().cloned().collect::<Vec<_>>().join("; ");
        let is_empty = after.rotation.is_empty() && after.skew.is_empty();
        match (after.untold.is_empty(), is_empty) {
            (false, _) => Some(Unanswered::NotRun(listed(&after.untold))),
            (true, true) => Some(Unanswered::Skipped(listed(&after.left))),
            (true, false) => None,
        }
    }

    fn again(&self, finding: &Finding) -> Again {
        let part = finding.detail.as_deref().and_then(|detail| detail.split('/').next());
        part.map_or(Again::Look, |part| Again::Part(part.to_owned()))
    }

    /// One for each way to fail, which names the requests.
    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let way = |finding: &Finding| -> Vec<String> {
            let detail = finding.detail.as_deref().unwrap_or_default();
            detail.split('/').take(2).map(str::to_owned).collect()
        };
        let mut all: Vec<Finding> = Vec::new();
        for finding in findings {
            let alike = |one: &&mut Finding| way(one) == way(&finding) && one.waived == finding.waived;
            match all.iter_mut().find(alike) {
                Some(one) => one.take_in(finding),
                None => all.push(finding),
            }
        }
        all
    }

    fn notes(&self, case: &Case<'_>, seen: &Kept) -> Vec<String> {
        let said = |left: &String| format!("{} in {}: {left}", ABOUT.id, case.stage);
        seen.left.iter().map(said).collect()
    }
}

const NOBODY_SIGNS: &str = "only the issuer's own key signs good tokens (`auth.act_as_issuer`)";

async fn kept(at: &At<'_>) -> Result<Kept, Lost> {
    let settings = at.case.settings;
    let before = at.seen_before::<AuthRotationSkew>();
    let mut kept = Kept {
        left: before.map(|before| before.left.clone()).unwrap_or_default(),
        ..Kept::default()
    };
    let is_part = |part: &str| at.part.is_none_or(|own| own == part);
    let wants = |change: AuthChange| asks(settings, change) && is_part(change.as_str());
    let [rotation, skew] = [AuthChange::Rotation, AuthChange::Skew].map(wants);
    let heard = heard(at, before, &mut kept).await?;
    if skew {
        skew::shifted(at, (&heard, before), &mut kept).await?;
    }
    if rotation {
        rotation::turned(at, (&heard, before), &mut kept).await?;
    }
    Ok(kept)
}

fn asks(settings: &Settings, change: AuthChange) -> bool {
    let faults = settings.stages.faults.as_ref();
    faults.is_some_and(|faults| faults.changes.contains(&change))
}

/// A key of ours stands among the issuer's.
fn holds_a_key(settings: &Settings) -> bool {
    settings
        .auth
        .as_ref()
        .is_some_and(|auth| auth.signs == Signs::FrontsToo)
}
