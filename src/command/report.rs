//! `rehearsal report`: makes the reports again from a record.

use anyhow::{Context as _, Result};

use super::common::context;
use super::run;
use crate::cli::ReportArgs;
use crate::record::exit_code::ExitCode;
use crate::report::json;

pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let result = match json::read(&args.result) {
        Ok(result) => result,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::Usage);
        }
    };
    let beside = args
        .result
        .parent()
        .map(std::path::Path::to_path_buf)
        .unwrap_or_default();
    let out = args.out.clone().unwrap_or(beside);
    std::fs::create_dir_all(&out).with_context(|| format!("`{}` could not be made", out.display()))?;
    let mut problems = json::write_all(&result, &out).problems;
    problems.extend(run::further(&result, &args.report, &context()?.directory));
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    Ok(if problems.is_empty() {
        ExitCode::Pass
    } else {
        ExitCode::Usage
    })
}
