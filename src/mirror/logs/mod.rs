//! Logs of the run's containers: on disk from creation on, redacted line by line, and in memory (bounded) for causes and
//! differences.

mod cursor;
mod files;
mod kept;
mod store;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::setup::News;
use crate::engine::Engine;
use crate::engine::tail::{Reading, stamped};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::redact::Redactor;
use crate::world::replica::Replica;
use cursor::{Cursor, Output, Position};
use files::Files;
pub use kept::Excerpt;
pub use store::Mark;
use store::Store;

/// How long `settled` waits for the engine to hand over the last lines of a container that has ended.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// The logs of a mirror. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    inner: Arc<Mutex<Inner>>,
    engine: Engine,
    redactor: Redactor,
    news: UnboundedSender<News>,
    /// Counts lines, for those who wait for more.
    more: Arc<watch::Sender<u64>>,
}

struct Inner {
    store: Store,
    files: Files,
    readers: HashMap<String, Vec<watch::Receiver<bool>>>,
}

impl Logs {
    /// Logs that are written below `folder`; `None` = kept in memory only.
    pub(super) fn new(
        engine: &Engine,
        redactor: &Redactor,
        folder: Option<PathBuf>,
        news: UnboundedSender<News>,
    ) -> Self {
        let inner = Inner {
            store: Store::new(),
            files: Files::below(folder),
            readers: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            engine: engine.clone(),
            redactor: redactor.clone(),
            news,
            more: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Changes with every line of every service.
    pub fn more(&self) -> watch::Receiver<u64> {
        self.more.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, trouble: Option<String>) {
        if let Some(text) = trouble {
            // A run that has stopped listening is a run that is going down.
            let _listening = self.news.send(News::Note(text));
        }
    }

    /// From now on lines belong to this stage.
    pub fn enter(&self, stage: StageId) {
        self.lock().store.enter(stage);
    }

    /// What a replica said in `control`, without what was set aside.
    pub fn known(&self, replica: &Replica) -> Vec<String> {
        self.lock().store.known(replica)
    }

    /// These lines are nothing that a replica is known to say.
    pub fn set_aside(&self, replica: &Replica, lines: &[String]) {
        self.lock().store.set_aside(replica, lines);
    }

    /// From now on it is this release's turn; the present containers of these replicas are being replaced.
    pub(super) fn turn(&self, to: Role, replaced: &[Replica]) {
        self.lock().store.turn(to, replaced);
    }

    /// A container that was stopped for a swap is there again: it stays.
    pub(super) fn stays(&self, container: &str) {
        self.lock().store.stays(container);
    }

    /// A container was made: its file exists from now on.
    pub(super) fn open(&self, container: &str, replica: &Replica) {
        let mut inner = self.lock();
        let stage = inner.store.open(container, replica);
        let trouble = inner.files.make(stage, &replica.to_string());
        drop(inner);
        self.note(trouble);
    }

    /// Follows a container from its (next) start on. Some engines end a reading with the container's end, some read on
    /// after a restart; so it is followed again at each, and no entry is taken twice.
    pub(super) fn follow(&self, container: &str) {
        let (ended, end) = watch::channel(false);
        self.lock().readers.entry(container.to_owned()).or_default().push(end);
        let (logs, container) = (self.clone(), container.to_owned());
        tokio::spawn(async move {
            logs.read(&container).await;
            // Nobody waiting is fine.
            let _waiting = ended.send(true);
        });
    }

    /// Twice: an engine may end the first, which follows, before it has told the last entries.
    async fn read(&self, container: &str) {
        self.read_once(container, Reading::Follows).await;
        self.read_once(container, Reading::Ends).await;
        let rest = self.lock().store.cursor(container).map(Cursor::rest);
        rest.iter().flatten().for_each(|line| self.keep(container, line));
    }

    async fn read_once(&self, container: &str, reading: Reading) {
        let since = self.lock().store.cursor(container).map_or(0, |cursor| cursor.seconds());
        let options = LogsOptions {
            follow: reading == Reading::Follows,
            stdout: true,
            stderr: true,
            timestamps: true,
            since,
            tail: "all".into(),
            ..Default::default()
        };
        let mut at = Position::default();
        let mut stream = Box::pin(self.engine.docker().logs(container, Some(options)));
        while let Some(Ok(chunk)) = stream.next().await {
            let (output, message) = match chunk {
                LogOutput::StdErr { message } => (Output::Error, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => (Output::Standard, message),
                LogOutput::StdIn { .. } => continue,
            };
            let (stamp, text) = stamped(&message);
            at.advance(stamp);
            self.take(container, &at, output, text);
        }
    }

    fn take(&self, container: &str, at: &Position, output: Output, text: &[u8]) {
        let mut inner = self.lock();
        let cursor = inner.store.cursor(container);
        let lines = cursor.map(|cursor| cursor.take(at, output, text));
        drop(inner);
        lines.iter().flatten().for_each(|line| self.keep(container, line));
    }

    fn keep(&self, container: &str, raw: &[u8]) {
        let line = self.redactor.clean(String::from_utf8_lossy(raw).trim_end_matches('\r'));
        let mut inner = self.lock();
        let Inner { store, files, .. } = &mut *inner;
        let said = store.push(container, line.clone());
        let trouble = said.and_then(|(stage, replica)| files.write(stage, &replica.to_string(), &line));
        drop(inner);
        self.note(trouble);
        self.more.send_modify(|count| *count += 1);
    }

    /// Waits until the engine has handed over what a container that has ended said.
    pub async fn settled(&self, container: &str) {
        let readers = self.lock().readers.get(container).cloned().unwrap_or_default();
        let all = join_all(
            readers
                .into_iter()
                .map(async |mut end| end.wait_for(|ended| *ended).await.is_ok()),
        );
        let _in_time = tokio::time::timeout(SETTLE_LIMIT, all).await;
    }

    /// What a container said.
    pub fn of_container(&self, container: &str) -> Excerpt {
        self.lock().store.of_container(container)
    }

    /// Every replica of a service that has had a container.
    pub fn replicas_of(&self, service: &str) -> BTreeSet<Replica> {
        self.lock().store.replicas_of(service)
    }

    /// What a replica said in a stage.
    pub fn in_stage(&self, replica: &Replica, stage: StageId) -> Excerpt {
        self.lock().store.in_stage(replica, stage)
    }

    /// What a replica said in a release's turn: one that is replaced what its own release said, its last words included;
    /// one that stays what it said beside it.
    pub fn in_turn(&self, replica: &Replica, role: Role) -> Excerpt {
        self.lock().store.in_turn(replica, role)
    }

    /// The same in one stage.
    pub fn said(&self, replica: &Replica, stage: StageId, role: Role) -> Excerpt {
        self.lock().store.said(replica, stage, role)
    }

    /// The last lines of a replica.
    pub fn last(&self, replica: &Replica, count: usize) -> Vec<String> {
        self.lock().store.last(replica, count)
    }

    /// Where a replica's log stands now: a mark for [`Logs::since`].
    pub fn mark(&self, replica: &Replica) -> Mark {
        self.lock().store.mark(replica)
    }

    /// Where the log of a replica's present container begins.
    pub fn beginning(&self, replica: &Replica) -> Mark {
        self.lock().store.beginning(replica)
    }

    /// What a replica said after a mark.
    pub fn since(&self, replica: &Replica, mark: Mark) -> Excerpt {
        self.lock().store.since(replica, mark)
    }
}
