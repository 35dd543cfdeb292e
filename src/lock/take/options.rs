//! What is asked of production, and where: the words of `rehearsal lock --from`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::lock::facts::OwnProbe;

/// Where facts are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A Docker engine, by the name of its context where it is not the usual one.
    Docker(Option<String>),
    /// A command that runs `sh` on a plain server: `ssh web-1`.
    Exec(String),
    /// The registries of production's images.
    Registry,
}

/// `[SERVICE,…=]PLACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactSource {
    /// What is read there; empty = whatever is found.
    pub services: Vec<String>,
    /// Where.
    pub kind: SourceKind,
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "docker" => Ok(Self::Docker(None)),
            None if text == "registry" => Ok(Self::Registry),
            Some(("docker", context)) if !context.is_empty() => Ok(Self::Docker(Some(context.to_owned()))),
            Some(("exec", prefix)) if !prefix.trim().is_empty() => Ok(Self::Exec(prefix.trim().to_owned())),
            _ => Err(format!(
                "`{text}` is no place: there are docker, docker:CONTEXT, exec:'ssh web-1' and registry"
            )),
        }
    }
}

impl FromStr for FactSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(kind) = text.parse() {
            return Ok(Self {
                services: Vec::new(),
                kind,
            });
        }
        let name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match text.split_once('=') {
            Some((names, place)) if names.split(',').all(name) => Ok(Self {
                services: names.split(',').map(str::to_owned).collect(),
                kind: place.parse()?,
            }),
            _ => Err(text.parse::<SourceKind>().err().unwrap_or_default()),
        }
    }
}

impl fmt::Display for FactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::Docker(None) => f.write_str("docker"),
            SourceKind::Docker(Some(context)) => write!(f, "docker context {context}"),
            // The rest of the command line may hold what no file should.
            SourceKind::Exec(prefix) => write!(f, "exec {}", prefix.split_whitespace().next().unwrap_or_default()),
            SourceKind::Registry => f.write_str("registry"),
        }?;
        if self.services.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.services.join(", "))
        }
    }
}

/// What is asked of production.
#[derive(Debug, Clone, Default)]
pub struct TakeOptions {
    /// In this order; where two know a service, the later adds to the earlier.
    pub from: Vec<FactSource>,
    /// Production's services and their images, as its files have them; empty where no configuration says.
    pub services: BTreeMap<String, String>,
    /// What the candidate replaces: the service that a plain server runs unless somebody says otherwise.
    pub baseline: Vec<String>,
    /// The authentication dependency's services, the product first.
    pub auth: Vec<String>,
    /// The Compose project, where several run on one engine.
    pub project: Option<String>,
    /// The user's own probes.
    pub probes: BTreeMap<String, OwnProbe>,
    /// The issuer whose public endpoints are read.
    pub issuer: Option<String>,
    /// A company's own authority, PEM, for the issuer.
    pub ca: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_written() {
        let place = |text: &str| text.parse::<FactSource>().map(|from| from.to_string());
        assert_eq!(place("docker").as_deref(), Ok("docker"));
        assert_eq!(place("docker:prod").as_deref(), Ok("docker context prod"));
        assert_eq!(place("exec:ssh -o Port=22 web-1").as_deref(), Ok("exec ssh"));
        assert_eq!(place("web,idp=exec:ssh web-1").as_deref(), Ok("exec ssh (web, idp)"));
        assert_eq!(place("registry").as_deref(), Ok("registry"));
        for wrong in [
            "",
            "docker:",
            "exec:",
            "exec: ",
            "podman",
            "web=",
            "=docker",
            "we b=docker",
            "web=ssh x",
        ] {
            assert!(
                place(wrong).is_err_and(|error| error.contains("is no place")),
                "{wrong}"
            );
        }
    }
}
