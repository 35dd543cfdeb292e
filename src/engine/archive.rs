//! Archives: the form in which files travel to containers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::io::StreamReader;

use crate::world::model::FileInside;

/// This very program, even where its file has been replaced or removed since.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What archives are made of: a file's head is one, its content as many as it takes.
const BLOCK: usize = 512;

/// A folder is read in pieces of this size …
const PIECE: usize = 256 * 1024;
/// … of which so many wait for the engine at most.
const PIECES: usize = 4;

/// The agent's file system: one program and nothing else.
///
/// # Errors
/// The program's file cannot be read, or it is not statically linked (our build's fault).
pub fn of_program(program: &Path) -> Result<Vec<u8>> {
    let archive = archived(program).context("could not read Rehearsal's own program file")?;
    anyhow::ensure!(
        is_static(archive.get(BLOCK..).unwrap_or_default()),
        "this build of Rehearsal is not statically linked, so it cannot run inside the mirror: build it as its \
         .cargo/config.toml says"
    );
    Ok(archive)
}

/// Read straight into its archive: it is large, and the mirror waits for it.
fn archived(program: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(program)?;
    let size = file.metadata()?.len();
    let mut archive = tar::Builder::new(Vec::with_capacity(
        usize::try_from(size).unwrap_or_default() + 4 * BLOCK,
    ));
    let mut header = header(size, 0o755, (0, 0));
    archive.append_data(&mut header, "rehearsal", file.take(size))?;
    archive.into_inner()
}

/// An ELF file without an interpreter segment runs anywhere.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| {
        program
            .get(at..at + size)
            .map(|bytes| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (Some(table), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2)) else {
        return false;
    };
    (0..count).all(|entry| {
        let at = usize::try_from(table + entry * size).unwrap_or(usize::MAX - 8);
        number(at, 4) != Some(u64::from(INTERPRETER))
    })
}

/// Files with absolute paths, as an archive of `/`.
///
/// # Errors
/// A path is too long for the format.
pub fn of_files(files: &[FileInside]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        append(
            &mut archive,
            file.target.trim_start_matches('/'),
            &file.content,
            file.mode,
            (file.uid, file.gid),
        )?;
    }
    archive.into_inner().context("an archive could not be finished")
}

/// Empty directories, writable for everyone.
///
/// # Errors
/// A path is too long for the format.
pub fn of_directories(paths: &[String]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for path in paths {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o777);
        header.set_size(0);
        let name = format!("{}/", path.trim_matches('/'));
        archive
            .append_data(&mut header, &name, std::io::empty())
            .with_context(|| format!("`{path}` cannot be archived"))?;
    }
    archive.into_inner().context("an archive could not be finished")
}

/// A folder of this machine with everything in it, or a file alone: owners, modes and links as they are, while it is
/// read, whatever its size. Gives the sockets in it, which are left out: nothing of this machine answers in the mirror.
///
/// # Errors
/// Something in it cannot be read: what, and why.
pub fn of_tree(root: &Path, to: impl io::Write) -> io::Result<Vec<PathBuf>> {
    let mut tree = Tree {
        archive: tar::Builder::new(io::BufWriter::with_capacity(PIECE, to)),
        sockets: Vec::new(),
    };
    tree.archive.follow_symlinks(false);
    match root.file_name().filter(|_| root.is_file()) {
        Some(name) => tree.add(root, Path::new(name)),
        None => tree.add_folder(root, Path::new(".")),
    }?;
    tree.archive.into_inner()?.flush()?;
    Ok(tree.sockets)
}

/// A folder on its way into an archive.
struct Tree<W: io::Write> {
    archive: tar::Builder<W>,
    sockets: Vec<PathBuf>,
}

impl<W: io::Write> Tree<W> {
    fn add_folder(&mut self, folder: &Path, name: &Path) -> io::Result<()> {
        self.archive
            .append_dir(name, folder)
            .map_err(|error| unread(folder, &error))?;
        let entries = std::fs::read_dir(folder).map_err(|error| unread(folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unread(folder, &error))?;
            self.add(&entry.path(), &name.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let kind = std::fs::symlink_metadata(path).map(|facts| facts.file_type());
        let kind = kind.map_err(|error| unread(path, &error))?;
        if kind.is_socket() {
            self.sockets.push(path.to_owned());
            return Ok(());
        }
        if kind.is_dir() {
            return self.add_folder(path, name);
        }
        let added = match kind.is_file() {
            true => self.add_file(path, name),
            false => self.archive.append_path_with_name(path, name),
        };
        added.map_err(|error| unread(path, &error))
    }

    /// As long as it was when it was opened, even if somebody writes to it meanwhile.
    fn add_file(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let facts = file.metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&facts);
        let whole = file.chain(io::repeat(0)).take(facts.len());
        self.archive.append_data(&mut header, name, whole)
    }
}

fn unread(path: &Path, error: &io::Error) -> io::Error {
    // It is told once, by the innermost.
    io::Error::new(error.kind(), format!("`{}` cannot be copied: {error}", path.display()))
}

/// A folder as [`of_tree`] has it, for whoever reads it, and what came of it once it is read.
pub fn read_tree(root: PathBuf) -> (impl AsyncRead + Send + Unpin, JoinHandle<io::Result<Vec<PathBuf>>>) {
    let (pieces, mut coming) = mpsc::channel(PIECES);
    let written = tokio::task::spawn_blocking(move || {
        let done = of_tree(&root, Pieces(pieces.clone()));
        if let Err(error) = &done {
            // An archive that ends early would be taken for whole.
            let broken = io::Error::new(error.kind(), error.to_string());
            let _nobody_reads_on = pieces.blocking_send(Err(broken));
        }
        done
    });
    let reader = StreamReader::new(stream::poll_fn(move |context| coming.poll_recv(context)));
    (reader, written)
}

/// Hands on what is written to it.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder that an engine would make where a mount names none, with those above it.
///
/// # Errors
/// A path is too long for the format.
pub fn of_folders_below(path: &Path) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = header(0, 0o755, (0, 0));
    header.set_entry_type(tar::EntryType::Directory);
    archive
        .append_data(&mut header, path, std::io::empty())
        .with_context(|| format!("`{}` cannot be archived", path.display()))?;
    archive.into_inner().context("an archive could not be finished")
}

/// The regular files of an archive: path and content.
///
/// # Errors
/// It is not an archive.
pub fn files_in(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    use std::io::Read as _;
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.push((path, content));
        }
    }
    Ok(files)
}

/// What an archive of one path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// A regular file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u64,
        /// Group.
        gid: u64,
    },
    /// A symbolic link, and what it says.
    Link(String),
}

/// The first entry of an archive, if it is a file or a link.
///
/// # Errors
/// It is not an archive.
pub fn first_in(archive: &[u8]) -> Result<Option<First>> {
    use std::io::Read as _;
    let mut reader = tar::Archive::new(archive);
    let Some(entry) = reader.entries()?.next() else {
        return Ok(None);
    };
    let mut entry = entry?;
    let header = entry.header();
    if header.entry_type().is_symlink() {
        return Ok(entry
            .link_name()?
            .map(|target| First::Link(target.to_string_lossy().into_owned())));
    }
    if !header.entry_type().is_file() {
        return Ok(None);
    }
    let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(Some(First::File {
        content,
        mode,
        uid,
        gid,
    }))
}

fn header(size: u64, mode: u32, owner: (u64, u64)) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(owner.0);
    header.set_gid(owner.1);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32, owner: (u64, u64)) -> Result<()> {
    archive
        .append_data(&mut header(content.len() as u64, mode, owner), path, content)
        .with_context(|| format!("`{path}` cannot be archived"))?;
    archive.get_mut().flush().context("an archive could not be written")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_folder_is_archived_whole_but_for_its_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("below")).unwrap();
        std::fs::write(at("below/file"), "x".repeat(2 * PIECE)).unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let _socket = UnixListener::bind(at("app.sock")).unwrap();
        let mut archive = Vec::new();
        let sockets = of_tree(folder.path(), &mut archive).unwrap();
        assert_eq!(sockets, [at("app.sock")]);
        let mut reader = tar::Archive::new(archive.as_slice());
        let entries = reader.entries().unwrap();
        let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path().unwrap().into()).collect();
        names.sort();
        assert_eq!(names, [".", "below", "below/file", "link"].map(PathBuf::from));
        let files = files_in(&archive).unwrap();
        assert_eq!(files[0].1.len(), 2 * PIECE);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_and_ends_the_archive_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, written) = read_tree(folder.path().join("gone"));
        let mut archive = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut archive).await;
        let told = written.await.unwrap().unwrap_err().to_string();
        assert!(told.contains("gone` cannot be copied: "), "{told}");
        assert_eq!(read.unwrap_err().to_string(), told);
    }
}
