//! Tokens that the fronts sign anew, where a key of the run's own stands among the issuer's: with other claims, which only
//! an issuer can make, and in the shapes that good tokens of other issuers have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use strum::{Display, VariantArray};
use time::OffsetDateTime;

use super::At;
use super::discovery::{discovery, document};
use super::forged::{Forgery, Jwt};
use crate::mirror::names::issuer::Signer;
use crate::record::outcome::Lost;

/// So far is a moment from now that no verifier's tolerance reaches it, seconds.
const FAR: i64 = 3_600;
/// An issuer's clock that goes this much before a release's is nobody's fault, seconds.
const AHEAD: i64 = 2;
/// A token of ours is good for so long at least, seconds: it is asked with more than once.
const LEAST_LIFE: i64 = 60;
/// Whoever this is, no release trusts it.
const NOBODY: &str = "https://issuer.rehearsal.invalid";

/// A good token that looks as others' do. The names are those of the conformance suite of OpenID Connect where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Shape {
    /// Nothing is another but the key, which is named.
    KidPresent,
    /// The key is not named, and there are several.
    #[serde(rename = "kid-absent-multiple-jwks")]
    #[strum(to_string = "kid-absent-multiple-jwks")]
    KidAbsent,
    /// One audience, as a text.
    AudText,
    /// One audience, as a list.
    AudList,
    /// The issuer's URL with a slash at its end.
    IssWithSlash,
    /// … without.
    IssWithoutSlash,
    /// The user's number as a number.
    NumericSub,
    /// Claims that nobody has asked for.
    ExtraClaims,
    /// Issued two seconds from now.
    IatAhead,
}

impl Shape {
    /// As people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::KidPresent => "a good token by a second key of the issuer's",
            Self::KidAbsent => "a good token without `kid`",
            Self::AudText => "a good token with `aud` as a text",
            Self::AudList => "a good token with `aud` as a list",
            Self::IssWithSlash => "a good token whose `iss` ends in a slash",
            Self::IssWithoutSlash => "a good token whose `iss` ends in no slash",
            Self::NumericSub => "a good token with `sub` as a number",
            Self::ExtraClaims => "a good token with further claims",
            Self::IatAhead => "a good token that was issued 2 s from now",
        }
    }
}

/// Who signs in the issuer's place, by the token: the issuer is asked once for each.
#[derive(Default)]
pub struct Signers(BTreeMap<String, Result<Arc<Signer>, String>>);

impl Signers {
    /// Whoever signs for a token.
    ///
    /// # Errors
    /// The agent is gone. Within: why nobody does.
    pub async fn of(&mut self, at: &At<'_>, token: &str, jwt: &Jwt<'_>) -> Result<Result<Arc<Signer>, String>, Lost> {
        if let Some(known) = self.0.get(token) {
            return Ok(known.clone());
        }
        let signer = signer(at, jwt).await?;
        self.0.insert(token.to_owned(), signer.clone());
        Ok(signer)
    }
}

async fn signer(at: &At<'_>, jwt: &Jwt<'_>) -> Result<Result<Arc<Signer>, String>, Lost> {
    let (Some(signer), Some(issuer)) = (at.ground.signer(), issuer(at)) else {
        let why = "only the issuer's own key signs such a token (`auth.act_as_issuer`)";
        return Ok(Err(why.to_owned()));
    };
    if jwt.algorithm() != Some(Signer::ALGORITHM) {
        let words = jwt.algorithm().unwrap_or_default();
        return Ok(Err(format!(
            "the token is signed by {words}, and our key signs by {} alone",
            Signer::ALGORITHM
        )));
    }
    let discovery = discovery(at, issuer).await?;
    let address = discovery.as_ref().and_then(|found| found.get("jwks_uri")?.as_str());
    let Some(address) = address else {
        return Ok(Err("discovery names no keys of the issuer's".to_owned()));
    };
    Ok(match document(at, address.to_owned()).await? {
        Some(keys) if has(&keys, signer.kid()) => Ok(signer),
        Some(_) => {
            let why = "our key is not among those that the issuer shows: they do not pass a front that reads them, or have no `kid`";
            Err(why.to_owned())
        }
        None => Err("the issuer does not show its keys".to_owned()),
    })
}

fn issuer<'a>(at: &At<'a>) -> Option<&'a str> {
    at.case.settings.auth.as_ref()?.issuer.as_deref()
}

fn has(keys: &Value, kid: &str) -> bool {
    let keys = keys.get("keys").and_then(Value::as_array);
    let mut keys = keys.into_iter().flatten();
    keys.any(|key| key.get("kid").and_then(Value::as_str) == Some(kid))
}

/// A token with nothing changed, as far as that can be.
pub fn unchanged(jwt: &Jwt<'_>, signer: &Signer) -> Option<String> {
    shaped(jwt, Shape::KidPresent, signer)
}

/// A token that begins and ends at these moments, as far as it says when it does.
pub fn between(jwt: &Jwt<'_>, begins: i64, ends: i64, signer: &Signer) -> Option<String> {
    let mut claims = jwt.claims().clone();
    for (name, moment) in [("iat", begins), ("nbf", begins), ("exp", ends)] {
        claims.entry(name).and_modify(|own| *own = json!(moment));
    }
    signed(&named(jwt, signer), &claims, signer)
}

/// For how long its issuer makes such a token good, seconds.
pub fn lifetime(jwt: &Jwt<'_>) -> i64 {
    let moment = |name: &str| jwt.claims().get(name).and_then(Value::as_i64);
    let begins = moment("iat").or_else(|| moment("nbf"));
    let lives = begins
        .zip(moment("exp"))
        .map(|(begins, ends)| ends.saturating_sub(begins));
    lives.unwrap_or_default().clamp(LEAST_LIFE, FAR)
}

/// A token in that shape; `None` where it has it already, or cannot have it.
pub fn shaped(jwt: &Jwt<'_>, shape: Shape, signer: &Signer) -> Option<String> {
    let mut header = named(jwt, signer);
    let mut claims = jwt.claims().clone();
    let changed = match shape {
        Shape::KidPresent => return signed(&header, &claims, signer),
        Shape::KidAbsent => {
            header.remove("kid");
            return signed(&header, &claims, signer);
        }
        Shape::AudText | Shape::AudList => ("aud", audience(claims.get("aud")?, shape)?),
        Shape::IssWithSlash | Shape::IssWithoutSlash => ("iss", other_end(jwt.issuer()?, shape)?),
        Shape::NumericSub => ("sub", json!(claims.get("sub")?.as_str()?.parse::<u64>().ok()?)),
        Shape::ExtraClaims => ("rehearsal", json!({"text": "é", "list": [1, null], "number": 0.5})),
        Shape::IatAhead => ("iat", json!(now() + AHEAD)),
    };
    claims.insert(changed.0.to_owned(), changed.1);
    signed(&header, &claims, signer)
}

/// A token that the issuer itself would have to make so; `None` where that is another way.
pub fn wrong(jwt: &Jwt<'_>, way: Forgery, signer: &Signer) -> Option<String> {
    let mut claims = jwt.claims().clone();
    let changed = match way {
        Forgery::Expired => vec![("exp", json!(now() - FAR))],
        Forgery::NotYetValid => vec![("nbf", json!(now() + FAR)), ("exp", json!(now() + 2 * FAR))],
        Forgery::InvalidIss => vec![("iss", json!(NOBODY))],
        Forgery::InvalidAud => vec![("aud", json!(NOBODY))],
        _ => return None,
    };
    for (name, value) in changed {
        claims.insert(name.to_owned(), value);
    }
    if way == Forgery::Expired {
        // One that begins when it is over is wrong in two ways.
        for name in ["iat", "nbf"] {
            claims.entry(name).and_modify(|begins| *begins = json!(now() - 2 * FAR));
        }
    }
    signed(&named(jwt, signer), &claims, signer)
}

/// The token's header, with our key's name.
fn named(jwt: &Jwt<'_>, signer: &Signer) -> Map<String, Value> {
    let mut header = jwt.header().clone();
    header.insert("kid".to_owned(), json!(signer.kid()));
    header
}

fn signed(header: &Map<String, Value>, claims: &Map<String, Value>, signer: &Signer) -> Option<String> {
    let said = format!("{}.{}", super::forged::encoded(header), super::forged::encoded(claims));
    let signature = signer.sign(&said)?;
    Some(format!("{said}.{signature}"))
}

fn audience(own: &Value, wanted: Shape) -> Option<Value> {
    match (own, wanted) {
        (Value::String(one), Shape::AudList) => Some(json!([one])),
        (Value::Array(all), Shape::AudText) if all.len() == 1 => all.first().cloned(),
        _ => None,
    }
}

fn other_end(issuer: &str, wanted: Shape) -> Option<Value> {
    match (issuer.strip_suffix('/'), wanted) {
        (Some(without), Shape::IssWithoutSlash) => Some(json!(without)),
        (None, Shape::IssWithSlash) => Some(json!(format!("{issuer}/"))),
        _ => None,
    }
}

/// This moment, in seconds since 1970.
pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use strum::VariantArray as _;

    use super::*;

    fn token(claims: Value) -> String {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.c2lnbmF0dXJl",
            part(json!({"alg": "RS256", "kid": "its own", "typ": "at+jwt"})),
            part(claims)
        )
    }

    fn read(token: &str) -> (Map<String, Value>, Map<String, Value>) {
        let jwt = Jwt::read(token).unwrap();
        (jwt.header().clone(), jwt.claims().clone())
    }

    fn good() -> Value {
        json!({"iss": "http://idp/o", "sub": "17", "aud": "shop", "exp": now() + 60, "nbf": now() - 60, "scope": "a"})
    }

    #[test]
    fn each_shape_differs_in_one_thing_and_what_a_token_has_already_is_no_shape() {
        let (token, signer) = (token(good()), Signer::new("http://idp/o").unwrap());
        let jwt = Jwt::read(&token).unwrap();
        let mut seen = Vec::new();
        for shape in Shape::VARIANTS {
            let Some(made) = shaped(&jwt, *shape, &signer) else {
                continue;
            };
            let (header, claims) = read(&made);
            let own = jwt.claims();
            let differing = claims.iter().filter(|(name, value)| own.get(*name) != Some(value));
            seen.push((*shape, differing.count()));
            let named = header.get("kid").and_then(Value::as_str);
            let wanted = (*shape != Shape::KidAbsent).then_some(signer.kid());
            assert_eq!((named, &header["typ"]), (wanted, &json!("at+jwt")), "{shape}");
        }
        assert_eq!(
            seen,
            [
                (Shape::KidPresent, 0),
                (Shape::KidAbsent, 0),
                (Shape::AudList, 1),
                (Shape::IssWithSlash, 1),
                (Shape::NumericSub, 1),
                (Shape::ExtraClaims, 1),
                (Shape::IatAhead, 1)
            ]
        );
    }

    #[test]
    fn a_name_that_is_no_number_stays_a_name_and_several_audiences_stay_a_list() {
        let token = token(json!({"iss": "http://idp/o/", "sub": "alice", "aud": ["a", "b"]}));
        let (jwt, signer) = (Jwt::read(&token).unwrap(), Signer::new("http://idp/o").unwrap());
        for shape in [Shape::NumericSub, Shape::AudText, Shape::AudList, Shape::IssWithSlash] {
            assert_eq!(shaped(&jwt, shape, &signer), None, "{shape}");
        }
        let made = shaped(&jwt, Shape::IssWithoutSlash, &signer).unwrap();
        assert_eq!(read(&made).1["iss"], "http://idp/o");
    }

    #[test]
    fn a_token_begins_and_ends_when_it_is_told_to_where_it_says_when_it_does() {
        let (token, signer) = (token(good()), Signer::new("http://idp/o").unwrap());
        let jwt = Jwt::read(&token).unwrap();
        let claims = read(&between(&jwt, 1_000, 2_000, &signer).unwrap()).1;
        assert_eq!(
            (claims["nbf"].as_i64(), claims["exp"].as_i64()),
            (Some(1_000), Some(2_000))
        );
        // What it does not say stays unsaid.
        assert_eq!((claims.get("iat"), claims.len()), (None, jwt.claims().len()));
    }

    #[test]
    fn a_token_lives_as_long_as_its_issuer_lets_it_and_long_enough_to_be_asked_with() {
        let lives = |claims: Value| lifetime(&Jwt::read(&token(claims)).unwrap());
        assert_eq!(lives(json!({"iat": 1_000, "nbf": 990, "exp": 1_300})), 300);
        assert_eq!(lives(json!({"nbf": 1_000, "exp": 1_300})), 300);
        for short in [
            json!({"iat": 1_000, "exp": 1_010}),
            json!({"exp": 1_010}),
            json!({"iat": 1_000}),
        ] {
            assert_eq!(lives(short), LEAST_LIFE);
        }
        assert_eq!(lives(json!({"iat": i64::MIN, "exp": i64::MAX})), FAR);
    }

    #[test]
    fn what_is_wrong_is_wrong_in_one_way() {
        let (token, signer) = (token(good()), Signer::new("http://idp/o").unwrap());
        let jwt = Jwt::read(&token).unwrap();
        let made = |way| read(&wrong(&jwt, way, &signer).unwrap()).1;
        let number = |claims: &Map<String, Value>, name: &str| claims[name].as_i64().unwrap();
        let expired = made(Forgery::Expired);
        assert!(number(&expired, "exp") < now() - 3_000 && number(&expired, "nbf") < number(&expired, "exp"));
        assert!(!expired.contains_key("iat"));
        let early = made(Forgery::NotYetValid);
        assert!(number(&early, "nbf") > now() + 3_000 && number(&early, "exp") > number(&early, "nbf"));
        assert_eq!(made(Forgery::InvalidIss)["aud"], "shop");
        assert_eq!(made(Forgery::InvalidAud)["iss"], "http://idp/o");
        assert_ne!(made(Forgery::InvalidAud)["aud"], "shop");
        assert_eq!(wrong(&jwt, Forgery::InvalidSig, &signer), None);
    }
}
