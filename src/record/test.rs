//! Tests: a step of a suite, or a case of a JUnit file.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::stage::StageId;
use super::status::Status;
use super::step::Subject;

/// One test, as it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRecord {
    /// Whose it is.
    pub suite: Subject,
    /// Name of the test, unique in its suite.
    pub name: String,
    /// In which stage.
    pub stage: StageId,
    /// How it ended.
    pub status: Status,
    /// Milliseconds.
    pub duration_ms: u64,
    /// First line: what broke. Empty when passed.
    pub message: String,
    /// Expected and received, captured output; may be long.
    pub detail: String,
    /// The service the step was addressed to, where that is known.
    pub service: Option<String>,
    /// Attempts beyond the first that `retry` needed.
    pub retries: u32,
    /// `file:line` of the step in the configuration.
    pub location: Option<String>,
    /// What came back of what it asked.
    pub reply: Reply,
}

impl TestRecord {
    /// One that passed, with nothing to say of it.
    pub fn passed(suite: Subject, name: impl Into<String>, stage: StageId) -> Self {
        Self {
            suite,
            name: name.into(),
            stage,
            status: Status::Passed,
            duration_ms: 0,
            message: String::new(),
            detail: String::new(),
            service: None,
            retries: 0,
            location: None,
            reply: Reply::Unknown,
        }
    }
}

/// The codes by which a shell, and an engine, say that a program cannot be run or is not there.
const NOT_FOUND: RangeInclusive<i64> = 126..=127;

/// 128 and the number of the signal that killed a command.
const KILLED: RangeInclusive<i64> = 129..=192;

/// Whoever asks has asked too often (RFC 6585, section 4).
pub const TOO_MANY: u16 = 429;

/// What came back of what a test asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is not known: another runner's test, one that is not there.
    #[default]
    Unknown,
    /// An answer with this status.
    Status(u16),
    /// A command, or a test container, that ended with this code.
    Exit(i64),
    /// No answer at all; a command that could not be run, or did not end.
    Nothing,
}

/// What can be seen, in what came back, of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of it: what is not as expected is another thing than before.
    Seen,
    /// Nothing.
    Blind,
    /// Nobody can tell: it was not there, or could not be looked at.
    Unclear,
}

impl Reply {
    /// What it shows. `before`: what came back from production's release. What is refused, the server's own error, no
    /// answer, and a redirect in the place of an answer show nothing; nor does a command that is not there, or that was
    /// killed. Another exit code has its reason in what the command does: `test -f` and a client without a connection
    /// end alike.
    pub fn shows(self, before: Self) -> Sight {
        match self {
            Self::Nothing | Self::Status(401 | 403 | 500..=599) => Sight::Blind,
            Self::Status(300..=399) if !matches!(before, Self::Status(300..=399)) => Sight::Blind,
            Self::Status(_) => Sight::Seen,
            Self::Exit(_) if self == before => Sight::Seen,
            Self::Exit(code) if NOT_FOUND.contains(&code) || KILLED.contains(&code) => Sight::Blind,
            Self::Exit(_) | Self::Unknown => Sight::Unclear,
        }
    }

    /// Whoever asks has asked too often.
    pub fn is_limited(self) -> bool {
        self == Self::Status(TOO_MANY)
    }

    /// Nothing came back but silence: no answer, or a command that was killed.
    pub fn is_silent(self) -> bool {
        match self {
            Self::Exit(code) => KILLED.contains(&code),
            other => other == Self::Nothing,
        }
    }

    /// Nobody may look who has not signed in.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Status(401 | 403))
    }
}

/// Which test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestId {
    /// Whose it is.
    pub suite: Subject,
    /// Its name.
    pub name: String,
}

impl TestRecord {
    /// Which test it is.
    pub fn id(&self) -> TestId {
        TestId {
            suite: self.suite.clone(),
            name: self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_shows_what_it_ended_with_as_before_and_nothing_where_it_is_not_there_or_killed() {
        let before = Reply::Exit(0);
        for (reply, sight) in [
            (Reply::Exit(0), Sight::Seen),
            (Reply::Exit(1), Sight::Unclear),
            (Reply::Exit(128), Sight::Unclear),
            (Reply::Exit(255), Sight::Unclear),
            (Reply::Exit(126), Sight::Blind),
            (Reply::Exit(127), Sight::Blind),
            (Reply::Exit(137), Sight::Blind),
            (Reply::Nothing, Sight::Blind),
            (Reply::Unknown, Sight::Unclear),
        ] {
            assert_eq!(reply.shows(before), sight, "{reply:?}");
        }
        assert_eq!(Reply::Exit(1).shows(Reply::Exit(1)), Sight::Seen);
    }
}
