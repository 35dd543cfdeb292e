//! What is said of a certificate: what decides whether a client takes it, and nothing that identifies a key.

use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::lock::facts::Certificate;
use crate::lock::probe::one_line;
use crate::lock::take::key_size::bits_of;

/// Names of one certificate: a provider for many may have hundreds.
const MAX_NAMES: usize = 100;

/// Reads one certificate, DER. What cannot be read is said, not left out: its place in the chain counts.
pub fn describe(der: &[u8]) -> Certificate {
    X509Certificate::from_der(der).map_or_else(|_| unreadable(), |(_, certificate)| of(&certificate))
}

fn unreadable() -> Certificate {
    Certificate {
        subject: "unreadable".to_owned(),
        signature: "unknown".to_owned(),
        aki: "unknown".to_owned(),
        ..Certificate::default()
    }
}

fn of(certificate: &X509Certificate<'_>) -> Certificate {
    let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
        let found = certificate
            .extensions()
            .iter()
            .any(|one| wanted(one.parsed_extension()));
        if found { "present" } else { "absent" }.to_owned()
    };
    let word = |text: String| one_line(&text).unwrap_or_else(|| "empty".to_owned());
    Certificate {
        subject: word(certificate.subject().to_string()),
        signature: signature(certificate),
        aki: has(|one| matches!(one, ParsedExtension::AuthorityKeyIdentifier(_))),
        ski: Some(has(|one| matches!(one, ParsedExtension::SubjectKeyIdentifier(_)))),
        issuer: Some(word(certificate.issuer().to_string())),
        key: key(certificate),
        names: names(certificate),
        not_after: certificate.validity().not_after.to_datetime().format(&Rfc3339).ok(),
    }
}

/// As OpenSSL names it, without the word that all of RSA's end with.
fn signature(certificate: &X509Certificate<'_>) -> String {
    let oid = certificate.signature_algorithm.oid();
    let name = oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
    name.trim_end_matches("Encryption").to_owned()
}

fn key(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => Some(format!("RSA {}", bits_of(rsa.modulus))),
        PublicKey::EC(point) => Some(format!("EC {}", point.key_size())),
        _ => {
            let oid = &key.algorithm.algorithm;
            Some(oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned))
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let of = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => one_line(name),
        GeneralName::IPAddress(bytes) => Some(match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => std::net::Ipv4Addr::from(four).to_string(),
            Err(_) => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string(),
        }),
        _ => None,
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(of)
        .take(MAX_NAMES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_keeps_its_place() {
        assert_eq!(describe(b"\x30\x03abc").subject, "unreadable");
    }

    #[test]
    fn a_certificate_is_described() {
        let key = rcgen::KeyPair::generate().expect("random bytes");
        let mut params = rcgen::CertificateParams::new(["login.example.com".to_owned()]).expect("a name");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "login\u{1b}[31m");
        let said = describe(params.self_signed(&key).expect("a certificate").der());
        assert_eq!(
            (said.signature.as_str(), said.key.as_deref()),
            ("ecdsa-with-SHA256", Some("EC 256"))
        );
        assert_eq!(
            (said.aki.as_str(), said.names),
            ("absent", vec!["login.example.com".to_owned()])
        );
        assert!(
            said.subject.starts_with("CN=login") && !said.subject.contains('\u{1b}'),
            "{}",
            said.subject
        );
        assert!(said.not_after.is_some());
    }
}
