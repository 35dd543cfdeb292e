//! `result.json`, the record itself, and from it every other report: written whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::record::v1::{Record, SCHEMA};
use crate::report::junit::{self, Dialect};
use crate::report::{html, summary};

/// Name of the record in the output directory.
pub const RESULT: &str = "result.json";
/// Name of the JUnit report.
pub const JUNIT: &str = "junit.xml";
/// Name of the job summary.
pub const SUMMARY: &str = "summary.md";
/// Name of the report for release managers.
pub const HTML: &str = "report.html";

/// What [`write_all`] did. A report that could not be written is a warning and never changes the verdict.
#[derive(Debug, Default)]
pub struct Written {
    /// Files that are there.
    pub files: Vec<PathBuf>,
    /// Why others are not, one sentence each.
    pub problems: Vec<String>,
}

/// Writes `result.json`, `junit.xml`, `summary.md` and `report.html` into `dir`, the record first: the others can be remade from it.
pub fn write_all(result: &Record, dir: &Path) -> Written {
    let mut written = Written::default();
    written.keep(dir.join(RESULT), write(result, &dir.join(RESULT)));
    let junit = junit::write(result, Dialect::Default).and_then(|xml| replace(&dir.join(JUNIT), xml.as_bytes()));
    written.keep(dir.join(JUNIT), junit);
    let summary = summary::write(result, summary::BUDGET);
    written.keep(dir.join(SUMMARY), replace(&dir.join(SUMMARY), summary.as_bytes()));
    let page = html::write(result, html::BUDGET).and_then(|page| replace(&dir.join(HTML), page.as_bytes()));
    written.keep(dir.join(HTML), page);
    written
}

impl Written {
    fn keep(&mut self, file: PathBuf, done: Result<()>) {
        match done {
            Ok(()) => self.files.push(file),
            Err(error) => self
                .problems
                .push(format!("`{}` was not written: {error:#}", file.display())),
        }
    }
}

/// Writes the record.
pub fn write(result: &Record, file: &Path) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(result).context("the record cannot be written as JSON")?;
    json.push(b'\n');
    replace(file, &json)
}

/// Reads a record back; another schema than ours is an error that says the way out.
pub fn read(file: &Path) -> Result<Record> {
    let shown = file.display();
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read `{shown}`: name a directory that `rehearsal run --out` wrote"))?;
    let value: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("`{shown}` is no JSON: it was cut off or is another file"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => bail!(
            "`{shown}` has the schema `{other}`, this Rehearsal reads `{SCHEMA}`: use the Rehearsal that wrote it{}",
            value
                .get("rehearsal")
                .and_then(Value::as_str)
                .map_or(String::new(), |version| format!(" (`{version}`)"))
        ),
        None => bail!("`{shown}` has no `schema`: it is no record of Rehearsal"),
    }
    serde_json::from_value(value).with_context(|| format!("`{shown}` says `{SCHEMA}` but does not fit it"))
}

/// Puts `bytes` at `file` in one step, so that no reader ever sees half of a report.
pub fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let dir = file
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    let name = file
        .file_name()
        .context("a report needs a file name")?
        .to_string_lossy();
    let beside = dir.join(format!(".{name}.{}.part", std::process::id()));
    let done = write_synced(&beside, bytes).and_then(|()| std::fs::rename(&beside, file));
    if done.is_err() {
        // Best effort: the error that matters is the first.
        let _ = std::fs::remove_file(&beside);
    }
    done.with_context(|| format!("cannot write `{}`", file.display()))
}

fn write_synced(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        for result in samples::hostile() {
            let file = dir.path().join(RESULT);
            write(&result, &file).expect("written");
            let back = read(&file).expect("read");
            assert_eq!(
                serde_json::to_value(&back).expect("JSON"),
                serde_json::to_value(&result).expect("JSON")
            );
        }
    }

    #[test]
    fn all_reports_are_written_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("new/out");
        let written = write_all(&samples::block(), &out);
        assert!(written.problems.is_empty(), "{:?}", written.problems);
        let mut names: Vec<_> = std::fs::read_dir(&out)
            .expect("made")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        assert_eq!(names, [JUNIT, HTML, RESULT, SUMMARY]);
    }

    #[test]
    fn reports_remade_from_the_record_are_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        write_all(&samples::block(), &first);
        write_all(&read(&first.join(RESULT)).expect("read"), &second);
        for name in [JUNIT, RESULT, SUMMARY, HTML] {
            let read = |dir: &Path| std::fs::read(dir.join(name)).expect("written");
            assert_eq!(read(&first), read(&second), "{name}");
        }
    }

    #[test]
    fn a_report_that_cannot_be_written_is_named_and_the_others_are_there() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join(JUNIT).join("in the way")).expect("made");
        let written = write_all(&samples::block(), dir.path());
        assert_eq!(written.files.len(), 3);
        assert!(written.problems[0].contains(JUNIT), "{:?}", written.problems);
    }

    #[test]
    fn another_schema_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join(RESULT);
        let error = |text: &str| {
            std::fs::write(&file, text).expect("written");
            format!("{:#}", read(&file).expect_err("refused"))
        };
        let other = error(r#"{"schema": "rehearsal/v9", "rehearsal": "9.1.0"}"#);
        assert!(
            other.contains("`rehearsal/v9`") && other.contains("use the Rehearsal that wrote it (`9.1.0`)"),
            "{other}"
        );
        assert!(error("{}").contains("no `schema`"));
        assert!(error("{").contains("no JSON"));
        assert!(error(r#"{"schema": "rehearsal/v1"}"#).contains("does not fit"));
        std::fs::remove_file(&file).expect("removed");
        assert!(read(&file).expect_err("missing").to_string().contains("--out"));
    }
}
