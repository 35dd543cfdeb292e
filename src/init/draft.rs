//! What a first configuration says, put together from the guesses.

use std::collections::BTreeSet;

use super::auth::{self, Auth, PASSWORD};
use super::hosts::Hosts;
use super::release::Release;
use super::seen::Seen;
use super::smoke::Smoke;

/// What a first configuration says.
#[derive(Debug)]
pub struct Draft {
    /// Where production's description is.
    pub found: Found,
    /// What replaces what.
    pub release: Release,
    /// Services that are given the engine's socket.
    pub engine_sockets: BTreeSet<String>,
    /// With what people sign in.
    pub auth: Option<Auth>,
    /// Under which names people reach production.
    pub hosts: Hosts,
    /// What looks at it.
    pub smoke: Smoke,
}

/// Where production's description was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Compose files, in merge order.
    pub compose: Vec<String>,
    /// What env file was named.
    pub env_file: Option<String>,
    /// Variables that nothing sets.
    pub blank: BTreeSet<String>,
    /// What `.env` there is.
    pub dotenv: Dotenv,
    /// The ref of git that has them, against which a change is rehearsed.
    pub base: Option<String>,
}

/// The `.env` that Docker Compose reads where no env file is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dotenv {
    /// None, or one that whoever checks the repository out has, too.
    #[default]
    Alike,
    /// One that git does not keep.
    OnlyHere,
}

impl Draft {
    /// The first guess, with the release as it was guessed or chosen.
    pub fn of(seen: &Seen<'_>, found: Found, release: Release) -> Self {
        let hosts = Hosts::of(seen.world);
        Self {
            auth: auth::found(seen, &release),
            engine_sockets: seen.world.engine_sockets.clone(),
            smoke: Smoke::of(seen, &release, &hosts),
            hosts,
            found,
            release,
        }
    }

    /// Every variable that whoever runs it has to set.
    pub fn variables(&self) -> Vec<String> {
        let login = self.auth.as_ref().and_then(|auth| auth.login.as_ref());
        let secret = login.map(|_| PASSWORD.to_owned());
        self.release.variables().into_iter().chain(secret).collect()
    }
}
