//! The timeline: stages and their steps as bars and as a table, and what the probe saw.

use super::shown::{Room, Rows, Tone};
use crate::record::status::Status;
use crate::record::v1::{Probe, Record, Stage, Step};
use crate::report::words;
use crate::text::harmless;
use crate::text::units::of_millis;

/// Units of the drawing, which has no pixels of its own.
const LABELS: u64 = 230;
const BARS: u64 = 640;
const FIGURES: u64 = 90;
const ROW: u64 = 24;
const AXIS: u64 = 26;
/// Bytes of a label, so that it ends before the bars.
const LABEL: usize = 30;
/// A bar that nobody could see would be taken for nothing.
const THINNEST: u64 = 3;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) width: u64,
    pub(super) height: u64,
    /// The drawing in a sentence.
    pub(super) told: String,
    pub(super) ticks: Vec<Tick>,
    pub(super) bars: Vec<Bar>,
    pub(super) rows: Rows<Row>,
    pub(super) probes: Rows<ProbeRow>,
}

/// A mark of the axis.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) x: u64,
    pub(super) label: String,
}

/// A stage or a step, drawn.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) weight: &'static str,
    pub(super) label: String,
    pub(super) indent: u64,
    pub(super) text_y: u64,
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) figure: String,
    pub(super) figure_x: u64,
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
        let end = end.unwrap_or_default().max(1);
        let bars: Vec<Bar> = drawn.enumerate().map(|(at, item)| item.bar(at as u64, end)).collect();
        Self {
            width: LABELS + BARS + FIGURES,
            height: AXIS + ROW * bars.len() as u64 + 6,
            told: told(result, room),
            ticks: ticks(end),
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
        happened.then(|| ((*start_ms).min(u64::MAX / 4), (*duration_ms).min(u64::MAX / 4)))
    }

    fn name(&self) -> String {
        match self {
            Self::Stage(stage) => words::word(&stage.id),
            Self::Step(_, step) => step.id.clone(),
        }
    }

    fn bar(&self, at: u64, end: u64) -> Bar {
        let (start, took) = self.span().unwrap_or_default();
        let (x, width) = (scaled(start, end), scaled(took, end).max(THINNEST));
        let y = AXIS + ROW * at;
        let tone = Tone::of(self.status());
        let (weight, indent) = match self {
            Self::Stage(_) => ("bold", 0),
            Self::Step(..) => ("normal", 14),
        };
        Bar {
            class: tone.class,
            weight,
            label: format!("{} {}", tone.sign, harmless::line(&self.name(), LABEL)),
            indent,
            text_y: y + 16,
            x: LABELS + x,
            y: y + 4,
            width,
            figure: of_millis(took),
            figure_x: LABELS + x + width + 6,
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

fn scaled(ms: u64, end: u64) -> u64 {
    let scaled = u128::from(ms) * u128::from(BARS) / u128::from(end);
    u64::try_from(scaled).unwrap_or(BARS)
}

/// Three to seven marks at round times.
fn ticks(end: u64) -> Vec<Tick> {
    let rounds = (0..16).flat_map(|power| [1, 2, 5].map(|round| round * 10_u64.pow(power)));
    let Some(step) = rounds.into_iter().find(|step| end / step <= 6) else {
        return Vec::new();
    };
    let marks = (0..=end / step).map(|mark| mark * step);
    marks
        .map(|ms| Tick {
            x: LABELS + scaled(ms, end),
            label: of_millis(ms),
        })
        .collect()
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
