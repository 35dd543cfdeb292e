//! What happens to containers and images while a run is at work, as its events say it.

use serde::{Serialize, Serializer};
use strum::{Display, VariantArray};

/// What became of a service's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum ContainerState {
    /// The engine has started it.
    Started,
    /// It can be used.
    Ready,
    /// It has ended.
    Exited,
    /// The engine has started it again after an end.
    Restarted,
    /// Its health check fails.
    Unhealthy,
    /// The kernel killed something in it for memory.
    #[strum(serialize = "out of memory")]
    OutOfMemory,
    /// It was asked to stop, and has ended.
    Stopped,
    /// A command that production runs in it before its stop failed.
    #[strum(serialize = "hook failed")]
    HookFailed,
}

impl Serialize for ContainerState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How an image on its way to the engine gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum PullState {
    /// It is asked for.
    Begins,
    /// Its bytes arrive.
    Downloads,
    /// It is asked for once more.
    Again,
    /// It is there.
    Done,
    /// It does not come.
    Failed,
}

impl Serialize for PullState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_words_that_people_read() {
        let states: Vec<String> = ContainerState::VARIANTS.iter().map(ToString::to_string).collect();
        let wanted = "started, ready, exited, restarted, unhealthy, out of memory, stopped, hook failed";
        assert_eq!(states.join(", "), wanted);
        let pulls: Vec<String> = PullState::VARIANTS.iter().map(ToString::to_string).collect();
        assert_eq!(pulls.join(", "), "begins, downloads, again, done, failed");
        assert_eq!(serde_json::json!(ContainerState::OutOfMemory), "out of memory");
    }
}
