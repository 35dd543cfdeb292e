//! `rehearsal publish`: tells GitHub what a record says, each thing only where the token may.
//!
//! The exit code says nothing of the verdict: 0 also where GitHub was told little or nothing, which is then said; 2 where
//! there is no record, no token or no repository.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::common::{failed, shown};
use crate::cli::{GithubArgs, PublishArgs};
use crate::context::Context;
use crate::publish::github::gate::{self, Question};
use crate::publish::github::occasion::Occasion;
use crate::publish::github::steps::{self, Step, Told};
use crate::record::exit_code::ExitCode;
use crate::record::v1::Record;
use crate::report::json;
use crate::report::terminal::say;
use crate::text::redact::Redactor;

/// For all that is told: a job must not wait for GitHub for ever.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of a record. It may come from a stranger's job.
const RECORD: u64 = 64 * 1024 * 1024;
/// Where the pattern with two workflows is shown.
const EXAMPLE: &str = ".github/examples/rehearsal-comment.yml";

pub async fn publish(args: &PublishArgs, context: &Context) -> Result<ExitCode> {
    let redactor = Redactor::of(&context.token);
    match all(args, context, &redactor).await {
        Ok(told) => {
            let done: Vec<&str> = told.done.iter().map(|step| step.words()).collect();
            match done.is_empty() {
                true => say("GitHub was told nothing"),
                false => say(format!("GitHub was told by {}", done.join(", "))),
            }
            tell_notes(&told, &redactor);
            Ok(ExitCode::Pass)
        }
        Err(error) => {
            failed(&error, &redactor);
            Ok(ExitCode::Usage)
        }
    }
}

async fn all(args: &PublishArgs, context: &Context, redactor: &Redactor) -> Result<Told> {
    let mut result = read(&args.result)?;
    redactor.clean_texts(&mut result);
    match &args.gate {
        Some(payload) => answer(payload, &result, context).await,
        None => tell(&result, &args.github, context).await,
    }
}

pub(super) fn read(named: &Path) -> Result<Record> {
    let file = match named.is_dir() {
        true => named.join(json::RESULT),
        false => named.to_path_buf(),
    };
    let length = std::fs::metadata(&file).map_or(0, |found| found.len());
    ensure!(
        length <= RECORD,
        "`{}` has {length} bytes, and a record of more than {RECORD} is not read",
        file.display()
    );
    json::read(&file)
}

/// What GitHub is told of a record.
///
/// # Errors
/// There is no token, or nothing says which repository and which commit.
pub(super) async fn tell(result: &Record, args: &GithubArgs, context: &Context) -> Result<Told> {
    let occasion = Occasion::read(context)?;
    let api = occasion.home.api(context)?;
    let wanted = args.wanted();
    let telling = steps::tell(&api, &occasion, result, &wanted);
    let mut told = tokio::time::timeout(LIMIT, telling).await.unwrap_or_else(|_| Told {
        done: Vec::new(),
        notes: vec![format!("GitHub was not told all within {} s", LIMIT.as_secs())],
    });
    if !told.notes.is_empty() && context.withheld().is_some() {
        told.notes.push(format!(
            "the token of a fork's or of Dependabot's pull request may only read: `{EXAMPLE}` comments from another workflow"
        ));
    }
    Ok(told)
}

/// Answers the question of a deployment protection rule.
async fn answer(payload: &Path, result: &Record, context: &Context) -> Result<Told> {
    let shown = payload.display();
    let bytes = std::fs::read(payload).with_context(|| format!("`{shown}` cannot be read"))?;
    let question = Question::read(&bytes, context).with_context(|| format!("`{shown}` cannot be answered"))?;
    let api = question.home.api(context)?;
    Ok(match gate::answer(&api, &question, result).await {
        Ok(()) => Told {
            done: vec![Step::Answer],
            notes: Vec::new(),
        },
        Err(refusal) => Told {
            done: Vec::new(),
            notes: vec![format!(
                "the protection rule was not answered, and goes on waiting: {refusal}"
            )],
        },
    })
}

/// Says what GitHub was not told.
pub(super) fn tell_notes(told: &Told, redactor: &Redactor) {
    for note in &told.notes {
        say(format!("note: {}", shown(note, redactor)));
    }
}
