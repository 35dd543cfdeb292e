//! What a record keeps of the containers' logs: the end of each, because the end says most. The whole stays in the folder.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::record::stage::StageId;
use crate::record::v1::Log;
use crate::record::word::Word;

/// Bytes that are kept of one log.
const END: u64 = 8 * 1024;
/// Logs of which anything is kept: a record is read whole by many.
const MOST: usize = 32;

/// The ends of the logs in `folder`, stage by stage. What cannot be read is left out: the folder has it, and nothing
/// rests on this.
pub(super) fn ends(folder: &Path) -> Vec<Log> {
    let stages = StageId::ALL.iter().flat_map(|stage| {
        let files = files(&folder.join(stage.as_str()));
        files.into_iter().filter_map(|file| end(*stage, &file))
    });
    stages.take(MOST).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

fn end(stage: StageId, file: &Path) -> Option<Log> {
    let service = file.file_stem()?.to_str()?.to_owned();
    let (bytes, end) = read(file).ok()?;
    Some(Log {
        stage: Word::Known(stage),
        service,
        bytes,
        end,
    })
}

/// The length of a file, and its last lines.
fn read(file: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(file)?;
    let bytes = file.metadata()?.len();
    let from = bytes.saturating_sub(END);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    // Its first line may have lost its beginning.
    let whole = match from {
        0 => &*end,
        _ => end.split_once('\n').map_or("", |(_, rest)| rest),
    };
    Ok((bytes, whole.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_lines_of_each_log_are_kept_and_its_length_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, text).expect("written");
        };
        write("upgrade/web.log", "up\n");
        write("control/web.log", &"a line of sixteen\n".repeat(1_000));
        write("control/db.log", "");
        write("control/notes.txt", "not a log");
        let ends = ends(folder.path());
        let told: Vec<_> = ends
            .iter()
            .map(|log| (log.stage.to_string(), log.service.as_str(), log.bytes))
            .collect();
        let wanted = [("control", "db", 0), ("control", "web", 18_000), ("upgrade", "web", 3)];
        assert_eq!(
            told,
            wanted.map(|(stage, service, bytes)| (stage.to_owned(), service, bytes))
        );
        assert_eq!(ends[2].end, "up\n");
        assert!(ends[1].end.starts_with("a line of sixteen\n") && ends[1].end.len() as u64 <= END);
    }

    #[test]
    fn no_folder_is_no_log() {
        assert!(ends(Path::new("/nowhere")).is_empty());
    }
}
