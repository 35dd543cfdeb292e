//! The agent's load, against small servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rehearsal::agent::client::Client;
use rehearsal::agent::load::plan::{Counts, LoadPlan, LoadStep, Phase, Rate};
use rehearsal::agent::load::slice::{Slice, StepSlice};
use rehearsal::agent::serve::serve;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// An agent's client.
fn client() -> Client {
    let (ours, theirs) = duplex(64 * 1024);
    let (reader, writer) = split(theirs);
    tokio::spawn(serve(reader, writer));
    let (reader, writer) = split(ours);
    Client::over(reader, writer)
}

fn step(at: SocketAddr, path: &str) -> LoadStep {
    LoadStep {
        name: path.to_owned(),
        method: "GET".to_owned(),
        url: format!("http://{at}{path}"),
        good: vec![(200, 299)],
        ..LoadStep::default()
    }
}

fn plan(steps: Vec<LoadStep>, rate: f64, duration_ms: u64) -> LoadPlan {
    LoadPlan {
        mixes: vec![steps],
        phases: vec![Phase {
            mix: 0,
            rate: Rate::Constant(rate),
            duration_ms,
            counts: Counts::Yes,
        }],
        slice_ms: 250,
        timeout_ms: 60_000,
        fresh_every: 0,
        most_at_once: 1_000,
        insecure: false,
        ca: Vec::new(),
    }
}

/// The whole of a load.
async fn sent(plan: LoadPlan) -> (Vec<Slice>, StepSlice) {
    let slices = client().load(plan).await.unwrap();
    let mut whole = StepSlice::default();
    slices.iter().for_each(|slice| whole.add(&slice.whole()));
    (slices, whole)
}

/// The heads of a connection's requests, until it ends.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(raw).ok()
}

/// Their paths.
async fn asked(stream: &mut TcpStream) -> Option<String> {
    head(stream).await?.split(' ').nth(1).map(str::to_owned)
}

/// The hosts that they ask for, without the port.
async fn host_of(stream: &mut TcpStream) -> Option<String> {
    let head = head(stream).await?;
    let line = head.lines().find_map(|line| line.strip_prefix("host: "))?;
    line.split(':').next().map(str::to_owned)
}

async fn answer(stream: &mut TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
    let _gone = stream.write_all(text.as_bytes()).await;
}

/// Serves every connection by `connection`.
async fn server<F, C>(connection: C) -> SocketAddr
where
    C: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream));
        }
    });
    address
}

/// Answers 200, below `/bad` 500, and keeps the connection.
async fn fine() -> SocketAddr {
    server(|mut stream| async move {
        while let Some(path) = asked(&mut stream).await {
            answer(&mut stream, if path.starts_with("/bad") { 500 } else { 200 }).await;
        }
    })
    .await
}

#[tokio::test]
async fn everything_that_is_due_is_sent_and_counted_step_by_step_and_slice_by_slice() {
    let at = fine().await;
    let steps = vec![step(at, "/a"), step(at, "/bad"), step(at, "/c")];
    let (slices, whole) = sent(plan(steps, 120.0, 1_000)).await;
    assert_eq!(slices.len(), 4);
    assert!(slices.iter().all(|slice| slice.planned == 30 && slice.sent == 30));
    assert_eq!((whole.sent, whole.good, whole.errors.count()), (120, 80, 40));
    assert_eq!(whole.errors.by_status, [(500, 40)].into());
    let of = |at: usize| slices.iter().map(|slice| slice.steps[at].sent).sum::<u64>();
    assert_eq!([of(0), of(1), of(2)], [40, 40, 40]);
    // What fails at once is no fast answer.
    assert_eq!((whole.latency.count(), whole.service.count()), (80, 80));
    assert!(whole.opened < 120, "{}", whole.opened);
}

#[tokio::test]
async fn a_server_that_stalls_is_seen_by_all_who_came_meanwhile_and_not_by_one() {
    // Nobody is answered until twenty wait: a client that waits for its answer before it asks again would wait for ever.
    let (waiting, all) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let at = server(move |mut stream| {
        let (waiting, all) = (waiting.clone(), all.clone());
        async move {
            while asked(&mut stream).await.is_some() {
                let told = all.notified();
                if waiting.fetch_add(1, Ordering::SeqCst) + 1 == 20 {
                    all.notify_waiters();
                } else if waiting.load(Ordering::SeqCst) < 20 {
                    told.await;
                }
                answer(&mut stream, 200).await;
            }
        }
    })
    .await;
    let (_, whole) = sent(plan(vec![step(at, "/")], 100.0, 1_000)).await;
    assert_eq!((whole.sent, whole.good), (100, 100));
    // The twentieth is due 190 ms after the first: by then ten have waited for 100 ms and more.
    let long = whole.latency.held().filter(|(micros, _)| *micros >= 99_000);
    assert!(long.map(|(_, count)| count).sum::<u64>() >= 10, "{:?}", whole.latency);
    assert!(whole.latency.longest().unwrap() >= Duration::from_millis(189));
}

#[tokio::test]
async fn what_finds_no_place_is_not_sent_and_what_never_comes_is_waited_for() {
    let at = server(|mut stream| async move {
        asked(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let plan = LoadPlan {
        most_at_once: 3,
        timeout_ms: 5_000,
        ..plan(vec![step(at, "/")], 40.0, 500)
    };
    let (slices, whole) = sent(plan).await;
    let planned: u64 = slices.iter().map(|slice| slice.planned).sum();
    assert_eq!((planned, whole.sent, whole.good), (20, 3, 0));
    assert_eq!(whole.errors.count(), 3);
    assert_eq!(whole.latency.count(), 3);
    assert!(whole.latency.at(0.0).unwrap() >= Duration::from_millis(4_900));
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_meanwhile_is_no_error() {
    // It says nothing of closing, and closes after every answer.
    let at = server(|mut stream| async move {
        if asked(&mut stream).await.is_some() {
            answer(&mut stream, 200).await;
        }
    })
    .await;
    let (_, whole) = sent(plan(vec![step(at, "/")], 100.0, 500)).await;
    assert_eq!((whole.sent, whole.good, whole.errors.count()), (50, 50, 0));
}

#[tokio::test]
async fn nobody_there_is_an_error_of_each_request_and_no_latency() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let (_, whole) = sent(plan(vec![step(at, "/")], 100.0, 200)).await;
    assert_eq!((whole.sent, whole.errors.count(), whole.latency.count()), (20, 20, 0));
}

#[tokio::test]
async fn a_load_that_cannot_be_sent_is_refused_with_the_reason() {
    let at = fine().await;
    let long = client().load(plan(vec![step(at, "/")], 1.0, 4_000_000)).await;
    assert!(long.unwrap_err().to_string().contains("longer than a load may last"));
    let ftp = LoadStep {
        url: "ftp://web/".to_owned(),
        ..step(at, "/")
    };
    let other = client().load(plan(vec![ftp], 1.0, 1_000)).await;
    assert!(other.unwrap_err().to_string().contains("not a scheme of HTTP"));
}

#[tokio::test]
async fn of_two_that_would_answer_to_one_name_each_is_asked_by_its_own_and_reads_the_same() {
    // Each says by its status who it is, where it is asked by that name.
    let release = |status: u16| async move {
        server(move |mut stream| async move {
            while let Some(host) = host_of(&mut stream).await {
                answer(&mut stream, if host == "shop.example.com" { status } else { 500 }).await;
            }
        })
        .await
    };
    let (old, new) = (release(201).await, release(202).await);
    let of = |at: SocketAddr, name: &str, status: u16| LoadStep {
        url: format!("http://shop.example.com:{}/", at.port()),
        at: Some(at.ip().to_string()),
        good: vec![(status, status)],
        ..step(at, name)
    };
    let phase = |mix| Phase {
        mix,
        ..plan(Vec::new(), 50.0, 200).phases.remove(0)
    };
    let plan = LoadPlan {
        mixes: vec![vec![of(old, "old", 201)], vec![of(new, "new", 202)]],
        phases: vec![phase(0), phase(1)],
        ..plan(Vec::new(), 50.0, 200)
    };
    let (slices, whole) = sent(plan).await;
    assert_eq!((whole.sent, whole.good), (20, 20));
    assert_eq!(slices.iter().map(|slice| slice.mix).collect::<Vec<_>>(), [0, 1]);
}
