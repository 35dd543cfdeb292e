//! What the front before an authentication product costs: what it adds to an answer at rest, and how much passes it, beside a
//! direct connection to the same server in the same run.
//!
//! `make bench-front`. Server, front and clients share one machine's cores and take turns: figures are ratios within one run.
//! It ends with an error where a goal is missed.

#![allow(clippy::unwrap_used, reason = "a bench ends where something goes wrong")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rehearsal::agent::client::Client;
use rehearsal::agent::front::FrontsCall;
use rehearsal::agent::front::relay::{RelayCall, Transport};
use rehearsal::agent::{Answer, Call};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Where the front stands; the server is behind it, at the same port of another address.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Questions of each way, one after the other, in turns with the other way.
const AT_REST: usize = 4_000;
const ROUNDS: usize = 5;
/// Of each way in a round.
const ROUND: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 16;
/// Added to the median at rest, at most.
const GOAL_ADDED: Duration = Duration::from_micros(300);
/// Requests a second through the front, at least.
const GOAL_RATE: f64 = 5_000.0;
const REQUEST: &[u8] = b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: idp\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// An Access-Request without attributes, and its Access-Accept.
const ASKS: [u8; 20] = [1, 7, 0, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
const ACCEPTS: [u8; 20] = [2, 7, 0, 20, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2];

fn main() {
    if std::env::args().any(|arg| arg == "serve") {
        return runtime().block_on(serve());
    }
    let met = runtime().block_on(async {
        let server = Server::start();
        let front = Front::before(server.port).await;
        let ways = [SocketAddr::from((Ipv4Addr::LOCALHOST, server.port)), front.at];
        let rest = at_rest(ways).await;
        let datagrams = datagrams_at_rest(ways).await;
        let throughput = throughput(ways).await;
        [rest, datagrams, throughput]
    });
    assert!(met.into_iter().all(|met| met), "a goal is missed");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The server, in a process of its own.
struct Server {
    process: std::process::Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        use std::io::BufRead as _;
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = (self.process.kill(), self.process.wait());
    }
}

/// Answers at once, over TCP and over UDP at one port.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(at).await.unwrap();
    println!("{}", at.port());
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (_, peer) = datagrams.recv_from(&mut buffer).await.unwrap();
            datagrams.send_to(&ACCEPTS, peer).await.unwrap();
        }
    });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let _delays = stream.set_nodelay(true);
    let mut said = Vec::with_capacity(4_096);
    loop {
        while !said.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut said).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        said.clear();
        if stream.write_all(RESPONSE).await.is_err() {
            return;
        }
    }
}

/// An agent in a process of its own, as in a mirror, that relays the server's port.
struct Front {
    _process: tokio::process::Child,
    _client: Client,
    at: SocketAddr,
}

impl Front {
    async fn before(port: u16) -> Self {
        let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .args(["agent", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let client = Client::over(process.stdout.take().unwrap(), process.stdin.take().unwrap());
        let relay = |transport| RelayCall {
            service: "idp".to_owned(),
            reached_at: "127.0.0.1".to_owned(),
            port,
            transport,
            ends_tls: None,
        };
        let call = FrontsCall {
            fronts: vec![],
            relays: vec![relay(Transport::Tcp), relay(Transport::Udp)],
            own: vec![FRONT],
            issuer: None,
        };
        let answer = client.call(Call::Fronts(call)).await.unwrap();
        assert!(matches!(answer, Answer::Done), "{answer:?}");
        let at = SocketAddr::from((FRONT, port));
        while TcpStream::connect(at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            _process: process,
            _client: client,
            at,
        }
    }
}

/// One question after the other over one connection of each way.
async fn at_rest(ways: [SocketAddr; 2]) -> bool {
    let mut direct = connect(ways[0]).await;
    let mut fronted = connect(ways[1]).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..AT_REST {
        without.push(asked(&mut direct).await);
        with.push(asked(&mut fronted).await);
    }
    told("HTTP at rest", without, with)
}

async fn datagrams_at_rest(ways: [SocketAddr; 2]) -> bool {
    let (direct, fronted) = (udp(ways[0]).await, udp(ways[1]).await);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..AT_REST {
        without.push(asked_by(&direct).await);
        with.push(asked_by(&fronted).await);
    }
    told("RADIUS at rest", without, with)
}

/// Prints both medians as a ratio, and whether the second is not too much more than the first.
fn told(what: &str, without: Vec<Duration>, with: Vec<Duration>) -> bool {
    let (without, with) = (median(without), median(with));
    let added = with.saturating_sub(without);
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!("{what}: median {without:?} directly, {with:?} through the front: {ratio:.2} of it, {added:?} more");
    added < GOAL_ADDED
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn asked(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = [0; RESPONSE.len()];
    stream.read_exact(&mut answer).await.unwrap();
    begun.elapsed()
}

async fn udp(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(to).await.unwrap();
    socket
}

/// A datagram that is lost is asked again: nobody promises more.
async fn asked_by(socket: &UdpSocket) -> Duration {
    let mut buffer = [0; 100];
    loop {
        let begun = Instant::now();
        socket.send(&ASKS).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut buffer)).await;
        if answer.is_ok_and(|length| length.is_ok()) {
            return begun.elapsed();
        }
    }
}

/// As many as can be, each way in turns.
async fn throughput(ways: [SocketAddr; 2]) -> bool {
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (direct, fronted) = (rate(ways[0]).await, rate(ways[1]).await);
        let ratio = fronted / direct;
        println!("round {round}: {direct:.0}/s directly, {fronted:.0}/s through the front: {ratio:.2} of it");
        ratios.push(ratio);
        rates.push(fronted);
    }
    let (ratio, rate) = (median(ratios), median(rates));
    println!("medians: {rate:.0}/s through the front, {ratio:.2} of the direct connections");
    rate >= GOAL_RATE
}

async fn rate(to: SocketAddr) -> f64 {
    let answered = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            let mut stream = connect(to).await;
            while begun.elapsed() < ROUND {
                asked(&mut stream).await;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    answered.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn median<T: PartialOrd + Copy>(mut all: Vec<T>) -> T {
    all.sort_by(|one, other| one.partial_cmp(other).unwrap());
    all[all.len() / 2]
}
