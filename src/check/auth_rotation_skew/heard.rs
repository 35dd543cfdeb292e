//! Who is asked: every request that reads and carried a token, where a token of this moment by our key is taken.

use super::seen::Kept;
use crate::check::At;
use crate::check::auth_refusals::Answered;
use crate::check::auth_refusals::requests::requests;
use crate::check::forged::Jwt;
use crate::check::resigned::{self, Signers};
use crate::mirror::names::issuer::Signer;
use crate::record::outcome::Lost;
use crate::suite::guarded::Guarded;

/// The requests that are asked; why others are not is kept. Of the candidate those that were asked of production's release.
///
/// # Errors
/// The agent is gone.
pub(super) async fn heard(at: &At<'_>, before: Option<&Kept>, kept: &mut Kept) -> Result<Vec<Guarded>, Lost> {
    let (mut heard, mut signers) = (Vec::new(), Signers::default());
    for asked in requests(at).await?.into_iter().filter(|asked| !asked.writes()) {
        let is_known = before.is_none_or(|before| before.requests().contains(asked.name.as_str()));
        let Some(token) = asked.token().filter(|_| is_known) else {
            continue;
        };
        match taken(at, (&asked, token), &mut signers, kept).await? {
            Taken::Yes => heard.push(asked),
            Taken::No if before.is_some() => {}
            Taken::No => {
                let why = "production refuses a good token by our key at";
                kept.left.insert(format!("{why} {}", asked.name));
            }
            Taken::NobodyKnows => {}
        }
    }
    if let Some(before) = before {
        let is_heard = |name: &&str| heard.iter().any(|asked: &Guarded| asked.name == *name);
        let missing = before.requests().into_iter().filter(|name| !is_heard(name));
        let words = |name: &str| format!("no good token by our key could be tried at {name} here");
        kept.untold.extend(missing.map(words));
    } else if heard.is_empty() && kept.left.is_empty() && kept.untold.is_empty() {
        kept.left.insert("no request that reads carries a token".to_owned());
    }
    Ok(heard)
}

/// What comes of a good token by our key.
enum Taken {
    Yes,
    No,
    /// Why is kept.
    NobodyKnows,
}

async fn taken(
    at: &At<'_>,
    (asked, token): (&Guarded, &str),
    signers: &mut Signers,
    kept: &mut Kept,
) -> Result<Taken, Lost> {
    let Some(jwt) = Jwt::read(token) else {
        kept.left
            .insert(format!("the token of {} is no JSON web token", asked.name));
        return Ok(Taken::NobodyKnows);
    };
    let signer = match signers.of(at, token, &jwt).await? {
        Ok(signer) => signer,
        Err(why) => {
            kept.left.insert(why);
            return Ok(Taken::NobodyKnows);
        }
    };
    Ok(match of_now(at, asked, &signer).await? {
        answered if answered.is_given() => Taken::Yes,
        answered if answered.tells_nothing() => {
            let words = format!("{} gave no answer that tells for a good token by our key", asked.name);
            kept.untold.insert(words);
            Taken::NobodyKnows
        }
        _ => Taken::No,
    })
}

/// The answer to a token of this moment by that key.
///
/// # Errors
/// The agent is gone.
pub(super) async fn of_now(at: &At<'_>, asked: &Guarded, signer: &Signer) -> Result<Answered, Lost> {
    let now = resigned::now();
    let jwt = asked.token().and_then(Jwt::read);
    let token = jwt.and_then(|jwt| resigned::between(&jwt, now, now + resigned::lifetime(&jwt), signer));
    match token {
        Some(token) => answered(at, asked, &token).await,
        None => Ok(Answered::Deaf),
    }
}

/// The answer to a token.
///
/// # Errors
/// The agent is gone.
pub(super) async fn answered(at: &At<'_>, asked: &Guarded, token: &str) -> Result<Answered, Lost> {
    at.driver.hide(token);
    let jar = format!("rotation and skew {} {} {}", at.case.stage, at.role, asked.name);
    let answer = at.ground.http(asked.with_token(token, &jar)).await?;
    Ok(answer.map_or(Answered::Silence, |answer| Answered::of(asked, &answer)))
}
