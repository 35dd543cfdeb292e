//! The rehearsal: runs the plan on the mirror. Events are its only output.

pub mod event;
