//! The last run of a folder: how long it took is the best guess at how long the next will.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::prepare::Part;
use crate::record::check::CheckId;
use crate::record::event::EventKind;
use crate::record::step::{Step as StepId, Subject};
use crate::record::v1::{Record, Step};
use crate::report::json;
use crate::text::units;

/// What a run's record says of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    /// There is one.
    Run {
        /// When it began.
        started: String,
        /// How long it took.
        took: Duration,
        /// What it came to: one that ended early says little of one that does not.
        verdict: String,
        /// How long each step took, by stage and name.
        steps: HashMap<(String, String), Duration>,
    },
    /// No run has left a record here.
    None,
    /// It cannot be read.
    Unread(String),
}

impl Last {
    /// Of the folder into which runs write.
    pub(super) fn of(folder: &Path) -> Self {
        let file = folder.join(json::RESULT);
        if !file.exists() {
            return Self::None;
        }
        json::read(&file).map_or_else(|error| Self::Unread(format!("{error:#}")), Self::from)
    }

    /// For people; `limit` is how long a run may take.
    pub(super) fn words(&self, limit: Duration) -> String {
        let limit = format!("at most {}", units::seconds(limit));
        match self {
            Self::Run {
                started, took, verdict, ..
            } => {
                format!(
                    "{} the last time ({verdict}, {started}); {limit}",
                    units::seconds(*took)
                )
            }
            Self::None => format!("not known: no run has left a record here; {limit}"),
            Self::Unread(why) => format!("not known: {why}; {limit}"),
        }
    }

    /// How long a part of the run took; nothing where nobody knows.
    pub(super) fn took(&self, part: &Part) -> Option<Duration> {
        let Self::Run { steps, .. } = self else { return None };
        let step = match part {
            Part::Suite(name) => StepId::Run(Subject::Suite(name.clone())),
            Part::Check(id) => StepId::Check(*id),
            Part::Fault(_) => StepId::Check(CheckId::AuthFaults),
        };
        let name = step.to_string();
        let own: Vec<Duration> = steps
            .iter()
            .filter(|((_, step), _)| *step == name)
            .map(|(_, took)| *took)
            .collect();
        (!own.is_empty()).then(|| own.iter().sum())
    }

    /// How long what begins took the last time, as the end of its line; empty where nobody knows.
    pub(super) fn beside(&self, event: &EventKind) -> String {
        let (Self::Run { steps, .. }, EventKind::StepStarted { stage, step }) = (self, event) else {
            return String::new();
        };
        let took = steps.get(&(stage.to_string(), step.clone()));
        took.map_or_else(String::new, |took| format!("  {} the last time", units::seconds(*took)))
    }
}

impl From<Record> for Last {
    fn from(record: Record) -> Self {
        let steps = record.stages.iter().flat_map(|stage| {
            let named = |step: &Step| (stage.id.to_string(), step.id.clone());
            stage
                .steps
                .iter()
                .map(move |step| (named(step), Duration::from_millis(step.duration_ms)))
        });
        Self::Run {
            steps: steps.collect(),
            started: record.started,
            took: Duration::from_millis(record.duration_ms),
            verdict: record.verdict.to_string(),
        }
    }
}
