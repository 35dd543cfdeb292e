//! What a run has for a lock: none, one that is young enough, or one of which nothing can be said.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use super::facts::{Captured, Lock};
use super::{read, write};
use crate::record::release::LockRecord;

/// A lock that claims to be from the future by more than this is no lock.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// What a run has for a lock.
#[derive(Debug, Clone)]
pub enum State {
    /// The configuration names none.
    None,
    /// Read, and young enough.
    Fresh(Box<Lock>, Age),
    /// Named, and of no use: nothing can be said, whatever a run would show.
    Unusable {
        /// Missing, unreadable or stale, and the way out.
        why: String,
        /// The place in the file, where it could not be read.
        evidence: Vec<String>,
        /// Where it could be read.
        age: Option<Age>,
    },
}

/// How old a lock is, and whose words it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// Since it was taken.
    pub age: Duration,
    /// When, where and by what.
    pub captured: Captured,
}

impl State {
    /// Reads the lock that the configuration names, if it names one.
    pub fn read(path: Option<&Path>, max_age: Duration, now: OffsetDateTime) -> Self {
        let Some(path) = path else { return Self::None };
        match read::load(path) {
            Ok(lock) => Self::of_age(lock, path, max_age, now),
            Err(error) => {
                let why = format!("the lock `{}` cannot be used: {}", path.display(), error.message);
                Self::Unusable {
                    why,
                    evidence: error.to_string().lines().map(str::to_owned).collect(),
                    age: None,
                }
            }
        }
    }

    fn of_age(lock: Lock, path: &Path, max_age: Duration, now: OffsetDateTime) -> Self {
        let since = now - lock.captured.at;
        let age = Age {
            age: Duration::try_from(since).unwrap_or_default(),
            captured: lock.captured.clone(),
        };
        let unusable = |what: String| {
            let why = format!(
                "the lock `{}` {what}: take it again with `rehearsal lock`",
                path.display()
            );
            Self::Unusable {
                why,
                evidence: Vec::new(),
                age: Some(age.clone()),
            }
        };
        if -since > CLOCKS_DIFFER {
            return unusable(format!(
                "says that it was taken in the future, at {}",
                write::moment(lock.captured.at)
            ));
        }
        if age.age > max_age {
            return unusable(format!(
                "is stale: {} old, at most {} are allowed (max_lock_age)",
                words(age.age),
                words(max_age)
            ));
        }
        Self::Fresh(Box::new(lock), age)
    }

    /// The lock, where it can be used.
    pub fn lock(&self) -> Option<&Lock> {
        match self {
            Self::Fresh(lock, _) => Some(lock),
            Self::None | Self::Unusable { .. } => None,
        }
    }

    /// How old it is, where that is known.
    pub fn age(&self) -> Option<&Age> {
        match self {
            Self::None => None,
            Self::Fresh(_, age) => Some(age),
            Self::Unusable { age, .. } => age.as_ref(),
        }
    }

    /// What every report says of it.
    pub fn record(&self) -> LockRecord {
        let age = self.age();
        LockRecord {
            age_seconds: age.map(|age| age.age.as_secs()),
            source: age.map(|age| age.captured.from.clone()),
            statement: self.statement(),
        }
    }

    /// The same as one sentence.
    pub fn statement(&self) -> String {
        match self {
            Self::None => "no lock: production's facts are unrecorded".to_owned(),
            Self::Fresh(_, age) => {
                let captured = &age.captured;
                format!(
                    "taken {} from {}, {} old",
                    write::moment(captured.at),
                    captured.from,
                    words(age.age)
                )
            }
            Self::Unusable { why, .. } => why.clone(),
        }
    }
}

/// A long time in words: `3 days`, `5 h`, `12 min`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 172_800.. => format!("{} days", seconds / 86_400),
        seconds @ 7_200.. => format!("{} h", seconds / 3_600),
        seconds @ 120.. => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn state(text: &str) -> State {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("production.lock");
        std::fs::write(&path, text).expect("writable");
        State::read(Some(&path), WEEK, NOW)
    }

    fn taken(at: &str) -> State {
        state(&format!(
            "version: 1\ncaptured: {{at: {at}, from: here, by: hand}}\nservices: {{}}\n"
        ))
    }

    #[test]
    fn no_lock_is_a_statement() {
        assert!(State::read(None, WEEK, NOW).statement().contains("unrecorded"));
    }

    #[test]
    fn a_young_lock_is_used() {
        let state = taken("2026-11-20T12:00:00Z");
        assert!(state.lock().is_some());
        assert_eq!(state.statement(), "taken 2026-11-20T12:00:00Z from here, 2 days old");
    }

    #[test]
    fn a_lock_older_than_its_limit_is_stale_to_the_second() {
        assert!(taken("2026-11-15T12:00:00Z").lock().is_some());
        let state = taken("2026-11-15T11:59:59Z");
        assert!(state.lock().is_none());
        assert!(
            state
                .statement()
                .contains("is stale: 7 days old, at most 7 days are allowed"),
            "{}",
            state.statement()
        );
        assert_eq!(state.age().map(|age| age.age.as_secs()), Some(7 * 86_400 + 1));
    }

    #[test]
    fn a_lock_from_the_future_is_not_young() {
        assert!(taken("2099-01-01T00:00:00Z").lock().is_none());
        assert!(taken("2026-11-22T12:05:00Z").lock().is_some());
    }

    #[test]
    fn what_is_missing_or_broken_is_unusable_and_says_why() {
        let missing = State::read(Some(Path::new("/nowhere/production.lock")), WEEK, NOW);
        assert!(
            missing.statement().contains("cannot be used"),
            "{}",
            missing.statement()
        );
        for broken in [
            "",
            "version: 2",
            "version: 1\ncaptured: 7",
            "{",
            "version: 1\nservices: {web: {imag: x}}",
        ] {
            assert!(state(broken).lock().is_none(), "{broken}");
        }
    }
}
