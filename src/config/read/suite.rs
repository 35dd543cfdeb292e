//! `suites` and `data`: the user's own tests.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::grammar;
use super::super::settings::{Data, Suite, SuiteBody, TestContainer, Tls};
use super::fields::Fields;
use super::structure::is_secret;
use super::{files, restore, step};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::{Entry, Node};

pub(super) fn suites(file: &Fields) -> Vec<Suite> {
    file.entries("suites").iter().map(|entry| suite(file, entry)).collect()
}

fn suite(file: &Fields, entry: &Entry) -> Suite {
    if entry.key.trim().is_empty() {
        file.reader
            .refuse(Diagnostic::at(&entry.key_span, "a suite needs a name"));
    }
    if entry.key == "login" || entry.key.starts_with("data.") {
        let message = format!("`{}` is the name of a built-in test", entry.key);
        let help =
            "the sign-in is called `login`, and the entries of `data` are `data.seed` and so on: take another name";
        file.reader.refuse(Diagnostic::at(&entry.key_span, message).help(help));
    }
    Suite {
        name: entry.key.clone(),
        body: body(&file.reader.fields(&entry.node, &grammar::SUITE)),
        span: entry.key_span.clone(),
    }
}

pub(super) fn data(fields: &Fields) -> Data {
    let entry = |key| fields.get(key).map(|node| entry(fields, node));
    Data {
        restore: restore::all(fields),
        seed: entry("seed"),
        verify: entry("verify"),
        write: entry("write"),
        verify_write: entry("verify_write"),
    }
}

/// A Hurl file, or a suite's body.
pub(super) fn entry(data: &Fields, node: &Node) -> SuiteBody {
    match node.as_map() {
        Some(_) if !is_secret(node) => body(&data.reader.fields(node, &grammar::SUITE)),
        _ => SuiteBody {
            files: vec![data.reader.file(node)],
            min_tests: 1,
            ..SuiteBody::default()
        },
    }
}

fn body(fields: &Fields) -> SuiteBody {
    let body = SuiteBody {
        target: fields.address("target"),
        service: fields.filled("service"),
        basic: step::basic(fields),
        tls: fields
            .fields("tls", &grammar::TLS)
            .map(|fields| tls(&fields))
            .unwrap_or_default(),
        files: hurl_files(fields),
        requests: fields
            .items("requests")
            .iter()
            .map(|node| step::request(fields, node))
            .collect(),
        exec: fields
            .items("exec")
            .iter()
            .map(|node| step::exec(fields, node))
            .collect(),
        container: fields
            .fields("container", &grammar::CONTAINER)
            .map(|fields| container(&fields)),
        min_tests: min_tests(fields),
    };
    let requests = body.requests.iter().map(|step| (&step.name, &step.span));
    refuse_same_names(
        fields,
        requests.chain(body.exec.iter().map(|step| (&step.name, &step.span))),
    );
    body
}

fn min_tests(fields: &Fields) -> u64 {
    let given = fields.get("min_tests").and_then(Node::as_int);
    given.and_then(|number| number.try_into().ok()).unwrap_or(1)
}

/// Reports and comparisons find a step by its name.
fn refuse_same_names<'a>(fields: &Fields, steps: impl Iterator<Item = (&'a String, &'a Span)>) {
    let mut seen = BTreeSet::new();
    for (name, span) in steps {
        if !seen.insert(name) {
            let error = Diagnostic::at(span, format!("the suite has two steps named `{name}`"));
            fields
                .reader
                .refuse(error.help("give each step of a suite its own name"));
        }
    }
}

pub(super) fn tls(fields: &Fields) -> Tls {
    Tls {
        insecure: fields.flag("insecure"),
        ca: fields.get("ca").map(|node| fields.reader.certificate(node)),
    }
}

/// Hurl files in the order named, a glob's sorted, none twice. A glob may match nothing: `min_tests` judges that.
fn hurl_files(fields: &Fields) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = vec![];
    for node in fields.items("files") {
        for file in matched(fields, node) {
            if !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found
}

fn matched(fields: &Fields, node: &Node) -> Vec<PathBuf> {
    let text = fields.reader.text(node);
    if !files::is_glob(&text) {
        return vec![fields.reader.file(node)];
    }
    match files::expand(&fields.reader.origin(&node.span).folder, &text) {
        Ok(paths) => paths.iter().map(|path| files::absolute(path)).collect(),
        Err(why) => {
            fields.reader.refuse_value(node, &why, "write it like `smoke/*.hurl`");
            vec![]
        }
    }
}

fn container(fields: &Fields) -> TestContainer {
    TestContainer {
        image: fields.filled("image").unwrap_or_default(),
        command: fields.get("command").map(|_| fields.texts("command")),
        entrypoint: fields.get("entrypoint").map(|_| fields.texts("entrypoint")),
        env: fields.pairs("env").into_iter().collect(),
        junit: fields.get("junit").map(|node| junit(fields, node)),
        span: fields.node.span.clone(),
    }
}

fn junit(fields: &Fields, node: &Node) -> String {
    let text = fields.reader.filled(node);
    if !text.starts_with('/') && !fields.reader.is_blank(node) {
        fields
            .reader
            .refuse_value(node, "is not a path inside the container", "write it like `/out/*.xml`");
    }
    text
}
