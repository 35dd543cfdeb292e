//! `junit.xml`: written with `junit-report` behind a sanitiser, completed by a pass of `quick-xml`, and read back
//! strictly before anybody sees it.
//!
//! `junit-report` writes text into CDATA as it comes, so `]]>` in a candidate's log would end it and forge a test case;
//! and it cannot write totals, `skipped`, properties or lines. The sanitiser relies on that rawness (it splits `]]>`
//! into two sections), hence the exact version in `Cargo.toml`.

mod cases;
mod reread;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestCaseBuilder, TestResult, TestSuite};
use quick_xml::events::{BytesCData, BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer, XmlVersion};
use time::format_description::well_known::Rfc3339;

pub use self::cases::{Case, Outcome, Suite, Trouble, location, suites};
use super::words;
use crate::record::release::Release;
use crate::record::v1::Record;
use crate::text::harmless;

/// For whom the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// What GitHub's and GitLab's readers, Azure and CircleCI understand: with `file`, `line` and root `skipped`.
    #[default]
    Default,
    /// Valid by the schemas of Jenkins: without those.
    Jenkins,
    /// Valid by the schema of Ant's report task (Windy Road): no word for skipped cases, which are named in the suite's
    /// `system-out` instead; no time zone.
    Ant,
}

impl std::str::FromStr for Dialect {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "default" => Ok(Self::Default),
            "jenkins" => Ok(Self::Jenkins),
            "ant" => Ok(Self::Ant),
            _ => bail!("`{name}` is no JUnit dialect: use `default`, `jenkins` or `ant`"),
        }
    }
}

/// The file. Fails only by a bug of ours, and then rather than publish a malformed or forged report.
pub fn write(result: &Record, dialect: Dialect) -> Result<String> {
    let suites = dialect.fit(suites(result));
    let mut raw = Vec::new();
    report(result, &suites)
        .write_xml(&mut raw)
        .context("junit-report could not write the report")?;
    let raw = String::from_utf8(raw).context("junit-report wrote what is not UTF-8")?;
    let xml = Completion {
        suites: &suites,
        dialect,
        properties: properties(result),
    }
    .complete(&raw)?;
    reread::check(&xml, &suites).context("the JUnit report is not what was meant; this is a bug in Rehearsal")?;
    Ok(xml)
}

impl Dialect {
    /// Takes away what the dialect has no word for, and from reasons, which one dialect has as text, what names files.
    fn fit(self, mut suites: Vec<Suite>) -> Vec<Suite> {
        for suite in &mut suites {
            if self != Self::Default {
                suite.cases.iter_mut().for_each(|case| case.location = None);
            }
            for case in &mut suite.cases {
                if let Outcome::Skipped(reason) = &mut case.outcome {
                    *reason = defuse(reason);
                }
            }
            if self == Self::Ant {
                let lines: Vec<String> = suite.cases.iter_mut().filter_map(take_output).collect();
                suite.output = Some(lines.join("\n"));
                suite.cases.retain(|case| !matches!(case.outcome, Outcome::Skipped(_)));
            }
        }
        suites
    }

    fn timestamp(self, at: OffsetDateTime) -> String {
        let stamp = at.format(&Rfc3339).unwrap_or_default();
        if self == Self::Ant {
            stamp.trim_end_matches('Z').to_owned()
        } else {
            stamp
        }
    }
}

fn take_output(case: &mut Case) -> Option<String> {
    let output = case.output.take();
    let reason = match &case.outcome {
        Outcome::Skipped(reason) => Some(format!("skipped: {reason}")),
        _ => output,
    };
    reason.map(|reason| format!("{} {}: {reason}", case.classname, case.name))
}

/// Numbers of one suite or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    time_ms: u64,
}

impl Sums {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut sums = Self::default();
        for case in cases {
            sums.tests += 1;
            sums.time_ms += case.duration_ms;
            match case.outcome {
                Outcome::Passed => {}
                Outcome::Skipped(_) => sums.skipped += 1,
                Outcome::Failure(_) => sums.failures += 1,
                Outcome::Error(_) => sums.errors += 1,
            }
        }
        sums
    }
}

fn report(result: &Record, suites: &[Suite]) -> Report {
    let started = started(result);
    let mut report = Report::new();
    report.add_testsuites(suites.iter().map(|suite| {
        let mut written = TestSuite::new(&suite.name);
        written.package = "rehearsal".to_owned();
        written.timestamp = started + Duration::seconds((suite.start_ms / 1000).min(1 << 32) as i64);
        written.add_testcases(suite.cases.iter().map(test_case));
        if let Some(output) = &suite.output {
            written.set_system_out(&split_cdata(&defuse(output)));
            written.set_system_err("");
        }
        written
    }));
    report
}

fn started(result: &Record) -> OffsetDateTime {
    let read = time::OffsetDateTime::parse(&result.started, &Rfc3339).ok();
    // Whole seconds: one schema allows no fraction.
    let seconds = read.map_or(0, time::OffsetDateTime::unix_timestamp);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn test_case(case: &Case) -> TestCase {
    let time = Duration::milliseconds(case.duration_ms.min(1 << 40) as i64);
    let mut builder = match &case.outcome {
        Outcome::Passed => TestCaseBuilder::success(&case.name, time),
        Outcome::Skipped(reason) => TestCaseBuilder::skipped_with_cause(&case.name, "skipped", reason),
        Outcome::Failure(trouble) => TestCaseBuilder::failure(&case.name, time, trouble.kind, &trouble.message),
        Outcome::Error(trouble) => TestCaseBuilder::error(&case.name, time, trouble.kind, &trouble.message),
    };
    if let Outcome::Failure(trouble) | Outcome::Error(trouble) = &case.outcome {
        builder.set_trace(&split_cdata(&trouble.text(case.location.as_ref())));
    }
    if let Some(output) = &case.output {
        builder.set_system_out(&split_cdata(&defuse(output)));
    }
    let mut written = builder.build();
    if let TestResult::SkippedWithCause { .. } = written.result {
        written.time = time;
    }
    written
}

impl Trouble {
    /// The text of the element: the message again, because half of the readers show only one of the two, then where it
    /// was declared (with a space before, as readers without `line` look for it), then the rest.
    fn text(&self, location: Option<&(String, u32)>) -> String {
        let mut text = self.message.clone();
        if let Some((file, line)) = location {
            text.push_str(&format!("\n  at {file}:{line}"));
        }
        if !self.detail.is_empty() {
            text.push_str(&format!("\n\n{}", self.detail));
        }
        defuse(&text)
    }
}

/// Jenkins and GitLab attach files that a test's output names so; a candidate may not choose files.
fn defuse(text: &str) -> String {
    text.replace("[[ATTACHMENT|", "[ [ATTACHMENT|")
}

fn split_cdata(text: &str) -> String {
    text.replace("]]>", "]]]]><![CDATA[>")
}

/// Image digests, versions, seed, lock age: once, in the first suite.
fn properties(result: &Record) -> Vec<(String, String)> {
    let mut properties = vec![
        ("rehearsal".to_owned(), result.rehearsal.clone()),
        ("seed".to_owned(), result.seed.to_string()),
        ("verdict".to_owned(), words::verdict(result)),
        ("lock".to_owned(), result.lock.statement.clone()),
    ];
    let production = result.production.iter();
    properties.extend(production.map(|from| ("production".to_owned(), from.statement.clone())));
    properties.extend(
        result
            .lock
            .age_seconds
            .map(|age| ("lock.age_seconds".to_owned(), age.to_string())),
    );
    for (role, releases) in [
        ("candidate", &result.candidate),
        ("baseline", &result.baseline),
        ("mirror", &result.mirror),
    ] {
        properties.extend(releases.iter().flat_map(|release| release_properties(role, release)));
    }
    let fact = |row: &crate::record::v1::Fidelity| {
        let name = format!("mirror.{}.{}", row.service, row.fact);
        row.mirror.as_ref().map(|value| (name, value.clone()))
    };
    properties.extend(result.fidelity.iter().filter_map(fact));
    let engine = result.engine.iter();
    properties.extend(engine.map(|one| {
        (
            "engine".to_owned(),
            format!("{} {} {}", one.name, one.version, one.platform),
        )
    }));
    distinct(properties)
}

fn release_properties(role: &str, release: &Release) -> Vec<(String, String)> {
    let name = |what: &str| format!("{role}.{}.{what}", release.service);
    let digest = release.digest.clone().map(|digest| (name("digest"), digest));
    std::iter::once((name("image"), release.image.clone()))
        .chain(digest)
        .collect()
}

fn distinct(properties: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let lines = properties
        .into_iter()
        .map(|(name, value)| (harmless::line(&name, 300), harmless::line(&value, words::LINE)));
    lines.filter(|(name, _)| seen.insert(name.clone())).collect()
}

/// The pass that writes what `junit-report` cannot.
struct Completion<'a> {
    suites: &'a [Suite],
    dialect: Dialect,
    properties: Vec<(String, String)>,
}

type XmlWriter = Writer<Vec<u8>>;

impl Completion<'_> {
    fn complete(&self, raw: &str) -> Result<String> {
        let mut reader = Reader::from_str(raw);
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        let mut suites = self.suites.iter();
        let mut cases = [].iter();
        loop {
            let event = reader.read_event()?;
            match &event {
                Event::Eof => break,
                Event::Start(start) | Event::Empty(start) => match start.name().as_ref() {
                    b"testsuites" => write_as(&event, self.root(), &mut writer)?,
                    b"testsuite" => {
                        let suite = suites.next().context("one suite too many")?;
                        cases = suite.cases.iter();
                        write_as(&event, self.suite(start, suite)?, &mut writer)?;
                        self.write_properties(suite, &mut writer)?;
                    }
                    b"testcase" => {
                        write_as(
                            &event,
                            written_case(cases.next().context("one case too many")?),
                            &mut writer,
                        )?;
                    }
                    b"skipped" if self.dialect == Dialect::Jenkins => write_skipped_text(start, &mut writer)?,
                    _ => writer.write_event(event)?,
                },
                _ => writer.write_event(event)?,
            }
        }
        Ok(String::from_utf8(writer.into_inner())? + "\n")
    }

    fn root(&self) -> BytesStart<'static> {
        let mut root = BytesStart::new("testsuites");
        if self.dialect == Dialect::Ant {
            return root;
        }
        let sums = Sums::of(self.suites.iter().flat_map(|suite| &suite.cases));
        root.push_attribute(("name", "rehearsal"));
        push_sums(&mut root, sums);
        if self.dialect == Dialect::Default {
            root.push_attribute(("skipped", sums.skipped.to_string().as_str()));
        }
        root
    }

    fn suite(&self, written: &BytesStart, suite: &Suite) -> Result<BytesStart<'static>> {
        let mut start = BytesStart::new("testsuite");
        for attribute in written.attributes() {
            let attribute = attribute?;
            match attribute.key.as_ref() {
                b"id" | b"name" | b"package" | b"hostname" => start.push_attribute(attribute),
                b"timestamp" => {
                    let at = OffsetDateTime::parse(std::str::from_utf8(&attribute.value)?, &Rfc3339)?;
                    start.push_attribute(("timestamp", self.dialect.timestamp(at).as_str()));
                }
                _ => {}
            }
        }
        let sums = Sums::of(&suite.cases);
        push_sums(&mut start, sums);
        if self.dialect != Dialect::Ant {
            start.push_attribute(("skipped", sums.skipped.to_string().as_str()));
        }
        Ok(start)
    }

    fn write_properties(&self, suite: &Suite, writer: &mut XmlWriter) -> Result<()> {
        let first = self.suites.first() == Some(suite);
        // One schema asks for the element in every suite.
        if !first && self.dialect != Dialect::Ant {
            return Ok(());
        }
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in self.properties.iter().filter(|_| first) {
            let property = BytesStart::new("property").with_attributes([("name", name.as_str()), ("value", value)]);
            writer.write_event(Event::Empty(property))?;
        }
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
        Ok(())
    }
}

fn written_case(case: &Case) -> BytesStart<'static> {
    let mut start = BytesStart::new("testcase");
    start.push_attribute(("classname", case.classname.as_str()));
    start.push_attribute(("name", case.name.as_str()));
    start.push_attribute(("time", seconds(case.duration_ms).as_str()));
    if let Some((file, line)) = &case.location {
        start.push_attribute(("file", file.as_str()));
        start.push_attribute(("line", line.to_string().as_str()));
    }
    start
}

/// Writes `start` with content or without, as `event` had it.
fn write_as(event: &Event, start: BytesStart, writer: &mut XmlWriter) -> Result<()> {
    let event = if matches!(event, Event::Empty(_)) {
        Event::Empty(start)
    } else {
        Event::Start(start)
    };
    Ok(writer.write_event(event)?)
}

/// One schema knows `skipped` as plain text only.
fn write_skipped_text(start: &BytesStart, writer: &mut XmlWriter) -> Result<()> {
    let message = start
        .try_get_attribute("message")?
        .context("`skipped` without its reason")?;
    let reason = message.normalized_value(XmlVersion::Explicit1_0)?;
    writer
        .create_element("skipped")
        .write_cdata_content(BytesCData::new(split_cdata(&reason)))?;
    Ok(())
}

fn push_sums(start: &mut BytesStart, sums: Sums) {
    start.push_attribute(("tests", sums.tests.to_string().as_str()));
    start.push_attribute(("failures", sums.failures.to_string().as_str()));
    start.push_attribute(("errors", sums.errors.to_string().as_str()));
    start.push_attribute(("time", seconds(sums.time_ms).as_str()));
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use crate::report::samples::NASTY;

    const DIALECTS: [Dialect; 3] = [Dialect::Default, Dialect::Jenkins, Dialect::Ant];

    fn written(result: &Record) -> String {
        write(result, Dialect::Default).expect("the report is written")
    }

    #[test]
    fn the_report_of_the_incident() {
        insta::assert_snapshot!(written(&samples::block()));
    }

    #[test]
    fn hostile_text_is_written_in_every_dialect_and_forges_nothing() {
        for result in samples::hostile() {
            for dialect in DIALECTS {
                let xml = write(&result, dialect).expect("`write` reads back what it wrote");
                let sections = xml
                    .split("<![CDATA[")
                    .skip(1)
                    .filter_map(|rest| rest.split("]]>").next());
                assert!(
                    !sections.into_iter().any(|section| section.contains("[[ATTACHMENT|")),
                    "{xml}"
                );
            }
        }
    }

    #[test]
    fn text_comes_back_as_it_was_cleaned() {
        for nasty in NASTY {
            let mut result = samples::block();
            result.tests[5].detail = format!("a{nasty}b");
            let xml = written(&result);
            let mut reader = Reader::from_str(&xml);
            let mut read = String::new();
            while let Ok(event) = reader.read_event() {
                match event {
                    Event::Eof => break,
                    Event::CData(text) => read.push_str(&text.decode().expect("UTF-8")),
                    _ => {}
                }
            }
            let clean = defuse(&harmless::block(&format!("a{nasty}b"), 1000));
            assert!(read.contains(&clean), "{nasty:?}: {clean:?} is not in {read}");
        }
    }

    #[test]
    fn junit_report_still_writes_cdata_raw() {
        // `split_cdata` relies on it: were it to escape, we would escape twice.
        let mut suite = TestSuite::new("x");
        suite.set_system_out("a]]]]><![CDATA[>b");
        let mut report = Report::new();
        report.add_testsuite(suite);
        let mut bytes = Vec::new();
        report.write_xml(&mut bytes).expect("written");
        assert!(String::from_utf8_lossy(&bytes).contains("<![CDATA[a]]]]><![CDATA[>b]]>"));
    }

    #[test]
    fn the_strict_reader_refuses_a_forged_case() {
        let result = samples::block();
        let suites = suites(&result);
        let xml = written(&result);
        reread::check(&xml, &suites).expect("ours is accepted");
        let forged = xml.replacen("<testcase ", "<testcase classname=\"x\" name=\"forged\"/><testcase ", 1);
        assert!(reread::check(&forged, &suites).is_err());
        assert!(reread::check(&xml.replacen("sign-in", "sign\u{1}in", 1), &suites).is_err());
        assert!(reread::check(&xml.replacen("</testsuite>", "", 1), &suites).is_err());
        assert!(
            reread::check(
                &xml.replace("type=\"SignInFailed\" message=\"", "message=\"not "),
                &suites
            )
            .is_err()
        );
    }

    #[test]
    fn names_are_unique_even_where_the_record_has_them_twice() {
        let mut result = samples::block();
        let twin = result.tests[0].clone();
        result.tests.push(twin);
        let suites = suites(&result);
        let names: Vec<_> = suites
            .iter()
            .flat_map(|suite| &suite.cases)
            .map(|case| (&case.classname, &case.name))
            .collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(names.iter().any(|(_, name)| *name == "catalogue (2)"));
    }

    #[test]
    fn no_verdict_but_pass_is_ever_green() {
        use crate::record::verdict::Verdict;
        for verdict in [Verdict::Block, Verdict::Inconclusive] {
            let mut result = samples::pass();
            result.verdict = verdict.into();
            assert!(suites(&result).iter().flat_map(|suite| &suite.cases).any(Case::is_red));
            result.stages.clear();
            result.tests.clear();
            result.checks.clear();
            assert!(suites(&result).iter().flat_map(|suite| &suite.cases).any(Case::is_red));
            for dialect in DIALECTS {
                write(&result, dialect).expect("an empty record can be written");
            }
        }
    }

    #[test]
    fn a_clean_run_is_all_green() {
        assert!(
            !suites(&samples::pass())
                .iter()
                .flat_map(|suite| &suite.cases)
                .any(Case::is_red)
        );
    }

    #[test]
    fn a_failure_on_the_baseline_is_an_error_never_the_candidates_failure() {
        let mut result = samples::block();
        result.tests[0].status = crate::record::status::Status::Failed.into();
        let suites = suites(&result);
        let case = suites
            .iter()
            .flat_map(|suite| &suite.cases)
            .find(|case| case.classname == "control.smoke");
        assert!(matches!(case.map(|case| &case.outcome), Some(Outcome::Error(_))));
    }

    #[test]
    fn a_stage_that_did_not_run_is_an_error_of_type_not_run() {
        let suites = suites(&samples::block());
        let rollback = suites
            .iter()
            .find(|suite| suite.name == "rollback")
            .expect("the stage has its suite");
        assert!(matches!(&rollback.cases[0].outcome, Outcome::Error(trouble) if trouble.kind == "NotRun"));
    }

    #[test]
    fn the_first_line_of_a_failure_says_what_broke_the_pair_and_the_way_out() {
        let suites = suites(&samples::block());
        let failures = suites
            .iter()
            .flat_map(|suite| &suite.cases)
            .filter_map(|case| match &case.outcome {
                Outcome::Failure(trouble) => Some(trouble.message.as_str()),
                _ => None,
            });
        let login = "sign-in broke (upgrade; web shop:2 against idp keycloak:18.0.2); way out: keep the flow without PKCE \
                     in shop:2, or upgrade idp in production first; `rehearsal explain auth-login`";
        assert!(failures.into_iter().any(|message| message == login));
    }

    #[test]
    fn a_dialect_has_a_name_or_an_error_that_lists_them() {
        assert_eq!("ant".parse::<Dialect>().expect("a dialect"), Dialect::Ant);
        assert!(
            "xunit"
                .parse::<Dialect>()
                .expect_err("none")
                .to_string()
                .contains("`jenkins`")
        );
    }
}
