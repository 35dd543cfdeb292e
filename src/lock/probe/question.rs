//! Questions: what a probe is, and how its answer is read.

use sha2::Digest as _;

use crate::text::{self, harmless};

/// A fact is cut here.
pub(super) const FACT_LENGTH: usize = 200;
/// A named question.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Name of the fact.
    pub name: &'static str,
    /// What the fact is a fact of.
    pub kind: Kind,
    /// A shell command; the same text is run once for all probes that share it.
    pub command: &'static str,
    /// The answer within its output.
    pub parse: Parse,
}

/// What a fact is a fact of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The machine below the container: a mirror stands in with its own.
    Machine,
    /// The system in the image: libraries, certificates.
    System,
    /// All packages at once.
    Packages,
    /// What programs run on: languages.
    Runtime,
    /// What the service is.
    Product,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy)]
pub enum Parse {
    /// Group 1 of the first match.
    Pattern(&'static str),
    /// Something else.
    With(fn(&str) -> Option<String>),
}

impl Probe {
    /// The fact within the command's output.
    pub fn read(&self, output: &str) -> Option<String> {
        let fact = match self.parse {
            Parse::Pattern(pattern) => captured(pattern, output),
            Parse::With(read) => read(output),
        };
        fact.and_then(|fact| one_line(&fact))
    }
}

/// Group 1 of the first match, or the whole match.
pub(super) fn captured(pattern: &str, output: &str) -> Option<String> {
    let captures = text::pattern(pattern).captures(output)?;
    captures
        .get(1)
        .or_else(|| captures.get(0))
        .map(|found| found.as_str().to_owned())
}

/// What was said, fit for a file that people review.
pub(in crate::lock) fn one_line(text: &str) -> Option<String> {
    let text: String = harmless::one_line(text).chars().take(FACT_LENGTH).collect();
    (!text.is_empty()).then_some(text)
}

/// A list of packages as their number and a digest, in any order.
pub(super) fn digest_of(lines: impl Iterator<Item = String>) -> Option<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    let hash = sha2::Sha256::digest(lines.join("\n"));
    let short: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    (!lines.is_empty()).then(|| format!("{} packages, sha256 {short}", lines.len()))
}
