//! `rehearsal plan`: what a run would do, without an engine.

use anyhow::Result;

use super::common::{context, print_json, refuse};
use crate::cli::PlanArgs;
use crate::prepare;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::tell;

pub fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let prepared = match prepare::prepare(&args.what.asked(None), &context()?) {
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
    let _read = tell(&redactor.clean(prepared.plan.to_text().trim_end()));
    Ok(ExitCode::Pass)
}
