//! Production's TLS in the mirror: where the mirror answers under production's own name, it speaks TLS as the lock says
//! production does. Old versions, weak hashes and longer chains we cannot make; the table says so.

use crate::agent::front::Protocol;
use crate::lock::compare::row;
use crate::lock::{Certificate, TlsFacts};
use crate::mirror::names::authority::{KeyType, TlsProfile};
use crate::record::fidelity::{Fidelity, FidelityState};

/// The nearest form to production's; the usual one where nothing is known.
pub fn profile(production: &TlsFacts) -> TlsProfile {
    let usual = TlsProfile::default();
    let spoken = |protocol: &Protocol| production.protocols.contains(&protocol.to_string());
    let protocols: Vec<Protocol> = usual.protocols.iter().copied().filter(spoken).collect();
    let server = production.chain.first();
    let signer = server.map_or(usual.signer, |server| signer(&server.signature));
    TlsProfile {
        protocols: if protocols.is_empty() {
            usual.protocols
        } else {
            protocols
        },
        key: server.and_then(|server| key(server.key.as_deref()?)).unwrap_or(signer),
        signer,
        // One that signed itself has no authority whose key it could name; ours has.
        aki: server.is_none_or(|server| server.aki != "absent" || is_self_signed(server)),
    }
}

fn is_self_signed(certificate: &Certificate) -> bool {
    certificate.issuer.as_ref() == Some(&certificate.subject)
}

fn signer(signature: &str) -> KeyType {
    let signature = signature.to_ascii_lowercase();
    match (signature.contains("rsa"), signature.contains("384")) {
        // `ecdsa` has no `rsa` in it.
        (true, _) => KeyType::Rsa2048,
        (false, true) => KeyType::Ec384,
        (false, false) => KeyType::Ec256,
    }
}

/// `RSA 2048`, `EC 256`: the next that is not smaller, or the largest.
fn key(words: &str) -> Option<KeyType> {
    let (kind, bits) = words.split_once(' ')?;
    let bits: u32 = bits.parse().ok()?;
    match (kind, bits) {
        ("RSA", ..=2048) => Some(KeyType::Rsa2048),
        ("RSA", 2049..=3072) => Some(KeyType::Rsa3072),
        ("RSA", _) => Some(KeyType::Rsa4096),
        ("EC", ..=256) => Some(KeyType::Ec256),
        ("EC", _) => Some(KeyType::Ec384),
        _ => None,
    }
}

/// The rows of the fidelity table for the service behind production's name. What is not followed is a stand-in: known
/// to be another's, and never a reason to stop.
pub fn rows(service: &str, production: &TlsFacts, profile: &TlsProfile) -> Vec<Fidelity> {
    let mut rows = Vec::new();
    let mut add = |fact: &str, production: String, mirror: String| {
        let state = if production == mirror {
            FidelityState::Same
        } else {
            FidelityState::StandIn
        };
        rows.push(row(service, fact, Some(production), Some(mirror), state));
    };
    if !production.protocols.is_empty() {
        let ours: Vec<String> = profile.protocols.iter().map(Protocol::to_string).collect();
        add("tls protocols", production.protocols.join(", "), ours.join(", "));
    }
    if let Some(server) = production.chain.first() {
        let ours = certificate(profile, server);
        add("tls certificate", words(server), words(&ours));
    }
    rows
}

/// Our own, as far as the lock describes production's.
fn certificate(profile: &TlsProfile, production: &Certificate) -> Certificate {
    Certificate {
        signature: signature_of(profile.signer).to_owned(),
        key: production.key.as_ref().map(|_| key_words(profile.key).to_owned()),
        aki: if profile.aki { "present" } else { "absent" }.to_owned(),
        ..Certificate::default()
    }
}

fn words(certificate: &Certificate) -> String {
    let Certificate {
        key, signature, aki, ..
    } = certificate;
    let key = key.as_ref().map(|key| format!("{key}, ")).unwrap_or_default();
    format!("{key}{signature}, authority key identifier {aki}")
}

fn signature_of(signer: KeyType) -> &'static str {
    match signer {
        KeyType::Ec256 => "ecdsa-with-SHA256",
        KeyType::Ec384 => "ecdsa-with-SHA384",
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => "sha256WithRSA",
    }
}

fn key_words(key: KeyType) -> &'static str {
    match key {
        KeyType::Ec256 => "EC 256",
        KeyType::Ec384 => "EC 384",
        KeyType::Rsa2048 => "RSA 2048",
        KeyType::Rsa3072 => "RSA 3072",
        KeyType::Rsa4096 => "RSA 4096",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn production(protocols: &[&str], key: &str, signature: &str, aki: &str) -> TlsFacts {
        let server = Certificate {
            subject: "CN=login".to_owned(),
            issuer: Some("CN=ca".to_owned()),
            key: Some(key.to_owned()),
            signature: signature.to_owned(),
            aki: aki.to_owned(),
            ..Certificate::default()
        };
        TlsFacts {
            protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
            chain: vec![server],
            ..TlsFacts::default()
        }
    }

    fn states(production: &TlsFacts) -> Vec<String> {
        let rows = rows("idp", production, &profile(production));
        rows.into_iter().map(|row| row.state.to_string()).collect()
    }

    #[test]
    fn what_production_speaks_is_spoken() {
        let old = production(&["TLSv1.2"], "RSA 2048", "sha256WithRSA", "absent");
        let followed = TlsProfile {
            protocols: vec![Protocol::Tls12],
            key: KeyType::Rsa2048,
            signer: KeyType::Rsa2048,
            aki: false,
        };
        assert_eq!(profile(&old), followed);
        assert_eq!(states(&old), ["same", "same"]);
        let new = production(&["TLSv1.2", "TLSv1.3"], "EC 384", "ecdsa-with-SHA384", "present");
        assert_eq!(
            (profile(&new).key, profile(&new).signer),
            (KeyType::Ec384, KeyType::Ec384)
        );
        assert_eq!(states(&new), ["same", "same"]);
    }

    #[test]
    fn what_we_cannot_speak_is_a_stand_in() {
        let oldest = production(&["TLSv1", "TLSv1.1"], "RSA 1024", "sha1WithRSA", "present");
        assert_eq!(profile(&oldest).protocols, TlsProfile::default().protocols);
        assert_eq!(states(&oldest), ["stand-in", "stand-in"]);
    }

    #[test]
    fn a_certificate_that_signed_itself_has_nobody_to_name() {
        let mut alone = production(&["TLSv1.3"], "EC 256", "ecdsa-with-SHA256", "absent");
        alone.chain[0].issuer = Some("CN=login".to_owned());
        assert!(profile(&alone).aki);
    }

    #[test]
    fn what_the_lock_does_not_say_has_no_row() {
        assert!(states(&TlsFacts::default()).is_empty());
        assert_eq!(profile(&TlsFacts::default()), TlsProfile::default());
    }
}
