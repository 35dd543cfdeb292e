//! Production's alert rules: what each said of each failure that was made.

use super::shown::{Room, Rows, Tone};
use crate::record::alerts::Says;
use crate::record::v1::{Alert, Record};
use crate::report::{alerts, words};

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Alerts {
    pub(super) how: &'static str,
    pub(super) rows: Rows<AlertRow>,
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
