//! A service as a container: what it is made from, with its files, its volumes and its commands beside the main one.

pub mod container;
mod files;
mod hooks;
mod make;
pub(super) mod volumes;
