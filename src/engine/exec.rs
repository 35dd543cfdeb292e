//! Commands inside a container that runs.

use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::StreamReader;

use super::Engine;
use super::words::engine_words;
use crate::world::model::Hook;

/// Output of one command is cut here: 16 MiB.
const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

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
    pub duration: Duration,
}

impl Engine {
    /// Runs a command in a container to its end, as the container's user, without a terminal.
    ///
    /// # Errors
    /// The container does not run, or the engine refused. A command that cannot be found is not an error: exit 126 or 127.
    pub async fn exec(&self, container: &str, command: &[String], stdin: Option<&[u8]>) -> Result<ExecOutput> {
        self.exec_with(container, command, &[], stdin).await
    }

    /// The same with further variables, each `NAME=VALUE`.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_with(
        &self,
        container: &str,
        command: &[String],
        env: &[String],
        stdin: Option<&[u8]>,
    ) -> Result<ExecOutput> {
        let hook = Hook {
            command: command.to_vec(),
            env: env.to_vec(),
            ..Hook::default()
        };
        self.exec_hook(container, &hook, stdin).await
    }

    /// The same as whom and where the hook says.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_hook(&self, container: &str, hook: &Hook, stdin: Option<&[u8]>) -> Result<ExecOutput> {
        let begun = Instant::now();
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(hook.command.clone()),
            env: (!hook.env.is_empty()).then(|| hook.env.clone()),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            ..Default::default()
        };
        let (id, started) = self.begin_exec(container, options).await?;
        let StartExecResults::Attached { output, mut input } = started else {
            return Err(anyhow!(
                "the engine detached from a command that it was asked to attach to"
            ));
        };
        if let Some(bytes) = stdin {
            // A command that does not read its input ends before it is written: no error.
            let _unread = input.write_all(bytes).await;
            let _unread = input.shutdown().await;
        }
        let mut done = outputs(output).await?;
        done.duration = begun.elapsed();
        done.exit = self.docker.inspect_exec(&id).await?.exit_code.unwrap_or(-1);
        Ok(done)
    }

    async fn begin_exec(
        &self,
        container: &str,
        options: CreateExecOptions<String>,
    ) -> Result<(String, StartExecResults)> {
        let words = |error: DockerError| anyhow!("{}", engine_words(&error));
        let id = self.docker.create_exec(container, options).await.map_err(words)?.id;
        let started = self.docker.start_exec(&id, None).await.map_err(words)?;
        Ok((id, started))
    }

    /// Starts a command in a container and returns its standard streams; its standard error is dropped.
    ///
    /// # Errors
    /// The container does not run, or the engine refused.
    pub async fn converse(&self, container: &str, command: &[&str]) -> Result<Conversation> {
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            ..Default::default()
        };
        let id = self.docker.create_exec(container, options).await?.id;
        match self.docker.start_exec(&id, None).await? {
            StartExecResults::Attached { output, input } => {
                let bytes = output.filter_map(|chunk| async move {
                    match chunk {
                        Ok(LogOutput::StdOut { message }) => Some(Ok(message)),
                        Ok(_) => None,
                        Err(error) => Some(Err(std::io::Error::other(error))),
                    }
                });
                Ok((Box::pin(StreamReader::new(Box::pin(bytes))), input))
            }
            StartExecResults::Detached => Err(anyhow!("the engine detached from the agent")),
        }
    }
}

/// The two ends of a conversation with a command: what it says, what it hears.
pub type Conversation = (Pin<Box<dyn AsyncRead + Send>>, Pin<Box<dyn AsyncWrite + Send>>);

/// What a command writes, until it ends.
async fn outputs(mut output: impl Stream<Item = Result<LogOutput, DockerError>> + Unpin) -> Result<ExecOutput> {
    let mut done = ExecOutput::default();
    while let Some(chunk) = output.next().await {
        match chunk? {
            LogOutput::StdErr { message } => extend(&mut done.stderr, &message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => extend(&mut done.stdout, &message),
            LogOutput::StdIn { .. } => {}
        }
    }
    Ok(done)
}

fn extend(buffer: &mut Vec<u8>, chunk: &[u8]) {
    let room = OUTPUT_LIMIT.saturating_sub(buffer.len());
    buffer.extend_from_slice(&chunk[..chunk.len().min(room)]);
}
