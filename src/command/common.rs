//! What commands share.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::engine::Engine;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::interrupt::Signal;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;
use crate::text::{harmless, random};
use crate::yaml::diagnostic::Diagnostic;

pub(super) fn context() -> Result<Context> {
    Context::read().context("the working directory is gone")
}

/// Writes a file that must not be there yet.
pub(super) fn write_new(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(mode).open(file)?;
    opened.write_all(text.as_bytes())
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<ExitCode> {
    // Nobody reading any more is no failure.
    let _read = tell(&serde_json::to_string_pretty(value)?);
    Ok(ExitCode::Pass)
}

/// What a line of an error shows.
const LINE: usize = 8 * 1024;

/// In one line, without secrets, and inert on a terminal: an error's parts come from engines, registries and files.
pub(super) fn shown(text: impl std::fmt::Display, redactor: &Redactor) -> String {
    harmless::line(&redactor.clean(&text.to_string()), LINE)
}

/// The same of a text of several lines.
pub(super) fn shown_lines(text: &str, redactor: &Redactor) -> String {
    harmless::block(&redactor.clean(text), usize::MAX)
}

/// Says that something went wrong, with the whole chain of reasons.
pub(super) fn failed(error: &anyhow::Error, redactor: &Redactor) {
    say(format!("error: {}", shown(format_args!("{error:#}"), redactor)));
}

/// Shows the user's mistakes; the exit code says that nothing was started.
pub(super) fn refuse(errors: &[Diagnostic]) -> ExitCode {
    for error in errors {
        say(error);
    }
    ExitCode::Usage
}

/// The engine, to look and to remove.
pub(super) async fn engine(context: &Context) -> Result<Engine> {
    Engine::connect(&Address::find(context)?, &RunLabels::of_none()).await
}

pub(super) fn new_id() -> Result<String> {
    random::hex::<5>()
}

pub(super) fn code_of(signal: Signal) -> ExitCode {
    match signal {
        Signal::Interrupt => ExitCode::Interrupted,
        Signal::Terminate => ExitCode::Terminated,
    }
}
