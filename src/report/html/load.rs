//! Load: what each release did, slice by slice, and the thresholds that were held against it.

use std::collections::BTreeSet;

use super::drawing::{Chart, Course, LABEL, Plot, Size, Unit, Whose};
use super::shown::{Room, Rows, Tone};
use crate::record::load::{
    BornRecord, CapacityTurnRecord, Level, LimitAnswer, LimitRecord, LoadRecord, LoadSliceRecord, LoadStepRecord,
    SlowdownRecord, UsageRecord, UsedRecord,
};
use crate::record::stage::StageId;
use crate::record::v1::Record;
use crate::report::words;
use crate::text::{capacity, harmless};

/// Services whose charts are drawn; the table has all.
const SERVICES: usize = 8;
/// A limit that lies farther above what is used than so many times would leave nothing to see of it.
const FAR: u64 = 4;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) told: String,
    /// Of latency and of errors.
    pub(super) charts: Vec<Chart>,
    /// Of processors and of memory, service by service.
    pub(super) used: Vec<Chart>,
    /// Services that are not drawn.
    pub(super) undrawn: usize,
    pub(super) usage: Rows<UsageRow>,
    pub(super) limits: Rows<LimitRow>,
    pub(super) slowdowns: Rows<SlowdownRow>,
    pub(super) objective: String,
    pub(super) turns: Rows<TurnRow>,
    pub(super) releases: Rows<ReleaseRow>,
    pub(super) steps: Rows<StepRow>,
    pub(super) slices: Rows<SliceRow>,
}

/// What a service's containers used under one release.
#[derive(Debug)]
pub(super) struct UsageRow {
    pub(super) service: String,
    pub(super) who: &'static str,
    pub(super) mean: String,
    pub(super) most: String,
    pub(super) memory: String,
    pub(super) limit: String,
}

/// A threshold.
#[derive(Debug)]
pub(super) struct LimitRow {
    pub(super) tone: Tone,
    pub(super) answer: &'static str,
    pub(super) key: String,
    pub(super) level: String,
    pub(super) limit: String,
    pub(super) value: String,
    pub(super) baseline: String,
}

/// A slow-down that must be caught.
#[derive(Debug)]
pub(super) struct SlowdownRow {
    pub(super) tone: Tone,
    pub(super) answer: &'static str,
    pub(super) key: String,
    pub(super) level: String,
    pub(super) limit: String,
    pub(super) value: String,
    pub(super) caught: String,
    pub(super) pairs: u64,
    pub(super) reason: String,
}

/// A turn of one release, asked more and more.
#[derive(Debug)]
pub(super) struct TurnRow {
    pub(super) who: &'static str,
    pub(super) bears: String,
    pub(super) turn: String,
    pub(super) ran_out: String,
}

/// A release, in all.
#[derive(Debug)]
pub(super) struct ReleaseRow {
    pub(super) who: &'static str,
    pub(super) sent: String,
    pub(super) good: u64,
    pub(super) errors: String,
    pub(super) opened: u64,
    pub(super) lag: String,
    pub(super) latency: String,
}

/// A step of one release.
#[derive(Debug)]
pub(super) struct StepRow {
    pub(super) who: &'static str,
    pub(super) name: String,
    pub(super) good: String,
    pub(super) p50: String,
    pub(super) p95: String,
    pub(super) p99: String,
}

/// A slice of one release.
#[derive(Debug)]
pub(super) struct SliceRow {
    pub(super) who: &'static str,
    pub(super) start: String,
    pub(super) good: String,
    pub(super) p50: String,
    pub(super) p95: String,
}

impl Load {
    pub(super) fn of(result: &Record, room: Room) -> Option<Self> {
        let loads = &result.load;
        if loads.is_empty() && result.slowdowns.is_empty() && result.capacity.is_none() {
            return None;
        }
        let steps: Vec<_> = loads
            .iter()
            .flat_map(|load| load.steps.iter().map(move |step| (load, step)))
            .collect();
        let slices: Vec<_> = loads
            .iter()
            .flat_map(|load| load.slices.iter().map(move |slice| (load, slice)))
            .collect();
        let mut usage: Vec<_> = loads
            .iter()
            .flat_map(|load| load.usage.iter().map(move |usage| (load, usage)))
            .collect();
        usage.sort_by(|(_, one), (_, other)| one.service.cmp(&other.service));
        let services: BTreeSet<&str> = usage.iter().map(|(_, usage)| usage.service.as_str()).collect();
        let services: Vec<_> = services.into_iter().enumerate().collect();
        let drawn = &services[..services.len().min(SERVICES)];
        let limits: Vec<_> = loads.iter().flat_map(|load| &load.limits).collect();
        let capacity = result.capacity.iter();
        let turns: Vec<_> = capacity
            .clone()
            .flat_map(|both| {
                let both = [("baseline", &both.baseline), ("candidate", &both.candidate)];
                both.into_iter()
                    .flat_map(|(who, born)| born.turns.iter().map(move |turn| (who, born, turn)))
            })
            .collect();
        let objective: Vec<&str> = capacity
            .flat_map(|both| both.objective.iter().map(String::as_str))
            .collect();
        Some(Self {
            told: room.line(&words::load(result).join("; ")),
            charts: [latency(loads), errors(loads)].into_iter().flatten().collect(),
            used: drawn.iter().flat_map(|service| used(loads, service, room)).collect(),
            undrawn: services.len() - drawn.len(),
            usage: room.rows(&usage, |(load, usage)| usage_row(load, usage, room)),
            limits: room.rows(&limits, |limit| limit_row(limit, room)),
            slowdowns: room.rows(&result.slowdowns, |slowdown| slowdown_row(slowdown, room)),
            objective: room.line(&objective.join(", ")),
            turns: room.rows(&turns, |(who, born, turn)| turn_row(who, born, turn, room)),
            releases: room.rows(loads, |load| release(load, room)),
            steps: room.rows(&steps, |(load, step)| step_row(load, step, room)),
            slices: room.rows(&slices, |(load, slice)| slice_row(load, slice)),
        })
    }
}

fn limit_row(limit: &LimitRecord, room: Room) -> LimitRow {
    let answer = limit.answer.or(LimitAnswer::Unknown);
    LimitRow {
        tone: tone(answer, limit.level.or(Level::Fail)),
        answer: word(answer),
        key: room.line(&limit.key),
        level: words::word(&limit.level),
        limit: words::of_limit(&limit.key, Some(limit.limit)),
        value: words::of_limit(&limit.key, limit.value),
        baseline: words::of_limit(&limit.key, limit.baseline),
    }
}

fn slowdown_row(slowdown: &SlowdownRecord, room: Room) -> SlowdownRow {
    let answer = slowdown.answer.or(LimitAnswer::Unknown);
    SlowdownRow {
        tone: tone(answer, slowdown.level.or(Level::Fail)),
        answer: word(answer),
        key: room.line(&slowdown.key),
        level: words::word(&slowdown.level),
        limit: words::change(Some(slowdown.limit)),
        value: words::change(slowdown.value),
        caught: words::change(slowdown.caught),
        pairs: slowdown.pairs,
        reason: room.line(slowdown.reason.as_deref().unwrap_or_default()),
    }
}

fn turn_row(who: &'static str, born: &BornRecord, turn: &CapacityTurnRecord, room: Room) -> TurnRow {
    TurnRow {
        who,
        bears: capacity::bears(born),
        turn: room.line(&capacity::turn(turn)),
        ran_out: room.line(&capacity::ran_out(born).unwrap_or_else(|| "cannot be told".to_owned())),
    }
}

fn step_row(load: &LoadRecord, step: &LoadStepRecord, room: Room) -> StepRow {
    StepRow {
        who: words::under_load(load),
        name: room.line(&step.name),
        good: format!("{} of {}", step.good, step.sent),
        p50: words::micros(step.p50_us),
        p95: words::micros(step.p95_us),
        p99: words::micros(step.p99_us),
    }
}

fn slice_row(load: &LoadRecord, slice: &LoadSliceRecord) -> SliceRow {
    SliceRow {
        who: words::under_load(load),
        start: crate::text::units::of_millis(slice.start_ms),
        good: format!("{} of {}", slice.good, slice.sent),
        p50: words::micros(slice.p50_us),
        p95: words::micros(slice.p95_us),
    }
}

fn release(load: &LoadRecord, room: Room) -> ReleaseRow {
    let errors: Vec<String> = load
        .errors
        .iter()
        .map(|(what, count)| format!("{count} × {what}"))
        .collect();
    let latency = load.latency.iter().map(|one| {
        let vague = if one.vague { " (too few answers to say)" } else { "" };
        let (all, own) = (words::micros(Some(one.latency_us)), words::micros(Some(one.service_us)));
        format!("{} {all}, from the moment it was sent {own}{vague}", one.quantile)
    });
    ReleaseRow {
        who: words::under_load(load),
        sent: format!("{} of {}", load.sent, load.planned),
        good: load.good,
        errors: room.line(&errors.join(", ")),
        opened: load.opened,
        lag: words::micros(Some(load.lag_us)),
        latency: room.line(&latency.collect::<Vec<_>>().join("; ")),
    }
}

fn tone(answer: LimitAnswer, level: Level) -> Tone {
    match (answer, level) {
        (LimitAnswer::Within, _) => Tone::PLAIN,
        (LimitAnswer::Beyond, Level::Fail) => Tone::RED,
        (LimitAnswer::Beyond, Level::Warn) | (LimitAnswer::Unknown, Level::Fail) => Tone::AMBER,
        (LimitAnswer::Unknown, Level::Warn) => Tone::GREY,
    }
}

fn word(answer: LimitAnswer) -> &'static str {
    match answer {
        LimitAnswer::Within => "kept",
        LimitAnswer::Beyond => "broken",
        LimitAnswer::Unknown => "cannot be told",
    }
}

fn latency(loads: &[LoadRecord]) -> Option<Chart> {
    let plot = Plot {
        id: "load-p95".to_owned(),
        title: "p95 of latency over time".to_owned(),
        size: Size::Whole,
        unit: Unit::Micros,
        end_ms: end(loads),
        limit: strictest(loads, "p95", 1.0),
        courses: courses(loads, |slice| slice.p95_us),
    };
    plot.drawn()
}

fn errors(loads: &[LoadRecord]) -> Option<Chart> {
    let plot = Plot {
        id: "load-errors".to_owned(),
        title: "Requests not answered well over time".to_owned(),
        size: Size::Whole,
        unit: Unit::Share,
        end_ms: end(loads),
        limit: strictest(loads, "error_rate", 1e6),
        courses: courses(loads, not_good),
    };
    plot.drawn()
}

/// Millionths of the requests of a slice; nothing where none was sent.
fn not_good(slice: &LoadSliceRecord) -> Option<u64> {
    let millionths = u128::from(slice.sent.saturating_sub(slice.good)) * 1_000_000;
    u64::try_from(millionths.checked_div(u128::from(slice.sent))?).ok()
}

/// Of a service: its processors and its memory, as far as they are known.
fn used(loads: &[LoadRecord], (number, service): &(usize, &str), room: Room) -> Vec<Chart> {
    let name = harmless::line(&room.line(service), LABEL);
    let plot = |what: &str, unit: Unit, figure: fn(&UsedRecord) -> Option<u64>| Plot {
        id: format!("load-{what}-{number}"),
        title: format!("{name}: {what}"),
        size: Size::Half,
        unit,
        end_ms: end(loads),
        limit: None,
        courses: usage_courses(loads, service, figure),
    };
    let memory = plot("memory", Unit::Bytes, |used| used.memory);
    let memory = Plot {
        limit: near_limit(loads, service),
        ..memory
    };
    let processors = plot("processors", Unit::Processors, |used| thousandths(used.processors?));
    [processors, memory].into_iter().filter_map(Plot::drawn).collect()
}

fn thousandths(processors: f64) -> Option<u64> {
    // A record may claim anything.
    (processors.is_finite() && processors >= 0.0).then(|| (processors * 1_000.0).min(1e12) as u64)
}

/// The memory that a service may use, unless that is far from what it uses.
fn near_limit(loads: &[LoadRecord], service: &str) -> Option<u64> {
    let own = || of_service(loads, service);
    let limit = own().filter_map(|(_, usage)| usage.memory_limit).min()?;
    let moments = own().flat_map(|(_, usage)| &usage.moments);
    let highest = moments.filter_map(|moment| moment.memory).max()?;
    (limit <= highest.saturating_mul(FAR)).then_some(limit)
}

fn of_service<'a>(
    loads: &'a [LoadRecord],
    service: &'a str,
) -> impl Iterator<Item = (&'a LoadRecord, &'a UsageRecord)> {
    let usage = loads
        .iter()
        .flat_map(|load| load.usage.iter().map(move |usage| (load, usage)));
    usage.filter(move |(_, usage)| usage.service == service)
}

fn usage_courses(loads: &[LoadRecord], service: &str, figure: fn(&UsedRecord) -> Option<u64>) -> Vec<Course> {
    let course = |(load, usage): (&LoadRecord, &UsageRecord)| Course {
        whose: whose(load),
        points: usage
            .moments
            .iter()
            .map(|moment| (moment.at_ms, figure(moment)))
            .collect(),
    };
    of_service(loads, service).map(course).collect()
}

fn courses(loads: &[LoadRecord], figure: fn(&LoadSliceRecord) -> Option<u64>) -> Vec<Course> {
    let course = |load: &LoadRecord| Course {
        whose: whose(load),
        points: load
            .slices
            .iter()
            .map(|slice| (slice.start_ms, figure(slice)))
            .collect(),
    };
    loads.iter().map(course).collect()
}

fn whose(load: &LoadRecord) -> Whose {
    match load.stage == StageId::Control {
        true => Whose::Baseline,
        false => Whose::Candidate,
    }
}

/// All charts share their time, milliseconds from where the load began, its warm-up included.
fn end(loads: &[LoadRecord]) -> u64 {
    let slices = loads.iter().flat_map(|load| &load.slices);
    let of_slices = slices.map(|slice| slice.start_ms.saturating_add(slice.length_ms));
    let usage = loads.iter().flat_map(|load| &load.usage);
    let of_usage = usage.flat_map(|usage| &usage.moments).map(|moment| moment.at_ms);
    of_slices.chain(of_usage).max().unwrap_or_default()
}

/// The strictest limit of what is drawn, in so many parts of its unit.
fn strictest(loads: &[LoadRecord], key: &str, parts: f64) -> Option<u64> {
    let limits = loads.iter().flat_map(|load| &load.limits);
    let drawn = limits.filter(|limit| limit.key == key && limit.level == Level::Fail);
    // A record may claim anything.
    drawn.map(|limit| (limit.limit * parts).clamp(0.0, 1e12) as u64).min()
}

fn usage_row(load: &LoadRecord, usage: &UsageRecord, room: Room) -> UsageRow {
    let moments = usage.moments.iter();
    let processors: Vec<u64> = moments.filter_map(|moment| thousandths(moment.processors?)).collect();
    let count = processors.len() as u64;
    let mean = processors.iter().sum::<u64>().checked_div(count);
    let memory = usage.moments.iter().filter_map(|moment| moment.memory).max();
    let told = |unit: Unit, value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| unit.label(value));
    UsageRow {
        service: room.line(&usage.service),
        who: words::under_load(load),
        mean: told(Unit::Processors, mean),
        most: told(Unit::Processors, processors.into_iter().max()),
        memory: told(Unit::Bytes, memory),
        limit: told(Unit::Bytes, usage.memory_limit),
    }
}
