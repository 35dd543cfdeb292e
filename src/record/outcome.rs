//! Outcomes: could-not-tell is a type. What was asked for held, broke, or is lost; and what is lost is nobody's fault
//! but the machine's.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::Display;

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T, B = String> {
    /// As it must be.
    Held(T),
    /// Not as it must be: the doing of whoever was asked.
    Broke(B),
    /// It cannot be told.
    Lost(Lost),
}

/// What cannot be told, and through whose loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What is gone.
    pub part: Part,
    /// In words.
    pub why: String,
}

/// What can be lost: parts of the machine and of the gate, never of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Our own binary in the mirror.
    #[strum(to_string = "the agent")]
    Agent,
    /// The container engine.
    #[strum(to_string = "the engine")]
    Engine,
    /// The probe's answers.
    #[strum(to_string = "the probe")]
    Probe,
    /// Room on a disk.
    #[strum(to_string = "the disk")]
    Disk,
    /// A network of the mirror.
    #[strum(to_string = "a network of the mirror")]
    Network,
    /// What production's engine gives and this one may not.
    #[strum(to_string = "a right of this machine's engine")]
    Right,
    /// What lies on this machine, and could not be copied into the mirror.
    #[strum(to_string = "a file of this machine")]
    File,
    /// An image that was asked for, under whose name there is another one by now.
    #[strum(to_string = "the image")]
    Image,
    /// Time: the run's own limit.
    #[strum(to_string = "the run's time")]
    Time,
    /// A test that could not be carried out.
    #[strum(to_string = "a test")]
    Test,
    /// The program that evaluates alert rules.
    #[strum(to_string = "promtool")]
    Promtool,
    /// What was to be looked at was not there: an earlier step did not happen.
    #[strum(to_string = "an earlier step")]
    Step,
}

impl Lost {
    /// What is gone, and in which words.
    pub fn new(part: Part, why: impl Into<String>) -> Self {
        Self { part, why: why.into() }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is lost: {}", self.part, self.why)
    }
}

impl<T, B> Outcome<T, B> {
    /// What held.
    pub fn held(&self) -> Option<&T> {
        match self {
            Self::Held(value) => Some(value),
            Self::Broke(_) | Self::Lost(_) => None,
        }
    }

    /// What was lost.
    pub fn lost(&self) -> Option<&Lost> {
        match self {
            Self::Lost(lost) => Some(lost),
            Self::Held(_) | Self::Broke(_) => None,
        }
    }
}
