//! Logs of the run's containers: on disk from creation on, `logs/STAGE/SERVICE.log`, redacted line by line, and in
//! memory (bounded) for causes and differences.

use crate::engine::tail::stamped;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::record::stage::StageId;
use crate::text::redact::Redactor;

/// Lines kept in memory for each service and stage; more are on disk only.
const KEPT_LINES: usize = 20_000;
/// A line is cut here.
const LINE_LIMIT: usize = 16 * 1024;
/// Where the engine cuts lines itself.
const ENGINES_CUT: usize = 16 * 1024;
/// How long `settled` waits for the engine to hand over the last lines of a container that has ended.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// The logs of a mirror. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    inner: Arc<Mutex<Inner>>,
    engine: Engine,
    redactor: Redactor,
    /// Counts lines, for those who wait for more.
    more: Arc<watch::Sender<u64>>,
}

struct Inner {
    folder: Option<PathBuf>,
    stage: StageId,
    files: HashMap<(StageId, String), File>,
    lines: BTreeMap<(StageId, String), Vec<String>>,
    followed: HashMap<String, Vec<watch::Receiver<bool>>>,
    // How far each container's log has been taken.
    told: HashMap<String, Told>,
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
            told: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            engine: engine.clone(),
            redactor: redactor.clone(),
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

    /// Follows a container from its (next) start on. Some engines end a reading with the container's end, some read on
    /// after a restart; so it is followed again at each, and no entry is taken twice.
    pub fn follow(&self, container: &str, service: &str) {
        let (ended, end) = watch::channel(false);
        self.lock().followed.entry(container.to_owned()).or_default().push(end);
        let (logs, container, service) = (self.clone(), container.to_owned(), service.to_owned());
        tokio::spawn(async move {
            logs.read(&container, &service).await;
            // Nobody waiting is fine.
            let _waiting = ended.send(true);
        });
    }

    /// Twice: an engine may end the first, which follows, before it has told the last entries.
    async fn read(&self, container: &str, service: &str) {
        self.read_once(container, service, true).await;
        self.read_once(container, service, false).await;
        let rest = self.lock().told.get_mut(container).map(Told::rest).unwrap_or_default();
        rest.iter().for_each(|line| self.keep(service, line));
    }

    async fn read_once(&self, container: &str, service: &str, follow: bool) {
        let since = self.lock().told.get(container).map_or(0, Told::seconds);
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            since,
            tail: "all".into(),
            ..Default::default()
        };
        let mut at = Place::default();
        let mut stream = Box::pin(self.engine.docker().logs(container, Some(options)));
        while let Some(Ok(chunk)) = stream.next().await {
            let (is_error, message) = match chunk {
                LogOutput::StdErr { message } => (true, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => (false, message),
                LogOutput::StdIn { .. } => continue,
            };
            let (stamp, text) = stamped(&message);
            at.advance(stamp);
            let lines = self
                .lock()
                .told
                .entry(container.to_owned())
                .or_default()
                .take(&at, is_error, text);
            lines.iter().for_each(|line| self.keep(service, line));
        }
    }

    fn keep(&self, service: &str, raw: &[u8]) {
        let line = self.redactor.clean(String::from_utf8_lossy(raw).trim_end_matches('\r'));
        let mut inner = self.lock();
        let stage = inner.stage;
        if let Some(file) = inner.file(stage, service) {
            // A full disk must not end the run; the verdict does not hang on a log line.
            let _written = writeln!(file, "{line}");
        }
        let lines = inner.lines.entry((stage, service.to_owned())).or_default();
        if lines.len() < KEPT_LINES {
            lines.push(line);
        }
        drop(inner);
        self.more.send_modify(|count| *count += 1);
    }

    /// Waits until the engine has handed over what a container that has ended said.
    pub async fn settled(&self, container: &str) {
        let readers = self.lock().followed.get(container).cloned().unwrap_or_default();
        let all = join_all(
            readers
                .into_iter()
                .map(async |mut end| end.wait_for(|ended| *ended).await.is_ok()),
        );
        let _in_time = tokio::time::timeout(SETTLE_LIMIT, all).await;
    }

    /// What a service said in a stage, oldest first.
    pub fn of(&self, stage: StageId, service: &str) -> Vec<String> {
        self.lock()
            .lines
            .get(&(stage, service.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// The last lines that a service said in the current stage, or before it if it said nothing yet.
    pub fn tail(&self, service: &str, count: usize) -> Vec<String> {
        let inner = self.lock();
        let of = |stage| {
            inner
                .lines
                .get(&(stage, service.to_owned()))
                .filter(|lines| !lines.is_empty())
        };
        let stages = [inner.stage, StageId::Rollback, StageId::Upgrade, StageId::Control];
        let Some(lines) = stages.into_iter().find_map(of) else {
            return Vec::new();
        };
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

/// A place in a log: the engine's time of an entry, and which of those with this time it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    // Times of one width sort as text.
    stamp: String,
    count: usize,
}

impl Place {
    fn advance(&mut self, stamp: &str) {
        if self.stamp != stamp {
            (self.stamp, self.count) = (stamp.to_owned(), 0);
        }
        self.count += 1;
    }
}

/// How far a container's log has been taken, by all who read it.
#[derive(Debug, Default)]
struct Told {
    last: Place,
    // A line that has no end yet, of standard output and of standard error; and whether its end may still come.
    open: BTreeMap<bool, Vec<u8>>,
}

impl Told {
    /// Whole seconds since 1970, for the engine's filter; 0 = from the beginning.
    fn seconds(&self) -> i32 {
        let at = OffsetDateTime::parse(&self.last.stamp, &Rfc3339).map_or(0, OffsetDateTime::unix_timestamp);
        i32::try_from(at).unwrap_or(0)
    }

    /// The lines that an entry ends; none where the entry has been taken.
    fn take(&mut self, at: &Place, is_error: bool, text: &[u8]) -> Vec<Vec<u8>> {
        if !at.stamp.is_empty() && *at <= self.last {
            return Vec::new();
        }
        self.last = at.clone();
        let open = self.open.entry(is_error).or_default();
        let mut lines = Vec::new();
        // The engine cuts long lines itself; a shorter one without an end was its process's last.
        if !open.is_empty() && open.len() < ENGINES_CUT {
            lines.push(std::mem::take(open));
        }
        for byte in text {
            match byte {
                b'\n' => lines.push(std::mem::take(open)),
                _ if open.len() < LINE_LIMIT => open.push(*byte),
                _ => {}
            }
        }
        lines
    }

    /// What has no end when a container has ended.
    fn rest(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.open)
            .into_values()
            .filter(|line| !line.is_empty())
            .collect()
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
    let safe: String = service
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("{safe}.log")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Place, Told, stamped};

    const EARLY: &str = "2026-11-22T20:00:00.000000001Z";
    const LATE: &str = "2026-11-22T20:00:00.000000002Z";

    fn read(told: &mut Told, entries: &[(&str, &str)]) -> Vec<String> {
        let mut at = Place::default();
        let mut lines = Vec::new();
        for (stamp, text) in entries {
            at.advance(stamp);
            lines.extend(told.take(&at, false, text.as_bytes()));
        }
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn an_entry_loses_the_engines_time_and_no_other() {
        let entry = format!("{EARLY} {LATE} said the service\n");
        assert_eq!(
            stamped(entry.as_bytes()),
            (EARLY, format!("{LATE} said the service\n").as_bytes())
        );
        assert_eq!(stamped(b"no time at all\n"), ("", &b"no time at all\n"[..]));
    }

    #[test]
    fn a_second_reading_takes_only_what_is_new() {
        let mut told = Told::default();
        assert_eq!(
            read(&mut told, &[(EARLY, "a\n"), (LATE, "b\n"), (LATE, "c\n")]),
            ["a", "b", "c"]
        );
        assert_eq!(read(&mut told, &[(LATE, "b\n"), (LATE, "c\n"), (LATE, "d\n")]), ["d"]);
    }

    #[test]
    fn a_process_last_words_are_a_line_of_their_own() {
        let mut told = Told::default();
        assert_eq!(
            read(&mut told, &[(EARLY, "no end"), (LATE, "next life\n")]),
            ["no end", "next life"]
        );
        assert_eq!(
            read(&mut told, &[("2026-11-22T20:00:00.000000003Z", "again none")]),
            Vec::<String>::new()
        );
        assert_eq!(told.rest(), [b"again none".to_vec()]);
    }

    #[test]
    fn a_line_that_the_engine_cut_is_one_line() {
        let mut told = Told::default();
        let long = "x".repeat(super::ENGINES_CUT);
        assert_eq!(read(&mut told, &[(EARLY, &long), (LATE, "y\n")]), [long]);
    }

    #[test]
    fn a_log_is_read_again_from_its_last_second_on() {
        let mut told = Told::default();
        assert_eq!(told.seconds(), 0);
        read(&mut told, &[("1970-01-01T00:01:00.900000000Z", "a\n")]);
        assert_eq!(told.seconds(), 60);
    }
}
