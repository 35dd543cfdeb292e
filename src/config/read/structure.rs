//! Structure: whether the file has the form that the grammar says. After this the reader need not ask again: required
//! keys are there, numbers are numbers, durations are durations.

use super::super::grammar::{
    JSON_MATCHER, Key, MAPPINGS, MATCHER_KEYS, Mapping, NOT_BUILT, Rule, SECRET, Shape, TEXT_MATCHER, When,
    is_not_built,
};
use super::super::quantity;
use crate::yaml::diagnostic::{Diagnostic, nearest};
use crate::yaml::span::Span;
use crate::yaml::tree::{Entry, Node, Value};

/// Every place at which `node` has not the form of `mapping`.
pub(super) fn check(node: &Node, mapping: &'static Mapping) -> Vec<Diagnostic> {
    let mut structure = Structure { errors: vec![] };
    structure.tags(node);
    structure.mapping(node, mapping);
    structure.errors
}

/// Whether the node is `{secret: NAME}`.
pub(super) fn is_secret(node: &Node) -> bool {
    matches!(node.as_map(), Some([entry]) if entry.key == "secret")
}

/// Whether the node is a matcher rather than a value.
pub(super) fn is_matcher(node: &Node) -> bool {
    let entries = node.as_map().unwrap_or_default();
    entries.iter().any(|entry| MATCHER_KEYS.contains(&entry.key.as_str()))
}

/// A status as written: `200` or `2xx`.
pub(super) fn status(text: &str) -> Option<StatusText> {
    if let Some(class) = text.strip_suffix("xx") {
        return class
            .parse()
            .ok()
            .filter(|class| (1..=5).contains(class))
            .map(StatusText::Class);
    }
    text.parse()
        .ok()
        .filter(|status| (100..=599).contains(status))
        .map(StatusText::Exact)
}

/// What [`status`] understood.
pub(super) enum StatusText {
    Exact(u16),
    Class(u8),
}

struct Structure {
    errors: Vec<Diagnostic>,
}

impl Structure {
    fn node(&mut self, node: &Node, shape: Shape) {
        match shape {
            Shape::Text => self.text(node),
            Shape::Word if node.as_text().is_some() => {}
            Shape::Word => self.expected(node, "a text"),
            Shape::TextOrNull if node.is_null() => {}
            Shape::TextOrNull => self.text(node),
            Shape::Json => self.json(node),
            Shape::TextMatcher => self.text_matcher(node),
            Shape::JsonMatcher => self.json_matcher(node),
            Shape::List(item) => self.list(node, *item),
            Shape::Filled(item) => self.filled(node, *item),
            Shape::OneOrMore(item) if node.as_seq().is_none() => self.node(node, *item),
            Shape::OneOrMore(item) => self.filled(node, *item),
            Shape::Named(value) => self.named(node, *value),
            Shape::Keys(mapping) => self.mapping(node, mapping),
            Shape::TextOr(mapping) if node.as_map().is_some() && !is_secret(node) => self.mapping(node, mapping),
            Shape::TextOr(_) => self.text(node),
            Shape::ChoiceOr(_, mapping) if node.as_map().is_some() => self.mapping(node, mapping),
            Shape::ChoiceOr(words, _) => self.scalar(node, Shape::Choice(words)),
            Shape::QuantityOr(_, mapping) if node.as_map().is_some() => self.mapping(node, mapping),
            Shape::QuantityOr(quantity, _) => self.scalar(node, *quantity),
            scalar => self.scalar(node, scalar),
        }
    }

    /// `!reset` and the like belong to Compose files; passing over one here would change what was meant.
    fn tags(&mut self, node: &Node) {
        if let Some(tag) = &node.tag {
            let error = Diagnostic::at(&node.span, format!("the tag `{tag}` has no use here"));
            self.errors.push(error.help("take it out"));
        }
        node.as_seq()
            .unwrap_or_default()
            .iter()
            .for_each(|item| self.tags(item));
        node.as_map()
            .unwrap_or_default()
            .iter()
            .for_each(|entry| self.tags(&entry.node));
    }

    fn expected(&mut self, node: &Node, what: &str) {
        let help = match node.value {
            Value::Null => "fill it in, or take the key out",
            _ => "`rehearsal schema` says what may stand where",
        };
        self.errors.push(node.expected(what).help(help));
    }

    fn text(&mut self, node: &Node) {
        if is_secret(node) {
            self.mapping(node, &SECRET);
        } else if node.as_text().is_none() {
            self.expected(node, "a text or `{secret: NAME}`");
        }
    }

    fn list(&mut self, node: &Node, item: Shape) {
        match node.as_seq() {
            Some(items) => items.iter().for_each(|node| self.node(node, item)),
            None => self.errors.push(
                node.expected("a list")
                    .help("write `[…]`, or one item a line after `- `"),
            ),
        }
    }

    fn filled(&mut self, node: &Node, item: Shape) {
        if node.as_seq().is_some_and(<[Node]>::is_empty) {
            self.errors
                .push(Diagnostic::at(&node.span, "this list is empty").help("fill it, or take the key out"));
        }
        self.list(node, item);
    }

    fn named(&mut self, node: &Node, value: Shape) {
        match node.as_map() {
            Some(entries) => entries.iter().for_each(|entry| self.node(&entry.node, value)),
            None => self.expected(node, "a mapping"),
        }
    }

    fn scalar(&mut self, node: &Node, shape: Shape) {
        let good = match shape {
            Shape::Bool => node.as_bool().is_some(),
            Shape::Count => node.as_int().is_some_and(|number| number >= 1),
            Shape::Whole => node.as_int().is_some(),
            _ => return self.written(node, shape),
        };
        if good {
            return;
        }
        let what = match shape {
            Shape::Bool => "`true` or `false`",
            Shape::Count => "a whole number from 1",
            _ => "a whole number",
        };
        match node.as_text() {
            Some(text) => self
                .errors
                .push(Diagnostic::at(&node.span, format!("expected {what}, found `{text}`"))),
            None => self.expected(node, what),
        }
    }

    /// What is a text with a form of its own.
    fn written(&mut self, node: &Node, shape: Shape) {
        let Some(text) = node.as_text() else {
            return self.expected(node, form(shape));
        };
        let verdict = match shape {
            Shape::Duration => quantity::duration(&text).and_then(|duration| match duration.is_zero() {
                true => Err(format!("`{text}` leaves no time at all: write one like `30s`")),
                false => Ok(()),
            }),
            Shape::DurationOrZero => quantity::duration(&text).map(drop),
            Shape::Rate => quantity::rate(&text).map(drop),
            Shape::Percent => quantity::percent(&text).map(drop),
            Shape::Change => quantity::change(&text).map(drop),
            Shape::Date => quantity::date(&text).map(drop),
            Shape::Status if status(&text).is_none() => {
                Err(format!("`{text}` is not a status: write one like `200` or `2xx`"))
            }
            Shape::Choice(words) => return self.choice(node, &text, words),
            _ => Ok(()),
        };
        self.errors
            .extend(verdict.err().map(|message| Diagnostic::at(&node.span, message)));
    }

    fn choice(&mut self, node: &Node, text: &str, words: &[&str]) {
        if words.contains(&text) {
            return;
        }
        let error = Diagnostic::at(&node.span, format!("`{text}` is not known here"));
        self.errors.push(match nearest(text, words.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("one of {}", quoted(words))),
        });
    }

    fn json(&mut self, node: &Node) {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|entry| self.json(&entry.node)),
            Value::Seq(items) => items.iter().for_each(|item| self.json(item)),
            Value::Float(number) if !number.is_finite() => {
                self.errors.push(Diagnostic::at(&node.span, "JSON has no such number"));
            }
            _ => {}
        }
    }

    fn text_matcher(&mut self, node: &Node) {
        match node.as_map() {
            Some(_) if !is_secret(node) => self.mapping(node, &TEXT_MATCHER),
            _ => self.text(node),
        }
    }

    /// A mapping without any matcher key is a value to be equal to; but one that nearly has one is a typing error,
    /// which inside `not` would hold always.
    fn json_matcher(&mut self, node: &Node) {
        if is_matcher(node) {
            return self.mapping(node, &JSON_MATCHER);
        }
        if let Some([entry]) = node.as_map()
            && let Some(near) = nearest(&entry.key, MATCHER_KEYS.iter().copied().filter(|key| key.len() > 3))
        {
            let error = Diagnostic::at(&entry.key_span, format!("unknown key `{}` in a matcher", entry.key));
            let help = format!(
                "did you mean `{near}`? a member is compared by its own path: `$.….{}`",
                entry.key
            );
            return self.errors.push(error.help(help));
        }
        self.json(node);
    }

    fn mapping(&mut self, node: &Node, mapping: &'static Mapping) {
        let Some(entries) = node.as_map() else {
            return self.expected(node, &format!("a mapping for {}", mapping.title));
        };
        let errors_before = self.errors.len();
        for entry in entries {
            match (mapping.key(&entry.key), not_built(entry, mapping)) {
                (None, _) => self.errors.push(unknown(entry, mapping)),
                (Some(_), Some(when)) => self.errors.push(not_built_yet(entry, when)),
                (Some(_), None) => {}
            }
        }
        // What is missing may well be what the refused key was meant to be.
        if self.errors.len() == errors_before {
            self.missing(node, mapping);
            mapping.rules.iter().for_each(|rule| self.rule(node, mapping, *rule));
        }
        for entry in entries {
            if let (Some(key), None) = (mapping.key(&entry.key), not_built(entry, mapping)) {
                self.node(&entry.node, key.shape);
            }
        }
    }

    fn missing(&mut self, node: &Node, mapping: &Mapping) {
        let is_missing = |key: &&Key| key.required && node.get(key.name).is_none();
        for key in mapping.keys.iter().filter(is_missing) {
            self.errors.push(lacks(node, mapping, key.name));
        }
    }

    fn rule(&mut self, node: &Node, mapping: &Mapping, rule: Rule) {
        let keys = match rule {
            Rule::ExactlyOne(keys) | Rule::AtMostOne(keys) | Rule::AtLeastOne(keys) => keys,
            Rule::Unless(other, keys) => return self.unless(node, mapping, other, keys),
        };
        let given: Vec<_> = keys.iter().filter_map(|key| node.entry(key)).collect();
        if given.is_empty() && !matches!(rule, Rule::AtMostOne(_)) {
            self.errors.push(none_of(node, mapping, keys));
        }
        if let [first, second, ..] = given[..]
            && !matches!(rule, Rule::AtLeastOne(_))
        {
            let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
            self.errors
                .push(Diagnostic::at(&second.key_span, message).help("keep one of the two"));
        }
    }

    fn unless(&mut self, node: &Node, mapping: &Mapping, other: &str, keys: &[&str]) {
        let missing = keys.iter().filter(|key| node.get(key).is_none());
        let missing = missing.filter(|_| node.get(other).is_none());
        self.errors.extend(missing.map(|key| lacks(node, mapping, key)));
    }
}

fn form(shape: Shape) -> &'static str {
    match shape {
        Shape::Duration | Shape::DurationOrZero => "a duration such as `30s`",
        Shape::Rate => "a rate such as `200/s`",
        Shape::Percent => "a share such as `0.1%`",
        Shape::Change => "a change such as `+10%`",
        Shape::Date => "a date such as `2026-12-31`",
        Shape::Status => "a status such as `200` or `2xx`",
        _ => "a word",
    }
}

/// An unknown key, with the nearest known one, else with where it belongs, else with all that are known here.
fn unknown(entry: &Entry, mapping: &Mapping) -> Diagnostic {
    let known = || mapping.keys.iter().map(|key| key.name);
    let error = Diagnostic::at(
        &entry.key_span,
        format!("unknown key `{}` in {}", entry.key, mapping.title),
    );
    if let Some(near) = nearest(&entry.key, known()) {
        return error.help(format!("did you mean `{near}`?"));
    }
    if let Some(home) = MAPPINGS.iter().find(|home| home.key(&entry.key).is_some()) {
        return error.help(format!("`{}` belongs to {}", entry.key, home.title));
    }
    error.help(format!("known here: {}", quoted(&known().collect::<Vec<_>>())))
}

/// Nobody is sent to a key that would be refused.
fn none_of(node: &Node, mapping: &Mapping, keys: &[&str]) -> Diagnostic {
    let built: Vec<_> = keys.iter().copied().filter(|key| !is_not_built(mapping, key)).collect();
    match built[..] {
        [only] => lacks(node, mapping, only),
        _ => Diagnostic::at(
            &first_line(node),
            format!("{} has none of {}", mapping.title, quoted(&built)),
        )
        .help("add one of them"),
    }
}

pub(super) fn lacks(node: &Node, mapping: &Mapping, key: &str) -> Diagnostic {
    Diagnostic::at(&first_line(node), format!("{} lacks `{key}`", mapping.title)).help(format!("add `{key}: …`"))
}

/// Why this entry is refused as not built, if it is.
fn not_built(entry: &Entry, mapping: &Mapping) -> Option<When> {
    let mut lines = NOT_BUILT
        .iter()
        .filter(|(name, key, _)| *name == mapping.name && *key == entry.key);
    let refuses = |when: &When| match when {
        When::Given => true,
        When::Says(word) => says(&entry.node, word),
    };
    lines.find(|(_, _, when)| refuses(when)).map(|(_, _, when)| *when)
}

/// It is the word, or a list with the word in it.
fn says(node: &Node, word: &str) -> bool {
    let mut items = node.as_seq().unwrap_or(std::slice::from_ref(node)).iter();
    items.any(|item| item.as_text().as_deref() == Some(word))
}

fn not_built_yet(entry: &Entry, when: When) -> Diagnostic {
    let what = match when {
        When::Says(word) => format!("`{}: {word}`", entry.key),
        When::Given => format!("`{}`", entry.key),
    };
    Diagnostic::at(&entry.key_span, format!("{what} is valid, but not built yet"))
        .help("take it out: the gate does not pass over what it cannot do")
}

/// A mapping is pointed at by its first line; all of it would drown the message.
pub(super) fn first_line(node: &Node) -> Span {
    let first = node.as_map().and_then(<[Entry]>::first);
    first.map_or_else(|| node.span.clone(), |entry| entry.key_span.clone())
}

/// "`a`, `b` and `c`".
pub(super) fn quoted(words: &[&str]) -> String {
    let mut quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let last = quoted.pop().unwrap_or_default();
    match quoted.is_empty() {
        true => last,
        false => format!("{} and {last}", quoted.join(", ")),
    }
}
