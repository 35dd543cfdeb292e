//! Commands inside services' containers: run by the engine, judged here.

use std::time::Duration;

use super::limits;
use super::matcher::{self, Subject};
use super::request::check_within;
use super::runner::{Attempt, Runner, StepHead, TestStep};
use super::template::{Missing, Scope};
use super::test_bed::TestBed;
use super::words::{self, IN_MESSAGE, quoted};
use crate::config::settings::{ExecExpect, ExecStep};
use crate::engine::exec::ExecOutput;
use crate::record::test::Reply;

/// A command's limit, unless the step itself waits longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Output is compared up to this much; a command that says more fails.
const OUTPUT_LIMIT: usize = 16 << 20;

/// A step of `exec`.
pub(super) struct Command<'a> {
    pub step: &'a ExecStep,
}

impl<B: TestBed> TestStep<B> for Command<'_> {
    fn head(&self) -> StepHead<'_> {
        let step = self.step;
        StepHead::of(&step.name, &step.span, step.retry, &step.capture)
    }

    async fn attempt(&self, runner: &Runner<'_, B>) -> Result<Attempt, Missing> {
        let scope = runner.scope();
        let command = self
            .step
            .command
            .iter()
            .map(|word| scope.text(word))
            .collect::<Result<Vec<_>, _>>()?;
        let stdin = self.step.stdin.as_deref().map(|text| scope.text(text)).transpose()?;
        let expect = filled(scope, &self.step.expect)?;
        let capture: Vec<_> = self
            .step
            .capture
            .iter()
            .map(|(name, pattern)| Ok((name.clone(), scope.pattern(pattern)?)))
            .collect::<Result<_, _>>()?;
        let service = &self.step.service;
        let limit = limits::limit(expect.within, LIMIT);
        let running = runner.bed.exec(service, &command, stdin.as_deref().map(str::as_bytes));
        let attempt = match tokio::time::timeout(limit, running).await {
            Ok(Ok(output)) => judge(&output, &expect, &capture),
            Ok(Err(error)) => refused(format!("{error:#}"), runner.run.candidates.contains(service)),
            Err(_) => endless(limit),
        };
        // The command as written: what is filled in may be a secret.
        let written = quoted(&self.step.command.join(" "), IN_MESSAGE);
        Ok(Attempt {
            subject: format!("{written} in `{service}`"),
            service: Some(service.clone()),
            ..attempt
        })
    }
}

fn filled(scope: Scope<'_>, expect: &ExecExpect) -> Result<ExecExpect, Missing> {
    Ok(ExecExpect {
        exit: expect.exit,
        stdout: expect
            .stdout
            .as_ref()
            .map(|matcher| scope.matcher(matcher))
            .transpose()?,
        stderr: expect
            .stderr
            .as_ref()
            .map(|matcher| scope.matcher(matcher))
            .transpose()?,
        within: expect.within,
    })
}

/// The engine could not run it. In a candidate's container that is the candidate's doing (it has stopped, or brings
/// no such program); elsewhere nothing can be told.
fn refused(why: String, in_candidate: bool) -> Attempt {
    let problem = format!("the command could not be run: {}", words::first_line(&why));
    Attempt {
        problems: vec![problem],
        detail: words::beginning(&why),
        lost: !in_candidate,
        reply: Reply::Nothing,
        ..Attempt::default()
    }
}

fn endless(limit: Duration) -> Attempt {
    let problem = format!("the command did not end within {} s", limit.as_secs());
    Attempt {
        problems: vec![problem],
        duration: limit,
        reply: Reply::Nothing,
        ..Attempt::default()
    }
}

fn judge(output: &ExecOutput, expect: &ExecExpect, capture: &[(String, String)]) -> Attempt {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let mut problems = Vec::new();
    if output.exit != expect.exit {
        problems.push(exit_words(expect.exit, output.exit, &stderr));
    }
    for (name, matcher, text) in [("stdout", &expect.stdout, &stdout), ("stderr", &expect.stderr, &stderr)] {
        let found = matcher
            .as_ref()
            .map(|matcher| matcher::check(matcher, Subject::Text(text)));
        problems.extend(found.and_then(Result::err).map(|words| format!("{name}: {words}")));
    }
    problems.extend(check_within(expect.within, output.duration).err());
    if output.stdout.len().max(output.stderr.len()) > OUTPUT_LIMIT {
        problems.push(format!("the command said more than {} MiB", OUTPUT_LIMIT >> 20));
    }
    let mut captured = Vec::new();
    for (name, pattern) in capture {
        match matcher::capture(pattern, stdout.trim()) {
            Ok(Some(value)) => captured.push((name.clone(), value)),
            Ok(None) => problems.push(format!(
                "capture `{name}`: no match in stdout of {}",
                quoted(pattern, IN_MESSAGE)
            )),
            Err(why) => problems.push(format!("capture `{name}`: {why}")),
        }
    }
    let detail = format!(
        "stdout:\n{}\nstderr:\n{}",
        words::beginning(&stdout),
        words::ending(&stderr)
    );
    Attempt {
        problems,
        detail,
        duration: output.duration,
        reply: Reply::Exit(output.exit),
        captured,
        ..Attempt::default()
    }
}

fn exit_words(expected: i64, received: i64, stderr: &str) -> String {
    let said = words::first_line(stderr);
    let said = if said.is_empty() { said } else { format!(" ({said})") };
    format!("expected exit {expected}, received {received}{said}")
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(&raw[..raw.len().min(OUTPUT_LIMIT)]).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::settings::Matcher;

    fn output(exit: i64, stdout: &str, stderr: &str) -> ExecOutput {
        ExecOutput {
            exit,
            stdout: stdout.into(),
            stderr: stderr.into(),
            duration: Duration::from_millis(7),
        }
    }

    #[test]
    fn output_is_compared_after_trimming() {
        let expect = ExecExpect {
            stdout: Some(Matcher::Equals(json!("3"))),
            ..ExecExpect::default()
        };
        assert!(judge(&output(0, " 3\n", ""), &expect, &[]).problems.is_empty());
    }

    #[test]
    fn a_wrong_exit_code_is_told_with_what_the_command_said() {
        let attempt = judge(
            &output(2, "", "\npsql: no such table\nmore"),
            &ExecExpect::default(),
            &[],
        );
        assert_eq!(attempt.problems, ["expected exit 0, received 2 (psql: no such table)"]);
    }

    #[test]
    fn a_capture_without_a_match_fails_the_step() {
        let capture = [("id".to_owned(), "id=(\\d+)".to_owned())];
        assert_eq!(
            judge(&output(0, "id=12", ""), &ExecExpect::default(), &capture).captured[0].1,
            "12"
        );
        let attempt = judge(&output(0, "none", ""), &ExecExpect::default(), &capture);
        assert_eq!(attempt.problems, ["capture `id`: no match in stdout of `id=(\\d+)`"]);
    }

    #[test]
    fn a_command_that_cannot_run_is_the_candidates_doing_only_in_its_container() {
        assert!(!refused("no container".to_owned(), true).lost);
        assert!(refused("no container".to_owned(), false).lost);
    }

    #[test]
    fn what_came_back_is_the_exit_code_and_nothing_where_it_could_not_run_or_did_not_end() {
        let expect = ExecExpect::default();
        assert_eq!(judge(&output(0, "3", ""), &expect, &[]).reply, Reply::Exit(0));
        assert_eq!(
            judge(&output(127, "", "sh: psql: not found"), &expect, &[]).reply,
            Reply::Exit(127)
        );
        assert_eq!(refused("no container".to_owned(), true).reply, Reply::Nothing);
        assert_eq!(endless(LIMIT).reply, Reply::Nothing);
    }
}
