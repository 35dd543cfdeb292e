//! The laws of a rehearsal, each tried on a scripted mirror in milliseconds: a [`scripted::Story`] says how production, the
//! candidate and the machine behave, and what was found and the verdict are held against what must come out.

mod capacity;
mod directory;
mod drills;
mod faults;
mod lives;
mod probe;
mod product;
mod rotate;
mod rotation;
mod scripted;
mod sessions;
mod shards;
mod slowdown;
mod tokens;
mod verdicts;
