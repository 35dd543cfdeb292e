//! What a load sends, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A slice is no longer than this, and by default as long.
pub const SLICE: Duration = Duration::from_secs(2);

/// Steps of one mix.
pub const MOST_STEPS: usize = 64;

/// What is sent, and when.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Steps to choose from: in a phase its mix's steps take turns in their order, so that each weighs as often as it is
    /// named. Two releases side by side are two mixes.
    pub mixes: Vec<Vec<LoadStep>>,
    /// One after the other.
    pub phases: Vec<Phase>,
    /// Slices are this long at most, milliseconds; never longer than [`SLICE`].
    pub slice_ms: u64,
    /// A request's limit from the moment it was due, milliseconds.
    pub timeout_ms: u64,
    /// Each of so many requests opens a connection of its own, the others take one that was kept; 1 = all of them, 0 =
    /// none but where no kept one is free.
    pub fresh_every: u64,
    /// Requests under way at the same time; what is due beyond it is not sent.
    pub most_at_once: usize,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Further CAs, PEM.
    pub ca: Vec<String>,
}

impl LoadPlan {
    /// How long it takes at most: the last request may be due at its end.
    pub fn longest(&self) -> Duration {
        let phases: u64 = self.phases.iter().map(|phase| phase.duration_ms).sum();
        Duration::from_millis(phases + self.timeout_ms)
    }
}

/// One request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStep {
    /// Its name, as in reports.
    pub name: String,
    /// The session whose cookies go along, as they are when the load begins.
    pub session: String,
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; names as given.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body.
    pub body: Option<String>,
    /// Statuses that are good, each a first and a last one.
    pub good: Vec<(u16, u16)>,
    /// The name of who is asked in the place of the URL's host: another release, which would answer to that name. What it
    /// reads is the same.
    #[serde(default)]
    pub at: Option<String>,
}

/// A part of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Which mix.
    pub mix: usize,
    /// How often.
    pub rate: Rate,
    /// For so many milliseconds.
    pub duration_ms: u64,
    /// Whether it counts.
    pub counts: Counts,
}

/// How often requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// So many a second. Steps are several phases.
    Constant(f64),
    /// From so many a second to so many, evenly.
    Ramp(f64, f64),
}

/// Whether what is seen in a phase says something of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// It does.
    Yes,
    /// Caches fill and connections open: it does not.
    WarmUp,
}
