//! The issuer's keys of a run's own: the first is made when a run begins, all are gone when it ends. Where the configuration
//! asks for it, its public half stands among the keys that the authentication dependency shows in the mirror, so that a token
//! can be signed here that a release takes for the issuer's. Others take its place where keys are rotated.

use std::fmt;

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::agent::front::issuer::IssuerCall;

/// Signs as the issuer does.
pub struct Signer {
    key: KeyPair,
    issuer: String,
    kid: String,
    /// Modulus and exponent, as a JSON web key has them.
    public: (String, String),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.issuer)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// How it signs (RFC 7518, section 3.1).
    pub const ALGORITHM: &str = "RS256";

    /// A new key beside an issuer's own; `issuer`: its URL, as production names it.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(issuer: &str) -> Result<Self> {
        let failed = "the issuer's key of the run's own could not be made";
        let key = KeyPair::generate(KeySize::Rsa2048).context(failed)?;
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().context(failed)?;
        let public = components(der.as_ref()).context(failed)?;
        let kid: String = Sha256::digest(der.as_ref())
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            key,
            issuer: issuer.to_owned(),
            kid: format!("rehearsal-{kid}"),
            public,
        })
    }

    /// The id of its key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half, as an issuer shows it.
    pub fn public(&self) -> Value {
        let (n, e) = &self.public;
        json!({"kty": "RSA", "use": "sig", "alg": Self::ALGORITHM, "kid": self.kid, "n": n, "e": e})
    }

    /// Another key beside the same issuer's own.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn another(&self) -> Result<Self> {
        Self::new(&self.issuer)
    }

    /// What the fronts show.
    pub fn call(&self) -> IssuerCall {
        IssuerCall {
            issuer: self.issuer.clone(),
            keys: vec![self.public()],
        }
    }

    /// The signature of a token; `None` where the library fails.
    pub fn sign(&self, signed: &str) -> Option<String> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        let made = self
            .key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature);
        made.ok().map(|()| BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Modulus and exponent of a `SubjectPublicKeyInfo`.
fn components(der: &[u8]) -> Option<(String, String)> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
    let PublicKey::RSA(key) = info.parsed().ok()? else {
        return None;
    };
    // ASN.1's integers have a sign, a JSON web key's have none.
    let unsigned = |bytes: &[u8]| {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(&bytes[first..])
    };
    Some((unsigned(key.modulus), unsigned(key.exponent)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    #[test]
    fn whoever_has_the_public_key_knows_its_signatures_and_no_others() {
        let signer = Signer::new("http://idp/o").unwrap();
        let shown = signer.public();
        let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(shown[name].as_str().unwrap()).unwrap();
        let key = RsaPublicKeyComponents {
            n: part("n"),
            e: part("e"),
        };
        assert_eq!((key.n.len(), key.e.as_slice()), (256, [1, 0, 1].as_slice()));
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signer.sign("a.b").unwrap()).unwrap();
        let verified = |said: &str| key.verify(&RSA_PKCS1_2048_8192_SHA256, said.as_bytes(), &signature);
        assert!(verified("a.b").is_ok());
        assert!(verified("a.c").is_err());
    }

    #[test]
    fn each_run_has_another_key_under_a_name_of_its_own() {
        let (one, other) = (Signer::new("http://idp").unwrap(), Signer::new("http://idp").unwrap());
        assert_ne!(one.kid(), other.kid());
        assert!(one.kid().starts_with("rehearsal-"));
        assert!(!format!("{one:?}").contains("key:"));
    }
}
