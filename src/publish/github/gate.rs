//! The answer to a custom deployment protection rule: GitHub asks an app by a webhook before it deploys, and waits.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Refusal};
use super::occasion::Home;
use super::opens;
use super::slug::Slug;
use crate::context::Context;
use crate::record::v1::Record;
use crate::record::verdict::Verdict;
use crate::report::{summary, words};
use crate::text::harmless;

/// Characters of a comment, which is Markdown; GitHub takes 1,024.
const COMMENT: usize = 1000;

/// What GitHub asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub home: Home,
    run: u64,
    environment: String,
}

/// The webhook's payload, as far as it is read.
#[derive(Debug, Deserialize)]
struct Payload {
    environment: String,
    deployment_callback_url: String,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

impl Question {
    /// Reads the payload of `deployment_protection_rule`. The address to answer to is GitHub's own, by the environment:
    /// a payload that names another one is refused, for it would be given the token.
    ///
    /// # Errors
    /// It is not such a payload.
    pub fn read(payload: &[u8], context: &Context) -> Result<Self> {
        let payload: Payload = serde_json::from_slice(payload)
            .context("it is no payload of GitHub's webhook `deployment_protection_rule`")?;
        let repository: Slug = payload.repository.full_name.parse().map_err(anyhow::Error::msg)?;
        let home = Home::of(repository, context);
        let before = format!("{}/repos/{}/actions/runs/", home.api, home.repository);
        let url = &payload.deployment_callback_url;
        let run = url
            .strip_prefix(&before)
            .and_then(|rest| rest.strip_suffix("/deployment_protection_rule"));
        let run = run.and_then(|run| run.parse().ok());
        let run = run.with_context(|| format!("`{url}` is no address of a question of `{before}`"))?;
        ensure!(!payload.environment.is_empty(), "the payload names no environment");
        Ok(Self {
            home,
            run,
            environment: payload.environment,
        })
    }
}

/// Answers: only a pass opens it. What could not be told is said without an answer, and the deployment goes on waiting
/// for one.
///
/// # Errors
/// GitHub's.
pub async fn answer(api: &Api, question: &Question, result: &Record) -> Result<(), Refusal> {
    let path = format!("/actions/runs/{}/deployment_protection_rule", question.run);
    let mut answer = json!({"environment_name": question.environment, "comment": comment(result)});
    match opens::of(result) {
        Verdict::Pass => answer["state"] = "approved".into(),
        Verdict::Block => answer["state"] = "rejected".into(),
        Verdict::Inconclusive => {}
    }
    let _no_body: Value = api.post(&path, &answer).await?;
    Ok(())
}

/// As long as it may be once it is harmless.
fn comment(result: &Record) -> String {
    let verdict = words::Told::of(result).word();
    let told = format!("{verdict}: {}", words::cause(result));
    let lengths = [words::LINE, 500, 250, 120, 60];
    let mut told = lengths
        .iter()
        .map(|length| summary::escape(&harmless::line(&told, *length)));
    told.find(|told| told.len() <= COMMENT)
        .unwrap_or_else(|| verdict.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_comment_is_inert_and_short_enough_whatever_the_cause() {
        let long = "@".repeat(5000);
        for nasty in samples::NASTY.iter().copied().chain([long.as_str()]) {
            let told = comment(&samples::hostile_with(nasty));
            assert!(told.len() <= COMMENT && told.starts_with("BLOCK"), "{told}");
            assert!(!told.contains(['<', '`', '[', '*', '@', '\n']), "{told}");
        }
    }
}
