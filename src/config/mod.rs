//! Configuration: `rehearsal.yaml`, Compose files and the lock, from as written to as validated.

pub mod compose;
pub mod diagnostic;
pub mod env_file;
pub mod grammar;
pub mod interpolate;
pub mod quantity;
pub mod read;
pub mod schema;
pub mod settings;
pub mod write;
pub mod yaml;
