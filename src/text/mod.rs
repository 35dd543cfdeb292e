//! Text: what is said to people, made short and harmless; no secret leaves.

mod anchors;
pub mod capacity;
pub mod fatal;
pub mod harmless;
pub mod random;
pub mod redact;
mod tokens;
pub mod units;
mod values;
pub mod version;

use regex::Regex;

/// A pattern that stands in the source.
///
/// # Panics
/// It is none: a bug of ours that whoever calls this shows at once.
#[expect(
    clippy::expect_used,
    reason = "without its pattern a reader would find nothing, and nobody would know"
)]
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of ours")
}
