//! Interrupts: SIGINT and SIGTERM, heard from the first moment on, so that none of them ends the process by itself.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Who asked us to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The first signal of a run. Later ones change nothing: taking down is under way and bounded.
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
        let (say, first) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let heard = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                };
                say.send_if_modified(|first| first.is_none().then(|| *first = Some(heard)).is_some());
            }
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
