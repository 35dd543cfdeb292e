//! Reads a finished report back as strictly as no consumer does, and compares it with what was meant: whatever a log
//! contained, there are exactly our suites, our cases and our results.

use anyhow::{Context as _, Result, bail, ensure};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::cases::{Case, Outcome, Suite};

/// Fails where `xml` is malformed or says anything else than `suites`.
pub(super) fn check(xml: &str, suites: &[Suite]) -> Result<()> {
    if let Some(ch) = xml.chars().find(|ch| !is_xml(*ch)) {
        bail!("it contains {ch:?}, which XML 1.0 does not allow");
    }
    let found = read(xml)?;
    let meant = suites
        .iter()
        .flat_map(|suite| suite.cases.iter().map(move |case| seen(suite, case)));
    let meant: Vec<Reread> = meant.collect();
    ensure!(
        found.len() == meant.len(),
        "{} cases were meant, {} are read",
        meant.len(),
        found.len()
    );
    for (found, meant) in found.iter().zip(&meant) {
        ensure!(found == meant, "meant {meant:?}, read {found:?}");
    }
    Ok(())
}

/// A case as a reader sees it.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Reread {
    pub(super) suite: String,
    pub(super) classname: String,
    pub(super) name: String,
    pub(super) outcome: String,
    pub(super) message: String,
}

fn seen(suite: &Suite, case: &Case) -> Reread {
    let (outcome, message) = match &case.outcome {
        Outcome::Passed => ("", ""),
        Outcome::Skipped(reason) => ("skipped", reason.as_str()),
        Outcome::Failure(trouble) => ("failure", trouble.message.as_str()),
        Outcome::Error(trouble) => ("error", trouble.message.as_str()),
    };
    Reread {
        suite: suite.name.clone(),
        classname: case.classname.clone(),
        name: case.name.clone(),
        outcome: outcome.to_owned(),
        message: message.to_owned(),
    }
}

/// Every case of the file, in order.
pub(super) fn read(xml: &str) -> Result<Vec<Reread>> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().enable_all_checks(true);
    let mut reading = Reading::default();
    loop {
        match reader.read_event()? {
            Event::Eof => break,
            Event::Decl(_) => ensure!(reading.open.is_empty(), "a declaration inside"),
            Event::Start(start) => reading.enter(&start)?,
            Event::Empty(start) => {
                reading.enter(&start)?;
                reading.leave()?;
            }
            Event::End(_) => reading.leave()?,
            Event::CData(text) => reading.text(&text.decode()?)?,
            Event::Text(text) => ensure!(text.decode()?.trim().is_empty(), "text outside of CDATA"),
            other => bail!("unexpected {other:?}"),
        }
    }
    ensure!(reading.open.is_empty(), "an element is left open");
    Ok(reading.cases)
}

#[derive(Default)]
struct Reading {
    open: Vec<String>,
    suite: String,
    cases: Vec<Reread>,
}

impl Reading {
    fn enter(&mut self, start: &BytesStart) -> Result<()> {
        let name = std::str::from_utf8(start.name().as_ref())?.to_owned();
        let parent = self.open.last().map_or("", String::as_str);
        let fits = match name.as_str() {
            "testsuites" => parent.is_empty(),
            "testsuite" => parent == "testsuites",
            "properties" | "testcase" => parent == "testsuite",
            "property" => parent == "properties",
            "failure" | "error" | "skipped" => parent == "testcase",
            "system-out" | "system-err" => parent == "testcase" || parent == "testsuite",
            _ => false,
        };
        ensure!(fits, "`{name}` inside `{parent}`");
        self.note(&name, start)?;
        self.open.push(name);
        Ok(())
    }

    fn note(&mut self, name: &str, start: &BytesStart) -> Result<()> {
        let attribute = |wanted: &str| attribute(start, wanted);
        match name {
            "testsuite" => self.suite = attribute("name")?,
            "testcase" => {
                let (classname, name) = (attribute("classname")?, attribute("name")?);
                self.cases.push(Reread {
                    suite: self.suite.clone(),
                    classname,
                    name,
                    ..Reread::default()
                });
            }
            "failure" | "error" | "skipped" => {
                let message = attribute("message").unwrap_or_default();
                let case = self.cases.last_mut().context("a result without a case")?;
                ensure!(case.outcome.is_empty(), "two results for one case");
                (case.outcome, case.message) = (name.to_owned(), message);
            }
            _ => {}
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.open.pop().map(drop).context("an end without a start")
    }

    fn text(&mut self, text: &str) -> Result<()> {
        let inside = self.open.last().map_or("", String::as_str);
        ensure!(
            matches!(inside, "failure" | "error" | "skipped" | "system-out" | "system-err"),
            "text inside `{inside}`"
        );
        // The Jenkins dialect has the reason as text.
        if let ("skipped", Some(case)) = (inside, self.cases.last_mut()) {
            case.message.push_str(text);
        }
        Ok(())
    }
}

fn attribute(start: &BytesStart, wanted: &str) -> Result<String> {
    let mut found = None;
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0)?;
        if attribute.key.as_ref() == wanted.as_bytes() {
            found = Some(value.into_owned());
        }
    }
    found.with_context(|| format!("no attribute `{wanted}`"))
}

fn is_xml(ch: char) -> bool {
    matches!(ch, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}
