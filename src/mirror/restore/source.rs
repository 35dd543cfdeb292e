//! Where restored data comes from: a file of this machine, or a command in the mirror. It is unpacked while it is read.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow};
use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::task::JoinHandle;
use tokio_util::io::InspectReader;

use super::failure::{RestoreFailure, ended_badly};
use crate::config::dump::{self, Content, HEAD, Packing};
use crate::config::settings::Dump;
use crate::engine::exec::ExecOutput;
use crate::mirror::Mirror;
use crate::world::model::Hook;

/// Bytes as they come.
pub(super) type Bytes = Pin<Box<dyn AsyncRead + Send>>;

/// A dump that is being read.
pub(super) struct Opened {
    /// Its bytes, unpacked.
    pub bytes: Bytes,
    /// What they are.
    pub content: Content,
    /// The file that they lie in, where they do.
    pub file: Option<PathBuf>,
    pub producer: Producer,
    sizes: Sizes,
}

/// Who writes the bytes.
pub(super) enum Producer {
    /// Nobody any more: they lie in a file.
    File,
    /// A command, which may fail when all it wrote has been read.
    Command(JoinHandle<Result<ExecOutput>>),
}

/// How many bytes went by.
#[derive(Clone, Default)]
pub(super) struct Sizes {
    packed: Arc<AtomicU64>,
    unpacked: Arc<AtomicU64>,
}

impl Sizes {
    /// Packed, unpacked.
    pub fn read(&self) -> (u64, u64) {
        (
            self.packed.load(Ordering::Relaxed),
            self.unpacked.load(Ordering::Relaxed),
        )
    }
}

impl Opened {
    pub fn sizes(&self) -> Sizes {
        self.sizes.clone()
    }
}

impl Producer {
    /// All that it wrote has been read, or nobody reads on.
    pub async fn ended(self) -> Result<(), RestoreFailure> {
        let Self::Command(end) = self else {
            return Ok(());
        };
        let ended = end
            .await
            .map_err(|_| anyhow!("the task that hears it has ended without a word"));
        match ended.and_then(|ended| ended) {
            Ok(ExecOutput { exit: 0, .. }) => Ok(()),
            Ok(ended) => Err(ended_badly("the command", ended.exit, &ended.stderr)),
            Err(error) => Err(RestoreFailure::of(&error.context("the command was lost"))),
        }
    }
}

impl Mirror {
    /// Begins to read a dump.
    pub(super) async fn open(&self, from: &Dump) -> Result<Opened> {
        match from {
            Dump::File { path, name } => {
                let file = File::open(path)
                    .await
                    .with_context(|| format!("`{name}` cannot be read"))?;
                opened(Box::pin(file), Some(path.clone()), Producer::File).await
            }
            Dump::Output { command, service, .. } => {
                let running = self.container_of(service);
                let running = running.with_context(|| format!("service `{service}` has no container"))?;
                let hook = Hook {
                    command: command.clone(),
                    ..Hook::default()
                };
                let written = self.engine().exec_written(&running.id, &hook).await?;
                opened(written.stdout, None, Producer::Command(written.end)).await
            }
        }
    }
}

async fn opened(bytes: Bytes, file: Option<PathBuf>, producer: Producer) -> Result<Opened> {
    let sizes = Sizes::default();
    let mut packed = counted(bytes, Arc::clone(&sizes.packed));
    let head = beginning(&mut packed).await?;
    let unpacked = unpacked(&head.clone(), whole(head, packed))?;
    let mut bytes = counted(unpacked, Arc::clone(&sizes.unpacked));
    let head = beginning(&mut bytes).await.context("it cannot be unpacked")?;
    Ok(Opened {
        content: dump::content(&head),
        bytes: whole(head, bytes),
        file,
        producer,
        sizes,
    })
}

/// Its first bytes; fewer where it has fewer.
async fn beginning(bytes: &mut Bytes) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    bytes.take(HEAD as u64).read_to_end(&mut head).await?;
    Ok(head)
}

fn whole(head: Vec<u8>, rest: Bytes) -> Bytes {
    Box::pin(io::Cursor::new(head).chain(rest))
}

fn counted(bytes: Bytes, counter: Arc<AtomicU64>) -> Bytes {
    Box::pin(InspectReader::new(bytes, move |piece| {
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }))
}

/// Frames that follow each other are one dump, as for the packers' own programs.
fn unpacked(head: &[u8], packed: Bytes) -> Result<Bytes> {
    let buffered = BufReader::new(packed);
    match dump::packing(head) {
        Ok(Packing::Plain) => Ok(Box::pin(buffered)),
        Ok(Packing::Gzip) => {
            let mut decoder = GzipDecoder::new(buffered);
            decoder.multiple_members(true);
            Ok(Box::pin(decoder))
        }
        Ok(Packing::Zstd) => {
            let mut decoder = ZstdDecoder::new(buffered);
            decoder.multiple_members(true);
            Ok(Box::pin(decoder))
        }
        Err(packer) => Err(anyhow!(
            "it is packed by {packer}, which is not read: pack it with gzip or zstd, or not at all"
        )),
    }
}

/// How long a file is, unpacked: read once for that alone.
pub(super) async fn length(path: &Path) -> Result<u64> {
    let file = Box::pin(File::open(path).await?);
    let mut opened = opened(file, None, Producer::File).await?;
    Ok(tokio::io::copy(&mut opened.bytes, &mut tokio::io::sink()).await?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text).expect("in memory");
        packer.finish().expect("in memory")
    }

    async fn read(bytes: Vec<u8>) -> Result<(String, (u64, u64))> {
        let mut opened = opened(Box::pin(io::Cursor::new(bytes)), None, Producer::File).await?;
        let mut text = String::new();
        opened.bytes.read_to_string(&mut text).await?;
        Ok((text, opened.sizes.read()))
    }

    #[tokio::test]
    async fn a_dump_is_unpacked_to_its_end_and_counted_on_both_sides() {
        let packed = [gzip(b"select 1;"), gzip(b"select 2;")].concat();
        let size = packed.len() as u64;
        assert_eq!(
            read(packed).await.expect("it is whole"),
            ("select 1;select 2;".to_owned(), (size, 18))
        );
        assert_eq!(read(b"select 3;".to_vec()).await.expect("plain").1, (9, 9));
    }

    #[tokio::test]
    async fn a_dump_that_is_cut_off_is_an_error() {
        let long: Vec<u8> = (0..100_000_u32)
            .flat_map(|number| number.to_string().into_bytes())
            .collect();
        let mut packed = gzip(&long);
        packed.truncate(packed.len() / 2);
        assert!(read(packed).await.is_err());
        // The beginning of a zstd frame, and no more of it.
        assert!(read(vec![0x28, 0xb5, 0x2f, 0xfd, 0x04]).await.is_err());
    }

    #[tokio::test]
    async fn what_is_packed_by_another_packer_is_named() {
        let error = read(b"BZh91AY&SY".to_vec()).await.expect_err("not read");
        assert!(error.to_string().contains("packed by bzip2"), "{error}");
    }
}
