//! `rehearsal down`: removes what runs have left, and the mirror that this configuration keeps.

use anyhow::Result;

use super::common::{engine, failed, refuse, shown};
use crate::cli::DownArgs;
use crate::config::read;
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::sweep::{self, Leftover, Liveness};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::say;
use crate::text::redact::Redactor;
use crate::yaml::diagnostic::Diagnostic;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn down(args: &DownArgs, context: &Context) -> Result<ExitCode> {
    if let Some(file) = args
        .config
        .as_ref()
        .filter(|file| !context.directory.join(file).is_file())
    {
        let error = Diagnostic::new(format!("there is no `{}`", file.display()));
        return Ok(refuse(&[error.help(
            "name the configuration that the mirror was made from, or `--run`, or `--all`",
        )]));
    }
    // What others called their runs and files; no secret is known here.
    let redactor = Redactor::default();
    let engine = match engine(context).await {
        Ok(engine) => engine,
        Err(error) => {
            failed(&error, &redactor);
            return Ok(ExitCode::Inconclusive);
        }
    };
    let here = configuration(args, context);
    let mut code = ExitCode::Pass;
    for left in sweep::leftovers(&engine).await? {
        if let Some(why) = left_alone(args, here.as_deref(), &left) {
            say(format!("run {} is left alone: {why}", shown(&left.run, &redactor)));
        } else if let Err(error) = remove(&engine, &left, &redactor).await {
            failed(&error, &redactor);
            code = ExitCode::Inconclusive;
        }
    }
    for file in sweep::remove_lock_files(&context.runs) {
        let error = format!("error: `{}` could not be removed", file.display());
        say(shown(error, &redactor));
        code = ExitCode::Inconclusive;
    }
    Ok(code)
}

async fn remove(engine: &Engine, left: &Leftover, redactor: &Redactor) -> Result<()> {
    let kept = sweep::remove_run(engine, &left.run).await?;
    say(format!("removed what run {} had left", shown(&left.run, redactor)));
    if let Some(words) = kept.words() {
        say(format!("note: {}", shown(words, redactor)));
    }
    Ok(())
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
