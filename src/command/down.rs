//! `rehearsal down`: removes what runs have left, and the mirror that this configuration keeps.

use anyhow::Result;

use super::common::engine;
use crate::cli::DownArgs;
use crate::config::read;
use crate::context::Context;
use crate::engine::sweep::{self, Leftover, Liveness};
use crate::record::exit_code::ExitCode;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn down(args: &DownArgs, context: &Context) -> Result<ExitCode> {
    let engine = match engine(context).await {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::Inconclusive);
        }
    };
    let here = configuration(args, context);
    let mut code = ExitCode::Pass;
    for left in sweep::leftovers(&engine).await? {
        if let Some(why) = left_alone(args, here.as_deref(), &left) {
            eprintln!("run {} is left alone: {why}", left.run);
        } else if let Err(error) = sweep::remove_run(&engine, &left.run).await {
            eprintln!("error: {error:#}");
            code = ExitCode::Inconclusive;
        } else {
            eprintln!("removed what run {} had left", left.run);
        }
    }
    for file in sweep::remove_lock_files(&context.runs) {
        eprintln!("error: `{}` could not be removed", file.display());
        code = ExitCode::Inconclusive;
    }
    Ok(code)
}

/// As kept mirrors are labelled with it.
fn configuration(args: &DownArgs, context: &Context) -> Option<String> {
    let file = match &args.config {
        Some(file) => context.directory.join(file),
        None => read::find(&context.directory)?,
    };
    Some(read::absolute(&file).to_string_lossy().into_owned())
}

fn left_alone(args: &DownArgs, here: Option<&str>, left: &Leftover) -> Option<&'static str> {
    if let Some(run) = &args.run {
        return (*run != left.run).then_some("another run was named");
    }
    match left.liveness {
        Liveness::Alive => Some("it is at work"),
        Liveness::Kept if args.all || left.kept_for.as_deref() == here => None,
        Liveness::Kept => Some("it was asked to stay, for another configuration; use --all"),
        Liveness::Dead => None,
    }
}
