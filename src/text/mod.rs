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
