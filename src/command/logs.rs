//! `rehearsal logs`: what the services of a living mirror say; where none lives, what the last run wrote down.

use std::path::Path;

use anyhow::Result;
use time::OffsetDateTime;
use tokio::sync::mpsc::unbounded_channel;

use super::common::{engine, failed, refuse, shown};
use crate::cli::LogsArgs;
use crate::config::read;
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::sweep::{self, Liveness};
use crate::engine::tail::{self, Reading};
use crate::prepare::{self, Asked};
use crate::record::exit_code::ExitCode;
use crate::record::stage::StageId;
use crate::report::terminal::{say, tell};
use crate::text::harmless;
use crate::text::redact::Redactor;
use crate::yaml::diagnostic::Diagnostic;

/// A line is shown up to here.
const LINE: usize = 16 * 1024;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn logs(args: &LogsArgs, context: &Context) -> Result<ExitCode> {
    let engine = engine(context).await;
    let living = match &engine {
        Ok(engine) => living(args, context, engine).await?,
        Err(error) if args.run.is_some() => {
            failed(error, &Redactor::default());
            return Ok(ExitCode::Inconclusive);
        }
        Err(_) => None,
    };
    match (engine, living) {
        (Ok(engine), Some(run)) => of_mirror(args, context, &engine, &run).await,
        _ => Ok(of_folder(args, &context.directory.join(&args.out))),
    }
}

/// The run that is named, else the mirror that this configuration keeps, else the only one there is.
async fn living(args: &LogsArgs, context: &Context, engine: &Engine) -> Result<Option<String>> {
    if args.run.is_some() {
        return Ok(args.run.clone());
    }
    let mut all = sweep::leftovers(engine).await?;
    all.retain(|left| left.liveness != Liveness::Dead && left.kept_for.is_some());
    let here = args.config.clone().or_else(|| read::find(&context.directory));
    let here = here.map(|file| read::absolute(&file).to_string_lossy().into_owned());
    let own = all.iter().find(|left| here.is_some() && left.kept_for == here);
    let only = if here.is_none() && all.len() == 1 {
        all.first()
    } else {
        None
    };
    Ok(own.or(only).map(|left| left.run.clone()))
}

async fn of_mirror(args: &LogsArgs, context: &Context, engine: &Engine, run: &str) -> Result<ExitCode> {
    let mut containers = tail::containers(engine, run).await?;
    let services: Vec<String> = containers.iter().map(|(_, service)| service.clone()).collect();
    if let Some(wanted) = &args.service {
        containers.retain(|(_, service)| service == wanted);
    }
    if containers.is_empty() {
        let error = format!("error: {}", nothing(args, run, &services));
        say(shown(error, &Redactor::default()));
        return Ok(ExitCode::Usage);
    }
    let redactor = match redactor(args, context) {
        Ok(redactor) => redactor,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let since = args
        .since
        .map_or(0, |since| (OffsetDateTime::now_utc() - since).unix_timestamp());
    let since = i32::try_from(since).unwrap_or(0);
    let width = services.iter().map(String::len).max().unwrap_or(0);
    let show = |line: &tail::LogLine| {
        let text = harmless::line(&redactor.clean(&line.text), LINE);
        tell(&format!("{:<width$} | {text}", line.service))
    };
    let (lines, mut heard) = unbounded_channel();
    let mode = if args.follow { Reading::Follows } else { Reading::Ends };
    let reading = tail::read(engine, &containers, since, mode, lines);
    if args.follow {
        tokio::pin!(reading);
        loop {
            tokio::select! {
                biased;
                Some(line) = heard.recv() => if !show(&line) { return Ok(ExitCode::Pass) },
                () = &mut reading => break,
            }
        }
    } else {
        reading.await;
    }
    let mut rest = Vec::new();
    while let Ok(line) = heard.try_recv() {
        rest.push(line);
    }
    rest.sort_by(|one, other| one.stamp.cmp(&other.stamp));
    rest.iter().all(show);
    Ok(ExitCode::Pass)
}

fn nothing(args: &LogsArgs, run: &str, services: &[String]) -> String {
    match &args.service {
        Some(service) if !services.is_empty() => {
            format!("run {run} has no service `{service}`; it has {}", services.join(", "))
        }
        _ => format!("run {run} has no service on this engine; `rehearsal doctor` lists what there is"),
    }
}

/// Knows the secrets of the configuration, where there is one: with one that cannot be used they would be shown.
fn redactor(args: &LogsArgs, context: &Context) -> Result<Redactor, Vec<Diagnostic>> {
    if args.config.is_none() && read::find(&context.directory).is_none() {
        say("note: there is no configuration here, so only what has the shape of a token is redacted");
        return Ok(Redactor::default());
    }
    let asked = Asked::of(args.config.as_deref());
    prepare::prepare_production(&asked, context).map(|prepared| prepared.redactor())
}

/// What the last run wrote down, stage by stage: redacted when it was written.
fn of_folder(args: &LogsArgs, out: &Path) -> ExitCode {
    let mut found = false;
    for stage in StageId::ALL {
        let folder = out.join("logs").join(stage.as_str());
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let service = file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            if args.service.as_ref().is_some_and(|wanted| *wanted != service) {
                continue;
            }
            found = true;
            let content = std::fs::read(&file).unwrap_or_default();
            for line in String::from_utf8_lossy(&content).lines() {
                if !tell(&format!(
                    "{} {service} | {}",
                    stage.as_str(),
                    harmless::line(line, LINE)
                )) {
                    return ExitCode::Pass;
                }
            }
        }
    }
    if !found {
        say(format!(
            "error: no mirror lives, and `{}` holds no such log",
            out.join("logs").display()
        ));
        return ExitCode::Usage;
    }
    ExitCode::Pass
}
