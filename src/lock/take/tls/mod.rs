//! How production speaks TLS: which versions it accepts, what chain it serves, and whether this machine trusts that.
//! Handshakes and nothing else; no request is sent. A chain that nobody trusts is read all the same, and said to be so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::future::try_join_all;
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, SignatureScheme};
use url::{Host, Url};

use crate::agent::resolver::Resolver;
use crate::agent::unverified::Unverified;
use crate::lock::facts::{TlsFacts, Trust};

mod certificate;
mod hello;

use hello::{Hello, VERSIONS, Version};

/// For one handshake.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads how the server of an `https` URL speaks TLS.
///
/// # Errors
/// It cannot be reached, or does not speak TLS in any version.
pub(super) async fn read(url: &Url, ca: Option<&[u8]>, names: &Resolver) -> Result<TlsFacts> {
    let server = Server::of(url, names).await?;
    let asked = try_join_all(VERSIONS.map(|version| server.ask(version))).await?;
    let accepted: Vec<(Version, Hello)> = VERSIONS
        .into_iter()
        .zip(asked)
        .filter_map(|(version, hello)| Some((version, hello?)))
        .collect();
    ensure!(!accepted.is_empty(), "`{}` accepts no version of TLS", server.host);
    let chain = match server.chain().await {
        Some(chain) => chain,
        None => in_the_clear(&accepted),
    };
    Ok(TlsFacts {
        protocols: accepted.iter().map(|(version, _)| version.0.to_owned()).collect(),
        trust: trust(&chain, &server.host, ca)?,
        chain: chain.iter().map(|one| certificate::describe(one)).collect(),
    })
}

/// From the newest version that shows it, where the server is too old for our library.
fn in_the_clear(accepted: &[(Version, Hello)]) -> Vec<CertificateDer<'static>> {
    let shown = accepted.iter().rev().find(|(_, hello)| !hello.chain.is_empty());
    let chain = shown.map(|(_, hello)| hello.chain.clone()).unwrap_or_default();
    chain.into_iter().map(CertificateDer::from).collect()
}

/// Whether this machine, with the CA that it is given beside its own, takes the chain for that host.
fn trust(chain: &[CertificateDer<'_>], host: &str, ca: Option<&[u8]>) -> Result<Trust> {
    let Some((first, others)) = chain.split_first() else {
        return Ok(Trust::Unknown);
    };
    let extra: Result<Vec<_>, _> = ca.map(CertificateDer::pem_slice_iter).into_iter().flatten().collect();
    let extra = extra.context("the CA file is not readable PEM")?;
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("`{host}` is no host name"))?;
    let judged = Verifier::new_with_extra_roots(extra, Arc::new(default_provider()))
        .and_then(|judge| judge.verify_server_cert(first, others, &name, &[], UnixTime::now()));
    Ok(match judged {
        Ok(_) => Trust::Yes,
        Err(error) => Trust::No(words(&error)),
    })
}

/// Without dates and names, which the lock has elsewhere and which would differ every time.
fn words(error: &Error) -> String {
    use CertificateError as Bad;
    let Error::InvalidCertificate(why) = error else {
        return error.to_string();
    };
    let known = match why {
        Bad::Expired | Bad::ExpiredContext { .. } => "it has expired",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not valid yet",
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "it is for another name",
        Bad::UnknownIssuer => "unknown issuer",
        Bad::Revoked => "it is revoked",
        Bad::BadSignature => "a signature in it is wrong",
        Bad::UnsupportedSignatureAlgorithmContext { .. }
        | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => "its keys or signatures are too weak",
        other => return other.to_string(),
    };
    known.to_owned()
}

/// Where TLS is asked for.
struct Server {
    /// Name or address, as certificates have it.
    host: String,
    /// The name, where it is one: servers choose their certificate by it.
    named: bool,
    address: SocketAddr,
}

impl Server {
    async fn of(url: &Url, names: &Resolver) -> Result<Self> {
        let host = url.host_str().context("the issuer has no host")?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().context("the issuer has no port")?;
        let mut last = anyhow!("`{host}` has no address");
        for address in names.addresses(&host).await.map_err(anyhow::Error::msg)? {
            let address = SocketAddr::new(address, port);
            match connect(address).await {
                Ok(_) => {
                    let named = matches!(url.host(), Some(Host::Domain(_)));
                    return Ok(Self { host, named, address });
                }
                Err(error) => last = error.context(format!("`{host}` does not answer")),
            }
        }
        Err(last)
    }

    async fn ask(&self, version: Version) -> Result<Option<Hello>> {
        let stream = connect(self.address).await?;
        let name = self.named.then_some(self.host.as_str());
        let asked = timeout(LIMIT, hello::ask(stream, name, version)).await;
        let asked = asked.map_err(|_| anyhow!("no answer to a handshake within {} s", LIMIT.as_secs()))?;
        asked.with_context(|| format!("`{}` was asked for {}", self.host, version.0))
    }

    /// As a client of today is given it; `None` where the two do not come together.
    async fn chain(&self) -> Option<Vec<CertificateDer<'static>>> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified::with(&OLD)))
            .with_no_client_auth();
        let name = ServerName::try_from(self.host.clone()).ok()?;
        let stream = connect(self.address).await.ok()?;
        let shaken = timeout(LIMIT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
        let stream = shaken.ok()?.ok()?;
        let (_, session) = stream.get_ref();
        let owned = |chain: &[CertificateDer<'_>]| chain.iter().map(|one| one.clone().into_owned()).collect();
        session.peer_certificates().map(owned)
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connected = timeout(LIMIT, TcpStream::connect(address)).await;
    let connected = connected.map_err(|_| anyhow!("no connection to {address} within {} s", LIMIT.as_secs()))?;
    connected.with_context(|| format!("no connection to {address}"))
}

/// Signatures of old servers: a chain is looked at without being judged, and nothing is sent over such a connection.
const OLD: [SignatureScheme; 2] = [SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy];
