//! Rotation by the product itself, where `auth.rotate` says how it is told to: somebody has signed in before, it is run, and
//! somebody signs in until that works again.

use tokio::time::Instant;

use super::rotation::{PAUSE, TAKEN_WITHIN};
use super::seen::{ByProduct, Kept};
use crate::check::fault_trial::{Came, MORE_THAN_PRODUCTION, comes_back, restarted, signs_in};
use crate::check::{At, Case};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::{Lost, Part};
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::suite::login::Session;
use crate::text::units::{millis, of_millis};

/// As a part of what the check sees.
pub(super) const PART: &str = "rotate";

/// The product changes its key.
///
/// # Errors
/// Nobody can tell: the agent is gone, or nobody can sign in any more, even after a restart.
pub(super) async fn rotated(at: &At<'_>, before: Option<&Kept>, kept: &mut Kept) -> Result<(), Lost> {
    if before.is_some_and(|before| before.product.is_none()) {
        return Ok(());
    }
    let session = match at.driver.sign_in().await {
        None => {
            let why = "auth.rotate is skipped: auth.login does not say how to sign in";
            kept.left.insert(why.to_owned());
            return Ok(());
        }
        Some(outcome) if outcome.held() => outcome.left,
        Some(outcome) => {
            kept.untold
                .insert(format!("the sign-in itself fails: {}", outcome.message()));
            return Ok(());
        }
    };
    if let Some(why) = not_run(at).await {
        kept.untold.insert(why);
        return Ok(());
    }
    let seen = afterwards(at, before, &session).await?;
    if seen.back_ms.is_none() {
        again(at).await?;
    }
    match (before.is_none(), seen.back_ms) {
        (true, None) => {
            let (release, seconds) = (at.case.pair.baseline(), TAKEN_WITHIN.as_secs());
            let got = seen.signs_in.words();
            kept.left.insert(format!(
                "auth.rotate is skipped: nobody can sign in at {release} within {seconds} s after it ({got})"
            ));
        }
        _ => kept.product = Some(seen),
    }
    Ok(())
}

/// Why the product did not change its key, if it did not.
async fn not_run(at: &At<'_>) -> Option<String> {
    let steps = at.driver.run(&Subject::Rotate).await;
    if steps.is_empty() {
        return Some("auth.rotate ran nothing".to_owned());
    }
    let failed = steps.iter().find(|step| step.status != Status::Passed)?;
    Some(format!(
        "auth.rotate / {} does not pass: {}",
        failed.name, failed.message
    ))
}

async fn afterwards(at: &At<'_>, before: Option<&Kept>, session: &Session) -> Result<ByProduct, Lost> {
    let took = before.and_then(|before| before.product.as_ref()?.back_ms);
    let within = took.map_or(TAKEN_WITHIN, |took| {
        std::time::Duration::from_millis(took) + MORE_THAN_PRODUCTION
    });
    let (begun, mut broke) = (Instant::now(), None);
    let (signs_in, back_ms) = loop {
        let came = signs_in(at).await?;
        let took = begun.elapsed();
        match came {
            Came::Works => break (came, Some(millis(took))),
            _ if took >= within => break (came, None),
            Came::Breaks(words) => drop(broke.get_or_insert(words)),
            Came::Refused(_) | Came::Silent(_) | Came::Unknown => {}
        }
        tokio::time::sleep(PAUSE).await;
    };
    Ok(ByProduct {
        back_ms,
        broke,
        signs_in,
        is_signed_in: comes_back(at, session).await?,
    })
}

/// Whatever comes later is asked of a release that lets people in.
async fn again(at: &At<'_>) -> Result<(), Lost> {
    restarted(at).await?;
    let begun = Instant::now();
    while signs_in(at).await? != Came::Works {
        if begun.elapsed() >= TAKEN_WITHIN {
            let words = "after auth.rotate nobody can sign in any more, even when the release is restarted";
            return Err(Lost::new(Part::Step, words));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What users of the candidate get and those of production's release do not.
pub(super) fn findings(case: &Case<'_>, before: &ByProduct, after: &ByProduct) -> Vec<Finding> {
    let found = |way: &str, title: String| {
        Finding::new(CheckId::AuthRotationSkew, case.stage, Blame::Candidate, title)
            .about(case.pair.first_service())
            .detail(format!("{PART}/{way}"))
            .seen(seen(case, before, after))
            .help("ask for the issuer's keys again when a token names one that is not known")
    };
    let baseline = case.pair.baseline();
    let mut all = Vec::new();
    match (before.back_ms, after.back_ms) {
        (Some(took), None) => {
            let (took, got) = (of_millis(took), after.signs_in.words());
            let title =
                format!("after auth.rotate whoever signs in gets: {got}; {baseline} lets people in after {took}");
            all.push(found("late", title));
        }
        _ => all.extend(after.broke.iter().filter(|_| before.broke.is_none()).map(|got| {
            let title = format!("after auth.rotate whoever signs in gets: {got}; from {baseline} no such error comes");
            found("breaks", title)
        })),
    }
    let (old, new) = (&before.is_signed_in, &after.is_signed_in);
    if new.is_worse_than(old) {
        let (new, old) = (new.words(), old.words());
        let title = format!("after auth.rotate whoever is signed in gets: {new}; from {baseline}: {old}");
        all.push(found("session", title));
    } else if old.is_worse_than(new) {
        let old = old.words();
        let title = format!("after auth.rotate whoever is signed in stays so; from {baseline} they get: {old}");
        all.push(Finding {
            blame: Blame::Nobody,
            severity: Severity::Warn,
            ..found("stays", title)
        });
    }
    all
}

fn seen(case: &Case<'_>, before: &ByProduct, after: &ByProduct) -> Vec<String> {
    let of = |who: String, one: &ByProduct| {
        let back = match one.back_ms {
            Some(took) => format!("lets people in {} after auth.rotate", of_millis(took)),
            None => "lets nobody in after auth.rotate".to_owned(),
        };
        format!("{who} {back}; whoever is signed in gets: {}", one.is_signed_in.words())
    };
    vec![of(case.pair.baseline(), before), of(case.pair.candidate(), after)]
}
