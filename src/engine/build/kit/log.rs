//! What a build's steps print. It is the candidate's text: bounded, and without the build's secrets.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;

use crate::text::harmless;
use crate::text::redact::Redactor;

/// Of one step.
const MOST_BYTES: usize = 16 << 10;
/// Lines that are told.
const LINES: usize = 20;
/// Of one line.
const LINE: usize = 400;

/// The last of what each step printed.
pub(super) struct Log {
    redactor: Redactor,
    printed: HashMap<String, Vec<u8>>,
    /// The step that printed last.
    last: Option<String>,
    /// The step that failed.
    failed: Option<Failed>,
}

struct Failed {
    step: String,
    name: String,
    error: String,
}

/// What commands say, in small letters, that want a network, time or room: nobody's doing who wrote them.
const WANTING: [&str; 18] = [
    "temporary failure",
    "could not resolve",
    "couldn't resolve",
    "cannot resolve",
    "bad address",
    "name or service not known",
    "no such host",
    "unreachable",
    "no route to host",
    "connection refused",
    "connection reset",
    "could not connect",
    "failed to connect",
    "timed out",
    "timeout",
    "certificate",
    "too many requests",
    "no space left",
];

impl Log {
    /// Of a build that may know these.
    pub fn without(secrets: Vec<String>) -> Self {
        Self {
            redactor: Redactor::of(secrets),
            printed: HashMap::new(),
            last: None,
            failed: None,
        }
    }

    /// One message of BuildKit's.
    pub fn take(&mut self, told: StatusResponse) {
        for part in told.logs {
            let printed = self.printed.entry(part.vertex.clone()).or_default();
            printed.extend(part.msg);
            let surplus = printed.len().saturating_sub(MOST_BYTES);
            printed.drain(..surplus);
            self.last = Some(part.vertex);
        }
        let failed = told.vertexes.into_iter().find(|step| !step.error.is_empty());
        if let Some(step) = failed.filter(|_| self.failed.is_none()) {
            self.failed = Some(Failed {
                step: step.digest,
                name: step.name,
                error: step.error,
            });
        }
    }

    /// A command ended otherwise than well, and its last lines tell of no want.
    pub fn blames_a_command(&self) -> bool {
        let is_command = |failed: &Failed| failed.name.contains("RUN ") && failed.error.contains("exit code: ");
        let said = self.last().join("\n").to_lowercase();
        self.failed.as_ref().is_some_and(is_command) && !WANTING.iter().any(|want| said.contains(want))
    }

    /// The name of the step that failed, and its last lines; where none did, of the step that printed last.
    pub fn last(&self) -> Vec<String> {
        let step = self.failed.as_ref().map(|failed| &failed.step).or(self.last.as_ref());
        let printed = step.and_then(|step| self.printed.get(step));
        let printed = self.clean(&String::from_utf8_lossy(printed.map_or(&[][..], Vec::as_slice)));
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        let name = self.failed.iter().map(|failed| self.clean(&failed.name));
        let last = lines[lines.len().saturating_sub(LINES)..].iter();
        let all = name.chain(last.map(|line| (*line).to_owned()));
        all.map(|line| harmless::line(&line, LINE)).collect()
    }

    /// A text without the build's secrets.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::{Vertex, VertexLog};

    use super::*;

    fn printed(step: &str, text: &str) -> StatusResponse {
        StatusResponse {
            logs: vec![VertexLog {
                vertex: step.to_owned(),
                msg: text.into(),
                ..VertexLog::default()
            }],
            ..StatusResponse::default()
        }
    }

    #[test]
    fn the_last_lines_are_those_of_the_step_that_failed_without_secrets_and_escapes() {
        let mut log = Log::without(vec!["correct horse".to_owned()]);
        log.take(printed("a", "one\ntw"));
        log.take(printed("a", "o correct horse\n\u{1b}[31mred\n"));
        log.take(printed("b", "another\n"));
        log.take(StatusResponse {
            vertexes: vec![Vertex {
                digest: "a".to_owned(),
                name: "[2/2] RUN it".to_owned(),
                error: "exit code: 1".to_owned(),
                ..Vertex::default()
            }],
            ..StatusResponse::default()
        });
        assert_eq!(log.last(), ["[2/2] RUN it", "one", "two [redacted]", "red"]);
        assert!(log.blames_a_command());
        log.take(printed("a", "Connection timed out\n"));
        assert!(!log.blames_a_command());
    }

    #[test]
    fn a_log_without_end_is_kept_to_its_last_lines() {
        let mut log = Log::without(Vec::new());
        for number in 0..100_000 {
            log.take(printed("a", &format!("line {number}\n")));
        }
        let last = log.last();
        assert_eq!(
            (last.len(), last.last().map(String::as_str)),
            (LINES, Some("line 99999"))
        );
    }
}
