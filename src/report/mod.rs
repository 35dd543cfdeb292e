//! Reports: data in, bytes out. They know the record and nothing of the mirror, so each can be remade.

pub mod github;
pub mod json;
pub mod junit;
pub mod summary;
pub mod terminal;
pub mod words;

/// Records to try the reports with.
#[cfg(test)]
#[path = "../../tests/samples/mod.rs"]
pub(crate) mod samples;
