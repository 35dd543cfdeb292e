//! The agent's end of the wire: reads calls, does them at the same time, writes replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::exchange::Browser;
use super::front::Fronts;
use super::held::Held;
use super::load::sender::Loads;
use super::outside::Ear;
use super::probe::Probes;
use super::wire::{LINE_LIMIT, next_line};
use super::{Answer, Call, Reply, ReplyBody, Request, directory, processors, radius_call, wait};

/// Serves one gate until `reader` ends; what is then under way is dropped. One that was asked to stay does not return.
///
/// # Errors
/// The gate's stream broke or it said what is not a call.
pub async fn serve(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> anyhow::Result<()> {
    converse(Arc::new(Agent::new(Probes::default())), reader, writer).await
}

async fn converse(
    agent: Arc<Agent>,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> anyhow::Result<()> {
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
    agent.loads.end();
    drop(replies);
    writing.await.context("the agent's writer broke")?;
    if agent.stays.load(Ordering::Relaxed) {
        // Until its container is stopped.
        std::future::pending::<()>().await;
    }
    ended
}

async fn reply(agent: Arc<Agent>, request: Request, replies: mpsc::Sender<Reply>) {
    let id = request.id;
    let body = ReplyBody::Answer(agent.answer(request.call).await);
    // An error means that nobody reads any more: the reader is about to see the end, too.
    let _ = replies.send(Reply { id, body }).await;
}

async fn write_replies(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Reply>) {
    while let Some(reply) = queue.recv().await {
        let Some(line) = line(&reply) else { continue };
        if writer.write_all(&line).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

/// A reply as it is written. One that is longer than the gate reads would end the conversation, and with it every call
/// that is under way.
fn line(reply: &Reply) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(reply).ok()?;
    if line.len() >= LINE_LIMIT {
        let body = ReplyBody::TooLong(line.len());
        line = serde_json::to_vec(&Reply { id: reply.id, body }).ok()?;
    }
    line.push(b'\n');
    Some(line)
}

struct Agent {
    browser: Arc<Browser>,
    probes: Probes,
    held: Held,
    fronts: Fronts,
    ear: Ear,
    loads: Loads,
    stays: AtomicBool,
}

impl Agent {
    fn new(probes: Probes) -> Self {
        Self {
            browser: Arc::new(Browser::new()),
            probes,
            held: Held::default(),
            fronts: Fronts::default(),
            ear: Ear::default(),
            loads: Loads::default(),
            stays: AtomicBool::new(false),
        }
    }

    async fn answer(&self, call: Call) -> Answer {
        let browser = &self.browser;
        match call {
            Call::Ping => Answer::Done,
            Call::Stay => {
                self.stays.store(true, Ordering::Relaxed);
                Answer::Done
            }
            Call::Http(call) => Answer::of(browser.exchange(&call).await, Answer::Http),
            Call::Directory(call) => Answer::of(directory::ask(&browser.resolver, &call).await, Answer::Directory),
            Call::Session(call) => Answer::Session(browser.sessions.serve(call)),
            Call::Wait(call) => Answer::Awaited(wait::serve(browser, call).await),
            Call::Probe(call) => Answer::of(self.probes.serve(browser, call).await, Answer::Probe),
            Call::Held(call) => Answer::of(self.held.serve(&browser.resolver, call).await, Answer::Held),
            Call::Fronts(call) => Answer::of(self.fronts.serve(call, &browser.resolver).await, |()| Answer::Done),
            Call::Calls(call) => Answer::Calls(self.fronts.calls(&call)),
            Call::Fault(call) => Answer::Fault(self.fronts.fault(&call).await),
            Call::Keys(call) => Answer::of(self.fronts.show(call), |()| Answer::Done),
            Call::Outside(call) => Answer::of(self.ear.serve(call, &browser.resolver).await, Answer::Outside),
            Call::Load(call) => Answer::of(self.loads.serve(browser, call).await, Answer::Load),
            Call::Radius(call) => Answer::of(radius_call::serve(&browser.resolver, &call).await, Answer::Radius),
            Call::Processors => Answer::Processors(processors::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{duplex, split};

    use super::*;
    use crate::agent::client::Client;
    use crate::agent::exchange::HttpCall;
    use crate::agent::probe::ProbeSample;
    use crate::agent::session::{Cookie, SessionCall};

    /// A gate's client, and behind it an agent with a probe that has ended.
    fn client(samples: Vec<ProbeSample>) -> Client {
        let (ours, theirs) = duplex(64 * 1024);
        let (reader, writer) = split(theirs);
        let agent = Agent::new(Probes::with_ended("upgrade", samples));
        tokio::spawn(converse(Arc::new(agent), reader, writer));
        let (reader, writer) = split(ours);
        Client::over(reader, writer)
    }

    async fn lives(client: &Client) -> bool {
        matches!(client.call(Call::Ping).await, Ok(Answer::Done))
    }

    /// So many cookies of 6 KiB, each of a host of its own.
    fn cookies(numbers: std::ops::Range<u32>) -> SessionCall {
        let cookie = |number| Cookie {
            domain: format!("{number}.example.com"),
            path: "/".to_owned(),
            name: "c".to_owned(),
            value: "x".repeat(6000),
            ..Cookie::default()
        };
        SessionCall::Add {
            session: "s".to_owned(),
            cookies: numbers.map(cookie).collect(),
        }
    }

    #[tokio::test]
    async fn an_answer_of_17_mib_is_a_failed_call_and_not_the_end_of_the_conversation() {
        let client = client(vec![]);
        for numbers in [0..1500, 1500..3000] {
            client.call(Call::Session(cookies(numbers))).await.unwrap();
        }
        let list = SessionCall::List {
            session: "s".to_owned(),
        };
        let error = client
            .call(Call::Session(list))
            .await
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(error.contains("more than the 16 MiB that fit"), "{error}");
        assert!(lives(&client).await);
    }

    #[tokio::test]
    async fn a_call_of_17_mib_is_not_sent_and_not_the_end_of_the_conversation() {
        let client = client(vec![]);
        let call = HttpCall {
            body: Some("x".repeat(17 * 1024 * 1024)),
            ..HttpCall::default()
        };
        let error = client.call(Call::Http(call)).await.unwrap_err().to_string();
        assert!(error.contains("more than the 16 MiB that fit"), "{error}");
        assert!(lives(&client).await);
    }

    #[tokio::test]
    async fn three_hundred_thousand_samples_are_taken_in_pages() {
        let sample = |number| ProbeSample {
            at_ms: number,
            done_ms: number + 7,
            status: Some(200),
            failure: None,
        };
        let samples: Vec<ProbeSample> = (0..300_000).map(sample).collect();
        let client = client(samples.clone());
        assert!(client.samples("upgrade").await.unwrap() == samples);
        assert!(client.samples("control").await.is_err());
        assert!(lives(&client).await);
    }
}
