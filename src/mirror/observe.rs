//! What already runs on an engine that is not a run's own: production's. Everything here only reads.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use bollard::query_parameters as query;
use sha2::Digest as _;

use super::engine::{Engine, engine_words};

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

    /// The digest that a registry has for a reference now.
    ///
    /// # Errors
    /// The registry does not answer, refuses, or has no such image: its words.
    pub async fn registry_digest(&self, reference: &str) -> Result<String> {
        let found = self.docker().inspect_registry_image(reference, None).await;
        let found =
            found.map_err(|error| anyhow!("the registry says nothing of `{reference}`: {}", engine_words(&error)))?;
        found
            .descriptor
            .digest
            .with_context(|| format!("the registry gives no digest of `{reference}`"))
    }
}

fn observed(listed: bollard::models::ContainerSummary) -> Option<Observed> {
    let labels: HashMap<String, String> = listed.labels.unwrap_or_default();
    let mirror = labels.contains_key(super::engine::LABEL_RUN);
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

/// Where the engine of a Docker context listens, read from the client's own files in `config`.
///
/// # Errors
/// There is no such context.
pub fn context_host(config: &Path, context: &str) -> Result<String> {
    let hash: String = sha2::Sha256::digest(context)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = config.join("contexts/meta").join(hash).join("meta.json");
    let text = std::fs::read_to_string(&file);
    let text = text.with_context(|| format!("there is no Docker context `{context}` (see `docker context ls`)"))?;
    let meta: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` cannot be read", file.display()))?;
    let host = meta["Endpoints"]["docker"]["Host"].as_str();
    host.map(str::to_owned)
        .with_context(|| format!("the Docker context `{context}` names no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_the_hash_of_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        // The hash that the Docker client makes of `prod`.
        let hash: String = sha2::Sha256::digest("prod")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let meta = folder.path().join("contexts/meta").join(hash);
        std::fs::create_dir_all(&meta).expect("writable");
        let text = r#"{"Name":"prod","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://10.0.0.7:2375","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).expect("writable");
        assert_eq!(
            context_host(folder.path(), "prod").expect("it is there"),
            "tcp://10.0.0.7:2375"
        );
        assert!(
            context_host(folder.path(), "other")
                .expect_err("it is not")
                .to_string()
                .contains("no Docker context `other`")
        );
    }
}
