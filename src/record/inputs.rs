//! What a run was made from, by digest: whoever reads its record later can tell whether it is about what they have.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Files of a run; absent where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// `rehearsal.yaml`, as the working tree has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Input>,
    /// The lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Input>,
    /// `plan.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Input>,
}

/// A file of a run: that it could not be read is not that there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The digest of its bytes, as `sha256:…`.
    Digest(String),
    /// It could not be read.
    Unread,
}

impl Inputs {
    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Input {
    /// Of a file's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Digest(digest_of(bytes))
    }

    /// `sha256:…`, where it could be read.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Unread => None,
        }
    }
}

/// `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_sha256sum_prints() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(b""), empty);
    }
}
