//! What is said of each threshold: one row in the report, and a finding where it is not kept.

use super::pairs::{Measured, change};
use crate::check::Case;
use crate::check::load::only_candidate;
use crate::check::relative::answer::{Answer, Why};
use crate::check::relative::change::{Change, of_log_in_percent};
use crate::check::relative::estimate::Estimate;
use crate::check::relative::measurement::{Asked, Judged, asked};
use crate::check::relative::twice::{Conclusion, conclude};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::load::{Level, LimitAnswer, Quantile, SlowdownRecord};

/// A confidence of which evidence shows the bounds.
const SHOWN_AT: f64 = 0.99;

/// One level of one threshold, and what became of it.
pub(super) struct Told<'a> {
    case: &'a Case<'a>,
    quantile: Quantile,
    level: Level,
    change: Change,
    conclusion: Conclusion,
    pairs: usize,
    first: Option<&'a Judged>,
    again: Option<&'a Judged>,
}

impl<'a> Told<'a> {
    /// Every level of every threshold of the configuration.
    pub(super) fn all(case: &'a Case<'a>, measured: &'a Measured) -> Vec<Self> {
        let load = case.settings.stages.load.as_ref();
        let asked: Asked = load
            .map(|load| asked(&load.thresholds.against_baseline))
            .unwrap_or_default();
        let all = asked.iter().flat_map(|(quantile, levels)| {
            let fail = levels.fail.map(|change| (Level::Fail, change));
            let warn = levels.warn.map(|change| (Level::Warn, change));
            fail.into_iter()
                .chain(warn)
                .map(|(level, change)| Self::of(case, measured, (*quantile, level, change)))
        });
        all.collect()
    }

    fn of(case: &'a Case<'a>, measured: &'a Measured, (quantile, level, change): (Quantile, Level, Change)) -> Self {
        let first = measured.first.judged.get(&quantile);
        let again = measured.again.as_ref().and_then(|again| again.judged.get(&quantile));
        let answer = |judged: &Judged| match level {
            Level::Warn => judged.warn.clone(),
            Level::Fail => judged.fail.clone(),
        };
        let nothing = || Answer::CouldNotTell(Why::TooFewPairs { have: 0 });
        let own = first.and_then(answer).unwrap_or_else(nothing);
        Self {
            conclusion: match (level, &own) {
                // Once is enough for a word.
                (Level::Warn, Answer::Suspect) => Conclusion::Fails,
                (Level::Warn | Level::Fail, _) => conclude(&own, again.and_then(answer).as_ref()),
            },
            case,
            quantile,
            level,
            change,
            pairs: measured.first.count,
            first,
            again,
        }
    }

    /// A row of the report.
    pub(super) fn record(&self) -> SlowdownRecord {
        let known = self.known();
        SlowdownRecord {
            key: self.key(),
            level: self.level.into(),
            limit: self.change.share(),
            value: known.map(|known| known.mean.exp_m1()),
            caught: known.and_then(|known| Some(known.smallest_caught()?.share())),
            pairs: u64::try_from(self.pairs).unwrap_or(u64::MAX),
            answer: self.recorded().into(),
            reason: match &self.conclusion {
                Conclusion::CouldNotTell(why) => Some(why.to_string()),
                Conclusion::NotConfirmed => Some("it was not so again on restarted containers".to_owned()),
                Conclusion::Holds | Conclusion::Fails => None,
            },
        }
    }

    fn recorded(&self) -> LimitAnswer {
        match self.conclusion {
            Conclusion::Holds => LimitAnswer::Within,
            Conclusion::Fails => LimitAnswer::Beyond,
            Conclusion::NotConfirmed | Conclusion::CouldNotTell(_) => LimitAnswer::Unknown,
        }
    }

    /// Of each quantile what blocks, or cannot be told; or else what warns.
    pub(super) fn findings(all: &[Self]) -> Vec<Finding> {
        let is_said = |told: &Self| {
            let fails = all.iter().filter(|other| other.level == Level::Fail);
            let mut open = fails.filter(|other| other.conclusion != Conclusion::Holds);
            open.any(|other| told.level == Level::Warn && other.quantile == told.quantile)
        };
        let open = all.iter().filter(|told| !is_said(told));
        open.filter_map(Self::finding).collect()
    }

    /// Nothing where it is kept.
    fn finding(&self) -> Option<Finding> {
        let (blame, title) = match &self.conclusion {
            Conclusion::Holds => return None,
            Conclusion::Fails => (self.blame(), self.slower()),
            Conclusion::NotConfirmed => (Blame::Nobody, self.not_again()),
            Conclusion::CouldNotTell(why) => (
                self.blame_of(why),
                format!(
                    "{} under load, {} must be caught, cannot be told: {why}",
                    self.key(),
                    self.change
                ),
            ),
        };
        let found = Finding::new(CheckId::Slowdown, self.case.stage, blame, title).detail(format!(
            "{} {}",
            self.key(),
            self.level
        ));
        Some(
            found
                .about(only_candidate(self.case))
                .seen(self.evidence())
                .help(self.help()),
        )
    }

    fn blame(&self) -> Blame {
        match self.level {
            Level::Fail => Blame::Candidate,
            Level::Warn => Blame::Nobody,
        }
    }

    /// What only warns is a word where it was measured, and no pass where nothing was.
    fn blame_of(&self, why: &Why) -> Blame {
        match (self.level, why) {
            (Level::Warn, Why::TooNoisy { .. } | Why::Bursts { .. } | Why::OnlyOnce) => Blame::Nobody,
            _ => Blame::Mirror,
        }
    }

    fn slower(&self) -> String {
        let (quantile, first) = (self.quantile, self.first.map(change).unwrap_or_default());
        let must = match self.level {
            Level::Fail => "must be caught",
            Level::Warn => "is worth a word",
        };
        let again = self.again.filter(|_| self.level == Level::Fail).map(change);
        let again = again.map_or(String::new(), |again| format!(", and {again} on restarted containers"));
        format!(
            "{quantile} under load is {first} against production's{again}: {} {must}",
            self.change
        )
    }

    fn not_again(&self) -> String {
        let of = |judged: Option<&Judged>| judged.map(change).unwrap_or_default();
        format!(
            "{} under load was {} against production's, and {} on restarted containers: not confirmed",
            self.quantile,
            of(self.first),
            of(self.again)
        )
    }

    fn help(&self) -> String {
        match self.conclusion {
            Conclusion::CouldNotTell(_) => {
                "give stages.load a larger budget or a higher rate, a quieter machine, or a larger slow-down to catch"
                    .to_owned()
            }
            _ => format!(
                "do not deploy: {} is faster on the same mirror at the same time",
                self.case.pair.baseline()
            ),
        }
    }

    fn evidence(&self) -> Vec<String> {
        let lines = [("", self.first), ("on restarted containers: ", self.again)];
        let line = |(when, judged): (&str, Option<&Judged>)| Some(format!("{when}{}", words(&judged?.known?)));
        lines.into_iter().filter_map(line).collect()
    }

    fn known(&self) -> Option<Estimate> {
        self.first.and_then(|judged| judged.known)
    }

    fn key(&self) -> String {
        format!("{}_vs_baseline", self.quantile)
    }
}

/// How well it is known.
fn words(known: &Estimate) -> String {
    let caught = known.smallest_caught();
    let caught = caught.map_or("none".to_owned(), |change| change.to_string());
    format!(
        "{} against production's (surely above {}, surely below {}) after {} pairs of slices; the smallest slow-down that they \
         would have caught is {caught}",
        of_log_in_percent(known.mean),
        of_log_in_percent(known.above(SHOWN_AT)),
        of_log_in_percent(known.below(SHOWN_AT)),
        known.pairs,
    )
}
