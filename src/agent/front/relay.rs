//! Relays: the agent answers under a service's own names, and every byte is passed on to the service as it came, and
//! back. Whatever is spoken passes: TLS that the service ends, upgrades, HTTP/2, LDAP. What is understood is read along.
//!
//! A port is open while the service listens there, and closed while it does not, as it is without us: whoever waits for a
//! port must not be taken in.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::breaking::{HANDSHAKE, unbroken};
use super::calls::{Calls, Carried};
use super::ending::Ending;
use super::fault::{Fault, Faults, Stand, pause};
use super::http_watch::is_http;
use super::issuer::Ours;
use super::ldap_refusal::{self, Refusal};
use super::observer::{Observed, Observer};
use super::proxy::{Handler, with_words};
use super::tls::{FrontTls, HANDSHAKE_LIMIT};
use crate::agent::first_words;
use crate::agent::listen::listen_at;
use crate::agent::resolver::Resolver;
use crate::agent::session::lock;

/// One connection to the service takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Between two questions whether a service listens, while it does not.
const PAUSE: Duration = Duration::from_millis(50);
/// A client that has said nothing for so long may wait for the service to speak first.
const SILENT: Duration = Duration::from_millis(100);
/// What is read at a time.
const BUFFER: usize = 64 * 1024;
/// The first byte of every message of LDAP.
const SEQUENCE: u8 = 0x30;

/// A service that is reached through us, at one port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RelayCall {
    /// The service, by production's name.
    pub service: String,
    /// The name of ours that it bears behind us.
    pub reached_at: String,
    /// The port, here and there.
    pub port: u16,
    /// What is spoken there.
    pub transport: Transport,
    /// How the service's own TLS is ended by us; `None` = it passes as it comes.
    pub ends_tls: Option<FrontTls>,
}

/// What carries a service's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A relay that is kept open.
pub(super) struct Relay {
    call: RelayCall,
    resolver: Resolver,
    calls: Calls,
    /// How the service's own TLS is ended, if it is.
    ends: Option<Arc<Ending>>,
    /// Who answers over HTTP while a fault stands between us and the service.
    http: Handler,
    /// Whether its port is open.
    pub(super) open: watch::Sender<bool>,
    /// Where a service has several containers, they take turns, as with the engine's DNS.
    turn: AtomicUsize,
}

impl Relay {
    pub(super) fn new(call: RelayCall, resolver: Resolver, calls: Calls, keys: Option<&Ours>) -> Result<Self, String> {
        let RelayCall {
            service,
            reached_at,
            port,
            ends_tls,
            ..
        } = &call;
        let ends = ends_tls.as_ref().map(|tls| Ending::new(tls, service)).transpose()?;
        let http = Handler::of_service(service, reached_at, *port, resolver.clone(), calls.clone()).showing(keys);
        Ok(Self {
            call,
            resolver,
            calls,
            ends: ends.map(Arc::new),
            http,
            open: watch::Sender::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// Whose port it is.
    pub(super) fn service(&self) -> &str {
        &self.call.service
    }

    /// Follows the service: listens while it does, and no fault stands against that.
    pub(super) async fn stand(self: Arc<Self>, own: Vec<Ipv4Addr>) {
        let faults = self.calls.faults().clone();
        loop {
            self.comes_up(&faults).await;
            while self.connect().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            if faults.is_down(&self.call.service) {
                continue;
            }
            // A port that cannot be had now is asked for again.
            if let Ok(listeners) = listen_at(&own, self.call.port).await {
                self.open.send_replace(true);
                let each = listeners
                    .into_iter()
                    .map(|listener| Box::pin(self.clone().accept(listener)));
                tokio::select! {
                    _ = futures_util::future::select_all(each) => {}
                    () = self.goes_down(&faults) => {}
                }
                self.open.send_replace(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn goes_down(&self, faults: &Faults) {
        let mut changes = faults.changes();
        while !faults.is_down(&self.call.service) {
            changes.next().await;
        }
    }

    async fn comes_up(&self, faults: &Faults) {
        let mut changes = faults.changes();
        while faults.is_down(&self.call.service) {
            changes.next().await;
        }
    }

    /// Takes clients until the service takes none.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let (closed, mut closes) = tokio::sync::mpsc::channel(1);
        loop {
            tokio::select! {
                _ = closes.recv() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let (relay, closed) = (self.clone(), closed.clone());
                        tokio::spawn(async move {
                            if !relay.serve(stream, peer.ip().to_canonical()).await {
                                // Full = it is told already.
                                let _told = closed.try_send(());
                            }
                        });
                    }
                    // Too many open files: those that are open end.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
    }

    /// One client; whether the service took it.
    async fn serve(&self, mut stream: TcpStream, peer: IpAddr) -> bool {
        let stand = self.calls.faults().of(self.service());
        if stand.is_faulty(peer) {
            if let Some((said, _)) = self.first_words(&mut stream).await {
                self.meet(&stand, said, stream, peer).await;
            }
            return true;
        }
        let Ok(behind) = self.connect().await else {
            // As the service's own machine would.
            let _reset = stream.set_zero_linger();
            return false;
        };
        let _delays = (stream.set_nodelay(true), behind.set_nodelay(true));
        match &self.ends {
            Some(ends) if begins_tls(&stream, &behind).await => self.end_tls(ends, &stand, stream, behind, peer).await,
            _ if !self.http.is_issuer() => self.carry_on(&stand, stream, behind, (peer, Carried::Clear)).await,
            _ => {
                if let Some((said, _)) = self.first_words(&mut stream).await {
                    self.answer_or_carry(&self.http, &stand, (said, stream), behind, peer)
                        .await;
                }
            }
        }
        true
    }

    /// What a client says first, and the host that it means; nothing of both where the service speaks first. `None` where
    /// neither says anything.
    pub(super) async fn first_words(&self, stream: &mut TcpStream) -> Option<(Vec<u8>, Option<String>)> {
        let is_silent = timeout(SILENT, stream.peek(&mut [0])).await.is_err();
        if is_silent && self.speaks_before(stream).await {
            return Some((Vec::new(), None));
        }
        timeout(HANDSHAKE_LIMIT, first_words::read(stream)).await.ok().flatten()
    }

    /// The service greets whoever comes, as those of mail and of databases do, before this client says anything.
    async fn speaks_before(&self, client: &TcpStream) -> bool {
        let Ok(behind) = self.connect().await else {
            return false;
        };
        let (mut greeting, mut asked) = ([0], [0]);
        tokio::select! {
            greeted = behind.peek(&mut greeting) => greeted.is_ok_and(|length| length > 0),
            _ = client.peek(&mut asked) => false,
            () = tokio::time::sleep(HANDSHAKE_LIMIT) => false,
        }
    }

    /// One client over TLS that ends here.
    async fn end_tls(
        &self,
        ends: &Arc<Ending>,
        stand: &Stand,
        client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        behind: TcpStream,
        peer: IpAddr,
    ) {
        match ends.turn(client, behind).await {
            Ok((client, behind)) => {
                let http = self.http.over_tls(ends);
                self.answer(&http, stand, client, behind, peer).await;
            }
            // Whichever of them ended it: nothing was said that could be kept.
            Err(_) => self.calls.broken(peer, self.service(), self.call.port, &self.resolver),
        }
    }

    /// Where keys of ours stand among the service's, a client's first words say whether we are to answer.
    async fn answer(
        &self,
        http: &Handler,
        stand: &Stand,
        mut client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        behind: impl AsyncRead + AsyncWrite + Unpin,
        peer: IpAddr,
    ) {
        if !http.is_issuer() {
            self.carry_on(stand, client, behind, (peer, http.carried())).await;
        } else if let Ok(Some((said, _))) = timeout(HANDSHAKE_LIMIT, first_words::read(&mut client)).await {
            self.answer_or_carry(http, stand, (said, client), behind, peer).await;
        }
    }

    /// Where keys of ours stand among the service's, what is asked over HTTP is answered by us.
    async fn answer_or_carry(
        &self,
        http: &Handler,
        stand: &Stand,
        (said, client): (Vec<u8>, impl AsyncRead + AsyncWrite + Unpin + Send + 'static),
        behind: impl AsyncRead + AsyncWrite + Unpin,
        peer: IpAddr,
    ) {
        let is_ours = http.is_issuer() && is_http(&said) == Some(true) && !is_upgrade(&said);
        let client = with_words(said, client);
        if is_ours {
            drop(behind);
            http.clone().converse(client, peer).await;
        } else {
            self.carry_on(stand, client, behind, (peer, http.carried())).await;
        }
    }

    /// One client whose first words others have read.
    pub(super) async fn receive_words(&self, said: Vec<u8>, stream: TcpStream, peer: IpAddr) {
        let stand = self.calls.faults().of(self.service());
        if stand.is_faulty(peer) {
            self.meet(&stand, said, stream, peer).await;
        } else if let Ok(behind) = self.connect().await {
            match self.ends_of(&said) {
                Some(ends) => self.end_tls(ends, &stand, with_words(said, stream), behind, peer).await,
                None => {
                    self.answer_or_carry(&self.http, &stand, (said, stream), behind, peer)
                        .await;
                }
            }
        }
    }

    /// How TLS is ended, where these are its first words.
    fn ends_of(&self, said: &[u8]) -> Option<&Arc<Ending>> {
        self.ends.as_ref().filter(|_| said.first() == Some(&HANDSHAKE))
    }

    /// One client, and the fault that the service has.
    async fn meet(&self, stand: &Stand, said: Vec<u8>, stream: TcpStream, peer: IpAddr) {
        let fault = stand.at_connections(Some(peer));
        let Some(stream) = unbroken(fault, &said, stream).await else {
            return self.calls.broken(peer, self.service(), self.call.port, &self.resolver);
        };
        let Some(ends) = self.ends_of(&said) else {
            return self.meet_said(&self.http, None, stand, (said, stream), peer).await;
        };
        let Ok(mut client) = ends.accept(with_words(said, stream)).await else {
            return;
        };
        if let Ok(Some((said, _))) = timeout(HANDSHAKE_LIMIT, first_words::read(&mut client)).await {
            let http = self.http.over_tls(ends);
            self.meet_said(&http, Some(ends), stand, (said, client), peer).await;
        }
    }

    /// The same with what it has said; `begins`: how TLS is begun towards the service.
    async fn meet_said(
        &self,
        http: &Handler,
        begins: Option<&Arc<Ending>>,
        stand: &Stand,
        (said, client): (Vec<u8>, impl AsyncRead + AsyncWrite + Unpin + Send + 'static),
        peer: IpAddr,
    ) {
        let fault = stand.at_connections(Some(peer));
        let (is_ldap, is_http) = (said.first() == Some(&SEQUENCE), is_http(&said) == Some(true));
        let client = with_words(said, client);
        let over = self.calls.faults().moves_on(self.service(), stand);
        match (fault, is_ldap) {
            _ if is_http => http.clone().serve(client, peer, over).await,
            (Some(Fault::Errors), true) => {
                self.refuse(client, (peer, http.carried()), Refusal::Unavailable, over)
                    .await
            }
            (Some(Fault::RateLimit(_)), true) => self.refuse(client, (peer, http.carried()), Refusal::Busy, over).await,
            (late, _) => {
                if let Some(Fault::Slow(late)) = late {
                    tokio::time::sleep(pause(late)).await;
                }
                let Ok(behind) = self.connect().await else { return };
                match begins {
                    None => self.carry_on(stand, client, behind, (peer, http.carried())).await,
                    Some(begins) => {
                        if let Ok(behind) = begins.begin(behind, None).await {
                            self.carry_on(stand, client, behind, (peer, http.carried())).await;
                        }
                    }
                }
            }
        }
    }

    async fn refuse(
        &self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        from: (IpAddr, Carried),
        refusal: Refusal,
        over: BoxFuture<'static, ()>,
    ) {
        let client = Observed::new(client, self.observer(from));
        tokio::select! {
            _ = ldap_refusal::refuse(client, refusal) => {}
            () = over => {}
        }
    }

    /// Until both have said their last, or a fault begins.
    async fn carry_on(
        &self,
        stand: &Stand,
        client: impl AsyncRead + AsyncWrite + Unpin,
        behind: impl AsyncRead + AsyncWrite + Unpin,
        from: (IpAddr, Carried),
    ) {
        // Whoever has hung up on the other has told them.
        tokio::select! {
            _ = carry(client, behind, self.observer(from)) => {}
            () = self.calls.faults().begins(self.service(), stand) => {}
        }
    }

    fn observer(&self, (peer, carried): (IpAddr, Carried)) -> Observer {
        let RelayCall { service, port, .. } = &self.call;
        Observer::new(self.calls.client(peer, service, *port, &self.resolver), carried)
    }

    /// A connection to the service.
    async fn connect(&self) -> Result<TcpStream, String> {
        let addresses = self.resolver.addresses(&self.call.reached_at).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = "it has no address".to_owned();
        for at in 0..addresses.len() {
            let address = addresses[(turn + at) % addresses.len()];
            match timeout(
                CONNECT_LIMIT,
                TcpStream::connect(SocketAddr::new(address, self.call.port)),
            )
            .await
            {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => "no answer".clone_into(&mut last),
            }
        }
        Err(last)
    }
}

/// Whether a client begins with TLS; one whose service speaks first does not.
async fn begins_tls(client: &TcpStream, service: &TcpStream) -> bool {
    let (mut asked, mut told) = ([0], [0]);
    tokio::select! {
        asks = client.peek(&mut asked) => asks.is_ok_and(|length| length == 1 && asked[0] == HANDSHAKE),
        _ = service.peek(&mut told) => false,
    }
}

/// Whether a request asks for another protocol, which we do not speak.
fn is_upgrade(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    // HTTP/2 is only offered, and whoever offers it bears HTTP/1.1 (RFC 9113, section 3.1).
    head.lines()
        .any(|line| line.strip_prefix("upgrade:").is_some_and(|to| to.trim() != "h2c"))
}

/// Carries bytes both ways until both ends have said their last.
async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    service: impl AsyncRead + AsyncWrite + Unpin,
    observer: Observer,
) -> std::io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_service, to_service) = tokio::io::split(service);
    let observer = Mutex::new(observer);
    let asks = pass(from_client, to_service, |bytes| lock(&observer).asks(bytes));
    let answers = pass(from_service, to_client, |bytes| lock(&observer).answers(bytes));
    tokio::try_join!(asks, answers).map(drop)
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    read_along: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match from.read(&mut buffer).await {
            // Over TLS, one that hangs up without a word.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        if length == 0 {
            return to.shutdown().await;
        }
        read_along(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}
