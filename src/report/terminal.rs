//! What a person at a terminal reads: one line per event that matters while it runs, and the summary, whose first line
//! is the cause.
//!
//! ```text
//! BLOCK  sign-in broke: web shop:2 gets 500 from idp keycloak:18.0.2 …
//!
//!   candidate  web shop:2 (sha256:222222222222)
//!   …
//!   control    passed  1 min 01 s
//!     ✓ start db                  4.1 s
//! ```

use super::words::Told;
use super::{alerts, words};
use crate::record::container::{ContainerState, PullState};
use crate::record::event::{Event, EventKind};
use crate::record::fidelity::FidelityState;
use crate::record::finding::{Blame, Severity};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step as StepId;
use crate::record::v1::{Alert, Finding, Record, Stage, Step, Test};
use crate::text::harmless;
use crate::text::units::of_millis;

/// Findings, failed tests and steps that are shown; the rest is in the reports.
const SHOWN: usize = 10;
const STEPS: usize = 40;
/// Lines of evidence for one finding.
const EVIDENCE: usize = 6;

/// Whether escape sequences are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// A terminal reads it.
    On,
    /// A file does.
    Off,
}

/// A terminal.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Its colours.
    pub colour: Colour,
    /// Its columns.
    pub width: usize,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Terminal {
    /// The summary of a finished run; `reports` says where they lie.
    pub fn summary(&self, result: &Record, reports: &str) -> String {
        let sections = [
            vec![self.headline(result)],
            self.pair(result),
            result.stages.iter().flat_map(|stage| self.stage(stage)).collect(),
            self.load(result),
            self.not_run(result),
            self.findings(result),
            self.tests(result),
            self.alerts(result),
            self.notes(result),
            self.footer(result, reports),
            self.last_word(result),
        ];
        let sections = sections.iter().filter(|lines| !lines.is_empty());
        let sections: Vec<String> = sections.map(|lines| lines.join("\n") + "\n").collect();
        // It is also printed into the logs of jobs.
        harmless::no_commands(&sections.join("\n"))
    }

    /// The line for an event while it runs; `None` for what matters to nobody at this moment.
    pub fn progress(&self, event: &Event) -> Option<String> {
        let (stage, line) = self.happened(&event.kind)?;
        let at = self.paint(&format!("{:>12}", of_millis(event.at_ms)), Style::Dim);
        Some(harmless::no_commands(&format!(
            "{at}  {:<9} {line}",
            stage.map_or("", StageId::as_str)
        )))
    }

    fn happened(&self, kind: &EventKind) -> Option<(Option<StageId>, String)> {
        match kind {
            EventKind::RunStarted { run, seed } => Some((None, format!("run {}, seed {seed}", clean(run)))),
            EventKind::StageStarted { stage } => Some((Some(*stage), self.paint("begins", Style::Bold))),
            EventKind::StageFinished { stage, status, reason } => {
                let word = self.paint(words::status(*status), style_of(*status));
                Some((Some(*stage), self.because(&word, reason.as_deref())))
            }
            EventKind::StepFinished {
                stage,
                step,
                status,
                reason,
                duration_ms,
            } => {
                let line = format!("{} {}  {}", self.mark(*status), clean(step), of_millis(*duration_ms));
                Some((Some(*stage), self.because(&line, reason.as_deref())))
            }
            EventKind::StepStarted { stage, step } if takes_long(step) => {
                Some((Some(*stage), self.paint(&format!("· {} …", clean(step)), Style::Dim)))
            }
            EventKind::Container {
                stage,
                service,
                state: ContainerState::Started,
                ..
            } => Some((
                Some(*stage),
                self.paint(&format!("· start {} …", clean(service)), Style::Dim),
            )),
            EventKind::Container {
                stage,
                service,
                state,
                detail,
            } => {
                let line = format!("! {} {state}", clean(service));
                is_trouble(*state, detail.as_deref()).then(|| (Some(*stage), self.because(&line, detail.as_deref())))
            }
            EventKind::Pull { image, state, detail } => Some((None, self.image("pull", image, *state, detail))),
            EventKind::Build { image, state, detail } => Some((None, self.image("build", image, *state, detail))),
            EventKind::Test(test) => self.test_progress(test),
            EventKind::Check(check) => {
                let line = format!(
                    "{} {}",
                    self.mark(check.status.or(Status::Error)),
                    clean(words::word(&check.check))
                );
                (check.status != Status::Passed && check.status != Status::Skipped)
                    .then(|| (check.stage.known(), self.because(&line, check.reason.as_deref())))
            }
            EventKind::Finding(finding) => {
                let line = format!("{} {}", self.finding_mark(finding), clean(&finding.title));
                Some((finding.stage.known(), self.because(&line, finding.cause.as_deref())))
            }
            EventKind::Note { text } => Some((None, clean(text))),
            // The summary says it.
            EventKind::StepStarted { .. } | EventKind::Fidelity { .. } | EventKind::RunFinished { .. } => None,
        }
    }

    fn image(&self, way: &str, image: &str, state: PullState, detail: &Option<String>) -> String {
        self.because(&format!("{way} {} {state}", clean(image)), detail.as_deref())
    }

    fn test_progress(&self, test: &Test) -> Option<(Option<StageId>, String)> {
        let status = test.status.or(Status::Error);
        let line = format!("  {} {} / {}", self.mark(status), clean(&test.suite), clean(&test.name));
        is_bad(test.status.or(Status::Error)).then(|| (test.stage.known(), self.because(&line, Some(&test.message))))
    }

    fn because(&self, line: &str, reason: Option<&str>) -> String {
        match reason.map(clean).filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{line}: {reason}"),
            None => line.to_owned(),
        }
    }

    fn headline(&self, result: &Record) -> String {
        let verdict = Told::of(result).word();
        format!(
            "{}  {}",
            self.paint(verdict, style_of_verdict(result)),
            words::cause(result)
        )
    }

    /// The same once more, for who has scrolled: the verdict, what, the pair, what to do.
    fn last_word(&self, result: &Record) -> Vec<String> {
        let style = style_of_verdict(result);
        let verdict = self.paint(Told::of(result).word(), style);
        let parts = words::headline(result);
        std::iter::once(verdict)
            .chain(parts.iter().map(|(name, text)| self.field(name, text)))
            .collect()
    }

    fn pair(&self, result: &Record) -> Vec<String> {
        let roles = [
            ("candidate", &result.candidate),
            ("replaces", &result.baseline),
            ("beside", &result.mirror),
        ];
        let lines = roles
            .iter()
            .filter(|(_, releases)| !releases.is_empty())
            .map(|(role, releases)| {
                let named =
                    |one: &crate::record::release::Release| format!("{} {}", clean(&one.service), words::release(one));
                self.field(role, &releases.iter().map(named).collect::<Vec<_>>().join(", "))
            });
        let said = |name, statement: &str| {
            let statement = clean(statement);
            (!statement.is_empty()).then(|| self.field(name, &statement))
        };
        let production = result.production.as_ref();
        let production = production.and_then(|production| said("from", &production.statement));
        let lock = said("lock", &result.lock.statement);
        lines
            .chain(production)
            .chain(lock)
            .chain(self.fidelity(result))
            .collect()
    }

    fn fidelity(&self, result: &Record) -> Option<String> {
        let same = result
            .fidelity
            .iter()
            .filter(|row| row.state == FidelityState::Same)
            .count();
        let others = result.fidelity.iter().filter(|row| row.state != FidelityState::Same);
        let others = others.map(|row| clean(format!("{} {} {}", row.service, row.fact, row.state)));
        let parts: Vec<String> = std::iter::once(format!("{same} facts same"))
            .chain(others.take(SHOWN))
            .collect();
        (!result.fidelity.is_empty()).then(|| self.field("fidelity", &parts.join(", ")))
    }

    fn stage(&self, stage: &Stage) -> Vec<String> {
        let status = self.paint(
            words::status(stage.status.or(Status::Error)),
            style_of(stage.status.or(Status::Error)),
        );
        let head = match stage.status.or(Status::Error) {
            Status::Skipped | Status::NotRun => format!("  {:<9}  {status}", words::word(&stage.id)),
            _ => format!(
                "  {:<9}  {status}  {}",
                words::word(&stage.id),
                of_millis(stage.duration_ms)
            ),
        };
        let mut lines = vec![self.because(&head, stage.reason.as_deref())];
        let steps: Vec<&Step> = stage
            .steps
            .iter()
            .filter(|step| step.status != Status::NotRun)
            .collect();
        lines.extend(steps.iter().take(STEPS).map(|step| self.step(step)));
        lines.extend(self.more(steps.len(), STEPS, "steps"));
        lines
    }

    fn load(&self, result: &Record) -> Vec<String> {
        let lines = words::load(result);
        lines
            .iter()
            .take(SHOWN)
            .map(|line| self.field("load", &clean(line)))
            .collect()
    }

    fn not_run(&self, result: &Record) -> Vec<String> {
        let lines = words::not_run(result);
        lines
            .iter()
            .take(SHOWN)
            .map(|line| self.field("not run", line))
            .collect()
    }

    fn step(&self, step: &Step) -> String {
        let name = harmless::line(&step.id, 200);
        let took = of_millis(step.duration_ms);
        let line = format!("    {} {name:<28} {took:>11}", self.mark(step.status.or(Status::Error)));
        match step.reason.as_deref().map(clean).filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{line}  {}", self.fit(&reason, 46)),
            None => line,
        }
    }

    fn findings(&self, result: &Record) -> Vec<String> {
        let shown = result.findings.iter().take(SHOWN);
        let mut lines: Vec<String> = shown.flat_map(|finding| self.finding(finding)).collect();
        lines.extend(self.more(result.findings.len(), SHOWN, "findings"));
        lines
    }

    fn finding(&self, finding: &Finding) -> Vec<String> {
        let subject = finding
            .service
            .as_deref()
            .map_or(String::new(), |service| format!(", {}", clean(service)));
        let place = self.paint(
            &format!("{} in {}{subject}", clean(words::word(&finding.check)), finding.stage),
            Style::Dim,
        );
        let title = self.paint(&clean(&finding.title), Style::Bold);
        let mut lines = vec![format!("  {} {title}  {place}", self.finding_mark(finding))];
        if let Some(waiver) = &finding.waived {
            lines.push(self.hanging("waived", &clean(waiver)));
            return lines;
        }
        lines.extend(blame(finding.blame.or(Blame::Mirror)).map(|blame| self.hanging("note", blame)));
        lines.extend(finding.cause.as_ref().map(|cause| self.hanging("why", &clean(cause))));
        let evidence = finding
            .evidence
            .iter()
            .flat_map(|text| text.lines())
            .map(clean)
            .filter(|line| !line.is_empty());
        let evidence: Vec<String> = evidence.collect();
        let seen = evidence.iter().take(EVIDENCE).enumerate();
        lines.extend(seen.map(|(at, line)| label(if at == 0 { "seen" } else { "" }, &self.fit(line, 15))));
        lines.extend(
            (evidence.len() > EVIDENCE).then(|| label("", &format!("… {} more lines", evidence.len() - EVIDENCE))),
        );
        lines.extend(words::folded(finding).map(|others| self.hanging("and", &others)));
        lines.push(self.hanging("way out", &clean(&finding.help)));
        lines
    }

    fn tests(&self, result: &Record) -> Vec<String> {
        let bad: Vec<&Test> = result
            .tests
            .iter()
            .filter(|test| is_bad(test.status.or(Status::Error)))
            .collect();
        // What did not run is told above.
        let told = bad.iter().filter(|test| test.status != Status::NotRun);
        let total = told.clone().count();
        let mut lines: Vec<String> = told.take(SHOWN).flat_map(|test| self.test(test)).collect();
        lines.extend(self.more(total, SHOWN, "tests that failed"));
        lines
    }

    fn test(&self, test: &Test) -> Vec<String> {
        let mark = self.mark(test.status.or(Status::Error));
        let name = self.paint(&clean(&test.name), Style::Bold);
        let place = test
            .location
            .as_deref()
            .map_or(String::new(), |place| format!(", {}", clean(place)));
        let place = self.paint(
            &format!("{} in {}{place}", clean(&test.suite), words::word(&test.stage)),
            Style::Dim,
        );
        vec![
            format!("  {mark} {name}  {place}"),
            self.hanging("", &clean(&test.message)),
        ]
    }

    fn alerts(&self, result: &Record) -> Vec<String> {
        let told = alerts::told(result);
        let line = |alert: &&Alert| {
            let name = format!("{} in {}: ", alerts::name(alert), words::word(&alert.scenario));
            let wanted = if alert.must_fire { "must fire, " } else { "" };
            self.field("alert", &clean(format!("{name}{wanted}{}", alerts::says(alert))))
        };
        let lines = told.iter().take(SHOWN).map(line);
        lines.chain(self.more(told.len(), SHOWN, "answers of alerts")).collect()
    }

    fn notes(&self, result: &Record) -> Vec<String> {
        result
            .notes
            .iter()
            .take(SHOWN)
            .map(|note| self.field("note", &clean(note)))
            .collect()
    }

    fn footer(&self, result: &Record, reports: &str) -> Vec<String> {
        let took = of_millis(result.duration_ms);
        let replay = format!("{took}, seed {}, rehearsal {}", result.seed, clean(&result.rehearsal));
        vec![
            self.field("counts", &words::counts(result)),
            self.field("run", &replay),
            self.field("reports", &clean(reports)),
        ]
    }

    fn field(&self, name: &str, value: &str) -> String {
        format!(
            "  {}{}",
            self.paint(&format!("{name:<11}"), Style::Dim),
            hang(value, self.room(13), 13)
        )
    }

    fn hanging(&self, name: &str, value: &str) -> String {
        label(name, &hang(value, self.room(15), 15))
    }

    fn more(&self, all: usize, shown: usize, what: &str) -> Option<String> {
        (all > shown).then(|| {
            self.paint(
                &format!("    … {} more {what}, see the reports", all - shown),
                Style::Dim,
            )
        })
    }

    /// Columns left of an indented text, never so few that nothing can be read.
    fn room(&self, indent: usize) -> usize {
        self.width.saturating_sub(indent).max(30)
    }

    fn fit(&self, line: &str, indent: usize) -> String {
        let room = self.room(indent);
        if line.chars().count() <= room {
            return line.to_owned();
        }
        line.chars().take(room - 1).chain(['…']).collect()
    }

    fn mark(&self, status: Status) -> String {
        let mark = match status {
            Status::Passed => "✓",
            Status::Failed => "✗",
            Status::Error => "?",
            Status::Skipped => "-",
            Status::NotRun => "·",
        };
        self.paint(mark, style_of(status))
    }

    fn finding_mark(&self, finding: &Finding) -> String {
        match (
            finding.severity.or(Severity::Error),
            finding.blame.or(Blame::Mirror),
            &finding.waived,
        ) {
            (_, _, Some(_)) => self.paint("-", Style::Dim),
            (Severity::Error, Blame::Candidate, None) => self.paint("✗", Style::Red),
            (Severity::Error, Blame::Mirror | Blame::Flaky, None) => self.paint("?", Style::Yellow),
            (Severity::Warn | Severity::Error, _, None) => self.paint("!", Style::Yellow),
            (Severity::Info, _, None) => self.paint("i", Style::Dim),
        }
    }

    fn paint(&self, text: &str, style: Style) -> String {
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
        };
        if self.colour == Colour::On {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn clean(line: impl AsRef<str>) -> String {
    harmless::line(line.as_ref(), words::LINE)
}

fn style_of_verdict(result: &Record) -> Style {
    match Told::of(result) {
        Told::Pass => Style::Green,
        Told::Block => Style::Red,
        Told::Part | Told::Inconclusive => Style::Yellow,
    }
}

fn style_of(status: Status) -> Style {
    match status {
        Status::Passed => Style::Green,
        Status::Failed => Style::Red,
        Status::Error => Style::Yellow,
        Status::Skipped | Status::NotRun => Style::Dim,
    }
}

fn is_bad(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Error | Status::NotRun)
}

/// Who waits wants to know for what.
fn takes_long(step: &str) -> bool {
    let Ok(step) = step.parse();
    match step {
        StepId::Mirror | StepId::Run(_) | StepId::Swap(_) | StepId::Other(_) => true,
        // Services come up side by side: each container says when it starts.
        StepId::Restore(_) | StepId::Start(_) | StepId::Check(_) => false,
    }
}

/// A container that ended well was stopped on purpose.
fn is_trouble(state: ContainerState, detail: Option<&str>) -> bool {
    match state {
        ContainerState::Exited => !detail.is_some_and(|detail| detail.starts_with("exit code 0")),
        ContainerState::Restarted | ContainerState::Unhealthy | ContainerState::OutOfMemory => true,
        ContainerState::Started | ContainerState::Ready | ContainerState::Stopped | ContainerState::HookFailed => false,
    }
}

fn blame(blame: Blame) -> Option<&'static str> {
    match blame {
        Blame::Candidate | Blame::Nobody => None,
        Blame::Mirror => Some("this says nothing about the candidate: the mirror, a suite or the machine is at fault"),
        Blame::Flaky => Some("flaky: an untouched baseline fails here too"),
        Blame::PreExisting => Some("pre-existing: the baseline fails here alike"),
    }
}

fn label(name: &str, value: &str) -> String {
    format!("      {name:<8} {value}").trim_end().to_owned()
}

/// Breaks `text` between words into lines of at most `room` columns, all but the first indented.
fn hang(text: &str, room: usize, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Says something on standard error. Nobody reading any more, as where the terminal has been closed, is no failure.
pub fn say(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let _unread = writeln!(std::io::stderr(), "{text}");
}

/// The same on standard output; whether anybody reads.
pub fn tell(text: &str) -> bool {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{text}").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::verdict::Verdict;
    use crate::report::samples;

    const PLAIN: Terminal = Terminal {
        colour: Colour::Off,
        width: 100,
    };

    fn summary(result: &Record) -> String {
        PLAIN.summary(result, "rehearsal-out (junit.xml)")
    }

    #[test]
    fn the_summary_of_the_incident() {
        insta::assert_snapshot!(summary(&samples::block()));
    }

    #[test]
    fn the_summary_of_a_clean_run() {
        insta::assert_snapshot!(summary(&samples::pass()));
    }

    #[test]
    fn the_first_line_is_the_cause_whatever_the_verdict() {
        for (verdict, word) in [
            (Verdict::Pass, "PASS  "),
            (Verdict::Block, "BLOCK  "),
            (Verdict::Inconclusive, "INCONCLUSIVE  "),
        ] {
            let mut result = samples::block();
            result.verdict = verdict.into();
            assert!(summary(&result).starts_with(&format!("{word}sign-in broke")));
            result.cause.clear();
            assert!(
                summary(&result)
                    .lines()
                    .next()
                    .is_some_and(|line| line.len() > word.len())
            );
        }
    }

    #[test]
    fn hostile_text_moves_no_cursor_and_adds_no_line_at_the_margin() {
        for result in samples::hostile() {
            let summary = summary(&result);
            assert!(!summary.chars().any(|ch| ch.is_control() && ch != '\n'), "{summary:?}");
            let margin = summary
                .lines()
                .skip(1)
                .filter(|line| !line.is_empty() && !line.starts_with("  "));
            // The verdict stands there once more, alone on its line.
            assert_eq!(margin.collect::<Vec<_>>(), ["BLOCK"], "{summary}");
            let command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
            assert!(!summary.lines().any(command), "{summary}");
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = Terminal {
            colour: Colour::On,
            width: 100,
        };
        let result = samples::block();
        let painted = coloured.summary(&result, "rehearsal-out (junit.xml)");
        assert!(painted.contains('\u{1b}'));
        assert_eq!(harmless::strip_escapes(&painted), summary(&result));
    }

    #[test]
    fn many_findings_are_counted_not_printed() {
        let mut result = samples::block();
        result.findings = vec![result.findings[0].clone(); 500];
        result.findings[0].evidence = vec!["line".to_owned(); 500];
        let summary = summary(&result);
        assert!(
            summary.contains("… 490 more findings") && summary.contains("… 494 more lines"),
            "{summary}"
        );
        assert!(summary.lines().count() < 140, "{}", summary.lines().count());
    }

    #[test]
    fn progress_tells_what_matters_in_one_line_each() {
        let result = samples::block();
        let events = [
            EventKind::RunStarted {
                run: "r1".to_owned(),
                seed: 7,
            },
            EventKind::StageStarted {
                stage: StageId::Control,
            },
            EventKind::StepFinished {
                stage: StageId::Control,
                step: "start db".to_owned(),
                status: Status::Passed,
                reason: None,
                duration_ms: 4100,
            },
            EventKind::Container {
                stage: StageId::Upgrade,
                service: "web".to_owned(),
                state: ContainerState::Exited,
                detail: Some("exit code 1\nKeyError".to_owned()),
            },
            EventKind::Test(result.tests[5].clone()),
            EventKind::Finding(result.findings[0].clone()),
            EventKind::StageFinished {
                stage: StageId::Upgrade,
                status: Status::Failed,
                reason: Some("sign-in broke".to_owned()),
            },
        ];
        let lines: Vec<String> = events
            .into_iter()
            .filter_map(|kind| PLAIN.progress(&Event { at_ms: 61_200, kind }))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn progress_is_silent_about_what_went_well_in_detail() {
        let quiet = |kind| PLAIN.progress(&Event { at_ms: 0, kind }).is_none();
        assert!(quiet(EventKind::Test(samples::block().tests[0].clone())));
        assert!(quiet(EventKind::StepStarted {
            stage: StageId::Control,
            step: "login".to_owned()
        }));
        assert!(quiet(EventKind::Container {
            stage: StageId::Control,
            service: "db".to_owned(),
            state: ContainerState::Ready,
            detail: None
        }));
    }

    #[test]
    fn what_takes_long_is_shown_when_it_begins() {
        let begins = |step: &str| EventKind::StepStarted {
            stage: StageId::Upgrade,
            step: step.to_owned(),
        };
        let started = EventKind::Container {
            stage: StageId::Control,
            service: "db".to_owned(),
            state: ContainerState::Started,
            detail: Some("after 200 ms".to_owned()),
        };
        let build = EventKind::Build {
            image: "rehearsal-build:1-web".to_owned(),
            state: PullState::Begins,
            detail: None,
        };
        let events = [begins("swap web"), begins("suite smoke"), started, build];
        let lines = events.map(|kind| PLAIN.progress(&Event { at_ms: 0, kind }).expect("a line"));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_kill_for_memory_is_shown_while_it_runs() {
        let kind = EventKind::Container {
            stage: StageId::Upgrade,
            service: "web".to_owned(),
            state: ContainerState::OutOfMemory,
            detail: None,
        };
        let line = PLAIN.progress(&Event { at_ms: 0, kind });
        assert!(line.is_some_and(|line| line.contains("web out of memory")));
    }

    #[test]
    fn hostile_events_stay_on_their_line() {
        for nasty in samples::NASTY {
            let kind = EventKind::Note {
                text: (*nasty).to_owned(),
            };
            let line = PLAIN.progress(&Event { at_ms: 0, kind }).expect("a note is told");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}
