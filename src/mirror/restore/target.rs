//! Where restored data goes: into a service that is up, or into a volume that nothing mounts yet.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use tokio::io::AsyncReadExt as _;

use super::client;
use super::failure::{RestoreFailure, ended_badly};
use super::source::{self, Bytes, Opened};
use crate::config::dump::{self, Content};
use crate::engine::exec::ExecOutput;
use crate::mirror::Mirror;
use crate::world::model::{Hook, Mount, Source};

impl Mirror {
    pub(super) async fn feed_service(
        &self,
        service: &str,
        through: Option<&[String]>,
        mut opened: Opened,
    ) -> Result<(), RestoreFailure> {
        let client = match (through, client::of(opened.content)) {
            (Some(words), _) => client::named(words),
            (None, Ok(client)) => client,
            (None, Err(what)) => return Err(no_client(what)),
        };
        let fed = self.fed(service, client.words, &mut opened).await;
        // Where the source failed, what its reader makes of the half that came is no cause.
        let sizes = opened.sizes();
        opened.producer.ended().await?;
        let done = fed.map_err(|error| RestoreFailure::of(&error))?;
        if done.exit != 0 {
            return Err(ended_badly(&client.called, done.exit, &done.stderr));
        }
        something(sizes.read().1)
    }

    async fn fed(&self, service: &str, command: Vec<String>, opened: &mut Opened) -> Result<ExecOutput> {
        let running = self.container_of(service);
        let running = running.with_context(|| format!("service `{service}` has no container"))?;
        let hook = Hook {
            command,
            ..Hook::default()
        };
        self.engine().exec_fed(&running.id, &hook, &mut opened.bytes).await
    }
}

fn no_client(what: &str) -> RestoreFailure {
    RestoreFailure::of(&anyhow!(
        "it is {what}: name the command that reads it, `through: […]`, or restore a volume"
    ))
}

impl Mirror {
    /// Where the first service that mounts it has it, so that its folder is the image's, with the image's owner.
    pub(super) async fn feed_volume(&self, volume: &str, opened: Opened) -> Result<(), RestoreFailure> {
        let services = self.services();
        let mut mounting = services.values().filter(|service| service.mounts_volume(volume));
        let Some(service) = mounting.next() else {
            return Err(RestoreFailure::of(&anyhow!("no service mounts the volume `{volume}`")));
        };
        // Where only a part of it is seen, all of it has another place.
        let is_it = |mount: &&Mount| {
            mount.volume.subpath.is_none() && matches!(&mount.source, Source::Volume(name) if name == volume)
        };
        let target = service
            .mounts
            .iter()
            .find(is_it)
            .map_or("/restored", |mount| mount.target.as_str());
        let Opened {
            bytes,
            content,
            file,
            producer,
            ..
        } = opened;
        let archive = match (content, file) {
            (Content::Tar, _) => Ok(bytes),
            (_, Some(path)) => alone(&path, bytes).await,
            (_, None) => Err(anyhow!("a volume gets a tar archive, and this is none")),
        };
        let filled = match archive {
            Ok(archive) => self.fill_volume(volume, target, &service.image, archive).await,
            Err(error) => Err(error),
        };
        producer.ended().await?;
        filled.map_err(|error| RestoreFailure::of(&error))
    }
}

/// A file that is no archive lies in the volume under its own name, without what its packer added to it.
async fn alone(path: &Path, bytes: Bytes) -> Result<Bytes> {
    let size = source::length(path).await?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut header = tar::Header::new_gnu();
    header
        .set_path(dump::unpacked_name(&name))
        .with_context(|| format!("`{name}` has too long a name"))?;
    header.set_size(size);
    header.set_mode(0o666);
    header.set_cksum();
    // Up to the next block, and two empty ones.
    let rest = (512 - size % 512) % 512 + 1024;
    let header = Cursor::new(header.as_bytes().to_vec());
    Ok(Box::pin(header.chain(bytes).chain(tokio::io::repeat(0).take(rest))))
}

/// What restores nothing proves nothing.
fn something(unpacked: u64) -> Result<(), RestoreFailure> {
    match unpacked {
        0 => Err(RestoreFailure::of(&anyhow!(
            "there was nothing to restore: a command must write the dump to its standard output; one that restores by \
             itself belongs in data.seed"
        ))),
        _ => Ok(()),
    }
}
