//! The commit status: the verdict in one line.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Refusal, segment};
use super::occasion::Occasion;
use super::opens;
use crate::record::v1::Record;
use crate::record::verdict::Verdict;
use crate::report::words;
use crate::text::harmless;

/// Of a description, GitHub's most.
pub(super) const DESCRIPTION: usize = 140;

/// As far as it is read.
#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    context: String,
    description: Option<String>,
    target_url: Option<String>,
}

/// Publishes it. Again with the same record changes nothing.
///
/// # Errors
/// GitHub's.
pub async fn publish(api: &Api, occasion: &Occasion, result: &Record, name: &str) -> Result<(), Refusal> {
    let head = segment(&occasion.head);
    let (state, description, link) = (state(result), description(result), occasion.link());
    let all: Vec<Status> = api.list(&format!("/commits/{head}/statuses"), None).await?;
    // The latest is the first.
    let latest = all.iter().find(|one| one.context.eq_ignore_ascii_case(name));
    let same =
        |one: &Status| one.state == state && one.description.as_deref() == Some(&description) && one.target_url == link;
    if latest.is_some_and(same) {
        return Ok(());
    }
    let status = json!({"state": state, "context": name, "description": description, "target_url": link});
    let _made: Value = api.post(&format!("/statuses/{head}"), &status).await?;
    Ok(())
}

/// In the words of a status, of a commit's and of a deployment's alike.
pub(super) fn state(result: &Record) -> &'static str {
    match opens::of(result) {
        Verdict::Pass => "success",
        Verdict::Block => "failure",
        Verdict::Inconclusive => "error",
    }
}

/// The verdict and its cause, as plain text.
pub(super) fn description(result: &Record) -> String {
    let verdict = words::Told::of(result).word();
    harmless::line(&format!("{verdict}: {}", words::cause(result)), DESCRIPTION)
}
