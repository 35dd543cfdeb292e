//! An image that is to be built, and why it was not.

use anyhow::anyhow;

use crate::world::model::{Build, Service};

/// An image that is to be built.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub service: &'a Service,
    pub build: &'a Build,
}

impl<'a> Wanted<'a> {
    /// The name that it gets.
    pub fn tag(self) -> &'a str {
        &self.service.image
    }

    /// `None` = the engine's own.
    pub fn platform(self) -> Option<&'a str> {
        let own = self.service.limits.platform.as_deref();
        own.or(self.build.platform.as_deref())
    }

    pub fn refused(self, why: &str) -> anyhow::Error {
        anyhow!("image `{}` is not on the engine and cannot be built: {why}", self.tag())
    }
}

/// A command of a recipe ended otherwise than well, and not for want of a network or of room.
#[derive(Debug, thiserror::Error)]
#[error("image `{image}` could not be built: {words}\n{}", .log.join("\n"))]
pub struct CommandFailed {
    /// The service whose recipe it is.
    pub service: String,
    /// The name that the image was to have.
    pub image: String,
    /// The builder's words.
    pub words: String,
    /// The step, and the last lines that it printed.
    pub log: Vec<String>,
}

pub(super) fn build_failure(tag: &str, tail: &[String], last: &str) -> anyhow::Error {
    anyhow!("image `{tag}` could not be built: {last}\n{}", tail.join("\n"))
}
