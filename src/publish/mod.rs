//! Where reports go. Publishing never changes the verdict: what cannot be published is a warning.

pub mod github;
