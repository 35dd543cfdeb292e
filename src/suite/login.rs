//! The sign-in.
