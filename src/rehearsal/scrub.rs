//! The last pass over what was written while the run went on: a line is on disk before the token in it is known, for a
//! sign-in's cookies are learned when it ends. A killed run keeps its lines as they were, without marked secrets and
//! without what has the shape of a token.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::text::redact::Redactor;

/// Cleans every log in the folders of the stages of all that is known by now. What could not be cleaned, a sentence each.
pub fn logs(folder: &Path, redactor: &Redactor) -> Vec<String> {
    let stages = files(folder).into_iter().filter(|path| path.is_dir());
    stages
        .flat_map(|stage| each(&stage, |file| clean_lines(file, redactor)))
        .collect()
}

/// The same for every file of evidence.
pub fn evidence(folder: &Path, redactor: &Redactor) -> Vec<String> {
    each(folder, |file| clean_json(file, redactor))
}

fn each(folder: &Path, clean: impl Fn(&Path) -> io::Result<()>) -> Vec<String> {
    let failed = |file: PathBuf| clean(&file).err().map(|error| problem(&file, &error));
    files(folder).into_iter().filter_map(failed).collect()
}

/// What is said of a file that could not be cleaned.
pub(super) fn problem(file: &Path, error: &io::Error) -> String {
    format!(
        "`{}` could not be written again: tokens that were learned after a line may still stand in it: {error}",
        file.display()
    )
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Line by line: a log may be larger than the memory.
fn clean_lines(file: &Path, redactor: &Redactor) -> io::Result<()> {
    let mut read = BufReader::new(File::open(file)?);
    replace(file, |written| {
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line)? > 0 {
            written.write_all(&redactor.clean_bytes(&line))?;
            line.clear();
        }
        Ok(())
    })
}

fn clean_json(file: &Path, redactor: &Redactor) -> io::Result<()> {
    let mut seen = serde_json::from_slice(&fs::read(file)?)?;
    redactor.clean_value(&mut seen);
    replace(file, |written| {
        serde_json::to_writer_pretty(written, &seen).map_err(Into::into)
    })
}

/// In one step: whoever reads meanwhile, or after a kill, finds the old file or the new one.
pub(super) fn replace(file: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.part"));
    let written = File::create(&beside).and_then(|opened| {
        let mut written = BufWriter::new(opened);
        write(&mut written)?;
        written.flush()?;
        fs::rename(&beside, file)
    });
    written.inspect_err(|_| {
        // Best effort: the error that matters is the first.
        let _removed = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::record::event::EventKind;
    use crate::rehearsal::recorder::{EVENTS, EVIDENCE, Recorder};

    const LOG: &str = "logs/control/web.log";

    #[test]
    fn what_is_learned_late_goes_from_logs_evidence_and_events_and_they_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let redactor = Redactor::marked(["note"], ["note"]);
        let recorder = Recorder::begin(folder.path(), Instant::now(), &redactor, Box::new(|_| ())).unwrap();
        fs::create_dir_all(folder.path().join("logs/control")).unwrap();
        fs::write(folder.path().join(LOG), b"one\nsession l4te-t0ken begins\n\xff\nlast").unwrap();
        recorder.note("saw l4te-t0ken");
        recorder.evidence("egress-control.json", &serde_json::json!({"said": ["l4te-t0ken"]}));

        redactor.learn("l4te-t0ken");
        redactor.learn("run-finished-event");
        assert_eq!(logs(&folder.path().join("logs"), &redactor), Vec::<String>::new());
        assert_eq!(evidence(&folder.path().join(EVIDENCE), &redactor), Vec::<String>::new());
        assert_eq!(recorder.scrub(), Vec::<String>::new());
        recorder.note("afterwards");

        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read(LOG), b"one\nsession [redacted] begins\n\xff\nlast");
        let seen: serde_json::Value = serde_json::from_slice(&read("evidence/egress-control.json")).unwrap();
        assert_eq!(seen, serde_json::json!({"said": ["[redacted]"]}));
        let events = String::from_utf8(read(EVENTS)).unwrap();
        let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let texts: Vec<_> = events
            .iter()
            .map(|event| (&event["event"], event["text"].as_str()))
            .collect();
        let note = serde_json::json!("note");
        assert_eq!(texts, [(&note, Some("saw [redacted]")), (&note, Some("afterwards"))]);
        assert_eq!(
            files(folder.path()).len(),
            3,
            "nothing lies beside: {:?}",
            files(folder.path())
        );
    }

    #[test]
    fn what_cannot_be_cleaned_is_said_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("evidence")).unwrap();
        fs::write(folder.path().join("evidence/x.json"), "no JSON").unwrap();
        let problems = evidence(&folder.path().join(EVIDENCE), &Redactor::of(["hunter22"]));
        assert!(problems[0].contains("x.json"), "{problems:?}");
        assert_eq!(fs::read(folder.path().join("evidence/x.json")).unwrap(), b"no JSON");
    }

    #[test]
    fn words_of_the_vocabulary_that_are_secret_break_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let words = ["control", "passed", "stage-finished", "event"];
        let redactor = Redactor::marked(words, ["control", "passed"]);
        let recorder = Recorder::begin(folder.path(), Instant::now(), &redactor, Box::new(|_| ())).unwrap();
        let stage = crate::record::stage::StageId::Control;
        recorder.say(EventKind::StageFinished {
            stage,
            status: crate::record::status::Status::Passed,
            reason: Some("the suite smoke passed in control".to_owned()),
        });
        assert_eq!(recorder.scrub(), Vec::<String>::new());
        let text = fs::read_to_string(folder.path().join(EVENTS)).unwrap();
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["event"], "stage-finished");
        assert_eq!(
            (&event["stage"], &event["status"]),
            (&"control".into(), &"passed".into())
        );
        assert_eq!(event["reason"], "the suite smoke passed in control");
    }
}
