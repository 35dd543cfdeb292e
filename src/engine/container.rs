//! Containers: made, started, stopped, looked at and removed; and the volumes that they mount.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerUpdateBody, VolumeCreateRequest};
use bollard::query_parameters as query;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use testcontainers::core::ImageExt as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ReuseDirective};

use super::Engine;
use super::image::ImageFacts;
use super::labels::{LABEL_RUN, LABEL_SERVICE};
use super::words::{EngineError, gone, start_error};
use crate::record::outcome::{Lost, Part};

/// A busy engine answers late; one that takes longer than this does not answer.
const PING_LIMIT: Duration = Duration::from_secs(30);

/// An engine is done with a container that has ended within this.
const LET_GO: Duration = Duration::from_secs(5);

/// A container that stands for a service of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Id on the engine.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// The service.
    pub service: String,
    /// It runs.
    pub running: bool,
    /// What its health check last said; `None` where it has none, or has not said anything yet.
    pub healthy: Option<bool>,
}

impl Standing {
    fn of(found: ContainerInspectResponse) -> Option<Self> {
        use bollard::models::HealthStatusEnum::{HEALTHY, UNHEALTHY};
        let service = found.config?.labels?.remove(LABEL_SERVICE)?;
        let state = found.state?;
        Some(Self {
            id: found.id?,
            name: found.name?.trim_start_matches('/').to_owned(),
            service,
            running: state.running.unwrap_or_default(),
            healthy: match state.health.and_then(|health| health.status) {
                Some(HEALTHY) => Some(true),
                Some(UNHEALTHY) => Some(false),
                _ => None,
            },
        })
    }
}

fn same_id(one: &str, other: &str) -> bool {
    one.trim_start_matches("sha256:") == other.trim_start_matches("sha256:")
}

impl Engine {
    /// Whether it still answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn answers(&self) -> Result<(), Lost> {
        let silent = |why: String| Lost::new(Part::Engine, why);
        match tokio::time::timeout(PING_LIMIT, self.docker.ping()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(silent(EngineError::from(&error).to_string())),
            Err(_) => Err(silent(format!("no answer within {} s", PING_LIMIT.as_secs()))),
        }
    }

    /// Makes a volume.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn create_volume(&self, name: &str) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(self.labels(&[])),
            ..Default::default()
        };
        let docker = self.docker.clone();
        self.finish(async move { docker.create_volume(request).await })
            .await?
            .with_context(|| format!("volume `{name}` could not be made"))?;
        Ok(())
    }

    /// Where on the engine's own machine a volume is.
    ///
    /// # Errors
    /// The engine has it not.
    pub async fn place_of_volume(&self, name: &str) -> Result<String> {
        let found = self.docker.inspect_volume(name).await;
        let found = found.with_context(|| format!("volume `{name}` could not be inspected"))?;
        Ok(found.mountpoint)
    }

    /// Makes a container and returns its id.
    ///
    /// # Errors
    /// The engine refused: its words are the message.
    pub async fn create_container(&self, name: &str, platform: &str, body: ContainerCreateBody) -> Result<String> {
        let options = query::CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: platform.to_owned(),
        };
        let docker = self.docker.clone();
        let made = self
            .finish(async move { docker.create_container(Some(options), body).await })
            .await?;
        Ok(made.map_err(|error| EngineError::from(&error))?.id)
    }

    /// Holds the image that a container was made from against the one that was asked for: a tag may have been moved
    /// since it was looked at.
    ///
    /// # Errors
    /// It is another one, or the engine does not answer.
    pub async fn holds(&self, container: &str, asked: &ImageFacts) -> Result<()> {
        let runs = self.inspect(container).await?.image.unwrap_or_default();
        if asked.id.is_empty() || same_id(&runs, &asked.id) {
            return Ok(());
        }
        // Some engines name an image's manifest in one place and its configuration in another.
        let facts = self.image(&runs).await?;
        if facts.is_some_and(|facts| same_id(&facts.id, &asked.id)) {
            return Ok(());
        }
        let why = format!(
            "it would run {runs}, and {} was meant: somebody has moved the tag since",
            asked.id
        );
        Err(EngineError::OtherImage(why).into())
    }

    /// Starts a container that was made before. testcontainers adopts it by name and label and starts it, where it
    /// finds this engine: it looks for one by itself, and not everywhere.
    ///
    /// # Errors
    /// The engine refused, e.g. the command does not exist in the image: its words are the message.
    pub async fn start(&self, name: &str) -> Result<()> {
        let _turn = self.starts.acquire().await;
        if !self.by_testcontainers {
            let (engine, name) = (self.clone(), name.to_owned());
            return self.finish(async move { engine.start_again(&name).await }).await?;
        }
        let request = GenericImage::new("adopted", "by-name")
            .with_container_name(name)
            .with_label(LABEL_RUN, self.run.as_ref())
            .with_reuse(ReuseDirective::Always);
        let started = self.finish(async move { request.start().await.map(drop) }).await?;
        Ok(started.map_err(|error| start_error(&error.to_string()))?)
    }

    /// Waits until a container has said anything.
    ///
    /// # Errors
    /// It ended without a word, or said nothing in time.
    pub async fn await_word(&self, container: &str, limit: Duration) -> Result<()> {
        let options = query::LogsOptions {
            follow: true,
            stdout: true,
            ..Default::default()
        };
        let mut said = Box::pin(self.docker.logs(container, Some(options)));
        match tokio::time::timeout(limit, said.next()).await {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(error))) => Err(EngineError::from(&error).into()),
            Ok(None) => Err(anyhow!("it ended")),
            Err(_) => Err(anyhow!("it said nothing within {} s", limit.as_secs())),
        }
    }

    /// Starts again a container that ran before.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn start_again(&self, container: &str) -> Result<()> {
        let started = self
            .docker
            .start_container(container, None::<query::StartContainerOptions>)
            .await;
        Ok(started.map_err(|error| EngineError::from(&error))?)
    }

    /// Waits until the engine is done with a container that has ended: it tells of the end first, and gives the container's
    /// address back after that.
    pub async fn let_go(&self, container: &str) {
        let mut over = Box::pin(
            self.docker
                .wait_container(container, None::<query::WaitContainerOptions>),
        );
        // With whatever it has ended, and however long an engine takes that has lost it.
        let _over = tokio::time::timeout(LET_GO, over.next()).await;
    }

    /// A container may use so many bytes of memory from now on, and no more of a swap.
    ///
    /// # Errors
    /// The engine limits no swap, takes no memory from what uses it, or knows no other limit of what runs.
    pub async fn limit_memory(&self, container: &str, limit: u64) -> Result<()> {
        let info = self.docker.info().await?;
        if info.swap_limit != Some(true) {
            return Err(anyhow!(
                "this machine's engine cannot limit a swap: what is out of memory would go there"
            ));
        }
        let bytes = i64::try_from(limit)?;
        let body = ContainerUpdateBody {
            memory: Some(bytes),
            memory_swap: Some(bytes),
            ..ContainerUpdateBody::default()
        };
        let updated = self.docker.update_container(container, body).await;
        Ok(updated.map_err(|error| EngineError::from(&error))?)
    }

    /// Stops a container production's way: its signal, its grace period, then the kill.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<()> {
        let seconds = i32::try_from(grace.as_secs_f64().ceil() as u64).unwrap_or(i32::MAX);
        let options = query::StopContainerOptions {
            t: Some(seconds),
            ..Default::default()
        };
        let docker = self.docker.clone().with_timeout(grace + Duration::from_secs(60));
        match docker.stop_container(container, Some(options)).await {
            Ok(())
            | Err(DockerError::DockerResponseServerError {
                status_code: 304 | 404, ..
            }) => Ok(()),
            Err(error) => Err(EngineError::from(&error).into()),
        }
    }

    /// Removes a container, running or not, with its anonymous volumes.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn remove_container(&self, container: &str) -> Result<()> {
        let options = query::RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        let _turn = self.removals.acquire().await;
        gone(self.docker.remove_container(container, Some(options)).await)
    }

    /// The run's containers that stand for services.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn standing(&self) -> Result<Vec<Standing>> {
        let labels = vec![format!("{LABEL_RUN}={}", self.run), LABEL_SERVICE.to_owned()];
        let options = query::ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), labels)])),
            ..Default::default()
        };
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| EngineError::from(&error))?;
        let ids = listed.into_iter().filter_map(|one| one.id);
        let found = try_join_all(ids.map(|id| async move { self.inspect(&id).await })).await?;
        Ok(found.into_iter().filter_map(Standing::of).collect())
    }

    /// Everything the engine knows of a container.
    ///
    /// # Errors
    /// There is no such container.
    pub async fn inspect(&self, container: &str) -> Result<ContainerInspectResponse> {
        let found = self
            .docker
            .inspect_container(container, None::<query::InspectContainerOptions>)
            .await;
        Ok(found.map_err(|error| EngineError::from(&error))?)
    }
}
