//! A change for the worse, as configurations and reports say it: `+10%`.

use std::fmt;

use serde::Serialize;

/// By how much worse, as a share: `+10%` is 0.1. More than nothing, and finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
pub struct Change(f64);

impl Change {
    /// Less than a histogram's digits show: never known well enough.
    pub const LEAST: Self = Self(0.001);

    /// Of a share; `None` where that is no change for the worse.
    pub fn of(share: f64) -> Option<Self> {
        (share.is_finite() && share > 0.0).then_some(Self(share))
    }

    /// Of a logarithm of a ratio; `None` as before.
    pub fn of_log(log: f64) -> Option<Self> {
        Self::of(log.exp_m1())
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.0
    }

    /// The logarithm of the ratio that it is: ratios multiply, their logarithms add.
    pub fn log(self) -> f64 {
        self.0.ln_1p()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_percent(self.0))
    }
}

/// A logarithm of a ratio as people say it: `+9.8 %`.
pub fn of_log_in_percent(log: f64) -> String {
    in_percent(log.exp_m1())
}

fn in_percent(share: f64) -> String {
    // What rounds to nothing has no sign.
    let percent = (share * 1_000.0).round() / 10.0;
    match percent == 0.0 {
        true => "0 %".to_owned(),
        false => format!("{percent:+} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_nothing_and_finite_is_a_change_for_the_worse() {
        let refused = [0.0, -0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(refused.map(Change::of), [None; 5]);
        assert_eq!(Change::of_log(-0.1), None);
        assert_eq!(Change::of(0.1).map(Change::share), Some(0.1));
    }

    #[test]
    fn a_change_reads_as_people_say_it() {
        let said = [0.1, -0.0004, 0.0004, 1.5, -0.0987].map(in_percent);
        assert_eq!(said, ["+10 %", "0 %", "0 %", "+150 %", "-9.9 %"]);
        assert_eq!(of_log_in_percent(0.1_f64.ln_1p()), "+10 %");
        assert_eq!(
            Change::of(0.05).map(|change| change.to_string()).as_deref(),
            Some("+5 %")
        );
    }
}
