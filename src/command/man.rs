//! `rehearsal man`: manual pages, from the words of `--help`.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap_mangen::Man;

use super::common::shown;
use super::completions::visible;
use crate::cli::ManArgs;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.out {
        return Ok(write_all(folder));
    }
    let Some(command) = command(args.command.as_deref()) else {
        let name = args.command.as_deref().unwrap_or_default();
        let error = format!("there is no command `{name}`: `rehearsal --help` lists them");
        say(format!("error: {}", shown(error, &Redactor::default())));
        return Ok(ExitCode::Usage);
    };
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .context("a page that cannot be written")?;
    // Nobody reading any more is no failure.
    let _read = tell(String::from_utf8_lossy(&page).trim_end());
    Ok(ExitCode::Pass)
}

/// A command, knowing by what name it is called: `rehearsal run`.
fn command(name: Option<&str>) -> Option<clap::Command> {
    let mut all = visible();
    all.build();
    match name {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    }
}

fn write_all(folder: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(visible(), folder));
    match written {
        Ok(()) => ExitCode::Pass,
        Err(error) => {
            let error = format!("`{}` takes no pages: {error}; name another folder", folder.display());
            say(format!("error: {}", shown(error, &Redactor::default())));
            ExitCode::Usage
        }
    }
}
