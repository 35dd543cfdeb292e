//! A crowd: many users sign in, each when its turn comes and without waiting for the others, as fast as production manages it.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::At;
use crate::record::outcome::{Lost, Outcome, Part};

/// So many people.
const PEOPLE: u32 = 100;
/// The shortest time from one to the next: 20 a second.
const SHORTEST: Duration = Duration::from_millis(50);
/// So many sign-ins say how long one takes.
const MEASURED: u32 = 3;

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crowd {
    /// How many came.
    pub people: u32,
    /// How many were not let in.
    pub failed: u32,
    /// What the first of these got.
    pub first: Option<String>,
}

/// From one sign-in to the next, as production manages them one after the other; `None` where one of them fails.
///
/// # Errors
/// Nobody can tell.
pub async fn pace(at: &At<'_>) -> Result<Option<Duration>, Lost> {
    let begun = Instant::now();
    for _ in 0..MEASURED {
        if signs_in(at, Duration::ZERO).await?.is_some() {
            return Ok(None);
        }
    }
    Ok(Some((begun.elapsed() / MEASURED).max(SHORTEST)))
}

/// They come.
///
/// # Errors
/// Nobody can tell.
pub async fn comes(at: &At<'_>, pace: Duration) -> Result<Crowd, Lost> {
    let people = (0..PEOPLE).map(|number| signs_in(at, pace * number));
    let came: Result<Vec<Option<String>>, Lost> = join_all(people).await.into_iter().collect();
    let failed: Vec<String> = came?.into_iter().flatten().collect();
    Ok(Crowd {
        people: PEOPLE,
        failed: u32::try_from(failed.len()).unwrap_or(PEOPLE),
        first: failed.into_iter().next(),
    })
}

/// What one gets who is not let in.
async fn signs_in(at: &At<'_>, after: Duration) -> Result<Option<String>, Lost> {
    tokio::time::sleep(after).await;
    let outcome = at.driver.sign_in().await;
    let outcome = outcome.ok_or_else(|| Lost::new(Part::Step, "the sign-in was left out"))?;
    match outcome.came_to {
        Outcome::Held(()) => Ok(None),
        Outcome::Broke(trouble) => Ok(Some(trouble.message)),
        Outcome::Lost(lost) => Err(lost),
    }
}
