//! Production's names inside the mirror: who answers to them, and why containers believe it.

pub mod authority;
pub mod directory;
pub mod follow;
pub mod fronts;
pub mod keystore;
pub(crate) mod serve;
pub mod trust;
