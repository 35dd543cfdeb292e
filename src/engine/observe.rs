//! What already runs on an engine that is not a run's own: production's. Everything here only reads.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use bollard::query_parameters as query;

use super::Engine;
use super::labels::LABEL_RUN;
use crate::engine::words::engine_words;

/// Compose's name for the service a container is.
const LABEL_SERVICE: &str = "com.docker.compose.service";
/// Compose's name for the project it belongs to.
const LABEL_PROJECT: &str = "com.docker.compose.project";
/// Of one-off containers (`docker compose run`): they are not production.
const LABEL_ONE_OFF: &str = "com.docker.compose.oneoff";

/// A container that runs somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Id on the engine.
    pub id: String,
    /// Name, without the slash.
    pub name: String,
    /// Reference as it was started from.
    pub image: String,
    /// The image's own id.
    pub image_id: String,
    /// The Compose service, where it has one.
    pub service: Option<String>,
    /// The Compose project, where it has one.
    pub project: Option<String>,
}

impl Engine {
    /// Every running container that is neither a mirror's nor a one-off.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn observe(&self) -> Result<Vec<Observed>> {
        let options = query::ListContainersOptions::default();
        let listed = self
            .docker()
            .list_containers(Some(options))
            .await
            .map_err(|error| anyhow!("{}", engine_words(&error)))?;
        let mut all: Vec<Observed> = listed.into_iter().filter_map(observed).collect();
        all.sort_by(|one, other| (&one.service, &one.name).cmp(&(&other.service, &other.name)));
        Ok(all)
    }
}

fn observed(listed: bollard::models::ContainerSummary) -> Option<Observed> {
    let labels: HashMap<String, String> = listed.labels.unwrap_or_default();
    let mirror = labels.contains_key(LABEL_RUN);
    let one_off = labels
        .get(LABEL_ONE_OFF)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let names = listed.names.unwrap_or_default();
    (!mirror && !one_off).then(|| Observed {
        id: listed.id.unwrap_or_default(),
        name: names
            .first()
            .map(|name| name.trim_start_matches('/').to_owned())
            .unwrap_or_default(),
        image: listed.image.unwrap_or_default(),
        image_id: listed.image_id.unwrap_or_default(),
        service: labels.get(LABEL_SERVICE).cloned(),
        project: labels.get(LABEL_PROJECT).cloned(),
    })
}
