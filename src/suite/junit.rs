//! JUnit files of others: read within bounds, believed in nothing but what they say about tests. Entities of a
//! document's own are never expanded; a file that breaks off keeps what was read and says so.

use std::time::Duration;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::words;
use crate::record::status::Status;

/// A larger file is not read.
const MOST_BYTES: usize = 32 << 20;

/// A file's cases beyond this are not read.
const MOST_CASES: usize = 20_000;

/// Elements within elements.
const MOST_DEPTH: usize = 64;

/// Kept of one case's texts.
const MOST_TEXT: usize = 64 << 10;

/// One test case as a report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JunitCase {
    pub name: String,
    pub status: Status,
    pub duration: Duration,
    /// One line; empty where it passed.
    pub message: String,
    pub detail: String,
    /// Failed attempts that its own runner tried again.
    pub retries: u32,
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct JunitFile {
    pub cases: Vec<JunitCase>,
    /// Why this is not all, or not to be believed.
    pub problem: Option<String>,
}

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> JunitFile {
    if bytes.len() > MOST_BYTES {
        let problem = format!("it is larger than {} MiB", MOST_BYTES >> 20);
        return JunitFile {
            cases: Vec::new(),
            problem: Some(problem),
        };
    }
    let text = String::from_utf8_lossy(bytes);
    let mut reading = Reading::default();
    let problem = reading
        .all(text.trim_start_matches('\u{feff}'))
        .err()
        .or_else(|| reading.doubt());
    JunitFile {
        cases: reading.cases,
        problem,
    }
}

/// The error shows names from the file.
fn not_well_formed(at: u64, error: &quick_xml::Error) -> String {
    let why = words::first_line(&error.to_string());
    format!("it is not well-formed at byte {at}: {why}")
}

#[derive(Default)]
struct Reading {
    /// Local names of the open elements.
    open: Vec<String>,
    /// Names of the open suites.
    suites: Vec<String>,
    case: Option<Building>,
    cases: Vec<JunitCase>,
    /// Failures and errors that the outermost suites count.
    counted: u64,
    saw_suite: bool,
}

/// A case whose end has not come.
struct Building {
    name: String,
    duration: Duration,
    status: Status,
    message: String,
    verdict_text: String,
    output: String,
    retries: u32,
    depth: usize,
}

impl Reading {
    fn all(&mut self, text: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        loop {
            let event = reader.read_event();
            let at = reader.buffer_position();
            match event.map_err(|error| not_well_formed(at, &error))? {
                Event::Start(start) => self.start(&start)?,
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&String::from_utf8_lossy(&text)),
                Event::CData(data) => self.text(&String::from_utf8_lossy(&data)),
                Event::GeneralRef(name) => self.text(&reference(&name)),
                Event::Eof if self.open.is_empty() && self.saw_suite => return Ok(()),
                Event::Eof if self.open.is_empty() => return Err("it holds no `testsuite`".to_owned()),
                Event::Eof => return Err(format!("it ends within `{}`", words::name(&self.open.join("/")))),
                // A document's own entities would come from its DTD: it is not read.
                Event::DocType(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= MOST_DEPTH {
            return Err(format!("it nests more than {MOST_DEPTH} elements"));
        }
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        match (name.as_str(), &mut self.case) {
            ("testsuite" | "testsuites", None) => self.start_suite(&name, start),
            ("testcase", None) if self.cases.len() >= MOST_CASES => {
                return Err(format!("it holds more than {MOST_CASES} test cases"));
            }
            ("testcase", None) => self.case = Some(self.start_case(start)),
            ("failure" | "error", Some(case)) => case.fails(&name, start),
            ("skipped", Some(case)) => case.is_skipped(start),
            ("flakyFailure" | "flakyError", Some(case)) => case.retries += 1,
            _ => {}
        }
        self.open.push(name);
        Ok(())
    }

    fn start_suite(&mut self, name: &str, start: &BytesStart<'_>) {
        self.saw_suite = true;
        if self.suites.is_empty() && name == "testsuite" || self.suites.len() == 1 && self.open == ["testsuites"] {
            let count = |name| {
                attribute(start, name)
                    .and_then(|value| value.trim().parse::<u64>().ok())
                    .unwrap_or(0)
            };
            self.counted = self
                .counted
                .saturating_add(count("failures"))
                .saturating_add(count("errors"));
        }
        self.suites.push(attribute(start, "name").unwrap_or_default());
    }

    fn start_case(&self, start: &BytesStart<'_>) -> Building {
        let suite = self.suites.last().cloned().unwrap_or_default();
        let class = attribute(start, "classname")
            .filter(|class| !class.trim().is_empty())
            .unwrap_or(suite);
        let name = attribute(start, "name").unwrap_or_else(|| "unnamed".to_owned());
        let name = if class.is_empty() || name.starts_with(&class) {
            name
        } else {
            format!("{class}.{name}")
        };
        Building {
            name: words::name(&name),
            duration: attribute(start, "time").map(|time| seconds(&time)).unwrap_or_default(),
            status: Status::Passed,
            message: String::new(),
            verdict_text: String::new(),
            output: String::new(),
            retries: 0,
            depth: self.open.len(),
        }
    }

    fn end(&mut self) {
        let ended = self.open.pop();
        if self.case.as_ref().is_some_and(|case| case.depth == self.open.len()) {
            self.cases.extend(self.case.take().map(Building::done));
        } else if matches!(ended.as_deref(), Some("testsuite" | "testsuites")) && self.case.is_none() {
            self.suites.pop();
        }
    }

    fn text(&mut self, text: &str) {
        let Some(case) = &mut self.case else { return };
        match self.open.last().map(String::as_str) {
            Some("failure" | "error" | "skipped") => append(&mut case.verdict_text, text),
            Some("system-out" | "system-err") => append(&mut case.output, text),
            _ => {}
        }
    }

    /// A file that counts failures and shows none hides something.
    fn doubt(&self) -> Option<String> {
        let shown = self.cases.iter().any(|case| case.status == Status::Failed);
        (self.counted > 0 && !shown).then(|| format!("it counts {} failures and shows none", self.counted))
    }
}

impl Building {
    /// An error of the test is a failure, too: it went otherwise than expected, whatever its runner calls it.
    fn fails(&mut self, kind: &str, start: &BytesStart<'_>) {
        if self.status != Status::Failed {
            self.status = Status::Failed;
            self.message = attribute(start, "message")
                .or_else(|| attribute(start, "type"))
                .unwrap_or_default();
            if self.message.trim().is_empty() {
                self.message.clear();
            }
        }
        if !self.verdict_text.is_empty() {
            append(&mut self.verdict_text, &format!("\n{kind}:\n"));
        }
    }

    fn is_skipped(&mut self, start: &BytesStart<'_>) {
        if self.status == Status::Passed {
            self.status = Status::Skipped;
            self.message = attribute(start, "message").unwrap_or_default();
        }
    }

    fn done(self) -> JunitCase {
        let mut message = words::first_line(&self.message);
        if message.is_empty() {
            message = words::first_line(&self.verdict_text);
        }
        if message.is_empty() && self.status == Status::Failed {
            message = "failed, and its report says no more".to_owned();
        }
        let mut detail = if self.status == Status::Passed {
            String::new()
        } else {
            self.message
        };
        for text in [&self.verdict_text, &self.output] {
            if self.status == Status::Failed && !text.trim().is_empty() {
                detail += &format!("\n{text}");
            }
        }
        JunitCase {
            name: self.name,
            status: self.status,
            duration: self.duration,
            message,
            detail: words::beginning(detail.trim()),
            retries: self.retries,
        }
    }
}

fn append(text: &mut String, more: &str) {
    let room = MOST_TEXT.saturating_sub(text.len());
    text.extend(more.chars().take(room));
}

/// An attribute's value; one with an entity of the document's own is shown as written.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|found| found.key.as_ref() == name.as_bytes())?;
    let value = found.normalized_value(XmlVersion::Implicit1_0);
    Some(value.map_or_else(
        |_| String::from_utf8_lossy(&found.value).into_owned(),
        std::borrow::Cow::into_owned,
    ))
}

fn reference(name: &BytesRef<'_>) -> String {
    if let Ok(Some(letter)) = name.resolve_char_ref() {
        return letter.to_string();
    }
    let name = String::from_utf8_lossy(name);
    match name.as_ref() {
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "amp" => "&".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => format!("&{other};"),
    }
}

fn seconds(text: &str) -> Duration {
    let seconds = text.replace(',', "").trim().parse::<f64>().unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds.min(1e9)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(report: &JunitFile) -> Vec<(&str, Status)> {
        report
            .cases
            .iter()
            .map(|case| (case.name.as_str(), case.status))
            .collect()
    }

    #[test]
    fn nested_suites_and_every_outcome_are_read() {
        let report = read(
            br#"<?xml version="1.0"?><testsuites><testsuite name="outer" failures="1" errors="1">
            <testsuite name="inner"><testcase classname="a.B" name="ok" time="1,234.5"/></testsuite>
            <testcase name="bad" classname="a.B"><failure message="1 &lt; 0&#10;more" type="E">trace</failure></testcase>
            <testcase name="broken" classname="a.B"><error><![CDATA[boom ]]&gt;]]></error><system-out>hello</system-out></testcase>
            <testcase name="left out"><skipped message="why"/></testcase>
            <testcase name="again" classname="a.B"><flakyFailure message="x">y</flakyFailure></testcase>
            </testsuite></testsuites>"#,
        );
        assert_eq!(report.problem, None);
        assert_eq!(
            statuses(&report),
            [
                ("a.B.ok", Status::Passed),
                ("a.B.bad", Status::Failed),
                ("a.B.broken", Status::Failed),
                ("outer.left out", Status::Skipped),
                ("a.B.again", Status::Passed),
            ]
        );
        assert_eq!(report.cases[0].duration, Duration::from_millis(1_234_500));
        assert_eq!(report.cases[1].message, "1 < 0");
        assert!(report.cases[2].detail.contains("hello"), "{}", report.cases[2].detail);
        assert_eq!(report.cases[4].retries, 1);
    }

    #[test]
    fn a_file_that_breaks_off_keeps_what_was_read_and_says_so() {
        let report = read(b"<testsuite><testcase name='one'/><testcase name='two'>");
        assert_eq!(statuses(&report), [("one", Status::Passed)]);
        assert_eq!(report.problem.as_deref(), Some("it ends within `testsuite/testcase`"));
    }

    #[test]
    fn what_is_no_junit_is_a_problem() {
        for text in ["", "not xml", "<html></html>", "<a></b>", "\u{0}"] {
            assert!(read(text.as_bytes()).problem.is_some(), "{text}");
        }
    }

    #[test]
    fn entities_of_the_document_are_not_expanded() {
        let report = read(
            br#"<!DOCTYPE x [<!ENTITY lol "lolol"><!ENTITY f SYSTEM "file:///etc/passwd">]>
            <testsuite><testcase name="&lol;"><failure message="&f;">&f; &lol;</failure></testcase></testsuite>"#,
        );
        assert_eq!(report.cases[0].name, "&lol;");
        assert_eq!(report.cases[0].message, "&f;");
        assert!(!report.cases[0].detail.contains("lolol"));
    }

    #[test]
    fn depth_and_count_are_bounded() {
        assert!(
            read("<testsuite>".repeat(100).as_bytes())
                .problem
                .unwrap()
                .contains("nests more than")
        );
        let many = format!(
            "<testsuite>{}</testsuite>",
            "<testcase name='x'/>".repeat(MOST_CASES + 1)
        );
        let report = read(many.as_bytes());
        assert_eq!(report.cases.len(), MOST_CASES);
        assert!(report.problem.unwrap().contains("more than"));
    }

    #[test]
    fn control_characters_in_names_are_harmless() {
        let report = read(b"<testsuite><testcase name='a&#10;::error::b&#27;[2J'/></testsuite>");
        assert!(
            !report.cases[0].name.chars().any(char::is_control),
            "{:?}",
            report.cases[0].name
        );
    }

    #[test]
    fn control_characters_of_a_tag_that_closes_nothing_are_harmless() {
        let report = read(b"<testsuite><testcase name='x'></test\x1b[2Jcase></testsuite>");
        let problem = report.problem.unwrap();
        assert!(problem.contains("not well-formed"), "{problem}");
        assert!(!problem.chars().any(char::is_control), "{problem:?}");
    }

    #[test]
    fn a_file_that_counts_failures_it_does_not_show_is_doubted() {
        let report = read(b"<testsuite errors='2'><testcase name='x'/></testsuite>");
        assert_eq!(report.problem.as_deref(), Some("it counts 2 failures and shows none"));
    }
}
