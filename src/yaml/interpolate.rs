//! `$VAR` in values: Compose's operators, and Rehearsal's own stricter dialect.
//!
//! | written | Compose | Rehearsal |
//! |---|---|---|
//! | `$VAR` | the value | stands for itself |
//! | `${VAR}` | the value, blank when unset | the same |
//! | `${VAR:-x}` | `x` when unset or blank | the same |
//! | `${VAR-x}`, `${VAR:?m}`, `${VAR?m}`, `${VAR:+x}`, `${VAR+x}` | as in a shell | an error |
//! | `$$` | a `$` | stands for itself, but `$${` is a literal `${` |
//! | any other `$` | stands for itself | the same |

use std::collections::BTreeSet;

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Node, Value};

/// Defaults may nest; nobody nests them this deep.
const MAX_NESTING: usize = 32;

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Those of compose files and of the env files that Compose reads.
    Compose,
    /// Those of `rehearsal.yaml`.
    Rehearsal,
}

/// A text with its variables replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpolated {
    /// The text.
    pub text: String,
    /// Variables that were blank because nothing set them and nothing stood in.
    pub unset: BTreeSet<String>,
}

/// Replaces the variables of `text`, which `lookup` knows. The error is a message without a place.
pub fn interpolate(
    text: &str,
    dialect: Dialect,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Interpolated, String> {
    replaced(text, dialect, lookup).map_err(|refusal| refusal.message)
}

/// Why a text cannot be taken.
struct Refusal {
    message: String,
    /// The variable that must be set and is not.
    required: Option<String>,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self {
            message,
            required: None,
        }
    }
}

fn replaced(text: &str, dialect: Dialect, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Interpolated, Refusal> {
    let mut interpolation = Interpolation {
        dialect,
        lookup,
        unset: BTreeSet::new(),
    };
    let text = interpolation.text(text, 0)?;
    Ok(Interpolated {
        text,
        unset: interpolation.unset,
    })
}

/// The variables that are blank in the string values below `node`, because nothing sets them and nothing stands in.
pub fn unset_in(node: &Node, dialect: Dialect, lookup: &dyn Fn(&str) -> Option<String>) -> BTreeSet<String> {
    match &node.value {
        Value::Str(text) if text.contains('$') => {
            let done = replaced(text, dialect, lookup);
            done.map(|done| done.unset).unwrap_or_default()
        }
        Value::Seq(items) => items.iter().flat_map(|item| unset_in(item, dialect, lookup)).collect(),
        Value::Map(entries) => {
            let values = entries.iter().map(|entry| &entry.node);
            values.flat_map(|node| unset_in(node, dialect, lookup)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Replaces the variables in every string value below `node`, not in keys. Returns a warning for
/// each value in which an unset variable became blank.
///
/// A plain scalar is still a string afterwards. In Rehearsal's dialect it keeps its new text in `raw`: what it means is
/// for the reader to say, who knows whether a number is wanted (see [`super::tree::resolve`]).
pub fn interpolate_tree(
    node: &mut Node,
    dialect: Dialect,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let mut warnings = Vec::new();
    walk(node, dialect, lookup, &mut warnings)?;
    Ok(warnings)
}

fn walk(
    node: &mut Node,
    dialect: Dialect,
    lookup: &dyn Fn(&str) -> Option<String>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostic> {
    match &mut node.value {
        Value::Str(text) if text.contains('$') => {
            let done = replaced(text, dialect, lookup).map_err(|refusal| Diagnostic {
                required: refusal.required,
                ..Diagnostic::at(&node.span, refusal.message)
            })?;
            for name in &done.unset {
                let message = format!("the variable `{name}` is not set: it is blank here");
                warnings.push(Diagnostic::at(&node.span, message));
            }
            // Compose takes the result for a string, whatever it looks like.
            let retyped = node.raw.is_some() && dialect == Dialect::Rehearsal;
            node.raw = retyped.then(|| done.text.clone());
            *text = done.text;
        }
        Value::Seq(items) => {
            for item in items {
                walk(item, dialect, lookup, warnings)?;
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                walk(&mut entry.node, dialect, lookup, warnings)?;
            }
        }
        _ => {}
    }
    Ok(())
}

struct Interpolation<'a> {
    dialect: Dialect,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    unset: BTreeSet<String>,
}

impl Interpolation<'_> {
    fn text(&mut self, text: &str, depth: usize) -> Result<String, Refusal> {
        if depth > MAX_NESTING {
            return Err(format!("defaults nested deeper than {MAX_NESTING} levels").into());
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = self.variable(&rest[at..], &mut out, depth)?;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Reads what starts with the `$` of `rest`, writes its value, returns what follows.
    fn variable<'t>(&mut self, rest: &'t str, out: &mut String, depth: usize) -> Result<&'t str, Refusal> {
        let compose = self.dialect == Dialect::Compose;
        if !compose && let Some(after) = rest.strip_prefix("$${") {
            out.push_str("${");
            return Ok(after);
        }
        if compose && let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            return Ok(after);
        }
        if let Some(after) = rest.strip_prefix("${") {
            let Some(end) = closing_brace(after) else {
                return Err(format!("`{rest}` lacks its closing `}}`").into());
            };
            out.push_str(&self.braced(&after[..end], depth)?);
            return Ok(&after[end + 1..]);
        }
        let name = name_length(&rest[1..]);
        if !compose || name == 0 {
            out.push('$');
            return Ok(&rest[1..]);
        }
        out.push_str(&self.value(&rest[1..=name]));
        Ok(&rest[1 + name..])
    }

    fn braced(&mut self, inner: &str, depth: usize) -> Result<String, Refusal> {
        let (name, operation) = inner.split_at(name_length(inner));
        if name.is_empty() {
            return Err(format!("`${{{inner}}}` does not name a variable").into());
        }
        if operation.is_empty() {
            return Ok(self.value(name));
        }
        let (operator, word) = operator(operation).ok_or_else(|| unknown_operator(inner))?;
        if self.dialect == Dialect::Rehearsal && operator != ":-" {
            return Err(format!("`${{{inner}}}`: only `${{VAR}}` and `${{VAR:-default}}` are known here").into());
        }
        self.operate(name, operator, word, depth)
    }

    /// The word is replaced before it is known whether it is needed, as Compose does: a required
    /// variable inside an unused default is still required.
    fn operate(&mut self, name: &str, operator: &str, word: &str, depth: usize) -> Result<String, Refusal> {
        let unset_before = self.unset.clone();
        let word = self.text(word, depth + 1)?;
        let value = (self.lookup)(name);
        let given = match operator.starts_with(':') {
            true => value.as_ref().is_some_and(|value| !value.is_empty()),
            false => value.is_some(),
        };
        let uses_word = given == operator.ends_with('+');
        if !uses_word {
            self.unset = unset_before;
        }
        match operator.trim_start_matches(':') {
            "?" if !given => Err(required(name, &word)),
            "?" => Ok(value.unwrap_or_default()),
            _ if uses_word => Ok(word),
            _ => Ok(value.unwrap_or_default()),
        }
    }

    fn value(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }
}

fn required(name: &str, word: &str) -> Refusal {
    let why = if word.is_empty() {
        String::new()
    } else {
        format!(": {word}")
    };
    Refusal {
        message: format!("the variable `{name}` is required{why}"),
        required: Some(name.to_owned()),
    }
}

fn unknown_operator(inner: &str) -> String {
    format!("`${{{inner}}}`: after the name stands one of `:-` `-` `:?` `?` `:+` `+`")
}

fn operator(operation: &str) -> Option<(&str, &str)> {
    [":-", ":?", ":+", "-", "?", "+"]
        .into_iter()
        .find_map(|operator| Some((operator, operation.strip_prefix(operator)?)))
}

fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(first) if first.is_ascii_alphabetic() || *first == b'_' => bytes
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .unwrap_or(bytes.len()),
        _ => 0,
    }
}

/// Where the `}` stands that closes the brace before `text`; inner `${…}` are skipped.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 1;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn compose(text: &str) -> Result<String, String> {
        interpolate(text, Dialect::Compose, &lookup).map(|done| done.text)
    }

    fn rehearsal(text: &str) -> Result<String, String> {
        interpolate(text, Dialect::Rehearsal, &lookup).map(|done| done.text)
    }

    #[test]
    fn composes_operators_work_as_in_a_shell() {
        for (text, expected) in [
            ("a $SET b", "a value b"),
            ("${SET}", "value"),
            ("$SET-x", "value-x"),
            ("[${UNSET}]", "[]"),
            ("${UNSET:-x}${EMPTY:-y}${SET:-z}", "xyvalue"),
            ("${UNSET-x}${EMPTY-y}", "x"),
            ("${SET:+x}${EMPTY:+y}${UNSET:+z}", "x"),
            ("${SET+x}${EMPTY+y}${UNSET+z}", "xy"),
            ("${UNSET:-${EMPTY:-${SET}}}", "value"),
            ("${UNSET:-a b:c/d}", "a b:c/d"),
            ("$$SET $${SET}", "$SET ${SET}"),
            ("${SET:?m}", "value"),
            ("${EMPTY?m}", ""),
            ("$ $1 $% x$", "$ $1 $% x$"),
            ("${UNSET:-$$x}${UNSET:--x}", "$x-x"),
        ] {
            assert_eq!(compose(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn composes_errors_say_what_is_missing() {
        assert_eq!(
            compose("${UNSET:?set it to ${SET}}"),
            Err("the variable `UNSET` is required: set it to value".to_owned())
        );
        for text in ["${EMPTY:?}", "${UNSET?}", "${}", "${1}", "${SET", "${SET!x}"] {
            assert!(compose(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rehearsals_dialect_leaves_every_other_dollar_alone() {
        for (text, expected) in [
            ("$.items[0].id", "$.items[0].id"),
            ("^a$", "^a$"),
            ("$SET $$SET $$", "$SET $$SET $$"),
            ("${SET} ${UNSET:-x} ${UNSET:-${SET}}", "value x value"),
            ("$${SET}", "${SET}"),
        ] {
            assert_eq!(rehearsal(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["${SET-x}", "${SET:?x}", "${SET+x}", "${", "${}", "${a b}"] {
            assert!(rehearsal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unset_variables_are_named_once_and_only_where_they_matter() {
        let done = interpolate("$A $A ${B:-$C} ${SET:-$D}", Dialect::Compose, &lookup).expect("ok");
        assert_eq!(done.unset.into_iter().collect::<Vec<_>>(), ["A", "C"]);
    }
}
