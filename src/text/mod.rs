//! Text: what is said to people, made short and harmless.

pub mod units;
