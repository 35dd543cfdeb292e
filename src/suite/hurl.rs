//! Hurl files: run by the Hurl image inside the mirror, one container a file, so that captures and cookies pass from
//! one file to the next as they do between steps. Every entry of a file is one test, read from Hurl's JSON report;
//! what an entry broke is read from Hurl's messages, which name the line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::guarded::Guarded;
use super::limits::CONTAINER_LIMIT;
use super::request::{encoded, is_cookie_secret};
use super::run::SuiteRun;
use super::runner::{Runner, not_run};
use super::template::Missing;
use super::test_bed::TestBed;
use super::words::{self, IN_MESSAGE, quoted};
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::session::{Cookie, SessionAnswer, SessionCall};
use crate::agent::{Answer, Call};
use crate::config::settings::{HttpExpect, StatusPattern};
use crate::mirror::run_container::{ContainerOutcome, ContainerRun};
use crate::record::status::Status;
use crate::record::test::{Reply, TestRecord};
use crate::text::pattern;
use crate::text::units::millis;

/// Where the suite's files are inside the container.
const SUITE: &str = "/suite";

/// A larger file beside a Hurl file is not sent along.
const MOST_BYTES: u64 = 64 << 20;

/// A larger report is not read.
const MOST_REPORT: usize = 64 << 20;

/// Runs the suite's Hurl files in order.
pub(super) async fn run_all<B: TestBed>(runner: &mut Runner<'_, B>) {
    let files = &runner.run.body.files;
    let root = common_folder(files);
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().into_owned();
        run_file(runner, file, &name).await;
    }
}

/// The folder that all files are below: what is relative in a Hurl file stays as it is.
fn common_folder(files: &[PathBuf]) -> PathBuf {
    let mut folders = files.iter().filter_map(|file| file.parent());
    let mut common = folders.next().map(Path::to_path_buf).unwrap_or_default();
    for folder in folders {
        while !folder.starts_with(&common) && common.pop() {}
    }
    common
}

async fn run_file<B: TestBed>(runner: &mut Runner<'_, B>, file: &Path, name: &str) {
    let record = TestRecord {
        location: Some(file.display().to_string()),
        ..runner.record(name, None)
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return runner.tests.push(broken(record, format!("cannot read it: {error}"))),
    };
    let run = match prepared(runner, file, name, &text).await {
        Ok(run) => run,
        Err(Missing(missing)) => return runner.tests.push(not_run(record, &missing)),
    };
    if let Ok(Some((user, password))) = credentials(runner) {
        runner.secrets.insert(encoded(&user, &password));
    }
    match runner.bed.run_container(&run).await {
        Ok(outcome) => {
            take(
                runner,
                &HurlFile {
                    name,
                    path: file,
                    text: &text,
                    record,
                },
                &outcome,
            )
            .await
        }
        Err(error) => runner
            .tests
            .push(broken(record, format!("Hurl could not be run: {error:#}"))),
    }
}

fn broken(record: TestRecord, why: String) -> TestRecord {
    let message = words::first_line(&why);
    TestRecord {
        status: Status::Error,
        message,
        detail: words::beginning(&why),
        ..record
    }
}

async fn prepared<B: TestBed>(
    runner: &Runner<'_, B>,
    file: &Path,
    name: &str,
    text: &str,
) -> Result<ContainerRun, Missing> {
    let mut files = vec![(format!("{SUITE}/{name}"), text.as_bytes().to_vec())];
    files.extend(beside(file, name, text));
    let mut command: Vec<String> = [
        "--no-output",
        "--no-color",
        "--continue-on-error",
        "--report-json",
        "/out",
    ]
    .into_iter()
    .chain(["--connect-timeout", "10", "--max-time", "60"])
    .map(str::to_owned)
    .collect();
    let cookies = jar(&cookies_of(runner).await);
    if !cookies.is_empty() {
        files.push(("/rehearsal/cookies.txt".to_owned(), cookies.into_bytes()));
        command.extend(["--cookie", "/rehearsal/cookies.txt"].map(str::to_owned));
    }
    trust(runner, &mut command, &mut files);
    // A header or a section of the file's own comes before it.
    if let Some((user, password)) = credentials(runner)? {
        command.extend(["--user".to_owned(), format!("{user}:{password}")]);
    }
    for (name, value) in variables(runner)? {
        command.extend(["--variable".to_owned(), format!("{name}={}", typed(&value))]);
    }
    command.push(format!("{SUITE}/{name}"));
    Ok(ContainerRun {
        image: runner.run.hurl_image.to_owned(),
        command: Some(command),
        files,
        directories: vec!["/out".to_owned()],
        collect: Some("/out/report.json".to_owned()),
        limit: CONTAINER_LIMIT,
        ..ContainerRun::default()
    })
}

/// The suite's user and password.
fn credentials<B: TestBed>(runner: &Runner<'_, B>) -> Result<Option<(String, String)>, Missing> {
    let scope = runner.scope();
    let basic = runner.run.body.basic.as_ref();
    let filled = basic.map(|(user, password)| Ok((scope.text(user)?, scope.text(password)?)));
    filled.transpose()
}

fn trust<B: TestBed>(runner: &Runner<'_, B>, command: &mut Vec<String>, files: &mut Vec<(String, Vec<u8>)>) {
    let tls = &runner.run.body.tls;
    let ca: Vec<&str> = runner.run.ca.iter().chain(&tls.ca).map(String::as_str).collect();
    if tls.insecure {
        command.push("--insecure".to_owned());
    } else if !ca.is_empty() {
        files.push(("/rehearsal/ca.pem".to_owned(), ca.join("\n").into_bytes()));
        command.extend(["--cacert", "/rehearsal/ca.pem"].map(str::to_owned));
    }
}

fn variables<B: TestBed>(runner: &Runner<'_, B>) -> Result<BTreeMap<String, String>, Missing> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    };
    let captured = runner.captured.iter().filter(|(name, _)| is_name(name));
    let mut variables: BTreeMap<_, _> = captured.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(target) = &runner.run.body.target {
        variables.insert(
            "target".to_owned(),
            runner.scope().text(target)?.trim_end_matches('/').to_owned(),
        );
    }
    variables.insert("run".to_owned(), runner.run.run.to_owned());
    Ok(variables)
}

/// Hurl guesses a variable's type. A value that its guess would change (`007`, `9.90`) is given as a string.
fn typed(value: &str) -> String {
    let keeps_its_form = value.parse::<i64>().is_ok_and(|number| number.to_string() == value)
        || value
            .parse::<f64>()
            .is_ok_and(|number| value.contains('.') && number.to_string() == value)
        || matches!(value, "true" | "false" | "null");
    if keeps_its_form {
        value.to_owned()
    } else {
        format!("\"{value}\"")
    }
}

/// The files that a Hurl file names by `file,NAME;`, as far as they are below its own folder: Hurl refuses others.
fn beside(file: &Path, name: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bfile\s*,\s*([^;\r\n]+);"));
    let Some(folder) = file.parent() else {
        return Vec::new();
    };
    let inside = Path::new(SUITE).join(Path::new(name).parent().unwrap_or(Path::new("")));
    let mut found = BTreeMap::new();
    for other in NAMED.captures_iter(text).filter_map(|groups| groups.get(1)) {
        let other = other.as_str().trim();
        let path = folder.join(other);
        let is_below = path
            .canonicalize()
            .is_ok_and(|path| folder.canonicalize().is_ok_and(|at| path.starts_with(at)));
        let is_small = path
            .metadata()
            .is_ok_and(|facts| facts.is_file() && facts.len() <= MOST_BYTES);
        if let (true, true, Ok(bytes)) = (is_below, is_small, std::fs::read(&path)) {
            found.insert(inside.join(other).to_string_lossy().into_owned(), bytes);
        }
    }
    found.into_iter().collect()
}

async fn cookies_of<B: TestBed>(runner: &Runner<'_, B>) -> Vec<Cookie> {
    let list = SessionCall::List {
        session: runner.session.clone(),
    };
    match runner.bed.agent().call(Call::Session(list)).await {
        Ok(Answer::Session(SessionAnswer::Cookies(cookies))) => cookies,
        // An agent that is gone shows with every step that needs it.
        _ => Vec::new(),
    }
}

/// Cookies as curl reads them: Netscape's file.
fn jar(cookies: &[Cookie]) -> String {
    let mut text = String::new();
    for cookie in cookies {
        let yes = |yes: bool| if yes { "TRUE" } else { "FALSE" };
        let dot = if cookie.subdomains { "." } else { "" };
        let prefix = if cookie.http_only { "#HttpOnly_" } else { "" };
        let fields = [
            format!("{prefix}{dot}{}", cookie.domain),
            yes(cookie.subdomains).to_owned(),
            cookie.path.clone(),
            yes(cookie.secure).to_owned(),
            cookie.expires.to_string(),
            cookie.name.clone(),
            cookie.value.clone(),
        ];
        if !fields.iter().any(|field| field.contains(['\t', '\n', '\r'])) {
            text += &fields.join("\t");
            text.push('\n');
        }
    }
    text
}

/// A file that has run.
pub(super) struct HurlFile<'a> {
    pub name: &'a str,
    pub path: &'a Path,
    pub text: &'a str,
    /// What its records begin with.
    pub record: TestRecord,
}

/// Hurl's JSON report, as far as it is needed.
#[derive(Debug, Deserialize)]
struct HurlReport {
    #[serde(default)]
    cookies: Vec<JarCookie>,
    entries: Vec<HurlEntry>,
    success: bool,
}

#[derive(Debug, Deserialize)]
struct JarCookie {
    domain: String,
    expires: String,
    https: String,
    include_subdomain: String,
    name: String,
    path: String,
    value: String,
}

#[derive(Debug, Default, Deserialize)]
struct HurlEntry {
    #[serde(default)]
    asserts: Vec<Assert>,
    #[serde(default)]
    calls: Vec<HttpExchange>,
    #[serde(default)]
    captures: Vec<Captured>,
    index: u64,
    line: usize,
    #[serde(default)]
    time: u64,
}

#[derive(Debug, Deserialize)]
struct Assert {
    #[serde(default)]
    message: Option<String>,
    success: bool,
}

#[derive(Debug, Deserialize)]
struct HttpExchange {
    request: Asked,
    response: Answered,
}

#[derive(Debug, Deserialize)]
struct Asked {
    method: String,
    url: String,
    /// As curl sent them.
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Answered {
    #[serde(default)]
    cookies: Vec<SetCookie>,
    status: u16,
}

#[derive(Debug, Deserialize)]
struct SetCookie {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Captured {
    name: String,
    value: Value,
}

async fn take<B: TestBed>(runner: &mut Runner<'_, B>, file: &HurlFile<'_>, outcome: &ContainerOutcome) {
    let said = String::from_utf8_lossy(&outcome.output).into_owned();
    let report = match read_report(outcome) {
        Ok(report) => report,
        Err(why) => return runner.tests.push(without_report(file, outcome, &said, &why)),
    };
    let messages = messages(&said);
    let attempts = by_entry(&report.entries);
    for (at, attempt) in attempts.iter().enumerate() {
        let own = own_messages(&messages, &attempts, at);
        let record = entry_record(file, attempt, own, &|service| runner.addressed(service));
        runner.tests.push(record);
        keep(runner, attempt.last);
        let name = format!("{} / {}", runner.run.subject, file.entry_name(attempt.last.line));
        let passed = runner.tests.last().is_some_and(|test| test.status == Status::Passed);
        let guarded = guarded(runner.run, name, attempt.last).filter(|_| passed);
        runner.guarded.extend(guarded);
    }
    let failed = runner
        .tests
        .iter()
        .rev()
        .take(attempts.len())
        .any(|test| test.status != Status::Passed);
    if !failed && (!report.success || outcome.exit != Some(0)) {
        // Hurl found something wrong that no entry shows.
        let why = format!("Hurl failed, and no entry says why; {}", ended(outcome));
        runner.tests.push(TestRecord {
            status: Status::Failed,
            detail: words::ending(&said),
            message: why,
            ..file.record.clone()
        });
    }
    take_cookies(runner, report.cookies).await;
}

/// What a file's tests came to, its captures and cookies left aside.
pub(super) fn told(file: &HurlFile<'_>, outcome: &ContainerOutcome) -> Vec<TestRecord> {
    let said = String::from_utf8_lossy(&outcome.output).into_owned();
    let report = match read_report(outcome) {
        Ok(report) => report,
        Err(why) => return vec![without_report(file, outcome, &said, &why)],
    };
    let messages = messages(&said);
    let attempts = by_entry(&report.entries);
    let tests = attempts.iter().enumerate().map(|(at, attempt)| {
        let own = own_messages(&messages, &attempts, at);
        entry_record(file, attempt, own, &|_| String::new())
    });
    tests.collect()
}

/// The messages about lines from an entry's first to the next one's.
fn own_messages<'a>(messages: &'a [Message], attempts: &[EntryAttempts<'_>], at: usize) -> Vec<&'a Message> {
    let until = attempts.get(at + 1).map_or(usize::MAX, |next| next.last.line);
    let lines = attempts[at].last.line..until;
    messages
        .iter()
        .filter(|message| lines.contains(&message.line))
        .collect()
}

fn read_report(outcome: &ContainerOutcome) -> Result<HurlReport, String> {
    let (_, bytes) = outcome.files.first().ok_or("it left no report")?;
    if bytes.len() > MOST_REPORT {
        return Err(format!("its report is larger than {} MiB", MOST_REPORT >> 20));
    }
    let reports: Vec<HurlReport> =
        serde_json::from_slice(bytes).map_err(|error| format!("its report cannot be read: {error}"))?;
    reports
        .into_iter()
        .next()
        .ok_or_else(|| "its report is empty".to_owned())
}

/// Hurl stopped before it could report: the file is not Hurl, or it was killed.
fn without_report(file: &HurlFile<'_>, outcome: &ContainerOutcome, said: &str, why: &str) -> TestRecord {
    let (message, line) = match messages(said).into_iter().next() {
        Some(first) => (first.in_one_line(), Some(first.line)),
        None => (format!("Hurl gave no result: {why}; {}", ended(outcome)), None),
    };
    // A test that never ended has failed; a file that cannot be read tells nothing about who answers.
    let status = if outcome.exit.is_none() {
        Status::Failed
    } else {
        Status::Error
    };
    TestRecord {
        status,
        message,
        detail: words::ending(said),
        duration_ms: millis(outcome.duration),
        location: Some(file.at(line)),
        ..file.record.clone()
    }
}

fn ended(outcome: &ContainerOutcome) -> String {
    match outcome.exit {
        Some(exit) => format!("it ended with exit code {exit}"),
        None => format!("it was killed after {} s", outcome.duration.as_secs()),
    }
}

impl HurlFile<'_> {
    fn at(&self, line: Option<usize>) -> String {
        line.map_or_else(
            || self.path.display().to_string(),
            |line| format!("{}:{line}", self.path.display()),
        )
    }

    /// The entry's first line as written: the same in every stage, whatever the variables hold.
    fn entry_name(&self, line: usize) -> String {
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let text = text.split(" #").next().unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().collect();
        words::name(&format!("{} {}", self.name, words.join(" ").replace("{{target}}", "")))
    }
}

/// An entry with the attempts that its own `retry` needed; the last one counts.
struct EntryAttempts<'a> {
    last: &'a HurlEntry,
    retries: u32,
}

fn by_entry(entries: &[HurlEntry]) -> Vec<EntryAttempts<'_>> {
    let mut grouped: Vec<EntryAttempts<'_>> = Vec::new();
    for entry in entries {
        match grouped.last_mut() {
            // With `repeat` an earlier round may pass and a later one fail: each is a test of its own then.
            Some(before) if before.last.index == entry.index && !is_good(before.last) => {
                *before = EntryAttempts {
                    last: entry,
                    retries: before.retries + 1,
                };
            }
            _ => grouped.push(EntryAttempts {
                last: entry,
                retries: 0,
            }),
        }
    }
    grouped
}

fn is_good(entry: &HurlEntry) -> bool {
    !entry.calls.is_empty() && entry.asserts.iter().all(|assert| assert.success)
}

fn entry_record(
    file: &HurlFile<'_>,
    attempt: &EntryAttempts<'_>,
    own: Vec<&Message>,
    addressed: &dyn Fn(Option<&str>) -> String,
) -> TestRecord {
    let entry = attempt.last;
    let record = TestRecord {
        name: file.entry_name(entry.line),
        duration_ms: entry.time,
        retries: attempt.retries,
        location: Some(file.at(Some(entry.line))),
        service: entry
            .calls
            .last()
            .and_then(|call| url::Url::parse(&call.request.url).ok()?.host_str().map(str::to_owned)),
        reply: reply(entry),
        ..file.record.clone()
    };
    if let Some(missing) = own.iter().find_map(|message| message.undefined()) {
        return not_run(record, &missing);
    }
    let asserts = entry.asserts.iter().filter(|assert| !assert.success);
    let mut problems: Vec<_> = asserts
        .map(|assert| Message::read(assert.message.as_deref().unwrap_or("an assert failed")))
        .collect();
    problems.extend(
        own.into_iter()
            .filter(|message| !entry.asserts.iter().any(|assert| message.is(assert)))
            .cloned(),
    );
    if problems.is_empty() && is_good(entry) {
        return record;
    }
    if problems.is_empty() {
        problems.push(Message::read("no answer came"));
    }
    let lines: Vec<_> = problems.iter().map(Message::in_one_line).collect();
    let detail: Vec<_> = problems.iter().map(|problem| problem.text.as_str()).collect();
    let addressed = addressed(record.service.as_deref());
    TestRecord {
        status: Status::Failed,
        message: format!("{}{}{addressed}", answered(entry), lines.join("; ")),
        detail: words::beginning(&detail.join("\n")),
        ..record
    }
}

/// What came back last: a sign-in's page may stand before it.
fn reply(entry: &HurlEntry) -> Reply {
    let last = entry.calls.last();
    last.map_or(Reply::Nothing, |call| Reply::Status(call.response.status))
}

fn answered(entry: &HurlEntry) -> String {
    entry.calls.last().map_or_else(String::new, |call| {
        let Asked { method, url, .. } = &call.request;
        format!(
            "{} {} answered {}: ",
            words::name(method),
            words::masked(url),
            call.response.status
        )
    })
}

/// The request of an entry, where it carried credentials. Hurl's report has no bodies, so what writes is left aside; of
/// redirects that are followed nobody knows which one asked for credentials.
fn guarded(run: &SuiteRun<'_>, name: String, entry: &HurlEntry) -> Option<Guarded> {
    let [HttpExchange { request, response }] = &entry.calls[..] else {
        return None;
    };
    let own = ["host", "content-length", "user-agent"];
    let headers = request
        .headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone()));
    let call = HttpCall {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: headers
            .filter(|(name, _)| !own.contains(&&*name.to_ascii_lowercase()))
            .collect(),
        insecure: run.body.tls.insecure,
        ca: run.ca.iter().chain(&run.body.tls.ca).cloned().collect(),
        ..HttpCall::default()
    };
    let answer = HttpAnswer {
        status: response.status,
        ..HttpAnswer::default()
    };
    let expect = HttpExpect {
        status: vec![StatusPattern::Exact(response.status)],
        ..HttpExpect::default()
    };
    let guarded = Guarded::of(name, call, expect, &answer).filter(|guarded| !guarded.writes());
    guarded.map(Guarded::unseen)
}

/// Takes over what an entry captured, and learns its secrets.
fn keep<B: TestBed>(runner: &mut Runner<'_, B>, entry: &HurlEntry) {
    for Captured { name, value } in &entry.captures {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        runner.learn(name, &value);
        runner.captured.insert(name.clone(), value);
    }
    for cookie in entry.calls.iter().flat_map(|call| &call.response.cookies) {
        if is_cookie_secret(&cookie.name, &cookie.value) {
            runner.secrets.insert(cookie.value.clone());
        }
    }
}

/// Hurl began with the session's cookies: its jar at the end is the session.
async fn take_cookies<B: TestBed>(runner: &mut Runner<'_, B>, cookies: Vec<JarCookie>) {
    let secret = cookies
        .iter()
        .filter(|cookie| is_cookie_secret(&cookie.name, &cookie.value));
    runner.secrets.extend(secret.map(|cookie| cookie.value.clone()));
    let cookies = cookies.into_iter().map(Cookie::from).collect();
    let session = runner.session.clone();
    let close = SessionCall::Close {
        session: session.clone(),
    };
    for call in [close, SessionCall::Add { session, cookies }] {
        let _ = runner.bed.agent().call(Call::Session(call)).await;
    }
}

impl From<JarCookie> for Cookie {
    fn from(cookie: JarCookie) -> Self {
        Self {
            domain: cookie.domain.trim_start_matches('.').to_owned(),
            subdomains: cookie.include_subdomain == "TRUE",
            path: cookie.path,
            secure: cookie.https == "TRUE",
            http_only: false,
            expires: cookie.expires.parse().unwrap_or(0),
            name: cookie.name,
            value: cookie.value,
        }
    }
}

/// One message of Hurl: a title, `--> FILE:LINE:COLUMN`, and the lines it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    line: usize,
    text: String,
}

/// The messages in what Hurl said.
fn messages(said: &str) -> Vec<Message> {
    let said = format!("\n{}", said.replace('\r', ""));
    said.split("\nerror: ").skip(1).map(Message::read).collect()
}

impl Message {
    fn read(text: &str) -> Self {
        let place = text.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
        let line = place
            .and_then(|place| place.rsplit(':').nth(1))
            .and_then(|line| line.parse().ok())
            .unwrap_or(0);
        Self {
            line,
            text: text.trim().replace(&format!("{SUITE}/"), ""),
        }
    }

    fn title(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The same message as an assert's.
    fn is(&self, assert: &Assert) -> bool {
        assert
            .message
            .as_deref()
            .is_some_and(|message| Self::read(message).text == self.text)
    }

    /// The variable that a request used and nobody set.
    fn undefined(&self) -> Option<String> {
        let (_, name) = self.text.split_once("you must set the variable ")?;
        (self.title() == "Undefined variable").then(|| words::name(name.lines().next().unwrap_or_default()))
    }

    /// `Assert status code: HTTP 200, actual value is <500>`.
    fn in_one_line(&self) -> String {
        let drawn = self.text.lines().skip(1).filter_map(|line| line.split_once('|'));
        let parts: Vec<_> = drawn
            .filter(|(margin, text)| !margin.trim().is_empty() || text.starts_with("   "))
            .map(|(_, text)| text.trim().trim_start_matches('^').trim())
            .filter(|text| !text.is_empty())
            .collect();
        let title = words::first_line(self.title());
        if parts.is_empty() {
            title
        } else {
            format!("{title}: {}", quoted(&parts.join(", "), IN_MESSAGE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "error: Assert failure\n  --> /suite/a.hurl:8:0\n   |\n   | GET {{target}}/items\n   | ...\n 8 | jsonpath \"$.id\" == 8\n   |   actual:   integer <7>\n   |   expected: integer <8>\n   |\n\nerror: Assert status code\n  --> /suite/a.hurl:15:6\n   |\n   | GET {{target}}/bad\n   | ...\n15 | HTTP 200\n   |      ^^^ actual value is <500>\n   |\n\nerror: Undefined variable\n  --> /suite/a.hurl:20:7\n   |\n20 | GET {{nope}}/x\n   |       ^^^^ you must set the variable nope\n   |\n";

    #[test]
    fn messages_are_read_with_their_lines() {
        let messages = messages(SAID);
        assert_eq!(
            messages.iter().map(|message| message.line).collect::<Vec<_>>(),
            [8, 15, 20]
        );
        assert_eq!(
            messages[0].in_one_line(),
            "Assert failure: `jsonpath \"$.id\" == 8, actual:   integer <7>, expected: integer <8>`"
        );
        assert_eq!(
            messages[1].in_one_line(),
            "Assert status code: `HTTP 200, actual value is <500>`"
        );
        assert_eq!(messages[2].undefined().as_deref(), Some("nope"));
        assert!(messages[0].text.contains("--> a.hurl:8:0"));
    }

    #[test]
    fn a_variable_keeps_its_form() {
        for (value, given) in [
            ("7", "7"),
            ("007", "\"007\""),
            ("9.90", "\"9.90\""),
            ("1.5", "1.5"),
            ("7e3", "\"7e3\""),
            ("true", "true"),
            ("k7", "\"k7\""),
            ("", "\"\""),
        ] {
            assert_eq!(typed(value), given);
        }
    }

    #[test]
    fn files_keep_their_layout_below_the_common_folder() {
        let files = ["/x/smoke/a.hurl", "/x/smoke/deep/b.hurl", "/x/data/c.hurl"].map(PathBuf::from);
        assert_eq!(common_folder(&files), Path::new("/x"));
        assert_eq!(common_folder(&files[..1]), Path::new("/x/smoke"));
    }

    #[test]
    fn what_a_hurl_file_names_goes_along_if_it_is_below_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("smoke");
        std::fs::create_dir_all(at.join("data")).unwrap();
        std::fs::write(at.join("data/x.json"), "{}").unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        let text = "POST {{target}}/x\nfile,data/x.json;\n[Multipart]\na: file,../secret;\nb: file,none;\n";
        let found = beside(&at.join("a.hurl"), "smoke/a.hurl", text);
        assert_eq!(found, [("/suite/smoke/data/x.json".to_owned(), b"{}".to_vec())]);
    }

    #[test]
    fn retries_are_counted_and_repeats_are_tests_of_their_own() {
        let entry = |index, good: bool| HurlEntry {
            index,
            asserts: vec![Assert {
                message: None,
                success: good,
            }],
            calls: vec![
                serde_json::from_str(
                    r#"{"request": {"method": "GET", "url": "http://web/"}, "response": {"status": 200}}"#,
                )
                .unwrap(),
            ],
            ..HurlEntry::default()
        };
        let entries = [
            entry(1, false),
            entry(1, true),
            entry(2, true),
            entry(2, true),
            entry(3, false),
        ];
        let grouped: Vec<_> = by_entry(&entries)
            .iter()
            .map(|at| (at.last.index, at.retries))
            .collect();
        assert_eq!(grouped, [(1, 1), (2, 0), (2, 0), (3, 0)]);
    }

    #[test]
    fn what_came_back_last_is_the_reply_and_no_call_is_none() {
        let page = |status: u16| {
            format!(r#"{{"request": {{"method": "GET", "url": "http://web/"}}, "response": {{"status": {status}}}}}"#)
        };
        let entry = |statuses: &[u16]| HurlEntry {
            calls: statuses
                .iter()
                .map(|status| serde_json::from_str(&page(*status)).unwrap())
                .collect(),
            ..HurlEntry::default()
        };
        assert_eq!(reply(&entry(&[302, 401])), Reply::Status(401));
        assert_eq!(reply(&entry(&[])), Reply::Nothing);
    }

    #[test]
    fn cookies_pass_as_a_netscape_file() {
        let cookie = Cookie {
            domain: "example.com".to_owned(),
            subdomains: true,
            path: "/".to_owned(),
            http_only: true,
            name: "a".to_owned(),
            value: "b".to_owned(),
            ..Cookie::default()
        };
        let bad = Cookie {
            value: "b\tc".to_owned(),
            ..cookie.clone()
        };
        assert_eq!(jar(&[cookie, bad]), "#HttpOnly_.example.com\tTRUE\t/\tFALSE\t0\ta\tb\n");
    }
}
