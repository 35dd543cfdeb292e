//! The timeline: stages and their steps as bars and as a table, and what the probe saw.

use super::drawing::{BARS, Bar, FIGURES, LABELS, MOST, Mark, ROW, Scale, Span, Unit};
use super::shown::{Room, Rows, Tone};
use crate::record::status::Status;
use crate::record::v1::{Probe, Record, Stage, Step};
use crate::report::words;
use crate::text::units::of_millis;

/// Above the rows, for times.
const AXIS: u64 = 26;
/// A step is a part of its stage.
const INDENT: u64 = 14;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) width: u64,
    pub(super) height: u64,
    /// The drawing in a sentence.
    pub(super) told: String,
    pub(super) ticks: Vec<Mark>,
    pub(super) bars: Vec<Bar>,
    pub(super) rows: Rows<Row>,
    pub(super) probes: Rows<ProbeRow>,
}

/// A stage or a step, told.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) tone: Tone,
    pub(super) status: &'static str,
    pub(super) stage: String,
    pub(super) step: String,
    pub(super) begun: String,
    pub(super) took: String,
    pub(super) reason: String,
}

/// What the probe saw in a stage.
#[derive(Debug)]
pub(super) struct ProbeRow {
    pub(super) stage: String,
    pub(super) asked_for: String,
    pub(super) good: String,
    pub(super) failed: u64,
    pub(super) asked: u64,
    pub(super) downtime: String,
    pub(super) singles: u64,
    pub(super) last: String,
}

/// One of both.
enum Item<'a> {
    Stage(&'a Stage),
    Step(&'a Stage, &'a Step),
}

impl Timeline {
    pub(super) fn of(result: &Record, room: Room) -> Self {
        let items: Vec<Item> = result.stages.iter().flat_map(items).collect();
        let drawn = items
            .iter()
            .filter(|item| item.span().is_some())
            .take(room.rows.min(80));
        let end = items
            .iter()
            .filter_map(Item::span)
            .map(|(start, took)| start + took)
            .max();
        let scale = Scale::new(Unit::Millis, end.unwrap_or_default(), BARS);
        let bars: Vec<Bar> = drawn.enumerate().map(|(at, item)| item.bar(at as u64, scale)).collect();
        Self {
            width: LABELS + BARS + FIGURES,
            height: AXIS + ROW * bars.len() as u64 + 6,
            told: told(result, room),
            ticks: scale.marks(6, |across| LABELS + across),
            bars,
            rows: room.rows(&items, |item| item.row(room)),
            probes: room.rows(&result.probes, |probe| probe_row(probe, room)),
        }
    }
}

fn items(stage: &Stage) -> impl Iterator<Item = Item<'_>> {
    let steps = stage.steps.iter().map(move |step| Item::Step(stage, step));
    std::iter::once(Item::Stage(stage)).chain(steps)
}

fn told(result: &Record, room: Room) -> String {
    let stage = |stage: &Stage| match stage.status.or(Status::Error) {
        status @ (Status::Skipped | Status::NotRun) => format!("{} {}", stage.id, status.words()),
        status => format!("{} {} in {}", stage.id, status.words(), of_millis(stage.duration_ms)),
    };
    let stages: Vec<String> = result.stages.iter().map(stage).collect();
    room.line(&stages.join("; "))
}

impl Item<'_> {
    fn status(&self) -> Status {
        let (Self::Stage(Stage { status, .. }) | Self::Step(_, Step { status, .. })) = self;
        status.or(Status::Error)
    }

    /// When it began and how long it took; nothing of what did not happen.
    fn span(&self) -> Option<(u64, u64)> {
        let (Self::Stage(Stage {
            start_ms, duration_ms, ..
        })
        | Self::Step(
            _,
            Step {
                start_ms, duration_ms, ..
            },
        )) = self;
        let happened = !matches!(self.status(), Status::Skipped | Status::NotRun);
        // A record may claim anything.
        happened.then(|| ((*start_ms).min(MOST / 2), (*duration_ms).min(MOST / 2)))
    }

    fn name(&self) -> String {
        match self {
            Self::Stage(stage) => words::word(&stage.id),
            Self::Step(_, step) => step.id.clone(),
        }
    }

    fn bar(&self, at: u64, scale: Scale) -> Bar {
        let (start, took) = self.span().unwrap_or_default();
        let (weight, indent) = match self {
            Self::Stage(_) => ("bold", 0),
            Self::Step(..) => ("normal", INDENT),
        };
        let (tone, span) = (Tone::of(self.status()), Span::of(scale, start, start + took));
        Bar {
            weight,
            indent,
            ..Bar::new(AXIS + ROW * at, tone, &self.name(), Some(span), of_millis(took))
        }
    }

    fn row(&self, room: Room) -> Row {
        let (Self::Stage(stage) | Self::Step(stage, _)) = self;
        let (step, reason) = match self {
            Self::Stage(stage) => ("all of it".to_owned(), &stage.reason),
            Self::Step(_, step) => (room.line(&step.id), &step.reason),
        };
        let time = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), of_millis);
        Row {
            tone: Tone::of(self.status()),
            status: self.status().words(),
            stage: words::word(&stage.id),
            step,
            begun: time(self.span().map(|(start, _)| start)),
            took: time(self.span().map(|(_, took)| took)),
            reason: room.line(reason.as_deref().unwrap_or_default()),
        }
    }
}

fn probe_row(probe: &Probe, room: Room) -> ProbeRow {
    ProbeRow {
        stage: words::word(&probe.stage),
        asked_for: room.line(&probe.asked_for),
        good: room.line(probe.good.as_deref().unwrap_or("never answered")),
        failed: probe.failed,
        asked: probe.asked,
        downtime: of_millis(probe.downtime_ms),
        singles: probe.singles,
        last: room.line(&probe.last),
    }
}
