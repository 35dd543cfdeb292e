//! A commit's tree as files, in a folder that is this process's alone.
//!
//! The tree is hostile until written: no path leaves the folder, no link leads out of it, and what is not in the tree
//! (submodules, what Git LFS keeps) is said.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::git::{Contents, Entry, EntryKind, Repository};
use crate::engine::sweep::Alive;
use crate::text::random;

/// How a file begins that Git LFS has put in the place of another.
const POINTER: &[u8] = b"version https://git-lfs";
/// Longest path that a link may hold.
const LINK: u64 = 4096;

/// The files; they go with this.
pub(super) struct Export {
    folder: PathBuf,
    /// The tree's first folder. It is called as the checkout's, by which Compose names the project.
    pub(super) top: PathBuf,
    /// What the tree names and does not hold.
    pub(super) missing: Missing,
    _alive: Alive,
}

/// What a tree names and does not hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Other repositories.
    pub(super) submodules: Vec<PathBuf>,
    /// Files of which Git LFS keeps the content.
    pub(super) pointers: Vec<PathBuf>,
    /// Links that lead nowhere, or out of the tree.
    pub(super) links: Vec<PathBuf>,
}

impl Export {
    /// Writes the tree of a commit below `runs`.
    pub(super) fn of(repository: &Repository, commit: &str, runs: &Path) -> Result<Self> {
        let runs = std::path::absolute(runs)?;
        let name = format!("from-{}", random::hex::<5>()?);
        let alive = Alive::begin(&runs, &name)?;
        keep_to_itself(&runs)?;
        let folder = runs.join(name);
        let checkout = repository.top.file_name().unwrap_or("tree".as_ref());
        let mut export = Self {
            top: folder.join(checkout),
            folder,
            missing: Missing::default(),
            _alive: alive,
        };
        make_folder(&export.folder)?;
        make_folder(&export.top)?;
        export.write(repository, commit)?;
        Ok(export)
    }

    /// Where the export lies: what is beside the tree is not in it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&mut self, repository: &Repository, commit: &str) -> Result<()> {
        let entries = repository.tree(commit)?;
        let mut contents = repository.contents()?;
        let (links, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.kind == EntryKind::Link);
        // Links come last: nothing is written by way of one.
        for entry in others {
            self.write_entry(&entry, &mut contents)
                .with_context(|| format!("`{}` could not be written", entry.path.display()))?;
        }
        for entry in &links {
            self.write_link(entry, &mut contents)
                .with_context(|| format!("the link `{}` could not be written", entry.path.display()))?;
        }
        self.take_out_links(links)
    }

    fn write_entry(&mut self, entry: &Entry, contents: &mut Contents) -> Result<()> {
        let path = self.place(&entry.path)?;
        if entry.kind == EntryKind::Submodule {
            make_folder(&path)?;
            self.missing.submodules.push(entry.path.clone());
            return Ok(());
        }
        let mode = if entry.kind == EntryKind::Program { 0o777 } else { 0o666 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        if contents.of(&entry.object, |content| copy(content, &mut file))? == Content::Pointer {
            self.missing.pointers.push(entry.path.clone());
        }
        Ok(())
    }

    fn write_link(&self, entry: &Entry, contents: &mut Contents) -> Result<()> {
        let path = self.place(&entry.path)?;
        let mut target = Vec::new();
        contents.of(&entry.object, |content| content.take(LINK).read_to_end(&mut target))?;
        symlink(std::ffi::OsStr::from_bytes(&target), path)?;
        Ok(())
    }

    /// What a link leads to is known once all of them are there.
    fn take_out_links(&mut self, links: Vec<Entry>) -> Result<()> {
        let top = std::fs::canonicalize(&self.top)?;
        for Entry { path, .. } in links {
            let link = self.top.join(&path);
            let leads_inside = std::fs::canonicalize(&link).is_ok_and(|target| target.starts_with(&top));
            if !leads_inside {
                std::fs::remove_file(&link)?;
                self.missing.links.push(path);
            }
        }
        Ok(())
    }

    /// Where an entry is written; the folders above it are there.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let is_plain = |part: Component| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
        ensure!(
            path.components().next().is_some() && path.components().all(is_plain),
            "no checkout has such a path"
        );
        let place = self.top.join(path);
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above)?;
        }
        Ok(place)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // What stays is a dead run's, and goes with the next one's sweep.
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Own,
    Pointer,
}

/// Copies a content as it comes: it may be larger than memory.
fn copy(mut content: &mut dyn Read, file: &mut File) -> std::io::Result<Content> {
    let mut first = Vec::new();
    (&mut content).take(POINTER.len() as u64).read_to_end(&mut first)?;
    file.write_all(&first)?;
    std::io::copy(&mut content, file)?;
    Ok(match first == POINTER {
        true => Content::Pointer,
        false => Content::Own,
    })
}

fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("`{}` could not be made", path.display()))
}

/// Where others may write they may exchange what was exported.
fn keep_to_itself(folder: &Path) -> Result<()> {
    let facts = std::fs::symlink_metadata(folder)?;
    ensure!(
        facts.is_dir() && facts.uid() == rustix::process::getuid().as_raw(),
        "`{}` is another user's: remove it, or set TMPDIR to a folder of your own",
        folder.display()
    );
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    Ok(())
}
