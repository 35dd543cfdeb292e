//! Archives: the form in which files travel to containers.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::world::model::FileInside;

/// This very program, even where its file has been replaced or removed since.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What archives are made of: a file's head is one, its content as many as it takes.
const BLOCK: usize = 512;

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

/// A folder of this machine with everything in it, or a file alone: owners, modes and links as they are.
///
/// # Errors
/// Something in it cannot be read.
pub fn of_tree(root: &Path) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    let added = match root.file_name().filter(|_| root.is_file()) {
        Some(name) => archive.append_path_with_name(root, name),
        None => archive.append_dir_all(".", root),
    };
    added.with_context(|| format!("`{}` could not be copied into the mirror", root.display()))?;
    archive.into_inner().context("an archive could not be finished")
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
