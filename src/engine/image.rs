//! Images: what the engine has, and what is made out of a file system.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use bollard::errors::Error as DockerError;
use bollard::models::ImageInspect;
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Engine;
use super::pull::reference::Reference;

/// So many tags are named in a hint.
const TAGS: usize = 10;

/// What is known of an image.
#[derive(Debug, Clone, Default)]
pub struct ImageFacts {
    /// `sha256:…`: the registry's digest where it has one, else the image's own id.
    pub digest: String,
    /// The image's own id.
    pub id: String,
    /// Health check of its recipe.
    pub health: Option<bollard::models::HealthConfig>,
    /// TCP ports it says it listens on.
    pub ports: Vec<u16>,
    /// The same for UDP.
    pub datagram_ports: Vec<u16>,
    /// Paths it declares as volumes.
    pub volumes: Vec<String>,
    /// What its recipe's shell form runs in; empty = the engine's default.
    pub shell: Vec<String>,
    /// `repository@sha256:…`, by which registries know it; empty = it was made here.
    pub repo_digests: Vec<String>,
    /// `linux/amd64`, with the variant where there is one.
    pub platform: String,
    /// When it got its name on this engine: when it was pulled last.
    pub tagged: Option<time::OffsetDateTime>,
}

impl ImageFacts {
    /// `repository@sha256:…`, by which a registry knows it: the registry's that a reference names, where that is among
    /// those that know it. `None` = none does.
    pub fn pushed(&self, reference: &str) -> Option<String> {
        let reference = Reference::of(reference);
        if let Some(digest) = &reference.digest {
            return Some(reference.pinned(digest));
        }
        let is_there = |full: &&String| Reference::of(full).repository() == reference.repository();
        let there = self.repo_digests.iter().find(is_there);
        there.or(self.repo_digests.first()).cloned()
    }
}

impl Engine {
    /// Facts of an image the engine has; `None` where it has it not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>> {
        match self.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(facts_of(found))),
            Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("image `{reference}` could not be inspected")),
        }
    }

    /// What the engine has of the same repository, by name and tag, in order; none where it does not answer, for this is
    /// a hint.
    pub async fn tags_beside(&self, reference: &str) -> Vec<String> {
        let repository = Reference::of(reference).repository();
        let options = query::ListImagesOptions {
            filters: Some(HashMap::from([("reference".to_owned(), vec![repository.clone()])])),
            ..Default::default()
        };
        let images = self.docker.list_images(Some(options)).await.unwrap_or_default();
        let is_beside = |tag: &String| Reference::of(tag).repository() == repository && tag != reference;
        let tags: BTreeSet<String> = images
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .filter(is_beside)
            .collect();
        tags.into_iter().take(TAGS).collect()
    }

    /// Makes an image out of an archive of a file system.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn import(&self, name: &str, tag: &str, archive: Vec<u8>, changes: Vec<String>) -> Result<()> {
        let options = query::CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            changes,
            ..Default::default()
        };
        let engine = self.clone();
        let reference = format!("{name}:{tag}");
        let tagged = query::TagImageOptions {
            repo: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
        };
        self.finish(async move {
            let body = bollard::body_full(Bytes::from(archive));
            let mut stream = Box::pin(engine.docker.create_image(Some(options), Some(body), None));
            let mut made = String::new();
            while let Some(step) = stream.next().await {
                made = step?.status.unwrap_or(made);
            }
            // Podman names what it imports by the repository alone.
            if engine.image(&reference).await?.is_none() {
                engine.docker.tag_image(&made, Some(tagged)).await?;
            }
            Ok::<(), anyhow::Error>(())
        })
        .await?
        .context("the agent's image could not be made")
    }
}

fn facts_of(image: ImageInspect) -> ImageFacts {
    let config = image.config.unwrap_or_default();
    let id = image.id.unwrap_or_default();
    let repo_digests = image.repo_digests.unwrap_or_default();
    let digest = repo_digests.first().and_then(|full| full.split_once('@'));
    let ports = config.exposed_ports.unwrap_or_default();
    let platform = [image.os, image.architecture, image.variant];
    let platform: Vec<String> = platform.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let tagged = image.metadata.and_then(|metadata| metadata.last_tag_time);
    ImageFacts {
        digest: digest.map_or_else(|| id.clone(), |(_, digest)| digest.to_owned()),
        id,
        health: config.healthcheck,
        ports: ports.iter().filter_map(|port| port_of(port, "tcp")).collect(),
        datagram_ports: ports.iter().filter_map(|port| port_of(port, "udp")).collect(),
        volumes: config.volumes.unwrap_or_default(),
        shell: config.shell.unwrap_or_default(),
        platform: platform.join("/"),
        tagged,
        repo_digests,
    }
}

fn port_of(text: &str, wanted: &str) -> Option<u16> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    (protocol == wanted).then(|| port.parse().ok()).flatten()
}
