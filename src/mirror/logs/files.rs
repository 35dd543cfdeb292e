//! Logs on disk: `logs/STAGE/SERVICE.log`, from a container's creation on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::record::stage::StageId;

/// The files of a mirror.
pub(super) struct Files {
    // None = in memory only.
    folder: Option<PathBuf>,
    open: HashMap<(StageId, String), File>,
    told: bool,
}

impl Files {
    /// Below `folder`; `None` = nothing is written.
    pub fn below(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            open: HashMap::new(),
            told: false,
        }
    }

    /// A service's file exists from now on. What is to be said where it does not, once for a mirror.
    pub fn make(&mut self, stage: StageId, service: &str) -> Option<String> {
        let made = self.file(stage, service).map(drop);
        self.trouble(made)
    }

    /// Writes a line. What is to be said where that fails: the run goes on, for the verdict does not hang on a log file.
    pub fn write(&mut self, stage: StageId, service: &str, line: &str) -> Option<String> {
        let written = self.file(stage, service).and_then(|file| match file {
            Some(file) => writeln!(file, "{line}"),
            None => Ok(()),
        });
        self.trouble(written)
    }

    fn file(&mut self, stage: StageId, service: &str) -> std::io::Result<Option<&mut File>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let key = (stage, service.to_owned());
        if !self.open.contains_key(&key) {
            let file = open(folder, stage, service)?;
            self.open.insert(key.clone(), file);
        }
        Ok(self.open.get_mut(&key))
    }

    fn trouble(&mut self, done: std::io::Result<()>) -> Option<String> {
        let error = done.err().filter(|_| !self.told)?;
        self.told = true;
        let folder = self.folder.as_deref().unwrap_or(Path::new("logs"));
        Some(format!(
            "not every log line is on disk: `{}` could not be written: {error}",
            folder.display()
        ))
    }
}

fn open(folder: &Path, stage: StageId, service: &str) -> std::io::Result<File> {
    let folder = folder.join(stage.as_str());
    std::fs::create_dir_all(&folder)?;
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let safe: String = service.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let file = folder.join(format!("{safe}.log"));
    OpenOptions::new().create(true).append(true).open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_the_file_of_its_stage_and_service() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::below(Some(folder.path().to_owned()));
        assert_eq!(files.make(StageId::Control, "a/b"), None);
        assert_eq!(files.write(StageId::Upgrade, "web", "hello"), None);
        assert_eq!(std::fs::read(folder.path().join("control/a_b.log")).unwrap(), b"");
        assert_eq!(
            std::fs::read(folder.path().join("upgrade/web.log")).unwrap(),
            b"hello\n"
        );
    }

    #[test]
    fn a_full_disk_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("control")).unwrap();
        // Whatever is written there finds no space.
        std::os::unix::fs::symlink("/dev/full", folder.path().join("control/web.log")).unwrap();
        let mut files = Files::below(Some(folder.path().to_owned()));
        assert_eq!(files.make(StageId::Control, "web"), None);
        let said = files.write(StageId::Control, "web", "hello").unwrap();
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(files.write(StageId::Control, "web", "hello"), None);
    }

    #[test]
    fn without_a_folder_nothing_is_written_and_nothing_is_wrong() {
        let mut files = Files::below(None);
        assert_eq!(files.make(StageId::Control, "web"), None);
        assert_eq!(files.write(StageId::Control, "web", "hello"), None);
    }
}
