//! YAML as a tree of nodes that know where they stand: the one place that speaks to the parser.
//!
//! One document per file, YAML 1.2 core schema, anchors, aliases and `<<` resolved, duplicate keys
//! refused. A file is hostile until read: depth and the size that aliases expand to are limited.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::{Source, Span};

/// Deeper than any configuration, shallower than any stack.
const MAX_DEPTH: usize = 100;
/// What a document may expand to, in bytes of text plus [`NODE_COST`] for each node.
const MAX_COST: usize = 16 << 20;
const NODE_COST: usize = 64;

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value by YAML's core schema.
    pub value: Value,
    /// What stood in the file, for a plain (unquoted) scalar: `1.10` is the float 1.1 in `value`.
    pub raw: Option<String>,
    /// A tag that is not YAML's own, such as `!reset`.
    pub tag: Option<String>,
    /// Where it stands; of an alias, where its anchor stands.
    pub span: Span,
}

/// The kinds of value.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value, in the file's order.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as text, whatever its type.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

impl Node {
    /// A node that stands for something which was written otherwise, at `span`.
    pub fn new(value: Value, span: Span) -> Self {
        Self {
            value,
            raw: None,
            tag: None,
            span,
        }
    }

    /// A string node at `span`.
    pub fn string(text: impl Into<String>, span: Span) -> Self {
        Self::new(Value::Str(text.into()), span)
    }

    /// The string, where the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The text of any scalar except null: a string, or a number or bool as it stands in the file.
    pub fn as_text(&self) -> Option<String> {
        match &self.value {
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
            Value::Str(text) => Some(text.clone()),
            Value::Bool(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
            Value::Int(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
            Value::Float(value) => Some(self.raw.clone().unwrap_or_else(|| value.to_string())),
        }
    }

    /// The same as JSON, just as written.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Str(text) => text.as_str().into(),
            Value::Seq(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// The bool, where the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The integer, where the value is one.
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The number, integer or float.
    pub fn as_float(&self) -> Option<f64> {
        match self.value {
            Value::Int(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The items, where the value is a sequence.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, where the value is a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of `key`, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.entry(key)?.node)
    }

    /// The entry of `key`, where this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.iter().find(|entry| entry.key == key)
    }

    /// Whether the value is null or absent.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value's kind, for messages: "expected …, found a list".
    pub fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a string",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// "expected `what`, found …", at this node.
    pub fn expected(&self, what: &str) -> Diagnostic {
        Diagnostic::at(&self.span, format!("expected {what}, found {}", self.kind_name()))
    }
}

/// Reads a file that holds one YAML document; an empty one is null.
pub fn parse(source: Arc<Source>) -> Result<Node, Diagnostic> {
    let mut documents = parse_all(source)?.into_iter();
    let first = documents.next();
    if let Some(second) = documents.next() {
        return Err(Diagnostic::at(&second.start, "a second YAML document in one file")
            .help("keep one document per file, without further `---` lines"));
    }
    // There is always one.
    first
        .map(|document| document.root)
        .ok_or_else(|| Diagnostic::new("no YAML"))
}

/// One of a file's documents.
pub struct Document {
    /// Its `---`.
    start: Span,
    /// What it holds.
    pub root: Node,
}

/// Reads every document of a file; an empty file has one, which is null.
pub fn parse_all(source: Arc<Source>) -> Result<Vec<Document>, Diagnostic> {
    let reader = source.clone();
    Builder::new(&reader).documents()
}

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    source: &'a Arc<Source>,
    anchors: HashMap<usize, Anchored>,
    cost: usize,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    cost: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        let parser = Parser::new_from_str_with_options(&source.text, options);
        Self {
            parser,
            source,
            anchors: HashMap::new(),
            cost: 0,
        }
    }

    fn documents(mut self) -> Result<Vec<Document>, Diagnostic> {
        let mut documents = Vec::new();
        let mut start = self.span(0..0);
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => start = span,
                event => {
                    let root = self.node(event, span, 0)?;
                    documents.push(Document {
                        start: start.clone(),
                        root,
                    });
                }
            }
        }
        if documents.is_empty() {
            let root = Node::new(Value::Null, start.clone());
            documents.push(Document { start, root });
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or_default();
                Ok((event, self.span(range)))
            }
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or_default();
                let message = format!("not valid YAML: {}", error.info());
                Err(Diagnostic::at(&self.span(at..at), message))
            }
            None => Ok((Event::StreamEnd, self.span(0..0))),
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span {
            source: self.source.clone(),
            range,
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::at(&span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.cost;
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, &span),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(text.len(), &span)?;
                (anchor, scalar(&text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.spend(0, &span)?;
                (
                    anchor,
                    self.sequence(custom(tag.as_deref(), "seq", &span)?, span, depth)?,
                )
            }
            Event::MappingStart(_, anchor, tag) => {
                self.spend(0, &span)?;
                (
                    anchor,
                    self.mapping(custom(tag.as_deref(), "map", &span)?, span, depth)?,
                )
            }
            other => return Err(Diagnostic::at(&span, format!("unexpected YAML: {other:?}"))),
        };
        if anchor != 0 {
            let cost = self.cost - before;
            // The copy that waits for aliases is paid for too, or nested anchors would multiply for free.
            self.spend(cost, &node.span)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    cost,
                },
            );
        }
        Ok(node)
    }

    /// Every node is paid for, those that an alias repeats too: an alias bomb ends here.
    fn spend(&mut self, bytes: usize, span: &Span) -> Result<(), Diagnostic> {
        self.cost = self.cost.saturating_add(bytes).saturating_add(NODE_COST);
        if self.cost > MAX_COST {
            return Err(Diagnostic::at(
                span,
                "the document is too large once its aliases are expanded",
            ));
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, Diagnostic> {
        let Some(cost) = self.anchors.get(&id).map(|anchored| anchored.cost) else {
            return Err(Diagnostic::at(span, "this alias stands inside its own anchor"));
        };
        self.spend(cost, span)?;
        Ok(self.anchors[&id].node.clone())
    }

    fn sequence(&mut self, tag: Option<String>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut items = Vec::new();
        loop {
            let (event, item_span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let span = joined(&span, &item_span);
                return Ok(Node {
                    value: Value::Seq(items),
                    raw: None,
                    tag,
                    span,
                });
            }
            items.push(self.node(event, item_span, depth + 1)?);
        }
    }

    fn mapping(&mut self, tag: Option<String>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut mapping = Mapping::default();
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let span = joined(&span, &key_span);
                let value = Value::Map(mapping.finish()?);
                return Ok(Node {
                    value,
                    raw: None,
                    tag,
                    span,
                });
            }
            let key = self.node(event, key_span.clone(), depth + 1)?;
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, depth + 1)?;
            mapping.add(key, key_span, node)?;
        }
    }
}

/// From the start of a collection to its end, without the blank lines and comments that follow.
fn joined(start: &Span, end: &Span) -> Span {
    let range = start.range.start..end.range.end.max(start.range.end);
    let text = start.source.text.get(range.clone()).unwrap_or_default();
    let length = text.trim_end().len();
    Span {
        source: start.source.clone(),
        range: range.start..range.start + length,
    }
}

/// The entries of a mapping while it is read, with the `<<` that wait for its end.
#[derive(Default)]
struct Mapping {
    entries: Vec<Entry>,
    seen: HashMap<String, usize>,
    merges: Vec<Node>,
}

impl Mapping {
    fn add(&mut self, key: Node, key_span: Span, node: Node) -> Result<(), Diagnostic> {
        if key.raw.as_deref() == Some("<<") {
            self.merges.push(node);
            return Ok(());
        }
        let Some(key) = key.as_text() else {
            return Err(Diagnostic::at(
                &key_span,
                format!("{} cannot be a key", key.kind_name()),
            ));
        };
        if let Some(first) = self.seen.get(&key) {
            let (line, _) = self.entries[*first].key_span.line_column();
            return Err(Diagnostic::at(&key_span, format!("the key `{key}` stands here twice"))
                .help(format!("it was given before on line {line}: keep one of the two")));
        }
        self.seen.insert(key.clone(), self.entries.len());
        self.entries.push(Entry { key, key_span, node });
        Ok(())
    }

    /// Merged keys come last and never replace a key that is there; of several, the first wins.
    fn finish(mut self) -> Result<Vec<Entry>, Diagnostic> {
        for merge in std::mem::take(&mut self.merges) {
            match merge.value {
                Value::Seq(items) => {
                    for item in items {
                        self.merge(item)?;
                    }
                }
                _ => self.merge(merge)?,
            }
        }
        Ok(self.entries)
    }

    fn merge(&mut self, node: Node) -> Result<(), Diagnostic> {
        let Value::Map(entries) = node.value else {
            return Err(node.expected("a mapping, or a list of mappings, after `<<`"));
        };
        for entry in entries {
            if !self.seen.contains_key(&entry.key) {
                self.seen.insert(entry.key.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Node, Diagnostic> {
    let plain = matches!(style, ScalarStyle::Plain);
    let value = match tag.and_then(|tag| tag.core_suffix()) {
        Some("str") => Value::Str(text.to_owned()),
        Some(kind @ ("null" | "bool" | "int" | "float")) => typed_as(kind, text, &span)?,
        Some(other) => {
            return Err(Diagnostic::at(
                &span,
                format!("the YAML tag `!!{other}` has no use here"),
            ));
        }
        None if plain => resolve(text),
        None => Value::Str(text.to_owned()),
    };
    let forced = tag.is_some_and(|tag| tag.core_suffix().is_some());
    let raw = (plain && !forced).then(|| text.to_owned());
    Ok(Node {
        value,
        raw,
        tag: tag.and_then(local_name),
        span,
    })
}

fn typed_as(kind: &str, text: &str, span: &Span) -> Result<Value, Diagnostic> {
    let value = resolve(text);
    let matches = match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "bool",
        Value::Int(_) => kind == "int" || kind == "float",
        Value::Float(_) => kind == "float",
        _ => false,
    };
    if !matches {
        return Err(Diagnostic::at(span, format!("`{text}` is not what `!!{kind}` says")));
    }
    Ok(value)
}

/// The tag of a collection: YAML's own for that kind says nothing, another of YAML's own is wrong.
fn custom(tag: Option<&Tag>, own: &str, span: &Span) -> Result<Option<String>, Diagnostic> {
    match tag.and_then(|tag| tag.core_suffix()) {
        Some(suffix) if suffix != own => Err(Diagnostic::at(
            span,
            format!("the YAML tag `!!{suffix}` has no use here"),
        )),
        _ => Ok(tag.and_then(local_name)),
    }
}

/// The tag as a user writes it; none for YAML's own.
fn local_name(tag: &Tag) -> Option<String> {
    match tag.core_suffix() {
        Some(_) => None,
        None => Some(format!("{}{}", tag.original_handle(), tag.suffix())),
    }
}

/// The core schema of YAML 1.2: what an unquoted word means.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Value::Float(sign * f64::INFINITY);
    }
    integer(text, digits)
        .or_else(|| float(text, digits))
        .unwrap_or_else(|| Value::Str(text.to_owned()))
}

fn integer(text: &str, digits: &str) -> Option<Value> {
    let number = if let Some(hex) = text.strip_prefix("0x") {
        hex.chars()
            .all(|c| c.is_ascii_hexdigit())
            .then(|| i64::from_str_radix(hex, 16))
    } else if let Some(octal) = text.strip_prefix("0o") {
        octal
            .chars()
            .all(|c| c.is_digit(8))
            .then(|| i64::from_str_radix(octal, 8))
    } else {
        let decimal = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        decimal.then(|| text.parse())
    };
    // What is too large for an integer goes on as a float.
    Some(Value::Int(number?.ok()?))
}

fn float(text: &str, digits: &str) -> Option<Value> {
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !numeric {
        return None;
    }
    // What is too large for a float is text, as for Compose.
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn read(text: &str) -> Result<Node, Diagnostic> {
        parse(Arc::new(Source {
            path: PathBuf::from("test.yaml"),
            text: text.to_owned(),
        }))
    }

    fn good(text: &str) -> Node {
        read(text).expect(text)
    }

    fn bad(text: &str) -> String {
        read(text).expect_err(text).to_string()
    }

    #[test]
    fn an_empty_file_is_null() {
        assert!(good("").is_null());
        assert!(good("# only a comment\n").is_null());
    }

    #[test]
    fn plain_scalars_are_typed_by_the_core_schema() {
        let node = good("[~, yes, true, 12, 0o14, 0x1F, 1.10, 1e3, -.inf, 1.2.3, 12h, 0440, 1_0]");
        let kinds: Vec<_> = node
            .as_seq()
            .expect("list")
            .iter()
            .map(|n| format!("{:?}", n.value))
            .collect();
        let expected = [
            "Null",
            "Str(\"yes\")",
            "Bool(true)",
            "Int(12)",
            "Int(12)",
            "Int(31)",
            "Float(1.1)",
            "Float(1000.0)",
            "Float(-inf)",
            "Str(\"1.2.3\")",
            "Str(\"12h\")",
            "Int(440)",
            "Str(\"1_0\")",
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn the_raw_text_of_a_number_is_kept() {
        let node = good("tag: 1.10\nquoted: '1.10'");
        assert_eq!(node.get("tag").and_then(Node::as_text).as_deref(), Some("1.10"));
        assert_eq!(node.get("quoted").and_then(Node::as_str), Some("1.10"));
    }

    #[test]
    fn tags_that_are_not_yamls_own_are_kept() {
        let node = good("a: !reset null\nb: !override [x]\nc: !!str 12");
        assert_eq!(node.get("a").and_then(|n| n.tag.as_deref()), Some("!reset"));
        assert_eq!(node.get("b").and_then(|n| n.tag.as_deref()), Some("!override"));
        assert_eq!(node.get("c").and_then(Node::as_str), Some("12"));
    }

    #[test]
    fn merge_keys_take_one_mapping_or_a_list_and_never_replace() {
        let node = good("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}");
        let z = node.get("z").expect("z");
        let found: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|k| z.get(k).and_then(Node::as_int))
            .collect();
        assert_eq!(found, [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_key_given_twice_is_refused_with_the_first_place() {
        let report = bad("a: 1\nb: 2\na: 3\n");
        assert!(report.contains("test.yaml:3:1"), "{report}");
        assert!(report.contains("on line 1"), "{report}");
    }

    #[test]
    fn a_second_document_is_refused_where_there_is_one() {
        let report = bad("a: 1\n---\nb: 2\n");
        assert!(
            report.contains("second YAML document") && report.contains("test.yaml:2:1"),
            "{report}"
        );
    }

    #[test]
    fn broken_yaml_is_reported_with_its_place() {
        let report = bad("a: [1, 2\nb: 3\n");
        assert!(report.contains("not valid YAML"), "{report}");
        assert!(report.contains("--> test.yaml:"), "{report}");
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(bad(&bomb).contains("too large"));
        let items = "x, ".repeat(20_000);
        let anchors: String = (0..90).map(|level| format!("&a{level} [")).collect();
        assert!(bad(&format!("{anchors}{items}{}", "]".repeat(90))).contains("too large"));
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(bad(&deep).contains("nested"), "{}", bad(&deep));
    }

    #[test]
    fn spans_count_characters_and_point_at_the_value() {
        let node = good("ключ: значение\n");
        let span = &node.get("ключ").expect("key").span;
        assert_eq!(span.line_column(), (1, 7));
        assert_eq!(span.text(), "значение");
    }
}
