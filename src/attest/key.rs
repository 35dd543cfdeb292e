//! Keys: ECDSA on P-256 with SHA-256, as PEM files of PKCS#8 and of the public key alone.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pem::{EncodeConfig, LineEnding, Pem};
use sha2::{Digest as _, Sha256};

/// Mark of a private key's PEM.
const PRIVATE: &str = "PRIVATE KEY";
/// Mark of a public key's PEM.
const PUBLIC: &str = "PUBLIC KEY";

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment: `env:NAME`.
    Variable(String),
    /// Where everybody reads it: somebody gave the key itself. It is not kept, so that no error can show it.
    Itself,
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("env:") {
            Some(name) => Self::Variable(name.to_owned()),
            None if text.contains("-----BEGIN") => Self::Itself,
            None => Self::File(text.into()),
        })
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Variable(name) => write!(f, "the variable `{name}`"),
            Self::Itself => f.write_str("the command line"),
        }
    }
}

/// Why a text is no key of ours, and the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// It is no PEM, or of something else.
    #[error("it holds no {0} as PEM: make a pair with `rehearsal keygen`")]
    NotPem(&'static str),
    /// It has a passphrase.
    #[error(
        "it is encrypted, and nobody is there to ask for a passphrase: write it as `openssl pkcs8 -topk8 -nocrypt` does"
    )]
    Encrypted,
    /// It is a key in OpenSSL's old form.
    #[error("it is in OpenSSL's old form: write it as `openssl pkcs8 -topk8 -nocrypt` does")]
    OldForm,
    /// The private key was given where the public one is enough.
    #[error("it holds a private key: give the public one, and keep the private key where runs sign")]
    PrivateForPublic,
    /// It is a key of another kind.
    #[error("it is no key for ECDSA on P-256: make a pair with `rehearsal keygen`")]
    OtherKind,
}

/// Signs verdicts.
#[derive(Debug)]
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, Unspecified> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// The text is no such key.
    pub fn from_pem(text: &str) -> Result<Self, NoKey> {
        let pem = pem::parse(text).map_err(|_| NoKey::NotPem("private key"))?;
        let read = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pem.contents());
        match pem.tag() {
            PRIVATE => read().map(Self).map_err(|_| NoKey::OtherKind),
            "ENCRYPTED PRIVATE KEY" => Err(NoKey::Encrypted),
            "EC PRIVATE KEY" => Err(NoKey::OldForm),
            _ => Err(NoKey::NotPem("private key")),
        }
    }

    /// PKCS#8, PEM.
    ///
    /// # Errors
    /// The library cannot write it.
    pub fn to_pem(&self) -> Result<String, Unspecified> {
        let der = self.0.to_pkcs8v1()?;
        Ok(text(PRIVATE, der.as_ref()))
    }

    /// A signature, ASN.1 DER.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let signature = self.0.sign(&SystemRandom::new(), message)?;
        Ok(signature.as_ref().to_vec())
    }

    /// What verifies its signatures.
    ///
    /// # Errors
    /// The library cannot write it.
    pub fn public(&self) -> Result<VerifyingKey, Unspecified> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der()?;
        VerifyingKey::from_der(der.as_ref()).map_err(|_| Unspecified)
    }
}

/// Verifies signatures of verdicts.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    key: ParsedPublicKey,
    /// `SubjectPublicKeyInfo`, DER.
    der: Vec<u8>,
}

/// It was not this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotByThisKey;

impl VerifyingKey {
    fn from_der(der: &[u8]) -> Result<Self, NoKey> {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).map_err(|_| NoKey::OtherKind)?;
        let canonical: PublicKeyX509Der<'_> = key.as_der().map_err(|_| NoKey::OtherKind)?;
        let der = canonical.as_ref().to_vec();
        Ok(Self { key, der })
    }

    /// Reads one.
    ///
    /// # Errors
    /// The text is no such key.
    pub fn from_pem(text: &str) -> Result<Self, NoKey> {
        let pem = pem::parse(text).map_err(|_| NoKey::NotPem("public key"))?;
        match pem.tag() {
            PUBLIC => Self::from_der(pem.contents()),
            tag if tag.ends_with(PRIVATE) => Err(NoKey::PrivateForPublic),
            _ => Err(NoKey::NotPem("public key")),
        }
    }

    /// `SubjectPublicKeyInfo`, PEM.
    pub fn to_pem(&self) -> String {
        text(PUBLIC, &self.der)
    }

    /// By which a bundle says whose key it is: the SHA-256 of the key in Base64. It proves nothing.
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.der))
    }

    /// Whether this key signed the message.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), NotByThisKey> {
        self.key.verify_sig(message, signature).map_err(|_| NotByThisKey)
    }
}

/// PEM as openssl writes it.
fn text(mark: &str, der: &[u8]) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(mark, der), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_was_written_is_read_as_the_same() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let public = VerifyingKey::from_pem(&key.public().unwrap().to_pem()).unwrap();
        let signature = again.sign(b"deploy").unwrap();
        assert_eq!(public.verify(b"deploy", &signature), Ok(()));
        assert_eq!(public.verify(b"deploz", &signature), Err(NotByThisKey));
        assert_eq!(public.hint(), again.public().unwrap().hint());
    }

    #[test]
    fn what_is_no_key_of_ours_says_the_way_out() {
        let key = SigningKey::generate().unwrap();
        let (private, public) = (key.to_pem().unwrap(), key.public().unwrap().to_pem());
        let named = |mark: &str| pem::encode(&Pem::new(mark, vec![1, 2, 3]));
        let signing = |text: &str| SigningKey::from_pem(text).err();
        let verifying = |text: &str| VerifyingKey::from_pem(text).err();
        assert_eq!(signing(&public), Some(NoKey::NotPem("private key")));
        assert_eq!(signing(&named("EC PRIVATE KEY")), Some(NoKey::OldForm));
        assert_eq!(signing(&named("ENCRYPTED PRIVATE KEY")), Some(NoKey::Encrypted));
        assert_eq!(signing(&named(PRIVATE)), Some(NoKey::OtherKind));
        assert_eq!(verifying(&private), Some(NoKey::PrivateForPublic));
        assert_eq!(verifying(&named(PUBLIC)), Some(NoKey::OtherKind));
        assert_eq!(verifying("x"), Some(NoKey::NotPem("public key")));
        assert_eq!(verifying(&named("CERTIFICATE")), Some(NoKey::NotPem("public key")));
    }

    #[test]
    fn a_key_of_another_curve_is_refused() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let private = SigningKey::from_pem(&other.serialize_pem()).err();
        let public = VerifyingKey::from_pem(&other.public_key_pem()).err();
        assert_eq!((private, public), (Some(NoKey::OtherKind), Some(NoKey::OtherKind)));
    }

    #[test]
    fn a_key_is_in_a_file_or_in_a_variable() {
        let read = |text: &str| text.parse::<KeySource>().unwrap();
        assert_eq!(read("env:KEY"), KeySource::Variable("KEY".to_owned()));
        assert_eq!(read("keys/rehearsal.key"), KeySource::File("keys/rehearsal.key".into()));
        assert_eq!(read("-----BEGIN PRIVATE KEY-----"), KeySource::Itself);
    }
}
