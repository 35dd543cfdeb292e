//! `rehearsal merge`: the shards of a run as one record, with its reports, one verdict and its exit code.
//!
//! Exit codes are those of `run`: 2 where there is no record at all, and nothing was written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::common::shown;
use super::history::{DEPTH, records};
use super::out::{Out, Refusal};
use super::run::signer::Signer;
use super::run::told::{further, sign, told_by_check_run, without_record};
use super::{publish, refused, run};
use crate::cli::{Color, Format, MergeArgs};
use crate::context::Context;
use crate::merge::{self, Given, Merged};
use crate::record::exit_code::ExitCode;
use crate::record::v1::Record;
use crate::report::json;
use crate::report::terminal::{Colour, Terminal, say, tell};
use crate::text::redact::Redactor;

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn merge(args: &MergeArgs, context: &Context) -> Result<ExitCode> {
    let redactor = Redactor::of(&context.token);
    let signer = match Signer::read(args.told.key.as_ref(), context) {
        Ok((signer, _)) => signer,
        Err(error) => return Ok(run::refused(&Refusal::Usage(format!("{error:#}")))),
    };
    signer.iter().for_each(|signer| signer.hide(&redactor));
    let given = args.records.iter().flat_map(|named| given(named)).collect();
    let Some(mut merged) = merge::merge(given) else {
        let why = "there is no record: name the folders into which the shards were run, or one that holds them";
        return Ok(run::refused(&Refusal::Usage(why.to_owned())));
    };
    let folder = context.directory.join(&args.told.out);
    let out = match apart(&folder, &args.records).and_then(|()| Out::claim(&folder)) {
        Ok(out) => out,
        Err(refusal) => return Ok(run::refused(&refusal)),
    };
    redactor.clean_texts(&mut merged.record);
    let Merged {
        mut record,
        mut judgement,
    } = merged;
    if let Err(error) = json::write(&record, &out.folder.join(json::RESULT)) {
        without_record(&mut record, &mut judgement, &error);
    }
    warn(sign(signer.as_ref(), &record, &out.folder), &redactor);
    report(args, &record, (&out, context), &redactor).await;
    Ok(judgement.exit_code)
}

/// What is to be merged is not written over.
fn apart(out: &Path, named: &[PathBuf]) -> Result<(), Refusal> {
    let Ok(out) = out.canonicalize() else { return Ok(()) };
    let inside = |path: &&PathBuf| {
        let folder = if path.is_dir() {
            Some(path.as_path())
        } else {
            path.parent()
        };
        folder
            .and_then(|folder| folder.canonicalize().ok())
            .is_some_and(|folder| folder == out)
    };
    match named.iter().find(inside) {
        None => Ok(()),
        Some(path) => Err(Refusal::Usage(format!(
            "`{}` is to be merged, and would be written over: name another folder with `--out`",
            path.display()
        ))),
    }
}

/// What stands in a place that was named: one shard, or a folder with several.
fn given(named: &Path) -> Vec<Given> {
    let none = |why: String| {
        vec![Given {
            place: named.display().to_string(),
            read: Err(why),
        }]
    };
    let mut files = Vec::new();
    if !named.is_dir() {
        files.push(named.to_path_buf());
    } else if named.join(json::RESULT).exists() {
        files.push(named.join(json::RESULT));
    } else if let Err(error) = records(named, DEPTH, &mut files) {
        return none(error.to_string());
    }
    match files.is_empty() {
        true => none("there is no record in it".to_owned()),
        false => files.iter().map(|file| read(file)).collect(),
    }
}

fn read(file: &Path) -> Given {
    let folder = file
        .parent()
        .filter(|_| file.file_name().is_some_and(|name| name == json::RESULT));
    let place = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(file);
    Given {
        place: place.display().to_string(),
        read: publish::read(file).map_err(|error| format!("{error:#}")),
    }
}

async fn report(args: &MergeArgs, record: &Record, (out, context): (&Out, &Context), redactor: &Redactor) {
    let format = refused::format(args.told.format, context);
    warn(json::write_all(record, &out.folder).problems, redactor);
    warn(further(record, &args.told.report, &context.directory), redactor);
    if format == Format::Github {
        warn(refused::job(context).publish(record, &args.told.out), redactor);
    }
    let terminal = Terminal {
        colour: colour(args.told.color, context),
        width: context.width,
    };
    match format {
        Format::Json => drop(tell(&serde_json::to_string(record).unwrap_or_default())),
        Format::Human | Format::Github => say(terminal.summary(record, &out.reports(&args.told.out))),
    }
    if format == Format::Github && !told_by_check_run(record, &args.told.github, context, redactor).await {
        warn(refused::job(context).annotate(record, &mut std::io::stdout()), redactor);
    }
    // Nobody reading any more is no reason for another exit code.
    let _flushed = std::io::stdout().flush();
}

fn colour(asked: Color, context: &Context) -> Colour {
    match asked {
        Color::Always => Colour::On,
        Color::Never => Colour::Off,
        Color::Auto if context.colour() => Colour::On,
        Color::Auto => Colour::Off,
    }
}

fn warn(problems: Vec<String>, redactor: &Redactor) {
    for problem in problems {
        say(format!("warning: {}", shown(problem, redactor)));
    }
}
