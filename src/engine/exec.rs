//! Commands inside a container that runs.

use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio::task::JoinHandle;
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
        match stdin {
            Some(mut bytes) => self.exec_fed(container, hook, &mut bytes).await,
            None => {
                let begun = Instant::now();
                let (id, output, _input) = self.attached(container, hook, Stdin::Closed).await?;
                self.ended(&id, begun, outputs(output).await?).await
            }
        }
    }

    /// The same, fed from a reader of any length.
    ///
    /// # Errors
    /// As [`Engine::exec`]; and what the reader says where it fails.
    pub async fn exec_fed(
        &self,
        container: &str,
        hook: &Hook,
        stdin: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<ExecOutput> {
        let begun = Instant::now();
        let (id, output, input) = self.attached(container, hook, Stdin::Fed).await?;
        // Both at once: a command that says more than a buffer holds before it reads on would wait for ever.
        let (mut feeding, mut hearing) = (std::pin::pin!(feed(stdin, input)), std::pin::pin!(outputs(output)));
        let done = tokio::select! {
            fed = &mut feeding => {
                let _input = fed?;
                hearing.await?
            }
            done = &mut hearing => done?,
        };
        self.ended(&id, begun, done).await
    }

    /// Starts a command whose output is read while it runs, whatever its length.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_written(&self, container: &str, hook: &Hook) -> Result<Written> {
        let begun = Instant::now();
        let (id, output, input) = self.attached(container, hook, Stdin::Closed).await?;
        let (writer, stdout) = duplex(PIECE);
        let engine = self.clone();
        let end = tokio::spawn(async move {
            let _input = input;
            let said = passed_on(output, writer).await?;
            engine.ended(&id, begun, said).await
        });
        Ok(Written {
            stdout: Box::pin(stdout),
            end,
        })
    }

    async fn attached(&self, container: &str, hook: &Hook, stdin: Stdin) -> Result<Attached> {
        let options = CreateExecOptions {
            attach_stdin: Some(stdin == Stdin::Fed),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(hook.command.clone()),
            env: (!hook.env.is_empty()).then(|| hook.env.clone()),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            ..Default::default()
        };
        let (id, started) = self.begin_exec(container, options).await?;
        match started {
            StartExecResults::Attached { output, input } => Ok((id, output, input)),
            StartExecResults::Detached => Err(anyhow!(
                "the engine detached from a command that it was asked to attach to"
            )),
        }
    }

    async fn ended(&self, id: &str, begun: Instant, said: ExecOutput) -> Result<ExecOutput> {
        Ok(ExecOutput {
            duration: begun.elapsed(),
            exit: self.docker.inspect_exec(id).await?.exit_code.unwrap_or(-1),
            ..said
        })
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

/// Whether a command has something to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stdin {
    Closed,
    Fed,
}

type Attached = (
    String,
    Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>,
    Pin<Box<dyn AsyncWrite + Send>>,
);

/// Bytes that are on their way at once.
const PIECE: usize = 256 * 1024;

/// A command that runs, and what it writes meanwhile.
pub struct Written {
    /// Its standard output; at its end the command may have failed.
    pub stdout: Pin<Box<dyn AsyncRead + Send>>,
    /// How it ended: exit code and standard error. An error is the engine's.
    pub end: JoinHandle<Result<ExecOutput>>,
}

/// Feeds a command. Gives its input back: some engines take its end for that of the command.
async fn feed(
    from: &mut (dyn AsyncRead + Send + Unpin),
    mut to: Pin<Box<dyn AsyncWrite + Send>>,
) -> std::io::Result<Pin<Box<dyn AsyncWrite + Send>>> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        // A command that does not read its input ends before it is written: no error.
        if read == 0 || to.write_all(&piece[..read]).await.is_err() {
            let _unread = to.shutdown().await;
            return Ok(to);
        }
    }
}

/// Passes standard output on while it comes; standard error is kept.
async fn passed_on(
    mut output: impl Stream<Item = Result<LogOutput, DockerError>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<ExecOutput> {
    let mut said = ExecOutput::default();
    while let Some(chunk) = output.next().await {
        match chunk? {
            LogOutput::StdErr { message } => extend(&mut said.stderr, &message),
            // Who reads it may have had enough: what the command does then is in its exit code.
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                let _unread = to.write_all(&message).await;
            }
            LogOutput::StdIn { .. } => {}
        }
    }
    Ok(said)
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
