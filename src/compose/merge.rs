//! One file over another, by Compose's rules. Both are canonical: short forms are gone.
//!
//! | what | rule |
//! |---|---|
//! | mappings | key by key |
//! | `command`, `entrypoint`, `healthcheck.test` | the later one stands alone |
//! | ports, mounts, secrets, configs, devices, env files | the later entry with the same key takes the earlier one's place |
//! | other lists | appended; most without what is there already |
//! | address pools of a network | those of the later file, each over the earlier one of the same subnet |
//! | `logging` | merged only where the driver is the same |
//! | everything else | the later one; nothing over something leaves it |
//!
//! `!reset` takes away what came before, `!override` puts its own value in place of it.

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node, Value};

/// The two tags that change how something is merged.
pub(super) struct Tag;

impl Tag {
    pub const RESET: &str = "!reset";
    pub const OVERRIDE: &str = "!override";
}

/// Merges `over` over `base`. Tags of `over` are obeyed and kept, so that what is merged may be merged again over
/// something else; [`settle`] takes them away in the end.
pub(super) fn merge(base: Node, over: Node) -> Result<Node, Diagnostic> {
    nodes(base, over, &mut Vec::new())
}

/// Merges one service over another, as `extends` does.
pub(super) fn merge_service(base: Node, over: Node) -> Result<Node, Diagnostic> {
    nodes(base, over, &mut vec!["services".to_owned(), "*".to_owned()])
}

/// Takes away what `!reset` removes, and every tag. An unknown tag is an error.
pub(super) fn settle(node: &mut Node) -> Result<(), Diagnostic> {
    if let Some(tag) = node.tag.take()
        && tag != Tag::OVERRIDE
        && tag != Tag::RESET
    {
        return Err(
            Diagnostic::at(&node.span, format!("unknown tag `{tag}`")).help("Compose knows `!reset` and `!override`")
        );
    }
    match &mut node.value {
        Value::Seq(items) => {
            items.retain(|item| !is_reset(item));
            items.iter_mut().try_for_each(settle)
        }
        Value::Map(entries) => {
            entries.retain(|entry| !is_reset(&entry.node));
            entries.iter_mut().try_for_each(|entry| settle(&mut entry.node))
        }
        _ => Ok(()),
    }
}

fn is_reset(node: &Node) -> bool {
    node.tag.as_deref() == Some(Tag::RESET)
}

fn nodes(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    if over.tag.is_some() || is_reset(&base) || base.is_null() {
        return Ok(over);
    }
    let path_words: Vec<&str> = path.iter().map(String::as_str).collect();
    match rule(&path_words) {
        Rule::Replace => return Ok(over),
        _ if over.is_null() => return Ok(base),
        Rule::Pools if base.as_seq().is_some() && over.as_seq().is_some() => return pools(base, over, path),
        Rule::Logging if driver(&base).is_some() && driver(&over).is_some() && driver(&base) != driver(&over) => {
            return Ok(over);
        }
        Rule::ReplaceUnlessMaps if base.as_map().is_none() || over.as_map().is_none() => return Ok(over),
        _ => {}
    }
    let kind = (base.kind_name(), over.kind_name());
    match (base.value, over.value) {
        (Value::Map(base), Value::Map(theirs)) => Ok(Node {
            value: Value::Map(maps(base, theirs, path)?),
            ..shell(over.span)
        }),
        (Value::Seq(base), Value::Seq(theirs)) => Ok(Node {
            value: Value::Seq(lists(base, theirs, path)),
            ..shell(over.span)
        }),
        (Value::Map(_) | Value::Seq(_), _) => {
            let message = format!("{} cannot be merged over {}", kind.1, kind.0);
            Err(Diagnostic::at(&over.span, message).help(format!(
                "use `!override` where it is meant to replace `{}`",
                path.join(".")
            )))
        }
        (_, value) => Ok(Node {
            value,
            raw: over.raw,
            ..shell(over.span)
        }),
    }
}

/// Compose's own rule: of the earlier file's pools only those stay that the later one names, each beneath it. With
/// several on both sides an earlier pool also takes what it does not belong to, in the place of what it was; whoever
/// expects the same addresses as from Compose needs the same.
fn pools(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    let (Value::Seq(mut pools), Value::Seq(named)) = (base.value, over.value) else {
        return Ok(shell(over.span));
    };
    let subnet = |pool: &Node| field(pool, "subnet");
    let known = pools.len();
    pools.extend(named.iter().cloned());
    let mut kept: Vec<usize> = Vec::new();
    for below in 0..known {
        for (number, pool) in named.iter().enumerate() {
            let place = |wanted: &Node| kept.iter().position(|one| subnet(&pools[*one]) == subnet(wanted));
            if subnet(&pools[below]) != subnet(pool) && place(pool).is_none() {
                kept.push(known + number);
                continue;
            }
            pools[below] = nodes(pools[below].clone(), pool.clone(), path)?;
            match kept
                .iter()
                .position(|one| subnet(&pools[*one]) == subnet(&pools[below]))
            {
                Some(place) => kept[place] = below,
                None => kept.push(below),
            }
        }
    }
    Ok(Node {
        value: Value::Seq(kept.into_iter().map(|one| pools[one].clone()).collect()),
        ..shell(over.span)
    })
}

fn shell(span: crate::yaml::span::Span) -> Node {
    Node::new(Value::Null, span)
}

fn driver(node: &Node) -> Option<&str> {
    node.get("driver").and_then(Node::as_str)
}

fn maps(mut base: Vec<Entry>, over: Vec<Entry>, path: &mut Vec<String>) -> Result<Vec<Entry>, Diagnostic> {
    for entry in over {
        match base.iter().position(|known| known.key == entry.key) {
            Some(at) => {
                let known = base[at].node.clone();
                path.push(entry.key.clone());
                let node = nodes(known, entry.node, path)?;
                path.pop();
                base[at] = Entry { node, ..entry };
            }
            None => base.push(entry),
        }
    }
    Ok(base)
}

fn lists(base: Vec<Node>, over: Vec<Node>, path: &[String]) -> Vec<Node> {
    let mut merged = base;
    merged.extend(over);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    unique(merged, &path)
}

/// Of entries with the same key the last stays, in the first one's place.
fn unique(items: Vec<Node>, path: &[&str]) -> Vec<Node> {
    let Some(key) = key_of(path) else { return items };
    let mut kept: Vec<(Option<String>, Node)> = Vec::new();
    for item in items {
        let name = key(&item);
        match kept.iter_mut().find(|(known, _)| known.is_some() && *known == name) {
            Some(slot) => slot.1 = item,
            None => kept.push((name, item)),
        }
    }
    kept.into_iter().map(|(_, item)| item).collect()
}

/// Applies the uniqueness of list entries within one tree, because a single file may repeat itself too.
pub(super) fn deduplicate(root: &mut Node) {
    walk(root, &mut Vec::new());
}

fn walk(node: &mut Node, path: &mut Vec<String>) {
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries {
                path.push(entry.key.clone());
                walk(&mut entry.node, path);
                path.pop();
            }
        }
        Value::Seq(items) => {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            *items = unique(std::mem::take(items), &path);
        }
        _ => {}
    }
}

enum Rule {
    Usual,
    Replace,
    Logging,
    ReplaceUnlessMaps,
    Pools,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Rule::Replace,
        ["services", _, "logging"] => Rule::Logging,
        ["services", _, "ulimits", _] => Rule::ReplaceUnlessMaps,
        ["networks", _, "ipam", "config"] => Rule::Pools,
        _ => Rule::Usual,
    }
}

/// What makes an entry of the list at `path` the same as another; `None` where lists are just appended.
fn key_of(path: &[&str]) -> Option<fn(&Node) -> Option<String>> {
    Some(match path {
        ["services", _, "ports"] => port_key,
        ["services", _, "volumes" | "devices"] => |item| field(item, "target"),
        ["services", _, "secrets"] => |item| file_key(item, "/run/secrets/"),
        ["services", _, "configs"] => |item| file_key(item, "/"),
        ["services", _, "env_file"] => |item| field(item, "path"),
        ["services", _, list] if is_set(list) => Node::as_text,
        ["services", _, "networks", _, "aliases" | "link_local_ips"] => Node::as_text,
        ["services", _, "extra_hosts", _] | ["services", _, "build", "tags"] => Node::as_text,
        _ => return None,
    })
}

/// Lists in which nothing stands twice.
fn is_set(list: &str) -> bool {
    matches!(
        list,
        "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "links" | "profiles" | "tmpfs"
    )
}

fn field(item: &Node, key: &str) -> Option<String> {
    item.get(key)?.as_text()
}

fn file_key(item: &Node, folder: &str) -> Option<String> {
    field(item, "target").or_else(|| Some(format!("{folder}{}", field(item, "source")?)))
}

fn port_key(item: &Node) -> Option<String> {
    let part = |key, default: &str| field(item, key).unwrap_or_else(|| default.to_owned());
    let address = part("host_ip", "0.0.0.0");
    Some(format!(
        "{address}:{}:{}/{}",
        part("published", ""),
        field(item, "target")?,
        part("protocol", "tcp")
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::yaml::span::Source;
    use crate::yaml::tree;

    fn node(text: &str) -> Node {
        let source = Source {
            path: "compose.yaml".into(),
            text: text.to_owned(),
        };
        tree::parse(Arc::new(source)).expect(text)
    }

    /// What is left in the end, as data.
    fn settled(mut node: Node) -> String {
        settle(&mut node).expect("known tags");
        deduplicate(&mut node);
        node.to_json().to_string()
    }

    fn merged(base: &Node, over: &Node) -> Node {
        merge(base.clone(), over.clone()).expect("the same shapes")
    }

    /// Whether a file takes away or replaces what came before it.
    #[derive(Clone, Copy)]
    enum Tags {
        Some,
        None,
    }

    impl Tags {
        fn before(self, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
            let tag = match self {
                Self::None => Just("").boxed(),
                Self::Some => prop_oneof![6 => Just(""), 1 => Just("!override "), 1 => Just("!reset ")].boxed(),
            };
            (tag, value).prop_map(|(tag, value)| format!("{tag}{value}")).boxed()
        }
    }

    fn word() -> BoxedStrategy<String> {
        "[a-c]".prop_map(|word| format!("'{word}'")).boxed()
    }

    fn list(item: BoxedStrategy<String>) -> BoxedStrategy<String> {
        let items = prop::collection::vec(item, 0..3);
        items.prop_map(|items| format!("[{}]", items.join(", "))).boxed()
    }

    fn map(key: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
        let entries = prop::collection::btree_map(key, value, 0..3);
        let written = |entries: BTreeMap<String, String>| {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", entries.join(", "))
        };
        entries.prop_map(written).boxed()
    }

    fn entry(key: &'static str, more: &'static str) -> BoxedStrategy<String> {
        (word(), word())
            .prop_map(move |(one, other)| format!("{{{key}: {one}, {more}: {other}}}"))
            .boxed()
    }

    fn or_null(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
        prop_oneof![5 => value, 1 => Just("null".to_owned())].boxed()
    }

    /// A field of each kind that has a rule of its own, and some of the usual ones.
    fn field(tags: Tags) -> BoxedStrategy<(&'static str, String)> {
        let aliases = map("aliases", list(word()));
        let of = |name: &'static str, value: BoxedStrategy<String>| {
            tags.before(or_null(value)).prop_map(move |value| (name, value))
        };
        prop_oneof![
            of("image", word()),
            of("command", list(word())),
            of("environment", map("[A-C]", or_null(word()))),
            of("ports", list(entry("target", "published"))),
            of("volumes", list(entry("target", "source"))),
            of("secrets", list(entry("source", "mode"))),
            of("env_file", list(entry("path", "format"))),
            of("cap_add", list(word())),
            of("healthcheck", map("test", list(word()))),
            of("networks", map("front|back", or_null(aliases))),
            of("ulimits", map("core", word())),
        ]
        .boxed()
    }

    /// A file in canonical form, as YAML in flow style.
    fn file(tags: Tags) -> BoxedStrategy<Node> {
        let fields = prop::collection::vec(field(tags), 0..5);
        let service = fields.prop_map(|fields| {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{{{}}}", fields.join(", "))
        });
        let services = map("web|db", tags.before(service));
        services
            .prop_map(|services| node(&format!("{{services: {services}}}")))
            .boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_file_over_itself_changes_nothing(file in file(Tags::Some)) {
            prop_assert_eq!(settled(merged(&file, &file)), settled(file));
        }

        /// What is merged first makes no difference; but for tags of a file in the middle, which are meant for the one
        /// before it.
        #[test]
        fn files_merge_alike_from_the_left_and_from_the_right(
            first in file(Tags::Some), second in file(Tags::None), third in file(Tags::Some),
        ) {
            let from_left = merged(&merged(&first, &second), &third);
            let from_right = merged(&first, &merged(&second, &third));
            prop_assert_eq!(settled(from_left), settled(from_right));
        }

        #[test]
        fn an_empty_file_changes_nothing_above_or_below(file in file(Tags::Some)) {
            let empty = node("{services: {}}");
            prop_assert_eq!(settled(merged(&file, &empty)), settled(file.clone()));
            prop_assert_eq!(settled(merged(&empty, &file)), settled(file));
        }
    }
}
