//! A crowd: many users sign in, each when its turn comes and without waiting for the others, as fast as production manages it.
//! Once one of them is not let in, nobody else comes: who counts sign-ins, as a limit does, must not meet more than tell.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::At;
use crate::record::outcome::{Lost, Outcome, Part};

/// So many people …
const PEOPLE: u32 = 100;
/// … or as many as come in this time.
const SPAN: Duration = Duration::from_secs(30);
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
        if signs_in(at).await?.is_some() {
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
    let over = CancellationToken::new();
    let people = (0..people(pace)).map(|number| comes_after(at, pace * number, &over));
    let came: Result<Vec<Option<Got>>, Lost> = join_all(people).await.into_iter().collect();
    let came: Vec<Got> = came?.into_iter().flatten().collect();
    let count = |number: usize| u32::try_from(number).unwrap_or(PEOPLE);
    let people = count(came.len());
    let failed: Vec<String> = came.into_iter().flatten().collect();
    Ok(Crowd {
        people,
        failed: count(failed.len()),
        first: failed.into_iter().next(),
    })
}

/// How many come, one after the other.
fn people(pace: Duration) -> u32 {
    let fit = SPAN.as_millis() / pace.as_millis().max(1);
    u32::try_from(fit).unwrap_or(PEOPLE).clamp(1, PEOPLE)
}

/// What one gets who came; `None` where it was over by then. Whoever has begun goes on to the end: what is learned there is to
/// be hidden.
async fn comes_after(at: &At<'_>, after: Duration, over: &CancellationToken) -> Result<Option<Got>, Lost> {
    tokio::select! {
        biased;
        () = over.cancelled() => return Ok(None),
        () = tokio::time::sleep(after) => {}
    }
    let got = signs_in(at).await;
    if !matches!(got, Ok(None)) {
        over.cancel();
    }
    got.map(Some)
}

/// What one gets who is not let in.
type Got = Option<String>;

async fn signs_in(at: &At<'_>) -> Result<Got, Lost> {
    let outcome = at.driver.sign_in().await;
    let outcome = outcome.ok_or_else(|| Lost::new(Part::Step, "the sign-in was left out"))?;
    match outcome.came_to {
        Outcome::Held(()) => Ok(None),
        Outcome::Broke(trouble) => Ok(Some(trouble.message)),
        Outcome::Lost(lost) => Err(lost),
    }
}
