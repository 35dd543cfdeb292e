//! What promtool is given: production's expressions as they are, and as series a steady prefix, the recorded scenario, and
//! how it goes on.
//!
//! The prefix is production as `control` recorded it, as long as the longest window: gauges at the value in the middle,
//! counters growing as they grew. Then comes the scenario, a sample for each scrape of production's, `stale` where a series
//! is gone. After it gauges keep their last value, and counters go on growing as they did since something failed: the failure
//! lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::rules::{Group, Makes, Rule, Rules};
use super::series::{Kind, Labels, Recording, Track, grown};

/// The label by which a rule's alerts are known: their names are not unique.
pub const RULE: &str = "rehearsal_rule";
/// The file of rules, beside that of the test.
pub const RULES_FILE: &str = "rules.json";
/// What is asked of promtool: when the condition of an alert that fires began to hold, by rule.
const BEGAN: &str = "rehearsal:began";
/// A range of one query: promtool takes 10,000 samples, of which its newest version sees one less.
const MOST_STEPS: u64 = 9_000;

/// When production looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// How often targets are scraped; at least a second.
    pub scrape: Duration,
    /// How often groups are evaluated that say nothing themselves; at least a second.
    pub evaluation: Duration,
    /// How long the Alertmanager waits for more of the same.
    pub group_wait: Duration,
}

impl Clock {
    /// How often a group is evaluated.
    pub fn interval(&self, group: &Group) -> Duration {
        group.interval.unwrap_or(self.evaluation).max(Duration::from_secs(1))
    }
}

/// What promtool is given, and how its answer is read. All times are seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The rules, as YAML.
    pub rules: String,
    /// The test, as YAML.
    pub test: String,
    /// When the scenario begins.
    pub begins: u64,
    /// When everything ends.
    pub ends: u64,
    /// The second of the recording in which production scrapes first.
    pub phase: u64,
    /// Between two evaluations.
    pub evaluation: u64,
}

/// What is asked of which rules.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// All of production's.
    pub rules: &'a Rules,
    /// The numbers of those that are left out.
    pub without: &'a BTreeSet<usize>,
    /// When production looks.
    pub clock: &'a Clock,
}

impl Asked<'_> {
    fn groups(&self) -> impl Iterator<Item = (&Group, Vec<&Rule>)> {
        let kept = |group: &Group, rule: &&Rule| !self.without.contains(&rule.number) && !group.rules.is_empty();
        self.rules.groups.iter().filter_map(move |group| {
            let rules: Vec<&Rule> = group.rules.iter().filter(|rule| kept(group, rule)).collect();
            (!rules.is_empty()).then_some((group, rules))
        })
    }

    fn kept(&self) -> impl Iterator<Item = &Rule> {
        self.groups().flat_map(|(_, rules)| rules)
    }

    /// How far back any rule looks, through the series that others record.
    fn window(&self) -> u64 {
        let of = |alerts: bool| {
            let rules = self.kept().filter(move |rule| rule.alert().is_some() == alerts);
            let windows = rules.filter_map(|rule| Some(rule.expression.as_ref().ok()?.window));
            up(windows.max().unwrap_or_default())
        };
        of(true) + of(false)
    }

    fn hold(&self) -> u64 {
        up(self.kept().map(Rule::hold).max().unwrap_or_default())
    }

    fn intervals(&self) -> impl Iterator<Item = u64> {
        self.groups().map(|(group, _)| up(self.clock.interval(group)))
    }
}

/// Composes the input for one scenario, with production's scrapes in that second of it and each interval later.
pub fn compose(asked: Asked<'_>, steady: &Recording, scenario: &Recording, phase: u64) -> Input {
    let window = asked.window();
    let interval = up(asked.clock.scrape).max(window.div_ceil(MOST_STEPS)).max(1);
    let slowest = asked.intervals().max().unwrap_or(1);
    let after = (scenario.seconds as u64 + window + asked.hold() + 2 * slowest).div_ceil(interval) + 1;
    let evaluation = asked
        .intervals()
        .fold(0, gcd)
        .max((after * interval).div_ceil(MOST_STEPS))
        .max(1);
    // A scrape and an evaluation fall on the scenario's beginning.
    let both = interval / gcd(interval, evaluation) * evaluation;
    let before = (window + LOOK_BACK).div_ceil(both) * both / interval;
    let (begins, ends) = (before * interval, (before + after) * interval);
    let grid = Grid {
        interval,
        before,
        after,
        phase,
        steady_end: scenario.steady_end(),
    };
    Input {
        rules: rules(asked),
        test: test(asked, &series(steady, scenario, grid), grid, begins, ends, evaluation),
        begins,
        ends,
        phase,
        evaluation,
    }
}

/// How long Prometheus takes a series for alive that nobody writes any more.
const LOOK_BACK: u64 = 300;

/// Seconds, rounded up.
fn up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Production's rules, each alert with its number; and who asks which of them fire.
fn rules(asked: Asked<'_>) -> String {
    let groups = asked.groups().enumerate().map(|(at, (_, rules))| {
        let rules: Vec<Value> = rules.into_iter().map(rule).collect();
        json!({"name": group_name(at), "rules": rules})
    });
    let firing = r#"ALERTS_FOR_STATE and ignoring(alertstate) ALERTS{alertstate="firing"}"#;
    let told = json!({"name": "rehearsal", "rules": [
        {"record": BEGAN, "expr": format!("min by ({RULE}) ({firing})")},
    ]});
    json!({"groups": groups.chain([told]).collect::<Vec<_>>()}).to_string()
}

fn group_name(at: usize) -> String {
    format!("g{at}")
}

fn rule(rule: &Rule) -> Value {
    let mut labels: BTreeMap<String, String> = rule.labels.iter().cloned().collect();
    match &rule.makes {
        Makes::Series(name) => json!({"record": name, "expr": rule.expr, "labels": labels}),
        Makes::Alert { name, hold, keep } => {
            labels.insert(RULE.to_owned(), rule.number.to_string());
            let mut told = json!({"alert": name, "expr": rule.expr, "for": words(*hold), "labels": labels});
            if !keep.is_zero() {
                told["keep_firing_for"] = words(*keep).into();
            }
            told
        }
    }
}

fn words(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn test(asked: Asked<'_>, series: &[Value], grid: Grid, begins: u64, ends: u64, evaluation: u64) -> String {
    let groups = asked.groups().enumerate().map(|(at, _)| group_name(at));
    let order: Vec<String> = groups.chain(["rehearsal".to_owned()]).collect();
    let expr = format!("min_over_time({BEGAN}[{}s])", ends - begins);
    json!({
        "rule_files": [RULES_FILE],
        "evaluation_interval": format!("{evaluation}s"),
        "group_eval_order": order,
        "tests": [{
            "interval": format!("{}s", grid.interval),
            "input_series": series,
            // It fails on purpose: what promtool got instead is the answer.
            "promql_expr_test": [{"expr": expr, "eval_time": format!("{ends}s"), "exp_samples": []}],
        }],
    })
    .to_string()
}

/// Where samples stand.
#[derive(Debug, Clone, Copy)]
struct Grid {
    interval: u64,
    /// Samples of the prefix.
    before: u64,
    /// Samples from the scenario's beginning.
    after: u64,
    phase: u64,
    /// So many of the scenario's last seconds are as it goes on.
    steady_end: usize,
}

fn series(steady: &Recording, scenario: &Recording, grid: Grid) -> Vec<Value> {
    let tracks = steady.tracks.iter().chain(&scenario.tracks);
    let labels: BTreeSet<&Labels> = tracks.map(|track| &track.labels).collect();
    let one = |labels: &Labels| {
        let values = values(steady.track(labels), scenario.track(labels), grid);
        json!({"series": labels.to_string(), "values": values})
    };
    labels.into_iter().map(one).collect()
}

/// A series in promtool's words.
fn values(steady: Option<&Track>, scenario: Option<&Track>, grid: Grid) -> String {
    let mut words = Words::default();
    let last = steady.and_then(|track| words.prefix(track, grid));
    if last.is_none() {
        words.text.push(format!("_x{}", grid.before));
    }
    match scenario {
        Some(track) => words.scenario(track, last, grid),
        None if last.is_some() => words.text.push("stale".to_owned()),
        None => {}
    }
    words.text.join(" ")
}

/// A series' samples, in promtool's words.
#[derive(Default)]
struct Words {
    text: Vec<String>,
    present: bool,
}

/// Where a steady series goes on.
#[derive(Debug, Clone, Copy)]
struct Steady {
    last: f64,
    /// By how much it grows from one scrape to the next.
    step: f64,
}

impl Words {
    /// The steady prefix, and where it goes on.
    fn prefix(&mut self, track: &Track, grid: Grid) -> Option<Steady> {
        let more = grid.before.saturating_sub(1);
        self.present = true;
        match track.kind {
            Kind::Gauge => {
                let last = track.median()?;
                self.text.push(format!("{}+0x{more}", number(last)));
                Some(Steady { last, step: 0.0 })
            }
            Kind::Counter => {
                let step = track.growth(track.values.len()) * grid.interval as f64;
                // It grew from nothing at the latest when the prefix begins.
                let first = (track.last()? - step * more as f64).max(0.0);
                self.text.push(format!("{}+{}x{more}", number(first), number(step)));
                let last = first + step * more as f64;
                Some(Steady { last, step })
            }
        }
    }

    fn scenario(&mut self, track: &Track, steady: Option<Steady>, grid: Grid) {
        let seconds = track.values.len() as u64;
        let real = seconds
            .saturating_sub(grid.phase)
            .div_ceil(grid.interval)
            .min(grid.after);
        let values = match (track.kind, steady) {
            (Kind::Counter, Some(steady)) => joined(track, steady),
            (Kind::Counter, None) => joined_to_nothing(track),
            (Kind::Gauge, _) => track.values.clone(),
        };
        for scrape in 0..real {
            let second = usize::try_from(grid.phase + scrape * grid.interval).unwrap_or(usize::MAX);
            self.sample(values.get(second).copied().flatten());
        }
        self.held(track, values.last().copied().flatten(), real, grid);
    }

    fn sample(&mut self, value: Option<f64>) {
        match (value, self.present) {
            (Some(value), _) => self.text.push(number(value)),
            (None, true) => self.text.push("stale".to_owned()),
            (None, false) => self.text.push("_".to_owned()),
        }
        self.present = value.is_some();
    }

    /// From the scrape after the last real one: gauges stay, counters go on.
    fn held(&mut self, track: &Track, last: Option<f64>, real: u64, grid: Grid) {
        let Some(last) = last else {
            return self.sample(None);
        };
        if real >= grid.after {
            return;
        }
        let growth = match track.kind {
            Kind::Counter => track.growth(grid.steady_end),
            Kind::Gauge => 0.0,
        };
        let since = (grid.phase + real * grid.interval + 1).saturating_sub(track.values.len() as u64);
        let first = last + growth * since as f64;
        let (step, more) = (growth * grid.interval as f64, grid.after - real - 1);
        self.text.push(format!("{}+{}x{more}", number(first), number(step)));
    }
}

/// A counter that goes on where the prefix ended: what it grew by between the two is nobody's business.
fn joined(track: &Track, steady: Steady) -> Vec<Option<f64>> {
    let mut sum = steady.last + steady.step;
    let mut before = track.first();
    let mut next = |value: f64| {
        sum += grown(before.unwrap_or(value), value);
        before = Some(value);
        sum
    };
    track.values.iter().map(|value| value.map(&mut next)).collect()
}

/// One that begins in the scenario.
fn joined_to_nothing(track: &Track) -> Vec<Option<f64>> {
    let mut sum = 0.0;
    let mut before = 0.0;
    let mut next = |value: f64| {
        sum += grown(before, value);
        before = value;
        sum
    };
    track.values.iter().map(|value| value.map(&mut next)).collect()
}

/// A number as promtool reads it; one far from 1 with an exponent, so that its length has a limit.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-6..1e15).contains(&size) => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(kind: Kind, values: &[Option<f64>]) -> Track {
        Track {
            labels: Labels::of("a", []),
            kind,
            values: values.to_vec(),
        }
    }

    fn grid(phase: u64) -> Grid {
        Grid {
            interval: 2,
            before: 3,
            after: 5,
            phase,
            steady_end: 2,
        }
    }

    #[test]
    fn a_gauge_is_steady_then_as_recorded_then_as_it_was_last() {
        let steady = track(Kind::Gauge, &[Some(1.0), Some(1.0), Some(9.0)]);
        let scenario = track(Kind::Gauge, &[Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
        let words = |phase| values(Some(&steady), Some(&scenario), grid(phase));
        assert_eq!(words(0), "1+0x2 1 3 4+0x2");
        assert_eq!(words(1), "1+0x2 2 4 4+0x2");
    }

    #[test]
    fn a_counter_goes_on_where_the_prefix_ended_and_as_fast_as_it_last_did() {
        let steady = track(Kind::Counter, &[Some(100.0), Some(101.0), Some(102.0)]);
        let scenario = track(Kind::Counter, &[Some(500.0), Some(501.0), Some(511.0), Some(521.0)]);
        // Two a scrape, then eleven, then ten a second.
        assert_eq!(
            values(Some(&steady), Some(&scenario), grid(0)),
            "98+2x2 104 115 135+20x2"
        );
    }

    #[test]
    fn a_restarted_counter_and_a_new_one_grow_from_nothing() {
        let scenario = track(Kind::Counter, &[Some(10.0), Some(11.0), Some(2.0), Some(3.0)]);
        let steady = track(Kind::Counter, &[Some(10.0), Some(10.0)]);
        assert_eq!(values(Some(&steady), Some(&scenario), grid(1)), "10+0x2 11 14 17+3x2");
        let new = track(Kind::Counter, &[None, None, Some(5.0), Some(5.0)]);
        assert_eq!(values(None, Some(&new), grid(0)), "_x3 _ 5 5+0x2");
    }

    #[test]
    fn a_series_that_is_gone_is_stale_once() {
        let steady = track(Kind::Gauge, &[Some(1.0)]);
        let gone = track(Kind::Gauge, &[Some(1.0), None, None, None]);
        assert_eq!(values(Some(&steady), Some(&gone), grid(0)), "1+0x2 1 stale _");
        assert_eq!(values(Some(&steady), None, grid(0)), "1+0x2 stale");
    }

    #[test]
    fn a_number_is_never_long() {
        let words = [0.0, 1.5, -3.0, 1e300, 1e-300].map(number);
        assert_eq!(words, ["0", "1.5", "-3", "1e300", "1e-300"]);
    }
}
