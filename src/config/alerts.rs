//! `stages.alerts` as validated.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use strum::EnumString;

use crate::record::alerts::Scenario;
use crate::yaml::span::Span;

/// `stages.alerts:`.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Production's rule files.
    pub rules: Vec<PathBuf>,
    /// Alerts that must fire.
    pub must_fire: Vec<MustFire>,
    /// So long after a user's first failed request at the latest; nothing where it only has to fire.
    pub before: Option<Duration>,
    /// The failures that are made, without `control`.
    pub scenarios: BTreeSet<Scenario>,
    /// What is scraped: job and URL.
    pub scrape: Vec<(String, String)>,
    /// URLs that are asked as by a blackbox exporter.
    pub probe: Vec<String>,
    /// Exporters that are stood for.
    pub presets: BTreeSet<Preset>,
    /// How often production's Prometheus scrapes.
    pub scrape_interval: Duration,
    /// How often it evaluates groups that say nothing themselves.
    pub evaluation_interval: Duration,
    /// How long its Alertmanager waits.
    pub group_wait: Duration,
    /// How long each scenario is recorded.
    pub record: Duration,
}

impl Alerts {
    /// How long the scenarios may take that go on until something fails.
    pub fn until_something_fails(&self) -> Duration {
        let times = |scenario: &Scenario| match scenario {
            Scenario::Ramp => 14,
            Scenario::Memory => 10,
            Scenario::Control | Scenario::Upgrade | Scenario::AuthDown | Scenario::AuthSlow => 0,
        };
        self.record * self.scenarios.iter().map(times).sum::<u32>()
    }
}

/// An alert that must fire.
#[derive(Debug, Clone)]
pub struct MustFire {
    /// Its name.
    pub alert: String,
    /// In these scenarios.
    pub scenarios: BTreeSet<Scenario>,
    /// Where it is written.
    pub span: Span,
}

/// An exporter of production's whose names are given to what is seen of the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Preset {
    /// blackbox_exporter: `probe_…`.
    Blackbox,
    /// cAdvisor: `container_…`.
    Cadvisor,
}
