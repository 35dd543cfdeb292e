//! The gate's end of the wire to the agent.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, Call};

/// A connection to one agent. Cheap to clone; calls may run at the same time.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// Speaks over these streams until they end.
    pub fn over(
        _reader: impl AsyncRead + Send + Unpin + 'static,
        _writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {}
    }

    /// Asks and waits for the reply.
    ///
    /// # Errors
    /// The agent is gone: the only way a call fails; whatever happens on the wire to a service is an [`Answer`].
    pub async fn call(&self, _call: Call) -> anyhow::Result<Answer> {
        anyhow::bail!("not wired yet")
    }
}
