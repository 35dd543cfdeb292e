//! Releases: what runs in a place, and in which role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

/// Which of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// What production runs today.
    Baseline,
    /// What wants to replace it.
    Candidate,
}

/// One service's release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Name in the compose file.
    pub service: String,
    /// Reference as written.
    pub image: String,
    /// `sha256:…` of the image, once the engine told.
    pub digest: Option<String>,
    /// `repository@sha256:…`, by which a registry knows it; absent where it was never pushed, or where nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
}

/// Where production's description comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductionRecord {
    /// A ref of git or a folder, as it was asked for.
    pub from: String,
    /// The commit there, where git knows one.
    pub commit: Option<String>,
    /// A sentence for the reader.
    pub statement: String,
}

/// What is known about the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Seconds since it was taken.
    pub age_seconds: Option<u64>,
    /// Where it was read.
    pub source: Option<String>,
    /// A sentence for the reader.
    pub statement: String,
}

/// The authentication dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthRecord {
    /// The product's service first, then its fronts.
    pub services: Vec<String>,
    /// Production's own issuer URL.
    pub issuer: Option<String>,
}

/// What ran the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// e.g. `Docker Engine`.
    pub name: String,
    /// e.g. `20.10.24`.
    pub version: String,
    /// e.g. `1.41`.
    pub api: String,
    /// e.g. `linux/amd64`.
    pub platform: String,
    /// Further facts: cgroup version, storage driver.
    pub facts: BTreeMap<String, String>,
}
