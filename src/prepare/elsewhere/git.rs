//! A repository of git, read by its plumbing alone: no filter, no hook and no attribute of a tree has a say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Names that are suggested at most.
const MOST_NAMES: &str = "--count=1000";

/// The checkout that holds a folder, as far up as one finds a `.git`.
pub(super) fn checkout_of(folder: &Path) -> Option<PathBuf> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let found = folder.ancestors().find(|folder| folder.join(".git").exists());
    found.map(Path::to_path_buf)
}

/// A checkout's repository.
pub(super) struct Repository {
    /// The checkout's first folder.
    pub(super) top: PathBuf,
    environment: BTreeMap<String, String>,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the tree's first folder.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) kind: EntryKind,
    /// The object's id.
    pub(super) object: String,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Program,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// Why git did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("`git` was not found on PATH")]
    Missing,
    #[error("`git {what}` failed: {words}")]
    Failed { what: &'static str, words: String },
}

impl Repository {
    pub(super) fn of(top: PathBuf, environment: &BTreeMap<String, String>) -> Self {
        // Which repository is read, the folder says; a variable that names another one would be a hook's or a job's.
        let kept = |name: &str| !name.starts_with("GIT_") || name.starts_with("GIT_CONFIG");
        let environment = environment.iter().filter(|(name, _)| kept(name));
        Self {
            top,
            environment: environment.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    /// The commit that a ref stands for; nothing where it stands for none here.
    pub(super) fn commit(&self, reference: &str) -> Result<Option<String>, GitError> {
        let wanted = format!("{reference}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        match self.answer("rev-parse", &arguments) {
            Ok(answer) => Ok(object_id(&String::from_utf8_lossy(&answer))),
            // It says nothing where there is no such commit.
            Err(GitError::Failed { words, .. }) if words.is_empty() => Ok(None),
            Err(GitError::Failed { words, .. }) if is_about_the_name(&words) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The branches and tags that are here.
    pub(super) fn names(&self) -> Vec<String> {
        let arguments = ["for-each-ref", MOST_NAMES, "--format=%(refname:short)"];
        let answer = self.answer("for-each-ref", &arguments).unwrap_or_default();
        let names = String::from_utf8_lossy(&answer);
        names.lines().map(str::to_owned).collect()
    }

    /// Whether only the newest commits are here.
    pub(super) fn is_shallow(&self) -> bool {
        let answer = self.answer("rev-parse", &["rev-parse", "--is-shallow-repository"]);
        answer.is_ok_and(|answer| answer.starts_with(b"true"))
    }

    /// Everything in a commit's tree.
    pub(super) fn tree(&self, commit: &str) -> Result<Vec<Entry>, GitError> {
        let listed = self.answer("ls-tree", &["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        entries.map(entry).collect()
    }

    /// Gives the contents of objects, one after the other.
    pub(super) fn contents(&self) -> Result<Contents, GitError> {
        let mut command = self.command(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_started("cat-file", &error))?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(asked), Some(given)) = pipes else {
            return Err(failed("cat-file", "it has no pipes"));
        };
        Ok(Contents {
            child,
            asked,
            given: BufReader::new(given),
        })
    }

    fn answer(&self, what: &'static str, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let ended = self.command(arguments).output();
        let ended = ended.map_err(|error| not_started(what, &error))?;
        match ended.status.success() {
            true => Ok(ended.stdout),
            false => Err(failed(what, String::from_utf8_lossy(&ended.stderr).trim())),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.top)
            // What stands in for objects locally is not what was reviewed.
            .args(["--no-replace-objects", "--no-pager"])
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

/// A process that gives contents.
pub(super) struct Contents {
    child: Child,
    asked: ChildStdin,
    given: BufReader<ChildStdout>,
}

impl Contents {
    /// Hands an object's content to `take`, which need not read all of it.
    pub(super) fn of<T>(
        &mut self,
        object: &str,
        take: impl FnOnce(&mut dyn Read) -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        writeln!(self.asked, "{object}")?;
        self.asked.flush()?;
        let mut head = String::new();
        self.given.read_line(&mut head)?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse().ok());
        let Some(size) = size.filter(|_| !head.starts_with("fatal")) else {
            let words = format!("git has no object {object}: {}", head.trim_end());
            return Err(std::io::Error::other(words));
        };
        let mut content = (&mut self.given).take(size);
        let taken = take(&mut content)?;
        std::io::copy(&mut content, &mut std::io::sink())?;
        if content.limit() > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // A line's end stands behind each.
        self.given.read_exact(&mut [0])?;
        Ok(taken)
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // All that was wanted has been read, or nothing will be any more.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// An object's id, where a text is nothing else.
fn object_id(text: &str) -> Option<String> {
    let id = text.trim_end();
    is_object_id(id).then(|| id.to_owned())
}

/// Whether a text is a whole id: as long as git's hashes are.
pub(super) fn is_object_id(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What git says of a text that names nothing, in place of its silence.
fn is_about_the_name(words: &str) -> bool {
    [
        "Needed a single revision",
        "bad revision",
        "unknown revision",
        "ambiguous argument",
    ]
    .iter()
    .any(|part| words.contains(part))
}

/// `100644 blob ID\tPATH`.
fn entry(listed: &[u8]) -> Result<Entry, GitError> {
    let unknown = || failed("ls-tree", &format!("`{}` is no entry", String::from_utf8_lossy(listed)));
    let tab = listed.iter().position(|byte| *byte == b'\t').ok_or_else(unknown)?;
    let head = String::from_utf8_lossy(&listed[..tab]).into_owned();
    let mut words = head.split(' ');
    let kind = match words.next() {
        Some("100755") => EntryKind::Program,
        Some("120000") => EntryKind::Link,
        Some("160000") => EntryKind::Submodule,
        Some(mode) if mode.starts_with("100") => EntryKind::File,
        _ => return Err(unknown()),
    };
    let object = words.nth(1).filter(|object| is_object_id(object)).ok_or_else(unknown)?;
    Ok(Entry {
        path: PathBuf::from(OsString::from_vec(listed[tab + 1..].to_vec())),
        kind,
        object: object.to_owned(),
    })
}

fn not_started(what: &'static str, error: &std::io::Error) -> GitError {
    match error.kind() {
        ErrorKind::NotFound => GitError::Missing,
        _ => failed(what, &error.to_string()),
    }
}

fn failed(what: &'static str, words: &str) -> GitError {
    GitError::Failed {
        what,
        words: words.to_owned(),
    }
}
