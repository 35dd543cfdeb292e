//! The check run: title, summary and annotations. That of the job itself where the job tells which it is; its status and
//! conclusion are GitHub's, who takes them from the exit code. Else one of our own, completed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, Refusal, segment, value};
use super::occasion::Occasion;
use super::opens;
use crate::record::v1::Record;
use crate::record::verdict::Verdict;
use crate::report::github::{self, Annotation, Level};
use crate::report::{json, summary, words};
use crate::text::harmless;

/// Annotations that one request may hold.
const BATCH: usize = 50;
/// Annotations that anybody reads.
const MOST: usize = 1000;
/// GitHub asks for a second between writes where there are many.
const PACE: Duration = Duration::from_secs(1);
/// Bytes of a summary; GitHub takes 65,535 characters.
const SUMMARY: usize = 60_000;
/// Of a title; GitHub takes 255 characters.
const TITLE: usize = 200;
/// Of a message.
const MESSAGE: usize = 3500;
/// Of captured output; GitHub takes 64 KB.
const DETAIL: usize = 8 * 1024;
/// Where a runner puts what has no place in a file.
const NOWHERE: &str = ".github";

/// Which check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The job's own, by its number.
    Own(u64),
    /// One of ours, by its name.
    Named(String),
}

/// Publishes it. Again with the same record changes nothing.
///
/// # Errors
/// GitHub's.
pub async fn publish(api: &Api, occasion: &Occasion, result: &Record, wanted: &Wanted) -> Result<(), Refusal> {
    let (id, completion) = match wanted {
        Wanted::Own(id) => (*id, json!({})),
        Wanted::Named(name) => {
            let whole = completion(occasion, result, name);
            match ours(api, occasion, result, name).await? {
                Some(id) => (
                    id,
                    json!({"status": whole["status"], "conclusion": whole["conclusion"]}),
                ),
                None => return create(api, result, whole).await,
            }
        }
    };
    let missing = not_yet(api, id, &annotations(result)).await?;
    update(api, id, result, completion, &missing).await
}

/// What makes a check run of our own, but its output. Only `success` opens a gate: GitHub lets `neutral` and `skipped`
/// pass, too.
fn completion(occasion: &Occasion, result: &Record, name: &str) -> Value {
    let conclusion = match opens::of(result) {
        Verdict::Pass => "success",
        Verdict::Block | Verdict::Inconclusive => "failure",
    };
    let mut whole = json!({
        "name": name,
        "head_sha": occasion.head,
        "external_id": external_id(result),
        "status": "completed",
        "conclusion": conclusion,
    });
    if let Some(link) = occasion.link() {
        whole["details_url"] = link.into();
    }
    whole
}

/// One for each record: by this it is found again.
fn external_id(result: &Record) -> String {
    harmless::line(&format!("rehearsal {} {}", result.started, result.seed), 100)
}

async fn create(api: &Api, result: &Record, mut whole: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct Created {
        id: u64,
    }
    let all = annotations(result);
    let first = all.len().min(BATCH);
    whole["output"] = output(result, &all[..first]);
    let created: Created = api.post("/check-runs", &whole).await?;
    match &all[first..] {
        [] => Ok(()),
        rest => {
            tokio::time::sleep(PACE).await;
            update(api, created.id, result, json!({}), rest).await
        }
    }
}

async fn update(api: &Api, id: u64, result: &Record, change: Value, missing: &[Told]) -> Result<(), Refusal> {
    let batches: Vec<&[Told]> = match missing {
        [] => vec![missing],
        _ => missing.chunks(BATCH).collect(),
    };
    for (number, batch) in batches.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(PACE).await;
        }
        let mut change = change.clone();
        change["output"] = output(result, batch);
        let _updated: Value = api.patch(&format!("/check-runs/{id}"), &change).await?;
    }
    Ok(())
}

/// The check run that this record made before.
async fn ours(api: &Api, occasion: &Occasion, result: &Record, name: &str) -> Result<Option<u64>, Refusal> {
    #[derive(Deserialize)]
    struct Listed {
        id: u64,
        external_id: Option<String>,
    }
    let (head, name) = (segment(&occasion.head), value(name));
    let path = format!("/commits/{head}/check-runs?check_name={name}&filter=all");
    let all: Vec<Listed> = api.list(&path, Some("check_runs")).await?;
    let id = external_id(result);
    let mut same = all.iter().filter(|one| one.external_id.as_deref() == Some(&id));
    Ok(same.next().map(|one| one.id))
}

/// GitHub adds to what is there, so only what is not is sent.
async fn not_yet(api: &Api, id: u64, all: &[Told]) -> Result<Vec<Told>, Refusal> {
    #[derive(Deserialize)]
    struct There {
        path: String,
        start_line: u32,
        title: Option<String>,
        message: Option<String>,
    }
    let there: Vec<There> = api.list(&format!("/check-runs/{id}/annotations"), None).await?;
    let is_there = |one: &&Told| {
        there.iter().any(|it| {
            (it.path.as_str(), it.start_line) == (one.path.as_str(), one.start_line)
                && it.title.as_deref() == Some(&one.title)
                && it.message.as_deref() == Some(&one.message)
        })
    };
    Ok(all.iter().filter(|one| !is_there(one)).cloned().collect())
}

/// An annotation in GitHub's words.
#[derive(Debug, Clone, Serialize)]
struct Told {
    path: String,
    start_line: u32,
    end_line: u32,
    annotation_level: &'static str,
    title: String,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    raw_details: String,
}

fn annotations(result: &Record) -> Vec<Told> {
    github::told(result).iter().take(MOST).map(of).collect()
}

fn of(annotation: &Annotation) -> Told {
    let inside = |place: &&(String, u32)| !place.0.starts_with('/');
    let (path, line) = match annotation.place.as_ref().filter(inside) {
        Some((file, line)) => (harmless::line(file, TITLE), *line),
        None => (NOWHERE.to_owned(), 1),
    };
    Told {
        path,
        start_line: line,
        end_line: line,
        annotation_level: match annotation.level {
            Level::Failure => "failure",
            Level::Warning => "warning",
        },
        title: harmless::line(&annotation.title, TITLE),
        message: harmless::line(&annotation.message, MESSAGE),
        raw_details: harmless::block(&annotation.detail, DETAIL),
    }
}

fn output(result: &Record, annotations: &[Told]) -> Value {
    let verdict = words::Told::of(result).word();
    let mut output = json!({
        "title": harmless::line(&format!("{verdict}: {}", words::cause(result)), TITLE),
        "summary": summary::write(result, SUMMARY),
    });
    if !annotations.is_empty() {
        output["annotations"] = json!(annotations);
    }
    let more = github::told(result).len().saturating_sub(MOST);
    if more > 0 {
        output["text"] = format!("{more} more are in {}.", json::JUNIT).into();
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn every_annotation_is_below_githubs_limits_whatever_the_record_holds() {
        let long = "é".repeat(200_000);
        for nasty in samples::NASTY.iter().copied().chain([long.as_str()]) {
            for told in annotations(&samples::hostile_with(nasty)) {
                assert!(!told.path.is_empty() && told.start_line >= 1);
                assert!(told.title.len() <= 255 && told.message.len() <= 64_000 && told.raw_details.len() <= 64_000);
            }
        }
    }

    #[test]
    fn what_has_no_place_in_the_repository_stands_where_a_runner_puts_it() {
        let mut annotation = github::told(&samples::block()).remove(0);
        for place in [None, Some(("/etc/passwd".to_owned(), 3))] {
            annotation.place = place;
            let told = of(&annotation);
            assert_eq!((told.path.as_str(), told.start_line), (".github", 1));
        }
    }
}
