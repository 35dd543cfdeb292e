//! Whom connections trust that the agent itself opens.

use std::sync::Arc;

use pem::parse_many;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::agent::unverified::Unverified;

/// Who is trusted.
pub(in crate::agent) struct Trust<'a> {
    /// Everybody.
    pub(in crate::agent) insecure: bool,
    /// Whomever these CAs know, PEM.
    pub(in crate::agent) ca: &'a [String],
}

/// For connections that trust so.
pub(in crate::agent) fn connector(trust: &Trust<'_>) -> Result<TlsConnector, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = if trust.insecure {
        let any = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified::of_today()));
        any.with_no_client_auth()
    } else {
        builder.with_root_certificates(roots(trust.ca)?).with_no_client_auth()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Any certificate is taken.
///
/// # Errors
/// TLS cannot be had.
pub(in crate::agent) fn takes_any() -> Result<TlsConnector, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified::of_today()));
    Ok(TlsConnector::from(Arc::new(builder.with_no_client_auth())))
}

fn roots(ca: &[String]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for text in ca {
        let all = parse_many(text).map_err(|error| format!("a CA is not readable PEM: {error}"))?;
        for one in all.iter().filter(|one| one.tag() == "CERTIFICATE") {
            let added = roots.add(CertificateDer::from(one.contents().to_vec()));
            added.map_err(|error| format!("a CA is no certificate: {error}"))?;
        }
    }
    Ok(roots)
}
