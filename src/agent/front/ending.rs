//! A service's own TLS, ended here instead of by the service, and begun anew towards it: what is said can be read then, and a
//! fault be answered over it.
//!
//! The service's certificate is taken as it is: which CA production's clients trust for it nobody here knows. So nothing of
//! it is tried while its TLS is ended here, and no client's certificate reaches the service.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};

use super::tls::{FrontTls, HANDSHAKE_LIMIT, server_config};
use crate::agent::load::trust::takes_any;

/// One handshake with the service.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

/// How a service's TLS is ended.
pub(super) struct Ending {
    config: Arc<ServerConfig>,
    connector: TlsConnector,
    /// What a client means that names nobody.
    service: String,
}

impl Ending {
    /// # Errors
    /// Certificate or key is not readable.
    pub(super) fn new(tls: &FrontTls, service: &str) -> Result<Self, String> {
        Ok(Self {
            config: Arc::new(server_config(tls)?),
            connector: takes_any()?,
            service: service.to_owned(),
        })
    }

    /// Both ends of a conversation. The service is asked first: what it refuses is refused to the client, too.
    ///
    /// # Errors
    /// Either of them ends the handshake.
    pub(super) async fn turn<C, S>(
        &self,
        client: C,
        service: S,
    ) -> Result<(server::TlsStream<C>, client::TlsStream<S>), Error>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let started = LazyConfigAcceptor::new(Acceptor::default(), client);
        let started = timeout(HANDSHAKE_LIMIT, started).await??;
        let named = started.client_hello().server_name().map(str::to_owned);
        let service = self.begin(service, named.as_deref()).await?;
        let client = timeout(HANDSHAKE_LIMIT, started.into_stream(Arc::clone(&self.config))).await??;
        Ok((client, service))
    }

    /// A client's end alone, and the name that it means.
    ///
    /// # Errors
    /// The client ends the handshake.
    pub(super) async fn accept<C>(&self, client: C) -> Result<server::TlsStream<C>, Error>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = LazyConfigAcceptor::new(Acceptor::default(), client);
        let started = timeout(HANDSHAKE_LIMIT, accepted).await??;
        timeout(HANDSHAKE_LIMIT, started.into_stream(Arc::clone(&self.config))).await?
    }

    /// TLS with the service, under the name that a client has named.
    ///
    /// # Errors
    /// The service ends the handshake.
    pub(super) async fn begin<S>(&self, service: S, named: Option<&str>) -> Result<client::TlsStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = named.unwrap_or(&self.service).to_owned();
        let name = ServerName::try_from(name).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
        timeout(BEGIN_LIMIT, self.connector.connect(name, service)).await?
    }
}
