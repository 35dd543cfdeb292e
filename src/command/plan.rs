//! `rehearsal plan`: what a run would do, without an engine.

use anyhow::Result;

use super::common::{context, print_json, refuse};
use crate::cli::PlanArgs;
use crate::prepare;
use crate::record::exit_code::ExitCode;

pub fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let prepared = match prepare::prepare(&args.what.asked(None), &context()?) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(refuse(&errors)),
    };
    if args.json {
        return print_json(&prepared.plan);
    }
    print!("{}", prepared.plan.to_text());
    Ok(ExitCode::Pass)
}
