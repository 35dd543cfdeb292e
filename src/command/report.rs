//! `rehearsal report`: makes the reports again from a record.

use anyhow::{Context as _, Result};

use super::common::{context, failed, shown};
use super::run::told;
use crate::cli::ReportArgs;
use crate::record::exit_code::ExitCode;
use crate::report::json;
use crate::report::terminal::say;
use crate::text::redact::Redactor;

pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    // No secret is known here: what has the shape of one goes all the same.
    let redactor = Redactor::default();
    let result = match json::read(&args.result) {
        Ok(result) => result,
        Err(error) => {
            failed(&error, &redactor);
            return Ok(ExitCode::Usage);
        }
    };
    let beside = args
        .result
        .parent()
        .map(std::path::Path::to_path_buf)
        .unwrap_or_default();
    let out = args.out.clone().unwrap_or(beside);
    if let Err(error) = std::fs::create_dir_all(&out).with_context(|| format!("`{}` could not be made", out.display()))
    {
        failed(&error, &redactor);
        return Ok(ExitCode::Usage);
    }
    let mut problems = json::write_all(&result, &out).problems;
    problems.extend(told::further(&result, &args.report, &context()?.directory));
    for problem in &problems {
        say(format!("error: {}", shown(problem, &redactor)));
    }
    Ok(if problems.is_empty() {
        ExitCode::Pass
    } else {
        ExitCode::Usage
    })
}
