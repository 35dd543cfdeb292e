//! Alerts: what production's own alert rules said of a failure that was made on the mirror.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A failure that is made, so that an alert can tell it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Scenario {
    /// None: production as it is.
    Control,
    /// The candidate has taken the baseline's place.
    Upgrade,
    /// The authentication dependency is stopped.
    AuthDown,
    /// The authentication dependency answers late.
    AuthSlow,
    /// The rate of the load is raised until a user's request fails.
    Ramp,
    /// Production's release runs out of memory.
    Memory,
}

/// What one rule said in one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertRecord {
    /// The scenario.
    pub scenario: Scenario,
    /// The alert's name.
    pub alert: String,
    /// Its group's name.
    pub group: String,
    /// Whether the configuration says that it must fire.
    pub must_fire: bool,
    /// What it said.
    pub told: Told,
    /// The first failed request of a user, milliseconds from the scenario's beginning.
    pub first_failure_ms: Option<u64>,
    /// The first crash of a container, milliseconds from there.
    pub crash_ms: Option<u64>,
    /// Milliseconds of the scenario that were recorded; what follows is held as it was last.
    pub real_ms: u64,
}

/// What a rule says of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It fires.
    Fires(Firing),
    /// It fires, and later than the configuration allows.
    TooLate(Firing),
    /// It does not fire, however long the failure lasts.
    Never,
    /// It fires where nothing has failed, too: it says nothing.
    FalseAlarm,
    /// It could not be told, and why.
    NotJudged(String),
}

/// What a rule says, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Says {
    /// See [`Told::Fires`].
    Fires,
    /// See [`Told::TooLate`].
    TooLate,
    /// See [`Told::Never`].
    Never,
    /// See [`Told::FalseAlarm`].
    FalseAlarm,
    /// See [`Told::NotJudged`].
    NotJudged,
}

impl Told {
    /// In a word.
    pub fn word(&self) -> Says {
        match self {
            Self::Fires(_) => Says::Fires,
            Self::TooLate(_) => Says::TooLate,
            Self::Never => Says::Never,
            Self::FalseAlarm => Says::FalseAlarm,
            Self::NotJudged(_) => Says::NotJudged,
        }
    }

    /// When it fires.
    pub fn firing(&self) -> Option<Firing> {
        match self {
            Self::Fires(firing) | Self::TooLate(firing) => Some(*firing),
            Self::Never | Self::FalseAlarm | Self::NotJudged(_) => None,
        }
    }
}

/// When a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// Its condition holds, milliseconds from the scenario's beginning.
    pub condition_ms: u64,
    /// On-call is told at the latest, milliseconds from there: with the next scrape, its group's next turn, its `for`, and
    /// the Alertmanager's `group_wait`.
    pub latest_ms: u64,
}

impl AlertRecord {
    /// Milliseconds from the alert to the first failed request: positive where the alert comes first.
    pub fn lead_ms(&self) -> Option<i64> {
        self.lead_before(self.first_failure_ms?)
    }

    /// Milliseconds from the alert to the first crash.
    pub fn crash_lead_ms(&self) -> Option<i64> {
        self.lead_before(self.crash_ms?)
    }

    fn lead_before(&self, ms: u64) -> Option<i64> {
        let firing = self.told.firing()?;
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Some(signed(ms).saturating_sub(signed(firing.latest_ms)))
    }

    /// What on-call is to hear of first: a user's failed request, or where none was seen a crash.
    pub fn harm_ms(&self) -> Option<u64> {
        self.first_failure_ms.or(self.crash_ms)
    }

    /// Whether the condition was seen in what was recorded, and not in what was held.
    pub fn is_real(&self) -> bool {
        self.told
            .firing()
            .is_none_or(|firing| firing.condition_ms <= self.real_ms)
    }
}
