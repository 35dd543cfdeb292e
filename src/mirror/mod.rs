//! The mirror: the containers, networks and volumes that stand for production during one run.

use crate::agent::client::Client;

/// What a command inside a service's container did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub exit: i64,
    /// Standard output, raw.
    pub stdout: Vec<u8>,
    /// Standard error, raw.
    pub stderr: Vec<u8>,
    /// Start to exit.
    pub duration: std::time::Duration,
}

/// A container to run to its end inside the mirror's networks.
#[derive(Debug, Clone, Default)]
pub struct ContainerRun {
    /// Image reference.
    pub image: String,
    /// Replaces the entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the command.
    pub command: Option<Vec<String>>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Files put into it before it starts: absolute path, content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Directories made before it starts, writable for everyone.
    pub directories: Vec<String>,
    /// A glob of files to bring back when it has ended.
    pub collect: Option<String>,
    /// Killed after this long.
    pub limit: std::time::Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct ContainerOutcome {
    /// Exit code; `None` = killed at the limit.
    pub exit: Option<i64>,
    /// Standard output and error, raw, in order of arrival.
    pub output: Vec<u8>,
    /// Path and content of the collected files, sorted by path.
    pub files: Vec<(String, Vec<u8>)>,
    /// Start to exit.
    pub duration: std::time::Duration,
}

/// A mirror that is up.
pub struct Mirror {
    agent: Client,
}

impl Mirror {
    /// The agent in the mirror's networks.
    pub fn agent(&self) -> &Client {
        &self.agent
    }

    /// Runs a command inside a service's container, as the container's own user, without a terminal.
    ///
    /// # Errors
    /// The service has no running container, or the engine refused.
    pub async fn exec(&self, _service: &str, _command: &[String], _stdin: Option<&[u8]>) -> anyhow::Result<ExecOutput> {
        anyhow::bail!("not wired yet")
    }

    /// Runs a container to its end inside the mirror's networks.
    ///
    /// # Errors
    /// The image cannot be had, or the engine refused.
    pub async fn run_container(&self, _run: &ContainerRun) -> anyhow::Result<ContainerOutcome> {
        anyhow::bail!("not wired yet")
    }
}
