//! Variables: the environment that the file sees, and `${…}` replaced in its values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files;
use super::structure::is_secret;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::{self, Format};
use crate::yaml::interpolate::{Dialect, interpolate};
use crate::yaml::tree::{Entry, Node, Value, resolve};

/// The process's environment over production's env file. The file's own path sees the process's environment only.
pub(super) fn environment(
    document: &Node,
    folder: &Path,
    process: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let named = document
        .get("production")
        .and_then(|production| production.get("env_file"));
    let Some(mut node) = named.filter(|node| node.as_text().is_some()).cloned() else {
        return Ok(process.clone());
    };
    replace(&mut node, process)?;
    let path = node.as_text().unwrap_or_default();
    let source = files::source(&folder.join(&path), &path, &node.span).map_err(|error| vec![error])?;
    let lookup = |name: &str| process.get(name).cloned();
    let variables = env_file::parse(source, Format::Dotenv, &lookup)
        .map_err(|error| vec![env_file::without_line(&error, &path, Some(&node.span))])?;
    let mut environment: BTreeMap<_, _> = variables.into_iter().collect();
    environment.extend(process.clone());
    Ok(environment)
}

/// Replaces the variables of every value below `node`; keys are left alone. A variable that nobody set is an error
/// here, where Compose would warn: a gate that tests a blank image tests nothing.
pub(super) fn replace(node: &mut Node, environment: &BTreeMap<String, String>) -> Result<(), Vec<Diagnostic>> {
    let mut errors = vec![];
    walk(node, environment, &mut errors);
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors),
    }
}

fn walk(node: &mut Node, environment: &BTreeMap<String, String>, errors: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::Str(text) if text.contains("${") => {
            let lookup = |name: &str| environment.get(name).cloned();
            match interpolate(text, Dialect::Rehearsal, &lookup) {
                Ok(done) if done.unset.is_empty() => write(node, done.text),
                Ok(done) => errors.extend(done.unset.iter().map(|name| unset(node, name))),
                Err(message) => errors.push(malformed(node, message)),
            }
        }
        Value::Seq(items) => items.iter_mut().for_each(|item| walk(item, environment, errors)),
        Value::Map(entries) => entries
            .iter_mut()
            .for_each(|entry| walk(&mut entry.node, environment, errors)),
        _ => {}
    }
}

/// An unquoted `${N}` may be a number afterwards, as if the value had stood there; never null.
fn write(node: &mut Node, text: String) {
    let plain = node.raw.is_some();
    node.raw = plain.then(|| text.clone());
    node.value = match resolve(&text) {
        value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) if plain => value,
        _ => Value::Str(text),
    };
}

fn unset(node: &Node, name: &str) -> Diagnostic {
    Diagnostic::at(&node.span, format!("the variable `{name}` is not set")).help(format!(
        "set it in the environment or in `production.env_file`, or write `${{{name}:-default}}`"
    ))
}

fn malformed(node: &Node, message: String) -> Diagnostic {
    Diagnostic::at(&node.span, message).help("for a literal `${` write `$${`")
}

/// The `image` and `build` of a candidate that the command line replaces are never looked at: they may well name a
/// variable that only a pipeline sets.
pub(super) fn forget_overridden(document: &mut Node, overridden: &BTreeSet<&str>) {
    for service in entries_of(document, &["candidate"]).into_iter().flatten() {
        if let Value::Map(keys) = &mut service.node.value
            && overridden.contains(service.key.as_str())
        {
            keys.retain(|entry| entry.key != "image" && entry.key != "build");
        }
    }
    if let Some(images) = entries_of(document, &["release", "images"]) {
        images.retain(|entry| !overridden.contains(entry.key.as_str()));
    }
}

/// The entries of the mapping at a path of keys.
fn entries_of<'n>(node: &'n mut Node, path: &[&str]) -> Option<&'n mut Vec<Entry>> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    match path.split_first() {
        None => Some(entries),
        Some((key, rest)) => {
            let entry = entries.iter_mut().find(|entry| entry.key == *key)?;
            entries_of(&mut entry.node, rest)
        }
    }
}

/// For a command that asks what production is, and not what is tried on it.
pub(super) fn forget_all_but_production(document: &mut Node) {
    let Value::Map(keys) = &mut document.value else { return };
    keys.retain(|entry| !["release", "suites", "data", "stages"].contains(&entry.key.as_str()));
    let candidates = keys.iter_mut().find(|entry| entry.key == "candidate");
    if let Some(Value::Map(services)) = candidates.map(|entry| &mut entry.node.value) {
        // Which services they replace is a fact of production's; what replaces them is not.
        services
            .iter_mut()
            .for_each(|service| service.node.value = Value::Map(Vec::new()));
    }
    let auth = keys.iter_mut().find(|entry| entry.key == "auth");
    if let Some(Value::Map(keys)) = auth.map(|entry| &mut entry.node.value) {
        keys.retain(|entry| entry.key != "login");
    }
}

/// What the secrets of the document stand for, by name.
pub(super) fn secrets(node: &Node, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    gather(node, environment, &mut secrets);
    secrets
}

fn gather(node: &Node, environment: &BTreeMap<String, String>, secrets: &mut BTreeMap<String, String>) {
    if is_secret(node)
        && let Some(name) = node.get("secret").and_then(Node::as_text)
        && let Some(value) = environment.get(&name).filter(|value| !value.is_empty())
    {
        secrets.insert(name, value.clone());
    }
    let items = node.as_seq().unwrap_or_default().iter();
    let values = node.as_map().unwrap_or_default().iter().map(|entry| &entry.node);
    items.chain(values).for_each(|node| gather(node, environment, secrets));
}

/// An error without secrets: its message may quote a value, and that may hold one by way of `${…}`.
pub(super) fn without_secrets(secrets: &BTreeMap<String, String>, mut error: Diagnostic) -> Diagnostic {
    for (name, value) in secrets {
        error.message = error.message.replace(value, &format!("{{secret: {name}}}"));
    }
    error
}
