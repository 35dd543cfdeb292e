//! What the drawings of the report share: scales with marks at round figures, lines over time, and rows with bars. Every
//! drawing has its figures in words and tables beside it, too.

use std::collections::BTreeMap;

use super::shown::Tone;
use crate::report::words;
use crate::text::harmless;
use crate::text::units::{bytes, of_millis};

/// Units of a drawing with rows, which has no pixels of its own.
pub(super) const LABELS: u64 = 230;
pub(super) const BARS: u64 = 640;
pub(super) const FIGURES: u64 = 90;
pub(super) const ROW: u64 = 24;
/// Bytes of a row's label, so that it ends before the bars.
pub(super) const LABEL: usize = 30;
/// A bar that nobody could see would be taken for nothing.
const THINNEST: u64 = 3;
/// A record may claim anything.
pub(super) const MOST: u64 = u64::MAX / 4;

/// Left of a chart, for figures.
const LEFT: u64 = 80;
/// Right of it, for the half of the last figure.
const RIGHT: u64 = 34;
/// Above it, for its title and what its lines are.
const TOP: u64 = 46;
/// Below it, for times.
const BELOW: u64 = 20;
/// Lines of a chart: of both releases, and of some more where shards had some.
const LINES: usize = 4;

/// What is drawn, as a whole number of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds of a run.
    Millis,
    /// Microseconds of an answer.
    Micros,
    /// Millionths of all.
    Share,
    /// Thousandths of a processor.
    Processors,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// As people say it.
    pub(super) fn label(self, value: u64) -> String {
        match self {
            Self::Millis => of_millis(value),
            Self::Micros => words::micros(Some(value)),
            Self::Share => format!("{} %", (value / 100) as f64 / 100.0),
            Self::Processors => format!("{}", value as f64 / 1_000.0),
            Self::Bytes => bytes(value).replace(".0 ", " "),
        }
    }

    /// Figures at which people expect marks, rising.
    fn rounds(self) -> Vec<u64> {
        const DECIMAL: [u64; 3] = [1, 2, 5];
        const SECOND: u64 = 1_000;
        const MINUTE: u64 = 60 * SECOND;
        let decimal = |powers| (0..powers).flat_map(|power| DECIMAL.map(|round| round * 10_u64.pow(power)));
        let tens = [1, 2, 5, 10, 20, 30];
        match self {
            Self::Millis => {
                let of = |unit: u64| tens.map(|round| round * unit);
                let hours = decimal(9).map(|round| round * 60 * MINUTE);
                decimal(3).chain(of(SECOND)).chain(of(MINUTE)).chain(hours).collect()
            }
            Self::Bytes => {
                let of = |power| decimal(3).map(move |round| round << (10 * power));
                (0..5).flat_map(of).collect()
            }
            Self::Micros | Self::Share | Self::Processors => decimal(16).collect(),
        }
    }

    /// A drawing goes as far at least: less is nothing to look at.
    fn least(self) -> u64 {
        match self {
            Self::Millis => 1,
            Self::Micros => 1_000,
            Self::Share => 10_000,
            Self::Processors => 100,
            Self::Bytes => 1 << 20,
        }
    }

    /// The first round figure that goes into all of it so often at most.
    fn step(self, all: u64, most: u64) -> Option<u64> {
        self.rounds().into_iter().find(|step| all / step <= most)
    }

    /// Where a drawing ends that holds this: at a round figure, where there is one so large.
    fn top(self, highest: u64) -> u64 {
        let highest = highest.clamp(self.least(), MOST);
        self.step(highest, 4)
            .map_or(highest, |step| highest.div_ceil(step) * step)
    }
}

/// Figures from nothing to an end, on so many pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    unit: Unit,
    end: u64,
    pixels: u64,
}

impl Scale {
    pub(super) fn new(unit: Unit, end: u64, pixels: u64) -> Self {
        let end = end.clamp(1, MOST);
        Self { unit, end, pixels }
    }

    /// How far from its begin; what lies beyond its end is at the end.
    pub(super) fn at(self, value: u64) -> u64 {
        let scaled = u128::from(value.min(self.end)) * u128::from(self.pixels) / u128::from(self.end);
        u64::try_from(scaled).unwrap_or(self.pixels)
    }

    /// Marks at round figures, the first at nothing, and so many more at most; `place` says where in the drawing.
    pub(super) fn marks(self, most: u64, place: impl Fn(u64) -> u64) -> Vec<Mark> {
        let Some(step) = self.unit.step(self.end, most) else {
            return Vec::new();
        };
        let figures = (0..=self.end / step).map(|mark| mark * step);
        let mark = |figure| Mark {
            at: place(self.at(figure)),
            label: match figure {
                0 => "0".to_owned(),
                figure => self.unit.label(figure),
            },
        };
        figures.map(mark).collect()
    }
}

/// A place on an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) label: String,
}

/// Of which release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Baseline,
    Candidate,
}

impl Whose {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        }
    }

    /// For templates, which compare no enums.
    pub(super) fn is_candidate(&self) -> bool {
        *self == Self::Candidate
    }
}

/// Figures of one release over time: milliseconds, and nothing where it is not known.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) whose: Whose,
    pub(super) points: Vec<(u64, Option<u64>)>,
}

impl Course {
    fn highest(&self) -> Option<u64> {
        self.points.iter().filter_map(|(_, value)| *value).max()
    }
}

/// How large a chart is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// By itself.
    Whole,
    /// Beside another.
    Half,
}

impl Size {
    fn pixels(self) -> (u64, u64) {
        match self {
            Self::Whole => (640, 200),
            Self::Half => (360, 110),
        }
    }

    /// Times along it.
    fn columns(self) -> u64 {
        match self {
            Self::Whole => 6,
            Self::Half => 4,
        }
    }
}

/// What is to be drawn as a chart.
#[derive(Debug)]
pub(super) struct Plot {
    /// Of the element, one of a kind.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) size: Size,
    pub(super) unit: Unit,
    /// Where the time ends, milliseconds.
    pub(super) end_ms: u64,
    pub(super) limit: Option<u64>,
    pub(super) courses: Vec<Course>,
}

/// Lines over time.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    /// The drawing in a sentence.
    pub(super) told: String,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) left: u64,
    pub(super) right: u64,
    pub(super) top: u64,
    pub(super) bottom: u64,
    pub(super) columns: Vec<Mark>,
    pub(super) rows: Vec<Mark>,
    pub(super) limit: Option<Mark>,
    pub(super) lines: Vec<Line>,
}

/// One release's line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) whose: Whose,
}

impl Plot {
    /// Nothing where nothing is known.
    pub(super) fn drawn(self) -> Option<Chart> {
        let known: Vec<&Course> = self
            .courses
            .iter()
            .filter(|course| course.highest().is_some())
            .collect();
        let highest = known.iter().filter_map(|course| course.highest()).max()?;
        let (width, height) = self.size.pixels();
        let top = self.unit.top(highest.max(self.limit.unwrap_or_default()));
        let (across, up) = (
            Scale::new(Unit::Millis, self.end_ms, width),
            Scale::new(self.unit, top, height),
        );
        let from_top = |up| TOP + height - up;
        let line = |course: &&Course| Line {
            path: path(
                &course.points,
                |ms| LEFT + across.at(ms),
                |value| from_top(up.at(value)),
            ),
            whose: course.whose,
        };
        let mut lines: Vec<Line> = known.iter().take(LINES).map(line).collect();
        // The thin one over the broad one, so that both are seen where they are the same.
        lines.sort_by_key(|line| !line.whose.is_candidate());
        Some(Chart {
            told: self.told(&known),
            width: LEFT + width + RIGHT,
            height: TOP + height + BELOW,
            left: LEFT,
            right: LEFT + width,
            top: TOP,
            bottom: TOP + height,
            columns: across.marks(self.size.columns(), |across| LEFT + across),
            rows: up.marks(5, from_top),
            limit: self.limit.map(|limit| Mark {
                at: from_top(up.at(limit)),
                label: format!("limit {}", self.unit.label(limit)),
            }),
            lines,
            id: self.id,
            title: self.title,
        })
    }

    fn told(&self, known: &[&Course]) -> String {
        let highest = |course: &&Course| {
            let most = self.unit.label(course.highest().unwrap_or_default());
            format!("{}: {most} at most", course.whose.word())
        };
        let most: Vec<String> = known.iter().take(LINES).map(highest).collect();
        let limit = self
            .limit
            .map(|limit| format!("; the limit is {}", self.unit.label(limit)));
        format!("{}{}", most.join("; "), limit.unwrap_or_default())
    }
}

/// Of moments that share a pixel the worst is drawn, so that no record makes more points than there are pixels; where
/// nothing is known the line has a gap.
fn path(points: &[(u64, Option<u64>)], x: impl Fn(u64) -> u64, y: impl Fn(u64) -> u64) -> String {
    let mut worst: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    for (ms, value) in points {
        let here = worst.entry(x(*ms)).or_default();
        *here = (*here).max(*value);
    }
    let mut path = String::new();
    let mut is_down = false;
    for (x, value) in worst {
        match value {
            Some(value) if is_down => path += &format!("L{x},{}", y(value)),
            // A point without neighbours is a dot.
            Some(value) => path += &format!("M{x},{}h0", y(value)),
            None => {}
        }
        is_down = value.is_some();
    }
    path
}

/// A part of the bars' width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) x: u64,
    pub(super) width: u64,
}

impl Span {
    /// From one figure to another, at least as wide as can be seen.
    pub(super) fn of(scale: Scale, from: u64, to: u64) -> Self {
        let (from, to) = (scale.at(from), scale.at(to));
        Self {
            x: LABELS + from,
            width: to.saturating_sub(from).max(THINNEST),
        }
    }
}

/// A row with a name, a bar where there is something to draw, and a figure.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) weight: &'static str,
    pub(super) label: String,
    pub(super) indent: u64,
    pub(super) text_y: u64,
    pub(super) y: u64,
    pub(super) span: Option<Span>,
    pub(super) figure: String,
    pub(super) figure_x: u64,
}

impl Bar {
    /// In the row that begins there, its figure right of its bar.
    pub(super) fn new(y: u64, tone: Tone, name: &str, span: Option<Span>, figure: String) -> Self {
        let end = span.map_or(LABELS, |span| span.x + span.width);
        Self {
            class: tone.class,
            weight: "normal",
            label: format!("{} {}", tone.sign, harmless::line(name, LABEL)),
            indent: 0,
            text_y: y + 16,
            y: y + 4,
            span,
            figure,
            figure_x: end + 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(marks: &[Mark]) -> Vec<&str> {
        marks.iter().map(|mark| mark.label.as_str()).collect()
    }

    #[test]
    fn marks_stand_at_figures_that_people_count_in() {
        let of = |unit, end| Scale::new(unit, end, 600).marks(6, |at| at);
        assert_eq!(labels(&of(Unit::Millis, 70_000)), ["0", "20 s", "40 s", "1 min"]);
        assert_eq!(
            labels(&of(Unit::Millis, 5 * 60_000)),
            ["0", "1 min", "2 min", "3 min", "4 min", "5 min"]
        );
        let mib = of(Unit::Bytes, 500 << 20);
        assert_eq!(
            labels(&mib)[1..],
            ["100 MiB", "200 MiB", "300 MiB", "400 MiB", "500 MiB"]
        );
        assert_eq!(
            labels(&of(Unit::Share, 10_000)),
            ["0", "0.2 %", "0.4 %", "0.6 %", "0.8 %", "1 %"]
        );
        assert_eq!(labels(&of(Unit::Processors, 1_500)), ["0", "0.5", "1", "1.5"]);
        let places: Vec<u64> = of(Unit::Processors, 1_500).iter().map(|mark| mark.at).collect();
        assert_eq!(places, [0, 200, 400, 600]);
    }

    #[test]
    fn a_scale_ends_at_a_round_figure_and_its_last_mark_stands_there() {
        for unit in [Unit::Micros, Unit::Share, Unit::Processors, Unit::Bytes] {
            for highest in (0..4_000).map(|number: u64| number.pow(3)) {
                let top = unit.top(highest);
                assert!(
                    top >= highest && top <= highest.max(unit.least()) * 2,
                    "{unit:?} {highest} {top}"
                );
                let marks = Scale::new(unit, top, 200).marks(5, |at| at);
                assert_eq!(marks.last().map(|mark| mark.at), Some(200), "{unit:?} {highest} {top}");
                assert!(
                    (3..=6).contains(&marks.len()),
                    "{unit:?} {highest} {top} {}",
                    marks.len()
                );
            }
        }
    }

    #[test]
    fn what_a_record_may_claim_stays_in_the_drawing() {
        for unit in [Unit::Millis, Unit::Micros, Unit::Share, Unit::Processors, Unit::Bytes] {
            for end in [0, 1, MOST, u64::MAX] {
                let scale = Scale::new(unit, unit.top(end), 640);
                assert_eq!((scale.at(0), scale.at(u64::MAX)), (0, 640));
                assert!(scale.marks(6, |at| at).len() <= 7);
            }
        }
    }

    fn course(points: &[(u64, Option<u64>)]) -> Course {
        Course {
            whose: Whose::Candidate,
            points: points.into(),
        }
    }

    fn plot(courses: Vec<Course>) -> Plot {
        Plot {
            id: "x".to_owned(),
            title: "x".to_owned(),
            size: Size::Whole,
            unit: Unit::Micros,
            end_ms: 4_000,
            limit: None,
            courses,
        }
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_is_known_and_a_dot_where_nothing_else_is() {
        let points = [
            (0, Some(0)),
            (1_000, Some(1_000)),
            (2_000, None),
            (3_000, Some(500)),
            (4_000, None),
        ];
        let chart = plot(vec![course(&points)]).drawn().expect("something is known");
        assert_eq!(chart.lines[0].path, "M80,246h0L240,46M560,146h0");
        assert_eq!(chart.told, "candidate: 1.00 ms at most");
        assert!(plot(vec![course(&[(0, None)])]).drawn().is_none());
        assert!(plot(Vec::new()).drawn().is_none());
    }

    #[test]
    fn no_record_makes_more_points_than_there_are_pixels_and_the_worst_of_each_is_drawn() {
        let points: Vec<_> = (0..100_000)
            .map(|number| (number / 20, Some(if number == 50_001 { 9_000 } else { 1 })))
            .collect();
        let mut courses = vec![course(&points); 50];
        courses[0].points.push((u64::MAX, Some(u64::MAX)));
        let chart = plot(courses).drawn().expect("something is known");
        assert_eq!(chart.lines.len(), LINES);
        assert!(
            chart.lines.iter().all(|line| line.path.len() < 641 * 9),
            "{}",
            chart.lines[0].path.len()
        );
        let chart = plot(vec![course(&points)]).drawn().expect("something is known");
        assert!(
            chart.lines[0].path.contains(",66L"),
            "the one of 9 ms: {}",
            chart.lines[0].path
        );
    }

    #[test]
    fn a_limit_beyond_every_figure_is_in_the_drawing() {
        let limited = Plot {
            limit: Some(4_000),
            ..plot(vec![course(&[(0, Some(1_000))])])
        };
        let chart = limited.drawn().expect("something is known");
        let limit = chart.limit.expect("it is drawn");
        assert_eq!((limit.at, limit.label.as_str()), (TOP, "limit 4.00 ms"));
        assert_eq!(chart.told, "candidate: 1.00 ms at most; the limit is 4.00 ms");
    }
}
