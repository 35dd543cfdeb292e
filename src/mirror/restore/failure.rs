//! Why data could not be restored: in one line, with what was said beside it, and never with a row of the dump.

use crate::text::fatal::{first_fatal, last_words};

/// Of what a command said, no more is told.
const LINES: usize = 10;

/// Why data could not be restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreFailure {
    /// One line.
    pub cause: String,
    /// What was said beside it.
    pub said: Vec<String>,
    /// Where the entry is written: file, line, column.
    pub place: String,
}

impl RestoreFailure {
    pub(super) fn of(error: &anyhow::Error) -> Self {
        Self {
            cause: format!("{error:#}"),
            ..Self::default()
        }
    }
}

/// Why a command failed, as its standard error has it. Rows of the dump are nobody's business in a report.
pub(super) fn ended_badly(command: &str, exit: i64, stderr: &[u8]) -> RestoreFailure {
    let told = String::from_utf8_lossy(stderr);
    let quotes = |line: &&str| {
        ["DETAIL:", "CONTEXT:"]
            .iter()
            .any(|word| line.trim_start().starts_with(word))
    };
    let lines: Vec<String> = told.lines().filter(|line| !quotes(line)).map(str::to_owned).collect();
    let why = first_fatal(&lines).or_else(|| last_words(&lines));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    RestoreFailure {
        cause: format!("{command} ended with code {exit}{why}"),
        said: lines[lines.len().saturating_sub(LINES)..].to_vec(),
        ..RestoreFailure::default()
    }
}
