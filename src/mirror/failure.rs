//! A service that did not come up, or did not stay up: everything a human needs to act.

use crate::engine::words;
use crate::record::outcome::Lost;
use crate::text::units::seconds;
use std::time::Duration;

/// What went wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceFailureKind {
    /// The engine would not make the container.
    NotCreated(String),
    /// The engine would not start it, e.g. its command is not in the image.
    NotStarted(String),
    /// A command that production runs after its start failed: which and how.
    Hook(String),
    /// It exited and will not come back, or exited twice.
    Exited,
    /// Its health check failed for good.
    Unhealthy,
    /// It was not ready in its time.
    NotReady(Duration),
    /// Something it depends on did not come up.
    Held(String),
    /// It cannot be told: a part of the machine or of the gate is gone.
    Lost(Lost),
}

impl ServiceFailureKind {
    /// What a failed call to the engine says of a service: `refused` in the engine's words, where it is the service's.
    pub(super) fn of(error: &anyhow::Error, refused: impl FnOnce(String) -> Self) -> Self {
        words::lost(error).map_or_else(|| refused(format!("{error:#}")), Self::Lost)
    }
}

/// A service that did not come up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.line())]
pub struct ServiceFailure {
    /// Service.
    pub service: String,
    /// What went wrong.
    pub kind: ServiceFailureKind,
    /// Who waited for it, and for what: `web waits for service_healthy`.
    pub waited_by: Vec<String>,
    /// Exit code of its last exit.
    pub exit_code: Option<i64>,
    /// The kernel killed it for memory.
    pub oom: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// The first line of its log that says what was fatal.
    pub fatal: Option<String>,
    /// Its last log lines.
    pub log: Vec<String>,
}

impl ServiceFailure {
    /// One of which nothing more is known.
    pub(super) fn unseen(service: &str, kind: ServiceFailureKind) -> Self {
        Self {
            service: service.to_owned(),
            kind,
            waited_by: Vec::new(),
            exit_code: None,
            oom: false,
            restarts: 0,
            fatal: None,
            log: Vec::new(),
        }
    }

    /// One line: what, with exit code and out-of-memory flag, and what its log calls fatal.
    pub fn line(&self) -> String {
        let fatal = self
            .fatal
            .as_ref()
            .map_or_else(String::new, |line| format!(": `{line}`"));
        format!("{}{fatal}", self.headline())
    }

    /// The same without the log's word.
    pub fn headline(&self) -> String {
        let service = &self.service;
        let what = match &self.kind {
            ServiceFailureKind::NotCreated(words) => format!("`{service}` could not be created: {words}"),
            ServiceFailureKind::NotStarted(words) => format!("`{service}` could not be started: {words}"),
            ServiceFailureKind::Hook(words) => format!("`{service}` did not come up: its `post_start` {words}"),
            ServiceFailureKind::Exited => format!("`{service}` exited{}", self.exit_words()),
            ServiceFailureKind::Unhealthy => format!("`{service}` is unhealthy"),
            ServiceFailureKind::NotReady(limit) => format!("`{service}` was not ready within {}", seconds(*limit)),
            ServiceFailureKind::Lost(lost) => format!("what became of `{service}` cannot be told: {lost}"),
            ServiceFailureKind::Held(other) => format!("`{service}` was not started because `{other}` did not come up"),
        };
        if self.waited_by.is_empty() {
            what
        } else {
            format!("{what} ({})", self.waited_by.join(", "))
        }
    }

    fn exit_words(&self) -> String {
        let code = self
            .exit_code
            .map_or_else(String::new, |code| format!(" with code {code}"));
        let oom = if self.oom { ", killed for memory" } else { "" };
        let restarts = match self.restarts {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            more => format!(", restarted {more} times"),
        };
        format!("{code}{oom}{restarts}")
    }
}
