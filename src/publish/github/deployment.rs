//! The deployment that a rehearsal is, in an environment that somebody named for it, with its status. By commit: GitHub
//! finds no deployment of a merge queue's ref.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Refusal, segment, value};
use super::occasion::Occasion;
use super::status::{description, state};
use crate::record::v1::Record;

/// What a deployment of ours is called, beside those that deploy.
const TASK: &str = "rehearsal";

#[derive(Debug, Deserialize)]
struct Deployment {
    id: u64,
}

/// As far as it is read.
#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    description: Option<String>,
    log_url: Option<String>,
}

/// Publishes it. Again with the same record changes nothing.
///
/// # Errors
/// GitHub's.
pub async fn publish(api: &Api, occasion: &Occasion, result: &Record, environment: &str) -> Result<(), Refusal> {
    let id = match there(api, occasion, environment).await? {
        Some(id) => id,
        None => create(api, occasion, environment).await?,
    };
    let path = format!("/deployments/{id}/statuses");
    let (state, description, link) = (state(result), description(result), occasion.link().unwrap_or_default());
    let all: Vec<Status> = api.list(&path, None).await?;
    let same = |one: &Status| {
        one.state == state
            && one.description.as_deref() == Some(&description)
            && one.log_url.as_deref().unwrap_or_default() == link
    };
    // The latest is the first.
    if all.first().is_some_and(same) {
        return Ok(());
    }
    let status = json!({"state": state, "description": description, "log_url": link, "auto_inactive": false});
    let _made: Value = api.post(&path, &status).await?;
    Ok(())
}

async fn there(api: &Api, occasion: &Occasion, environment: &str) -> Result<Option<u64>, Refusal> {
    let (head, environment) = (segment(&occasion.head), value(environment));
    let path = format!("/deployments?sha={head}&task={TASK}&environment={environment}");
    let all: Vec<Deployment> = api.list(&path, None).await?;
    Ok(all.first().map(|one| one.id))
}

/// Nothing is merged for it and no other check is asked: it deploys nothing.
async fn create(api: &Api, occasion: &Occasion, environment: &str) -> Result<u64, Refusal> {
    let deployment = json!({
        "ref": occasion.head,
        "task": TASK,
        "environment": environment,
        "auto_merge": false,
        "required_contexts": [],
        "transient_environment": true,
        "production_environment": false,
        "description": "The deploy, performed on a mirror of production",
    });
    let made: Deployment = api.post("/deployments", &deployment).await?;
    Ok(made.id)
}
