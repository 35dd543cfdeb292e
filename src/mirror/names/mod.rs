//! Production's names inside the mirror: who answers to them, and why containers believe it.

pub mod authority;
pub mod calls;
pub mod directory;
pub mod faults;
pub mod follow;
pub mod fronts;
mod hearing;
pub mod issuer;
pub mod keystore;
mod listening;
pub mod relays;
pub(crate) mod serve;
pub mod several;
pub mod trust;
