//! `{{name}}` in a step's texts. What only looks like it (`{{"a": 1}}`) stays as written.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::settings::Matcher;

/// A step uses a value that no step has captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing(pub String);

/// The values at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Captured so far.
    pub values: &'a BTreeMap<String, String>,
    /// `{{run}}`; no capture replaces it.
    pub run: &'a str,
}

impl Scope<'_> {
    /// A text with its names filled in.
    pub fn text(&self, text: &str) -> Result<String, Missing> {
        self.fill(text, str::to_owned)
    }

    /// An expression: what is filled in stands for itself and not for an expression.
    pub fn pattern(&self, pattern: &str) -> Result<String, Missing> {
        self.fill(pattern, regex::escape)
    }

    /// Names and values, in order.
    pub fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, Missing> {
        pairs
            .iter()
            .map(|(name, value)| Ok((self.text(name)?, self.text(value)?)))
            .collect()
    }

    /// A JSON value: every string in it is filled in, and stays a string.
    pub fn json(&self, value: &Value) -> Result<Value, Missing> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let filled = members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.json(value)?)));
                Value::Object(filled.collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    /// An expectation.
    pub fn matcher(&self, matcher: &Matcher) -> Result<Matcher, Missing> {
        Ok(match matcher {
            Matcher::Equals(value) => Matcher::Equals(self.json(value)?),
            Matcher::Contains(value) => Matcher::Contains(self.json(value)?),
            Matcher::Matches(pattern) => Matcher::Matches(self.pattern(pattern)?),
            Matcher::Not(inner) => Matcher::Not(Box::new(self.matcher(inner)?)),
            Matcher::Exists(wanted) => Matcher::Exists(*wanted),
            Matcher::All(all) => Matcher::All(all.iter().map(|one| self.matcher(one)).collect::<Result<_, _>>()?),
        })
    }

    fn fill(&self, text: &str, write: impl Fn(&str) -> String) -> Result<String, Missing> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let (before, after) = rest.split_at(open);
            filled += before;
            match named(after) {
                Some((name, end)) => {
                    filled += &write(self.value(name)?);
                    rest = &after[end..];
                }
                None => {
                    // One brace on: `{{{name}}}` holds a name, too.
                    filled.push('{');
                    rest = &after[1..];
                }
            }
        }
        Ok(filled + rest)
    }

    fn value(&self, name: &str) -> Result<&str, Missing> {
        if name == "run" {
            return Ok(self.run);
        }
        self.values
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Missing(name.to_owned()))
    }
}

/// The name of `{{name}}` at the beginning of a text, and where it ends.
fn named(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix("{{")?;
    let close = inside.find("}}")?;
    let name = inside[..close].trim();
    let first = name.chars().next()?;
    let is_name = (first.is_alphabetic() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    is_name.then_some((name, close + 4))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(text: &str) -> Result<String, Missing> {
        let values = BTreeMap::from([
            ("id".to_owned(), "4.2".to_owned()),
            ("run".to_owned(), "captured".to_owned()),
        ]);
        Scope {
            values: &values,
            run: "k7",
        }
        .text(text)
    }

    #[test]
    fn names_are_filled_in_wherever_they_stand() {
        assert_eq!(
            filled("/items/{{id}}/{{ run }}?x={{{id}}}").unwrap(),
            "/items/4.2/k7?x={4.2}"
        );
    }

    #[test]
    fn what_only_looks_like_a_name_stays() {
        for text in [r#"{{"a": 1}}"#, "{{", "a{{2}}", "{{}}", "{{ a b }}"] {
            assert_eq!(filled(text).unwrap(), text);
        }
    }

    #[test]
    fn a_missing_capture_is_named() {
        assert_eq!(filled("a{{token}}"), Err(Missing("token".to_owned())));
    }

    #[test]
    fn a_whole_string_stays_a_string() {
        let values = BTreeMap::from([("id".to_owned(), "1".to_owned())]);
        let scope = Scope {
            values: &values,
            run: "",
        };
        assert_eq!(
            scope.json(&json!({"a": ["{{id}}", 1]})).unwrap(),
            json!({"a": ["1", 1]})
        );
    }

    #[test]
    fn what_is_filled_into_an_expression_stands_for_itself() {
        let values = BTreeMap::from([("id".to_owned(), "4.2".to_owned())]);
        let scope = Scope {
            values: &values,
            run: "",
        };
        let filled = scope
            .matcher(&Matcher::Not(Box::new(Matcher::Matches("^{{id}}$".to_owned()))))
            .unwrap();
        assert!(matches!(filled, Matcher::Not(inner) if matches!(&*inner, Matcher::Matches(p) if p == "^4\\.2$")));
    }
}
