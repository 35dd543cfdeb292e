//! A mapping that is read key by key and then asked whether anything was left over.

use std::collections::BTreeMap;

use super::scalar;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node, Value};

/// The entries of a mapping, and which keys were asked for: those are the known ones.
pub(super) struct Fields<'a> {
    entries: &'a [Entry],
    node: &'a Node,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// A mapping, or nothing, which is a mapping without keys.
    pub fn of(node: &'a Node) -> Result<Self, Diagnostic> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err(node.expected("a mapping")),
        };
        Ok(Self {
            entries,
            node,
            asked: Vec::new(),
        })
    }

    /// The value of `key`; null is absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!entry.node.is_null()).then_some(&entry.node)
    }

    /// The value of `key` as `read` reads it.
    pub fn opt<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, Diagnostic>,
    ) -> Result<Option<T>, Diagnostic> {
        self.get(key).map(read).transpose()
    }

    /// The same, with the type's default where it is absent.
    pub fn or<T: Default>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        Ok(self.opt(key, read)?.unwrap_or_default())
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, Diagnostic> {
        self.opt(key, string)
    }

    /// A string that must be there.
    pub fn required(&mut self, key: &'static str) -> Result<String, Diagnostic> {
        let node = self.node;
        self.string(key)?
            .ok_or_else(|| Diagnostic::at(&node.span, format!("the key `{key}` is missing")))
    }

    /// A boolean, false where absent.
    pub fn flag(&mut self, key: &'static str) -> Result<bool, Diagnostic> {
        self.or(key, boolean)
    }

    /// A list of strings.
    pub fn strings(&mut self, key: &'static str) -> Result<Vec<String>, Diagnostic> {
        self.or(key, strings)
    }

    /// A mapping of texts, or a list of `key=value`.
    pub fn mapping(&mut self, key: &'static str) -> Result<BTreeMap<String, String>, Diagnostic> {
        self.or(key, mapping)
    }

    /// Refuses what nobody asked for; `x-…` is allowed everywhere.
    pub fn finish(self) -> Result<(), Diagnostic> {
        let unknown = |entry: &&Entry| !entry.key.starts_with("x-") && !self.asked.contains(&entry.key.as_str());
        match self.entries.iter().find(unknown) {
            Some(entry) => Err(Diagnostic::unknown_key(
                &entry.key_span,
                &entry.key,
                self.asked.iter().copied(),
            )),
            None => Ok(()),
        }
    }
}

/// A string; a number in its place is refused, because YAML may already have changed it.
pub(super) fn string(node: &Node) -> Result<String, Diagnostic> {
    match scalar::value(node) {
        Value::Str(text) => Ok(text),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let raw = node.raw.clone().unwrap_or_default();
            Err(node.expected("a string").help(format!("put it in quotes: \"{raw}\"")))
        }
        _ => Err(node.expected("a string")),
    }
}

/// A string that must be one of `known`.
pub(super) fn one_of(known: &'static [&'static str]) -> impl Fn(&Node) -> Result<String, Diagnostic> {
    move |node| {
        let text = string(node)?;
        if known.contains(&text.as_str()) {
            return Ok(text);
        }
        let list = known.join("`, `");
        Err(Diagnostic::at(&node.span, format!("`{text}` is not one of `{list}`")))
    }
}

/// A string or a number, as text.
pub(super) fn text(node: &Node) -> Result<String, Diagnostic> {
    scalar::text(node)?.ok_or_else(|| node.expected("a value"))
}

/// A boolean, or one of the words that Compose takes for one.
pub(super) fn boolean(node: &Node) -> Result<bool, Diagnostic> {
    match scalar::value(node) {
        Value::Bool(value) => Ok(value),
        Value::Str(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => Ok(true),
            "false" | "no" | "n" | "off" | "0" => Ok(false),
            _ => Err(Diagnostic::at(
                &node.span,
                format!("`{text}` is neither `true` nor `false`"),
            )),
        },
        _ => Err(node.expected("`true` or `false`")),
    }
}

/// An integer, or text that is one (as after interpolation).
pub(super) fn integer<T: TryFrom<i64>>(node: &Node) -> Result<T, Diagnostic> {
    let number = match scalar::value(node) {
        Value::Int(value) => Some(value),
        Value::Float(value) if value.fract() == 0.0 => Some(value as i64),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    };
    let Some(number) = number else {
        return Err(match node.as_str() {
            Some(text) => Diagnostic::at(&node.span, format!("`{text}` is not an integer")),
            None => node.expected("an integer"),
        });
    };
    T::try_from(number).map_err(|_| Diagnostic::at(&node.span, format!("`{number}` is out of range")))
}

/// A number, or text that is one.
pub(super) fn float(node: &Node) -> Result<f64, Diagnostic> {
    let number = match scalar::value(node) {
        Value::Int(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| match node.as_str() {
            Some(text) => Diagnostic::at(&node.span, format!("`{text}` is not a number")),
            None => node.expected("a number"),
        })
}

/// A list of what `read` reads.
pub(super) fn list<T>(read: impl Fn(&Node) -> Result<T, Diagnostic>) -> impl Fn(&Node) -> Result<Vec<T>, Diagnostic> {
    move |node| {
        node.as_seq()
            .ok_or_else(|| node.expected("a list"))?
            .iter()
            .map(&read)
            .collect()
    }
}

/// A mapping with values that `read` reads, from key and value.
pub(super) fn entries<T>(
    read: impl Fn(&Entry) -> Result<T, Diagnostic>,
) -> impl Fn(&Node) -> Result<BTreeMap<String, T>, Diagnostic> {
    move |node| match &node.value {
        Value::Null => Ok(BTreeMap::new()),
        Value::Map(entries) => {
            let named = entries.iter().filter(|entry| !entry.key.starts_with("x-"));
            named.map(|entry| Ok((entry.key.clone(), read(entry)?))).collect()
        }
        _ => Err(node.expected("a mapping")),
    }
}

/// A list of strings.
pub(super) fn strings(node: &Node) -> Result<Vec<String>, Diagnostic> {
    list(string)(node)
}

/// A string, or a list of strings.
pub(super) fn string_or_list(node: &Node) -> Result<Vec<String>, Diagnostic> {
    match node.value {
        Value::Seq(_) => strings(node),
        _ => Ok(vec![string(node)?]),
    }
}

/// A mapping of texts, or a list of `key=value`; a key without value has the empty one.
pub(super) fn mapping(node: &Node) -> Result<BTreeMap<String, String>, Diagnostic> {
    let pairs = variables(node)?.into_iter();
    Ok(pairs.map(|(key, value)| (key, value.unwrap_or_default())).collect())
}

/// The same; a key without value has none.
pub(super) fn variables(node: &Node) -> Result<BTreeMap<String, Option<String>>, Diagnostic> {
    match &node.value {
        Value::Seq(items) => items.iter().map(pair).collect(),
        Value::Null => Ok(BTreeMap::new()),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| Ok((entry.key.clone(), scalar::text(&entry.node)?)))
            .collect(),
        _ => Err(node.expected("a mapping, or a list of `key=value`")),
    }
}

fn pair(node: &Node) -> Result<(String, Option<String>), Diagnostic> {
    let text = string(node)?;
    Ok(match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text, None),
    })
}
