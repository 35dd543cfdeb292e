//! `rehearsal history`: what the records of many runs say together.
//!
//! Exit codes: 0 all could be read; 2 one could not, or there is none.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::common::{failed, print_json, shown};
use crate::cli::{HistoryArgs, HistoryFormat};
use crate::record::exit_code::ExitCode;
use crate::report::history::History;
use crate::report::json;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;

/// Folders below each other that are looked through: `DOWNLOADED/RUN/ARTIFACT/result.json` and some more.
pub(super) const DEPTH: usize = 8;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub fn history(args: &HistoryArgs) -> Result<ExitCode> {
    let redactor = Redactor::default();
    let mut code = ExitCode::Pass;
    let mut files = Vec::new();
    for given in &args.records {
        if given.is_dir() {
            if let Err(error) = records(given, DEPTH, &mut files) {
                say(format!(
                    "error: {}",
                    shown(format_args!("`{}`: {error}", given.display()), &redactor)
                ));
                code = ExitCode::Usage;
            }
        } else {
            files.push(given.clone());
        }
    }
    let mut read = Vec::new();
    for file in files {
        match json::read(&file) {
            Ok(record) => read.push(record),
            Err(error) => {
                failed(&error, &redactor);
                code = ExitCode::Usage;
            }
        }
    }
    if read.is_empty() {
        say("error: there is no record: name files or folders with the result.json of runs");
        return Ok(ExitCode::Usage);
    }
    let history = History::of(read);
    match args.format {
        HistoryFormat::Json => drop(print_json(&history)?),
        // Nobody reading any more is no failure.
        HistoryFormat::Human => drop(tell(history.to_text().trim_end())),
    }
    Ok(code)
}

/// Every record in a folder and below, by name. Links are not followed: they may lead in a circle.
pub(super) fn records(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_file() && entry.file_name() == json::RESULT {
            found.push(entry.path());
        } else if kind.is_dir() {
            let deeper = depth
                .checked_sub(1)
                .ok_or_else(|| std::io::Error::other(format!("more than {DEPTH} folders deep")))?;
            records(&entry.path(), deeper, found)?;
        }
    }
    Ok(())
}
