//! Steps: requests, commands, what they expect and what they capture.

use std::time::Duration;

use reqwest::header::HeaderName;
use serde_json::Value as Json;

use super::super::grammar;
use super::super::settings::{
    ExecExpect, ExecStep, HttpCapture, HttpExpect, Matcher, RequestBody, RequestStep, StatusPattern,
};
use super::fields::{Fields, Reader, check_url};
use super::structure::{StatusText, is_matcher, is_secret, status};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::{Entry, Node};

/// A request of the suite.
pub(super) fn request(suite: &Fields, node: &Node) -> RequestStep {
    let fields = suite.reader.fields(node, &grammar::REQUEST);
    let (method, url) = method(suite, &fields);
    RequestStep {
        name: fields.filled("name").unwrap_or_default(),
        method,
        url,
        query: fields.pairs("query"),
        headers: headers(&fields),
        basic: basic(&fields),
        body: body(&fields),
        follow: fields.flag("follow"),
        expect: http_expect(fields.fields("expect", &grammar::HTTP_EXPECT)),
        capture: captures(&fields, http_capture),
        retry: retry(&fields),
        repeatable: fields.get("repeatable").and_then(Node::as_bool),
        span: node.span.clone(),
    }
}

fn method(suite: &Fields, fields: &Fields) -> (String, String) {
    let mut found = (String::new(), String::new());
    for method in grammar::METHODS {
        if let Some(node) = fields.get(method) {
            found = (method.to_uppercase(), location(suite, node));
        }
    }
    found
}

/// A path on the suite's target, or a URL. What starts with a capture is known only when the step runs.
fn location(suite: &Fields, node: &Node) -> String {
    let (reader, text) = (suite.reader, suite.reader.filled(node));
    let (message, help) = match text.as_str() {
        path if path.starts_with('/') && suite.get("target").is_some() => return text,
        path if path.starts_with('/') => (
            "is a path, but the suite has no `target`".to_owned(),
            "add `target: http://SERVICE:PORT` to the suite, or write a whole URL",
        ),
        capture if capture.starts_with("{{") => return text,
        url if url.contains("://") => match check_url(url) {
            Ok(()) => {
                reader.asks(node, &text);
                return text;
            }
            Err(why) => (why, "write `/path`, or a URL like `http://web:8080/path`"),
        },
        blank if blank.trim().is_empty() => return text,
        _ => (
            "is neither a path that starts with `/` nor a URL".to_owned(),
            "write `/path`, or a URL like `http://web:8080/path`",
        ),
    };
    reader.refuse_value(node, &message, help);
    text
}

pub(super) fn headers(fields: &Fields) -> Vec<(String, String)> {
    for entry in fields.entries("headers") {
        check_header(fields.reader, entry);
    }
    fields.pairs("headers")
}

/// A header's name, and a value on one line.
pub(super) fn check_header(reader: &Reader, entry: &Entry) {
    check_header_name(reader, &entry.key, &entry.key_span);
    if reader.text(&entry.node).contains(['\r', '\n', '\0']) {
        let help = "write it on one line, without the line's end: `>-` or quotes";
        reader.refuse(Diagnostic::at(&entry.node.span, "a header cannot hold a line's end").help(help));
    }
}

fn check_header_name(reader: &Reader, name: &str, span: &Span) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        let error = Diagnostic::at(span, format!("`{name}` is not the name of a header"));
        reader.refuse(error.help("write it like `Content-Type`"));
    }
}

/// `basic` of a request, or of a suite: user name, password.
pub(super) fn basic(fields: &Fields) -> Option<(String, String)> {
    let fields = fields.fields("basic", &grammar::BASIC)?;
    let text = |key| fields.text(key).unwrap_or_default();
    Some((text("username"), text("password")))
}

fn body(fields: &Fields) -> RequestBody {
    let json = fields
        .get("json")
        .map(|node| RequestBody::Json(fields.reader.json(node)));
    let form = fields.get("form").map(|_| RequestBody::Form(fields.pairs("form")));
    let text = fields.text("body").map(RequestBody::Text);
    json.or(form).or(text).unwrap_or_default()
}

/// `expect` of a request; what is not said is left at its default.
pub(super) fn http_expect(fields: Option<Fields>) -> HttpExpect {
    let Some(fields) = fields else {
        return HttpExpect::default();
    };
    let reader = fields.reader;
    HttpExpect {
        status: fields.items("status").iter().filter_map(status_pattern).collect(),
        headers: fields
            .entries("headers")
            .iter()
            .map(|entry| header_matcher(reader, entry))
            .collect(),
        json: fields
            .entries("json")
            .iter()
            .map(|entry| json_path_matcher(reader, entry))
            .collect(),
        body: fields.get("body").map(|node| text_matcher(reader, node)),
        within: fields.duration("within"),
    }
}

fn status_pattern(node: &Node) -> Option<StatusPattern> {
    Some(match status(&node.as_text()?)? {
        StatusText::Exact(status) => StatusPattern::Exact(status),
        StatusText::Class(class) => StatusPattern::Class(class),
    })
}

fn header_matcher(reader: &Reader, entry: &Entry) -> (String, Matcher) {
    check_header_name(reader, &entry.key, &entry.key_span);
    (entry.key.clone(), text_matcher(reader, &entry.node))
}

fn json_path_matcher(reader: &Reader, entry: &Entry) -> (String, Matcher) {
    reader.json_path(&entry.key, &entry.key_span);
    (entry.key.clone(), json_matcher(reader, &entry.node))
}

/// What a text is compared with: `3` means the text "3".
fn text_matcher(reader: &Reader, node: &Node) -> Matcher {
    if node.as_map().is_none() || is_secret(node) {
        return Matcher::Equals(Json::String(reader.text(node)));
    }
    let fields = reader.fields(node, &grammar::TEXT_MATCHER);
    let contains = fields
        .text("contains")
        .map(|text| Matcher::Contains(Json::String(text)));
    matcher(&fields, contains, text_matcher)
}

/// What a JSON value is compared with: a mapping without a matcher's keys is a value like any other.
fn json_matcher(reader: &Reader, node: &Node) -> Matcher {
    if !is_matcher(node) {
        return Matcher::Equals(reader.json(node));
    }
    let fields = reader.fields(node, &grammar::JSON_MATCHER);
    let contains = fields.get("contains").map(|node| Matcher::Contains(reader.json(node)));
    matcher(&fields, contains, json_matcher)
}

fn matcher(fields: &Fields, contains: Option<Matcher>, inner: fn(&Reader, &Node) -> Matcher) -> Matcher {
    let reader = fields.reader;
    let matches = fields.get("matches").map(|node| Matcher::Matches(reader.regex(node)));
    let not = fields
        .get("not")
        .map(|node| Matcher::Not(Box::new(inner(reader, node))));
    let exists = fields.get("exists").and_then(Node::as_bool).map(Matcher::Exists);
    let mut all: Vec<_> = [contains, matches, not, exists].into_iter().flatten().collect();
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            all.extend(last);
            Matcher::All(all)
        }
    }
}

/// The captures of a step, each read by `source`.
fn captures<T>(fields: &Fields, source: fn(&Reader, &Node) -> Option<T>) -> Vec<(String, T)> {
    let mut captures = vec![];
    for entry in fields.entries("capture") {
        check_capture_name(fields.reader, entry);
        captures.extend(source(fields.reader, &entry.node).map(|source| (entry.key.clone(), source)));
    }
    captures
}

fn check_capture_name(reader: &Reader, entry: &Entry) {
    let name = &entry.key;
    let good = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if name == "run" {
        let error = Diagnostic::at(&entry.key_span, "`{{run}}` is the run's own value");
        reader.refuse(error.help("give the capture another name"));
    } else if !good {
        let error = Diagnostic::at(&entry.key_span, format!("`{name}` cannot be used as `{{{{{name}}}}}`"));
        reader.refuse(error.help("use letters, digits, `_`, `-` and `.`"));
    }
}

fn http_capture(reader: &Reader, node: &Node) -> Option<HttpCapture> {
    let fields = reader.fields(node, &grammar::HTTP_CAPTURE);
    let json = fields.get("json").map(|node| {
        let path = reader.text(node);
        reader.json_path(&path, &node.span);
        HttpCapture::Json(path)
    });
    let header = fields.get("header").map(|node| {
        let name = reader.text(node);
        check_header_name(reader, &name, &node.span);
        HttpCapture::Header(name)
    });
    let cookie = fields.filled("cookie").map(HttpCapture::Cookie);
    let body = fields.get("body").map(|node| HttpCapture::Body(reader.regex(node)));
    json.or(header).or(cookie).or(body)
}

fn exec_capture(reader: &Reader, node: &Node) -> Option<String> {
    let fields = reader.fields(node, &grammar::EXEC_CAPTURE);
    fields.get("stdout").map(|node| reader.regex(node))
}

fn retry(fields: &Fields) -> Option<Duration> {
    fields.fields("retry", &grammar::RETRY)?.duration("for")
}

/// A command of the suite.
pub(super) fn exec(suite: &Fields, node: &Node) -> ExecStep {
    let fields = suite.reader.fields(node, &grammar::EXEC);
    let (service, service_span) = service(suite, &fields);
    ExecStep {
        name: fields.filled("name").unwrap_or_default(),
        command: fields.texts("command"),
        service,
        service_span,
        stdin: fields.text("stdin"),
        expect: exec_expect(fields.fields("expect", &grammar::EXEC_EXPECT)),
        capture: captures(&fields, exec_capture),
        retry: retry(&fields),
        span: node.span.clone(),
    }
}

/// The step's service, else the suite's.
fn service(suite: &Fields, step: &Fields) -> (String, Span) {
    match step.get("service").or(suite.get("service")) {
        Some(node) => (step.reader.filled(node), node.span.clone()),
        None => {
            let error = Diagnostic::at(&step.node.span, "this step does not say in which service it runs");
            step.reader
                .refuse(error.help("add `service: NAME` to the step or to the suite"));
            (String::new(), step.node.span.clone())
        }
    }
}

fn exec_expect(fields: Option<Fields>) -> ExecExpect {
    let Some(fields) = fields else {
        return ExecExpect::default();
    };
    let reader = fields.reader;
    ExecExpect {
        exit: fields.get("exit").and_then(Node::as_int).unwrap_or_default(),
        stdout: fields.get("stdout").map(|node| text_matcher(reader, node)),
        stderr: fields.get("stderr").map(|node| text_matcher(reader, node)),
        within: fields.duration("within"),
    }
}
