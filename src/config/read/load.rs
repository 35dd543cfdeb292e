//! `stages.load`: what is sent, how often, and what is held against it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::grammar::{self, Mapping};
use super::super::quantity;
use super::super::settings::{Capacity, Levels, Load, Suite, Thresholds};
use super::fields::Fields;
use super::structure::first_line;
use crate::record::load::Quantile;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::Node;

const DURATION: Duration = Duration::from_secs(60);
const BUDGET: Duration = Duration::from_secs(360);

/// Thresholds against the baseline, in the order of their quantiles.
const CHANGES: [&str; 5] = [
    "p50_vs_baseline",
    "p90_vs_baseline",
    "p95_vs_baseline",
    "p99_vs_baseline",
    "p99.9_vs_baseline",
];

pub(super) fn load(fields: &Fields, suites: &[Suite]) -> Load {
    let thresholds = fields.fields("thresholds", &grammar::THRESHOLDS);
    let load = Load {
        rate: rate(fields),
        duration: fields.duration("duration").unwrap_or(DURATION),
        budget: fields.duration("budget").unwrap_or(BUDGET),
        mix: fields.filled("mix"),
        capacity: capacity(fields),
        against_span: thresholds.as_ref().and_then(against_span),
        thresholds: thresholds.map(|fields| self::thresholds(&fields)).unwrap_or_default(),
    };
    enough_budget(fields, &load);
    reachable(fields, &load);
    has_requests(fields, &load, suites);
    load
}

fn rate(fields: &Fields) -> f64 {
    let Some(node) = fields.get("rate") else { return 0.0 };
    let rate = node
        .as_text()
        .and_then(|text| quantity::rate(&text).ok())
        .unwrap_or_default();
    if rate > Load::MOST_RATE {
        let most = Load::MOST_RATE;
        let help = format!("write at most `{most}/s`: the mirror and what asks it share one machine");
        fields
            .reader
            .refuse_value(node, "is more than one machine sends", &help);
    }
    rate
}

fn capacity(fields: &Fields) -> Capacity {
    match fields.flag("capacity") {
        true => Capacity::Asked,
        false => Capacity::Unasked,
    }
}

/// Twelve pairs of slices, or a few rates for each turn, or there is nothing to decide on.
fn enough_budget(fields: &Fields, load: &Load) {
    let Some(node) = fields.get("budget") else { return };
    let refuse = |message, help| fields.reader.refuse_value(node, message, help);
    if load.capacity == Capacity::Asked && load.budget < Load::LEAST_FOR_CAPACITY {
        let message = "is too short for `capacity`, which raises the rate in four turns";
        refuse(message, "write `2m` or more; `6m` is the default");
    } else if !load.thresholds.against_baseline.is_empty() && load.budget < Load::LEAST_BUDGET {
        let message = "is too short for a threshold against the baseline, which takes twelve pairs of slices of 2 s";
        refuse(message, "write `48s` or more; `6m` is the default");
    }
}

/// More good answers than requests there never are.
fn reachable(fields: &Fields, load: &Load) {
    let levels = load.thresholds.throughput;
    let most = levels.iter().flat_map(|levels| [levels.warn, levels.fail]).flatten();
    if most.into_iter().any(|least| least > load.rate)
        && let Some(node) = fields.get("rate")
    {
        let help = "raise `rate`, or ask for less in `thresholds.throughput`";
        fields
            .reader
            .refuse_value(node, "is less than the throughput that is asked for", help);
    }
}

/// What is sent is a suite's requests.
fn has_requests(fields: &Fields, load: &Load, suites: &[Suite]) {
    let sent = suites.iter().filter(|suite| !suite.body.requests.is_empty());
    let Some(mix) = fields.get("mix") else {
        if sent.count() == 0 {
            let span = first_line(fields.node);
            let error = Diagnostic::at(&span, "no suite has `requests`, and load sends those of suites");
            fields
                .reader
                .refuse(error.help("write a suite with `requests: [{name: …, get: …}]`"));
        }
        return;
    };
    let named: Vec<&Suite> = suites
        .iter()
        .filter(|suite| load.mix.as_ref() == Some(&suite.name))
        .collect();
    match named[..] {
        [] => fields
            .reader
            .refuse_value(mix, "is not a suite", "name one of `suites`"),
        [suite] if suite.body.requests.is_empty() => {
            fields.reader.refuse_value(
                mix,
                "has no `requests`, and load sends those",
                "name a suite that has some",
            );
        }
        _ => {}
    }
}

fn thresholds(fields: &Fields) -> Thresholds {
    const LATENCY: [&str; 5] = ["p50", "p90", "p95", "p99", "p99.9"];
    let latency = quantiles(LATENCY, |key| {
        levels(fields, key, &grammar::TIME_LEVELS, quantity::duration, Beyond::More)
    });
    let changes = quantiles(CHANGES, |key| {
        slow_down(fields, key);
        levels(fields, key, &grammar::CHANGE_LEVELS, quantity::change, Beyond::More)
    });
    Thresholds {
        latency,
        error_rate: levels(
            fields,
            "error_rate",
            &grammar::SHARE_LEVELS,
            quantity::percent,
            Beyond::More,
        ),
        throughput: levels(
            fields,
            "throughput",
            &grammar::RATE_LEVELS,
            quantity::rate,
            Beyond::Less,
        ),
        against_baseline: changes,
    }
}

fn against_span(fields: &Fields) -> Option<Span> {
    CHANGES.iter().find_map(|key| Some(fields.get(key)?.span.clone()))
}

fn quantiles<T>(
    keys: [&'static str; 5],
    levels: impl Fn(&'static str) -> Option<Levels<T>>,
) -> BTreeMap<Quantile, Levels<T>> {
    let all = Quantile::ALL.iter().zip(keys);
    all.filter_map(|(quantile, key)| Some((*quantile, levels(key)?)))
        .collect()
}

/// A change that must be caught is one for the worse.
fn slow_down(fields: &Fields, key: &'static str) {
    let Some(node) = fields.get(key) else { return };
    let written = [Some(node), node.get("warn"), node.get("fail")];
    for node in written.into_iter().flatten() {
        let change = node.as_text().and_then(|text| quantity::change(&text).ok());
        if change.is_some_and(|change| change <= 0.0) {
            let help = "write the slow-down that must be caught, like `+10%`";
            fields.reader.refuse_value(node, "is no slow-down", help);
        }
    }
}

/// On which side of a threshold it is worse.
#[derive(Clone, Copy)]
enum Beyond {
    More,
    Less,
}

fn levels<T: Copy + PartialOrd>(
    fields: &Fields,
    key: &'static str,
    mapping: &'static Mapping,
    read: impl Fn(&str) -> Result<T, String>,
    beyond: Beyond,
) -> Option<Levels<T>> {
    let node = fields.get(key)?;
    let value = |node: &Node| read(&node.as_text()?).ok();
    if node.as_map().is_none() {
        let fail = Some(value(node)?);
        return Some(Levels { warn: None, fail });
    }
    let both = fields.fields(key, mapping)?;
    let level = |key| both.get(key).and_then(value);
    let levels = Levels {
        warn: level("warn"),
        fail: level("fail"),
    };
    let is_late = |warn: T, fail: T| match beyond {
        Beyond::More => warn >= fail,
        Beyond::Less => warn <= fail,
    };
    if let (Some(warn), Some(fail)) = (levels.warn, levels.fail)
        && is_late(warn, fail)
        && let Some(node) = both.get("warn")
    {
        let help = "warn earlier than you block, or take `warn` out";
        fields
            .reader
            .refuse_value(node, "warns of nothing that does not block", help);
    }
    Some(levels)
}
