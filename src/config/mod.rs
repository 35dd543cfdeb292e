//! What the user wrote, as written and as validated: the YAML core, its diagnostics, and the
//! readers of each kind of file.

pub mod diagnostic;
pub mod env_file;
pub mod interpolate;
pub mod yaml;
