//! Waiting inside the mirror: a question again and again, until its answer is the wanted one or time is up.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::exchange::{Browser, ask};
use super::failure::millis;
use super::resolver::{INSTEAD, Instead, Resolver};

/// The first pause between two questions, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(100));

/// One question's limit: a service that is still warming up may take its time over the first answer.
const HTTP_LIMIT: Duration = Duration::from_secs(10);

/// One connection's limit: an address that nobody has (yet) swallows packets.
const TCP_LIMIT: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCall {
    /// Returns as soon as the URL gives any HTTP answer (`statuses` empty) or one of `statuses`, or at the deadline
    /// with the last answer. Certificates are not verified: this is a question about life, not about trust.
    Http {
        /// What to ask.
        url: String,
        /// The name by which its host is reached, where that is one of several which bear the host's own.
        reached_at: Option<String>,
        /// Wanted statuses; empty = any answer.
        statuses: Vec<u16>,
        /// Give up after this long, milliseconds.
        deadline_ms: u64,
    },
    /// Returns as soon as a TCP connection to one of the ports is accepted, or at the deadline.
    Tcp {
        /// Host name or address.
        host: String,
        /// Any of these.
        ports: Vec<u16>,
        /// Give up after this long, milliseconds.
        deadline_ms: u64,
    },
}

/// The outcome of a wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Milliseconds until it became true; `None` = it did not.
    pub after_ms: Option<u64>,
    /// The last thing seen: status or error.
    pub last: String,
}

impl WaitCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Http { deadline_ms, .. } | Self::Tcp { deadline_ms, .. } => Duration::from_millis(*deadline_ms),
        }
    }
}

/// Waits.
pub(super) async fn serve(browser: &Arc<Browser>, call: WaitCall) -> Awaited {
    let limit = call.limit();
    match call {
        WaitCall::Http {
            url,
            reached_at,
            statuses,
            ..
        } => {
            let instead = Instead::of(&url, reached_at.as_deref());
            INSTEAD.scope(instead, http(browser, &url, &statuses, limit)).await
        }
        WaitCall::Tcp { host, ports, .. } => tcp(&browser.resolver, &host, &ports, limit).await,
    }
}

/// Until `url` gives one of `statuses`, or any answer where none is named.
async fn http(browser: &Arc<Browser>, url: &str, statuses: &[u16], deadline: Duration) -> Awaited {
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
async fn tcp(resolver: &Resolver, host: &str, ports: &[u16], deadline: Duration) -> Awaited {
    until(deadline, async |left| {
        let addresses = resolver
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

async fn until<F>(deadline: Duration, mut question: impl FnMut(Duration) -> F) -> Awaited
where
    F: Future<Output = Result<String, String>>,
{
    let started = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        let last = match question(left.max(Duration::from_millis(1))).await {
            Ok(last) => {
                return Awaited {
                    after_ms: Some(millis(started.elapsed())),
                    last,
                };
            }
            Err(last) => last,
        };
        let left = deadline.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Awaited { after_ms: None, last };
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}
