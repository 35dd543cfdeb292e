//! The base: the configuration that production's description is taken from, where that is another file. Of it hold
//! `production`, `policy`, and of `auth` the `service` and the `issuer`; all else is the configuration's own.

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node, Value};

/// What a description of production says of `auth`.
const OF_AUTH: [&str; 2] = ["service", "issuer"];
/// What stands in the place of these.
const INSTEAD: [&str; 1] = ["twin"];

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
