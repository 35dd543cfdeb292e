//! JSON data as YAML text, for people: block style, keys in the order given, strings quoted where they must be.

use serde_json::Value;

/// The value as a YAML document.
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                text.push_str(&"  ".repeat(depth));
                text.push_str(&scalar(&Value::String(key.clone())));
                text.push(':');
                below(value, depth + 1, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&"  ".repeat(depth));
                text.push('-');
                below(item, depth + 1, text);
            }
        }
        other => {
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
}

fn below(value: &Value, depth: usize, text: &mut String) {
    let nested = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    text.push(if nested { '\n' } else { ' ' });
    block(value, if nested { depth } else { 0 }, text);
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) if is_plain(string) => string.clone(),
        // A JSON string is a YAML string, but for characters that are not to be seen.
        other => other.to_string().chars().map(seen).collect(),
    }
}

/// A character as YAML has it between double quotes: what is no printable one to YAML is escaped.
fn seen(c: char) -> String {
    let is_printable = matches!(c, ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..);
    if is_printable && !matches!(c, '\u{2028}' | '\u{2029}') {
        c.to_string()
    } else {
        format!("\\U{:08x}", u32::from(c))
    }
}

/// Whether a string means itself without quotes, in YAML 1.1 as in 1.2.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    let starts_well = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let harmless = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./ @+=,".contains(c))
        && !text.ends_with(' ');
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    starts_well && harmless && !reserved.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        let value = Value::from("\u{9b}31m \u{7f} \u{feff} \u{2028} é");
        assert_eq!(
            yaml(&value),
            "\"\\U0000009b31m \\U0000007f \\U0000feff \\U00002028 é\"\n"
        );
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let value = serde_json::json!({"a": {"b": [1, "yes", {"c": null}, []], "d": "x: y"}, "1": "", "e": {}});
        let source = std::sync::Arc::new(crate::yaml::span::Source {
            path: "x".into(),
            text: yaml(&value),
        });
        let node = crate::yaml::tree::parse(source).expect("it is YAML");
        let d = node.get("a").and_then(|a| a.get("d")).and_then(|d| d.as_str());
        assert_eq!(d, Some("x: y"));
        let list = node.get("a").and_then(|a| a.get("b")).expect("the list is there");
        assert_eq!(list.as_seq().map(<[_]>::len), Some(4));
    }
}
