//! Names that nobody in the mirror bears. The engine's own DNS answers the names of the mirror; every other question it
//! hands on to the agent, which says that there is no such name and remembers who asked. A name that the configuration
//! opens is answered with the address of the door. Raw addresses that were sought are remembered here, too.
//!
//! What arrives here is hostile: whatever the bytes are, the server goes on, and it remembers a bounded number of names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::try_join_all;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::failure::{CallFailure, CallFailureKind};
use super::gateway::{self, Inside};
use super::notes::{Asked, AskedAnswer, Note, Notes};
use super::resolver::Resolver;

/// Different names that are remembered of one asker.
const NAMES_OF_ONE: usize = 100;
/// Askers that are remembered; no mirror has as many containers.
const ASKERS: usize = 1_000;
/// Questions that wait to be remembered; more than that are only counted.
const WAITING: usize = 4_096;
/// A name has at most this many characters.
const NAME_LIMIT: usize = 253;
/// A question over TCP is given this long, and so many are heard at the same time.
const TCP_LIMIT: Duration = Duration::from_secs(5);
const TCP_AT_ONCE: usize = 64;
/// Seconds for which an allowed name's address may be remembered: none, as the door may be another one next time.
const TTL: u32 = 0;
/// Where DNS is asked.
const DNS_PORT: u16 = 53;

/// Asked through the engine's own DNS when the server starts: whether questions reach it at all.
const CANARY: &str = "canary.rehearsal.test";

/// What can be done about the world outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideCall {
    /// Answers for every name that nobody in the mirror bears, from now on, until the agent ends.
    Listen(Listen),
    /// Which of these names were asked for until now, and by whom.
    Asked,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideAnswer {
    /// It is answered for.
    Listening,
    /// Names outside that were asked for.
    Asked(AskedAnswer),
}

/// What is known of the world outside, when the agent begins to answer for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Listen {
    /// Names that may be reached, lower case.
    pub allowed: Vec<String>,
    /// Where they are reached: the door's address in each network.
    pub doors: Vec<Ipv4Addr>,
    /// The mirror's networks; empty = names are answered everywhere, and raw addresses are not heard.
    pub networks: Vec<Inside>,
}

/// The agent's ear, once it has been told to listen.
#[derive(Default)]
pub(super) struct Ear(OnceLock<Outside>);

impl Ear {
    /// Does what is asked.
    pub(super) async fn serve(&self, call: OutsideCall, resolver: &Resolver) -> Result<OutsideAnswer, CallFailure> {
        match call {
            OutsideCall::Listen(listen) => {
                // The first stays: there is one port.
                let _first = self.0.set(Outside::begin(listen, resolver.clone(), DNS_PORT).await?);
                Ok(OutsideAnswer::Listening)
            }
            OutsideCall::Asked => Ok(OutsideAnswer::Asked(self.asked().await)),
        }
    }

    async fn asked(&self) -> AskedAnswer {
        match self.0.get() {
            Some(outside) => outside.asked().await,
            None => AskedAnswer {
                unheard: Some("nobody told the agent to listen".to_owned()),
                ..AskedAnswer::default()
            },
        }
    }
}

/// The server, while this is held.
pub(super) struct Outside {
    notes: Notes,
    raw_unheard: Option<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Outside {
    /// Begins to answer on a port, over UDP and TCP; returns once questions are heard.
    async fn begin(call: Listen, resolver: Resolver, port: u16) -> Result<Self, CallFailure> {
        let failed = |error: std::io::Error| CallFailure {
            kind: CallFailureKind::Dns,
            message: format!("the agent cannot answer for names on port {port}: {error}"),
            duration_ms: 0,
        };
        let own: Vec<Ipv4Addr> = call.networks.iter().map(|network| network.own).collect();
        let listening = listen(&own, port).await.map_err(failed)?;
        let (sender, queue) = mpsc::channel(WAITING);
        let notes = Notes {
            queue: sender,
            lost: Arc::default(),
        };
        let networks = call.networks.clone();
        let server = Arc::new(Server {
            call,
            notes: notes.clone(),
        });
        let mut tasks = vec![
            tokio::spawn(remember(queue, resolver.clone())),
            tokio::spawn(ask_canary(resolver, notes.queue.clone())),
        ];
        for (datagrams, streams) in listening {
            tasks.push(tokio::spawn(server.clone().hear_datagrams(datagrams)));
            tasks.push(tokio::spawn(server.clone().hear_streams(streams)));
        }
        let mut raw_unheard = None;
        if networks.iter().any(|network| network.gateway.is_some()) {
            let begun = gateway::begin(networks, notes.clone()).await;
            raw_unheard = begun.err().map(|error| format!("{error:#}"));
        }
        Ok(Self {
            notes,
            raw_unheard,
            tasks,
        })
    }

    /// Everything that was asked until now.
    async fn asked(&self) -> AskedAnswer {
        let (sender, receiver) = oneshot::channel();
        // A task that has ended answers nothing, and nothing is what is told then.
        let _sent = self.notes.queue.send(Note::Tell(sender)).await;
        let mut told = receiver.await.unwrap_or_default();
        told.more += self.notes.lost.load(Ordering::Relaxed);
        told.raw_unheard.clone_from(&self.raw_unheard);
        told
    }
}

/// At each of our own addresses: where the agent has taken gateways, every other address would be ours as well.
async fn listen(own: &[Ipv4Addr], port: u16) -> std::io::Result<Vec<(UdpSocket, TcpListener)>> {
    let anywhere = [Ipv4Addr::UNSPECIFIED];
    let at = if own.is_empty() { &anywhere } else { own };
    let each = at.iter().map(|address| async move {
        tokio::try_join!(UdpSocket::bind((*address, port)), TcpListener::bind((*address, port)))
    });
    try_join_all(each).await
}

async fn ask_canary(resolver: Resolver, notes: mpsc::Sender<Note>) {
    // It is always told that there is no such name; what matters is whether the server heard the question.
    let said = resolver.addresses(CANARY).await.err().unwrap_or_default();
    let _told = notes.send(Note::Canary(said)).await;
}

struct Server {
    call: Listen,
    notes: Notes,
}

impl Server {
    async fn hear_datagrams(self: Arc<Self>, socket: UdpSocket) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, peer)) => {
                    if let Some(reply) = self.reply(&buffer[..length], peer.ip()) {
                        // Whoever has gone away needs no answer.
                        let _sent = socket.send_to(&reply, peer).await;
                    }
                }
                // A reply that could not be delivered is told as an error of the next reading.
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    async fn hear_streams(self: Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(TCP_AT_ONCE));
        loop {
            let Ok(seat) = room.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        let _late = timeout(TCP_LIMIT, server.converse(stream, peer)).await;
                        drop(seat);
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn converse(&self, mut stream: TcpStream, peer: SocketAddr) -> std::io::Result<()> {
        loop {
            let length = usize::from(stream.read_u16().await?);
            let mut question = vec![0; length];
            stream.read_exact(&mut question).await?;
            let Some(reply) = self.reply(&question, peer.ip()) else {
                return Ok(());
            };
            stream.write_u16(u16::try_from(reply.len()).unwrap_or_default()).await?;
            stream.write_all(&reply).await?;
        }
    }

    /// What is answered to these bytes; `None` = nothing, for what is no question.
    fn reply(&self, bytes: &[u8], from: IpAddr) -> Option<Vec<u8>> {
        let message = Message::from_vec(bytes).ok()?;
        let (reply, asked) = answer(&message, &self.call, from)?;
        if let Some(name) = asked {
            self.notes.asked(from, name);
        }
        reply.to_vec().ok()
    }
}

/// The answer to a question, and the name that was refused by it.
fn answer(message: &Message, call: &Listen, from: IpAddr) -> Option<(Message, Option<String>)> {
    if message.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(message.metadata.id, message.metadata.op_code);
    reply.metadata.recursion_desired = message.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.queries.clone_from(&message.queries);
    let [question] = message.queries.as_slice() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return Some((reply, None));
    };
    if message.metadata.op_code != OpCode::Query {
        reply.metadata.response_code = ResponseCode::NotImp;
        return Some((reply, None));
    }
    let name = plain(&question.name.to_ascii());
    if call.allowed.contains(&name) {
        let door = nearest(&call.doors, from).filter(|_| question.query_type == RecordType::A);
        reply
            .answers
            .extend(door.map(|door| Record::from_rdata(question.name.clone(), TTL, RData::A(door.into()))));
        return Some((reply, None));
    }
    reply.metadata.response_code = ResponseCode::NXDomain;
    Some((reply, (!is_reverse(&name)).then_some(name)))
}

/// As people write it, and not longer than a name can be.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.chars().take(NAME_LIMIT).collect()
}

/// Which name has this address? Nobody is reached by knowing.
fn is_reverse(name: &str) -> bool {
    name.is_empty() || name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa")
}

/// The door in the asker's own network: the address that begins most like the asker's.
fn nearest(doors: &[Ipv4Addr], from: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V4(from) = from else {
        return doors.first().copied();
    };
    let alike = |door: &&Ipv4Addr| (door.to_bits() ^ from.to_bits()).leading_zeros();
    doors.iter().max_by_key(alike).copied()
}

/// Keeps what was asked, by whom: the name by which the engine knows the container that has the address just now.
async fn remember(mut queue: mpsc::Receiver<Note>, resolver: Resolver) {
    let mut told = Log::default();
    let mut heard = false;
    let mut canary = None;
    let mut waiting: Vec<oneshot::Sender<AskedAnswer>> = Vec::new();
    while let Some(note) = queue.recv().await {
        match note {
            Note::Asked(_, name) if name == CANARY => heard = true,
            Note::Asked(from, name) => {
                let by = resolver.of_address(from).await.unwrap_or_default();
                told.add(&by, from, &name);
            }
            Note::Canary(said) => canary = Some(said),
            Note::Tell(sender) => waiting.push(sender),
        }
        // Until the canary is back nobody knows what silence means.
        if let Some(said) = &canary {
            for sender in waiting.drain(..) {
                let unheard = (!heard).then(|| said.clone());
                let _gone = sender.send(told.answer(unheard));
            }
        }
    }
}

#[derive(Default)]
struct Log {
    askers: BTreeMap<(String, IpAddr), Vec<(String, u64)>>,
    more: u64,
}

impl Log {
    fn add(&mut self, by: &str, from: IpAddr, name: &str) {
        let full = self.askers.len() >= ASKERS;
        let key = (by.chars().take(NAME_LIMIT).collect(), from);
        if full && !self.askers.contains_key(&key) {
            self.more += 1;
            return;
        }
        let names = self.askers.entry(key).or_default();
        match names.iter().position(|(known, _)| known == name) {
            Some(at) => names[at].1 += 1,
            None if names.len() < NAMES_OF_ONE => names.push((name.to_owned(), 1)),
            None => self.more += 1,
        }
    }

    fn answer(&self, unheard: Option<String>) -> AskedAnswer {
        let of = |((by, from), names): (&(String, IpAddr), &Vec<(String, u64)>)| {
            let (by, from) = (by.clone(), *from);
            names
                .clone()
                .into_iter()
                .map(move |(name, times)| Asked {
                    by: by.clone(),
                    from,
                    name,
                    times,
                })
                .collect::<Vec<_>>()
        };
        AskedAnswer {
            asked: self.askers.iter().flat_map(of).collect(),
            more: self.more,
            unheard,
            raw_unheard: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::Name;

    use super::*;
    use crate::agent::free_port::free_port;

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 3, 7));

    fn call() -> Listen {
        Listen {
            allowed: vec!["api.example.com".to_owned()],
            doors: vec![Ipv4Addr::new(198, 18, 2, 3), Ipv4Addr::new(198, 18, 3, 3)],
            ..Listen::default()
        }
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn answered(name: &str, kind: RecordType) -> (Message, Option<String>) {
        answer(&question(name, kind), &call(), FROM).unwrap()
    }

    #[test]
    fn a_name_outside_is_refused_and_told() {
        let (reply, asked) = answered("Telemetry.Example.COM.", RecordType::AAAA);
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(asked.as_deref(), Some("telemetry.example.com"));
    }

    #[test]
    fn an_allowed_name_leads_to_the_door_of_the_askers_network() {
        let (reply, asked) = answered("API.example.com.", RecordType::A);
        assert_eq!((reply.metadata.response_code, asked), (ResponseCode::NoError, None));
        let addresses: Vec<_> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(addresses, ["198.18.3.3"]);
    }

    #[test]
    fn an_allowed_name_has_no_other_address_and_is_no_other_name() {
        let (reply, asked) = answered("api.example.com.", RecordType::AAAA);
        assert_eq!(
            (reply.metadata.response_code, reply.answers.len(), asked),
            (ResponseCode::NoError, 0, None)
        );
        let (reply, asked) = answered("evil.api.example.com.", RecordType::A);
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        assert!(asked.is_some());
    }

    #[test]
    fn asking_for_the_name_of_an_address_reaches_nobody() {
        let (reply, asked) = answered("7.3.18.198.in-addr.arpa.", RecordType::PTR);
        assert_eq!((reply.metadata.response_code, asked), (ResponseCode::NXDomain, None));
    }

    #[test]
    fn an_answer_is_not_answered() {
        let reply = Message::response(7, OpCode::Query);
        assert!(answer(&reply, &call(), FROM).is_none());
    }

    fn server() -> (Server, mpsc::Receiver<Note>) {
        let (sender, queue) = mpsc::channel(2);
        let notes = Notes {
            queue: sender,
            lost: Arc::default(),
        };
        let server = Server { call: call(), notes };
        (server, queue)
    }

    #[test]
    fn no_bytes_break_the_server() {
        let (server, _queue) = server();
        let good = question("a.very.long.name.example.com.", RecordType::TXT)
            .to_vec()
            .unwrap();
        // Every prefix, and every byte changed in turn: counts that lie, labels that are too long, pointers to themselves.
        for length in 0..good.len() {
            let _dropped = server.reply(&good[..length], FROM);
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _answered = server.reply(&bytes, FROM);
            }
        }
        let mut looped = good[..12].to_vec();
        looped.extend([0xc0, 12, 0, 1, 0, 1]);
        assert!(server.reply(&looped, FROM).is_none());
        assert!(server.reply(&[0xff; 4096], FROM).is_none());
        assert!(server.reply(&[], FROM).is_none());
    }

    #[test]
    fn bytes_in_a_name_are_told_in_plain_letters() {
        let (server, mut queue) = server();
        let mut bytes = question("x.example.com.", RecordType::A).to_vec().unwrap();
        // The one letter of the first label.
        bytes[13] = 0x1b;
        server.reply(&bytes, FROM).unwrap();
        let Ok(Note::Asked(_, name)) = queue.try_recv() else {
            panic!("nothing was told")
        };
        assert!(name.chars().all(|c| c.is_ascii_graphic()), "{name:?}");
        assert!(name.ends_with(".example.com"), "{name}");
    }

    #[test]
    fn what_cannot_be_remembered_is_counted() {
        let (server, _queue) = server();
        let bytes = question("x.example.com.", RecordType::A).to_vec().unwrap();
        for _ in 0..5 {
            assert!(server.reply(&bytes, FROM).is_some());
        }
        assert_eq!(server.notes.lost.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn one_asker_fills_only_its_own_page() {
        let mut log = Log::default();
        for number in 0..NAMES_OF_ONE + 7 {
            log.add("web", FROM, &format!("n{number}.example.com"));
        }
        log.add("web", FROM, "n0.example.com");
        log.add("db", FROM, "n0.example.com");
        let told = log.answer(None);
        assert_eq!((told.asked.len(), told.more), (NAMES_OF_ONE + 1, 7));
        let of = |by: &str| {
            let mut all = told.asked.iter();
            all.find(|asked| asked.by == by && asked.name == "n0.example.com")
                .map(|asked| asked.times)
        };
        assert_eq!((of("web"), of("db")), (Some(2), Some(1)));
    }

    #[tokio::test]
    async fn it_answers_over_udp_and_over_tcp_after_garbage() {
        let port = free_port();
        let outside = Outside::begin(call(), Resolver::system(), port)
            .await
            .map_err(drop)
            .unwrap();
        let wanted = question("udp.example.com.", RecordType::A);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", port)).await.unwrap();
        socket.send(b"\x00garbage").await.unwrap();
        socket.send(&wanted.to_vec().unwrap()).await.unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).await.unwrap();
        let reply = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(
            (reply.metadata.id, reply.metadata.response_code),
            (wanted.metadata.id, ResponseCode::NXDomain)
        );

        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let bytes = question("tcp.example.com.", RecordType::A).to_vec().unwrap();
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();

        let told = outside.asked().await;
        let names: Vec<_> = told.asked.iter().map(|asked| asked.name.as_str()).collect();
        assert!(
            ["udp.example.com", "tcp.example.com"]
                .iter()
                .all(|name| names.contains(name)),
            "{names:?}"
        );
        // Here no engine hands questions on: silence would prove nothing, and that is said.
        assert!(told.unheard.is_some());
    }
}
