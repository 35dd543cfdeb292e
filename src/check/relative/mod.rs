//! Relative thresholds: `p95_vs_baseline: +10%` names a slow-down that must be caught. Both releases are asked in turn, in
//! pairs of slices, and what is judged is by how much the candidate was worse in each pair: what the machine does meanwhile
//! happens to both. The answer is pass, suspect or *could not tell*; only what is suspect twice, the second time on
//! restarted containers, is a failure.
//!
//! Everything here is a pure function of what was measured. Who measures asks [`looks`] whether to go on, and the reason to
//! stop is how well the difference is known, never what it is: a run that may stop as soon as it likes the result finds
//! what it likes.

pub mod answer;
pub mod change;
pub mod estimate;
pub mod failures;
pub mod looks;
pub mod measurement;
pub mod rates;
pub mod several;
pub mod turns;
pub mod twice;
pub mod validity;

#[cfg(test)]
mod simulated;
