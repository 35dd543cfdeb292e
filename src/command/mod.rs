//! The commands: one file each, from a command line to an exit code.

mod agent;
mod config;
mod doctor;
mod down;
mod entry;
mod explain;
mod lock;
mod logs;
mod plan;
mod report;
mod run;
mod up;

use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures_util::FutureExt as _;

use crate::cli::{Cli, Command};
use crate::config::schema;
use crate::context::Context;
use crate::engine::line::address::Address;
use crate::engine::{Engine, RunLabels};
use crate::interrupt::Interrupt;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::say;
use crate::yaml::diagnostic::Diagnostic;

/// From the process's command line to its exit code. No path leads from an internal error to a pass.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, and a closed pipe is no failure.
            let _printed = error.print();
            return if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Pass
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::Bug;
        }
    };
    let ended = runtime.block_on(AssertUnwindSafe(dispatch(cli)).catch_unwind());
    runtime.shutdown_background();
    match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            a_bug()
        }
        // The panic's own message has been printed by now.
        Err(_) => a_bug(),
    }
}

fn a_bug() -> ExitCode {
    eprintln!("  this is a bug in Rehearsal; what it left on the engine goes with `rehearsal down --all`");
    ExitCode::Bug
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Agent(args) => agent::serve(&args).await,
        Command::Run(args) => {
            let interrupt = Interrupt::listen()?;
            run::run(&args, &context()?, &interrupt).await
        }
        Command::Reap(args) => agent::reap(&args).await,
        Command::Plan(args) => plan::plan(&args),
        Command::Config(args) => config::config(&args),
        Command::Lock(args) => lock::lock(&args, &context()?).await,
        Command::Up(args) => {
            let interrupt = Interrupt::listen()?;
            up::up(&args, &context()?, &interrupt).await
        }
        Command::Logs(args) => logs::logs(&args, &context()?).await,
        Command::Doctor(args) => doctor::doctor(&args, &context()?).await,
        Command::Down(args) => down::down(&args, &context()?).await,
        Command::Report(args) => report::report(&args),
        Command::Explain(args) => Ok(explain::explain(&args)),
        Command::Schema => print_json(&schema::schema()),
        Command::Init(_)
        | Command::Merge(_)
        | Command::Verify(_)
        | Command::Twin(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(unbuilt()),
    }
}

fn context() -> Result<Context> {
    Context::read().context("the working directory is gone")
}

fn unbuilt() -> ExitCode {
    eprintln!("error: this command is valid, but not built yet");
    ExitCode::Usage
}

fn print_json(value: &impl serde::Serialize) -> Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::Pass)
}

/// Shows the user's mistakes; the exit code says that nothing was started.
fn refuse(errors: &[Diagnostic]) -> ExitCode {
    for error in errors {
        say(error);
    }
    ExitCode::Usage
}

/// The engine, to look and to remove.
async fn engine(context: &Context) -> Result<Engine> {
    Engine::connect(&Address::find(context)?, &RunLabels::of_none()).await
}
