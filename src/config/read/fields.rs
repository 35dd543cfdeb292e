//! Reading one mapping, key by key, with what all of them share: the folder, the environment, the secrets, the errors.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::{Number, Value as Json};
use serde_json_path::JsonPath;
use url::Url;

use super::super::grammar::{Mapping, is_not_built};
use super::super::quantity;
use super::super::settings::Address;
use super::files;
use super::structure::is_secret;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::{Source, Span};
use crate::yaml::tree::{Entry, Node, Value};

/// A configuration file, and what its values are seen from.
pub(super) struct Origin {
    /// The file.
    pub(super) source: Arc<Source>,
    /// Its folder, as the user named it.
    pub(super) folder: PathBuf,
    /// The process's environment over production's env file.
    pub(super) environment: BTreeMap<String, String>,
}

/// What every part of the reader shares. Errors are gathered and reading goes on with something harmless, so that one
/// attempt shows them all; nothing read beside an error ever leaves [`super::load`].
pub(super) struct Reader {
    /// The configuration's.
    own: Origin,
    /// That of what is said about production, where it stands in another file.
    production: Option<Origin>,
    withheld: Option<String>,
    secrets: RefCell<BTreeMap<String, String>>,
    missing: RefCell<BTreeSet<String>>,
    addresses: RefCell<Vec<Address>>,
    errors: RefCell<Vec<Diagnostic>>,
}

impl Reader {
    pub(super) fn new(own: Origin, production: Option<Origin>, withheld: Option<String>) -> Self {
        Self {
            own,
            production,
            withheld,
            secrets: RefCell::default(),
            missing: RefCell::default(),
            addresses: RefCell::default(),
            errors: RefCell::default(),
        }
    }

    /// What a value is seen from: the file that it stands in.
    pub(super) fn origin(&self, span: &Span) -> &Origin {
        let other = self.production.as_ref();
        let other = other.filter(|origin| Arc::ptr_eq(&origin.source, &span.source));
        other.unwrap_or(&self.own)
    }

    /// The secrets met so far, or the errors if there were any.
    pub(super) fn finish(self) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
        let errors = self.errors.into_inner();
        match errors.is_empty() {
            true => Ok(self.secrets.into_inner()),
            false => Err(errors),
        }
    }

    /// The URLs met so far that are asked inside the mirror.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.addresses.borrow().clone()
    }

    /// Takes note of a URL that is asked inside the mirror. What a secret says is not compared with anything: an error
    /// would show it.
    pub(super) fn asks(&self, node: &Node, url: &str) {
        if !is_secret(node) {
            self.addresses.borrow_mut().push(Address {
                url: url.to_owned(),
                span: node.span.clone(),
            });
        }
    }

    /// A URL that is asked inside the mirror.
    pub(super) fn address(&self, node: &Node) -> String {
        let url = self.url(node);
        self.asks(node, &url);
        url
    }

    /// The text of a PEM file that holds certificates.
    pub(super) fn certificate(&self, node: &Node) -> String {
        let path = self.path(node);
        if self.is_blank(node) {
            return String::new();
        }
        match files::source(&path, &self.text(node), &node.span) {
            Ok(source) if source.text.contains("-----BEGIN CERTIFICATE-----") => return source.text.clone(),
            Ok(_) => self.refuse_value(node, "holds no certificate", "name a PEM file"),
            Err(error) => self.refuse(error),
        }
        String::new()
    }

    /// Takes note of a mistake.
    pub(super) fn refuse(&self, error: Diagnostic) {
        let mut errors = self.errors.borrow_mut();
        // A value that is looked at twice is wrong once.
        if !errors
            .iter()
            .any(|known| known.message == error.message && known.place() == error.place())
        {
            errors.push(error);
        }
    }

    /// "`VALUE` MESSAGE" at the node; a secret's value is not shown.
    pub(super) fn refuse_value(&self, node: &Node, message: &str, help: &str) {
        let shown = match node.get("secret").and_then(Node::as_text) {
            Some(name) => format!("the value of the secret `{name}`"),
            None => format!("`{}`", node.as_text().unwrap_or_default()),
        };
        self.refuse(Diagnostic::at(&node.span, format!("{shown} {message}")).help(help));
    }

    /// Reads a mapping of the grammar.
    pub(super) fn fields<'r>(&'r self, node: &'r Node, mapping: &'static Mapping) -> Fields<'r> {
        Fields {
            reader: self,
            node,
            mapping,
            asked: RefCell::default(),
        }
    }

    /// A text, or the secret it stands for.
    pub(super) fn text(&self, node: &Node) -> String {
        match node.get("secret").and_then(Node::as_text) {
            Some(name) if is_secret(node) => self.secret(&name, &node.span),
            _ => node.as_text().unwrap_or_default(),
        }
    }

    fn secret(&self, name: &str, span: &Span) -> String {
        let problem = match self.origin(span).environment.get(name) {
            Some(value) if !value.is_empty() => {
                self.secrets.borrow_mut().insert(name.to_owned(), value.clone());
                return value.clone();
            }
            Some(_) => "is blank",
            None => "is not set",
        };
        // It is missing once, however often it is used.
        if self.missing.borrow_mut().insert(name.to_owned()) {
            let error = Diagnostic::at(span, format!("the secret `{name}` {problem}"));
            self.refuse(error.help(self.way_to(name)));
        }
        String::new()
    }

    fn way_to(&self, name: &str) -> String {
        self.withheld.clone().unwrap_or_else(|| {
            format!(
                "set `{name}` in the environment or in `production.env_file`; a `.env` is read for Compose, and for \
                 `{{secret: …}}` only where `production.env_file` names it"
            )
        })
    }

    /// A text that says something.
    pub(super) fn filled(&self, node: &Node) -> String {
        let text = self.text(node);
        // A secret that is missing has been reported.
        if text.trim().is_empty() && !is_secret(node) {
            self.refuse(
                Diagnostic::at(&node.span, "this is blank").help("write a value; of a variable, see that it has one"),
            );
        }
        text
    }

    /// A path, relative to the file it stands in.
    pub(super) fn path(&self, node: &Node) -> PathBuf {
        self.origin(&node.span).folder.join(self.filled(node))
    }

    /// A file that must exist, absolute.
    pub(super) fn file(&self, node: &Node) -> PathBuf {
        let path = self.path(node);
        if self.is_blank(node) {
            return path;
        }
        if path.is_dir() {
            self.refuse_value(node, "is a folder, not a file", "name a file in it");
        } else if !path.exists() {
            self.refuse(files::missing(&self.text(node), &node.span));
        }
        files::absolute(&path)
    }

    /// A folder that must exist, absolute.
    pub(super) fn folder(&self, node: &Node) -> PathBuf {
        let path = self.path(node);
        if self.is_blank(node) {
            return path;
        }
        if !path.exists() {
            self.refuse(files::missing(&self.text(node), &node.span));
        } else if !path.is_dir() {
            self.refuse_value(node, "is not a folder", "name the folder that holds it");
        }
        files::absolute(&path)
    }

    /// Blank texts, those of missing secrets too, have been reported: nothing more need be said about them.
    pub(super) fn is_blank(&self, node: &Node) -> bool {
        self.text(node).trim().is_empty()
    }

    /// A URL with a host, as the mirror's names go.
    pub(super) fn url(&self, node: &Node) -> String {
        let text = self.filled(node);
        if !self.is_blank(node)
            && let Err(why) = check_url(&text)
        {
            self.refuse_value(node, &why, "write it like `http://web:8080/path`");
        }
        text
    }

    /// A regular expression that compiles.
    pub(super) fn regex(&self, node: &Node) -> String {
        let text = self.text(node);
        if !holds_capture(&text)
            && let Err(error) = Regex::new(&text)
        {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            self.refuse_value(
                node,
                &format!("is not a regular expression: {reason}"),
                "see the crate `regex`'s syntax",
            );
        }
        text
    }

    /// A JSONPath that compiles, written at `span`.
    pub(super) fn json_path(&self, text: &str, span: &Span) {
        if !holds_capture(text)
            && let Err(error) = JsonPath::parse(text)
        {
            let message = format!("`{text}` is not a JSONPath: {error}");
            self.refuse(Diagnostic::at(span, message).help("write it as RFC 9535 says, like `$.items[0].id`"));
        }
    }

    /// A JSON value, with secrets filled in.
    pub(super) fn json(&self, node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Str(text) => Json::String(text.clone()),
            Value::Seq(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Map(_) if is_secret(node) && node.get("secret").is_some_and(|name| name.as_str().is_some()) => {
                Json::String(self.text(node))
            }
            Value::Map(entries) => {
                let member = |entry: &Entry| (entry.key.clone(), self.json(&entry.node));
                Json::Object(entries.iter().map(member).collect())
            }
        }
    }
}

/// Whether a text is completed only when its step runs.
pub(super) fn holds_capture(text: &str) -> bool {
    text.contains("{{")
}

/// A URL the mirror can be asked for; `{{name}}` may stand anywhere in it.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(&without_captures(text)).map_err(|error| format!("is not a URL: {error}"))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) => Ok(()),
        (scheme, _) => Err(format!("is not a URL: `{scheme}` is neither `http` nor `https`")),
    }
}

/// The text with a digit for each `{{name}}`: it fits a host, a port and a path alike.
fn without_captures(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push('1');
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    out + rest
}

/// One mapping while it is read. Every key of the grammar must be asked for: a key that is accepted and then
/// ignored would leave the gate open, so tests fail on it when this is dropped.
pub(super) struct Fields<'r> {
    pub(super) reader: &'r Reader,
    pub(super) node: &'r Node,
    mapping: &'static Mapping,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r> Fields<'r> {
    /// The entry of a key, if it is given.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'r Entry> {
        debug_assert!(
            self.mapping.key(key).is_some(),
            "{} has no key {key}",
            self.mapping.name
        );
        self.asked.borrow_mut().push(key);
        self.node.entry(key)
    }

    /// The value of a key, if it is given.
    pub(super) fn get(&self, key: &'static str) -> Option<&'r Node> {
        Some(&self.entry(key)?.node)
    }

    /// Reads a key's mapping.
    pub(super) fn fields(&self, key: &'static str, mapping: &'static Mapping) -> Option<Fields<'r>> {
        Some(self.reader.fields(self.get(key)?, mapping))
    }

    /// A text, if it is given.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        Some(self.reader.text(self.get(key)?))
    }

    /// A text that must say something, if it is given; blank without it.
    pub(super) fn filled(&self, key: &'static str) -> Option<String> {
        Some(self.reader.filled(self.get(key)?))
    }

    /// A URL, if it is given.
    pub(super) fn url(&self, key: &'static str) -> Option<String> {
        Some(self.reader.url(self.get(key)?))
    }

    /// A URL that is asked inside the mirror, if it is given.
    pub(super) fn address(&self, key: &'static str) -> Option<String> {
        Some(self.reader.address(self.get(key)?))
    }

    /// A file that must exist, if it is given.
    pub(super) fn file(&self, key: &'static str) -> Option<PathBuf> {
        Some(self.reader.file(self.get(key)?))
    }

    /// A duration, if it is given.
    pub(super) fn duration(&self, key: &'static str) -> Option<Duration> {
        quantity::duration(&self.get(key)?.as_text()?).ok()
    }

    /// A switch, false by default.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.get(key).and_then(Node::as_bool).unwrap_or_default()
    }

    /// The items of a list, or the one thing that stands in its place; none by default.
    pub(super) fn items(&self, key: &'static str) -> &'r [Node] {
        match self.get(key) {
            Some(node) => node.as_seq().unwrap_or(std::slice::from_ref(node)),
            None => &[],
        }
    }

    /// A list of texts; a blank one is an argument like any other.
    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        self.items(key).iter().map(|node| self.reader.text(node)).collect()
    }

    /// A list of names, none of them blank.
    pub(super) fn names(&self, key: &'static str) -> Vec<String> {
        self.items(key).iter().map(|node| self.reader.filled(node)).collect()
    }

    /// The entries of a mapping with the user's keys; none by default.
    pub(super) fn entries(&self, key: &'static str) -> &'r [Entry] {
        self.get(key).and_then(Node::as_map).unwrap_or_default()
    }

    /// Names with a text each, in order.
    pub(super) fn pairs(&self, key: &'static str) -> Vec<(String, String)> {
        let pair = |entry: &Entry| (entry.key.clone(), self.reader.text(&entry.node));
        self.entries(key).iter().map(pair).collect()
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        let ignored = |name: &str| !asked.contains(&name) && !is_not_built(self.mapping, name);
        debug_assert!(
            std::thread::panicking() || !self.mapping.keys.iter().any(|key| ignored(key.name)),
            "a key of {} is accepted and ignored; read: {asked:?}",
            self.mapping.name
        );
    }
}
