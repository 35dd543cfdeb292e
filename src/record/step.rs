//! Steps: what a stage does, one after the other. The variant is the meaning; the name, in every output, is its
//! `Display`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::check::CheckId;

/// One thing that a stage does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Networks, volumes, the agent.
    Mirror,
    /// Data like production's is put into this service, or `volume:NAME`.
    Restore(String),
    /// A service of production comes up.
    Start(String),
    /// The user's tests, or an entry of `data`.
    Run(Subject),
    /// Another release takes the place of these services.
    Swap(Vec<String>),
    /// A check whose look has a place of its own in the order.
    Check(CheckId),
    /// Something that a newer Rehearsal does.
    Other(String),
}

/// Whose tests they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A suite of the user's, by its name.
    Suite(String),
    /// An entry of `data`.
    Data(DataEntry),
    /// What tells the authentication dependency to change its signing key.
    Rotate,
    /// What tells it to take back what a sign-in gave.
    Revoke,
}

/// An entry of `data`, at its place in the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataEntry {
    /// Writes on the baseline.
    Seed,
    /// Must hold on both releases.
    Verify,
    /// Writes on the candidate.
    Write,
    /// What `write` wrote, on the candidate.
    VerifyWrite,
    /// The same on the baseline, after the rollback.
    VerifyWriteAfter,
}

impl DataEntry {
    /// In the order of the course.
    pub const ALL: [Self; 5] = [
        Self::Seed,
        Self::Verify,
        Self::Write,
        Self::VerifyWrite,
        Self::VerifyWriteAfter,
    ];

    /// As in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "data.seed",
            Self::Verify => "data.verify",
            Self::Write => "data.write",
            Self::VerifyWrite => "data.verify_write",
            Self::VerifyWriteAfter => "data.verify_write after the rollback",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entry| entry.as_str() == name)
    }
}

/// What changes the authentication dependency's key, and what takes back what it gave, as in reports.
const ROTATE: &str = "auth.rotate";
const REVOKE: &str = "auth.revoke";

/// The names of checks that are steps.
const CHECKS: [(CheckId, &str); 5] = [
    (CheckId::MirrorFidelity, "fidelity"),
    (CheckId::AuthLogin, "login"),
    (CheckId::AuthExercised, "without auth"),
    (CheckId::CandidateExercised, "without candidate"),
    (CheckId::Load, "load"),
];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror => f.pad("mirror"),
            Self::Restore(target) => f.pad(&format!("data.restore {target}")),
            Self::Start(service) => f.pad(&format!("start {service}")),
            Self::Run(Subject::Suite(name)) => f.pad(&format!("suite {name}")),
            Self::Run(Subject::Data(entry)) => f.pad(entry.as_str()),
            Self::Run(Subject::Rotate) => f.pad(ROTATE),
            Self::Run(Subject::Revoke) => f.pad(REVOKE),
            Self::Swap(services) => f.pad(&format!("swap {}", services.join(" "))),
            Self::Check(id) => f.pad(check_name(*id)),
            Self::Other(name) => f.pad(name),
        }
    }
}

fn check_name(id: CheckId) -> &'static str {
    let own = CHECKS.iter().find(|(check, _)| *check == id);
    own.map_or(id.as_str(), |(_, name)| name)
}

impl FromStr for Step {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(match name.split_once(' ') {
            Some(("data.restore", target)) => Self::Restore(target.to_owned()),
            Some(("start", service)) => Self::Start(service.to_owned()),
            Some(("suite", suite)) => Self::Run(Subject::Suite(suite.to_owned())),
            Some(("swap", services)) => Self::Swap(services.split(' ').map(str::to_owned).collect()),
            _ => named(name),
        })
    }
}

fn named(name: &str) -> Step {
    let entry = DataEntry::named(name).map(|entry| Step::Run(Subject::Data(entry)));
    let check = || {
        CHECKS
            .iter()
            .find(|(_, step)| *step == name)
            .map(|(id, _)| Step::Check(*id))
    };
    match name {
        "mirror" => Step::Mirror,
        ROTATE => Step::Run(Subject::Rotate),
        REVOKE => Step::Run(Subject::Revoke),
        _ => entry.or_else(check).unwrap_or_else(|| Step::Other(name.to_owned())),
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite(name) => f.pad(name),
            Self::Data(entry) => f.pad(entry.as_str()),
            Self::Rotate => f.pad(ROTATE),
            Self::Revoke => f.pad(REVOKE),
        }
    }
}

impl Subject {
    /// As reports name it.
    pub fn named(name: &str) -> Self {
        DataEntry::named(name).map_or_else(|| Self::Suite(name.to_owned()), Self::Data)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_every_step_leads_back_to_it() {
        let steps = [
            (Step::Mirror, "mirror"),
            (Step::Restore("db".to_owned()), "data.restore db"),
            (Step::Restore("volume:files".to_owned()), "data.restore volume:files"),
            (Step::Start("db".to_owned()), "start db"),
            (Step::Run(Subject::Suite("smoke".to_owned())), "suite smoke"),
            (Step::Run(Subject::Suite("a b".to_owned())), "suite a b"),
            (Step::Run(Subject::Data(DataEntry::Verify)), "data.verify"),
            (Step::Run(Subject::Rotate), "auth.rotate"),
            (Step::Run(Subject::Revoke), "auth.revoke"),
            (
                Step::Run(Subject::Data(DataEntry::VerifyWriteAfter)),
                "data.verify_write after the rollback",
            ),
            (Step::Swap(vec!["a".to_owned(), "b".to_owned()]), "swap a b"),
            (Step::Check(CheckId::MirrorFidelity), "fidelity"),
            (Step::Check(CheckId::AuthLogin), "login"),
            (Step::Check(CheckId::AuthExercised), "without auth"),
            (Step::Check(CheckId::CandidateExercised), "without candidate"),
            (Step::Check(CheckId::Load), "load"),
            (Step::Other("of tomorrow".to_owned()), "of tomorrow"),
        ];
        for (step, name) in steps {
            assert_eq!(step.to_string(), name);
            assert_eq!(name.parse::<Step>(), Ok(step));
        }
    }
}
