//! The mirror's border: the hosts outside that are open by name, the way in, and who tried to get out.

pub mod attempts;
pub mod door;
mod egress;
pub mod entrance;
pub(crate) mod outside;
