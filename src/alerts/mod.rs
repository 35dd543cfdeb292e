//! Alerts: production's own Prometheus rules, asked of what a mirror has shown.
//!
//! A recording ([`series`]) is what production's Prometheus would have scraped: what services export ([`exposition`]).
//! Which names, windows and thresholds a rule has is read off its expression ([`expression`]); whether it fires, and when,
//! says the real promtool ([`promtool`]) of an input that is composed here ([`composed`]). [`judged`] brings both together, and
//! [`suggest`] looks for a better threshold.

pub mod composed;
pub mod exporters;
pub mod exposition;
pub mod expression;
pub mod judged;
pub mod promtool;
pub mod rules;
pub mod series;
pub mod suggest;
