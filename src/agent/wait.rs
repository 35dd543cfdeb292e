//! Waiting inside the mirror: a question again and again, until its answer is the wanted one or time is up.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Answer;
use super::exchange::{Browser, ask};
use super::failure::millis;
use super::names::Names;

/// The first pause between two questions, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(100));

/// One question's limit: a service that is still warming up may take its time over the first answer.
const HTTP_LIMIT: Duration = Duration::from_secs(10);

/// One connection's limit: an address that nobody has (yet) swallows packets.
const TCP_LIMIT: Duration = Duration::from_secs(1);

/// Until `url` gives one of `statuses`, or any answer where none is named.
pub(super) async fn http(browser: &Arc<Browser>, url: &str, statuses: &[u16], deadline: Duration) -> Answer {
    until(deadline, async |left| {
        match ask(browser, url, left.min(HTTP_LIMIT)).await {
            Ok(status) if statuses.is_empty() || statuses.contains(&status) => Ok(format!("status {status}")),
            Ok(status) => Err(format!("status {status}")),
            Err(failure) => Err(format!("{}: {}", failure.kind, failure.message)),
        }
    })
    .await
}

/// Until one of the ports accepts a connection.
pub(super) async fn tcp(names: &Names, host: &str, ports: &[u16], deadline: Duration) -> Answer {
    until(deadline, async |left| {
        let addresses = names
            .addresses(host)
            .await
            .map_err(|message| format!("dns: {message}"))?;
        let sockets = addresses
            .iter()
            .flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port)));
        let tries = join_all(sockets.map(|socket| connect(socket, left.min(TCP_LIMIT)))).await;
        tries
            .into_iter()
            .reduce(|best, next| if best.is_ok() { best } else { next })
            .unwrap_or_else(|| Err("no port to ask".to_owned()))
    })
    .await
}

async fn connect(socket: SocketAddr, limit: Duration) -> Result<String, String> {
    match timeout(limit, TcpStream::connect(socket)).await {
        Ok(Ok(_)) => Ok(format!("{socket} accepts connections")),
        Ok(Err(error)) => Err(format!("connect {socket}: {error}")),
        Err(_) => Err(format!("connect {socket}: no answer")),
    }
}

async fn until<F>(deadline: Duration, mut question: impl FnMut(Duration) -> F) -> Answer
where
    F: Future<Output = Result<String, String>>,
{
    let started = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        let last = match question(left.max(Duration::from_millis(1))).await {
            Ok(last) => {
                return Answer::Awaited {
                    after_ms: Some(millis(started.elapsed())),
                    last,
                };
            }
            Err(last) => last,
        };
        let left = deadline.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Answer::Awaited { after_ms: None, last };
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}
