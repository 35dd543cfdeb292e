//! A service that did not come up, or did not stay up: everything a human needs to act.

use crate::engine::words;
use crate::record::outcome::Lost;
use crate::text::units::seconds;
use crate::world::replica::Replica;
use std::time::Duration;

/// What went wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceFailureKind {
    /// The engine would not make the container.
    NotCreated(String),
    /// The engine would not start it, e.g. its command is not in the image.
    NotStarted(String),
    /// This machine's engine may not give it what production's gives: what, and the engine's words.
    NotGiven(&'static str, String),
    /// A command that production runs after its start failed: which and how.
    Hook(String),
    /// It exited and will not come back, or exited twice.
    Exited,
    /// Its health check failed for good: while it was waited for, or later.
    Unhealthy(Option<Waited>),
    /// It was not ready in its time.
    NotReady(Waited),
    /// Something it depends on did not come up.
    Held(String),
    /// It waits for the health of another, which has no health check: there `docker compose up -d` gives up.
    NoHealthCheck(String),
    /// It cannot be told: a part of the machine or of the gate is gone.
    Lost(Lost),
}

/// How long a service was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// What the configuration allows.
    pub allowed: Duration,
    /// What it took, or had, since its own start.
    pub took: Duration,
}

impl Waited {
    /// The whole of what is allowed.
    pub fn all_of(allowed: Duration) -> Self {
        Self { allowed, took: allowed }
    }
}

impl ServiceFailureKind {
    /// What a failed call to the engine says of a service: `refused` in the engine's words, where it is the service's.
    pub(super) fn of(error: &anyhow::Error, refused: impl FnOnce(String) -> Self) -> Self {
        let text = format!("{error:#}");
        match (words::lost(error), not_given(&text)) {
            (Some(lost), _) => Self::Lost(lost),
            (None, Some(what)) => Self::NotGiven(what, text),
            (None, None) => refused(text),
        }
    }
}

/// What an engine may not give that has fewer rights on its machine than production's, by its words.
fn not_given(words: &str) -> Option<&'static str> {
    let known = [
        ("setting rlimit", "its `ulimits`"),
        ("apply caps", "its capabilities (`cap_add`)"),
        ("nvalid CapAdd", "its capabilities (`cap_add`)"),
    ];
    let mut known = known.into_iter();
    known.find(|(said, _)| words.contains(said)).map(|(_, what)| what)
}

/// A service that did not come up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.line())]
pub struct ServiceFailure {
    /// Which container of which service.
    pub replica: Replica,
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
    pub(super) fn unseen(replica: &Replica, kind: ServiceFailureKind) -> Self {
        Self {
            replica: replica.clone(),
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
        let service = &self.replica;
        let what = match &self.kind {
            ServiceFailureKind::NotCreated(words) => format!("`{service}` could not be created: {words}"),
            ServiceFailureKind::NotStarted(words) => format!("`{service}` could not be started: {words}"),
            ServiceFailureKind::NotGiven(what, words) => {
                format!("`{service}` was not started: this machine's engine cannot give it {what}: {words}")
            }
            ServiceFailureKind::Hook(words) => format!("`{service}` did not come up: its `post_start` {words}"),
            ServiceFailureKind::Exited => format!("`{service}` exited{}", self.exit_words()),
            ServiceFailureKind::Unhealthy(None) => format!("`{service}` is unhealthy"),
            ServiceFailureKind::Unhealthy(Some(Waited { allowed, took })) => {
                let (took, allowed) = (seconds(*took), seconds(*allowed));
                format!("`{service}` is unhealthy {took} after its start, {allowed} are allowed")
            }
            ServiceFailureKind::NotReady(Waited { allowed, took }) => {
                let (took, allowed) = (seconds(*took), seconds(*allowed));
                format!("`{service}` was not ready within {allowed}: it had {took} since its start")
            }
            ServiceFailureKind::Lost(lost) => format!("what became of `{service}` cannot be told: {lost}"),
            ServiceFailureKind::NoHealthCheck(other) => format!(
                "`{service}` was not started because it waits until `{other}` is healthy, and `{other}` has no healthcheck configured"
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_may_not_give_is_the_machines_doing_and_no_releases() {
        let of = |words: &str| {
            let error = anyhow::anyhow!("{words}");
            ServiceFailure::unseen(
                &Replica::only("db"),
                ServiceFailureKind::of(&error, ServiceFailureKind::NotStarted),
            )
            .headline()
        };
        let limits = of("OCI runtime create failed: error setting rlimit type 7: operation not permitted");
        assert!(
            limits.starts_with("`db` was not started: this machine's engine cannot give it its `ulimits`: "),
            "{limits}"
        );
        assert!(of("unable to apply caps: operation not permitted").contains("its capabilities (`cap_add`)"));
        assert_eq!(of("no such file"), "`db` could not be started: no such file");
    }
}
