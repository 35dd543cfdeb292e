//! Relays over UDP: each datagram of a client is passed on to the service as it came, and back. Each client has a socket of
//! its own behind us, so that the service tells clients apart as it does without us. What is RADIUS is read along.
//!
//! Over UDP nobody is refused: a service that is not there says nothing, and so do we.
//!
//! What arrives here is hostile: a bounded number of clients and of their datagrams is kept.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::calls::Calls;
use super::fault::{Fault, pause};
use super::radius_watch::RadiusWatch;
use super::relay::RelayCall;
use crate::agent::listen::datagrams_at;
use crate::agent::resolver::Resolver;
use crate::agent::session::lock;

/// Whoever says nothing for so long, and is told nothing, is forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// Clients that are known at a time; one more, and the one that was silent for longest is forgotten.
const MOST_FLOWS: usize = 4096;
/// Datagrams of one client that wait; further ones are lost, as they may be over UDP.
const MOST_WAITING: usize = 64;
/// The longest datagram.
const LONGEST: usize = 65_535;
/// Between two tries to have a port.
const PAUSE: Duration = Duration::from_millis(50);

/// A port that is relayed.
pub(super) struct DatagramRelay {
    pub(super) call: RelayCall,
    resolver: Resolver,
    calls: Calls,
    /// By the socket of ours, in their order, and the client's address.
    flows: Mutex<BTreeMap<(usize, SocketAddr), Flow>>,
    begun: AtomicU64,
}

/// A client that is known.
struct Flow {
    number: u64,
    heard: Instant,
    says: mpsc::Sender<Vec<u8>>,
}

/// A socket of ours, and whom it speaks to.
struct Client {
    key: (usize, SocketAddr),
    number: u64,
    socket: Arc<UdpSocket>,
}

/// The socket behind us of one client.
struct Behind {
    socket: UdpSocket,
    /// Nothing has come since something was sent.
    unanswered: bool,
}

/// What becomes of a datagram.
enum Meets {
    Nothing,
    Silence,
    Late(Duration),
}

impl DatagramRelay {
    pub(super) fn new(call: RelayCall, resolver: Resolver, calls: Calls) -> Self {
        Self {
            call,
            resolver,
            calls,
            flows: Mutex::default(),
            begun: AtomicU64::new(0),
        }
    }

    /// Hears clients, once the port is to be had.
    pub(super) async fn stand(self: Arc<Self>, own: Vec<Ipv4Addr>) {
        let sockets = loop {
            match datagrams_at(&own, self.call.port).await {
                Ok(sockets) => break sockets,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let each = sockets.into_iter().enumerate();
        let each = each.map(|(at, socket)| self.clone().hear(at, Arc::new(socket)));
        futures_util::future::join_all(each).await;
    }

    async fn hear(self: Arc<Self>, at: usize, socket: Arc<UdpSocket>) {
        let mut buffer = vec![0; LONGEST];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, peer)) => self.take(at, &socket, peer, buffer[..length].to_vec()),
                // A client that is gone, or no memory for a moment.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Hands a datagram to its client's own task.
    fn take(self: &Arc<Self>, at: usize, socket: &Arc<UdpSocket>, peer: SocketAddr, said: Vec<u8>) {
        let key = (at, peer);
        let mut flows = lock(&self.flows);
        let said = match flows.get_mut(&key) {
            Some(flow) => {
                flow.heard = Instant::now();
                match flow.says.try_send(said) {
                    Ok(()) | Err(TrySendError::Full(_)) => return,
                    Err(TrySendError::Closed(said)) => said,
                }
            }
            None => said,
        };
        if flows.len() >= MOST_FLOWS {
            let silent = flows.iter().min_by_key(|(_, flow)| flow.heard).map(|(key, _)| *key);
            silent.and_then(|key| flows.remove(&key));
        }
        let (says, hears) = mpsc::channel(MOST_WAITING);
        // It is empty.
        let _taken = says.try_send(said);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let heard = Instant::now();
        flows.insert(key, Flow { number, heard, says });
        let socket = Arc::clone(socket);
        tokio::spawn(self.clone().carry(Client { key, number, socket }, hears));
    }

    /// One client, until it has been silent for long.
    async fn carry(self: Arc<Self>, client: Client, mut hears: mpsc::Receiver<Vec<u8>>) {
        let peer = client.key.1.ip().to_canonical();
        let RelayCall { service, port, .. } = &self.call;
        let mut watch = RadiusWatch::new(self.calls.client(peer, service, *port, &self.resolver));
        let mut behind: Option<Behind> = None;
        let mut late: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut buffer = vec![0; LONGEST];
        loop {
            tokio::select! {
                said = hears.recv() => {
                    let Some(said) = said else { break };
                    watch.asks(&said);
                    match self.meets(peer) {
                        Meets::Silence => {}
                        Meets::Late(by) if late.len() < MOST_WAITING => late.push_back((Instant::now() + by, said)),
                        Meets::Late(_) => {}
                        Meets::Nothing => self.pass_on(&mut behind, &said).await,
                    }
                }
                () = due(&late) => {
                    if let Some((_, said)) = late.pop_front() {
                        self.pass_on(&mut behind, &said).await;
                    }
                }
                came = answer(&mut behind, &mut buffer) => match came {
                    Some(_) if matches!(self.meets(peer), Meets::Silence) => {}
                    Some(length) => {
                        watch.answers(&buffer[..length]);
                        // A client that is gone needs no answer.
                        let _told = client.socket.send_to(&buffer[..length], client.key.1).await;
                    }
                    // Nobody listens there any more: where it does is asked with the next datagram.
                    None => behind = None,
                },
                () = tokio::time::sleep(IDLE) => hears.close(),
            }
        }
        let mut flows = lock(&self.flows);
        if flows.get(&client.key).is_some_and(|flow| flow.number == client.number) {
            flows.remove(&client.key);
        }
    }

    fn meets(&self, peer: IpAddr) -> Meets {
        match self.calls.faults().of(&self.call.service).at_connections(Some(peer)) {
            Some(Fault::Down | Fault::Errors) => Meets::Silence,
            Some(Fault::Slow(late)) => Meets::Late(pause(late)),
            // Nothing of a connection, of TLS or of HTTP has a meaning here.
            Some(Fault::Reset | Fault::TlsFailure | Fault::RateLimit(_) | Fault::SlowBody(_) | Fault::CutBody)
            | None => Meets::Nothing,
        }
    }

    /// To the service, wherever it is now; what cannot be sent is lost.
    async fn pass_on(&self, behind: &mut Option<Behind>, said: &[u8]) {
        if let Some(known) = behind.take_if(|known| known.unanswered) {
            let is_there = self.is_at(known.socket.peer_addr().ok()).await;
            *behind = is_there.then_some(known);
        }
        // The first try may only tell that the last datagram found nobody.
        for _ in 0..2 {
            let there = match behind.take() {
                Some(there) => Some(there),
                None => self.connect().await,
            };
            let Some(mut there) = there else { return };
            if there.socket.send(said).await.is_ok() {
                there.unanswered = true;
                *behind = Some(there);
                return;
            }
        }
    }

    /// Whether the service still has this address.
    async fn is_at(&self, address: Option<SocketAddr>) -> bool {
        let now = self.resolver.addresses(&self.call.reached_at).await;
        now.is_ok_and(|now| address.is_some_and(|address| now.contains(&address.ip())))
    }

    async fn connect(&self) -> Option<Behind> {
        let addresses = self.resolver.addresses(&self.call.reached_at).await.ok()?;
        let address = *addresses.first()?;
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.ok()?;
        socket.connect((address, self.call.port)).await.ok()?;
        let unanswered = false;
        Some(Behind { socket, unanswered })
    }
}

/// Returns when the first that waits has waited long enough.
async fn due(late: &VecDeque<(Instant, Vec<u8>)>) {
    match late.front() {
        Some((at, _)) => tokio::time::sleep_until(*at).await,
        None => std::future::pending().await,
    }
}

/// What the service says next; `None` = nobody listens there.
async fn answer(behind: &mut Option<Behind>, buffer: &mut [u8]) -> Option<usize> {
    let Some(there) = behind else {
        return std::future::pending().await;
    };
    let length = there.socket.recv(buffer).await.ok()?;
    there.unanswered = false;
    Some(length)
}
