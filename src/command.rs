//! The commands: one function each, from a command line to an exit code.

use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures_util::FutureExt as _;

use super::compose;
use crate::agent;
use crate::check;
use crate::cli::{
    AgentArgs, AgentRole, Cli, Command, ConfigArgs, ConfigFormat, ExplainArgs, PlanArgs, ReapArgs, ReportArgs, What,
};
use crate::config::schema;
use crate::context::Context;
use crate::engine::line::address::Address;
use crate::engine::reaper;
use crate::engine::{Engine, RunLabels};
use crate::interrupt::Interrupt;
use crate::lock;
use crate::report::json;
use crate::run;

mod doctor;
mod down;
mod logs;
pub(crate) mod up;

/// A bug in Rehearsal.
const BUG: u8 = 70;
/// Usage or configuration.
const USAGE: u8 = 2;
/// The machine did not do what was asked.
const CANNOT: u8 = 3;

/// From the process's command line to its exit code. No path leads from an internal error to 0.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, and a closed pipe is no failure.
            let _printed = error.print();
            return if error.use_stderr() { USAGE } else { 0 };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return BUG;
        }
    };
    let ended = runtime.block_on(AssertUnwindSafe(dispatch(cli)).catch_unwind());
    runtime.shutdown_background();
    match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            eprintln!("  this is a bug in Rehearsal; what it left on the engine goes with `rehearsal down --all`");
            BUG
        }
        // The panic's own message has been printed by now.
        Err(_) => {
            eprintln!("  this is a bug in Rehearsal; what it left on the engine goes with `rehearsal down --all`");
            BUG
        }
    }
}

async fn dispatch(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Agent(args) => serve(&args).await,
        Command::Run(args) => {
            let interrupt = Interrupt::listen()?;
            run::run(&args, &context()?, &interrupt).await
        }
        Command::Reap(args) => reap(&args).await,
        Command::Plan(args) => plan(&args),
        Command::Config(args) => config(&args),
        Command::Lock(args) => lock::command::lock(&args, &context()?).await,
        Command::Up(args) => {
            let interrupt = Interrupt::listen()?;
            up::up(&args, &context()?, &interrupt).await
        }
        Command::Logs(args) => logs::logs(&args, &context()?).await,
        Command::Doctor(args) => doctor::doctor(&args, &context()?).await,
        Command::Down(args) => down::down(&args, &context()?).await,
        Command::Report(args) => report(&args),
        Command::Explain(args) => Ok(explain(&args)),
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

fn unbuilt() -> u8 {
    eprintln!("error: this command is valid, but not built yet");
    USAGE
}

async fn serve(args: &AgentArgs) -> Result<u8> {
    match args.role {
        AgentRole::Serve => agent::serve::serve(tokio::io::stdin(), tokio::io::stdout()).await?,
        AgentRole::Hold => {
            Interrupt::listen()?.wait().await;
        }
        AgentRole::Entrance => agent::entrance::pass_on(&args.passages).await?,
    }
    Ok(0)
}

async fn reap(args: &ReapArgs) -> Result<u8> {
    if args.detach {
        reaper::detach(&args.run, &args.lock, &args.out)?;
    } else {
        reaper::reap(&args.run, &args.lock, &args.out, &context()?).await?;
    }
    Ok(0)
}

fn print_json(value: &impl serde::Serialize) -> Result<u8> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(0)
}

fn plan(args: &PlanArgs) -> Result<u8> {
    let prepared = match run::prepare(&args.what, None, &context()?) {
        Ok(prepared) => prepared,
        Err(errors) => return Ok(run::refuse(&errors)),
    };
    if args.json {
        return print_json(&prepared.plan);
    }
    print!("{}", prepared.plan.to_text());
    Ok(0)
}

fn config(args: &ConfigArgs) -> Result<u8> {
    let context = context()?;
    let options = if args.compose.is_empty() {
        let what = What {
            config: args.config.clone(),
            candidate: Vec::new(),
            only: Vec::new(),
            seed: None,
        };
        match run::prepare(&what, None, &context) {
            Ok(prepared) => run::load_options(&prepared.settings),
            Err(errors) => return Ok(run::refuse(&errors)),
        }
    } else {
        compose::LoadOptions {
            files: args.compose.clone(),
            project_directory: args.project_directory.clone(),
            profiles: args.profile.clone(),
            env_file: args.env_file.clone(),
            environment: context.environment.clone(),
            project_name: None,
        }
    };
    let project = match compose::load(&options) {
        Ok(project) => project,
        Err(error) => return Ok(run::refuse(&[error])),
    };
    let canonical = project.canonical_json();
    match args.format {
        ConfigFormat::Json => print_json(&canonical),
        ConfigFormat::Yaml => {
            print!("{}", crate::yaml::write::yaml(&canonical));
            Ok(0)
        }
    }
}

/// The engine, to look and to remove.
async fn engine(context: &Context) -> Result<Engine> {
    Engine::connect(&Address::find(context)?, &RunLabels::of_none()).await
}

fn report(args: &ReportArgs) -> Result<u8> {
    let result = match json::read(&args.result) {
        Ok(result) => result,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(USAGE);
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
    Ok(if problems.is_empty() { 0 } else { USAGE })
}

fn explain(args: &ExplainArgs) -> u8 {
    if args.check.as_deref() == Some("lock") {
        print!("{}", lock::explain::TEXT);
        return 0;
    }
    let wanted = |about: &&check::About| args.check.as_ref().is_none_or(|id| id == about.id);
    let found: Vec<&check::About> = check::ALL.iter().filter(wanted).collect();
    for about in &found {
        println!("{}: {}\n\n{}\n", about.id, about.question, about.explain);
    }
    if found.is_empty() {
        let ids: Vec<&str> = check::ALL.iter().map(|about| about.id).collect();
        eprintln!(
            "error: there is no check `{}`; there are {}, and `lock`",
            args.check.as_deref().unwrap_or_default(),
            ids.join(", ")
        );
        return USAGE;
    }
    0
}
