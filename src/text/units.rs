//! Quantities as people and records say them.

use std::fmt::Display;
use std::time::Duration;

/// Milliseconds of a duration.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as people say it: `850 ms`, `12.3 s`, `30 s`, `4 min 05 s`.
pub fn seconds(duration: Duration) -> String {
    of_millis(millis(duration))
}

/// The same, of milliseconds as records have them.
pub fn of_millis(ms: u64) -> String {
    let (minutes, seconds, tenths) = (ms / 60_000, ms % 60_000 / 1_000, ms % 1_000 / 100);
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ if minutes > 0 && seconds == 0 => format!("{minutes} min"),
        _ if minutes > 0 => format!("{minutes} min {seconds:02} s"),
        _ if tenths == 0 => format!("{seconds} s"),
        _ => format!("{seconds}.{tenths} s"),
    }
}

/// A short duration to its third digit: `850 µs`, `4.25 ms`, `312 ms`, `1.25 s`.
pub fn fine(duration: Duration) -> String {
    let micros = duration.as_micros();
    let of = |whole: f64, unit: &str| match whole {
        whole if whole < 10.0 => format!("{whole:.2} {unit}"),
        whole if whole < 100.0 => format!("{whole:.1} {unit}"),
        whole => format!("{whole:.0} {unit}"),
    };
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => of(micros as f64 / 1_000.0, "ms"),
        _ => of(micros as f64 / 1_000_000.0, "s"),
    }
}

/// Requests a second as people say them, or a dash where it is no such number: `8.2`, `410`.
pub fn rate(a_second: f64) -> String {
    match a_second {
        rate if !rate.is_finite() || !(0.0..1e9).contains(&rate) => "–".to_owned(),
        rate if rate < 10.0 && rate.fract() > 0.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// `once`, `twice`, `3 times`.
pub fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// `1 test`, `2 tests`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Bytes as people say them: `850 bytes`, `1.2 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(count) * 10;
    let mut unit = "bytes";
    for larger in UNITS {
        if tenths < 10 * 1024 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    match unit {
        "bytes" => format!("{count} bytes"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_keep_three_digits() {
        let micros = [850, 4_250, 42_500, 312_000, 1_250_000, 75_000_000];
        assert_eq!(
            micros.map(|micros| fine(Duration::from_micros(micros))),
            ["850 µs", "4.25 ms", "42.5 ms", "312 ms", "1.25 s", "75.0 s"]
        );
    }

    #[test]
    fn sizes_read_well_from_bytes_to_more_than_any_disk_has() {
        assert_eq!(
            [0, 1023, 1024, 1_300_000, 5 << 30, u64::MAX].map(bytes),
            [
                "0 bytes",
                "1023 bytes",
                "1.0 KiB",
                "1.2 MiB",
                "5.0 GiB",
                "16777215.9 TiB"
            ]
        );
    }

    #[test]
    fn durations_read_well_at_every_size() {
        assert_eq!(
            [0, 999, 1_000, 12_340, 60_000, 245_900].map(of_millis),
            ["0 ms", "999 ms", "1 s", "12.3 s", "1 min", "4 min 05 s"]
        );
    }
}
