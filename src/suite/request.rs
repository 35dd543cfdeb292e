//! Plain HTTP steps: built here, sent by the agent, judged here.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::each;
use super::guarded::Guarded;
use super::limits::limit;
use super::matcher::{self, Subject};
use super::run::SuiteRun;
use super::runner::{Attempt, Runner, StepHead, TestStep};
use super::template::{Missing, Scope};
use super::test_bed::TestBed;
use super::words::{self, IN_MESSAGE, quoted};
use crate::agent::client::Client;
use crate::agent::exchange::{BODY_LIMIT, HttpAnswer, HttpCall};
use crate::agent::failure::CallFailure;
use crate::agent::session::SessionCall;
use crate::agent::{Answer, Call};
use crate::config::settings::{HttpCapture, HttpExpect, Matcher, RequestBody, RequestStep};
use crate::mirror::names::several::Asked;
use crate::record::test::Reply;
use crate::text::units::millis;

/// An exchange's limit, unless the step itself waits longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Redirects of a step with `follow`.
const MOST_REDIRECTS: u32 = 10;

/// A step of `requests`, with its suite's settings.
pub(super) struct Request<'a> {
    step: &'a RequestStep,
    target: Option<&'a str>,
    basic: Option<&'a (String, String)>,
    insecure: bool,
    ca: Vec<String>,
}

impl<'a> Request<'a> {
    pub fn new(run: &SuiteRun<'a>, step: &'a RequestStep) -> Self {
        let tls = &run.body.tls;
        let ca = run.ca.iter().chain(&tls.ca).cloned().collect();
        Self {
            step,
            target: run.body.target.as_deref(),
            basic: step
                .basic
                .as_ref()
                .or(run.body.basic.as_ref().filter(|_| !says_who(step))),
            insecure: tls.insecure,
            ca,
        }
    }

    /// As it is sent.
    pub fn call(&self, scope: Scope<'_>, session: &str) -> Result<Result<HttpCall, String>, Missing> {
        let url = scope.text(&self.step.url)?;
        let target = self.target.map(|target| scope.text(target)).transpose()?;
        let query = scope.pairs(&self.step.query)?;
        let mut headers = scope.pairs(&self.step.headers)?;
        let body = body(scope, &self.step.body, &mut headers)?;
        if let Some((user, password)) = self.basic {
            let value = basic(&scope.text(user)?, &scope.text(password)?);
            headers.push(("Authorization".to_owned(), value));
        }
        let address = address(&url, target.as_deref(), &query);
        if let (RequestBody::Form(_), Ok(url)) = (&self.step.body, &address) {
            headers.extend(as_from_a_page(url, &headers));
        }
        Ok(address.map(|url| HttpCall {
            session: session.to_owned(),
            method: self.step.method.clone(),
            url: url.into(),
            headers,
            body: body.map(|body| BASE64_STANDARD.encode(body)),
            follow: if self.step.follow { MOST_REDIRECTS } else { 0 },
            timeout_ms: millis(limit(self.step.expect.within, LIMIT)),
            insecure: self.insecure,
            ca: self.ca.clone(),
            ..HttpCall::default()
        }))
    }
}

impl<B: TestBed> TestStep<B> for Request<'_> {
    fn head(&self) -> StepHead<'_> {
        let step = self.step;
        StepHead::of(&step.name, &step.span, step.retry, &step.capture)
    }

    async fn attempt(&self, runner: &Runner<'_, B>) -> Result<Attempt, Missing> {
        let expect = filled(runner.scope(), &self.step.expect)?;
        let capture = filled_captures(runner.scope(), &self.step.capture)?;
        let call = match self.call(runner.scope(), &runner.session)? {
            Ok(call) => call,
            Err(problem) => return Ok(unsent(self.step, problem)),
        };
        let each = self.each(runner.bed, &call);
        let calls = with_jars_alike(runner.bed.agent(), &call, each.len()).await;
        let mut attempts = Vec::new();
        for (asked, call) in each.into_iter().zip(&calls) {
            let attempt = self.asked(runner, &asked, call, (&expect, &capture)).await;
            attempts.push((asked, attempt));
        }
        let attempt = each::as_one(attempts);
        let secrets = attempt.secrets.into_iter().chain(basic_secret(&call)).collect();
        Ok(Attempt {
            subject: format!("{} {}", call.method, words::masked(&call.url)),
            service: attempt.service.or(host_of(&call.url)),
            secrets,
            ..attempt
        })
    }
}

/// The same request for each of so many, with the cookies as they are now: what one sets, the next has not. The first one's
/// stay.
async fn with_jars_alike(agent: &Client, call: &HttpCall, many: usize) -> Vec<HttpCall> {
    let mut calls = vec![call.clone()];
    for number in 2..=many {
        let session = format!("{} at {number}", call.session);
        let fork = SessionCall::Fork {
            from: call.session.clone(),
            to: session.clone(),
        };
        // An agent that is gone shows with the request.
        let _ = agent.call(Call::Session(fork)).await;
        calls.push(HttpCall {
            session,
            ..call.clone()
        });
    }
    calls
}

impl Request<'_> {
    /// Who is asked: each of several containers where nothing speaks against asking more than once, else the next one.
    fn each(&self, bed: &impl TestBed, call: &HttpCall) -> Vec<Asked> {
        let host = host_of(&call.url).filter(|_| self.step.is_repeatable());
        let several = host.map(|host| bed.several_at(&host)).unwrap_or_default();
        match several.is_empty() {
            true => vec![Asked::InTurn],
            false => several,
        }
    }

    async fn asked<B: TestBed>(
        &self,
        runner: &Runner<'_, B>,
        asked: &Asked,
        call: &HttpCall,
        (expect, capture): (&HttpExpect, &[(String, HttpCapture)]),
    ) -> Attempt {
        let sent = HttpCall {
            reached_at: asked.reached_at().map(str::to_owned),
            ..call.clone()
        };
        match runner.bed.agent().call(Call::Http(sent)).await {
            Ok(Answer::Http(answer)) => {
                let attempt = judge(&answer, expect, capture);
                let name = format!("{} / {}", runner.run.subject, self.step.name);
                let held = attempt.problems.is_empty();
                let guarded = held.then(|| Guarded::of(name, call.clone(), expect.clone(), &answer));
                Attempt {
                    guarded: guarded.flatten(),
                    ..attempt
                }
            }
            Ok(Answer::Failed(why)) => failed(&why),
            Ok(other) => lost(words::unexpected(&other)),
            Err(error) => lost(format!("{error:#}")),
        }
    }
}

/// `url` itself, or on `target`: behind its path, not instead of it.
fn address(url: &str, target: Option<&str>, query: &[(String, String)]) -> Result<Url, String> {
    let absolute = Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut whole = match (absolute, target) {
        (Some(absolute), _) => absolute,
        (None, Some(target)) => on_target(url, target)?,
        (None, None) => {
            let url = quoted(url, IN_MESSAGE);
            return Err(format!(
                "{url} is a path and the suite has no `target`; give it one, or write the whole URL"
            ));
        }
    };
    if !query.is_empty() {
        whole.query_pairs_mut().extend_pairs(query);
    }
    Ok(whole)
}

fn on_target(path: &str, target: &str) -> Result<Url, String> {
    let between = if path.is_empty() || path.starts_with(['/', '?']) {
        ""
    } else {
        "/"
    };
    let whole = format!("{}{between}{path}", target.trim_end_matches('/'));
    let url = Url::parse(&whole).map_err(|error| format!("{} is not a URL: {error}", quoted(&whole, IN_MESSAGE)))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is not an HTTP URL", quoted(&whole, IN_MESSAGE)));
    }
    Ok(url)
}

fn body(scope: Scope<'_>, body: &RequestBody, headers: &mut Vec<(String, String)>) -> Result<Option<Vec<u8>>, Missing> {
    let (kind, bytes) = match body {
        RequestBody::Empty => return Ok(None),
        RequestBody::Text(text) => return Ok(Some(scope.text(text)?.into_bytes())),
        RequestBody::Json(value) => ("application/json", scope.json(value)?.to_string()),
        RequestBody::Form(pairs) => {
            let pairs = scope.pairs(pairs)?;
            let form = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&pairs)
                .finish();
            ("application/x-www-form-urlencoded", form)
        }
    };
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    Ok(Some(bytes.into_bytes()))
}

/// What a browser says of the page that a form came from, here one of the same site: behind TLS frameworks refuse a form
/// without it. What the step says itself holds.
fn as_from_a_page(url: &Url, own: &[(String, String)]) -> Vec<(String, String)> {
    if url.scheme() != "https" {
        return Vec::new();
    }
    let origin = url.origin().ascii_serialization();
    let said = [("Referer", format!("{origin}{}", url.path())), ("Origin", origin)];
    let is_own = |name: &str| own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let rest = said.into_iter().filter(|(name, _)| !is_own(name));
    rest.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The step has an `Authorization` of its own.
fn says_who(step: &RequestStep) -> bool {
    let mut names = step.headers.iter().map(|(name, _)| name);
    names.any(|name| name.eq_ignore_ascii_case("authorization"))
}

/// The value of `Authorization` for HTTP Basic.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", encoded(user, password))
}

/// A user and a password as they are sent.
pub(super) fn encoded(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

fn basic_secret(call: &HttpCall) -> Vec<String> {
    let is_credential = |name: &str| name.eq_ignore_ascii_case("authorization");
    let values = call
        .headers
        .iter()
        .filter(|(name, _)| is_credential(name))
        .map(|(_, value)| value);
    values
        .filter_map(|value| value.split_once(' '))
        .map(|(_, secret)| secret.trim().to_owned())
        .collect()
}

fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// An expectation with its names filled in.
pub(super) fn filled(scope: Scope<'_>, expect: &HttpExpect) -> Result<HttpExpect, Missing> {
    let named = |pairs: &[(String, Matcher)]| -> Result<Vec<_>, Missing> {
        pairs
            .iter()
            .map(|(name, matcher)| Ok((scope.text(name)?, scope.matcher(matcher)?)))
            .collect()
    };
    Ok(HttpExpect {
        status: expect.status.clone(),
        headers: named(&expect.headers)?,
        json: named(&expect.json)?,
        body: expect.body.as_ref().map(|matcher| scope.matcher(matcher)).transpose()?,
        within: expect.within,
    })
}

fn filled_captures(
    scope: Scope<'_>,
    captures: &[(String, HttpCapture)],
) -> Result<Vec<(String, HttpCapture)>, Missing> {
    let one = |capture: &HttpCapture| {
        Ok(match capture {
            HttpCapture::Json(path) => HttpCapture::Json(scope.text(path)?),
            HttpCapture::Header(name) => HttpCapture::Header(scope.text(name)?),
            HttpCapture::Cookie(name) => HttpCapture::Cookie(scope.text(name)?),
            HttpCapture::Body(pattern) => HttpCapture::Body(scope.pattern(pattern)?),
        })
    };
    captures
        .iter()
        .map(|(name, capture)| Ok((name.clone(), one(capture)?)))
        .collect()
}

fn unsent(step: &RequestStep, problem: String) -> Attempt {
    let subject = format!("{} {}", step.method, quoted(&step.url, IN_MESSAGE));
    Attempt {
        subject,
        problems: vec![problem],
        ..Attempt::default()
    }
}

fn lost(problem: String) -> Attempt {
    Attempt {
        problems: vec![problem],
        lost: true,
        ..Attempt::default()
    }
}

fn failed(why: &CallFailure) -> Attempt {
    let message = words::first_line(&why.message);
    let problem = format!("no answer ({}): {message}", why.kind);
    Attempt {
        problems: vec![problem],
        reply: Reply::Nothing,
        duration: Duration::from_millis(why.duration_ms),
        ..Attempt::default()
    }
}

fn judge(answer: &HttpAnswer, expect: &HttpExpect, capture: &[(String, HttpCapture)]) -> Attempt {
    let response = Response::read(answer);
    let mut problems = response.problems(expect);
    let mut captured = Vec::new();
    let mut secrets = response.cookie_secrets();
    for (name, source) in capture {
        match response.capture(source) {
            Ok(value) => {
                if matches!(source, HttpCapture::Cookie(_)) && value.len() >= 4 {
                    secrets.push(value.clone());
                }
                captured.push((name.clone(), value));
            }
            Err(why) => problems.push(format!("capture `{name}`: {why}")),
        }
    }
    Attempt {
        problems,
        detail: response.detail(),
        reply: Reply::Status(answer.status),
        // After redirects the service that answered is what the words are about.
        service: host_of(&answer.url),
        duration: Duration::from_millis(answer.duration_ms),
        captured,
        secrets,
        ..Attempt::default()
    }
}

/// An answer, decoded once.
pub(super) struct Response<'a> {
    answer: &'a HttpAnswer,
    body: String,
    json: Result<Value, String>,
}

impl<'a> Response<'a> {
    pub fn read(answer: &'a HttpAnswer) -> Self {
        let raw = BASE64_STANDARD.decode(&answer.body).unwrap_or_default();
        let body = String::from_utf8_lossy(&raw).into_owned();
        let json = serde_json::from_slice(&raw).map_err(|error| error.to_string());
        Self { answer, body, json }
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Everything that is not as expected.
    pub fn problems(&self, expect: &HttpExpect) -> Vec<String> {
        let mut problems = Vec::new();
        let mut note = |found: Result<(), String>| problems.extend(found.err());
        note(matcher::check_status(&expect.status, self.answer.status).map_err(|words| self.with_location(words)));
        for (name, matcher) in &expect.headers {
            let found = matcher::check(matcher, Subject::Texts(&self.headers(name)));
            note(found.map_err(|words| format!("header `{}`: {words}", words::name(name))));
        }
        for (path, matcher) in &expect.json {
            note(
                self.check_json(path, matcher)
                    .map_err(|words| format!("{}: {words}", words::name(path))),
            );
        }
        if let Some(matcher) = &expect.body {
            note(matcher::check(matcher, Subject::Text(&self.body)).map_err(|words| format!("body: {words}")));
        }
        note(check_within(
            expect.within,
            Duration::from_millis(self.answer.duration_ms),
        ));
        if self.answer.truncated && !(expect.json.is_empty() && expect.body.is_none()) {
            note(Err(format!(
                "the body is longer than {} MiB, and only that much was compared",
                BODY_LIMIT >> 20
            )));
        }
        problems
    }

    fn check_json(&self, path: &str, matcher: &Matcher) -> Result<(), String> {
        let document = self.json()?;
        let nodes = matcher::nodes(path, document)?;
        let subject = if matcher::is_singular(path) {
            Subject::Node(nodes.first().copied())
        } else {
            Subject::Nodes(&nodes)
        };
        matcher::check(matcher, subject)
    }

    fn json(&self) -> Result<&Value, String> {
        let body = quoted(self.body.trim(), IN_MESSAGE);
        self.json
            .as_ref()
            .map_err(|error| format!("the body is not JSON ({error}): {body}"))
    }

    fn capture(&self, source: &HttpCapture) -> Result<String, String> {
        let found = match source {
            HttpCapture::Json(path) => matcher::nodes(path, self.json()?)?.first().map(|node| plain(node)),
            HttpCapture::Header(name) => self.headers(name).first().map(|value| (*value).to_owned()),
            HttpCapture::Cookie(name) => self.cookie(name),
            HttpCapture::Body(pattern) => matcher::capture(pattern, &self.body)?,
        };
        found.ok_or_else(|| format!("the answer has no {}", source_words(source)))
    }

    fn headers(&self, name: &str) -> Vec<&'a str> {
        let all = self.answer.headers.iter();
        all.filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A cookie that this response set, else one of the jar's.
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers("set-cookie").into_iter().filter_map(set_cookie).rev();
        let jar = self
            .answer
            .cookies
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        set.chain(jar)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    pub fn cookie_secrets(&self) -> Vec<String> {
        let set = self.headers("set-cookie").into_iter().filter_map(set_cookie);
        let jar = self
            .answer
            .cookies
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let secret = set.chain(jar).filter(|(name, value)| is_cookie_secret(name, value));
        secret.map(|(_, value)| value.to_owned()).collect()
    }

    fn with_location(&self, words: String) -> String {
        match self.headers("location").first() {
            Some(location) if (300..400).contains(&self.answer.status) => {
                let base = Url::parse(&self.answer.url)
                    .ok()
                    .and_then(|url| url.join(location).ok());
                let shown = base.map_or_else(|| quoted(location, IN_MESSAGE), |url| words::masked(url.as_str()));
                format!("{words} to {shown}")
            }
            _ => words,
        }
    }

    fn detail(&self) -> String {
        let mut lines: Vec<_> = self
            .answer
            .trail
            .iter()
            .map(|(status, url)| format!("{status} {}", words::masked(url)))
            .collect();
        for (name, value) in self
            .answer
            .headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("set-cookie"))
        {
            let value = if name.eq_ignore_ascii_case("location") {
                words::masked(value)
            } else {
                words::name(value)
            };
            lines.push(format!("{}: {value}", words::name(name)));
        }
        lines.push(String::new());
        lines.push(words::beginning(&self.body));
        lines.join("\n")
    }
}

/// Session cookies are secrets whatever their name; a short value such as `dark` is a preference.
pub(super) fn is_cookie_secret(name: &str, value: &str) -> bool {
    value.len() >= 8 || words::is_secret(name, value)
}

fn set_cookie(header: &str) -> Option<(&str, &str)> {
    let pair = header.split(';').next()?;
    let (name, value) = pair.split_once('=')?;
    Some((name.trim(), value.trim()))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn source_words(source: &HttpCapture) -> String {
    match source {
        HttpCapture::Json(path) => format!("node at {}", quoted(path, IN_MESSAGE)),
        HttpCapture::Header(name) => format!("header {}", quoted(name, IN_MESSAGE)),
        HttpCapture::Cookie(name) => format!("cookie {}", quoted(name, IN_MESSAGE)),
        HttpCapture::Body(pattern) => format!("match of {} in its body", quoted(pattern, IN_MESSAGE)),
    }
}

/// Nothing where it took no longer than that.
pub(super) fn check_within(within: Option<Duration>, took: Duration) -> Result<(), String> {
    match within {
        Some(within) if took > within => Err(format!(
            "expected within {} ms, took {} ms",
            within.as_millis(),
            took.as_millis()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_path_goes_behind_the_targets_own_path() {
        let on = |url| address(url, Some("http://web:8080/api/"), &[]).unwrap().to_string();
        assert_eq!(on("/items"), "http://web:8080/api/items");
        assert_eq!(on("items?x=1"), "http://web:8080/api/items?x=1");
        assert_eq!(on("http://idp/x"), "http://idp/x");
    }

    #[test]
    fn a_path_without_a_target_says_the_way_out() {
        assert!(address("/items", None, &[]).unwrap_err().contains("has no `target`"));
    }

    #[test]
    fn query_parameters_are_encoded_behind_those_of_the_url() {
        let query = [pair("q", "a b&c"), pair("q", "ü")];
        let url = address("/s?x=1", Some("http://web"), &query).unwrap();
        assert_eq!(url.as_str(), "http://web/s?x=1&q=a+b%26c&q=%C3%BC");
    }

    #[test]
    fn a_form_behind_tls_says_the_page_that_it_came_from_unless_the_step_does() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(as_from_a_page(&url("http://web:8080/login"), &[]).is_empty());
        let said = as_from_a_page(&url("https://shop.example.com/login?next=a"), &[]);
        let referer = pair("Referer", "https://shop.example.com/login");
        assert_eq!(said, [referer.clone(), pair("Origin", "https://shop.example.com")]);
        let said = as_from_a_page(&url("https://shop.example.com/login"), &[pair("origin", "null")]);
        assert_eq!(said, [referer]);
    }

    #[test]
    fn a_body_sets_its_content_type_unless_the_step_does() {
        let values = Default::default();
        let scope = Scope {
            values: &values,
            run: "r1",
        };
        let json = RequestBody::Json(serde_json::json!({"run": "{{run}}"}));
        let mut headers = Vec::new();
        assert_eq!(body(scope, &json, &mut headers).unwrap().unwrap(), br#"{"run":"r1"}"#);
        assert_eq!(headers, [pair("Content-Type", "application/json")]);
        let mut headers = vec![pair("content-type", "application/vnd.x+json")];
        body(scope, &json, &mut headers).unwrap();
        assert_eq!(headers.len(), 1);
    }

    fn answer(status: u16, body: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            body: BASE64_STANDARD.encode(body),
            url: "http://web/x".to_owned(),
            headers: vec![
                pair("set-cookie", "sid=fresh; Path=/"),
                pair("Location", "/login?state=abcdef"),
            ],
            cookies: vec![pair("sid", "old"), pair("other", "jar")],
            ..HttpAnswer::default()
        }
    }

    #[test]
    fn a_cookie_of_the_response_is_taken_before_the_jars() {
        let answer = answer(200, "");
        let response = Response::read(&answer);
        assert_eq!(
            response.capture(&HttpCapture::Cookie("sid".to_owned())).unwrap(),
            "fresh"
        );
        assert_eq!(
            response.capture(&HttpCapture::Cookie("other".to_owned())).unwrap(),
            "jar"
        );
        assert!(response.capture(&HttpCapture::Cookie("none".to_owned())).is_err());
    }

    #[test]
    fn a_redirect_that_was_not_expected_says_where_it_goes_without_its_state() {
        let answer = answer(302, "");
        let problems = Response::read(&answer).problems(&HttpExpect::default());
        assert_eq!(
            problems,
            ["expected status 2xx, received 302 to http://web/login?state=***"]
        );
    }

    #[test]
    fn a_body_that_is_not_json_is_shown() {
        let answer = answer(200, "<h1>Oops</h1>");
        let expect = HttpExpect {
            json: vec![("$.a".to_owned(), Matcher::Exists(true))],
            ..HttpExpect::default()
        };
        let problems = Response::read(&answer).problems(&expect);
        assert!(problems[0].starts_with("$.a: the body is not JSON ("), "{problems:?}");
        assert!(problems[0].ends_with("`<h1>Oops</h1>`"), "{problems:?}");
    }

    #[test]
    fn a_slow_answer_is_told_as_a_slow_answer() {
        let late = check_within(Some(Duration::from_millis(800)), Duration::from_millis(801));
        assert_eq!(late.unwrap_err(), "expected within 800 ms, took 801 ms");
        assert!(limit(Some(Duration::from_secs(60)), LIMIT) > Duration::from_secs(60));
    }
}
