//! What pairs of slices showed of two releases.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::relative::answer::{Answer, Why};
use crate::check::relative::change::of_log_in_percent;
use crate::check::relative::measurement::{Judged, Measurement};
use crate::record::load::Quantile;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) first: Pairs,
    /// On restarted containers, where the first was suspect and it could be.
    pub(super) again: Option<Pairs>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(super) struct Pairs {
    pub(super) count: usize,
    pub(super) judged: BTreeMap<Quantile, Judged>,
    /// With the releases turned round.
    turned: BTreeMap<Quantile, Judged>,
}

/// By how much the candidate is slower, as people say it.
pub(super) fn change(judged: &Judged) -> String {
    let known = judged.known.map(|known| of_log_in_percent(known.mean));
    known.unwrap_or_else(|| "unknown".to_owned())
}

impl Pairs {
    pub(super) fn of(measurement: &Measurement) -> Self {
        Self {
            count: measurement.pairs(),
            judged: measurement.judged(),
            turned: measurement.turned().judged(),
        }
    }

    /// Something that would block.
    pub(super) fn is_suspect(&self) -> bool {
        self.judged.values().any(|judged| judged.fail == Some(Answer::Suspect))
    }

    /// Why two that are the same are not.
    pub(super) fn unlike(&self) -> Option<String> {
        let all = self.judged.iter().chain(&self.turned);
        let answers = all.flat_map(|(quantile, judged)| {
            let both = [&judged.warn, &judged.fail].into_iter().flatten();
            both.map(move |answer| (quantile, judged, answer))
        });
        let words = |(quantile, judged, answer): (&Quantile, &Judged, &Answer)| match answer {
            Answer::Suspect => Some(format!("{quantile} {}", change(judged))),
            Answer::CouldNotTell(why @ (Why::FailsMore { .. } | Why::BaselineFailsMore { .. })) => {
                Some(why.to_string())
            }
            Answer::Pass | Answer::CouldNotTell(_) => None,
        };
        let why = answers.into_iter().find_map(words)?;
        Some(format!(
            "in control production's release differs from a second one of itself: {why}"
        ))
    }
}
