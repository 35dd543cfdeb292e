//! Configuration: `rehearsal.yaml`, Compose files and the lock, from as written to as validated.

pub mod alerts;
pub mod directory;
pub mod dump;
pub mod grammar;
pub mod quantity;
pub mod read;
pub mod schema;
pub mod settings;
