//! What commands share.

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::engine::Engine;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::interrupt::Signal;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::say;
use crate::yaml::diagnostic::Diagnostic;

pub(super) fn context() -> Result<Context> {
    Context::read().context("the working directory is gone")
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::Pass)
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
    let mut bytes = [0u8; 5];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn code_of(signal: Signal) -> ExitCode {
    match signal {
        Signal::Interrupt => ExitCode::Interrupted,
        Signal::Terminate => ExitCode::Terminated,
    }
}
