//! Shards: one plan as several runs. Each of them performs the whole deploy, on a mirror of its own: control, upgrade and
//! the way back. Divided is who looks: suites, checks that make load or a failure of their own, and the faults of the
//! authentication dependency. Every other check looks wherever there is something to see.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::difference::Difference;
use super::model::{CheckPlan, Plan};
use crate::check::catalog;
use crate::config::settings::{AuthFault, Settings};
use crate::record::check::CheckId;
use crate::record::finding::Severity;
use crate::record::inputs::digest_of;
use crate::record::partial::Partial;
use crate::record::release::{Release, Role};
use crate::record::shard::{Place, Shard};
use crate::record::stage::StageId;
use crate::record::step::{Step, Subject};
use crate::yaml::diagnostic::Diagnostic;

/// What one shard alone does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A suite, on every release.
    Suite(String),
    /// A check that makes load or a failure of its own.
    Check(CheckId),
    /// A fault of the authentication dependency.
    Fault(AuthFault),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Parts are separated by commas.
            Self::Suite(name) => write!(f, "suite:{}", name.replace('%', "%25").replace(',', "%2C")),
            Self::Check(id) => write!(f, "check:{id}"),
            Self::Fault(fault) => write!(f, "fault:{fault}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = match text.split_once(':') {
            Some(("suite", name)) => Some(Self::Suite(name.replace("%2C", ",").replace("%25", "%"))),
            Some(("check", id)) => id.parse().ok().map(Self::Check),
            Some(("fault", fault)) => fault.parse().ok().map(Self::Fault),
            _ => None,
        };
        part.ok_or_else(|| {
            format!("`{text}` is no part of a run: parts are suite:NAME, check:ID and fault:KIND, as `rehearsal shard` prints them")
        })
    }
}

/// Which shard a run is to be: `2/3`, or `2/3=suite:smoke,check:load` where its parts are said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    place: Place,
    parts: Option<Vec<Part>>,
}

impl Spec {
    /// That shard, with these parts; without any, it is the whole.
    pub fn new(place: Place, parts: Vec<Part>) -> Self {
        Self {
            place,
            parts: (!parts.is_empty()).then_some(parts),
        }
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, parts) = match text.split_once('=') {
            Some((place, parts)) => (place, Some(parts)),
            None => (text, None),
        };
        let numbers = place.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&index).then_some(Place { index, of })
        });
        let place = numbers.ok_or_else(|| {
            format!("`{text}` names no shard: write INDEX/OF, as in 2/3, or take what `rehearsal shard --into` printed")
        })?;
        let parts = parts.map(|parts| parts.split(',').map(str::parse).collect());
        Ok(Self {
            place,
            parts: parts.transpose()?,
        })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { index, of } = self.place;
        write!(f, "{index}/{of}")?;
        match &self.parts {
            Some(parts) => write!(f, "={}", joined(parts)),
            None => Ok(()),
        }
    }
}

/// Separated by commas.
pub fn joined(parts: &[Part]) -> String {
    words(parts).join(",")
}

fn words(parts: &[Part]) -> Vec<String> {
    parts.iter().map(Part::to_string).collect()
}

/// What can be divided of a plan, in its order.
pub fn parts(whole: &Plan, settings: &Settings) -> Vec<Part> {
    let suites = settings.suites.iter().map(|suite| suite.name.as_str());
    let suites = suites.filter(|name| {
        let step = Step::Run(Subject::Suite((*name).to_owned()));
        whole.stages.iter().any(|stage| whole.has_step(stage.id, &step))
    });
    let asked = |check: CheckId| StageId::ALL.iter().any(|stage| whole.asks(check, *stage));
    let apart = catalog::CATALOG.iter().map(|check| check.about());
    let apart = apart.filter(|about| about.is_apart() && asked(about.id));
    let faults = settings.stages.faults.iter().flat_map(|faults| faults.auth.iter());
    let faults = faults.filter(|_| asked(CheckId::AuthFaults));
    suites
        .map(|name| Part::Suite(name.to_owned()))
        .chain(apart.map(|about| Part::Check(about.id)))
        .chain(faults.map(|fault| Part::Fault(*fault)))
        .collect()
}

/// The parts of each shard, so that all take about as long, as far as that is known: the longest first, each to whoever
/// has least to do. What nobody knows takes as long as the others do on average.
pub fn divide(parts: &[(Part, Option<Duration>)], into: usize) -> Vec<Vec<Part>> {
    let known: Vec<Duration> = parts.iter().filter_map(|(_, took)| *took).collect();
    let count = u32::try_from(known.len()).unwrap_or(u32::MAX).max(1);
    let average = known.iter().sum::<Duration>() / count;
    let weight = |took: &Option<Duration>| took.unwrap_or(average).max(Duration::from_millis(1));
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(weight(&parts[*at].1)));
    let mut shards = vec![(Duration::ZERO, BTreeSet::new()); into.max(1)];
    for at in order {
        if let Some((busy, own)) = shards.iter_mut().min_by_key(|(busy, _)| *busy) {
            *busy += weight(&parts[at].1);
            own.insert(at);
        }
    }
    let own = |own: BTreeSet<usize>| own.into_iter().map(|at| parts[at].0.clone()).collect();
    shards.into_iter().map(|(_, parts)| own(parts)).collect()
}

/// What is one shard's, of all that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mine {
    /// Which it is.
    pub place: Place,
    all: Vec<Part>,
    own: Vec<Part>,
}

impl Mine {
    /// The shard that was asked for.
    ///
    /// # Errors
    /// There is no such shard, or no such part: the user's doing.
    pub fn of(spec: &Spec, all: Vec<Part>) -> Result<Self, Diagnostic> {
        let most = all.len().max(1);
        let place = spec.place;
        let of = usize::try_from(place.of).unwrap_or(usize::MAX);
        if of > most {
            let message = format!("there is no {place}: the run has {most} parts ({})", joined(&all));
            return Err(Diagnostic::new(message).help(format!("divide it into {most} at most")));
        }
        let own = match &spec.parts {
            Some(parts) => own(parts, &all)?,
            None => {
                let unknown: Vec<_> = all.iter().map(|part| (part.clone(), None)).collect();
                let at = usize::try_from(place.index).unwrap_or_default().saturating_sub(1);
                divide(&unknown, of).into_iter().nth(at).unwrap_or_default()
            }
        };
        Ok(Self { place, all, own })
    }

    /// It is this shard's to run the suite.
    pub(super) fn suite(&self, name: &str) -> bool {
        self.own.contains(&Part::Suite(name.to_owned()))
    }

    /// It is this shard's to ask the check, or every shard's.
    pub(super) fn check(&self, id: CheckId) -> bool {
        let is_meant = |part: &&Part| match part {
            Part::Check(check) => *check == id,
            Part::Fault(_) => id == CheckId::AuthFaults,
            Part::Suite(_) => false,
        };
        self.own.iter().any(|part| is_meant(&part)) || !self.all.iter().any(|part| is_meant(&part))
    }

    /// Of the faults that are asked for, those that are made here.
    pub fn narrow(&self, settings: &mut Settings) {
        if let Some(faults) = &mut settings.stages.faults {
            faults.auth.retain(|fault| self.own.contains(&Part::Fault(*fault)));
        }
    }

    /// What it carries; `plan` is the shard's, `digest` the whole's.
    pub fn record(&self, plan: &Plan, digest: String, settings: &Settings) -> Shard {
        Shard {
            place: self.place,
            plan: digest,
            all: words(&self.all),
            parts: words(&self.own),
            planned: planned(plan),
            block_on: settings
                .policy
                .block_on
                .iter()
                .map(|severity| (*severity).into())
                .collect(),
            forward_only: plan.partial.iter().find_map(|part| match part {
                Partial::ForwardOnly(reason) => Some(reason.clone()),
                _ => None,
            }),
            unexercised: plan
                .partial
                .iter()
                .filter_map(|part| match part {
                    Partial::Unexercised(service, reason) => Some((service.clone(), reason.clone())),
                    _ => None,
                })
                .collect(),
        }
    }
}

fn own(parts: &[Part], all: &[Part]) -> Result<Vec<Part>, Diagnostic> {
    match parts.iter().find(|part| !all.contains(part)) {
        Some(foreign) => {
            let message = format!("`{foreign}` is no part of this run");
            Err(Diagnostic::new(message).help(format!("its parts are {}", joined(all))))
        }
        None => Ok(all.iter().filter(|part| parts.contains(part)).cloned().collect()),
    }
}

/// Every step and check that is to have an end, as the stage and its name.
pub fn planned(plan: &Plan) -> Vec<String> {
    let stages = plan.stages.iter().filter(|stage| stage.skipped.is_none());
    let of = stages.flat_map(|stage| {
        let steps = stage
            .steps
            .iter()
            .map(|planned| format!("{}: {}", stage.id, planned.id));
        let checks = stage.checks.iter().filter(|check| check.skipped.is_none());
        steps.chain(checks.map(|check| format!("{}: check {}", stage.id, check.id)))
    });
    of.collect()
}

/// The digest of a whole plan: the same wherever its files lie, and another one where anything else would be done.
pub fn digest(whole: &Plan, settings: &Settings) -> String {
    let stages = whole.stages.iter().map(|stage| ContentStage {
        id: stage.id,
        skipped: stage.skipped.as_deref(),
        steps: stage.steps.iter().map(|planned| (&planned.id, planned.on)).collect(),
        checks: &stage.checks,
    });
    let content = Content {
        seed: whole.seed,
        candidate: &whole.candidate,
        baseline: &whole.baseline,
        mirror: &whole.mirror,
        changes: &whole.changes,
        stages: stages.collect(),
        partial: whole.partial.iter().map(Partial::words).collect(),
        parts: words(&parts(whole, settings)),
        block_on: &settings.policy.block_on,
    };
    let text = serde_json::to_string(&content).unwrap_or_default();
    let folder = settings.file.parent().map(|folder| folder.display().to_string());
    let text = match folder.filter(|folder| !folder.is_empty()) {
        Some(folder) => text.replace(&folder, "."),
        None => text,
    };
    digest_of(text.as_bytes())
}

/// What makes one plan another one than the next.
#[derive(Serialize)]
struct Content<'a> {
    seed: u64,
    candidate: &'a [Release],
    baseline: &'a [Release],
    mirror: &'a [Release],
    changes: &'a [Difference],
    stages: Vec<ContentStage<'a>>,
    partial: Vec<String>,
    parts: Vec<String>,
    block_on: &'a [Severity],
}

/// The same of a stage: what it says to people is left out.
#[derive(Serialize)]
struct ContentStage<'a> {
    id: StageId,
    skipped: Option<&'a str>,
    steps: Vec<(&'a Step, Role)>,
    checks: &'a [CheckPlan],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(names: &[(&str, Option<u64>)]) -> Vec<(Part, Option<Duration>)> {
        let one =
            |(name, seconds): &(&str, Option<u64>)| (Part::Suite((*name).to_owned()), seconds.map(Duration::from_secs));
        names.iter().map(one).collect()
    }

    fn shown(shards: &[Vec<Part>]) -> Vec<String> {
        shards.iter().map(|shard| joined(shard)).collect()
    }

    #[test]
    fn what_takes_long_stands_alone_and_the_rest_is_shared() {
        let known = parts(&[("a", Some(5)), ("b", Some(60)), ("c", Some(20)), ("d", Some(15))]);
        assert_eq!(shown(&divide(&known, 2)), ["suite:b", "suite:a,suite:c,suite:d"]);
        assert_eq!(shown(&divide(&known, 3)), ["suite:b", "suite:c", "suite:a,suite:d"]);
    }

    #[test]
    fn where_no_time_is_known_every_shard_has_as_many_parts_and_an_unknown_one_counts_as_the_others() {
        let unknown = parts(&[("a", None), ("b", None), ("c", None), ("d", None), ("e", None)]);
        assert_eq!(
            shown(&divide(&unknown, 3)),
            ["suite:a,suite:d", "suite:b,suite:e", "suite:c"]
        );
        let some = parts(&[("a", Some(10)), ("b", None), ("c", Some(30))]);
        assert_eq!(shown(&divide(&some, 2)), ["suite:c", "suite:a,suite:b"]);
        // What took no time at all still makes a shard of its own.
        let quick = parts(&[("a", Some(0)), ("b", Some(0)), ("c", Some(0))]);
        assert_eq!(shown(&divide(&quick, 3)), ["suite:a", "suite:b", "suite:c"]);
    }

    #[test]
    fn a_shard_is_read_as_it_is_written_whatever_a_suite_is_called() {
        for text in [
            "1/1",
            "2/3",
            "2/3=suite:smoke",
            "3/3=suite:a%2Cb%25,check:load,fault:rate-limit",
            "1/2=suite:with = and :",
        ] {
            assert_eq!(text.parse::<Spec>().expect(text).to_string(), text);
        }
        assert_eq!(
            "suite:a%2Cb%25".parse(),
            Ok(Part::Suite("a,b%".to_owned())),
            "commas separate parts"
        );
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in [
            "",
            "2",
            "0/2",
            "3/2",
            "-1/2",
            "1/0",
            "a/b",
            "1/2=",
            "1/2=smoke",
            "1/2=check:none",
            "1/2=fault:fire",
        ] {
            assert!(text.parse::<Spec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_shard_that_is_not_there_and_a_part_that_is_not_there_are_the_users_mistakes() {
        let all = || vec![Part::Suite("smoke".to_owned()), Part::Check(CheckId::Load)];
        let refused = |spec: &str| {
            let spec = spec.parse().expect("a shard");
            Mine::of(&spec, all()).expect_err("refused").to_string()
        };
        assert!(
            refused("3/3").contains("there is no shard 3 of 3"),
            "{}",
            refused("3/3")
        );
        let foreign = refused("1/2=suite:other");
        assert!(foreign.contains("`suite:other` is no part of this run"), "{foreign}");
        assert!(foreign.contains("suite:smoke,check:load"), "{foreign}");
        // A run without any part that can be divided is one shard.
        assert!(Mine::of(&"1/1".parse().expect("a shard"), Vec::new()).is_ok());
    }
}
