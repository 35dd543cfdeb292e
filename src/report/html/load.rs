//! Load: what each release did, slice by slice, and the thresholds that were held against it.

use super::shown::{Room, Rows, Tone};
use crate::record::load::{
    BornRecord, CapacityTurnRecord, Level, LimitAnswer, LimitRecord, LoadRecord, LoadSliceRecord, LoadStepRecord,
    SlowdownRecord,
};
use crate::record::stage::StageId;
use crate::record::v1::Record;
use crate::report::words;
use crate::text::capacity;

/// Pixels of the drawing.
const WIDTH: u64 = 640;
const HEIGHT: u64 = 200;
/// Left of it, for figures.
const LEFT: u64 = 80;
/// Above it.
const TOP: u64 = 20;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) told: String,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) bottom: u64,
    pub(super) lines: Vec<Line>,
    pub(super) limit: Option<Mark>,
    pub(super) ticks: Vec<Mark>,
    pub(super) limits: Rows<LimitRow>,
    pub(super) slowdowns: Rows<SlowdownRow>,
    pub(super) objective: String,
    pub(super) turns: Rows<TurnRow>,
    pub(super) releases: Rows<ReleaseRow>,
    pub(super) steps: Rows<StepRow>,
    pub(super) slices: Rows<SliceRow>,
}

/// p95 of one release over time.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) points: String,
    pub(super) is_candidate: bool,
}

/// A height of the drawing.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) y: u64,
    pub(super) text_y: u64,
    pub(super) label: String,
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
        let limit = p95_limit(loads);
        let top = highest(loads).max(limit.unwrap_or_default()).max(1);
        let of = |load: &LoadRecord| Line {
            points: points(load, top),
            is_candidate: load.stage != StageId::Control,
        };
        let steps: Vec<_> = loads
            .iter()
            .flat_map(|load| load.steps.iter().map(move |step| (load, step)))
            .collect();
        let slices: Vec<_> = loads
            .iter()
            .flat_map(|load| load.slices.iter().map(move |slice| (load, slice)))
            .collect();
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
            width: LEFT + WIDTH + 10,
            height: TOP + HEIGHT + 20,
            bottom: TOP + HEIGHT,
            lines: loads.iter().map(of).filter(|line| !line.points.is_empty()).collect(),
            limit: limit.map(|limit| mark(limit, top, "limit")),
            ticks: [0, top / 2, top].map(|at| mark(at, top, "")).into(),
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

/// The strictest limit of what is drawn, microseconds.
fn p95_limit(loads: &[LoadRecord]) -> Option<u64> {
    let limits = loads.iter().flat_map(|load| &load.limits);
    let drawn = limits.filter(|limit| limit.key == "p95" && limit.level == Level::Fail);
    // A record may claim anything.
    drawn.map(|limit| limit.limit.clamp(0.0, 1e12) as u64).min()
}

fn highest(loads: &[LoadRecord]) -> u64 {
    let slices = loads.iter().flat_map(|load| &load.slices);
    slices
        .filter_map(|slice| slice.p95_us)
        .max()
        .unwrap_or_default()
        .min(1_000_000_000_000)
}

fn height(micros: u64, top: u64) -> u64 {
    let scaled = u128::from(micros.min(top)) * u128::from(HEIGHT) / u128::from(top.max(1));
    TOP + HEIGHT - u64::try_from(scaled).unwrap_or(HEIGHT)
}

fn mark(micros: u64, top: u64, what: &str) -> Mark {
    let y = height(micros, top);
    Mark {
        y,
        text_y: y + 4,
        label: format!("{} {what}", words::micros(Some(micros))).trim().to_owned(),
    }
}

/// One point a slice, from left to right.
fn points(load: &LoadRecord, top: u64) -> String {
    let count = load.slices.len().max(2) as u64 - 1;
    let point = |(at, slice): (usize, &LoadSliceRecord)| {
        Some(format!(
            "{},{}",
            LEFT + WIDTH * at as u64 / count,
            height(slice.p95_us?, top)
        ))
    };
    let points: Vec<String> = load.slices.iter().take(1_000).enumerate().filter_map(point).collect();
    points.join(" ")
}
