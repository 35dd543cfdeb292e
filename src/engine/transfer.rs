//! Files on their way into containers and out of them, through the archive API alone: no container needs a shell.

use anyhow::{Context as _, Result};
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::Engine;
use super::words::EngineError;

/// Read and sent at once.
const PIECE: usize = 64 * 1024;
/// A day.
const UPLOAD_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

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

    /// Puts an archive's files into a container while it is read, whatever its length.
    ///
    /// # Errors
    /// The reader failed, in its words; or as [`Engine::upload`].
    pub async fn upload_read(
        &self,
        container: &str,
        path: &str,
        archive: impl AsyncRead + Send + 'static,
    ) -> Result<()> {
        let options = query::UploadToContainerOptions {
            path: path.to_owned(),
            ..Default::default()
        };
        let unread = Arc::new(OnceLock::new());
        let told = Arc::clone(&unread);
        let pieces = ReaderStream::with_capacity(archive, PIECE).inspect_err(move |error| {
            let _first = told.set(error.to_string());
        });
        let body = bollard::body_try_stream(pieces);
        // The run's own limit ends it.
        let docker = self.docker.clone().with_timeout(UPLOAD_LIMIT);
        let sent = docker.upload_to_container(container, Some(options), body).await;
        match (unread.get(), sent) {
            (Some(why), _) => Err(anyhow::anyhow!("{why}")),
            (None, sent) => sent
                .map_err(|error| EngineError::from(&error))
                .context("files could not be put into the volume"),
        }
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
