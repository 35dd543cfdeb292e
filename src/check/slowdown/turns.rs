//! Both releases asked in turns, pair by pair.

use super::pairs::Pairs;
use crate::check::At;
use crate::check::relative::looks::{Looks, Next};
use crate::check::relative::measurement::{Measurement, asked};
use crate::check::relative::turns::{pairs, phases};
use crate::check::two::{TRIES, Two, send, silent};
use crate::record::outcome::Lost;

/// Both anew, and then in turns until the looks are over; or why they cannot be.
pub(super) async fn measure(
    two: &Two<'_>,
    at: &At<'_>,
    looks: Looks,
) -> Result<Result<(Pairs, Vec<String>), String>, Lost> {
    if let Err(why) = two.begin_anew(at).await? {
        return Ok(Err(why));
    }
    let (plan, left_out) = match two.sent(at).await {
        Ok(sent) => sent,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(why) = silent(at, &plan, TRIES).await? {
        return Ok(Err(why));
    }
    let mut measurement = Measurement::of(asked(&two.load.thresholds.against_baseline));
    while let Next::Measure(more) = looks.after(measurement.pairs(), measurement.precision()) {
        let phases = phases(measurement.pairs(), more, two.load.rate);
        let slices = send(at, &plan, phases.clone()).await?;
        for (old, new) in pairs(&phases, &slices)? {
            measurement.add(&old, &new);
        }
    }
    Ok(Ok((Pairs::of(&measurement), left_out)))
}
