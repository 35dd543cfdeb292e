//! Interrupts: SIGINT, SIGTERM and SIGHUP, heard from the first moment on, so that none of them ends the process by
//! itself. A terminal that is closed sends SIGHUP; who was started by `nohup` does not hear it.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Who asked us to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM, or SIGHUP: both ask a process to end.
    Terminate,
}

/// The first signal of a run. Later ones change nothing: taking down is under way and bounded. Of signals that arrive
/// at the same moment SIGINT counts.
#[derive(Debug, Clone)]
pub struct Interrupt {
    first: watch::Receiver<Option<Signal>>,
}

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system gives no signals.
    pub fn listen() -> Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
        let mut hangup = if ignores_hangup() {
            None
        } else {
            Some(signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?)
        };
        let (say, first) = watch::channel(None);
        tokio::spawn(async move {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let heard = tokio::select! {
                biased;
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
                _ = hung_up => Signal::Terminate,
            };
            say.send_replace(Some(heard));
            // As long as this lives no later signal ends the process.
            std::future::pending::<()>().await;
        });
        Ok(Self { first })
    }

    /// Returns when we are asked to end.
    pub async fn wait(&self) -> Signal {
        let mut first = self.first.clone();
        loop {
            if let Some(signal) = *first.borrow_and_update() {
                return signal;
            }
            if first.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Whoever started us wants us to outlive the terminal.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
