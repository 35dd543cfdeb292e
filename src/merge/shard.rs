//! One shard as it was given.

use crate::plan::shard::Part;
use crate::record::finding::Severity;
use crate::record::shard::Shard;
use crate::record::v1::Record;

/// What stands in a place where a shard's record should.
#[derive(Debug, Clone)]
pub struct Given {
    /// The place, for people.
    pub place: String,
    /// The record; or why none can be read there.
    pub read: Result<Record, String>,
}

/// A shard that says of itself what can be.
#[derive(Debug, Clone)]
pub(super) struct One {
    pub place: String,
    pub shard: Shard,
    pub record: Record,
}

impl One {
    /// `shard 2 of 3 (`shards/2`)`.
    pub fn name(&self) -> String {
        format!("{} (`{}`)", self.shard.place, self.place)
    }

    /// What blocks; what is not known here has been refused.
    pub fn block_on(&self) -> Vec<Severity> {
        self.shard.block_on.iter().filter_map(|word| word.known()).collect()
    }

    /// Every part of the whole.
    pub fn all(&self) -> Vec<Part> {
        parts(&self.shard.all)
    }

    /// Its own.
    pub fn parts(&self) -> Vec<Part> {
        parts(&self.shard.parts)
    }
}

/// What is no part has been refused.
fn parts(words: &[String]) -> Vec<Part> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}
