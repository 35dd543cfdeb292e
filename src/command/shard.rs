//! `rehearsal shard`: how a run is divided among several runners, as one line of JSON: a matrix of GitHub Actions. What
//! took long the last time stands alone, the rest is shared.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::common::{context, refuse};
use super::last::Last;
use crate::cli::ShardArgs;
use crate::prepare::{self, Part, Spec, divide, joined};
use crate::record::exit_code::ExitCode;
use crate::record::shard::Place;
use crate::report::terminal::{say, tell};
use crate::text::units;

/// As `strategy.matrix` reads it.
#[derive(Serialize)]
struct Matrix {
    include: Vec<Job>,
}

/// One job.
#[derive(Serialize)]
struct Job {
    /// What `run --shard` is given.
    shard: String,
    /// Its number, for names of artifacts.
    index: u32,
    /// How many there are.
    of: u32,
}

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub fn shard(args: &ShardArgs) -> Result<ExitCode> {
    let context = context()?;
    if !args.what.only.is_empty() {
        say("error: the whole is divided, and `--only` asks for less: take it away");
        return Ok(ExitCode::Usage);
    }
    let prepared = match prepare::prepare(&args.what.asked(None), &context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let parts = prepared.parts();
    let timed = timed(&parts, &Last::of(&context.directory.join(&args.out)));
    let most = u32::try_from(parts.len().max(1)).unwrap_or(u32::MAX);
    let of = args.into.get().min(most);
    if of < args.into.get() {
        say(format!(
            "the run has no more than {most} parts, so it is divided into {of}"
        ));
    }
    let shards = (1..=of).zip(divide(&timed, of as usize));
    let include = shards.map(|(index, own)| {
        let place = Place { index, of };
        say(explained(place, &own, &timed));
        let shard = Spec::new(place, own).to_string();
        Job { shard, index, of }
    });
    let include = include.collect();
    // Nobody reading any more is no failure.
    let _read = tell(&serde_json::to_string(&Matrix { include })?);
    Ok(ExitCode::Pass)
}

/// With how long each took the last time.
fn timed(parts: &[Part], last: &Last) -> Vec<(Part, Option<Duration>)> {
    let faults = parts.iter().filter(|part| matches!(part, Part::Fault(_))).count();
    let faults = u32::try_from(faults).unwrap_or(u32::MAX).max(1);
    let of = |part: &Part| match part {
        Part::Fault(_) => last.took(part).map(|all| all / faults),
        Part::Suite(_) | Part::Check(_) => last.took(part),
    };
    parts.iter().map(|part| (part.clone(), of(part))).collect()
}

/// For people, beside the JSON.
fn explained(place: Place, own: &[Part], timed: &[(Part, Option<Duration>)]) -> String {
    let took = timed.iter().filter(|(part, _)| own.contains(part));
    let took: Option<Duration> = took.map(|(_, took)| *took).sum();
    let took = took.filter(|_| !own.is_empty());
    let took = took.map_or_else(String::new, |took| {
        format!("; {} the last time, beside the deploy", units::seconds(took))
    });
    let own = if own.is_empty() {
        "the whole run".to_owned()
    } else {
        joined(own)
    };
    format!("{place}: {own}{took}")
}
