//! The run's CA: made when a run begins, gone when it ends, trusted by nothing outside the mirror. It signs the names
//! of production that the mirror answers to.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize,
};
use time::{Duration, OffsetDateTime};

use crate::agent::front::Protocol;

/// A run's CA.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    subject: String,
    profile: TlsProfile,
}

/// How the mirror speaks TLS under production's name: what makes a client get along with a server or not, as far as we
/// can follow production in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProfile {
    /// Versions, oldest first; at least one.
    pub protocols: Vec<Protocol>,
    /// Type of the server's key.
    pub key: KeyType,
    /// Type of the authority's key, and so of the signature.
    pub signer: KeyType,
    /// Whether the certificate names its authority's key (RFC 5280, 4.2.1.1). Python since 3.13 refuses one that does not.
    pub aki: bool,
}

impl Default for TlsProfile {
    /// What every client of today gets along with.
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::Tls12, Protocol::Tls13],
            key: KeyType::Ec256,
            signer: KeyType::Ec256,
            aki: true,
        }
    }
}

/// Keys that we can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// NIST P-256.
    Ec256,
    /// NIST P-384.
    Ec384,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

impl KeyType {
    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        match self {
            Self::Ec256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::Ec384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
        }
    }
}

/// What a server needs to answer under a name, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The server's certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A new CA for a run, whose certificates are of this profile.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(run: &str, profile: TlsProfile) -> Result<Self> {
        let subject = format!("rehearsal run {run}").to_lowercase();
        let mut params = dated(CertificateParams::default());
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject.as_str());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = profile.signer.generate().context("the run's CA could not be made")?;
        let issuer = CertifiedIssuer::self_signed(params, key).context("the run's CA could not be made")?;
        Ok(Self {
            issuer,
            subject,
            profile,
        })
    }

    /// How a server that it certifies speaks TLS.
    pub fn profile(&self) -> &TlsProfile {
        &self.profile
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// The file name under which OpenSSL looks for it in a directory of CAs: a hash of its subject.
    pub fn hashed_name(&self) -> String {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical(&self.subject));
        let number = hash
            .as_ref()
            .iter()
            .take(4)
            .rev()
            .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        format!("{number:08x}.0")
    }

    /// Certificate and key for one name.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn certify(&self, host: &str) -> Result<Identity> {
        self.certify_all(host, &[host.to_owned()])
    }

    /// Certificate and key for several names of one server, which is called by one of them.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn certify_all(&self, called: &str, hosts: &[String]) -> Result<Identity> {
        let why = || format!("`{called}` could not be given a certificate");
        let mut params = dated(CertificateParams::new(hosts).with_context(why)?);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, called.chars().take(64).collect::<String>());
        params.use_authority_key_identifier_extension = self.profile.aki;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = self.profile.key.generate().with_context(why)?;
        let leaf = params.signed_by(&key, &self.issuer).with_context(why)?;
        Ok(Identity {
            chain: leaf.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Clocks inside the mirror may be off: valid from a month ago, for a year.
fn dated(mut params: CertificateParams) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(30);
    params.not_after = now + Duration::days(365);
    params
}

/// OpenSSL's canonical form of a subject that is one common name, in lower case with single spaces: the encoded
/// set of that name, without the sequence around it.
fn canonical(name: &str) -> Vec<u8> {
    let tagged = |tag: u8, inner: &[u8]| {
        // Names are short: the one-byte form of a length always does.
        let length = u8::try_from(inner.len()).unwrap_or(0x7f).min(0x7f);
        [&[tag, length], inner].concat()
    };
    let common_name = [tagged(0x06, &[0x55, 0x04, 0x03]), tagged(0x0c, name.as_bytes())].concat();
    tagged(0x31, &tagged(0x30, &common_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn openssl(words: &[&str], input: &str) -> String {
        let command = Command::new("openssl")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = command.expect("openssl is installed where these tests run");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn openssl_hashes_the_subject_to_the_same_name() {
        let authority = Authority::new("0a1B2c", TlsProfile::default()).unwrap();
        let hash = openssl(&["x509", "-noout", "-subject_hash"], &authority.pem());
        assert_eq!(format!("{}.0", hash.trim()), authority.hashed_name());
    }

    /// What OpenSSL says of a certificate for `login.example.com` under its strictest rules, and of its inside.
    fn judged(profile: TlsProfile) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("run", profile).unwrap();
        let (ca, leaf) = (folder.path().join("ca.pem"), folder.path().join("leaf.pem"));
        std::fs::write(&ca, authority.pem()).unwrap();
        std::fs::write(&leaf, authority.certify("login.example.com").unwrap().chain).unwrap();
        let (ca, leaf) = (ca.display().to_string(), leaf.display().to_string());
        let rules = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname"];
        let files = ["login.example.com", "-CAfile", &ca, &leaf];
        let verdict = openssl(&[&rules[..], &files[..]].concat(), "");
        (verdict, openssl(&["x509", "-noout", "-text", "-in", &leaf], ""))
    }

    #[test]
    fn openssl_accepts_the_chain_under_its_strictest_rules() {
        let (said, _) = judged(TlsProfile::default());
        assert!(said.trim_end().ends_with(": OK"), "{said}");
    }

    #[test]
    fn a_certificate_has_productions_key_and_signature() {
        let profile = TlsProfile {
            key: KeyType::Ec384,
            signer: KeyType::Rsa2048,
            ..TlsProfile::default()
        };
        let (said, text) = judged(profile);
        assert!(said.trim_end().ends_with(": OK"), "{said}");
        assert!(text.contains("Public-Key: (384 bit)"), "{text}");
        assert!(text.contains("sha256WithRSAEncryption"), "{text}");
    }

    #[test]
    fn a_certificate_without_its_authoritys_key_identifier_is_refused_by_who_refuses_productions() {
        let profile = TlsProfile {
            aki: false,
            ..TlsProfile::default()
        };
        let (said, text) = judged(profile);
        assert!(!said.trim_end().ends_with(": OK"), "{said}");
        assert!(!text.contains("Authority Key Identifier"), "{text}");
    }

    #[test]
    fn two_runs_have_two_authorities() {
        let of = |run| Authority::new(run, TlsProfile::default()).unwrap().pem();
        assert_ne!(of("a"), of("b"));
    }
}
