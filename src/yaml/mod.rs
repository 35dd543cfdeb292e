//! YAML as people write it: trees whose nodes know their place, diagnostics that point there, `${…}`, env files, and
//! trees written again.

pub mod diagnostic;
pub mod env_file;
pub mod file;
pub mod interpolate;
pub mod span;
pub mod tree;
pub mod write;
