//! A folder on its way to BuildKit: first what is in it, in order, then the content of the files that are asked for,
//! which are those that the engine has not kept from an earlier build.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

use super::super::super::globs::Ignore;

/// Of a file, in one packet.
const PIECE: usize = 32 << 10;

/// What a build may see under one name.
#[derive(Clone)]
pub(super) enum Local {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Files that are nowhere, by name.
    Files(BTreeMap<String, Vec<u8>>),
}

/// What BuildKit asks for.
pub(super) struct Asked {
    /// Name of the folder.
    pub name: String,
    /// Patterns of `.dockerignore`.
    excluded: Vec<String>,
    /// All that is needed, where that is said.
    followed: Vec<String>,
}

impl Asked {
    pub fn of(told: &MetadataMap) -> Self {
        Self {
            name: values(told, "dir-name").into_iter().next().unwrap_or_default(),
            excluded: values(told, "exclude-patterns"),
            followed: values(told, "followpaths"),
        }
    }

    /// Only the list of what is to be left out is wanted.
    fn is_for_patterns(&self) -> bool {
        let is_list = |path: &String| path.ends_with(".dockerignore");
        !self.followed.is_empty() && self.followed.iter().all(is_list)
    }
}

fn values(told: &MetadataMap, key: &str) -> Vec<String> {
    let all = told.get_all(key).iter().filter_map(|value| value.to_str().ok());
    let is_encoded = told.get(format!("{key}-encoded")).is_some();
    all.map(|text| if is_encoded { decoded(text) } else { text.to_owned() })
        .collect()
}

/// BuildKit writes what is not ASCII as a browser writes a query.
fn decoded(text: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// A path as BuildKit is told it, and where its content is.
struct Entry {
    stat: Stat,
    content: Content,
}

enum Content {
    None,
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// The answers to BuildKit's questions; they end when it has all it wants.
pub(super) fn send(
    local: Local,
    asked: Asked,
    questions: Streaming<Packet>,
) -> BoxStream<'static, Result<Packet, Status>> {
    let (answer, answers) = mpsc::channel(16);
    tokio::spawn(async move {
        if let Err(error) = answer_all(local, asked, questions, &answer).await {
            // Whoever asked may have gone.
            let _gone = answer.send(Err(error)).await;
        }
    });
    stream::unfold(answers, |mut answers| async {
        answers.recv().await.map(|one| (one, answers))
    })
    .boxed()
}

type Answers = mpsc::Sender<Result<Packet, Status>>;

async fn answer_all(
    local: Local,
    asked: Asked,
    mut questions: Streaming<Packet>,
    answers: &Answers,
) -> Result<(), Status> {
    let entries = tokio::task::spawn_blocking(move || entries(&local, &asked)).await;
    let entries = entries.map_err(|_| Status::internal("a folder could not be read"))??;
    for entry in &entries {
        tell(answers, PacketType::PacketStat, Some(entry.stat.clone()), 0, Vec::new()).await?;
    }
    tell(answers, PacketType::PacketStat, None, 0, Vec::new()).await?;
    while let Some(question) = questions.message().await? {
        match question.r#type() {
            PacketType::PacketReq => {
                let entry = entries.get(question.id as usize);
                let entry = entry.ok_or_else(|| Status::invalid_argument("no such file"))?;
                send_content(answers, question.id, &entry.content).await?;
            }
            PacketType::PacketFin => return tell(answers, PacketType::PacketFin, None, 0, Vec::new()).await,
            _ => return Err(Status::invalid_argument("not a question")),
        }
    }
    Ok(())
}

async fn tell(answers: &Answers, r#type: PacketType, stat: Option<Stat>, id: u32, data: Vec<u8>) -> Result<(), Status> {
    let r#type = r#type.into();
    let packet = Packet { r#type, stat, id, data };
    let sent = answers.send(Ok(packet)).await;
    sent.map_err(|_| Status::cancelled("nobody asks any more"))
}

async fn send_content(answers: &Answers, id: u32, content: &Content) -> Result<(), Status> {
    match content {
        Content::None => {}
        Content::Bytes(bytes) => {
            for piece in bytes.chunks(PIECE) {
                tell(answers, PacketType::PacketData, None, id, piece.to_vec()).await?;
            }
        }
        Content::File(path) => {
            let mut file = tokio::fs::File::open(path)
                .await
                .map_err(|error| unread(path, &error))?;
            let mut piece = vec![0; PIECE];
            loop {
                let read = file.read(&mut piece).await.map_err(|error| unread(path, &error))?;
                if read == 0 {
                    break;
                }
                tell(answers, PacketType::PacketData, None, id, piece[..read].to_vec()).await?;
            }
        }
    }
    // Its end.
    tell(answers, PacketType::PacketData, None, id, Vec::new()).await
}

fn unread(path: &Path, error: &io::Error) -> Status {
    Status::failed_precondition(format!("`{}` could not be read: {error}", path.display()))
}

fn entries(local: &Local, asked: &Asked) -> Result<Vec<Entry>, Status> {
    match local {
        Local::Files(files) => Ok(files.iter().map(|(name, bytes)| written(name, bytes)).collect()),
        Local::Folder(root) if asked.is_for_patterns() => {
            let names = asked.followed.iter().map(PathBuf::from);
            let there = names.filter(|name| root.join(name).is_file());
            there
                .map(|name| found(root, &name))
                .filter_map(Result::transpose)
                .collect()
        }
        Local::Folder(root) => {
            let ignore = Ignore::of(&asked.excluded.join("\n"));
            let mut all = Vec::new();
            below(root, Path::new(""), &ignore, &mut all)?;
            Ok(all)
        }
    }
}

/// What is below a folder: its entries by name, each before what is below it. A folder that is left out is told where
/// something in it is not.
fn below(root: &Path, folder: &Path, ignore: &Ignore, all: &mut Vec<Entry>) -> Result<(), Status> {
    let at = root.join(folder);
    let read = std::fs::read_dir(&at).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut names = read.map_err(|error| unread(&at, &error))?;
    names.sort_by_key(std::fs::DirEntry::file_name);
    for name in names {
        let path = folder.join(name.file_name());
        let is_folder = name.file_type().is_ok_and(|kind| kind.is_dir());
        let is_out = ignore.hides(&path);
        if is_out && !(is_folder && ignore.has_exceptions()) {
            continue;
        }
        let Some(entry) = found(root, &path)? else { continue };
        all.push(entry);
        let told = all.len();
        if is_folder {
            below(root, &path, ignore, all)?;
        }
        if is_out && all.len() == told {
            all.pop();
        }
    }
    Ok(())
}

/// A file, folder or link; nothing else travels.
fn found(root: &Path, path: &Path) -> Result<Option<Entry>, Status> {
    let at = root.join(path);
    let facts = std::fs::symlink_metadata(&at).map_err(|error| unread(&at, &error))?;
    let mut stat = Stat {
        path: path.to_string_lossy().into_owned(),
        mode: mode(&facts),
        mod_time: facts.mtime() * 1_000_000_000 + facts.mtime_nsec(),
        ..Stat::default()
    };
    let content = match facts.file_type() {
        kind if kind.is_dir() => Content::None,
        kind if kind.is_symlink() => {
            let target = std::fs::read_link(&at).map_err(|error| unread(&at, &error))?;
            stat.linkname = target.to_string_lossy().into_owned();
            Content::None
        }
        kind if kind.is_file() => {
            stat.size = i64::try_from(facts.len()).unwrap_or_default();
            Content::File(at)
        }
        _ => return Ok(None),
    };
    Ok(Some(Entry { stat, content }))
}

fn written(name: &str, bytes: &[u8]) -> Entry {
    let stat = Stat {
        path: name.to_owned(),
        mode: 0o644,
        mod_time: time_of(bytes),
        size: i64::try_from(bytes.len()).unwrap_or_default(),
        ..Stat::default()
    };
    Entry {
        stat,
        content: Content::Bytes(bytes.to_vec()),
    }
}

/// What BuildKit has kept of an earlier build it takes for the same where size and time are: a time that says what is
/// written, in nanoseconds.
fn time_of(bytes: &[u8]) -> i64 {
    let digest = Sha256::digest(bytes);
    let number = |at: usize| {
        digest[at..at + 4]
            .iter()
            .fold(0, |all, byte| all << 8 | i64::from(*byte))
    };
    (number(0) >> 1) * 1_000_000_000 + number(4) % 1_000_000_000
}

/// Kind and rights in the bits of Go's `fs.FileMode`, which this protocol speaks.
fn mode(facts: &std::fs::Metadata) -> u32 {
    let own = facts.mode();
    let bits = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = bits.iter().filter(|(bit, _)| own & bit != 0);
    let kind = match facts.file_type() {
        kind if kind.is_dir() => 1 << 31,
        kind if kind.is_symlink() => 1 << 27,
        _ => 0,
    };
    special.fold(kind | (own & 0o777), |mode, (_, place)| mode | 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(excluded: &[&str], followed: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/b/keep", "a/drop", "a-b", "link.dockerignore"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("a-b", folder.path().join("link")).unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let asked = Asked {
            name: String::new(),
            excluded: texts(excluded),
            followed: texts(followed),
        };
        let all = entries(&Local::Folder(folder.path().to_owned()), &asked).unwrap();
        all.into_iter().map(|entry| entry.stat.path).collect()
    }

    #[test]
    fn a_folder_is_told_in_order_each_folder_before_what_is_in_it() {
        let all = ["a", "a/b", "a/b/keep", "a/drop", "a-b", "link", "link.dockerignore"];
        assert_eq!(told(&[], &[]), all);
    }

    #[test]
    fn what_is_left_out_is_not_told_and_what_is_taken_back_in_has_its_folders() {
        assert_eq!(told(&["a", "l*"], &[]), ["a-b"]);
        assert_eq!(told(&["*", "!a/b/keep"], &[]), ["a", "a/b", "a/b/keep"]);
    }

    #[test]
    fn the_list_of_what_is_left_out_is_told_alone() {
        assert_eq!(
            told(&[], &["link.dockerignore", "x.dockerignore"]),
            ["link.dockerignore"]
        );
    }

    #[test]
    fn another_recipe_of_the_same_length_has_another_time() {
        let time = |text: &str| written("Dockerfile", text.as_bytes()).stat.mod_time;
        assert_eq!(time("RUN a"), time("RUN a"));
        assert_ne!(time("RUN a"), time("RUN b"));
        assert!(time("RUN a") >= 0);
    }

    #[test]
    fn kinds_and_rights_are_gos() {
        let folder = tempfile::tempdir().unwrap();
        let bits = |path: &Path| mode(&std::fs::symlink_metadata(path).unwrap());
        assert_eq!(bits(folder.path()) >> 31, 1);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(bits(&link), 1 << 27 | 0o777);
    }
}
