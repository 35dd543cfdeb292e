//! Witnesses: what notices that something of the mirror is stopped. Noise notices nothing: a witness fails twice.

use std::fmt;
use std::time::Duration;

use super::At;
use crate::record::outcome::{Lost, Outcome};
use crate::record::status::Status;
use crate::record::step::{DataEntry, Subject};
use crate::record::test::{TestId, TestRecord};

/// How often a witness is asked whether it has recovered, and the time in between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What notices something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// The sign-in.
    SignIn,
    /// A test.
    Test(TestId),
}

/// What was found with something stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// What failed twice.
    pub witness: Option<Witness>,
    /// How many tests stayed green before it.
    pub green: usize,
}

/// The first of sign-in, suites and `data.verify` that notices that these services are stopped: of those that have been
/// seen to pass on this mirror.
///
/// # Errors
/// Nobody can tell.
pub async fn first(at: &At<'_>, stopped: &[String]) -> Result<Noticed, Lost> {
    if Witness::SignIn.fails(at, stopped).await? && Witness::SignIn.fails(at, stopped).await? {
        return Ok(Noticed {
            witness: Some(Witness::SignIn),
            green: 0,
        });
    }
    let suites = at.facts.suites().into_iter();
    let verify = at
        .case
        .settings
        .data
        .verify
        .iter()
        .map(|_| Subject::Data(DataEntry::Verify));
    let mut green = 0;
    for subject in suites.chain(verify) {
        let tests = at.driver.run(&subject).await;
        for test in tests.iter().filter(|test| notices(test, stopped)) {
            let witness = Witness::Test(test.id());
            if witness.fails(at, stopped).await? {
                return Ok(Noticed {
                    witness: Some(witness),
                    green,
                });
            }
        }
        green += tests.iter().filter(|test| test.status == Status::Passed).count();
    }
    Ok(Noticed { witness: None, green })
}

/// A failure; an error or a test that did not run says nothing, but where the step was addressed to what is stopped.
fn notices(test: &TestRecord, stopped: &[String]) -> bool {
    let addressed = test.service.as_ref().is_some_and(|service| stopped.contains(service));
    test.status == Status::Failed || (test.status == Status::Error && addressed)
}

impl Witness {
    /// It fails now.
    ///
    /// # Errors
    /// Nobody can tell.
    pub async fn fails(&self, at: &At<'_>, stopped: &[String]) -> Result<bool, Lost> {
        match self {
            Self::SignIn => Ok(self.sign_in(at).await? == Some(Status::Failed)),
            Self::Test(id) => Ok(run(at, id).await.is_some_and(|test| notices(&test, stopped))),
        }
    }

    /// It is as it must be again: what was stopped may need a while until all that speak to it have found it.
    ///
    /// # Errors
    /// Nobody can tell.
    pub async fn recovers(&self, at: &At<'_>) -> Result<bool, Lost> {
        for _ in 0..ATTEMPTS {
            if self.is_fine(at).await? {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(false)
    }

    async fn is_fine(&self, at: &At<'_>) -> Result<bool, Lost> {
        match self {
            Self::SignIn => Ok(self.sign_in(at).await? == Some(Status::Passed)),
            Self::Test(id) => Ok(run(at, id).await.is_some_and(|test| test.status == Status::Passed)),
        }
    }

    /// How the sign-in ends now; `None` where it is left out.
    async fn sign_in(&self, at: &At<'_>) -> Result<Option<Status>, Lost> {
        match at.driver.sign_in().await.map(|outcome| outcome.came_to) {
            None => Ok(None),
            Some(Outcome::Held(())) => Ok(Some(Status::Passed)),
            Some(Outcome::Broke(_)) => Ok(Some(Status::Failed)),
            Some(Outcome::Lost(lost)) => Err(lost),
        }
    }
}

async fn run(at: &At<'_>, id: &TestId) -> Option<TestRecord> {
    let tests = at.driver.run(&id.suite).await;
    tests.into_iter().find(|test| test.id() == *id)
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn => f.write_str("the sign-in"),
            Self::Test(id) => write!(f, "{} / {}", id.suite, id.name),
        }
    }
}
