//! A service that did not come up, or did not stay up: everything a human needs to act.

use std::time::Duration;

/// What went wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
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
}

/// A service that did not come up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.line())]
pub struct ServiceFailure {
    /// Service.
    pub service: String,
    /// What went wrong.
    pub what: What,
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
        let what = match &self.what {
            What::NotCreated(words) => format!("`{service}` could not be created: {words}"),
            What::NotStarted(words) => format!("`{service}` could not be started: {words}"),
            What::Hook(words) => format!("`{service}` did not come up: its `post_start` {words}"),
            What::Exited => format!("`{service}` exited{}", self.exit_words()),
            What::Unhealthy => format!("`{service}` is unhealthy"),
            What::NotReady(limit) => format!("`{service}` was not ready within {}", seconds(*limit)),
            What::Held(other) => format!("`{service}` was not started because `{other}` did not come up"),
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
        let restarts = if self.restarts > 0 {
            format!(", restarted {} times", self.restarts)
        } else {
            String::new()
        };
        format!("{code}{oom}{restarts}")
    }
}

/// A duration as people say it.
pub fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        format!("{millis} ms")
    } else if millis.is_multiple_of(1000) {
        format!("{} s", millis / 1000)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

const FATAL_WORDS: [&str; 14] = [
    "fatal",
    "panic",
    "error",
    "exception",
    "refused",
    "traceback",
    "cannot",
    "could not",
    "not found",
    "failed",
    "invalid",
    "denied",
    "missing",
    "unable to",
];

/// The first line that says what was fatal: of a Python traceback its last line, else the first line with a word for it.
pub fn first_fatal(lines: &[String]) -> Option<String> {
    let at = lines.iter().position(|line| is_fatal(line))?;
    // A log call that prints an exception says what was done when it happened; the exception says why.
    let traceback = lines
        .iter()
        .skip(at)
        .take(TRACEBACK_WITHIN)
        .position(|line| line.contains(TRACEBACK));
    let line = traceback
        .and_then(|after| end_of_traceback(&lines[at + after + 1..]))
        .unwrap_or_else(|| lines[at].clone());
    Some(shorten(line.trim()))
}

const TRACEBACK: &str = "Traceback (most recent call last)";
/// A traceback belongs to a fatal line when it begins at most this many lines after it.
const TRACEBACK_WITHIN: usize = 4;

fn is_fatal(line: &str) -> bool {
    let lower = line.to_lowercase();
    FATAL_WORDS.iter().any(|word| lower.contains(word))
}

/// A traceback ends at its first line that is not indented; a chained one tells its cause first.
fn end_of_traceback(lines: &[String]) -> Option<String> {
    lines
        .iter()
        .find(|line| !line.starts_with([' ', '\t']) && !line.trim().is_empty())
        .cloned()
}

fn shorten(line: &str) -> String {
    const LIMIT: usize = 300;
    if line.chars().count() <= LIMIT {
        line.to_owned()
    } else {
        line.chars().take(LIMIT).chain("…".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::first_fatal;

    fn first(text: &str) -> Option<String> {
        first_fatal(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_fatal_line_is_the_cause_and_not_its_consequences() {
        let log = "INFO up\nFATAL: SESSION_URL is not set\nERROR could not close the pool";
        assert_eq!(first(log).as_deref(), Some("FATAL: SESSION_URL is not set"));
    }

    #[test]
    fn of_a_traceback_the_exception_is_the_cause() {
        let log = "ERROR Exception on /login [GET]\nTraceback (most recent call last):\n  File \"x\"\n    call()\nHTTPError: 404 Not Found\nmore";
        assert_eq!(first(log).as_deref(), Some("HTTPError: 404 Not Found"));
    }

    #[test]
    fn a_log_without_a_fatal_line_has_no_cause() {
        assert_eq!(first("INFO up\nINFO ready"), None);
    }
}
