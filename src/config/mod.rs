//! Configuration: `rehearsal.yaml`, Compose files and the lock, from as written to as validated.

pub mod compose;
pub mod diagnostic;
pub mod env_file;
pub mod interpolate;
pub mod settings;
pub mod yaml;
