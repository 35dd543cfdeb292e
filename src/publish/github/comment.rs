//! The one comment on a pull request: made when something is not green, changed by every later run, and green again when
//! that is. It is found by a mark in its first line and by its author: a mark alone could be anybody's.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, Refusal};
use super::occasion::{Event, Occasion};
use crate::record::v1::Record;
use crate::record::verdict::Verdict;
use crate::report::{summary, words};
use crate::text::harmless;

/// Bytes of a comment; GitHub takes 65,536 characters.
const BUDGET: usize = 60_000;
/// Runs that are told.
const RUNS: usize = 5;
/// Of a former run's cause.
const CAUSE: usize = 160;

/// Which comment.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The name in its mark.
    pub name: &'a str,
    /// Whose the token is.
    pub login: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It says what the record says.
    Told,
    /// There is no open pull request of this commit.
    NoPullRequest,
    /// All is green, and no comment ever said otherwise.
    Nothing,
    /// It was written by somebody else than was thought, and will not be found again.
    AsAnother(String),
}

/// A comment, as far as it is read.
#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    /// Hidden by somebody: it is not shown, so it is left alone.
    #[serde(default)]
    minimized: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

/// A run as the comment keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    verdict: String,
    cause: String,
    started: String,
    commit: String,
    run: Option<u64>,
}

/// Publishes it. Again with the same record changes nothing.
///
/// # Errors
/// GitHub's.
pub async fn publish(api: &Api, occasion: &Occasion, result: &Record, wanted: &Wanted<'_>) -> Result<Done, Refusal> {
    let Some(number) = occasion.pull_request(api).await? else {
        return Ok(Done::NoPullRequest);
    };
    let all: Vec<Comment> = api.list(&format!("/issues/{number}/comments"), None).await?;
    let Some(ours) = all.iter().find(|one| is_ours(one, wanted)) else {
        return match result.verdict.or(Verdict::Inconclusive) {
            Verdict::Pass => Ok(Done::Nothing),
            Verdict::Block | Verdict::Inconclusive => create(api, occasion, result, wanted, number).await,
        };
    };
    let before = ours.body.as_deref().unwrap_or_default();
    let body = body(occasion, result, wanted.name, &former(before));
    // GitHub gives lines back with another end than they had.
    if before.replace('\r', "") != body {
        let path = format!("/issues/comments/{}", ours.id);
        let _changed: Value = api.patch(&path, &json!({"body": body})).await?;
    }
    Ok(Done::Told)
}

async fn create(
    api: &Api,
    occasion: &Occasion,
    result: &Record,
    wanted: &Wanted<'_>,
    number: u64,
) -> Result<Done, Refusal> {
    let body = json!({"body": body(occasion, result, wanted.name, &[])});
    let made: Comment = api.post(&format!("/issues/{number}/comments"), &body).await?;
    match made.user {
        Some(user) if !user.login.eq_ignore_ascii_case(wanted.login) => Ok(Done::AsAnother(user.login)),
        _ => Ok(Done::Told),
    }
}

fn is_ours(comment: &Comment, wanted: &Wanted<'_>) -> bool {
    let first = comment.body.as_deref().and_then(|body| body.lines().next());
    let by = comment.user.as_ref().map(|user| user.login.as_str());
    first == Some(&mark(wanted.name))
        && by.is_some_and(|login| login.eq_ignore_ascii_case(wanted.login))
        && comment.minimized.is_none()
}

fn mark(name: &str) -> String {
    format!("<!-- rehearsal: {name} -->")
}

fn body(occasion: &Occasion, result: &Record, name: &str, former: &[Run]) -> String {
    let now = this(occasion, result);
    let other = |run: &&Run| (&run.started, run.run) != (&now.started, now.run);
    let mut runs = vec![now.clone()];
    runs.extend(former.iter().filter(other).take(RUNS - 1).cloned());
    let head = format!("{}\n{}\n", mark(name), kept(&runs));
    let table = table(occasion, &runs);
    let whose = match occasion.event {
        Event::OtherWorkflow { .. } => STRANGERS,
        Event::PullRequest(_) | Event::Other => "",
    };
    let budget = BUDGET.saturating_sub(head.len() + table.len() + whose.len() + 2);
    format!("{head}{}\n{whose}{table}", summary::write(result, budget))
}

/// Said of a record that came from a job of the pull request itself.
const STRANGERS: &str = "This is what the pull request's own job says. Its check decides, not this comment.\n\n";

fn this(occasion: &Occasion, result: &Record) -> Run {
    Run {
        verdict: words::Told::of(result).word().to_owned(),
        cause: harmless::line(&words::cause(result), CAUSE),
        started: harmless::line(&result.started, 40),
        commit: occasion.head.clone(),
        run: occasion.run,
    }
}

const KEPT: &str = "<!-- runs: ";

/// In letters that can end no comment of HTML.
fn kept(runs: &[Run]) -> String {
    let json = serde_json::to_vec(runs).unwrap_or_default();
    format!("{KEPT}{} -->", STANDARD.encode(json))
}

/// What the comment keeps of former runs. People may have changed it: what cannot be read is no run.
fn former(body: &str) -> Vec<Run> {
    let kept = body
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix(KEPT)?.strip_suffix(" -->"));
    let json = kept.and_then(|kept| STANDARD.decode(kept).ok());
    let mut runs: Vec<Run> = json
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    runs.truncate(RUNS);
    for text in runs
        .iter_mut()
        .flat_map(|run| [&mut run.verdict, &mut run.cause, &mut run.started, &mut run.commit])
    {
        *text = harmless::line(text, CAUSE);
    }
    runs
}

fn table(occasion: &Occasion, runs: &[Run]) -> String {
    let title = words::counted(runs.len() as u64, "run", "last runs");
    let mut told =
        format!("<details><summary>{title}</summary>\n\n| | started | commit | cause |\n|---|---|---|---|\n");
    for run in runs {
        let started = summary::escape(&run.started);
        let started = run.run.map_or_else(
            || started.clone(),
            |id| format!("[{started}]({})", occasion.link_to(id)),
        );
        let commit: String = run.commit.chars().take(12).collect();
        let (verdict, commit, cause) = (
            summary::escape(&run.verdict),
            summary::escape(&commit),
            summary::escape(&run.cause),
        );
        // Writing into a string does not fail.
        let _written = writeln!(told, "| {verdict} | {started} | <code>{commit}</code> | {cause} |");
    }
    told + "\n</details>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::github::occasion::Home;
    use crate::report::samples;

    fn occasion(run: u64) -> Occasion {
        Occasion {
            home: Home {
                api: "https://api.github.com".to_owned(),
                server: "https://github.com".to_owned(),
                repository: "acme/shop".parse().expect("a slug"),
            },
            head: "1".repeat(40),
            event: Event::PullRequest(3),
            run: Some(run),
        }
    }

    #[test]
    fn a_comment_keeps_the_last_five_runs_and_each_once() {
        let mut text = String::new();
        for run in [1, 2, 3, 4, 5, 6, 6] {
            text = body(&occasion(run), &samples::block(), "rehearsal", &former(&text));
        }
        let runs: Vec<_> = former(&text).into_iter().filter_map(|run| run.run).collect();
        assert_eq!(runs, [6, 5, 4, 3, 2]);
        assert!(text.contains("](https://github.com/acme/shop/actions/runs/2)") && !text.contains("runs/1)"));
    }

    #[test]
    fn hostile_text_is_inert_and_the_mark_stays_the_first_line() {
        let clean = body(&occasion(1), &samples::hostile_with("x"), "rehearsal", &[]);
        for nasty in samples::NASTY {
            let hostile = Run {
                verdict: (*nasty).to_owned(),
                cause: (*nasty).to_owned(),
                started: (*nasty).to_owned(),
                commit: (*nasty).to_owned(),
                run: Some(7),
            };
            let changed = format!("{}\n{}\n", mark("rehearsal"), kept(&[hostile]));
            let text = body(
                &occasion(1),
                &samples::hostile_with(nasty),
                "rehearsal",
                &former(&changed),
            );
            assert!(text.len() <= BUDGET);
            assert_eq!(text.lines().next(), Some("<!-- rehearsal: rehearsal -->"));
            let count = |text: &str, what: &str| text.matches(what).count();
            assert_eq!(count(&text, "<!--"), 2, "{text}");
            // Inside of `pre` GitHub looks for nothing.
            let outside: String = text
                .split("<pre>")
                .map(|part| part.rsplit("</pre>").next().unwrap_or(part))
                .collect();
            assert!(!text.contains("<script") && !outside.contains("](javascript") && !outside.contains("@everyone"));
            assert_eq!(count(&text, "](http"), count(&clean, "](http") + 1, "{text}");
            let table = text.rsplit("<details>").next().expect("a table");
            for row in table.lines().filter(|line| line.starts_with('|')) {
                assert_eq!(row.matches('|').count(), 5, "{row}");
            }
        }
    }

    #[test]
    fn what_somebody_made_of_the_kept_runs_is_no_run() {
        for line in ["", "<!-- runs: %%% -->", "<!-- runs: e30= -->", "<!-- runs: -->"] {
            assert_eq!(former(&format!("{}\n{line}\n", mark("x"))), []);
        }
    }

    #[test]
    fn a_mark_of_somebody_else_or_one_that_was_hidden_is_not_ours() {
        let wanted = Wanted {
            name: "rehearsal",
            login: "github-actions[bot]",
        };
        let comment = |name: &str, login: &str, minimized: Option<Value>| Comment {
            id: 1,
            body: Some(format!("{}\r\nx", mark(name))),
            user: Some(User {
                login: login.to_owned(),
            }),
            minimized,
        };
        assert!(is_ours(&comment("rehearsal", "github-actions[bot]", None), &wanted));
        assert!(!is_ours(&comment("rehearsal", "mallory", None), &wanted));
        assert!(!is_ours(&comment("other", "github-actions[bot]", None), &wanted));
        let hidden = Some(json!({"reason": "outdated"}));
        assert!(!is_ours(&comment("rehearsal", "github-actions[bot]", hidden), &wanted));
    }
}
