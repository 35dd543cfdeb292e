//! `load`: many requests at production's rate, on the baseline in `control` and on the candidate in `load`, and the
//! thresholds that the configuration holds against them.

use std::time::Duration;

use serde::Serialize;

use super::load_limits::{Answer, Arm, Held, MOST_NEW_ERRORS};
use super::load_usage;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment};
use crate::agent::load::plan::{Counts, LoadPlan, Phase, Rate, SLICE};
use crate::agent::load::slice::{Slice, StepSlice};
use crate::agent::load::times::Times;
use crate::config::settings::{Levels, Load as Settings, Thresholds};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::load::{LatencyRecord, Level, LimitRecord, LoadRecord, LoadSliceRecord, LoadStepRecord, Quantile};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;
use crate::suite::mix::Mix;
use crate::text::units::{fine, millis};

static ABOUT: About = About {
    id: CheckId::Load,
    question: "does the candidate keep its thresholds under production's load?",
    explain: "Only with stages.load. The agent sends the requests of the suite stages.load.mix (without it, of every \
              suite) at stages.load.rate for stages.load.duration (default 60s): GET and HEAD (but not with repeatable: false), and steps that say \
              repeatable: true, in turns, with the cookies and captures of one run of the suite. The first tenth, 1 s to 10 s, \
              warms up and does not count. Every request is sent when it is due, whatever became of the earlier ones, and \
              its latency counts from then; the service time, from when it was sent, is shown beside it. Nine of ten go \
              over connections that were kept, one over a new one. In control the same is asked of the baseline. \
              Thresholds: p50, p90, p95, p99, p99.9, error_rate and throughput; a plain value blocks, {warn: …, fail: …} \
              says two levels. A quantile is beyond its limit where it is so in most slices of the load, as chance does \
              it less than once in a hundred times (sign test); where fewer than a hundred answers lie beyond it in all \
              (p50 200, p90 1000, p95 2000, p99 10000, p99.9 100000 answers) it cannot be told, and the verdict is \
              inconclusive. The share of errors is held against its limit by Wilson's interval (99 %). Without \
              error_rate, errors that the baseline does not show block beyond 1 % (Newcombe's interval). \
              What the baseline itself breaks is never the candidate's fault: inconclusive, for the limit says nothing of \
              this machine. So is what the gate could not send (less than 99 %), or sent late. What is beyond a limit is \
              looked at once more, on the candidate and on an untouched baseline, before it blocks. Thresholds against \
              the baseline are the check slowdown's. What to do: see the slowest \
              step and the figures beside the limit; make the candidate faster, or say in the configuration what \
              production can bear.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Last), (StageId::Load, Moment::Last)],
    step: "send requests at the rate of stages.load, and measure",
};

/// A request's limit, unless a threshold is longer.
const LIMIT: Duration = Duration::from_secs(10);
/// No request waits longer.
const MOST_LIMIT: Duration = Duration::from_secs(60);
/// Each of so many requests opens a connection of its own.
const FRESH_EVERY: u64 = 10;
/// Requests under way at the same time; connections take memory of an agent that has little.
const MOST_AT_ONCE: f64 = 8_192.0;
/// Slices of a load that is shorter than so many long ones.
const LEAST_SLICES: u32 = 10;

/// The candidate keeps its thresholds under load.
pub struct Load;

/// What a release did under load.
#[derive(Debug, Serialize)]
pub struct Loaded {
    /// Requests that were sent, by their names; nothing where none could be prepared.
    steps: Vec<String>,
    /// Steps of the suites that were not sent, and why.
    left_out: Vec<String>,
    /// Why nothing was sent.
    unprepared: Option<String>,
    record: LoadRecord,
    #[serde(skip)]
    arm: Arm,
}

impl Check for Load {
    type Seen = Loaded;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        given.settings.stages.load.is_some()
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Loaded, Lost> {
        let Some(load) = &at.case.settings.stages.load else {
            return Ok(Loaded::unprepared("stages.load is not given".to_owned()));
        };
        let mix = match at.driver.mix().await {
            Ok(mix) if mix.steps.is_empty() => return Ok(Loaded::unprepared(nothing_to_send(&mix))),
            Ok(mix) => mix,
            Err(why) => return Ok(Loaded::unprepared(why)),
        };
        let plan = plan(load, &mix);
        let lasts = plan.phases.iter().map(|phase| phase.duration_ms).sum();
        let lasts = Duration::from_millis(lasts);
        let (slices, usage) = load_usage::beside(at.ground, lasts, at.ground.load(plan)).await;
        let mut loaded = Loaded::of(at.case.stage, load, &mix, &slices?);
        loaded.record.usage = usage;
        Ok(loaded)
    }

    fn judge(&self, case: &Case<'_>, before: &Loaded, after: &Loaded) -> Vec<Finding> {
        let Some(load) = &case.settings.stages.load else {
            return Vec::new();
        };
        if let Some(why) = after.unprepared.as_ref().or(before.unprepared.as_ref()) {
            let title = format!("nothing could be put under load: {why}");
            let help = "make the suite pass when it runs again, or name another one in stages.load.mix";
            return vec![Finding::new(ABOUT.id, case.stage, Blame::Mirror, title).help(help)];
        }
        if let Some(why) = after.arm.short().or_else(|| before.arm.short()) {
            let help = "give the gate a quieter machine, or stages.load a lower rate";
            let found = Finding::new(
                ABOUT.id,
                case.stage,
                Blame::Mirror,
                format!("load cannot be told: {why}"),
            );
            return vec![
                found
                    .seen(vec![after.line("candidate"), before.line("baseline")])
                    .help(help),
            ];
        }
        let limits = limits(&load.thresholds);
        let found = limits.iter().flat_map(|limit| limit.judge(case, before, after));
        found.chain(new_errors(case, load, before, after)).collect()
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Once
    }

    fn notes(&self, _case: &Case<'_>, seen: &Loaded) -> Vec<String> {
        let left_out = seen.left_out.iter();
        left_out.map(|step| format!("load: not sent: {step}")).collect()
    }

    fn load(&self, case: &Case<'_>, before: Option<&Loaded>, seen: &Loaded) -> Vec<LoadRecord> {
        if seen.unprepared.is_some() {
            return Vec::new();
        }
        let thresholds = case.settings.stages.load.as_ref().map(|load| limits(&load.thresholds));
        let limits = thresholds.unwrap_or_default();
        let record = |before: &Loaded| limits.iter().flat_map(|limit| limit.records(before, seen)).collect();
        vec![LoadRecord {
            limits: before.map(record).unwrap_or_default(),
            ..seen.record.clone()
        }]
    }
}

/// Why no step can be sent.
pub(super) fn nothing_to_send(mix: &Mix) -> String {
    match mix.left_out.first() {
        Some((step, why)) => format!("no step can be sent again and again: `{step}`: {why}"),
        None => "no suite has a request".to_owned(),
    }
}

/// What is sent, but for when.
pub(super) fn sending(load: &Settings, mix: &Mix) -> LoadPlan {
    let longest = load
        .thresholds
        .latency
        .values()
        .flat_map(|levels| [levels.warn, levels.fail]);
    let longest = longest.flatten().max().unwrap_or_default();
    let limit = LIMIT.max(longest * 2).min(MOST_LIMIT);
    LoadPlan {
        mixes: vec![mix.steps.clone()],
        phases: Vec::new(),
        slice_ms: millis(SLICE),
        timeout_ms: millis(limit),
        fresh_every: FRESH_EVERY,
        most_at_once: most_at_once(load.rate, limit),
        insecure: mix.insecure,
        ca: mix.ca.clone(),
    }
}

/// Requests under way at the same time: all that are due within a request's limit, as far as there is memory.
pub(super) fn most_at_once(rate: f64, limit: Duration) -> usize {
    (rate * limit.as_secs_f64()).clamp(64.0, MOST_AT_ONCE) as usize
}

/// What is sent: a warm-up that does not count, and the load.
fn plan(load: &Settings, mix: &Mix) -> LoadPlan {
    let warm_up = (load.duration / 10).clamp(Duration::from_secs(1), Duration::from_secs(10));
    let phase = |duration: Duration, counts| Phase {
        mix: 0,
        rate: Rate::Constant(load.rate),
        duration_ms: millis(duration),
        counts,
    };
    LoadPlan {
        phases: vec![phase(warm_up, Counts::WarmUp), phase(load.duration, Counts::Yes)],
        slice_ms: millis((load.duration / LEAST_SLICES).min(SLICE)).max(1),
        ..sending(load, mix)
    }
}

impl Loaded {
    fn unprepared(why: String) -> Self {
        Self {
            unprepared: Some(why),
            ..Self::of(StageId::Control, &Settings::default(), &Mix::default(), &[])
        }
    }

    fn of(stage: StageId, load: &Settings, mix: &Mix, slices: &[Slice]) -> Self {
        let arm = Arm::of(slices);
        let names: Vec<String> = mix.steps.iter().map(|step| step.name.clone()).collect();
        Self {
            left_out: mix
                .left_out
                .iter()
                .map(|(step, why)| format!("`{step}`: {why}"))
                .collect(),
            unprepared: None,
            record: record(stage, load, &names, &arm),
            steps: names,
            arm,
        }
    }

    /// In one line, beside what is beyond a limit.
    fn line(&self, who: &str) -> String {
        let record = &self.record;
        let at = |latency: &LatencyRecord| {
            let (latency_us, service_us) = (micros(latency.latency_us), micros(latency.service_us));
            format!("{} {latency_us} (service time {service_us})", latency.quantile)
        };
        let latencies: Vec<String> = record.latency.iter().map(at).collect();
        let errors = record.errors.iter().map(|(what, count)| format!("; {count} × {what}"));
        format!(
            "{who}: {} of {} requests sent, {} answered well; {}{}",
            record.sent,
            record.planned,
            record.good,
            latencies.join(", "),
            errors.collect::<String>()
        )
    }

    /// The step whose answers take longest.
    fn slowest(&self) -> Option<String> {
        let steps = self.record.steps.iter().filter(|_| self.record.steps.len() > 1);
        let slowest = steps.max_by_key(|step| step.p95_us)?;
        Some(format!(
            "the slowest step is `{}`: p95 {}",
            slowest.name,
            micros(slowest.p95_us?)
        ))
    }
}

fn micros(micros: u64) -> String {
    fine(Duration::from_micros(micros))
}

fn record(stage: StageId, load: &Settings, names: &[String], arm: &Arm) -> LoadRecord {
    let whole = &arm.whole;
    let by_status = whole.errors.by_status.iter();
    let by_status = by_status.map(|(status, count)| (format!("status {status}"), *count));
    let by_failure = whole.errors.by_failure.iter();
    let by_failure = by_failure.map(|(kind, count)| (kind.to_string(), *count));
    let errors = by_status.chain(by_failure).filter(|(_, count)| *count > 0);
    let steps = names.iter().zip(arm.steps());
    LoadRecord {
        stage: stage.into(),
        rate: load.rate,
        duration_ms: millis(load.duration),
        planned: arm.planned,
        sent: arm.sent,
        good: whole.good,
        opened: whole.opened,
        lag_us: at(&arm.lag, 0.99).unwrap_or_default(),
        errors: errors.collect(),
        latency: latencies(whole),
        steps: steps.map(|(name, step)| step_record(name, &step)).collect(),
        slices: arm.slices().iter().map(slice_record).collect(),
        limits: Vec::new(),
        usage: Vec::new(),
    }
}

/// In microseconds.
fn at(times: &Times, share: f64) -> Option<u64> {
    times
        .at(share)
        .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn latencies(whole: &StepSlice) -> Vec<LatencyRecord> {
    let of = |quantile: &Quantile| {
        Some(LatencyRecord {
            quantile: (*quantile).into(),
            latency_us: at(&whole.latency, quantile.share())?,
            service_us: at(&whole.service, quantile.share())?,
            vague: whole.latency.count() < quantile.least(),
        })
    };
    Quantile::ALL.iter().filter_map(of).collect()
}

fn step_record(name: &str, step: &StepSlice) -> LoadStepRecord {
    LoadStepRecord {
        name: name.to_owned(),
        sent: step.sent,
        good: step.good,
        p50_us: at(&step.latency, 0.5),
        p95_us: at(&step.latency, 0.95),
        p99_us: at(&step.latency, 0.99),
    }
}

fn slice_record(slice: &Slice) -> LoadSliceRecord {
    let whole = slice.whole();
    LoadSliceRecord {
        start_ms: slice.start_ms,
        length_ms: slice.length_ms,
        sent: slice.sent,
        good: whole.good,
        p50_us: at(&whole.latency, 0.5),
        p95_us: at(&whole.latency, 0.95),
    }
}

/// A threshold, with what it is held against.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Latency(Quantile),
    Errors,
    Throughput,
}

/// A threshold: its levels in microseconds, shares, or answers per second.
#[derive(Debug, Clone, Copy)]
struct Limit {
    measure: Measure,
    levels: Levels<f64>,
}

fn limits(thresholds: &Thresholds) -> Vec<Limit> {
    let in_micros = |time: Option<Duration>| time.map(|time| time.as_micros() as f64);
    let latency = thresholds.latency.iter().map(|(quantile, levels)| Limit {
        measure: Measure::Latency(*quantile),
        levels: Levels {
            warn: in_micros(levels.warn),
            fail: in_micros(levels.fail),
        },
    });
    let of = |measure, levels: Option<Levels<f64>>| levels.map(|levels| Limit { measure, levels });
    let errors = of(Measure::Errors, thresholds.error_rate);
    let throughput = of(Measure::Throughput, thresholds.throughput);
    latency.chain(errors).chain(throughput).collect()
}

impl Measure {
    fn key(self) -> String {
        match self {
            Self::Latency(quantile) => quantile.to_string(),
            Self::Errors => "error_rate".to_owned(),
            Self::Throughput => "throughput".to_owned(),
        }
    }

    fn words(self, value: f64) -> String {
        match self {
            Self::Latency(_) => fine(Duration::from_secs_f64(value.max(0.0) / 1e6)),
            Self::Errors => format!("{:.2} %", value * 100.0),
            Self::Throughput => format!("{value:.1}/s"),
        }
    }

    fn hold(self, arm: &Arm, limit: f64) -> Held {
        match self {
            Self::Latency(quantile) => arm.latency(quantile, Duration::from_secs_f64(limit / 1e6)),
            Self::Errors => arm.errors(limit),
            Self::Throughput => arm.throughput(limit),
        }
    }
}

impl Limit {
    fn levels(&self) -> impl Iterator<Item = (Level, f64)> + use<> {
        let all = [(Level::Fail, self.levels.fail), (Level::Warn, self.levels.warn)];
        all.into_iter().filter_map(|(level, limit)| Some((level, limit?)))
    }

    fn records(&self, before: &Loaded, after: &Loaded) -> Vec<LimitRecord> {
        let of = |(level, limit): (Level, f64)| {
            let (own, its) = (
                self.measure.hold(&after.arm, limit),
                self.measure.hold(&before.arm, limit),
            );
            LimitRecord {
                key: self.measure.key(),
                level: level.into(),
                limit,
                value: own.value,
                baseline: its.value,
                answer: blamed(self.measure, before, after, (&its, &own)).recorded().into(),
            }
        };
        self.levels().map(of).collect()
    }

    /// What blocks, or else what warns.
    fn judge(&self, case: &Case<'_>, before: &Loaded, after: &Loaded) -> Option<Finding> {
        let told = |(level, limit)| self.at(case, (level, limit), before, after);
        self.levels().find_map(told)
    }

    fn at(&self, case: &Case<'_>, (level, limit): (Level, f64), before: &Loaded, after: &Loaded) -> Option<Finding> {
        let (own, its) = (
            self.measure.hold(&after.arm, limit),
            self.measure.hold(&before.arm, limit),
        );
        let answer = blamed(self.measure, before, after, (&its, &own));
        let key = self.measure.key();
        let words = |held: &Held| {
            held.value
                .map_or("nothing".to_owned(), |value| self.measure.words(value))
        };
        let bound = match self.measure {
            Measure::Throughput => format!("at least {}", self.measure.words(limit)),
            _ => format!("at most {}", self.measure.words(limit)),
        };
        let mut evidence = vec![after.line("candidate"), before.line("baseline")];
        evidence.extend(after.slowest());
        let (title, blame, help) = match (answer, level) {
            (Answer::Within, _) => return None,
            (Answer::Beyond, _) => (
                format!("{key} is {} under load, {bound}: production's is {}", words(&own), words(&its)),
                if level == Level::Fail { Blame::Candidate } else { Blame::Nobody },
                format!("do not deploy: {} keeps it on the same mirror", case.pair.baseline()),
            ),
            // What warns blocks nothing, told or not.
            (Answer::Unknown(_), Level::Warn) => return None,
            (Answer::Unknown(why), Level::Fail) => (
                format!("{key} under load, {bound}, cannot be told: {why}"),
                Blame::Mirror,
                "give stages.load a longer duration or a higher rate, a quieter machine, or a limit that production keeps"
                    .to_owned(),
            ),
        };
        let found = Finding::new(ABOUT.id, case.stage, blame, title).detail(format!("{key} {level}"));
        Some(found.about(only_candidate(case)).seen(evidence).help(help))
    }
}

/// Only what the baseline keeps is asked of the candidate.
fn blamed(measure: Measure, before: &Loaded, after: &Loaded, (its, own): (&Held, &Held)) -> Answer {
    let value = its.value.map_or("nothing".to_owned(), |value| measure.words(value));
    match (&own.answer, &its.answer) {
        (Answer::Beyond, Answer::Within) => match measure {
            Measure::Errors if after.arm.more_errors_than(&before.arm).is_none() => Answer::Unknown(format!(
                "production's own share is {value}: the difference may be chance"
            )),
            _ => Answer::Beyond,
        },
        (Answer::Beyond, Answer::Beyond) => Answer::Unknown(format!("production itself breaks it here, with {value}")),
        (Answer::Beyond, Answer::Unknown(why)) => Answer::Unknown(format!("of production: {why}")),
        (own, _) => own.clone(),
    }
}

/// Errors that nobody set a limit for, and that production does not have.
fn new_errors(case: &Case<'_>, load: &Settings, before: &Loaded, after: &Loaded) -> Option<Finding> {
    let is_limited = load.thresholds.error_rate.is_some();
    let more = after.arm.more_errors_than(&before.arm).filter(|_| !is_limited)?;
    let words = |loaded: &Loaded| Measure::Errors.words(loaded.arm.error_share().unwrap_or_default());
    let title = format!(
        "{} of requests fail under load, production's {}",
        words(after),
        words(before)
    );
    let blame = if more > MOST_NEW_ERRORS {
        Blame::Candidate
    } else {
        Blame::Nobody
    };
    let help = format!(
        "do not deploy: {} answers them on the same mirror; stages.load.thresholds.error_rate says what may fail",
        case.pair.baseline()
    );
    let found = Finding::new(ABOUT.id, case.stage, blame, title).detail("errors");
    let evidence = vec![after.line("candidate"), before.line("baseline")];
    Some(found.about(only_candidate(case)).seen(evidence).help(help))
}

/// The service to name, where one alone is replaced.
pub(super) fn only_candidate(case: &Case<'_>) -> Option<String> {
    match &case.candidates()[..] {
        [one] => Some(one.clone()),
        _ => None,
    }
}
