//! The gate's end of the wire to the agent.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::front::calls::{CallSeen, CallsCall};
use super::load::plan::LoadPlan;
use super::load::slice::Slice;
use super::load::{LoadAnswer, LoadCall};
use super::probe::{ProbeAnswer, ProbeCall, ProbeSample};
use super::wire::{LINE_LIMIT, next_line};
use super::{Answer, Call, Reply, ReplyBody, Request};

/// A call that the agent does not answer this long after its own limit is lost: the agent hangs.
const SLACK: Duration = Duration::from_secs(30);

/// What looks at the slices of a load as they end, and may break it off.
pub type Seen<'a> = &'a (dyn Fn(&[Slice]) -> ControlFlow<()> + Send + Sync);

/// Samples, or calls, that are asked for at once.
const PAGE: usize = 50_000;

/// A connection to one agent. Cheap to clone; calls may run at the same time. When the last clone is gone the agent's
/// standard input ends, and with it the agent.
#[derive(Clone)]
pub struct Client {
    lines: mpsc::Sender<Vec<u8>>,
    pending: Arc<Pending>,
    next: Arc<AtomicU64>,
}

impl Client {
    /// Speaks over these streams until they end. Call it within a tokio runtime: two tasks carry the lines.
    pub fn over(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let pending = Arc::new(Pending::default());
        let (lines, queue) = mpsc::channel(64);
        tokio::spawn(read_replies(reader, pending.clone()));
        tokio::spawn(write_requests(writer, queue, pending.clone()));
        Self {
            lines,
            pending,
            next: Arc::default(),
        }
    }

    /// Asks and waits for the reply.
    ///
    /// # Errors
    /// The agent is gone, or call or answer are longer than a line may be: nothing was learned of a service. Whatever
    /// happens on the wire to one is an [`Answer`].
    pub async fn call(&self, call: Call) -> anyhow::Result<Answer> {
        let limit = call.limit() + SLACK;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Request { id, call }).context("cannot write a call to the agent")?;
        line.push(b'\n');
        anyhow::ensure!(line.len() <= LINE_LIMIT, "{}", too_long("the call", line.len()));
        let (sender, receiver) = oneshot::channel();
        self.pending.add(id, sender)?;
        // Whoever stops waiting takes the entry along.
        let _entry = PendingCall {
            pending: &self.pending,
            id,
        };
        if self.lines.send(line).await.is_err() {
            return Err(self.pending.death());
        }
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(ReplyBody::Answer(answer))) => Ok(answer),
            Ok(Ok(ReplyBody::TooLong(bytes))) => Err(anyhow!(too_long("the answer", bytes))),
            Ok(Err(_)) => Err(self.pending.death()),
            Err(_) => Err(anyhow!("the agent did not answer within {} s", limit.as_secs())),
        }
    }

    /// Returns when the agent is gone, with the reason; never, while it lives.
    pub async fn lost(&self) -> anyhow::Error {
        self.pending.died.cancelled().await;
        self.pending.death()
    }

    /// Every sample of a probe that has ended, in the order asked, page by page.
    ///
    /// # Errors
    /// As for a call; or no probe of that name has ended.
    pub async fn samples(&self, probe: &str) -> anyhow::Result<Vec<ProbeSample>> {
        let mut samples = Vec::new();
        loop {
            let take = ProbeCall::Take {
                probe: probe.to_owned(),
                after: samples.len(),
                most: PAGE,
            };
            let page = match self.call(Call::Probe(take)).await? {
                Answer::Probe(ProbeAnswer::Samples(page)) => page,
                Answer::Failed(failed) => return Err(anyhow!(failed.message)),
                other => return Err(anyhow!("the agent answered a question for samples with {other:?}")),
            };
            let ends = page.left == 0 || page.items.is_empty();
            samples.extend(page.items);
            if ends {
                return Ok(samples);
            }
        }
    }
}

impl Client {
    /// What was asked at the fronts, behind the first `after`, and how many calls more were not kept. Taken in pages, as
    /// samples are.
    ///
    /// # Errors
    /// As for a call.
    pub async fn calls(&self, after: usize) -> anyhow::Result<(Vec<CallSeen>, u64)> {
        let mut calls = Vec::new();
        loop {
            let take = CallsCall::Take {
                after: after + calls.len(),
                most: PAGE,
            };
            let page = match self.call(Call::Calls(take)).await? {
                Answer::Calls(page) => page,
                other => return Err(anyhow!("the agent answered a question for calls with {other:?}")),
            };
            let ends = page.calls.left == 0 || page.calls.items.is_empty();
            calls.extend(page.calls.items);
            if ends {
                return Ok((calls, page.more));
            }
        }
    }
}

impl Client {
    /// Sends a load, and gives all of its slices when the last has ended.
    ///
    /// # Errors
    /// As for a call; or it cannot be sent; or it does not end.
    pub async fn load(&self, plan: LoadPlan) -> anyhow::Result<Vec<Slice>> {
        self.load_while(plan, &|_| ControlFlow::Continue(())).await
    }

    /// The same, until `seen` breaks off: it is shown the slices that have ended since it was last asked, and is asked every
    /// few seconds where none has.
    ///
    /// # Errors
    /// As before.
    pub async fn load_while(&self, plan: LoadPlan, seen: Seen<'_>) -> anyhow::Result<Vec<Slice>> {
        let load = "load".to_owned();
        let limit = plan.longest() + SLACK;
        let start = LoadCall::Start {
            load: load.clone(),
            plan,
        };
        match self.call(Call::Load(start)).await? {
            Answer::Load(LoadAnswer::Started) => {}
            Answer::Failed(failed) => return Err(anyhow!(failed.message)),
            other => return Err(anyhow!("the agent answered a load with {other:?}")),
        }
        let slices = tokio::time::timeout(limit, self.slices(&load, seen)).await;
        let slices = slices.unwrap_or_else(|_| Err(anyhow!("a load did not end within {} s", limit.as_secs())));
        let _stopped = self.call(Call::Load(LoadCall::Stop { load })).await;
        slices
    }

    /// Every slice of a load, as they end.
    async fn slices(&self, load: &str, seen: Seen<'_>) -> anyhow::Result<Vec<Slice>> {
        let mut all = Vec::new();
        loop {
            let take = LoadCall::Take {
                load: load.to_owned(),
                after: all.len(),
            };
            let (slices, of) = match self.call(Call::Load(take)).await? {
                Answer::Load(LoadAnswer::Slices { slices, of }) => (slices, of),
                Answer::Failed(failed) => return Err(anyhow!(failed.message)),
                other => return Err(anyhow!("the agent answered a question for slices with {other:?}")),
            };
            let goes_on = seen(&slices);
            all.extend(slices);
            if all.len() >= of || goes_on.is_break() {
                return Ok(all);
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("dead", &self.pending.lock().dead)
            .finish_non_exhaustive()
    }
}

fn too_long(what: &str, bytes: usize) -> String {
    let limit = LINE_LIMIT / (1024 * 1024);
    format!("{what} has {bytes} bytes, more than the {limit} MiB that fit between gate and agent")
}

/// Who waits for which reply.
#[derive(Default)]
struct Pending {
    waiting: Mutex<Waiting>,
    died: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<ReplyBody>>,
    dead: Option<String>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u64, sender: oneshot::Sender<ReplyBody>) -> anyhow::Result<()> {
        let mut waiting = self.lock();
        match &waiting.dead {
            Some(why) => Err(gone(why)),
            None => {
                waiting.calls.insert(id, sender);
                Ok(())
            }
        }
    }

    /// A reply that nobody waits for any more is dropped.
    fn settle(&self, reply: Reply) {
        if let Some(sender) = self.lock().calls.remove(&reply.id) {
            let _ = sender.send(reply.body);
        }
    }

    /// Fails every call under way and every later one. The first reason stands.
    fn die(&self, why: &str) {
        let mut waiting = self.lock();
        waiting.dead.get_or_insert_with(|| why.to_owned());
        waiting.calls.clear();
        self.died.cancel();
    }

    fn death(&self) -> anyhow::Error {
        gone(self.lock().dead.as_deref().unwrap_or("its stream ended"))
    }
}

fn gone(why: &str) -> anyhow::Error {
    anyhow!("the agent in the mirror is gone: {why}; its container's log says more")
}

struct PendingCall<'a> {
    pending: &'a Pending,
    id: u64,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.pending.lock().calls.remove(&self.id);
    }
}

async fn read_replies(reader: impl AsyncRead + Unpin, pending: Arc<Pending>) {
    let mut reader = BufReader::new(reader);
    let why = loop {
        match next_line(&mut reader).await {
            Ok(Some(line)) => match serde_json::from_slice(&line) {
                Ok(reply) => pending.settle(reply),
                Err(error) => break format!("it said what is not a reply ({error})"),
            },
            Ok(None) => break "its stream ended".to_owned(),
            Err(error) => break format!("its stream broke ({error})"),
        }
    };
    pending.die(&why);
}

async fn write_requests(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pending: Arc<Pending>,
) {
    while let Some(line) = queue.recv().await {
        let written = async {
            writer.write_all(&line).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return pending.die(&format!("it takes no more calls ({error})"));
        }
    }
    // The end of the stream tells the agent to end; an error means that it has.
    let _ = writer.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, duplex, split};

    use super::*;
    use crate::agent::session::SessionCall;
    use crate::agent::wait::Awaited;

    fn pair() -> (Client, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let (reader, writer) = split(ours);
        (Client::over(reader, writer), theirs)
    }

    #[tokio::test]
    async fn replies_in_any_order_reach_their_callers() {
        let (client, theirs) = pair();
        let (reader, mut writer) = split(theirs);
        let agent = tokio::spawn(async move {
            let mut lines = BufReader::new(reader).lines();
            let mut ids = Vec::new();
            while ids.len() < 2 {
                let line = lines.next_line().await.unwrap().unwrap();
                ids.push(serde_json::from_str::<Request>(&line).unwrap());
            }
            for request in ids.into_iter().rev() {
                let last = match request.call {
                    Call::Session(SessionCall::Close { session }) => session,
                    other => format!("{other:?}"),
                };
                let body = ReplyBody::Answer(Answer::Awaited(Awaited { after_ms: None, last }));
                let mut line = serde_json::to_vec(&Reply { id: request.id, body }).unwrap();
                line.push(b'\n');
                writer.write_all(&line).await.unwrap();
            }
        });
        let ask = |name: &str| {
            client.call(Call::Session(SessionCall::Close {
                session: name.to_owned(),
            }))
        };
        let (one, two) = tokio::join!(ask("one"), ask("two"));
        agent.await.unwrap();
        assert!(matches!(one.unwrap(), Answer::Awaited(awaited) if awaited.last == "one"));
        assert!(matches!(two.unwrap(), Answer::Awaited(awaited) if awaited.last == "two"));
    }

    #[tokio::test]
    async fn a_dead_stream_fails_pending_and_later_calls() {
        let (client, theirs) = pair();
        let pending = tokio::spawn({
            let client = client.clone();
            async move { client.call(Call::Ping).await }
        });
        let mut lines = BufReader::new(theirs);
        let mut line = String::new();
        lines.read_line(&mut line).await.unwrap();
        drop(lines);
        let error = pending.await.unwrap().unwrap_err().to_string();
        assert!(
            error.contains("the agent in the mirror is gone: its stream ended"),
            "{error}"
        );
        assert!(client.call(Call::Ping).await.is_err());
        assert_eq!(client.lost().await.to_string(), error);
    }

    #[tokio::test]
    async fn a_line_that_is_no_reply_ends_the_conversation() {
        let (client, mut theirs) = pair();
        theirs.write_all(b"thread 'main' panicked\n").await.unwrap();
        let error = client.call(Call::Ping).await.unwrap_err().to_string();
        assert!(error.contains("not a reply"), "{error}");
    }

    #[tokio::test]
    async fn the_last_client_gone_ends_the_agents_input() {
        let (client, mut theirs) = pair();
        drop(client);
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut rest)
            .await
            .unwrap();
        assert!(rest.is_empty());
    }
}
