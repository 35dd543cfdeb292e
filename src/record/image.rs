//! Images of a run, and how each is had.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// An image that the run needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlan {
    /// Reference; by digest where it was found out that the lock's digest is what has to be run.
    pub image: String,
    /// The lock's digest of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// `linux/arm64`, where the service asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Services and suites.
    pub wanted_by: Vec<String>,
    /// How it is had.
    pub had: Had,
}

/// How an image is had. The first are all that can be said before an engine was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Had {
    /// Pulled where the engine has it not.
    IfMissing,
    /// Pulled where the engine's is older than `pull_policy` allows.
    IfOlder,
    /// Pulled before every run.
    Always,
    /// Never pulled.
    Never,
    /// Built where the engine has it not.
    BuildIfMissing,
    /// Built before every run.
    BuildAlways,
    /// The engine has it.
    Present,
    /// It is pulled.
    Pull,
    /// It is built.
    Build,
}

impl Had {
    /// For people; empty = nothing is done, which needs no word.
    fn words(self) -> &'static str {
        match self {
            Self::IfMissing => "pulled if the engine has it not",
            Self::IfOlder => "pulled if the engine's is too old",
            Self::Always => "pulled",
            Self::Never => "never pulled",
            Self::BuildIfMissing => "built if the engine has it not",
            Self::BuildAlways => "built",
            Self::Present => "",
            Self::Pull => "is pulled now",
            Self::Build => "is built now",
        }
    }
}

impl ImagePlan {
    /// As a line of the plan; nothing where nothing has to be done.
    pub fn write(&self, text: &mut String) {
        if self.had == Had::Present {
            return;
        }
        let digest = self.digest.as_ref();
        let digest = digest.map_or_else(String::new, |digest| format!(" with the lock's digest {digest}"));
        let platform = self
            .platform
            .as_ref()
            .map_or_else(String::new, |platform| format!(" ({platform})"));
        let _written = writeln!(
            text,
            "  image      {}{platform}{digest}  for {}  {}",
            self.image,
            self.wanted_by.join(", "),
            self.had.words()
        );
    }
}
