//! The signed verdict: what a rehearsal came to, in a form on which a deploy can rely, and the reading of it. [`statement`]
//! is what is said, [`envelope`] how it is signed, [`bundle`] the file around it, [`key`] who signs, and [`mod@verify`]
//! whether a deploy goes on. A bundle is hostile until its signature holds, and what it says is held against itself even
//! then.

pub mod bundle;
pub mod envelope;
pub mod key;
pub mod refusal;
pub mod statement;
mod strict;
pub mod verify;

#[cfg(test)]
mod samples;
