//! A pull that failed: what kind of failure it was, told from the engine's words, whose doing it is, and the way out.

use std::sync::LazyLock;

use regex::Regex;

use crate::engine::pull::reference::Reference;
use crate::text::pattern;

/// What kind of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Credentials are missing, wrong, or not allowed to.
    Refused,
    /// The registry has no such image, tag or digest.
    NotFound,
    /// Too many pulls; for how long, where the registry says it.
    TooMany(Option<String>),
    /// The registry has no image for this platform.
    Platform,
    /// The registry's certificate is not trusted by the engine.
    Certificate,
    /// No such host, no route, no answer, an answer that broke off.
    Unreachable,
    /// The registry answered that it is broken.
    Broken,
    /// The engine has no room.
    DiskFull,
    /// `pull_policy: never`, and the engine has it not.
    Never,
    /// The program that keeps the credentials did not give them.
    Helper,
    /// Something else.
    Other,
}

/// An image that could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", self.title(), self.words)]
pub struct PullFailure {
    /// Reference.
    pub image: String,
    /// Services and suites that need it.
    pub wanted_by: Vec<String>,
    /// What kind of failure.
    pub why: Why,
    /// The engine's and the registry's own words, on one line.
    pub words: String,
    /// Where the credentials came from; `None` = there were none.
    pub login: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// What the engine has of the same repository, under other tags.
    pub here: Vec<String>,
}

/// Whose words are too long for one line are cut here.
const LONGEST: usize = 500;

impl Why {
    /// Reads the engine's words. They are text for people, and the same failure has several texts.
    pub fn of(words: &str) -> Self {
        let lower = words.to_lowercase();
        let says = |any: &[&str]| any.iter().any(|part| lower.contains(part));
        if says(&["toomanyrequests", "too many requests", "rate limit", " 429"]) {
            Self::TooMany(wait(words))
        } else if says(&["no space left", "disk quota exceeded", "not enough space"]) {
            Self::DiskFull
        } else if says(&[
            "no matching manifest",
            "does not match the specified platform",
            "no match for platform",
            "operating system cannot be used",
        ]) {
            Self::Platform
        } else if says(&["x509", "certificate", "server gave http response to https client"]) {
            Self::Certificate
        } else if says(&[
            "unauthorized",
            "no basic auth credentials",
            "denied",
            "forbidden",
            "authentication required",
            "incorrect username or password",
            "docker login",
        ]) {
            Self::Refused
        } else if says(&["manifest unknown", "not found", "name unknown", "no such image"]) && !says(&["lookup "]) {
            Self::NotFound
        } else if says(&[
            "no such host",
            "connection refused",
            "connection reset",
            "broken pipe",
            "no route to host",
            "unreachable",
            "timeout",
            "timed out",
            "deadline exceeded",
            "eof",
            "misbehaving",
            "lookup ",
            "dial tcp",
            "error reading a body",
            "connection closed",
        ]) {
            Self::Unreachable
        } else if says(&[
            "500 internal",
            "502 bad",
            "503 service",
            "504 gateway",
            "received unexpected http status: 5",
        ]) {
            Self::Broken
        } else {
            Self::Other
        }
    }

    /// Whether the same question may get a better answer a moment later. A name that nobody knows stays unknown.
    pub(super) fn passes(&self, words: &str) -> bool {
        matches!(self, Self::Unreachable | Self::Broken) && !words.contains("no such host")
    }
}

/// "retry-after: 60", "try again in 5 minutes": what a registry's words say of the time to wait.
fn wait(words: &str) -> Option<String> {
    static WAIT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)(?:retry[- ]after|try again in)[:= ]+([0-9.]+ ?(?:ms|[a-z]+)?)"));
    let found = WAIT.captures(words)?;
    Some(found.get(1)?.as_str().trim().to_owned())
}

impl PullFailure {
    /// What could not be had, and why, without the registry's words.
    pub fn title(&self) -> String {
        let image = &self.image;
        let why = match &self.why {
            Why::Refused => "the registry refuses it".to_owned(),
            Why::NotFound => match Reference::of(&self.image).digest {
                Some(_) => "the registry has no image with this digest (any more)".to_owned(),
                None => "the registry has no such image or tag".to_owned(),
            },
            Why::TooMany(Some(wait)) => format!("the registry's rate limit is reached, for {wait}"),
            Why::TooMany(None) => "the registry's rate limit is reached".to_owned(),
            Why::Platform => "the registry has it not for this platform".to_owned(),
            Why::Certificate => "the engine does not trust the registry's certificate".to_owned(),
            Why::Unreachable => format!("the registry cannot be reached{}", self.tries()),
            Why::Broken => format!("the registry is broken{}", self.tries()),
            Why::DiskFull => "the engine's disk is full".to_owned(),
            Why::Never => "the engine has it not, and `pull_policy: never` forbids to pull it".to_owned(),
            Why::Helper => "its credentials could not be read".to_owned(),
            Why::Other => "the engine could not pull it".to_owned(),
        };
        format!("image `{image}` could not be had: {why}")
    }

    fn tries(&self) -> String {
        if self.tries > 1 {
            format!(" (tried {} times)", self.tries)
        } else {
            String::new()
        }
    }

    /// Who can do something about it, and what.
    pub fn help(&self) -> String {
        if self.here.is_empty() {
            return self.way_out();
        }
        let here = self.here.join(", ");
        format!("this engine has {here}: look at the tag; else {}", self.way_out())
    }

    fn way_out(&self) -> String {
        match (&self.why, &self.login) {
            (Why::Refused, Some(login)) => format!(
                "the credentials are of {login}: log in again (`docker login`) as somebody who may pull it, and look at \
                 the name"
            ),
            (Why::Refused, None) => "no credentials were found for this registry: log in (`docker login`) where \
                Rehearsal runs, or set DOCKER_CONFIG; and look at the name: registries refuse what they do not have"
                .to_owned(),
            (Why::NotFound, _) if Reference::of(&self.image).digest.is_some() => {
                "push production's image again, or take the lock again with `rehearsal lock` where production has moved"
                    .to_owned()
            }
            (Why::NotFound, _) => {
                "correct the name or the tag in the configuration, or push the image first".to_owned()
            }
            (Why::TooMany(_), Some(_)) => "wait and run again, or keep the image on this engine".to_owned(),
            (Why::TooMany(_), None) => {
                "log in (`docker login`), which most registries allow more, or wait and run again".to_owned()
            }
            (Why::Platform, _) => {
                "push the image for this engine's platform, name another `platform` in the compose file, or run where \
                 production's platform is"
                    .to_owned()
            }
            (Why::Certificate, _) => {
                "give the registry's CA to the engine (its `certs.d` folder), or name the registry as insecure there"
                    .to_owned()
            }
            (Why::Unreachable | Why::Broken, _) => {
                "this is the network's or the registry's doing: look whether the engine reaches it (`docker pull`), \
                 and run again"
                    .to_owned()
            }
            (Why::DiskFull, _) => "make room on the engine's disk (`docker system df`), and run again".to_owned(),
            (Why::Never, _) => {
                "pull, load or build it before the run, or change `pull_policy` in a further compose file".to_owned()
            }
            (Why::Helper, _) => "see to the credential helper, or log in again (`docker login`)".to_owned(),
            (Why::Other, _) => "this is the engine's or the registry's doing: see to it and run again".to_owned(),
        }
    }
}

/// One line without control characters, not longer than a screen.
pub(super) fn said(words: &str) -> String {
    let line: String = words
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_tell_the_failure() {
        let unreachable = [
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "Get \"https://registry.example.com/v2/\": dial tcp: lookup registry.example.com: no such host",
            "Get \"https://registry.example.com/v2/\": net/http: TLS handshake timeout",
            "unexpected EOF",
        ];
        for words in unreachable {
            assert_eq!(Why::of(words), Why::Unreachable, "{words}");
        }
        let all = [
            ("unauthorized: authentication required", Why::Refused),
            (
                "Head \"http://127.0.0.1:1/v2/a/manifests/1\": no basic auth credentials",
                Why::Refused,
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                Why::Refused,
            ),
            (
                "manifest for a:2 not found: manifest unknown: manifest unknown",
                Why::NotFound,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit.",
                Why::TooMany(None),
            ),
            (
                "toomanyrequests: retry-after: 1.2ms, allowed: 44000/minute",
                Why::TooMany(Some("1.2ms".to_owned())),
            ),
            (
                "no matching manifest for linux/arm64 in the manifest list entries",
                Why::Platform,
            ),
            (
                "image with reference a was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64",
                Why::Platform,
            ),
            (
                "Get \"https://registry.example.com/v2/\": x509: certificate signed by unknown authority",
                Why::Certificate,
            ),
            ("write /var/lib/x: no space left on device", Why::DiskFull),
            ("received unexpected HTTP status: 503 Service Unavailable", Why::Broken),
            ("something new", Why::Other),
        ];
        for (words, why) in all {
            assert_eq!(Why::of(words), why, "{words}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let again = |words: &str| Why::of(words).passes(words);
        assert!(again("connect: connection refused"));
        assert!(again("unexpected EOF"));
        assert!(again("received unexpected HTTP status: 503 Service Unavailable"));
        assert!(!again("lookup registry.example.com: no such host"));
        assert!(!again("unauthorized: authentication required"));
        assert!(!again("manifest unknown"));
        assert!(!again("toomanyrequests: slow down"));
    }

    #[test]
    fn other_tags_that_the_engine_has_are_named_before_the_registry_is_blamed() {
        let failure = PullFailure {
            image: "web:1.2".to_owned(),
            wanted_by: Vec::new(),
            why: Why::Unreachable,
            words: String::new(),
            login: None,
            tries: 3,
            here: vec!["web:1.0".to_owned(), "web:1.1".to_owned()],
        };
        assert!(
            failure
                .help()
                .starts_with("this engine has web:1.0, web:1.1: look at the tag; else ")
        );
        assert!(
            !PullFailure {
                here: Vec::new(),
                ..failure
            }
            .help()
            .contains("this engine has")
        );
    }

    #[test]
    fn hostile_words_stay_on_one_short_line() {
        let words = said(&format!("a\r\n::error::b\x1b[2J{}", "x".repeat(2000)));
        assert!(!words.chars().any(char::is_control), "{words:?}");
        assert!(words.starts_with("a ::error::b") && words.chars().count() <= LONGEST + 1);
    }
}
