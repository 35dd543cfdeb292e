//! Production's alert rules: what each said of each failure that was made.

use super::drawing::{BARS, Bar, FIGURES, LABELS, MOST, Mark, ROW, Scale, Span, Unit};
use super::shown::{Room, Rows, Tone};
use crate::record::alerts::{Says, Scenario};
use crate::record::v1::{Alert, Record};
use crate::record::word::Word;
use crate::report::{alerts, words};
use crate::text::harmless;
use crate::text::units::of_millis;

/// Scenarios that are drawn; the table has all.
const SCENES: usize = 8;
/// Alerts of a scenario that are drawn, the first of the table.
const DRAWN: usize = 40;
/// Where the line of what came last begins; that of what came before begins a line below, so that no line goes through a
/// text.
const HARM: u64 = 34;
const LINE: u64 = 16;
/// Below the rows, for times and for what is recorded.
const FOOT: u64 = 38;
/// Bytes of what stands right of the bars.
const FIGURE: usize = 14;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Alerts {
    pub(super) how: &'static str,
    pub(super) scenes: Vec<Scene>,
    pub(super) rows: Rows<AlertRow>,
}

/// What happened in a scenario, drawn from its beginning: the harm, and until when on-call is told by each alert.
#[derive(Debug)]
pub(super) struct Scene {
    /// Its place among the others.
    pub(super) number: usize,
    pub(super) title: String,
    /// The drawing in a sentence.
    pub(super) told: String,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) top: u64,
    pub(super) bottom: u64,
    pub(super) right: u64,
    pub(super) columns: Vec<Mark>,
    /// Where the recorded part ends; nothing where that is not known.
    pub(super) held_from: Option<u64>,
    pub(super) harms: Vec<Harm>,
    pub(super) bars: Vec<Bar>,
    /// Alerts that are not drawn.
    pub(super) more: usize,
}

/// What on-call is to hear of first.
#[derive(Debug)]
pub(super) struct Harm {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) label: String,
}

/// One rule in one scenario.
#[derive(Debug)]
pub(super) struct AlertRow {
    pub(super) tone: Tone,
    pub(super) alert: String,
    pub(super) scenario: String,
    pub(super) wanted: &'static str,
    pub(super) says: String,
}

impl Alerts {
    pub(super) fn of(result: &Record, room: Room) -> Option<Self> {
        let told = alerts::told(result);
        (!told.is_empty()).then(|| Self {
            how: alerts::HOW,
            scenes: scenes(&told, room),
            rows: room.rows(&told, |alert| row(alert, room)),
        })
    }
}

fn row(alert: &Alert, room: Room) -> AlertRow {
    AlertRow {
        tone: tone(alert),
        alert: room.line(&alerts::name(alert)),
        scenario: words::word(&alert.scenario),
        wanted: if alert.must_fire { "must fire" } else { "" },
        says: room.line(&alerts::says(alert)),
    }
}

fn tone(alert: &Alert) -> Tone {
    match (alert.says.known(), alert.must_fire) {
        (Some(Says::Fires), _) => Tone::PLAIN,
        (Some(Says::TooLate), true) => Tone::RED,
        (Some(Says::Never), true) if alert.first_failure_ms.or(alert.crash_ms).is_some() => Tone::RED,
        (Some(Says::FalseAlarm), _) | (Some(Says::NotJudged) | None, true) => Tone::AMBER,
        (Some(Says::TooLate | Says::Never | Says::NotJudged) | None, _) => Tone::GREY,
    }
}

/// In the order in which they are made.
fn scenes(told: &[&Alert], room: Room) -> Vec<Scene> {
    let mut scenarios: Vec<&Word<Scenario>> = Vec::new();
    for alert in told {
        if !scenarios.contains(&&alert.scenario) {
            scenarios.push(&alert.scenario);
        }
    }
    scenarios.sort_by_key(|scenario| (scenario.known().is_none(), scenario.known()));
    let scene = |(number, scenario): (usize, &Word<Scenario>)| {
        let own: Vec<&Alert> = told
            .iter()
            .copied()
            .filter(|alert| alert.scenario == *scenario)
            .collect();
        Scene::of(number, words::word(scenario), &own, room)
    };
    scenarios.into_iter().take(SCENES).enumerate().map(scene).collect()
}

impl Scene {
    fn of(number: usize, scenario: String, alerts: &[&Alert], room: Room) -> Self {
        let drawn = &alerts[..alerts.len().min(room.rows).min(DRAWN)];
        let times = Times::of(alerts);
        let scale = Scale::new(Unit::Millis, times.end(drawn), BARS);
        let harms = times.harms(scale);
        let top = HARM + LINE * harms.len() as u64 - 8;
        let bars: Vec<Bar> = drawn
            .iter()
            .enumerate()
            .map(|(at, alert)| bar(top + ROW * at as u64, alert, scale))
            .collect();
        let bottom = top + ROW * bars.len() as u64 + 4;
        Self {
            number,
            told: room.line(&times.told(drawn)),
            title: room.line(&format!("{scenario}: when on-call is told")),
            width: LABELS + BARS + FIGURES,
            height: bottom + FOOT,
            top,
            bottom,
            right: LABELS + BARS,
            columns: scale.marks(6, |across| LABELS + across),
            held_from: times.real.map(|real| LABELS + scale.at(real)),
            harms,
            bars,
            more: alerts.len() - drawn.len(),
        }
    }
}

impl Scene {
    /// Whether something lies beyond what was recorded.
    pub(super) fn is_held(&self) -> bool {
        self.held_from.is_some_and(|from| from < self.right)
    }
}

/// What is known of a scenario beside its alerts, milliseconds from its beginning.
#[derive(Debug, Clone, Copy)]
struct Times {
    failure: Option<u64>,
    crash: Option<u64>,
    real: Option<u64>,
}

impl Times {
    /// Each alert of a scenario says the same of it.
    fn of(alerts: &[&Alert]) -> Self {
        let first = |time: fn(&Alert) -> Option<u64>| alerts.iter().filter_map(|alert| time(alert)).min();
        Self {
            failure: first(|alert| alert.first_failure_ms),
            crash: first(|alert| alert.crash_ms),
            real: first(|alert| alert.real_ms),
        }
    }

    /// Where the drawing ends.
    fn end(self, drawn: &[&Alert]) -> u64 {
        let alerts = drawn
            .iter()
            .filter_map(|alert| told_within(alert))
            .map(|(_, latest)| latest);
        let others = [self.failure, self.crash, self.real].into_iter().flatten();
        // A record may claim anything.
        alerts.chain(others).max().unwrap_or_default().min(MOST)
    }

    fn harms(self, scale: Scale) -> Vec<Harm> {
        let failure = self.failure.map(|ms| (ms, "first failed request"));
        let crash = self.crash.map(|ms| (ms, "first crash"));
        let mut harms: Vec<_> = failure.into_iter().chain(crash).collect();
        harms.sort_by_key(|(ms, _)| std::cmp::Reverse(*ms));
        let harm = |(row, (ms, what)): (usize, (u64, &str))| Harm {
            x: LABELS + scale.at(ms),
            y: HARM + LINE * row as u64,
            label: format!("{what}, {}", of_millis(ms)),
        };
        harms.into_iter().enumerate().map(harm).collect()
    }

    fn told(self, drawn: &[&Alert]) -> String {
        let at = |what: &str, time: Option<u64>| match time {
            Some(ms) => format!("{what} after {}", of_millis(ms)),
            None => format!("no {what}"),
        };
        let real = match self.real {
            Some(ms) => format!("{} are recorded, what follows is held as it was last", of_millis(ms)),
            None => "how much was recorded is not known".to_owned(),
        };
        let alert = |alert: &&Alert| match told_within(alert) {
            Some((_, latest)) => format!("{} after {}", alerts::name(alert), of_millis(latest)),
            None => format!("{} {}", alerts::name(alert), figure(alert)),
        };
        let harm = [
            at("first failed request", self.failure),
            at("first crash", self.crash),
            real,
        ];
        let all: Vec<String> = harm.into_iter().chain(drawn.iter().map(alert)).collect();
        all.join("; ")
    }
}

/// From when its condition holds until on-call is told at the latest.
fn told_within(alert: &Alert) -> Option<(u64, u64)> {
    let does_fire = matches!(alert.says.known(), Some(Says::Fires | Says::TooLate));
    alert.condition_ms.zip(alert.latest_ms).filter(|_| does_fire)
}

fn bar(y: u64, alert: &Alert, scale: Scale) -> Bar {
    let span = told_within(alert).map(|(condition, latest)| Span::of(scale, condition, latest));
    Bar {
        weight: if alert.must_fire { "bold" } else { "normal" },
        // Beside all bars: no line goes through it there.
        figure_x: LABELS + BARS + 8,
        ..Bar::new(y, tone(alert), &alerts::name(alert), span, figure(alert))
    }
}

fn figure(alert: &Alert) -> String {
    match (alert.says.known(), told_within(alert)) {
        (_, Some((_, latest))) => of_millis(latest),
        (Some(Says::Fires | Says::TooLate), None) => "not known".to_owned(),
        (Some(Says::Never), None) => "never".to_owned(),
        (Some(Says::FalseAlarm), None) => "false alarm".to_owned(),
        (Some(Says::NotJudged), None) => "not judged".to_owned(),
        (None, None) => harmless::line(&words::word(&alert.says), FIGURE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn drawn(result: &Record) -> Vec<Scene> {
        Alerts::of(result, Room::ALL[0]).expect("there are alerts").scenes
    }

    fn of(scene: &Scene) -> Vec<(Option<Span>, &str)> {
        scene.bars.iter().map(|bar| (bar.span, bar.figure.as_str())).collect()
    }

    #[test]
    fn each_scenario_has_a_drawing_with_its_harm_and_what_is_held_apart() {
        let scenes = drawn(&samples::under_load());
        let titles: Vec<&str> = scenes.iter().map(|scene| scene.title.as_str()).collect();
        assert_eq!(
            titles,
            ["auth-down: when on-call is told", "ramp: when on-call is told"]
        );
        let ramp = &scenes[1];
        // 160 s in all, of which 80 s were recorded.
        assert_eq!(ramp.held_from, Some(LABELS + BARS / 2));
        let harms: Vec<_> = ramp
            .harms
            .iter()
            .map(|harm| (harm.x, harm.y, harm.label.as_str()))
            .collect();
        assert_eq!(
            harms,
            [
                (LABELS + 280, HARM, "first crash, 1 min 10 s"),
                (LABELS + 240, HARM + LINE, "first failed request, 1 min")
            ]
        );
        let span = |x, width| Some(Span { x: LABELS + x, width });
        assert_eq!(of(ramp)[..2], [(span(360, 280), "2 min 40 s"), (span(80, 120), "50 s")]);
        assert_eq!(ramp.bars[0].class, "red");
        let down: Vec<&str> = scenes[0].bars.iter().map(|bar| bar.figure.as_str()).collect();
        assert_eq!(down, ["20 s", "false alarm", "never", "not judged"]);
    }

    #[test]
    fn a_record_of_an_older_version_says_that_it_does_not_know_what_was_recorded() {
        let mut result = samples::under_load();
        result.alerts.iter_mut().for_each(|alert| alert.real_ms = None);
        for scene in drawn(&result) {
            assert_eq!(scene.held_from, None);
            assert!(
                scene.told.contains("how much was recorded is not known"),
                "{}",
                scene.told
            );
        }
    }

    #[test]
    fn alerts_without_end_and_times_that_cannot_be_are_drawn_within_bounds() {
        let mut result = samples::under_load();
        let mut one = result.alerts[0].clone();
        (one.condition_ms, one.latest_ms, one.real_ms) = (Some(u64::MAX), Some(1), Some(u64::MAX));
        (one.first_failure_ms, one.crash_ms) = (Some(u64::MAX), Some(0));
        result.alerts = vec![one.clone(); 10_000];
        let strange = (0..100).map(|number| Alert {
            scenario: Word::Unknown(format!("scenario {number}")),
            ..one.clone()
        });
        result.alerts.extend(strange);
        let scenes = drawn(&result);
        assert_eq!(
            (scenes.len(), scenes[0].bars.len(), scenes[0].more),
            (SCENES, DRAWN, 10_000 - DRAWN)
        );
        for scene in &scenes {
            let ends = scene
                .bars
                .iter()
                .filter_map(|bar| bar.span)
                .map(|span| span.x + span.width);
            let lines = scene.harms.iter().map(|harm| harm.x).chain(scene.held_from);
            assert!(
                ends.chain(lines).all(|x| (LABELS..scene.width).contains(&x)),
                "{scene:?}"
            );
        }
    }
}
