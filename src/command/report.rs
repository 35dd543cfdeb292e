//! `rehearsal report`: makes the reports again from a record, and shows one of them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use super::common::{context, failed, shown};
use super::run::told;
use crate::cli::ReportArgs;
use crate::context::Context;
use crate::record::exit_code::ExitCode;
use crate::report::json;
use crate::report::terminal::say;
use crate::text::redact::Redactor;

/// What shows a file in a browser: on Linux, on macOS.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    // No secret is known here: what has the shape of one goes all the same.
    let redactor = Redactor::default();
    let file = match args.result.is_dir() {
        true => args.result.join(json::RESULT),
        false => args.result.clone(),
    };
    let result = match json::read(&file) {
        Ok(result) => result,
        Err(error) => {
            failed(&error, &redactor);
            return Ok(ExitCode::Usage);
        }
    };
    let beside = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let out = args.out.clone().unwrap_or(beside);
    if let Err(error) = std::fs::create_dir_all(&out).with_context(|| format!("`{}` could not be made", out.display()))
    {
        failed(&error, &redactor);
        return Ok(ExitCode::Usage);
    }
    let context = context()?;
    let mut problems = json::write_all(&result, &out).problems;
    problems.extend(told::further(&result, &args.report, &context.directory));
    if args.open {
        problems.extend(open(&out, &context).err().map(|error| format!("{error:#}")));
    }
    for problem in &problems {
        say(format!("error: {}", shown(problem, &redactor)));
    }
    Ok(if problems.is_empty() {
        ExitCode::Pass
    } else {
        ExitCode::Usage
    })
}

/// Shows the page in a browser, and says by which command.
///
/// # Errors
/// There is no such command, or it could not.
fn open(out: &Path, context: &Context) -> Result<()> {
    let page = context.directory.join(out).join(json::HTML);
    let shown = page.display();
    let named = context.environment.get("BROWSER").filter(|program| !program.is_empty());
    for program in named.map(String::as_str).into_iter().chain(OPENERS) {
        let mut command = Command::new(program);
        let ended = command.arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).status();
        match ended {
            Ok(ended) if ended.success() => {
                say(format!("`{shown}` was opened by `{program}`"));
                return Ok(());
            }
            Ok(ended) => bail!("`{program}` could not open `{shown}` ({ended}): open it in a browser yourself"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(anyhow!(error).context(format!("`{program}` could not be started"))),
        }
    }
    bail!(
        "there is nothing to open a browser with: $BROWSER names no program, and neither `xdg-open` nor `open` is on \
         PATH; open `{shown}` in a browser yourself"
    )
}
