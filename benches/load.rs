//! What the agent's load is worth: whether it sends as often as it is told, what it costs, whether a server that stalls is
//! seen, and how much it sends at saturation beside oha and wrk.
//!
//! `make bench-load`. Server, agent and the others share one machine's cores and take turns: figures are ratios within one
//! run. REHEARSAL_BENCH_SECONDS shortens the first part, of 60 s. It ends with an error where a goal is missed.

#![allow(clippy::unwrap_used, reason = "a bench ends where something goes wrong")]

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rehearsal::agent::client::Client;
use rehearsal::agent::load::plan::{Counts, LoadPlan, LoadStep, Phase, Rate, SLICE};
use rehearsal::agent::load::slice::{Slice, StepSlice};
use rehearsal::agent::load::times::Times;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SECONDS: u64 = 60;
const RATE: f64 = 1_000.0;
/// Of the rate, at most.
const GOAL_RATE: f64 = 0.01;
/// Of the agent, at most: MiB.
const GOAL_MEMORY: u64 = 64;
/// Of oha's throughput, at least.
const GOAL_OHA: f64 = 1.0;
const ROUNDS: usize = 3;
/// Of each generator in a round.
const ROUND: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 50;
/// The server says nothing for so long, once, from its 2000th request on.
const STALL: Duration = Duration::from_secs(1);
const STALLS_AT: u64 = 2_000;

fn main() {
    if std::env::args().any(|arg| arg == "serve") {
        return runtime().block_on(serve());
    }
    let oha = format!("{}/target/tools/bin/oha", env!("CARGO_MANIFEST_DIR"));
    let met = runtime().block_on(async {
        let rate = at_a_rate().await;
        let stall = stalled(&oha).await;
        let saturation = saturated(&oha).await;
        [rate, stall, saturation]
    });
    assert!(met.into_iter().all(|met| met), "a goal is missed");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The server of all of them, in a process of its own.
struct Server {
    process: std::process::Child,
    at: SocketAddr,
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
        Self {
            process,
            at: line.trim().parse().unwrap(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = (self.process.kill(), self.process.wait());
    }
}

/// Answers at once; below `/stall` once not.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    static STALLED: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let _delays = stream.set_nodelay(true);
    let mut raw = Vec::with_capacity(4_096);
    loop {
        while !raw.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut raw).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        if raw.starts_with(b"GET /stall") && ASKED.fetch_add(1, Ordering::Relaxed) >= STALLS_AT {
            let until = *STALLED.get_or_init(Instant::now) + STALL;
            tokio::time::sleep_until(until.into()).await;
        }
        raw.clear();
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .is_err()
        {
            return;
        }
    }
}

/// An agent in a process of its own, as in a mirror.
struct Agent {
    process: tokio::process::Child,
    client: Client,
}

impl Agent {
    fn start() -> Self {
        let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .args(["agent", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let client = Client::over(process.stdout.take().unwrap(), process.stdin.take().unwrap());
        Self { process, client }
    }

    async fn load(&self, url: String, rate: f64, lasts: Duration, most_at_once: usize) -> Vec<Slice> {
        let step = LoadStep {
            name: "page".to_owned(),
            method: "GET".to_owned(),
            url,
            good: vec![(200, 200)],
            ..LoadStep::default()
        };
        let phase = Phase {
            mix: 0,
            rate: Rate::Constant(rate),
            duration_ms: u64::try_from(lasts.as_millis()).unwrap(),
            counts: Counts::Yes,
        };
        let plan = LoadPlan {
            mixes: vec![vec![step]],
            phases: vec![phase],
            slice_ms: u64::try_from(SLICE.as_millis()).unwrap(),
            timeout_ms: 10_000,
            fresh_every: 0,
            most_at_once,
            insecure: false,
            ca: Vec::new(),
        };
        self.client.load(plan).await.unwrap()
    }

    /// The most that it has taken, MiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }
}

fn whole(slices: &[Slice]) -> (StepSlice, Times, u64) {
    let (mut all, mut lag) = (StepSlice::default(), Times::new());
    for slice in slices {
        all.add(&slice.whole());
        lag.add(&slice.lag);
    }
    (all, lag, slices.iter().map(|slice| slice.planned).sum())
}

/// It sends as often as it is told, and stays small.
async fn at_a_rate() -> bool {
    let seconds = std::env::var("REHEARSAL_BENCH_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let (server, agent) = (Server::start(), Agent::start());
    let slices = agent
        .load(server.url("/"), RATE, Duration::from_secs(seconds), 1_000)
        .await;
    let (all, lag, planned) = whole(&slices);
    let wrong = (all.sent as f64 / (RATE * seconds as f64) - 1.0).abs();
    let memory = agent.memory();
    println!(
        "{RATE}/s for {seconds} s: {} of {planned} sent, rate wrong by {:.3} %; sent late p50 {:?}, p99 {:?}; latency p50 {:?}, \
         p99 {:?}; service time p99 {:?}; the agent took {memory} MiB",
        all.sent,
        wrong * 100.0,
        lag.at(0.5).unwrap_or_default(),
        lag.at(0.99).unwrap_or_default(),
        all.latency.at(0.5).unwrap_or_default(),
        all.latency.at(0.99).unwrap_or_default(),
        all.service.at(0.99).unwrap_or_default(),
    );
    wrong < GOAL_RATE && memory < GOAL_MEMORY
}

/// A second without an answer is a tenth of ten seconds: p99 of who keeps asking shows it.
async fn stalled(oha: &str) -> bool {
    let lasts = Duration::from_secs(10);
    let (server, agent) = (Server::start(), Agent::start());
    let slices = agent.load(server.url("/stall"), 500.0, lasts, 2_000).await;
    let ours = whole(&slices).0.latency.at(0.99).unwrap_or_default();
    // The same server again, asked by who waits for an answer before the next question.
    let server = Server::start();
    let closed = by_oha(oha, &server.url("/stall"), lasts);
    println!(
        "a server that stalls for {STALL:?}: p99 {ours:?}; of a closed loop (oha without a rate) {:?}",
        closed.p99
    );
    ours > STALL / 2
}

struct Measured {
    rate: f64,
    p99: Duration,
}

/// As fast as all of them can, one after the other.
async fn saturated(oha: &str) -> bool {
    let (server, agent) = (Server::start(), Agent::start());
    let (mut ours, mut ohas, mut wrks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let oha = by_oha(oha, &server.url("/"), ROUND).rate;
        // Somewhat more than can be sent: what finds none of the connections free is left out.
        let slices = agent.load(server.url("/"), oha * 1.5, ROUND, CONNECTIONS).await;
        let own = whole(&slices).0.good as f64 / ROUND.as_secs_f64();
        let wrk = by_wrk(&server.url("/"), ROUND);
        println!(
            "round {round}: {own:.0}/s, oha {oha:.0}/s, wrk {wrk:.0}/s: {:.2} of oha, {:.2} of wrk",
            own / oha,
            own / wrk
        );
        ours.push(own);
        ohas.push(oha);
        wrks.push(wrk);
    }
    let (own, oha, wrk) = (median(ours), median(ohas), median(wrks));
    println!("medians: {:.2} of oha, {:.2} of wrk", own / oha, own / wrk);
    own / oha >= GOAL_OHA
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn by_oha(program: &str, url: &str, lasts: Duration) -> Measured {
    let (lasts, connections) = (format!("{}s", lasts.as_secs()), CONNECTIONS.to_string());
    let words = [
        "--no-tui",
        "--output-format",
        "json",
        "-z",
        &lasts,
        "-c",
        &connections,
        url,
    ];
    let done = Command::new(program).args(words).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    Measured {
        rate: told["summary"]["requestsPerSec"].as_f64().unwrap(),
        p99: Duration::from_secs_f64(told["latencyPercentiles"]["p99"].as_f64().unwrap()),
    }
}

fn by_wrk(url: &str, lasts: Duration) -> f64 {
    let (lasts, connections) = (format!("{}s", lasts.as_secs()), CONNECTIONS.to_string());
    let done = Command::new("wrk")
        .args(["-t", "2", "-c", &connections, "-d", &lasts, url])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let line = told.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.and_then(|rate| rate.trim().parse().ok())
        .unwrap_or_else(|| panic!("{told}"))
}
