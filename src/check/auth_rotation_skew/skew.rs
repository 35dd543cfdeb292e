//! Skew: tokens as an issuer makes them whose clock goes before the release's, and tokens that have just ended.

use std::collections::BTreeSet;

use serde_json::Value;
use strum::VariantArray as _;

use super::heard::{answered, of_now};
use super::seen::{Kept, Shifted, Side};
use crate::check::auth_refusals::Answered;
use crate::check::forged::Jwt;
use crate::check::{At, Case, resigned};
use crate::config::settings::AuthChange;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::suite::guarded::Guarded;

/// Usual tolerances are none, a minute and five: so many seconds lie on either side of them, the last one within.
const SHIFTS: [i64; 4] = [5, 55, 65, 300];
/// A request is under way meanwhile, so that a token that has ended is older when it is read: who bears exactly so much is
/// asked with so many seconds less.
const UNDER_WAY: i64 = 2;

impl Side {
    /// The claims by which a token says so.
    fn claims(self) -> &'static [&'static str] {
        match self {
            Self::Ahead => &["iat", "nbf"],
            Self::Behind => &["exp"],
        }
    }

    fn is_said_by(self, jwt: &Jwt<'_>) -> bool {
        let mut names = self.claims().iter();
        names.any(|name| jwt.claims().get(*name).is_some_and(Value::is_number))
    }

    /// For people: which token.
    fn words(self, seconds: i64) -> String {
        match self {
            Self::Ahead => format!("a token that begins {seconds} s from now"),
            Self::Behind => format!("a token that ended {seconds} s ago"),
        }
    }

    /// When such a token begins and ends.
    fn times(self, jwt: &Jwt<'_>, seconds: i64) -> (i64, i64) {
        let (now, lifetime) = (resigned::now(), resigned::lifetime(jwt));
        match self {
            Self::Ahead => (now + seconds, now + seconds + lifetime),
            Self::Behind => {
                let ended = now - seconds + UNDER_WAY;
                (ended - lifetime, ended)
            }
        }
    }
}

/// Each request with each shift of its token.
///
/// # Errors
/// The agent is gone.
pub(super) async fn shifted(
    at: &At<'_>,
    (heard, before): (&[Guarded], Option<&Kept>),
    kept: &mut Kept,
) -> Result<(), Lost> {
    for asked in heard {
        let mut all = Vec::new();
        for side in Side::VARIANTS {
            all.extend(to_one_side(at, (asked, *side), before, kept).await?);
        }
        still_good(at, asked, &mut all).await?;
        kept.untold.extend(all.iter().filter_map(untold));
        kept.skew.extend(all);
    }
    Ok(())
}

async fn to_one_side(
    at: &At<'_>,
    (asked, side): (&Guarded, Side),
    before: Option<&Kept>,
    kept: &mut Kept,
) -> Result<Vec<Shifted>, Lost> {
    let (Some(jwt), Some(signer)) = (asked.token().and_then(Jwt::read), at.ground.signer()) else {
        return Ok(Vec::new());
    };
    if !side.is_said_by(&jwt) {
        let claims = side.claims().join(" or ");
        kept.left.insert(format!(
            "skew {side} is skipped: the token of {} has no {claims}",
            asked.name
        ));
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for seconds in SHIFTS {
        let (begins, ends) = side.times(&jwt, seconds);
        let made = || resigned::between(&jwt, begins, ends, &signer);
        let answered = match before.map(|before| of(&before.skew, &asked.name, side, seconds)) {
            // Of production's release it was not asked.
            Some(None) => continue,
            // What nobody could tell of production cannot be told of this release either.
            Some(Some(untold)) if untold.tells_nothing() => untold,
            None | Some(Some(_)) => match made() {
                Some(token) => answered(at, asked, &token).await?,
                None => Answered::Deaf,
            },
        };
        all.push(Shifted {
            request: asked.name.clone(),
            side,
            seconds,
            answered,
        });
    }
    Ok(all)
}

/// Where a token of this moment is taken no more, what was refused meanwhile says nothing.
async fn still_good(at: &At<'_>, asked: &Guarded, all: &mut [Shifted]) -> Result<(), Lost> {
    let is_refused = |one: &Shifted| matches!(one.answered, Answered::Refused(_) | Answered::Broken(_));
    let Some(signer) = at.ground.signer().filter(|_| all.iter().any(is_refused)) else {
        return Ok(());
    };
    if of_now(at, asked, &signer).await?.is_given() {
        return Ok(());
    }
    let refused = all.iter_mut().filter(|one| is_refused(one));
    refused.for_each(|one| one.answered = Answered::Over);
    Ok(())
}

fn untold(one: &Shifted) -> Option<String> {
    let (request, token) = (&one.request, one.side.words(one.seconds));
    one.answered.tells_nothing().then(|| match one.answered {
        Answered::Limited => format!("{request} had been asked too often (429) to tell for {token}"),
        Answered::Over => format!("{request} took no good token by our key any more: nobody can tell for {token}"),
        _ => format!("{request} got no answer for {token}"),
    })
}

fn of(all: &[Shifted], request: &str, side: Side, seconds: i64) -> Option<Answered> {
    let same = |one: &&Shifted| one.request == request && (one.side, one.seconds) == (side, seconds);
    all.iter().find(same).map(|one| one.answered)
}

/// What both releases answered to one shift.
type Pair = (i64, Answered, Answered);

/// Less borne than by production's release, more, and errors.
pub(super) fn findings(case: &Case<'_>, before: &[Shifted], after: &[Shifted]) -> Vec<Finding> {
    let requests: BTreeSet<&str> = after.iter().map(|one| one.request.as_str()).collect();
    let mut all = Vec::new();
    for request in requests {
        for side in Side::VARIANTS {
            let both = |seconds: i64| {
                let of = |all: &[Shifted]| of(all, request, *side, seconds);
                Some((seconds, of(before)?, of(after)?))
            };
            let pairs: Vec<Pair> = SHIFTS.into_iter().filter_map(both).collect();
            all.extend(less(case, (request, *side), &pairs));
            all.extend(breaks(case, (request, *side), &pairs));
        }
    }
    all.extend(longer(case, before, after));
    all
}

/// The largest shift that a release bears.
fn borne(pairs: &[Pair], of: impl Fn(&Pair) -> Answered) -> i64 {
    let given = pairs.iter().filter(|pair| of(pair).is_given()).map(|pair| pair.0);
    given.max().unwrap_or_default()
}

fn less(case: &Case<'_>, (request, side): (&str, Side), pairs: &[Pair]) -> Option<Finding> {
    let mut newly = pairs.iter().filter_map(|(seconds, old, new)| match new {
        Answered::Refused(now) | Answered::Broken(now) if old.is_given() => Some((*seconds, now)),
        _ => None,
    });
    let (seconds, now) = newly.next()?;
    let (old, new) = (borne(pairs, |pair| pair.1), borne(pairs, |pair| pair.2));
    let (baseline, token) = (case.pair.baseline(), side.words(seconds));
    let (verb, old, new) = match side {
        Side::Ahead => ("begin", format!("{old} s ahead"), format!("{new} s ahead")),
        Side::Behind => ("ended", format!("{old} s ago"), format!("{new} s ago")),
    };
    let title = format!(
        "the candidate bears tokens that {verb} {new}, {baseline} {old}: {request} answers HTTP {now} to {token}"
    );
    Some(found(case, (request, side), "less", title, pairs))
}

fn breaks(case: &Case<'_>, (request, side): (&str, Side), pairs: &[Pair]) -> Option<Finding> {
    let mut newly = pairs.iter().filter_map(|(seconds, old, new)| match (old, new) {
        (Answered::Refused(then), new) => Some((*seconds, then, new.broken()?)),
        _ => None,
    });
    let (seconds, then, now) = newly.next()?;
    let title = format!(
        "{request} ends in HTTP {now} for {}, which {} refuses by HTTP {then}",
        side.words(seconds),
        case.pair.baseline()
    );
    Some(found(case, (request, side), "breaks", title, pairs))
}

fn found(case: &Case<'_>, (request, side): (&str, Side), way: &str, title: String, pairs: &[Pair]) -> Finding {
    let line = |(seconds, old, new): &Pair| {
        let token = side.words(*seconds);
        format!(
            "{request}, {token}: the baseline {}, the candidate {}",
            old.words(),
            new.words()
        )
    };
    let how = "shifted were the times of tokens that a key of ours signs, and no clock";
    let seen = pairs.iter().map(line).chain([how.to_owned()]).collect();
    Finding::new(CheckId::AuthRotationSkew, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail(format!("{}/{way}/{side} {request}", AuthChange::Skew))
        .seen(seen)
        .help("give times the leeway that production's release gives: clocks of issuers and releases differ by seconds")
}

/// Tokens that have ended are taken for longer: no failure of anybody's, and somebody should know.
fn longer(case: &Case<'_>, before: &[Shifted], after: &[Shifted]) -> Option<Finding> {
    let ended = after
        .iter()
        .filter(|one| one.side == Side::Behind && one.answered.is_given());
    let newly = ended.filter(|one| {
        let then = of(before, &one.request, one.side, one.seconds);
        matches!(then, Some(Answered::Refused(_) | Answered::Broken(_)))
    });
    let longest = newly.max_by_key(|one| one.seconds)?;
    let of_before = before
        .iter()
        .filter(|one| one.request == longest.request && one.side == Side::Behind);
    let then = of_before.filter(|one| one.answered.is_given()).map(|one| one.seconds);
    let title = format!(
        "{} is given for tokens up to {} s after their end, by {} up to {} s",
        longest.request,
        longest.seconds,
        case.pair.baseline(),
        then.max().unwrap_or_default()
    );
    let found = Finding::new(CheckId::AuthRotationSkew, case.stage, Blame::Nobody, title)
        .about(case.pair.first_service())
        .detail(format!("{}/longer", AuthChange::Skew));
    Some(
        found.help("say in the release's notes that it takes ended tokens for longer, or give it the leeway of before"),
    )
}
