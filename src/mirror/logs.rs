//! Logs of the run's containers: on disk from creation on, `logs/STAGE/SERVICE.log`, redacted line by line, and in
//! memory (bounded) for causes and differences.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::engine::Engine;
use crate::plan::StageId;
use crate::redact::Redactor;

/// Lines kept in memory for each service and stage; more are on disk only.
const KEPT_LINES: usize = 20_000;
/// A line is cut here.
const LINE_LIMIT: usize = 16 * 1024;
/// How long `settled` waits for the engine to hand over the last lines of a container that has ended.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// The logs of a mirror. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    inner: Arc<Mutex<Inner>>,
    engine: Engine,
    redactor: Redactor,
}

struct Inner {
    folder: Option<PathBuf>,
    stage: StageId,
    files: HashMap<(StageId, String), File>,
    lines: BTreeMap<(StageId, String), Vec<String>>,
    followed: HashMap<String, watch::Receiver<bool>>,
    // Lines taken of each container: after a restart the engine tells its whole log again.
    delivered: HashMap<String, usize>,
}

impl Logs {
    /// Logs that are written below `folder`; `None` = kept in memory only.
    pub fn new(engine: &Engine, redactor: &Redactor, folder: Option<PathBuf>) -> Self {
        let inner = Inner {
            folder,
            stage: StageId::Control,
            files: HashMap::new(),
            lines: BTreeMap::new(),
            followed: HashMap::new(),
            delivered: HashMap::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), engine: engine.clone(), redactor: redactor.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on lines belong to this stage.
    pub fn enter(&self, stage: StageId) {
        self.lock().stage = stage;
    }

    /// A container was made: its file exists from now on.
    pub fn open(&self, service: &str) {
        let mut inner = self.lock();
        let stage = inner.stage;
        inner.lines.entry((stage, service.to_owned())).or_default();
        inner.file(stage, service);
    }

    /// Follows a container from its (next) start to its end.
    pub fn follow(&self, container: &str, service: &str) {
        let (ended, end) = watch::channel(false);
        self.lock().followed.insert(container.to_owned(), end);
        let (logs, container, service) = (self.clone(), container.to_owned(), service.to_owned());
        tokio::spawn(async move {
            logs.read(&container, &service).await;
            // Nobody waiting is fine.
            let _waiting = ended.send(true);
        });
    }

    /// Everything again from a restart on: the engine ends a stream with the container's end.
    async fn read(&self, container: &str, service: &str) {
        let options = LogsOptions { follow: true, stdout: true, stderr: true, tail: "all".into(), ..Default::default() };
        let mut skip = self.lock().delivered.get(container).copied().unwrap_or_default();
        let mut stream = Box::pin(self.engine.docker().logs(container, Some(options)));
        let mut open: HashMap<bool, Vec<u8>> = HashMap::new();
        while let Some(Ok(chunk)) = stream.next().await {
            let (is_error, message) = match chunk {
                LogOutput::StdErr { message } => (true, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => (false, message),
                LogOutput::StdIn { .. } => continue,
            };
            let partial = open.entry(is_error).or_default();
            for byte in message {
                if byte == b'\n' {
                    self.keep(container, service, &mut skip, partial);
                    partial.clear();
                } else if partial.len() < LINE_LIMIT {
                    partial.push(byte);
                }
            }
        }
        for partial in open.values().filter(|partial| !partial.is_empty()) {
            self.keep(container, service, &mut skip, partial);
        }
    }

    /// Writes one line, unless an earlier reading of the same container has written it.
    fn keep(&self, container: &str, service: &str, skip: &mut usize, raw: &[u8]) {
        if *skip > 0 {
            *skip -= 1;
            return;
        }
        let line = self.redactor.clean(String::from_utf8_lossy(raw).trim_end_matches('\r'));
        let mut inner = self.lock();
        let stage = inner.stage;
        *inner.delivered.entry(container.to_owned()).or_default() += 1;
        if let Some(file) = inner.file(stage, service) {
            // A full disk must not end the run; the verdict does not hang on a log line.
            let _written = writeln!(file, "{line}");
        }
        let lines = inner.lines.entry((stage, service.to_owned())).or_default();
        if lines.len() < KEPT_LINES {
            lines.push(line);
        }
    }

    /// Waits until the engine has handed over what a container that has ended said.
    pub async fn settled(&self, container: &str) {
        let Some(mut end) = self.lock().followed.get(container).cloned() else { return };
        let _in_time = tokio::time::timeout(SETTLE_LIMIT, end.wait_for(|ended| *ended)).await;
    }

    /// What a service said in a stage, oldest first.
    pub fn of(&self, stage: StageId, service: &str) -> Vec<String> {
        self.lock().lines.get(&(stage, service.to_owned())).cloned().unwrap_or_default()
    }

    /// The last lines that a service said in the current stage, or before it if it said nothing yet.
    pub fn tail(&self, service: &str, count: usize) -> Vec<String> {
        let inner = self.lock();
        let of = |stage| inner.lines.get(&(stage, service.to_owned())).filter(|lines| !lines.is_empty());
        let stages = [inner.stage, StageId::Rollback, StageId::Upgrade, StageId::Control];
        let Some(lines) = stages.into_iter().find_map(of) else { return Vec::new() };
        lines[lines.len().saturating_sub(count)..].to_vec()
    }

    /// How many lines a service has said in the current stage: a mark for "since".
    pub fn mark(&self, service: &str) -> usize {
        let inner = self.lock();
        inner.lines.get(&(inner.stage, service.to_owned())).map_or(0, Vec::len)
    }

    /// What a service said in the current stage after a mark.
    pub fn since(&self, service: &str, mark: usize) -> Vec<String> {
        let inner = self.lock();
        let lines = inner.lines.get(&(inner.stage, service.to_owned()));
        lines.map_or_else(Vec::new, |lines| lines[mark.min(lines.len())..].to_vec())
    }
}

impl Inner {
    fn file(&mut self, stage: StageId, service: &str) -> Option<&mut File> {
        let folder = self.folder.clone()?;
        let key = (stage, service.to_owned());
        if !self.files.contains_key(&key) {
            let file = open_log(&folder, stage, service)?;
            self.files.insert(key.clone(), file);
        }
        self.files.get_mut(&key)
    }
}

fn open_log(folder: &Path, stage: StageId, service: &str) -> Option<File> {
    let folder = folder.join(stage.as_str());
    std::fs::create_dir_all(&folder).ok()?;
    let safe: String = service.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    OpenOptions::new().create(true).append(true).open(folder.join(format!("{safe}.log"))).ok()
}
