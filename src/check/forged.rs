//! Forged tokens: a good JSON web token, damaged in the ways in which a verifier must notice. Nothing here has the issuer's
//! private key; what only an issuer can make wrong is signed anew ([`resigned`](super::resigned)).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use serde::Serialize;
use serde_json::{Map, Value, json};
use strum::{Display, VariantArray};

/// In which way. The names are those of the conformance suite of OpenID Connect where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Forgery {
    /// No token at all.
    NoCredentials,
    /// Other claims under the same signature.
    AlteredPayload,
    /// Another signature.
    #[serde(rename = "invalid-sig-rs256")]
    #[strum(to_string = "invalid-sig-rs256")]
    InvalidSig,
    /// Half of it.
    CutSignature,
    /// None.
    EmptySignature,
    /// `alg: none`.
    #[serde(rename = "idtoken-sig-none")]
    #[strum(to_string = "idtoken-sig-none")]
    SigNone,
    /// HS256 keyed with the public key as PEM.
    Hs256Pem,
    /// … without its last line feed.
    Hs256PemWithoutLineFeed,
    /// … as DER.
    Hs256Der,
    /// … with nothing.
    Hs256EmptyKey,
    /// A good one that its issuer has taken back.
    Revoked,
    /// By an issuer's key, of a time that is over.
    Expired,
    /// By an issuer's key, of a time that has not begun.
    NotYetValid,
    /// By an issuer's key, in another issuer's name.
    InvalidIss,
    /// By an issuer's key, for somebody else.
    InvalidAud,
}

impl Forgery {
    /// As people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoCredentials => "no credentials",
            Self::AlteredPayload => "a token with altered claims",
            Self::InvalidSig => "a token with an altered signature",
            Self::CutSignature => "a token with half a signature",
            Self::EmptySignature => "a token with an empty signature",
            Self::SigNone => "a token with `alg: none`",
            Self::Hs256Pem | Self::Hs256PemWithoutLineFeed => "a token signed by HS256 with the public key (PEM)",
            Self::Hs256Der => "a token signed by HS256 with the public key (DER)",
            Self::Hs256EmptyKey => "a token signed by HS256 with an empty key",
            Self::Revoked => "a revoked token",
            Self::Expired => "an expired token",
            Self::NotYetValid => "a token that is not valid yet",
            Self::InvalidIss => "a token of another issuer",
            Self::InvalidAud => "a token for another audience",
        }
    }

    /// Only an issuer can make it.
    pub fn is_issuers(self) -> bool {
        matches!(
            self,
            Self::Expired | Self::NotYetValid | Self::InvalidIss | Self::InvalidAud
        )
    }
}

/// A token that can be taken apart.
pub struct Jwt<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    payload: &'a str,
    signature: &'a str,
    raw_header: &'a str,
}

impl<'a> Jwt<'a> {
    /// Reads a token; none where it is of another kind.
    pub fn read(token: &'a str) -> Option<Self> {
        let mut parts = token.split('.');
        let (raw_header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let object = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let jwt = Self {
            header: object(raw_header)?,
            claims: object(payload)?,
            payload,
            signature,
            raw_header,
        };
        let is_whole =
            token.is_ascii() && parts.next().is_none() && signature.len() > 1 && jwt.header.contains_key("alg");
        is_whole.then_some(jwt)
    }

    /// Who says that he has issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// How it says that it is signed.
    pub fn algorithm(&self) -> Option<&str> {
        self.header.get("alg")?.as_str()
    }

    pub(super) fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    fn kid(&self) -> Option<&str> {
        self.header.get("kid")?.as_str()
    }

    /// The token, forged; none where that cannot be done with this one.
    pub fn forged(&self, forgery: Forgery, key: Option<&PublicKey>) -> Option<String> {
        let (header, payload, signature) = (self.raw_header, self.payload, self.signature);
        let hs256 = |secret: &[u8]| Some(self.by_hs256(secret));
        match forgery {
            Forgery::NoCredentials | Forgery::Revoked => None,
            Forgery::Expired | Forgery::NotYetValid | Forgery::InvalidIss | Forgery::InvalidAud => None,
            Forgery::AlteredPayload => Some(format!("{header}.{}.{signature}", encoded(&self.altered()))),
            Forgery::InvalidSig => Some(format!("{header}.{payload}.{}", other(signature))),
            Forgery::CutSignature => Some(format!("{header}.{payload}.{}", &signature[..signature.len() / 2])),
            Forgery::EmptySignature => Some(format!("{header}.{payload}.")),
            Forgery::SigNone => Some(format!("{}.{payload}.", encoded(&self.with_alg("none")))),
            Forgery::Hs256Pem => hs256(key?.pem.as_bytes()),
            Forgery::Hs256PemWithoutLineFeed => hs256(key?.pem.trim_end().as_bytes()),
            Forgery::Hs256Der => hs256(&key?.der),
            Forgery::Hs256EmptyKey => hs256(&[]),
        }
    }

    /// Claims that mean the same, so that nothing but the signature can refuse them.
    fn altered(&self) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        claims.insert("altered".to_owned(), json!(true));
        claims
    }

    /// Under the real key's id.
    fn with_alg(&self, alg: &str) -> Map<String, Value> {
        let mut header = self.header.clone();
        header.insert("alg".to_owned(), json!(alg));
        header
    }

    fn by_hs256(&self, secret: &[u8]) -> String {
        let signed = format!("{}.{}", encoded(&self.with_alg("HS256")), self.payload);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }
}

pub(super) fn encoded(object: &Map<String, Value>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string())
}

/// Another letter in the middle: those at the end may bear bits that nobody reads.
fn other(signature: &str) -> String {
    let middle = signature.len() / 2;
    let letter = if signature[middle..].starts_with('A') { 'B' } else { 'A' };
    format!("{}{letter}{}", &signature[..middle], &signature[middle + 1..])
}

/// The public key that a token's signature is verified with.
pub struct PublicKey {
    der: Vec<u8>,
    /// With its last line feed.
    pem: String,
}

impl PublicKey {
    /// The key of a token among an issuer's: that of its `kid`, else the only one.
    ///
    /// # Errors
    /// Why there is none that can be written as PEM.
    pub fn of(jwt: &Jwt<'_>, jwks: &Value) -> Result<Self, String> {
        let none = Vec::new();
        let keys = jwks.get("keys").and_then(Value::as_array).unwrap_or(&none);
        let own = keys
            .iter()
            .find(|key| key.get("kid").and_then(Value::as_str) == jwt.kid());
        let key = own.or_else(|| keys.first().filter(|_| keys.len() == 1));
        let key = key.ok_or("the issuer's keys have none of the token's `kid`")?;
        Self::rsa(key).ok_or_else(|| "the issuer's key is not an RSA key that can be read".to_owned())
    }

    fn rsa(key: &Value) -> Option<Self> {
        let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok();
        let components = RsaPublicKeyComponents {
            n: part("n")?,
            e: part("e")?,
        };
        let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
        let der = der.as_ref().to_vec();
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let pem = pem::encode_config(&Pem::new("PUBLIC KEY", der.clone()), config);
        Some(Self { der, pem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: &str = "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw";

    fn token() -> String {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "RS256", "kid": "k"}));
        let claims = part(json!({"iss": "http://idp", "sub": "alice"}));
        format!("{header}.{claims}.{}", "s1gnature".repeat(20))
    }

    fn keys() -> Value {
        json!({"keys": [{"kty": "RSA", "kid": "k", "n": N, "e": "AQAB"}]})
    }

    #[test]
    fn each_forgery_is_another_token_that_says_the_same() {
        let token = token();
        let jwt = Jwt::read(&token).unwrap();
        let key = PublicKey::of(&jwt, &keys()).unwrap();
        let all = Forgery::VARIANTS.iter();
        let mut forged: Vec<String> = all.filter_map(|way| jwt.forged(*way, Some(&key))).collect();
        // Neither a stranger nor a revoked token is a forgery, and four are signed anew.
        assert_eq!(forged.len(), Forgery::VARIANTS.len() - 6);
        forged.push(token.clone());
        for one in &forged {
            let claims = one.split('.').nth(1).unwrap();
            let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
            assert_eq!(claims["sub"], "alice", "{one}");
        }
        forged.sort();
        forged.dedup();
        assert_eq!(forged.len(), Forgery::VARIANTS.len() - 5, "{forged:?}");
    }

    #[test]
    fn a_key_is_written_as_openssl_writes_it() {
        let token = token();
        let key = PublicKey::of(&Jwt::read(&token).unwrap(), &keys()).unwrap();
        assert!(
            key.pem
                .starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"),
            "{}",
            key.pem
        );
        assert!(key.pem.ends_with("-----END PUBLIC KEY-----\n"));
        assert!(key.pem.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn what_is_no_json_web_token_is_not_forged() {
        for token in ["opaque", "a.b.c", "", "..", "e30.e30.x"] {
            assert!(Jwt::read(token).is_none(), "{token}");
        }
    }
}
