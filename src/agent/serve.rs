//! The agent's end of the wire: reads calls, does them at the same time, writes replies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::bear::{self, Bearer};
use super::exchange::Browser;
use super::outside::Outside;
use super::probe::Probes;
use super::session::lock;
use super::wire::next_line;
use super::{Answer, AskedAnswer, BearCall, Call, OutsideCall, Reply, Request, session, wait};

/// Where DNS is asked.
const DNS_PORT: u16 = 53;

/// Serves one gate until `reader` ends; what is then under way is dropped. One that was asked to stay does not return.
///
/// # Errors
/// The gate's stream broke or it said what is not a call.
pub async fn serve(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> anyhow::Result<()> {
    let agent = Arc::new(Agent {
        browser: Arc::new(Browser::new()),
        probes: Probes::default(),
        bearers: Mutex::default(),
        stays: AtomicBool::new(false),
        outside: OnceLock::new(),
    });
    let (replies, queue) = mpsc::channel(64);
    let writing = tokio::spawn(write_replies(writer, queue));
    let mut calls = JoinSet::new();
    let mut reader = BufReader::new(reader);
    let ended = loop {
        let line = match next_line(&mut reader).await.context("the gate's stream broke") {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        match serde_json::from_slice(&line).context("the gate said what is not a call") {
            Ok(request) => drop(calls.spawn(reply(agent.clone(), request, replies.clone()))),
            Err(error) => break Err(error),
        }
        // Finished calls leave nothing behind.
        while calls.try_join_next().is_some() {}
    };
    calls.shutdown().await;
    drop(replies);
    writing.await.context("the agent's writer broke")?;
    if agent.stays.load(Ordering::Relaxed) {
        // Until its container is stopped.
        std::future::pending::<()>().await;
    }
    ended
}

async fn reply(agent: Arc<Agent>, request: Request, replies: mpsc::Sender<Reply>) {
    let answer = agent.answer(request.call).await;
    // An error means that nobody reads any more: the reader is about to see the end, too.
    let _ = replies.send(Reply { id: request.id, answer }).await;
}

async fn write_replies(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Reply>) {
    while let Some(reply) = queue.recv().await {
        let Ok(mut line) = serde_json::to_vec(&reply) else {
            continue;
        };
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

struct Agent {
    browser: Arc<Browser>,
    probes: Probes,
    bearers: Mutex<Vec<Bearer>>,
    stays: AtomicBool,
    outside: OnceLock<Outside>,
}

impl Agent {
    async fn answer(&self, call: Call) -> Answer {
        let sessions = &self.browser.sessions;
        match call {
            Call::Ping => Answer::Done,
            Call::Http(call) => self.browser.exchange(&call).await,
            Call::Fork { from, to } => {
                sessions.fork(&from, &to);
                Answer::Done
            }
            Call::Close { session } => {
                sessions.close(&session);
                Answer::Done
            }
            Call::Cookies { session } => Answer::Cookies(session::list(&sessions.jar(&session))),
            Call::AddCookies { session, cookies } => {
                session::add(&sessions.jar(&session), &cookies);
                Answer::Done
            }
            Call::AwaitHttp {
                url,
                statuses,
                deadline_ms,
            } => wait::http(&self.browser, &url, &statuses, Duration::from_millis(deadline_ms)).await,
            Call::AwaitTcp {
                host,
                ports,
                deadline_ms,
            } => wait::tcp(&self.browser.names, &host, &ports, Duration::from_millis(deadline_ms)).await,
            Call::ProbeStart {
                probe,
                url,
                interval_ms,
                timeout_ms,
            } => {
                let (every, limit) = (Duration::from_millis(interval_ms), Duration::from_millis(timeout_ms));
                self.probes.start(self.browser.clone(), probe, url, every, limit);
                Answer::Done
            }
            Call::Bear(call) => self.bear(call).await,
            Call::Stay => {
                self.stays.store(true, Ordering::Relaxed);
                Answer::Done
            }
            Call::Outside(call) => self.answer_for_outside(call).await,
            Call::Asked => match self.outside.get() {
                Some(outside) => outside.asked().await,
                None => Answer::Asked(AskedAnswer {
                    unheard: Some("nobody told the agent to listen".to_owned()),
                    ..AskedAnswer::default()
                }),
            },
            Call::ProbeStop { probe } => self.probes.stop(&probe).await,
        }
    }

    async fn answer_for_outside(&self, call: OutsideCall) -> Answer {
        match Outside::begin(call, self.browser.names.clone(), DNS_PORT).await {
            // The first stays: there is one port.
            Ok(outside) => {
                let _first = self.outside.set(outside);
                Answer::Done
            }
            Err(failed) => failed,
        }
    }

    async fn bear(&self, call: BearCall) -> Answer {
        match bear::begin(call, self.browser.names.clone()).await {
            Ok(bearer) => {
                lock(&self.bearers).push(bearer);
                Answer::Done
            }
            Err(failed) => failed,
        }
    }
}
