//! Configuration: `rehearsal.yaml`, Compose files and the lock, from as written to as validated.

pub mod settings;
pub mod yaml;
