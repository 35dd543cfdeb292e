//! A shard: one of several runs that together are one. What it carries is what it is held to when they are merged.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::finding::Severity;
use super::word::Word;

/// Why a shard leaves something out that is another one's.
pub const IN_ANOTHER: &str = "in another shard";

/// Which of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.index, self.of)
    }
}

/// What a shard is of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which it is.
    pub place: Place,
    /// `sha256:…` of the whole plan, of what divides it and of what blocks.
    pub plan: String,
    /// Every part of the whole, in its order.
    pub all: Vec<String>,
    /// Those that are this shard's.
    pub parts: Vec<String>,
    /// Every step and check that it plans.
    pub planned: Vec<String>,
    /// What blocks, by the policy.
    pub block_on: Vec<Word<Severity>>,
    /// Why there is no way back, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_only: Option<String>,
    /// Candidates that no test notices: the service, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexercised: Vec<(String, String)>,
}
