//! Files on their way into containers and out of them, through the archive API alone: no container needs a shell.

use anyhow::{Context as _, Result};
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Engine;
use super::words::EngineError;

impl Engine {
    /// Puts an archive's files into a container, running or not.
    ///
    /// # Errors
    /// The engine refused, e.g. because the root file system is read-only.
    pub async fn upload(&self, container: &str, path: &str, archive: Vec<u8>) -> Result<()> {
        let options = query::UploadToContainerOptions {
            path: path.to_owned(),
            ..Default::default()
        };
        let body = bollard::body_full(Bytes::from(archive));
        let sent = self.docker.upload_to_container(container, Some(options), body).await;
        sent.map_err(|error| EngineError::from(&error))
            .context("files could not be put into the container")
    }

    /// Brings back an archive of a path of a container.
    ///
    /// # Errors
    /// The path is not there, or the archive is larger than `limit` bytes.
    pub async fn download(&self, container: &str, path: &str, limit: usize) -> Result<Vec<u8>> {
        let options = query::DownloadFromContainerOptions { path: path.to_owned() };
        let mut stream = Box::pin(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = stream.next().await {
            archive.extend_from_slice(&chunk.map_err(|error| EngineError::from(&error))?);
            anyhow::ensure!(archive.len() <= limit, "`{path}` is larger than {limit} bytes");
        }
        Ok(archive)
    }

    /// Where the link at a path leads in the end, empty for what is no link; `None` where nothing is.
    pub async fn link_target(&self, container: &str, path: &str) -> Option<String> {
        let options = query::ContainerArchiveInfoOptions { path: path.to_owned() };
        self.docker
            .get_container_archive_info(container, Some(options))
            .await
            .ok()
            .map(|stat| stat.link_target)
    }
}
