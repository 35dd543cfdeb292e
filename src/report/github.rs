//! What GitHub's runner reads: workflow commands on the standard output, and values in its command files.
//!
//! A runner takes `::command::` after leading blanks, and the old `##[command]` anywhere in a line, from whoever prints
//! it; so a log of the mirror is only ever shown between `stop-commands` with a token that nobody can guess.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::{json, junit, words};
use crate::attest::bundle;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Severity};
use crate::record::status::Status;
use crate::record::v1::{Counts, Finding, Record, Test};
use crate::text::{harmless, random};

/// A runner shows no more of one kind for a step.
pub const ANNOTATIONS: usize = 10;
/// A runner cuts longer messages.
const MESSAGE: usize = 3500;

/// 128 random bits: an end mark that no output can contain.
#[derive(Debug, Clone)]
pub struct Token(String);

impl Token {
    /// Fails only where the system has no randomness.
    pub fn random() -> Result<Self> {
        random::hex::<16>().map(Self)
    }
}

/// How bad, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Blocks.
    Failure,
    /// Could not be told, or does not block.
    Warning,
}

impl Level {
    /// The workflow command.
    fn command(self) -> &'static str {
        match self {
            Self::Failure => "error",
            Self::Warning => "warning",
        }
    }
}

/// What is told beside a line, or of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How bad.
    pub level: Level,
    /// The file as the repository names it, and the line.
    pub place: Option<(String, u32)>,
    /// One line.
    pub title: String,
    /// What broke, the pair of versions, the way out. One line.
    pub message: String,
    /// Evidence or captured output; may be empty, and may be anything.
    pub detail: String,
}

/// All that is told of a record, failures first, otherwise worst first as recorded.
pub fn told(result: &Record) -> Vec<Annotation> {
    let findings = result.findings.iter().filter(|finding| is_told(finding));
    let findings = findings.map(|finding| of_finding(result, finding));
    let failed = |test: &&Test| matches!(test.status.or(Status::Error), Status::Failed | Status::Error);
    let tests = result.tests.iter().filter(failed).map(|test| of_test(result, test));
    let mut all: Vec<Annotation> = findings.chain(tests).collect();
    all.sort_by_key(|annotation| annotation.level);
    all
}

/// The worst of what was learned, as at most ten commands, one line each.
pub fn annotations(result: &Record) -> Vec<String> {
    let mut all: Vec<String> = told(result).iter().map(Annotation::as_command).collect();
    if all.len() > ANNOTATIONS {
        let more = format!(
            "{} more are in the job summary and in {}",
            all.len() + 1 - ANNOTATIONS,
            json::JUNIT
        );
        all.truncate(ANNOTATIONS - 1);
        all.push(command("notice", &[("title", "Rehearsal")], &more));
    }
    all
}

impl Annotation {
    fn as_command(&self) -> String {
        let title = ("title", self.title.as_str());
        match &self.place {
            Some((file, line)) => command(
                self.level.command(),
                &[("file", file), ("line", &line.to_string()), title],
                &self.message,
            ),
            None => command(self.level.command(), &[title], &self.message),
        }
    }
}

fn is_told(finding: &Finding) -> bool {
    finding.waived.is_none() && finding.severity != Severity::Info
}

fn of_finding(result: &Record, finding: &Finding) -> Annotation {
    let blocks = finding.severity == Severity::Error && finding.blame == Blame::Candidate;
    let cause = finding
        .cause
        .as_ref()
        .map_or(String::new(), |cause| format!(": {cause}"));
    let pair = words::pair(result, finding.service.as_deref());
    let (whose, lock) = match finding.check == CheckId::MirrorFidelity {
        true => ("not this change: ", take_again(result)),
        false => ("", String::new()),
    };
    Annotation {
        level: if blocks { Level::Failure } else { Level::Warning },
        place: None,
        title: format!(
            "{whose}{} in {}",
            words::word(&finding.check),
            words::word(&finding.stage)
        ),
        message: format!("{}{cause} ({pair}); way out: {}{lock}", finding.title, finding.help),
        detail: finding.evidence.join("\n"),
    }
}

/// Production has moved, or what is known of it is too old: whoever may look at production says what it is now.
fn take_again(result: &Record) -> String {
    let from = match result.lock.source.as_deref() {
        Some("docker") => "--from docker".to_owned(),
        Some("registry") => "--from registry".to_owned(),
        Some(source) => match source.strip_prefix("docker context ").filter(|name| is_word(name)) {
            Some(name) => format!("--from docker:{name}"),
            None => "--from PLACE".to_owned(),
        },
        None => "--from PLACE".to_owned(),
    };
    format!(
        "; not this change's doing: where production has moved or its lock is too old, take it again: `rehearsal lock {from}`"
    )
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

fn of_test(result: &Record, test: &Test) -> Annotation {
    let pair = words::pair(result, test.service.as_deref());
    Annotation {
        level: if test.status == Status::Failed {
            Level::Failure
        } else {
            Level::Warning
        },
        place: test.location.as_deref().and_then(junit::location),
        title: format!("{} / {} in {}", test.suite, test.name, words::word(&test.stage)),
        message: format!("{} ({pair}); way out: {}", test.message, words::way_out(result, test)),
        detail: test.detail.clone(),
    }
}

/// A mistake in a file: nothing was started because of it.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// The file as the repository names it, line and column from 1; `None` where it has no place.
    pub place: Option<(String, usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub way_out: Option<String>,
}

impl Mistake {
    /// In one sentence.
    pub fn line(&self) -> String {
        let way_out = self.way_out.as_ref().map(|way_out| format!("; {way_out}"));
        harmless::line(&format!("{}{}", self.message, way_out.unwrap_or_default()), MESSAGE)
    }

    /// As an annotation at its line: nothing was started.
    pub fn annotation(&self) -> String {
        self.told_as("error")
    }

    /// The same of what a run goes on with.
    pub fn warning(&self) -> String {
        self.told_as("warning")
    }

    fn told_as(&self, kind: &str) -> String {
        let place = self.place.as_ref();
        let place = place.map(|(file, line, column)| (file.clone(), line.to_string(), column.to_string()));
        match &place {
            Some((file, line, column)) => command(
                kind,
                &[("file", file), ("line", line), ("col", column), ("title", "Rehearsal")],
                &self.line(),
            ),
            None => command(kind, &[("title", "Rehearsal")], &self.line()),
        }
    }
}

/// The job summary of a run that was refused.
pub fn refusal(mistakes: &[Mistake]) -> String {
    let place = |mistake: &Mistake| match &mistake.place {
        Some((file, line, _)) => format!("{}:{line}: ", super::summary::escape(file)),
        None => String::new(),
    };
    let items = mistakes
        .iter()
        .map(|mistake| format!("* {}{}\n", place(mistake), super::summary::escape(&mistake.line())));
    format!(
        "## INCONCLUSIVE: the configuration cannot be used, and nothing was started\n\n{}",
        items.collect::<String>()
    )
}

/// The outputs of a run that was refused.
pub fn outputs_of_refusal(mistakes: &[Mistake], exit_code: u8) -> Vec<(&'static str, String)> {
    let cause = mistakes.first().map(Mistake::line).unwrap_or_default();
    vec![
        ("verdict", "inconclusive".to_owned()),
        ("cause", cause),
        ("exit-code", exit_code.to_string()),
    ]
}

fn command(name: &str, properties: &[(&str, &str)], message: &str) -> String {
    let property = |(name, value): &(&str, &str)| format!("{name}={}", escape_property(&harmless::line(value, 200)));
    let properties = properties.iter().map(property).collect::<Vec<_>>().join(",");
    let blank = if properties.is_empty() { "" } else { " " };
    format!(
        "::{name}{blank}{properties}::{}",
        escape_data(&harmless::line(message, MESSAGE))
    )
}

/// Hides `secret` from the job's log; printed before anything that may contain it. One command for each line, and none
/// for what is so short that hiding it would make the log unreadable.
pub fn masks(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim).filter(|line| line.len() > 3);
    lines.map(|line| format!("::add-mask::{}", escape_data(line))).collect()
}

/// A log as it may be shown: each line with `label` before it, and all between `stop-commands`.
pub fn replay(label: &str, log: &str, token: &Token) -> String {
    let label = harmless::line(label, 100);
    let log = harmless::block(log, usize::MAX);
    let lines: String = log
        .lines()
        .map(|line| harmless::no_commands(&format!("{label} | {line}\n")))
        .collect();
    format!("::stop-commands::{0}\n{lines}::{0}::\n", token.0)
}

fn escape_data(value: &str) -> String {
    value.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(value: &str) -> String {
    escape_data(value).replace(':', "%3A").replace(',', "%2C")
}

/// The outputs of the action, in the order of its manifest. All are small; what is large is in files.
pub fn outputs(result: &Record, report_dir: &std::path::Path) -> Vec<(&'static str, String)> {
    let path = |name: &str| report_dir.join(name).display().to_string();
    let counts = Counts::of(result);
    vec![
        ("verdict", words::verdict(result)),
        ("cause", words::cause(result)),
        ("exit-code", result.exit_code.to_string()),
        ("report-dir", report_dir.display().to_string()),
        ("junit-path", path(json::JUNIT)),
        ("result-path", path(json::RESULT)),
        ("summary-path", path(json::SUMMARY)),
        ("html-path", path(json::HTML)),
        ("attestation-path", path(bundle::FILE)),
        ("candidate", candidates(result)),
        ("tests", counts.tests.to_string()),
        ("passed", counts.passed.to_string()),
        ("failed", counts.failed.to_string()),
        ("errors", counts.errors.to_string()),
        ("skipped", counts.skipped.to_string()),
        ("not-run", counts.not_run.to_string()),
        ("duration-ms", result.duration_ms.to_string()),
        ("blocked-by", words::blocked_by(result).join(",")),
        ("tool-version", harmless::line(&result.rehearsal, 100)),
    ]
}

/// Every candidate by its registry's digest, as `rehearsal verify` takes them; nothing where one was never pushed.
fn candidates(result: &Record) -> String {
    let all: Option<BTreeSet<&str>> = result
        .candidate
        .iter()
        .map(|release| release.pushed.as_deref())
        .collect();
    let all: Vec<&str> = all.into_iter().flatten().collect();
    harmless::line(&all.join(" "), MESSAGE)
}

/// One entry of a command file such as `GITHUB_OUTPUT`. Always in the form with an end mark, for a value may contain
/// anything; refuses a value that contains the mark.
pub fn file_entry(name: &str, value: &str, token: &Token) -> Result<String> {
    let mark = format!("rehearsal_{}", token.0);
    ensure!(
        !value.contains(&mark) && !name.contains(&mark),
        "the value of `{name}` contains the end mark"
    );
    ensure!(
        !name.is_empty() && !name.contains(['=', '<', '\n', '\r']),
        "`{name}` cannot be the name of an output"
    );
    Ok(format!("{name}<<{mark}\n{value}\n{mark}\n"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::shard::{Place, Shard};
    use crate::report::samples;
    use crate::report::samples::NASTY;

    /// A command as a runner reads it from a line: new form after leading blanks, old form anywhere.
    fn runner_reads(line: &str) -> Option<(String, String)> {
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("::").filter(|rest| rest.contains("::")) {
            let (head, data) = rest.split_once("::")?;
            let name = head.split_once(' ').map_or(head, |(name, _)| name);
            return Some((name.to_owned(), unescape(data)));
        }
        let rest = &line[line.find("##[")? + 3..];
        let (head, data) = rest.split_once(']')?;
        Some((head.split([' ', ';']).next()?.to_owned(), data.to_owned()))
    }

    fn unescape(data: &str) -> String {
        data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    }

    /// What a runner executes of an output, `stop-commands` respected.
    fn runner_executes(output: &str) -> Vec<(String, String)> {
        let mut stopped: Option<String> = None;
        let mut executed = Vec::new();
        // A lone CR ends a line for some readers of the stream.
        for line in output.split(['\n', '\r']) {
            let Some((name, data)) = runner_reads(line) else {
                continue;
            };
            match &stopped {
                Some(token) if *token == name => stopped = None,
                Some(_) => {}
                None if name == "stop-commands" => stopped = Some(data),
                None => executed.push((name, data)),
            }
        }
        assert!(stopped.is_none(), "commands are still stopped at the end of {output}");
        executed
    }

    /// The entries that a runner takes from a command file.
    fn runner_takes(file: &str) -> Vec<(String, String)> {
        let mut lines = file.split('\n');
        let mut taken = Vec::new();
        while let Some(line) = lines.next() {
            let heredoc = line
                .find("<<")
                .filter(|at| line.find('=').is_none_or(|equals| *at < equals));
            if let Some(at) = heredoc {
                let (name, mark) = (&line[..at], &line[at + 2..]);
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != mark).collect();
                taken.push((name.to_owned(), value.join("\n")));
            } else if let Some((name, value)) = line.split_once('=') {
                taken.push((name.to_owned(), value.to_owned()));
            }
        }
        taken
    }

    #[test]
    fn the_annotations_of_the_incident() {
        insta::assert_snapshot!(annotations(&samples::block()).join("\n"));
    }

    #[test]
    fn hostile_text_adds_no_command_to_the_annotations() {
        for result in samples::hostile() {
            let commands = annotations(&result);
            let executed = runner_executes(&commands.join("\n"));
            assert_eq!(executed.len(), commands.len(), "{commands:?}");
            assert!(
                executed.iter().all(|(name, _)| name == "error" || name == "warning"),
                "{executed:?}"
            );
        }
    }

    #[test]
    fn properties_cannot_be_left_or_added_to() {
        for nasty in NASTY.iter().chain(&["a,line=1", "x::forged", "a%3Ab"]) {
            let line = command("error", &[("title", nasty)], "m");
            let head = line.strip_prefix("::error title=").expect("one property");
            let (value, message) = head.split_once("::").expect("ends once");
            assert!(message == "m" && !value.contains([',', ':', '\n', '\r']), "{line}");
        }
    }

    #[test]
    fn a_lock_of_no_use_is_said_not_to_be_the_changes_fault_with_the_command_that_takes_it_again() {
        let mut result = samples::block();
        result.findings.truncate(1);
        (result.findings[0].check, result.findings[0].blame) = (CheckId::MirrorFidelity.into(), Blame::Mirror.into());
        for (source, command) in [
            ("docker context prod", "rehearsal lock --from docker:prod"),
            ("docker", "rehearsal lock --from docker"),
            ("exec ssh", "rehearsal lock --from PLACE"),
            ("docker context x; rm -rf /", "rehearsal lock --from PLACE"),
        ] {
            result.lock.source = Some(source.to_owned());
            let told = told(&result);
            let lock = told
                .iter()
                .find(|one| one.title.starts_with("not this change"))
                .expect("told");
            assert!(lock.message.ends_with(&format!("`{command}`")), "{}", lock.message);
            assert_eq!(lock.level, Level::Warning);
        }
    }

    #[test]
    fn at_most_ten_annotations_are_made_and_the_last_counts_the_rest() {
        let mut result = samples::block();
        result.findings = vec![result.findings[1].clone(); 30];
        let commands = annotations(&result);
        assert_eq!(commands.len(), 10);
        assert!(
            commands[0].starts_with("::error file=smoke/shop.hurl,line=9,title="),
            "{}",
            commands[0]
        );
        assert!(
            commands[9].starts_with("::notice") && commands[9].contains("23 more"),
            "{}",
            commands[9]
        );
    }

    #[test]
    fn waived_findings_and_remarks_are_not_annotated() {
        let commands = annotations(&samples::block()).join("\n");
        assert!(!commands.contains("/v1/items"), "{commands}");
        assert!(annotations(&samples::pass()).is_empty());
    }

    #[test]
    fn a_replayed_log_executes_nothing_whatever_it_says() {
        let token = Token::random().expect("randomness");
        for nasty in NASTY {
            for label in ["web", nasty] {
                let shown = replay(label, &format!("{nasty}\n{nasty}"), &token);
                assert_eq!(runner_executes(&shown), [], "{shown}");
                assert!(!shown.contains("##["), "{shown}");
            }
        }
    }

    #[test]
    fn a_log_cannot_resume_commands_with_a_guessed_token() {
        let token = Token::random().expect("randomness");
        let shown = replay("web", "::0123456789abcdef0123456789abcdef::\n::error::forged", &token);
        assert_eq!(runner_executes(&shown), []);
        assert_ne!(token.0, Token::random().expect("randomness").0);
    }

    #[test]
    fn masks_cover_each_line_of_a_secret_as_it_is() {
        assert_eq!(
            masks("a%bc\n\n}\n  cdef\r\n"),
            ["::add-mask::a%25bc", "::add-mask::cdef"]
        );
        let read: Vec<_> = runner_executes(&masks("a%0Ab").join("\n"));
        assert_eq!(read, [("add-mask".to_owned(), "a%0Ab".to_owned())]);
        assert!(masks("").is_empty());
    }

    #[test]
    fn a_runner_takes_exactly_our_outputs_from_hostile_values() {
        let token = Token::random().expect("randomness");
        for nasty in NASTY {
            let file = format!(
                "{}{}",
                file_entry("cause", nasty, &token).expect("no collision"),
                file_entry("verdict", "block", &token).expect("no collision")
            );
            let expected = [
                ("cause".to_owned(), (*nasty).to_owned()),
                ("verdict".to_owned(), "block".to_owned()),
            ];
            assert_eq!(runner_takes(&file), expected);
        }
    }

    #[test]
    fn a_value_with_the_end_mark_or_a_bad_name_is_refused() {
        let token = Token::random().expect("randomness");
        assert!(file_entry("cause", &format!("x\nrehearsal_{}\ny", token.0), &token).is_err());
        for name in ["", "a=b", "a<<b", "a\nb"] {
            assert!(file_entry(name, "x", &token).is_err(), "{name:?}");
        }
    }

    #[test]
    fn every_output_of_the_manifest_is_given() {
        let names: Vec<_> = outputs(&samples::block(), Path::new("out"))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let manifest = include_str!("../../action.yml");
        let declared = manifest
            .split("\noutputs:\n")
            .nth(1)
            .and_then(|rest| rest.split("\nruns:").next());
        let declared = declared.expect("the manifest has outputs").lines();
        let declared =
            declared.filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':'));
        let declared = declared.map(|line| line.trim().trim_end_matches(':'));
        // Where a run is divided, the step itself gives that.
        let declared: Vec<_> = declared.filter(|name| *name != "matrix").collect();
        assert_eq!(names, declared);
    }

    #[test]
    fn what_one_shard_came_to_is_told_as_no_pass_and_its_block_as_a_block() {
        let as_shard = |mut result: Record| {
            result.shard = Some(Shard {
                place: Place { index: 1, of: 2 },
                plan: String::new(),
                all: Vec::new(),
                parts: Vec::new(),
                planned: Vec::new(),
                block_on: Vec::new(),
                forward_only: None,
                unexercised: Vec::new(),
            });
            result
        };
        let told = |result: &Record| outputs(result, Path::new("out"))[0].1.clone();
        let pass = as_shard(samples::pass());
        assert_eq!(told(&pass), "shard");
        let page = super::super::summary::write(&pass, super::super::summary::BUDGET);
        assert!(page.starts_with("## ONE PART: "), "{page}");
        assert_eq!(told(&as_shard(samples::block())), "block");
        assert_eq!(told(&samples::pass()), "pass");
    }
}
