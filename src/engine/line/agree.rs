//! Agreeing on a version of the API: the newest that both sides know.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::engine::line::address::Address;
use crate::engine::words::engine_words;

/// The oldest that knows all we ask for: Docker 20.10's, which Podman speaks, too.
const OLDEST: Version = (1, 41);
/// An engine that says nothing for so long is none.
const PATIENCE: Duration = Duration::from_secs(30);

type Version = (usize, usize);

/// Since this one a mount may show a part of a volume; what is older takes the whole, and says nothing.
const PARTS: Version = (1, 45);

/// Since this one the builder's own language has heredocs and named contexts: Docker 23's.
const HEREDOCS: Version = (1, 42);

/// What an engine and we have agreed on.
pub(crate) struct Agreed {
    /// Version of the API, such as `1.41`.
    pub(crate) version: String,
    /// A container that is given a name server still finds the mirror's own names: Docker hands on only what it does
    /// not know itself, Podman hands on everything.
    pub(crate) hands_on_unknown_names: bool,
    /// A part of a volume can be mounted by its name.
    pub(crate) mounts_parts: bool,
    /// What its builder reads without the help of a `# syntax=`.
    pub(crate) dialect: Dialect,
}

/// What an engine's own builder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Neither heredocs nor named contexts.
    Plain,
    /// Both: version 1.4 of the language.
    Heredocs,
}

/// Asks an engine what it speaks.
pub(crate) async fn agree(docker: &Docker, address: &Address) -> Result<Agreed> {
    let answer = tokio::time::timeout(PATIENCE, docker.version()).await;
    let answer = answer.map_err(|_| format!("nothing came back within {} s", PATIENCE.as_secs()));
    let told = answer
        .and_then(|told| told.map_err(|error| engine_words(&error)))
        .map_err(|error| {
            anyhow!(
                "no container engine answers at {address}: {error}; start Docker or Podman there, or set DOCKER_HOST to \
                 where one listens"
            )
        })?;
    let newest = told.api_version.as_deref().and_then(version);
    let newest = newest.with_context(|| format!("what answers at {address} is no container engine"))?;
    let oldest = told.min_api_version.as_deref().and_then(version).unwrap_or(OLDEST);
    let version =
        chosen(oldest, newest).with_context(|| format!("the container engine at {address} cannot be used"))?;
    let mut parts = told.components.into_iter().flatten();
    Ok(Agreed {
        mounts_parts: newest >= PARTS,
        dialect: if newest >= HEREDOCS {
            Dialect::Heredocs
        } else {
            Dialect::Plain
        },
        version,
        hands_on_unknown_names: !parts.any(|part| part.name.starts_with("Podman")),
    })
}

fn chosen(oldest: Version, newest: Version) -> Result<String> {
    let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    if newest < OLDEST {
        bail!(
            "it speaks API {} at most, and {} is needed: use Docker 20.10 or newer",
            text(newest),
            text(OLDEST)
        );
    }
    if oldest > ours {
        bail!(
            "it speaks API {} at least, and this Rehearsal {} at most: use a newer Rehearsal",
            text(oldest),
            text(ours)
        );
    }
    Ok(text(newest.min(ours)))
}

fn version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn text((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(oldest: &str, newest: &str) -> Result<String> {
        chosen(version(oldest).expect("a version"), version(newest).expect("a version"))
    }

    #[test]
    fn the_newest_that_both_know_is_spoken() {
        assert_eq!(of("1.12", "1.41").expect("Docker 20.10"), "1.41");
        assert_eq!(of("1.24", "1.51").expect("Docker 28"), "1.51");
        assert_eq!(
            of("1.44", "1.99").expect("one to come"),
            text((1, API_DEFAULT_VERSION.minor_version))
        );
    }

    #[test]
    fn an_engine_with_which_there_is_no_version_in_common_is_refused() {
        let old = of("1.12", "1.40").expect_err("too old").to_string();
        assert_eq!(
            old,
            "it speaks API 1.40 at most, and 1.41 is needed: use Docker 20.10 or newer"
        );
        let new = of("1.99", "1.120").expect_err("too new").to_string();
        assert!(
            new.contains("it speaks API 1.99 at least") && new.contains("use a newer Rehearsal"),
            "{new}"
        );
    }
}
