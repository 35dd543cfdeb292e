//! What a suite needs of the mirror.

use std::future::Future;

use crate::agent::client::Client;
use crate::engine::exec::ExecOutput;
use crate::mirror::Mirror;
use crate::mirror::names::several::Asked;
use crate::mirror::run_container::{ContainerOutcome, ContainerRun};

/// What a suite needs of the mirror: the border at which tests put something smaller in its place.
pub(super) trait TestBed: Sync {
    fn agent(&self) -> &Client;

    /// How each of the several containers is asked that a host name stands for; none where it stands for one here or in
    /// production.
    fn several_at(&self, host: &str) -> Vec<Asked>;

    fn exec(
        &self,
        service: &str,
        command: &[String],
        stdin: Option<&[u8]>,
    ) -> impl Future<Output = anyhow::Result<ExecOutput>> + Send;

    fn run_container(&self, run: &ContainerRun) -> impl Future<Output = anyhow::Result<ContainerOutcome>> + Send;
}

impl TestBed for Mirror {
    fn agent(&self) -> &Client {
        Mirror::agent(self)
    }

    fn several_at(&self, host: &str) -> Vec<Asked> {
        Mirror::several_as_in_production_at(self, host)
    }

    async fn exec(&self, service: &str, command: &[String], stdin: Option<&[u8]>) -> anyhow::Result<ExecOutput> {
        Mirror::exec(self, service, command, stdin).await
    }

    async fn run_container(&self, run: &ContainerRun) -> anyhow::Result<ContainerOutcome> {
        Mirror::run_container(self, run).await
    }
}
