//! Comparison: whether what came back is what a step expects, and the words for it where it is not.
//!
//! - JSON numbers are compared by value (`1` is `1.0`), nothing is coerced between types, `null` is something.
//! - Texts (bodies, headers, output) are compared after trimming. A text has no types: an expected number or
//!   boolean is its text there.
//! - A JSONPath that can lead to several nodes: every node must be as expected; `contains` asks whether one of them
//!   is (or contains) the value; an expected array is the list of the nodes; `not` turns each of these around.
//! - Nothing there equals nothing, matches nothing and contains nothing; so `not` holds for it.

use regex::{Regex, RegexBuilder};
use serde_json::{Number, Value};
use serde_json_path::JsonPath;

use super::words::{self, IN_MESSAGE, quoted};
use crate::config::settings::{Matcher, StatusPattern};

/// A compiled expression takes no more memory than this: it may hold captured, hence foreign, text.
const REGEX_LIMIT: usize = 4 << 20;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A body or an output: always there, but something only where it is not blank.
    Text(&'a str),
    /// All headers of a name: none, one or several. One that fits is enough.
    Texts(&'a [&'a str]),
    /// The one node that a JSONPath can lead to, if it is there.
    Node(Option<&'a Value>),
    /// The nodes of a JSONPath that may lead to several.
    Nodes(&'a [&'a Value]),
}

/// Nothing where the expectation holds, else `expected …, received …`.
///
/// # Errors
/// The expectation itself cannot be decided: its expression does not compile. Never a pass, not under `not` either.
pub(super) fn check(matcher: &Matcher, subject: Subject<'_>) -> Result<(), String> {
    if holds(matcher, subject)? {
        return Ok(());
    }
    Err(format!(
        "expected {}, received {}",
        expected(matcher),
        received(subject)
    ))
}

fn holds(matcher: &Matcher, subject: Subject<'_>) -> Result<bool, String> {
    match (matcher, subject) {
        (Matcher::All(all), _) => each(all.iter(), |inner| holds(inner, subject)),
        (Matcher::Exists(wanted), _) => Ok(is_there(subject) == *wanted),
        (Matcher::Not(inner), Subject::Nodes(nodes)) if !is_about_the_list(inner) => {
            each(nodes.iter(), |node| Ok(!holds(inner, Subject::Node(Some(node)))?))
        }
        (Matcher::Not(inner), _) => Ok(!holds(inner, subject)?),
        (_, Subject::Text(text)) => holds(matcher, Subject::Texts(&[text])),
        (Matcher::Equals(value), Subject::Texts(texts)) => {
            let wanted = as_text(value);
            Ok(texts.iter().any(|text| text.trim() == wanted.trim()))
        }
        (Matcher::Contains(value), Subject::Texts(texts)) => {
            let wanted = as_text(value);
            Ok(texts.iter().any(|text| text.contains(&wanted)))
        }
        (Matcher::Matches(pattern), Subject::Texts(texts)) => {
            let regex = compile(pattern)?;
            Ok(texts.iter().any(|text| regex.is_match(text.trim())))
        }
        (Matcher::Equals(value), Subject::Node(node)) => Ok(node.is_some_and(|node| same(value, node))),
        (Matcher::Contains(value), Subject::Node(node)) => Ok(node.is_some_and(|node| contains(node, value))),
        (Matcher::Matches(pattern), Subject::Node(node)) => {
            let regex = compile(pattern)?;
            Ok(node.and_then(Value::as_str).is_some_and(|text| regex.is_match(text)))
        }
        (Matcher::Equals(Value::Array(list)), Subject::Nodes(nodes)) if same_list(list, nodes) => Ok(true),
        (Matcher::Contains(value), Subject::Nodes(nodes)) => {
            Ok(nodes.iter().any(|node| same(value, node) || contains(node, value)))
        }
        (Matcher::Equals(_) | Matcher::Matches(_), Subject::Nodes(nodes)) => {
            let all = each(nodes.iter(), |node| holds(matcher, Subject::Node(Some(node))))?;
            Ok(all && !nodes.is_empty())
        }
    }
}

/// Whether an expectation on several nodes is about their list and not about each of them.
fn is_about_the_list(matcher: &Matcher) -> bool {
    matches!(
        matcher,
        Matcher::Contains(_) | Matcher::Exists(_) | Matcher::Equals(Value::Array(_))
    )
}

fn each<T>(items: impl Iterator<Item = T>, mut holds: impl FnMut(T) -> Result<bool, String>) -> Result<bool, String> {
    let mut all = true;
    for item in items {
        // No short cut: an expression that does not compile is found wherever it stands.
        all &= holds(item)?;
    }
    Ok(all)
}

fn is_there(subject: Subject<'_>) -> bool {
    match subject {
        Subject::Text(text) => !text.trim().is_empty(),
        Subject::Texts(texts) => !texts.is_empty(),
        Subject::Node(node) => node.is_some(),
        Subject::Nodes(nodes) => !nodes.is_empty(),
    }
}

/// JSON equality: numbers by value, objects in any order, nothing coerced.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |key: &String, value| other.get(key).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(|(key, value)| has(key, value))
        }
        _ => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}

fn same_list(list: &[Value], nodes: &[&Value]) -> bool {
    list.len() == nodes.len() && list.iter().zip(nodes).all(|(wanted, node)| same(wanted, node))
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (Value::Array(whole), part) => whole.iter().any(|item| same(item, part)),
        _ => false,
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An expression, compiled within bounds.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_LIMIT).build();
    regex.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim();
        format!("the expression {} does not compile: {why}", quoted(pattern, IN_MESSAGE))
    })
}

/// Group 1 of the first match, else the whole match.
pub(super) fn capture(pattern: &str, text: &str) -> Result<Option<String>, String> {
    let regex = compile(pattern)?;
    let found = regex
        .captures(text)
        .and_then(|groups| groups.get(1).or_else(|| groups.get(0)));
    Ok(found.map(|found| found.as_str().to_owned()))
}

/// The nodes that a JSONPath leads to, in document order.
pub(super) fn nodes<'a>(path: &str, document: &'a Value) -> Result<Vec<&'a Value>, String> {
    let parsed = JsonPath::parse(path)
        .map_err(|error| format!("{} is not a JSONPath (RFC 9535): {error}", quoted(path, IN_MESSAGE)))?;
    Ok(parsed.query(document).all())
}

/// Whether a JSONPath leads to one node at most: it names members and indices only.
pub(super) fn is_singular(path: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    let mut before = ' ';
    for letter in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if "*?:,".contains(letter) || (letter == '.' && before == '.') => return false,
            None => {}
        }
        before = letter;
    }
    true
}

/// Nothing where one of the patterns fits (none given: any 2xx), else `expected status …, received …`.
pub(super) fn check_status(patterns: &[StatusPattern], status: u16) -> Result<(), String> {
    let default = [StatusPattern::Class(2)];
    let patterns = if patterns.is_empty() { &default } else { patterns };
    let fits = |pattern: &StatusPattern| match pattern {
        StatusPattern::Exact(wanted) => *wanted == status,
        StatusPattern::Class(class) => u16::from(*class) == status / 100,
    };
    if patterns.iter().any(fits) {
        return Ok(());
    }
    let wanted: Vec<_> = patterns.iter().map(pattern_words).collect();
    Err(format!("expected status {}, received {status}", wanted.join(" or ")))
}

fn pattern_words(pattern: &StatusPattern) -> String {
    match pattern {
        StatusPattern::Exact(status) => status.to_string(),
        StatusPattern::Class(class) => format!("{class}xx"),
    }
}

fn expected(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Equals(value) => words::json(value),
        Matcher::Contains(value) => format!("something that contains {}", words::json(value)),
        Matcher::Matches(pattern) => format!("a match of {}", quoted(pattern, IN_MESSAGE)),
        Matcher::Not(inner) => format!("anything but {}", expected(inner)),
        Matcher::Exists(true) => "something".to_owned(),
        Matcher::Exists(false) => "nothing".to_owned(),
        Matcher::All(all) => all.iter().map(expected).collect::<Vec<_>>().join(" and "),
    }
}

fn received(subject: Subject<'_>) -> String {
    match subject {
        Subject::Text(text) => quoted(text.trim(), IN_MESSAGE),
        Subject::Texts([]) | Subject::Node(None) | Subject::Nodes([]) => "nothing".to_owned(),
        Subject::Texts(texts) => {
            let shown: Vec<_> = texts
                .iter()
                .take(5)
                .map(|text| quoted(text.trim(), IN_MESSAGE))
                .collect();
            shown.join(" and ")
        }
        Subject::Node(Some(node)) => words::json(node),
        Subject::Nodes(nodes) => {
            let shown: Vec<_> = nodes.iter().take(5).map(|node| words::json(node)).collect();
            let more = if nodes.len() > 5 {
                format!(" and {} more nodes", nodes.len() - 5)
            } else {
                String::new()
            };
            format!("{}{more}", shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn equals(value: Value) -> Matcher {
        Matcher::Equals(value)
    }

    fn not(inner: Matcher) -> Matcher {
        Matcher::Not(Box::new(inner))
    }

    fn on_path(matcher: &Matcher, path: &str, document: &Value) -> bool {
        let found = nodes(path, document).unwrap();
        let subject = if is_singular(path) {
            Subject::Node(found.first().copied())
        } else {
            Subject::Nodes(&found)
        };
        check(matcher, subject).is_ok()
    }

    #[test]
    fn numbers_are_equal_by_value() {
        for (one, other) in [
            (json!(1), json!(1.0)),
            (json!(-0.0), json!(0)),
            (json!(u64::MAX), json!(u64::MAX)),
        ] {
            assert!(on_path(&equals(one), "$", &other), "{other}");
        }
        assert!(!on_path(
            &equals(json!(9007199254740993u64)),
            "$",
            &json!(9007199254740992u64)
        ));
        assert!(on_path(&equals(json!({"a": [1]})), "$", &json!({"a": [1.0]})));
    }

    #[test]
    fn nothing_is_coerced_between_types() {
        for (one, other) in [
            (json!("1"), json!(1)),
            (json!(true), json!("true")),
            (json!(null), json!("")),
            (json!([1]), json!(1)),
        ] {
            assert!(!on_path(&equals(one.clone()), "$", &other), "{one} {other}");
            assert!(!on_path(&equals(other.clone()), "$", &one), "{other} {one}");
        }
        assert!(!on_path(&Matcher::Matches("1".to_owned()), "$", &json!(1)));
    }

    #[test]
    fn null_is_something_and_no_node_is_nothing() {
        let document = json!({"here": null});
        assert!(on_path(&Matcher::Exists(true), "$.here", &document));
        assert!(on_path(&equals(json!(null)), "$.here", &document));
        assert!(on_path(&Matcher::Exists(false), "$.gone", &document));
        assert!(!on_path(&equals(json!(null)), "$.gone", &document));
        assert!(on_path(&not(equals(json!(1))), "$.gone", &document));
    }

    #[test]
    fn every_one_of_several_nodes_must_be_as_expected() {
        let document = json!({"items": [{"id": 1, "s": "on"}, {"id": 2, "s": "on"}]});
        assert!(on_path(&equals(json!("on")), "$.items[*].s", &document));
        assert!(!on_path(&equals(json!(1)), "$.items[*].id", &document));
        assert!(!on_path(&not(equals(json!(1))), "$.items[*].id", &document));
        assert!(on_path(&not(equals(json!(3))), "$.items[*].id", &document));
        assert!(on_path(&equals(json!([1, 2])), "$.items[*].id", &document));
        assert!(on_path(&Matcher::Contains(json!(2)), "$..id", &document));
        assert!(!on_path(&not(Matcher::Contains(json!(2))), "$..id", &document));
        assert!(!on_path(&equals(json!("on")), "$.none[*]", &document));
    }

    #[test]
    fn contains_asks_strings_and_arrays() {
        assert!(on_path(&Matcher::Contains(json!("b")), "$", &json!("abc")));
        assert!(on_path(&Matcher::Contains(json!(2.0)), "$", &json!([1, 2])));
        assert!(!on_path(&Matcher::Contains(json!("a")), "$", &json!({"a": 1})));
    }

    #[test]
    fn texts_are_compared_after_trimming() {
        let text = Subject::Text("3\n");
        assert!(check(&equals(json!("3")), text).is_ok());
        assert!(check(&equals(json!(3)), text).is_ok());
        assert!(check(&Matcher::Matches("^3$".to_owned()), text).is_ok());
        let error = check(&equals(json!("4")), text).unwrap_err();
        assert_eq!(error, "expected the text `4`, received `3`");
    }

    #[test]
    fn a_blank_text_is_nothing_and_equals_the_empty_text() {
        assert!(check(&Matcher::Exists(true), Subject::Text(" \n")).is_err());
        assert!(check(&equals(json!("")), Subject::Text(" \n")).is_ok());
        assert!(check(&Matcher::Exists(true), Subject::Texts(&[""])).is_ok());
    }

    #[test]
    fn an_expression_that_does_not_compile_never_passes() {
        let bad = Matcher::Matches("(".to_owned());
        for matcher in [
            bad.clone(),
            not(bad.clone()),
            Matcher::All(vec![Matcher::Exists(false), bad]),
        ] {
            assert!(
                check(&matcher, Subject::Texts(&["x"]))
                    .unwrap_err()
                    .contains("does not compile")
            );
        }
    }

    #[test]
    fn singular_paths_are_told_from_others() {
        for path in ["$", "$.a.b[0]", "$['a*b']['x..y']", "$[\"a,\\\"b\"]"] {
            assert!(is_singular(path), "{path}");
        }
        for path in ["$.*", "$..a", "$[0,1]", "$[1:2]", "$[?@.a == 1]"] {
            assert!(!is_singular(path), "{path}");
        }
    }

    #[test]
    fn a_capture_takes_group_one_else_the_whole_match() {
        assert_eq!(capture("id=(\\d+)", "id=42").unwrap().as_deref(), Some("42"));
        assert_eq!(capture("\\d+", "id=42").unwrap().as_deref(), Some("42"));
        assert_eq!(capture("x", "id=42").unwrap(), None);
    }

    #[test]
    fn any_2xx_is_the_default_status() {
        assert!(check_status(&[], 204).is_ok());
        assert_eq!(check_status(&[], 302).unwrap_err(), "expected status 2xx, received 302");
        let both = [StatusPattern::Exact(401), StatusPattern::Class(3)];
        assert_eq!(
            check_status(&both, 200).unwrap_err(),
            "expected status 401 or 3xx, received 200"
        );
    }
}
