//! Publishing to GitHub. This file: the files of a job of GitHub Actions, its annotations, outputs and summary, for which
//! no token is needed. The rest is told by the API, where a token may ([`steps`]).

pub mod api;
pub mod check_run;
pub mod comment;
pub mod deployment;
pub mod gate;
pub mod occasion;
mod opens;
pub mod required;
pub mod slug;
pub mod status;
pub mod steps;
pub mod workflow;

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::record::v1::Record;
use crate::report::github::{self, Mistake, Token};
use crate::report::summary;

/// A job, as its environment describes it.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// `GITHUB_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`.
    pub step_summary: Option<PathBuf>,
}

impl Job {
    /// Hides the secrets from the job's log. To be called before anything else is printed.
    pub fn mask<'a>(&self, secrets: impl IntoIterator<Item = &'a str>, log: &mut impl Write) -> Vec<String> {
        let lines: String = secrets
            .into_iter()
            .flat_map(github::masks)
            .map(|line| line + "\n")
            .collect();
        warning(
            "secrets were not masked",
            log.write_all(lines.as_bytes()).map_err(Into::into),
        )
    }

    /// Publishes outputs and summary to their files. Returns what could not be published, one sentence each; the verdict
    /// stands whatever they say.
    pub fn publish(&self, result: &Record, report_dir: &Path) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(file) = &self.output {
            warnings.extend(warning(
                "outputs",
                write_outputs(&github::outputs(result, report_dir), file),
            ));
        }
        if let Some(file) = &self.step_summary {
            warnings.extend(warning("the job summary", append_summary(result, file)));
        }
        warnings
    }

    /// Tells the worst beside its lines, where no check run tells all of it.
    pub fn annotate(&self, result: &Record, log: &mut impl Write) -> Vec<String> {
        let annotations = github::annotations(result).into_iter();
        let annotations: String = annotations.map(|line| line + "\n").collect();
        warning("annotations", log.write_all(annotations.as_bytes()).map_err(Into::into))
    }
}

impl Job {
    /// Says what a run goes on with, beside the lines that are at fault.
    pub fn warn(&self, mistakes: &[Mistake], log: &mut impl Write) -> Vec<String> {
        let lines: String = mistakes.iter().map(|mistake| mistake.warning() + "\n").collect();
        warning("warnings", log.write_all(lines.as_bytes()).map_err(Into::into))
    }

    /// Publishes why a run was refused, as [`Job::publish`] does a record.
    pub fn refuse(&self, mistakes: &[Mistake], exit_code: u8, log: &mut impl Write) -> Vec<String> {
        let annotations: String = mistakes
            .iter()
            .take(github::ANNOTATIONS)
            .map(|mistake| mistake.annotation() + "\n")
            .collect();
        let mut warnings = warning("annotations", log.write_all(annotations.as_bytes()).map_err(Into::into));
        if let Some(file) = &self.output {
            let outputs = github::outputs_of_refusal(mistakes, exit_code);
            warnings.extend(warning("outputs", write_outputs(&outputs, file)));
        }
        if let Some(file) = &self.step_summary {
            warnings.extend(warning("the job summary", append(file, &github::refusal(mistakes))));
        }
        warnings
    }
}

fn warning(what: &str, done: Result<()>) -> Vec<String> {
    done.err()
        .map(|error| format!("{what} could not be published: {error:#}"))
        .into_iter()
        .collect()
}

fn write_outputs(outputs: &[(&str, String)], file: &Path) -> Result<()> {
    let token = Token::random()?;
    let entries: Vec<String> = outputs
        .iter()
        .map(|(name, value)| github::file_entry(name, value, &token))
        .collect::<Result<_>>()?;
    append(file, &entries.concat())
}

/// The runner drops a summary that is too large whole, with what was in it before, so that counts against the budget.
fn append_summary(result: &Record, file: &Path) -> Result<()> {
    let taken = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let budget = summary::BUDGET
        .saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX))
        .saturating_sub(2);
    let summary = summary::write(result, budget);
    anyhow::ensure!(
        !summary.is_empty(),
        "`{}` already holds {taken} bytes: see summary.md instead",
        file.display()
    );
    append(file, &summary)
}

/// Appends on a line of its own, also where whoever wrote before did not end theirs.
fn append(file: &Path, text: &str) -> Result<()> {
    let shown = file.display();
    let mut options = OpenOptions::new();
    let mut opened = options
        .create(true)
        .read(true)
        .append(true)
        .open(file)
        .with_context(|| format!("cannot open `{shown}`"))?;
    let blank = if ends_line(&mut opened)? { "" } else { "\n" };
    opened
        .write_all(format!("{blank}{text}").as_bytes())
        .with_context(|| format!("cannot write `{shown}`"))
}

fn ends_line(file: &mut std::fs::File) -> Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn job(dir: &Path) -> Job {
        Job {
            output: Some(dir.join("output")),
            step_summary: Some(dir.join("summary")),
        }
    }

    #[test]
    fn annotations_outputs_and_summary_reach_the_job() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut log = Vec::new();
        assert!(job(dir.path()).publish(&samples::block(), Path::new("out")).is_empty());
        assert!(job(dir.path()).annotate(&samples::block(), &mut log).is_empty());
        assert!(String::from_utf8_lossy(&log).starts_with("::error "));
        let output = std::fs::read_to_string(dir.path().join("output")).expect("written");
        assert!(
            output.starts_with("verdict<<rehearsal_") && output.contains("\nblock\n"),
            "{output}"
        );
        let summary = std::fs::read_to_string(dir.path().join("summary")).expect("written");
        assert!(summary.starts_with("## BLOCK: "), "{summary}");
    }

    #[test]
    fn what_others_wrote_stays_and_an_unfinished_line_is_ended() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("output"), "other=x").expect("written");
        job(dir.path()).publish(&samples::pass(), Path::new("out"));
        let output = std::fs::read_to_string(dir.path().join("output")).expect("written");
        assert!(output.starts_with("other=x\nverdict<<"), "{output}");
    }

    #[test]
    fn the_summary_shares_its_budget_with_what_others_wrote() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("summary");
        std::fs::write(&file, "x".repeat(999_000)).expect("written");
        assert!(job(dir.path()).publish(&samples::block(), Path::new("out")).is_empty());
        let length = std::fs::metadata(&file).expect("there").len();
        assert!((999_100..=1_000_000).contains(&length), "{length}");
        std::fs::write(&file, "x".repeat(1_000_000)).expect("written");
        let warnings = job(dir.path()).publish(&samples::block(), Path::new("out"));
        assert!(
            warnings[0].contains("the job summary could not be published"),
            "{warnings:?}"
        );
        assert_eq!(std::fs::metadata(&file).expect("there").len(), 1_000_000);
    }

    #[test]
    fn what_cannot_be_published_is_a_warning_for_each() {
        let missing = Path::new("/nowhere/at/all");
        let job = Job {
            output: Some(missing.join("output")),
            step_summary: Some(missing.join("summary")),
        };
        assert_eq!(job.publish(&samples::block(), Path::new("out")).len(), 2);
    }

    #[test]
    fn outside_of_a_job_nothing_is_written_and_a_pass_has_no_annotation() {
        let mut log = Vec::new();
        let job = Job::default();
        assert!(job.publish(&samples::pass(), Path::new("out")).is_empty());
        assert!(job.annotate(&samples::pass(), &mut log).is_empty());
        assert!(log.is_empty());
    }

    #[test]
    fn secrets_are_masked_line_by_line() {
        let mut log = Vec::new();
        assert!(Job::default().mask(["first", "second\nthird"], &mut log).is_empty());
        assert_eq!(
            String::from_utf8_lossy(&log),
            "::add-mask::first\n::add-mask::second\n::add-mask::third\n"
        );
    }
}
