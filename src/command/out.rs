//! The output folder: it belongs to one run at a time, which removes what a former run of ours wrote there and nothing
//! else. What was written is listed in a file of its own, so that somebody's own files are told from ours.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::attest::bundle::FILE as SIGNED;
use crate::rehearsal::recorder::{EVENTS, EVIDENCE};
use crate::report::json::{HTML, JUNIT, RESULT, SUMMARY};
use rustix::fs::{FlockOperation, flock};

use super::entry::CA_FILE;

/// The plan, as data.
pub const PLAN: &str = "plan.json";
/// Every container's log, by stage.
pub const LOGS: &str = "logs";

/// What a run may write.
const OURS: [&str; 10] = [
    PLAN, EVENTS, CA_FILE, RESULT, JUNIT, SUMMARY, HTML, SIGNED, LOGS, EVIDENCE,
];
/// Held by the run to which the folder belongs; in it, what that run may have written.
const MARK: &str = ".rehearsal";
/// A record, its reports and the logs of a small run.
const ROOM: u64 = 8 * 1024 * 1024;

/// A folder that belongs to this run.
#[derive(Debug)]
pub struct Out {
    /// Where it is.
    pub folder: PathBuf,
    /// Held until the run is over.
    _mark: File,
}

/// Why a folder cannot be this run's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user's doing: another folder must be named, or another run has it.
    #[error("{0}")]
    Usage(String),
    /// The machine's.
    #[error("{0}")]
    Machine(String),
}

impl Out {
    /// Takes the folder, and removes what a former run left in it.
    ///
    /// # Errors
    /// It cannot be used, another run uses it, something in it is not ours, or there is no room.
    pub fn claim(folder: &Path) -> Result<Self, Refusal> {
        let unusable = |error: io::Error| {
            let shown = folder.display();
            Refusal::Usage(format!(
                "`{shown}` cannot be used for reports: {error}; name another folder with `--out`"
            ))
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let mark = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(folder.join(MARK))
            .map_err(unusable)?;
        if flock(&mark, FlockOperation::NonBlockingLockExclusive).is_err() {
            let shown = folder.display();
            return Err(Refusal::Usage(format!(
                "another run writes to `{shown}`: wait for it, or name another folder with `--out`"
            )));
        }
        is_ours(folder)?;
        for name in OURS {
            remove(&folder.join(name)).map_err(unusable)?;
        }
        has_room(folder)?;
        std::fs::write(folder.join(MARK), OURS.join("\n") + "\n").map_err(unusable)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            _mark: mark,
        })
    }
}

impl Out {
    /// What is there for a reader, as the user calls the folder.
    pub fn reports(&self, shown: &Path) -> String {
        let there = [HTML, RESULT, JUNIT, SUMMARY, SIGNED, LOGS, EVIDENCE];
        let there: Vec<&str> = there
            .into_iter()
            .filter(|name| self.folder.join(name).exists())
            .collect();
        match there.is_empty() {
            true => "none could be written".to_owned(),
            false => format!("{} ({})", shown.display(), there.join(", ")),
        }
    }
}

/// Whatever bears one of our names was written by a former run.
fn is_ours(folder: &Path) -> Result<(), Refusal> {
    let written = std::fs::read_to_string(folder.join(MARK)).unwrap_or_default();
    let written: BTreeSet<&str> = written.lines().collect();
    let foreign = OURS
        .iter()
        .find(|name| !written.contains(*name) && folder.join(name).exists());
    foreign.map_or(Ok(()), |name| {
        Err(Refusal::Usage(format!(
            "`{}` was not written by a run of Rehearsal, and would be written over: name another folder with `--out`",
            folder.join(name).display()
        )))
    })
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a full disk loses is the record, and without a record there is no pass: better to say so at once.
fn has_room(folder: &Path) -> Result<(), Refusal> {
    let Ok(found) = rustix::fs::statvfs(folder) else {
        return Ok(());
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free >= ROOM {
        return Ok(());
    }
    Err(Refusal::Machine(format!(
        "{} KB are free at `{}`, and a run needs {} KB for its record and logs: make room, or name another folder with \
         `--out`",
        free / 1024,
        folder.display(),
        ROOM / 1024
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(folder: &Path) -> String {
        match Out::claim(folder) {
            Err(Refusal::Usage(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_former_runs_files_go_and_nobody_elses() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        drop(Out::claim(path).expect("an empty folder"));
        std::fs::write(path.join(RESULT), "{}").expect("written");
        std::fs::create_dir_all(path.join(LOGS).join("control")).expect("made");
        std::fs::write(path.join("mine.txt"), "kept").expect("written");
        let claimed = Out::claim(path).expect("it was ours");
        assert!(!path.join(RESULT).exists() && !path.join(LOGS).exists());
        assert_eq!(std::fs::read_to_string(path.join("mine.txt")).expect("there"), "kept");
        drop(claimed);
    }

    #[test]
    fn somebodys_own_file_is_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(CA_FILE), "my own").expect("written");
        assert!(usage(folder.path()).contains("was not written by a run of Rehearsal"));
        let own = std::fs::read_to_string(folder.path().join(CA_FILE));
        assert_eq!(own.expect("still there"), "my own");
    }

    #[test]
    fn two_runs_never_share_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Out::claim(folder.path()).expect("free");
        assert!(usage(folder.path()).contains("another run writes to"));
        drop(first);
        Out::claim(folder.path()).expect("free again");
    }

    #[test]
    fn a_file_in_the_folders_place_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(usage(&file).contains("name another folder with `--out`"));
    }
}
