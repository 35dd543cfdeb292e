//! Whether a check is required on a branch: by the rules of the repository, which any token may read, or by the older
//! protection of a branch, which few may.

use serde::Deserialize;
use serde_json::Value;

use super::api::{Api, Refusal, segment};

/// What is known of the checks that a branch requires.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Required {
    /// Their names.
    pub checks: Vec<String>,
    /// Why there may be others.
    pub unseen: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    parameters: Option<Value>,
}

/// Asks for both.
///
/// # Errors
/// The rules could not be read.
pub async fn of_branch(api: &Api, branch: &str) -> Result<Required, Refusal> {
    let branch = segment(branch);
    let rules: Vec<Rule> = api.list(&format!("/rules/branches/{branch}"), None).await?;
    let rules = rules.iter().filter(|rule| rule.kind == "required_status_checks");
    let checks = rules.flat_map(|rule| {
        let checks = rule
            .parameters
            .as_ref()
            .and_then(|all| all["required_status_checks"].as_array());
        checks.into_iter().flatten()
    });
    let checks = checks.filter_map(|check| check["context"].as_str()).map(str::to_owned);
    let mut required = Required {
        checks: checks.collect(),
        unseen: None,
    };
    let protection: Result<Value, Refusal> = api
        .get(&format!("/branches/{branch}/protection/required_status_checks"))
        .await;
    match protection {
        Ok(protection) => required.checks.extend(contexts(&protection)),
        // GitHub says the same where there is none.
        Err(refusal) => required.unseen = Some(refusal.to_string()),
    }
    Ok(required)
}

fn contexts(protection: &Value) -> Vec<String> {
    let all = protection["contexts"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}
