//! TLS as a front speaks it: certificate, key and versions, and how long a handshake may take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// One handshake with a client. Long: on a machine at its limits a client takes its time, and a front that hangs up on it
/// would look like the candidate's fault.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(60);

/// How a name is answered to over TLS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontTls {
    /// Certificate chain, PEM.
    pub chain: String,
    /// Its key, PEM.
    pub key: String,
    /// Versions that are spoken, oldest first; at least one.
    pub protocols: Vec<Protocol>,
}

/// A version of TLS that the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// 1.2, RFC 5246.
    Tls12,
    /// 1.3, RFC 8446.
    Tls13,
}

impl fmt::Debug for FrontTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontTls")
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Protocol {
    /// As a lock has it: `TLSv1.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

/// How a name is answered to over TLS, as rustls has it.
///
/// # Errors
/// Certificate or key is not readable.
pub(super) fn server_config(tls: &FrontTls) -> Result<ServerConfig, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(tls.chain.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("its certificate is not readable: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
        .map_err(|error| format!("its key is not readable: {error}"))?;
    let version = |protocol: &Protocol| match protocol {
        Protocol::Tls12 => &TLS12,
        Protocol::Tls13 => &TLS13,
    };
    let versions: Vec<_> = tls.protocols.iter().map(version).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
