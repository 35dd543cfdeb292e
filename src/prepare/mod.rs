//! Prepare: from settings, production and lock to everything that a mirror is made from. One story for every command
//! that reads production: `run`, `up`, `plan`, `lock`, `doctor`.

pub mod wanted;
