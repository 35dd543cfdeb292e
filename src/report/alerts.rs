//! What production's alert rules said, in the same words in every report.

use super::words;
use crate::record::alerts::{Says, Scenario};
use crate::record::v1::{Alert, Record};
use crate::text::harmless;
use crate::text::units::of_millis;

/// The rows that say something to a reader: what must fire first, then what fires; what nobody can judge comes last.
/// Where nothing has failed, only an alarm is worth a row.
pub(super) fn told(result: &Record) -> Vec<&Alert> {
    let says_something = |alert: &&Alert| alert.scenario != Scenario::Control;
    let mut told: Vec<&Alert> = result.alerts.iter().filter(says_something).collect();
    told.sort_by_key(|alert| (!alert.must_fire, place(alert), alert.scenario.to_string()));
    told
}

fn place(alert: &Alert) -> u8 {
    match alert.says.known() {
        Some(Says::FalseAlarm) => 0,
        Some(Says::TooLate) => 1,
        Some(Says::Fires) => 2,
        Some(Says::Never) => 3,
        Some(Says::NotJudged) | None => 4,
    }
}

/// Which alert, and in which scenario.
pub(super) fn name(alert: &Alert) -> String {
    harmless::line(&alert.alert, words::LINE)
}

/// What it says: `told after 1 min at the latest, 12 s before the first failed request`.
pub(super) fn says(alert: &Alert) -> String {
    let words = match alert.says.known() {
        Some(Says::Fires) => moment(alert),
        Some(Says::TooLate) => format!("too late: {}", moment(alert)),
        Some(Says::Never) => "never".to_owned(),
        Some(Says::FalseAlarm) => format!("a false alarm: it fires {}, too", where_quiet(alert)),
        Some(Says::NotJudged) => format!(
            "not judged: {}",
            alert.reason.as_deref().unwrap_or("no reason is recorded")
        ),
        None => words::word(&alert.says),
    };
    harmless::line(&words, words::LINE)
}

/// Where nothing had failed before the scenario.
fn where_quiet(alert: &Alert) -> &'static str {
    match alert.scenario.known() {
        Some(Scenario::Ramp) => "at production's own rate",
        Some(Scenario::Control | Scenario::Upgrade | Scenario::AuthDown | Scenario::AuthSlow | Scenario::Memory)
        | None => "in control",
    }
}

fn moment(alert: &Alert) -> String {
    let latest = of_millis(alert.latest_ms.unwrap_or_default());
    let failed = alert.lead_ms.map(|lead| before(lead, "the first failed request"));
    let failed = failed.unwrap_or_else(|| "no request of a user failed".to_owned());
    let crashed = alert.crash_lead_ms.map(|lead| before(lead, "the first crash"));
    let lead = [failed].into_iter().chain(crashed).collect::<Vec<_>>().join(", ");
    let held = match alert.recorded {
        true => "",
        false => "; its condition holds only where what was recorded last is held on to",
    };
    format!("told after {latest} at the latest, {lead}{held}")
}

/// How long an alert comes before something.
fn before(lead_ms: i64, what: &str) -> String {
    let time = of_millis(lead_ms.unsigned_abs());
    match lead_ms {
        1.. => format!("{time} before {what}"),
        _ => format!("0 s before {what}: {time} after it"),
    }
}

/// The beginning of a section, where there is one: how the rows are to be read.
pub(super) const HOW: &str = "Seconds count from the failure that was made. The latest moment has the condition, a scrape, a turn of the \
                              group, its for, and the Alertmanager's group_wait in it.";

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(says: Says, latest_ms: u64, lead_ms: Option<i64>) -> Alert {
        Alert {
            scenario: Scenario::AuthDown.into(),
            alert: "Errors".to_owned(),
            group: "g".to_owned(),
            must_fire: false,
            says: says.into(),
            reason: None,
            condition_ms: Some(1000),
            latest_ms: Some(latest_ms),
            first_failure_ms: Some(2000),
            lead_ms,
            crash_ms: None,
            crash_lead_ms: None,
            recorded: true,
            real_ms: Some(30_000),
        }
    }

    #[test]
    fn a_lead_is_said_from_both_sides() {
        assert_eq!(
            says(&alert(Says::Fires, 60_000, Some(12_000))),
            "told after 1 min at the latest, 12 s before the first failed request"
        );
        assert_eq!(
            says(&alert(Says::TooLate, 62_000, Some(-60_000))),
            "too late: told after 1 min 02 s at the latest, 0 s before the first failed request: 1 min after it"
        );
        assert_eq!(
            says(&alert(Says::Fires, 60_000, None)),
            "told after 1 min at the latest, no request of a user failed"
        );
    }

    #[test]
    fn the_time_before_a_crash_is_said_beside_that_before_a_failed_request() {
        let crashed = Alert {
            scenario: Scenario::Ramp.into(),
            crash_lead_ms: Some(14_000),
            ..alert(Says::Fires, 60_000, Some(-2_000))
        };
        assert_eq!(
            says(&crashed),
            "told after 1 min at the latest, 0 s before the first failed request: 2 s after it, 14 s before the first crash"
        );
        let silent = Alert {
            lead_ms: None,
            says: Says::FalseAlarm.into(),
            ..crashed
        };
        assert_eq!(says(&silent), "a false alarm: it fires at production's own rate, too");
    }

    #[test]
    fn what_must_fire_is_told_first_and_what_nobody_can_judge_last() {
        let mut result = crate::report::samples::pass();
        let mut wanted = alert(Says::Never, 0, None);
        wanted.must_fire = true;
        let mut control = alert(Says::FalseAlarm, 0, None);
        control.scenario = Scenario::Control.into();
        result.alerts = vec![
            alert(Says::NotJudged, 0, None),
            alert(Says::Fires, 0, None),
            control,
            wanted,
        ];
        let said: Vec<Says> = told(&result).iter().filter_map(|alert| alert.says.known()).collect();
        assert_eq!(said, [Says::Never, Says::Fires, Says::NotJudged]);
    }
}
