//! `rehearsal plan`: what a run would do, and what it would need, without an engine.

use anyhow::Result;

use super::common::{context, print_json, refuse, shown, shown_lines};
use super::last::Last;
use crate::cli::PlanArgs;
use crate::context::Context;
use crate::engine::room;
use crate::prepare::budget::Budget;
use crate::prepare::{self, Asked, Prepared};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::units::bytes;

pub fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let context = context()?;
    let asked = Asked {
        shard: args.shard.clone(),
        ..args.what.asked(None)
    };
    let prepared = match prepare::prepare(&asked, &context) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let redactor = prepared.redactor();
    if args.json {
        let mut plan = serde_json::to_value(&prepared.plan)?;
        redactor.clean_value(&mut plan);
        return print_json(&plan);
    }
    // Nobody reading any more is no failure.
    let _read = tell(&shown_lines(prepared.plan.to_text().trim_end(), &redactor));
    // What a former run took is no part of the plan, which is the same each time.
    for (name, line) in needs(&prepared, args, &context) {
        say(format!("  {name:<9}  {}", shown(line, &redactor)));
    }
    Ok(ExitCode::Pass)
}

/// What the run will need, and what this machine has.
fn needs(prepared: &Prepared, args: &PlanArgs, context: &Context) -> Vec<(&'static str, String)> {
    let out = context.directory.join(&args.out);
    let free = match room::free(&context.directory) {
        Ok(free) => format!("{} are free in this folder", bytes(free)),
        Err(why) => why,
    };
    let here = format!("{free}; what the engine's machine has is told by `rehearsal doctor`");
    let last = Last::of(&out).words(prepared.settings.timeout);
    let needs = std::iter::once(("needs", String::new())).chain(Budget::of(prepared).lines());
    needs.chain([("time", last), ("here", here)]).collect()
}
