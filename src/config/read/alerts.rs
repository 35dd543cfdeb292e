//! `stages.alerts`: production's alert rules, and the failures that they are asked of.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use super::super::alerts::{Alerts, MustFire, Preset};
use super::super::grammar;
use super::fields::Fields;
use crate::record::alerts::Scenario;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::Node;

/// What Prometheus and the Alertmanager do where nobody says otherwise.
const INTERVAL: Duration = Duration::from_secs(60);
const GROUP_WAIT: Duration = Duration::from_secs(30);
const RECORD: Duration = Duration::from_secs(20);
/// Less shows nothing, and more is a stage of its own.
const RECORDED: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(600);

pub(super) fn alerts(fields: &Fields, stages: Option<&Fields>, file: &Fields) -> Alerts {
    let scenarios = scenarios(fields, stages, file);
    let metrics = fields.fields("metrics", &grammar::METRICS);
    let rules = fields.items("rules").iter();
    let interval = |key| fields.duration(key).unwrap_or(INTERVAL);
    Alerts {
        rules: rules.map(|node| fields.reader.file(node)).collect(),
        must_fire: must_fire(fields, &scenarios),
        before: fields.duration("before"),
        scrape: metrics.as_ref().map(scrape).unwrap_or_default(),
        probe: metrics.as_ref().map(probe).unwrap_or_default(),
        presets: presets(metrics.as_ref()),
        scrape_interval: interval("scrape_interval"),
        evaluation_interval: interval("evaluation_interval"),
        group_wait: fields.duration("group_wait").unwrap_or(GROUP_WAIT),
        record: record(fields),
        scenarios,
    }
}

fn record(fields: &Fields) -> Duration {
    let record = fields.duration("record").unwrap_or(RECORD);
    if let Some(node) = fields.get("record").filter(|_| !RECORDED.contains(&record)) {
        let help = "a few seconds are enough: what was last is held for as long as the rules need";
        fields.reader.refuse_value(node, "is not between 2s and 10m", help);
    }
    record
}

fn words<T: FromStr + Ord>(nodes: &[Node]) -> BTreeSet<T> {
    nodes
        .iter()
        .filter_map(|node| node.as_str().and_then(|word| word.parse().ok()))
        .collect()
}

fn scenarios(fields: &Fields, stages: Option<&Fields>, file: &Fields) -> BTreeSet<Scenario> {
    let auth = file.get("auth").filter(|auth| !auth.is_null());
    let Some(given) = fields.get("scenarios") else {
        let down = auth.map(|_| Scenario::AuthDown);
        return [Scenario::Upgrade].into_iter().chain(down).collect();
    };
    let scenarios = words(given.as_seq().unwrap_or_default());
    let stage = |key| {
        stages
            .and_then(|stages| stages.get(key))
            .filter(|stage| !stage.is_null())
    };
    let is_forward_only = stage("rollback").is_some_and(|rollback| rollback.get("forward_only").is_some());
    for scenario in &scenarios {
        let why = match scenario {
            Scenario::AuthDown | Scenario::AuthSlow if auth.is_none() => Unmade::NoAuth,
            Scenario::Ramp if stage("load").is_none() => Unmade::NoLoad,
            Scenario::Ramp | Scenario::Memory if is_forward_only => Unmade::ForwardOnly,
            Scenario::Control
            | Scenario::Upgrade
            | Scenario::AuthDown
            | Scenario::AuthSlow
            | Scenario::Ramp
            | Scenario::Memory => continue,
        };
        fields.reader.refuse(why.of(*scenario, &given.span));
    }
    scenarios
}

/// Why a scenario cannot be made.
enum Unmade {
    NoAuth,
    NoLoad,
    ForwardOnly,
}

impl Unmade {
    fn of(&self, scenario: Scenario, span: &Span) -> Diagnostic {
        let (why, help) = match self {
            Self::NoAuth => (
                "needs to know what the authentication dependency is",
                "add `auth: {service: …}`",
            ),
            Self::NoLoad => (
                "raises the rate of the stage `load`, and there is none",
                "add `load: {rate: …, thresholds: …}` with production's own rate",
            ),
            Self::ForwardOnly => (
                "is made on production's release when it is back, and with `forward_only` it does not come back",
                "give `rollback` a `within`",
            ),
        };
        Diagnostic::at(span, format!("`{scenario}` {why}")).help(format!("{help}, or take `{scenario}` out"))
    }
}

fn must_fire(fields: &Fields, scenarios: &BTreeSet<Scenario>) -> Vec<MustFire> {
    let one = |node: &Node| match node.as_map() {
        None => MustFire {
            alert: fields.reader.filled(node),
            scenarios: scenarios.clone(),
            span: node.span.clone(),
        },
        Some(_) => narrowed(&fields.reader.fields(node, &grammar::MUST_FIRE), scenarios, node),
    };
    fields.items("must_fire").iter().map(one).collect()
}

fn narrowed(fields: &Fields, scenarios: &BTreeSet<Scenario>, node: &Node) -> MustFire {
    let wanted: BTreeSet<Scenario> = words(fields.items("in"));
    if let Some(other) = wanted.iter().find(|one| !scenarios.contains(one)) {
        let error = Diagnostic::at(
            &node.span,
            format!("the scenario `{other}` is not among those that are made"),
        );
        fields.reader.refuse(error.help("add it to `scenarios`"));
    }
    MustFire {
        alert: fields.filled("alert").unwrap_or_default(),
        scenarios: wanted,
        span: node.span.clone(),
    }
}

fn scrape(metrics: &Fields) -> Vec<(String, String)> {
    let entries = metrics.entries("scrape").iter();
    entries
        .map(|entry| (entry.key.clone(), metrics.reader.address(&entry.node)))
        .collect()
}

fn probe(metrics: &Fields) -> Vec<String> {
    let nodes = metrics.items("probe").iter();
    nodes.map(|node| metrics.reader.address(node)).collect()
}

fn presets(metrics: Option<&Fields>) -> BTreeSet<Preset> {
    match metrics.and_then(|metrics| metrics.get("preset")) {
        Some(given) => words(given.as_seq().unwrap_or_default()),
        None => [Preset::Blackbox, Preset::Cadvisor].into(),
    }
}
