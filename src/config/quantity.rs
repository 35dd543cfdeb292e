//! Quantities as people write them: `1h30m`, `200/s`, `0.1%`, `+10%`, `2026-12-31`.
//!
//! Every reader here returns a message without a place, in the form "`30` has no unit: write `30s`".

use std::time::Duration;

use time::Date;
use time::macros::format_description;

/// Longest unit names first, so that `ms` is not taken for `m`.
const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// Beyond this a duration is a typing error; it also keeps every sum of deadlines in range.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

/// A duration: numbers with a unit each, as in `800ms`, `2m`, `1h30m`, `1.5s`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!("`{text}` is negative: write one like `30s`"));
    }
    if !text.is_empty() && number_length(text) == text.len() {
        return Err(format!("`{text}` has no unit: write `{text}s` or `{text}m`"));
    }
    let seconds = seconds(text)
        .ok_or_else(|| format!("`{text}` is not a duration: write one like `800ms`, `30s`, `2m` or `1h30m`"))?;
    if seconds > LONGEST {
        return Err(format!("`{text}` is longer than ten years"));
    }
    // Through whole microseconds, so that `0.1s` is exactly 100 ms.
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

fn seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(number_length(rest));
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * factor;
        rest = &after[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

fn number_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len())
}

/// A rate per second, from `200/s` or `30/m`.
pub fn rate(text: &str) -> Result<f64, String> {
    let parsed = text.split_once('/').and_then(|(number, unit)| {
        let number = finite(number)?;
        match unit {
            "s" => Some(number),
            "m" => Some(number / 60.0),
            _ => None,
        }
    });
    match parsed {
        Some(rate) if rate > 0.0 => Ok(rate),
        _ => Err(format!("`{text}` is not a rate: write one like `200/s` or `30/m`")),
    }
}

/// A share, from `0.1%`: 0.001. Between 0 and 1.
pub fn percent(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(finite);
    match share {
        Some(share) if (0.0..=100.0).contains(&share) => Ok(share / 100.0),
        _ => Err(format!("`{text}` is not a share: write one like `0.1%`")),
    }
}

/// A change against something else, from `+10%`: 0.1.
pub fn change(text: &str) -> Result<f64, String> {
    let signed = text.starts_with(['+', '-']);
    match text.strip_suffix('%').and_then(finite) {
        Some(change) if signed => Ok(change / 100.0),
        _ => Err(format!("`{text}` is not a change: write one like `+10%`")),
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A day, from `2026-12-31`.
pub fn date(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| format!("`{text}` is not a date: write one like `2026-12-31`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in [
            ("800ms", 800),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("0.1s", 100),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "30", "-5s", "5 s", "s", "5x", "1.2.3s", "99999d", "1e3s", "5S", "."] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("30"), Err("`30` has no unit: write `30s` or `30m`".to_owned()));
    }

    #[test]
    fn rates_shares_changes_and_dates_are_read() {
        assert_eq!(rate("200/s"), Ok(200.0));
        assert_eq!(rate("30/m"), Ok(0.5));
        assert_eq!(percent("0.1%"), Ok(0.001));
        assert_eq!(change("+10%"), Ok(0.1));
        assert_eq!(date("2026-12-31").map(|date| date.year()), Ok(2026));
        assert!(rate("200").is_err() && rate("0/s").is_err() && rate("inf/s").is_err());
        assert!(percent("101%").is_err() && percent("5").is_err());
        assert!(change("10%").is_err());
        assert!(date("2026-13-01").is_err() && date("31.12.2026").is_err());
    }
}
