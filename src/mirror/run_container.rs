//! A container that is run to its end inside the mirror's networks: the user's tests, Hurl.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig};
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt as _;

use super::Mirror;
use super::border::door;
use crate::engine::{archive, globs};
use crate::world::model::FileInside;

/// What a test container may print and leave behind: 16 MiB each.
const LIMIT: usize = 16 * 1024 * 1024;

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
    pub limit: Duration,
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
    pub duration: Duration,
}

impl Mirror {
    /// Runs a container to its end inside the mirror's networks, and removes it.
    ///
    /// # Errors
    /// The image is not on the engine, or the engine refused.
    pub async fn run_container(&self, run: &ContainerRun) -> Result<ContainerOutcome> {
        let setup = &self.inner.setup;
        let name = setup
            .engine
            .name(&format!("{}test-{}", setup.prefix, self.next_generation()));
        let id = setup.engine.create_container(&name, "", self.test_body(run)).await?;
        let outcome = self.run_made(&name, &id, run).await;
        // What cannot be removed now is found by the sweep at the end.
        let _removed = setup.engine.remove_container(&id).await;
        outcome
    }

    fn test_body(&self, run: &ContainerRun) -> ContainerCreateBody {
        let setup = &self.inner.setup;
        let first = setup.world.networks.keys().next().map(|network| setup.network(network));
        let mut host = HostConfig {
            network_mode: Some(first.clone().unwrap_or_else(|| "none".to_owned())),
            publish_all_ports: Some(false),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::new()),
            }),
            ..Default::default()
        };
        self.ask_the_agent(setup.world.networks.keys(), &mut host);
        let subnet = setup.world.networks.keys().find_map(|network| self.subnet(network));
        door::tell_hosts(setup, subnet, &mut host);
        ContainerCreateBody {
            image: Some(run.image.clone()),
            entrypoint: run.entrypoint.clone(),
            cmd: run.command.clone(),
            env: Some(run.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(setup.engine.labels(&[])),
            networking_config: first.map(|network| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network, EndpointSettings::default())])),
            }),
            host_config: Some(host),
            ..Default::default()
        }
    }

    async fn run_made(&self, name: &str, id: &str, run: &ContainerRun) -> Result<ContainerOutcome> {
        let setup = &self.inner.setup;
        for network in setup.world.networks.keys().skip(1) {
            setup
                .engine
                .connect_network(&setup.network(network), id, EndpointSettings::default())
                .await?;
        }
        self.put_test_files(id, run).await?;
        let begun = Instant::now();
        let mut seen = self.inner.watch.of(id);
        setup
            .engine
            .start(name)
            .await
            .with_context(|| format!("test container `{}` could not be started", run.image))?;
        let end = tokio::time::timeout(run.limit, seen.wait_for(|seen| !seen.exits.is_empty())).await;
        let exit = end
            .ok()
            .and_then(Result::ok)
            .and_then(|seen| seen.last_exit().map(|exit| exit.code));
        let duration = begun.elapsed();
        if exit.is_none() {
            setup.engine.stop(id, Duration::from_secs(1)).await?;
        }
        let output = self.output_of(id).await;
        let files = self.collect(id, run.collect.as_deref()).await?;
        Ok(ContainerOutcome {
            exit,
            output,
            files,
            duration,
        })
    }

    async fn put_test_files(&self, id: &str, run: &ContainerRun) -> Result<()> {
        if !run.directories.is_empty() {
            self.engine()
                .upload(id, "/", archive::of_directories(&run.directories)?)
                .await?;
        }
        let file = |(path, content): &(String, Vec<u8>)| FileInside {
            target: path.clone(),
            content: content.clone(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            origin: None,
            bound: None,
        };
        let files: Vec<FileInside> = run.files.iter().map(file).collect();
        if files.is_empty() {
            Ok(())
        } else {
            self.engine().upload(id, "/", archive::of_files(&files)?).await
        }
    }

    async fn output_of(&self, id: &str) -> Vec<u8> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: "all".into(),
            ..Default::default()
        };
        let mut stream = Box::pin(self.engine().docker().logs(id, Some(options)));
        let mut output = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            if let LogOutput::StdErr { message } | LogOutput::StdOut { message } | LogOutput::Console { message } =
                chunk
            {
                let room = LIMIT.saturating_sub(output.len());
                output.extend_from_slice(&message[..message.len().min(room)]);
            }
        }
        output
    }

    /// Files that match a glob whose wild cards stand in its last parts; an absent folder is no file, not an error.
    async fn collect(&self, id: &str, glob: Option<&str>) -> Result<Vec<(String, Vec<u8>)>> {
        let Some(glob) = glob else { return Ok(Vec::new()) };
        let folder = globs::literal_folder(glob);
        let Ok(archive) = self.engine().download(id, &folder, LIMIT).await else {
            return Ok(Vec::new());
        };
        let parent = folder
            .trim_end_matches('/')
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let pattern = globs::glob(glob).with_context(|| format!("`{glob}` is not a pattern for files"))?;
        let full = |(path, content): (String, Vec<u8>)| (format!("{parent}/{path}"), content);
        let mut files: Vec<_> = archive::files_in(&archive)?.into_iter().map(full).collect();
        files.retain(|(path, _)| pattern.is_match(path));
        files.sort();
        Ok(files)
    }
}
