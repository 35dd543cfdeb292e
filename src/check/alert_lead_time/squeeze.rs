//! Memory runs out: what a release may use is lowered until a process of it is killed, or a user's request fails.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::drill::{Drill, finished, harms, lock, of_seconds};
use super::leak::Leak;
use super::rest::rest;
use crate::alerts::series::{Recorder, Recording};
use crate::check::At;
use crate::record::outcome::{Lost, Outcome};
use crate::text::units::bytes;

const SECOND: Duration = Duration::from_secs(1);
/// Memory is full after so many times `record`, as far as what is used can be told …
const FULL_AFTER: f64 = 6.0;
/// … and nobody waits longer than this for what is killed then.
const OVER_AFTER: f64 = 9.0;

/// What was recorded.
pub(super) struct Squeezed {
    pub recording: Recording,
    /// How far it went, and why no further.
    pub remark: String,
}

/// Lowers it, and lets the release begin anew; or why it cannot.
///
/// # Errors
/// The agent or the engine is gone, or the release does not come back.
pub(super) async fn squeezed(drill: &Drill<'_>) -> Result<Result<Squeezed, String>, Lost> {
    let at = drill.at;
    let leak = match leaking(at).await {
        Ok(leak) => leak,
        Err(why) => return Ok(Err(why)),
    };
    let marks = at.marks();
    let leaked = lowered(drill, &leak).await;
    // Whatever came of it, the next stage finds the release as it was.
    let restored = at.ground.limit_memory(&leak.service, leak.limit).await;
    let rested = rest(drill).await;
    at.driver.set_aside(&marks).await;
    rested?;
    match (leaked?, restored) {
        (_, Outcome::Lost(lost)) => Err(lost),
        (Ok(_), Outcome::Broke(why)) => Ok(Err(format!("its limit could not be given back: {why}"))),
        (leaked, _) => Ok(leaked),
    }
}

/// The first service of production that the release changes, and what it may use.
async fn leaking(at: &At<'_>) -> Result<Leak, String> {
    let changed = at.case.candidates().into_iter();
    let mut own = changed.filter(|name| at.case.world.services.contains_key(name));
    let service = own.next().ok_or("the release changes no service of production's")?;
    let used = at.ground.usage().await;
    let mut limits = used
        .iter()
        .filter(|(replica, usage)| replica.service == service && usage.working_set.is_some())
        .filter_map(|(_, usage)| usage.memory_limit);
    let limit = limits.next().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| format!("the engine does not say how much memory `{service}` uses"))?;
    Ok(Leak::of(service, limit))
}

async fn lowered(drill: &Drill<'_>, leak: &Leak) -> Result<Result<Squeezed, String>, Lost> {
    let (recorder, over) = (Mutex::new(Recorder::default()), CancellationToken::new());
    let seen = Drill {
        leak: Some(leak),
        suites: drill.suites.clone(),
        ..*drill
    };
    let lowering = async {
        let lowered = lower(drill, leak, &recorder).await;
        over.cancel();
        lowered
    };
    let (recorded, lowered) = join(seen.record_until(&recorder, |_| over.is_cancelled()), lowering).await;
    recorded?;
    let refused = lowered?;
    let recording = finished(recorder);
    match (recording.harm(), refused) {
        (None, Some(why)) => Ok(Err(why)),
        _ => {
            let remark = remark(leak, &recording);
            Ok(Ok(Squeezed { recording, remark }))
        }
    }
}

/// Second by second, until some time after something has failed. Why the engine would not go on, where it did not.
async fn lower(drill: &Drill<'_>, leak: &Leak, recorder: &Mutex<Recorder>) -> Result<Option<String>, Lost> {
    let record = drill.alerts.record;
    let (begun, mut refused) = (Instant::now(), None);
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(first) = used(drill.at, leak).await else {
        return Ok(Some(format!(
            "the engine does not say how much memory `{}` uses",
            leak.service
        )));
    };
    while begun.elapsed().as_secs_f64() < OVER_AFTER * record.as_secs_f64() {
        seconds.tick().await;
        let harm = lock(recorder).first_harm();
        let is_over = |harm: usize| lock(recorder).seconds() as u64 >= harm as u64 + record.as_secs();
        match harm {
            Some(harm) if is_over(harm) => break,
            // It goes on as it was when something failed.
            Some(_) => continue,
            None => {}
        }
        // One that is on its way up again says nothing.
        let Some(now) = used(drill.at, leak).await else {
            continue;
        };
        let share = share(
            first as f64 / leak.limit as f64,
            begun.elapsed().as_secs_f64() / record.as_secs_f64(),
        );
        let wanted = (now as f64 / share) as u64;
        if let Some(why) = squeeze(drill.at, leak, (wanted, now)).await? {
            refused = Some(why);
        }
    }
    Ok(refused)
}

/// The share of its memory that is in use after so many times `record`.
fn share(first: f64, times: f64) -> f64 {
    first + (1.0 - first) * times / FULL_AFTER
}

/// Lowers the limit to what is wanted; where the engine does not take that from what runs, half of the way to what is used.
async fn squeeze(at: &At<'_>, leak: &Leak, (wanted, used): (u64, u64)) -> Result<Option<String>, Lost> {
    let before = leak.now();
    let half_way = before.midpoint(wanted.max(used));
    let mut refused = None;
    for limit in [wanted, half_way] {
        if limit >= before {
            return Ok(refused);
        }
        match at.ground.limit_memory(&leak.service, limit).await {
            Outcome::Held(()) => {
                leak.is_now(limit);
                return Ok(None);
            }
            Outcome::Broke(why) => refused = Some(why),
            Outcome::Lost(lost) => return Err(lost),
        }
    }
    Ok(refused)
}

/// What the containers of the service use, the one that uses most.
async fn used(at: &At<'_>, leak: &Leak) -> Option<u64> {
    let used = at.ground.usage().await.into_iter();
    let own = used.filter(|(replica, _)| replica.service == leak.service);
    own.filter_map(|(_, usage)| usage.working_set).max()
}

/// For people.
fn remark(leak: &Leak, recording: &Recording) -> String {
    let (limit, now) = (bytes(leak.limit), bytes(leak.now()));
    let lowered = format!(
        "the memory that `{}` may use was lowered from {limit} to {now}",
        leak.service
    );
    match harms(recording) {
        harms if harms.is_empty() => {
            format!("{lowered} in {}, and nothing failed", of_seconds(recording.seconds))
        }
        harms => format!("{lowered}; {}", harms.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_fills_evenly_and_goes_on_when_it_is_full() {
        let at = |times| share(0.4, times);
        for (times, wanted) in [(0.0, 0.4), (3.0, 0.7), (6.0, 1.0), (9.0, 1.3)] {
            assert!((at(times) - wanted).abs() < 1e-9, "{times}");
        }
    }
}
