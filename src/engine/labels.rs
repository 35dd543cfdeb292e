//! Labels: what every object of a run bears, so that whatever happens to this process, a sweep finds them.

use std::collections::HashMap;
use std::path::PathBuf;

/// Label that names the run.
pub const LABEL_RUN: &str = "dev.rehearsal.run";
/// Label that says until when a run may live, seconds since 1970.
pub const LABEL_DEADLINE: &str = "dev.rehearsal.deadline";
/// Label that tells on which machine the run's process is.
pub const LABEL_HOST: &str = "dev.rehearsal.host";
/// Label that names the file which the run's process holds locked as long as it lives.
pub const LABEL_LOCK: &str = "dev.rehearsal.lock";
/// Label that names the service a container stands for.
pub const LABEL_SERVICE: &str = "dev.rehearsal.service";
/// Label of what is to stay: it names the configuration. Not swept before its deadline.
pub const LABEL_KEPT: &str = "dev.rehearsal.kept";

/// Who the labels say a run is.
#[derive(Debug, Clone)]
pub struct RunLabels {
    /// Id of the run.
    pub run: String,
    /// Seconds since 1970.
    pub deadline: u64,
    /// Which machine's process owns it.
    pub host: String,
    /// The file that process holds locked.
    pub lock: PathBuf,
    /// The configuration whose mirror is to stay when the run has ended; `None` = nothing is.
    pub kept: Option<PathBuf>,
}

impl RunLabels {
    /// Of a command that makes nothing on the engine.
    pub fn of_none() -> Self {
        Self {
            run: String::new(),
            deadline: 0,
            host: String::new(),
            lock: PathBuf::new(),
            kept: None,
        }
    }

    /// As the engine keeps them.
    pub(super) fn on_objects(&self) -> HashMap<String, String> {
        let map = [
            (LABEL_RUN, self.run.clone()),
            (LABEL_DEADLINE, self.deadline.to_string()),
            (LABEL_HOST, self.host.clone()),
            (LABEL_LOCK, self.lock.to_string_lossy().into_owned()),
            ("org.testcontainers.managed-by", "testcontainers".to_owned()),
        ];
        let kept = self
            .kept
            .as_ref()
            .map(|file| (LABEL_KEPT, file.to_string_lossy().into_owned()));
        let all = map.into_iter().chain(kept);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
