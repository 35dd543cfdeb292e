//! The commands: one file each, from a command line to an exit code.

mod agent;
mod alerts;
mod common;
mod completions;
mod config;
mod doctor;
mod down;
mod entry;
mod explain;
mod history;
mod init;
mod keygen;
mod last;
mod lock;
mod logs;
mod man;
mod merge;
mod out;
mod plan;
mod publish;
mod refused;
mod report;
mod repository;
mod run;
mod shard;
mod up;
mod verify;

use std::panic::AssertUnwindSafe;

use anyhow::Result;
use clap::Parser as _;
use futures_util::FutureExt as _;

use crate::cli::{Cli, Command};
use crate::config::schema;
use crate::interrupt::Interrupt;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::say;
use crate::text::redact::Redactor;
use common::{context, failed, print_json};

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
            say(format!("error: no runtime: {error}"));
            return ExitCode::Bug;
        }
    };
    let ended = runtime.block_on(AssertUnwindSafe(dispatch(cli)).catch_unwind());
    runtime.shutdown_background();
    match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            failed(&error, &Redactor::default());
            a_bug()
        }
        // The panic's own message has been printed by now.
        Err(_) => a_bug(),
    }
}

fn a_bug() -> ExitCode {
    say("  this is a bug in Rehearsal; what it left on the engine goes with `rehearsal down --all`");
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
        Command::Publish(args) => publish::publish(&args, &context()?).await,
        Command::Keygen(args) => keygen::keygen(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Alerts(args) => alerts::alerts(&args, &context()?).await,
        Command::Explain(args) => Ok(explain::explain(&args)),
        Command::Schema => print_json(&schema::schema()),
        Command::Init(args) => init::init(&args),
        Command::History(args) => history::history(&args),
        Command::Completions(args) => Ok(completions::completions(&args)),
        Command::Man(args) => man::man(&args),
        Command::Shard(args) => shard::shard(&args),
        Command::Merge(args) => merge::merge(&args, &context()?).await,
        Command::Twin(_) => Ok(unbuilt()),
    }
}

fn unbuilt() -> ExitCode {
    say("error: this command is valid, but not built yet");
    ExitCode::Usage
}
