//! The base: the configuration that production's description is taken from, where that is another file. Of it hold
//! `production`, `policy`, and of `auth` the `service` and the `issuer`; all else is the configuration's own.
//!
//! A base without a configuration has production's files all the same: then the configuration's own description holds, of the
//! files that are there.

use std::path::Path;

use super::files;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node, Value};

/// What a description of production says of `auth`.
const OF_AUTH: [&str; 2] = ["service", "issuer"];
/// What stands in the place of these.
const INSTEAD: [&str; 1] = ["twin"];

/// Files that describe production and that no base needs: what the working tree has stands in.
const STAND_INS: [&str; 2] = ["env_file", "lock"];
/// What Docker Compose reads beside the first Compose file, where no env file is named.
const DOTENV: &str = ".env";

/// What a base lacks of the files that describe production, as they are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Compose files: production had none such.
    pub left_out: Vec<String>,
    /// The env file and the lock: the working tree's stand in.
    pub stands_in: Vec<String>,
}

/// See [`super::lacking`]. `here` is the working tree's folder.
pub(super) fn lacking(document: &Node, there: &Path, here: &Path) -> Option<Lacking> {
    let production = document.get("production")?;
    let compose = compose(production);
    let names = || compose.iter().filter_map(|node| node.as_text());
    if !names().any(|name| !name.contains("${") && there.join(name).is_file()) {
        return None;
    }
    let named = STAND_INS.iter().filter_map(|key| production.get(key)?.as_text());
    let stands_in = named.filter(|name| is_only_here(name, there, here));
    Some(Lacking {
        left_out: compose
            .iter()
            .filter(|node| !is_in(node, there))
            .filter_map(|node| node.as_text())
            .collect(),
        stands_in: stands_in.chain(dotenv(production, there, here)).collect(),
    })
}

/// Makes the description one of the files that are there.
pub(super) fn settle(document: &mut Node, there: &Path, here: &Path) {
    let Some(production) = value_mut(document, "production") else {
        return;
    };
    if let Some(name) = dotenv(production, there, here)
        && let Some(first) = production.entry("compose").cloned()
        && let Value::Map(entries) = &mut production.value
    {
        entries.push(Entry {
            key: "env_file".to_owned(),
            node: Node::string(name, first.node.span.clone()),
            ..first
        });
    }
    if let Some(Value::Seq(files)) = value_mut(production, "compose").map(|node| &mut node.value) {
        files.retain(|node| is_in(node, there));
    }
    for key in STAND_INS {
        if let Some(node) = value_mut(production, key)
            && let Some(name) = node.as_text().filter(|name| is_only_here(name, there, here))
        {
            let file = files::absolute(&here.join(name));
            *node = Node::string(file.to_string_lossy(), node.span.clone());
        }
    }
}

fn compose(production: &Node) -> &[Node] {
    let node = production.get("compose");
    node.and_then(Node::as_seq)
        .or(node.map(std::slice::from_ref))
        .unwrap_or_default()
}

/// Where a name has variables nobody knows yet.
fn is_in(node: &Node, there: &Path) -> bool {
    let name = node.as_text().unwrap_or_default();
    name.contains("${") || there.join(name).is_file()
}

fn is_only_here(name: &str, there: &Path, here: &Path) -> bool {
    !name.contains("${") && !there.join(name).exists() && here.join(name).exists()
}

/// An `.env` that git does not have: the same stands beside the files of both.
fn dotenv(production: &Node, there: &Path, here: &Path) -> Option<String> {
    let is_plain = ["env_file", "project_directory"]
        .iter()
        .all(|key| production.get(key).is_none());
    let first = compose(production).iter().find(|node| is_in(node, there))?.as_text()?;
    let name = Path::new(&first).with_file_name(DOTENV);
    let name = name.to_string_lossy().into_owned();
    (is_plain && is_only_here(&name, there, here)).then_some(name)
}

/// Forgets what the base has no say in: it may well be wrong there, or name what only its own pipeline has.
pub(super) fn keep_description(base: &mut Node) {
    retain(base, |key| ["production", "policy", "auth"].contains(&key));
    if let Some(auth) = value_mut(base, "auth") {
        retain(auth, |key| OF_AUTH.contains(&key) || INSTEAD.contains(&key));
    }
}

/// The base without a production describes nothing.
pub(super) fn describes(base: &Node) -> Result<(), Diagnostic> {
    match base.get("production") {
        Some(_) => Ok(()),
        None => Err(
            Diagnostic::at(&base.span, "this configuration has no `production` to take")
                .help("write it there first: what production is, a change under test does not say"),
        ),
    }
}

/// The keys of which the configuration says something else than the base, which holds.
pub(super) fn unheard(own: &Node, base: &Node) -> Vec<&'static str> {
    let said = |document: &Node, keys: &[&str]| {
        let found = keys.iter().try_fold(document, |node, key| node.get(key));
        found.map(Node::to_json)
    };
    let knows_auth = base.get("auth").is_some();
    let differs = |keys: &[&str]| said(own, keys) != said(base, keys);
    let all = [
        (
            "production",
            own.get("production").is_some() && differs(&["production"]),
        ),
        ("policy", differs(&["policy"])),
        ("auth.service", knows_auth && differs(&["auth", "service"])),
        ("auth.issuer", knows_auth && differs(&["auth", "issuer"])),
    ];
    all.iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| *key)
        .collect()
}

/// Puts the base's description in the place of the configuration's own. Where the base knows of no authentication
/// product, what the configuration says of one stays: there is nothing that it could change.
pub(super) fn describe(own: &mut Node, base: Node) {
    let (Value::Map(own), Value::Map(described)) = (&mut own.value, base.value) else {
        return;
    };
    own.retain(|entry| !["production", "policy"].contains(&entry.key.as_str()));
    for entry in described {
        match own.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => describe_auth(&mut known.node, entry.node),
            None => own.push(entry),
        }
    }
}

fn describe_auth(own: &mut Node, mut base: Node) {
    let (Value::Map(own), Value::Map(described)) = (&mut own.value, &mut base.value) else {
        *own = base;
        return;
    };
    own.retain(|entry| !OF_AUTH.contains(&entry.key.as_str()) && !INSTEAD.contains(&entry.key.as_str()));
    own.append(described);
}

fn retain(node: &mut Node, wanted: impl Fn(&str) -> bool) {
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|entry| wanted(&entry.key));
    }
}

fn value_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let found = entries.iter_mut().find(|entry: &&mut Entry| entry.key == key);
    found.map(|entry| &mut entry.node)
}
