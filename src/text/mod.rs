//! Text: what is said to people, made short and harmless; no secret leaves.

pub mod fatal;
pub mod harmless;
pub mod redact;
pub mod units;
pub mod version;
