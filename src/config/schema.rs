//! The JSON Schema of `rehearsal.yaml`, as `rehearsal schema` prints it for editors: the grammar in other words.
//!
//! It describes the file before variables are replaced, so `${…}` may stand for any scalar. It knows the form of
//! values; whether they mean anything (a path that exists, an expression that compiles) only the reader says.

use serde_json::{Map, Value, json};

use super::grammar::{FILE, Key, MAPPINGS, MATCHER_KEYS, Mapping, Rule, Shape, is_not_built};

const DURATION: &str = r"^(?=.*[1-9])([0-9.]+(ms|s|m|h|d))+$";
const DURATION_OR_ZERO: &str = r"^([0-9.]+(ms|s|m|h|d))+$";

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("title".to_owned(), json!("rehearsal.yaml"));
    schema.extend(mapping(&FILE));
    schema.insert("$defs".to_owned(), Value::Object(definitions()));
    Value::Object(schema)
}

fn definitions() -> Map<String, Value> {
    let named = MAPPINGS.iter().filter(|mapping| mapping.name != FILE.name);
    let mut definitions: Map<_, _> = named
        .map(|named| (named.name.to_owned(), Value::Object(mapping(named))))
        .collect();
    definitions.insert("variable".to_owned(), json!({"type": "string", "pattern": r"\$\{"}));
    definitions.insert("text".to_owned(), text());
    definitions
}

fn text() -> Value {
    json!({"anyOf": [{"type": ["string", "number", "boolean"]}, reference("secret")]})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn mapping(mapping: &Mapping) -> Map<String, Value> {
    let properties: Map<_, _> = mapping
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(mapping, key)))
        .collect();
    let required: Vec<_> = mapping
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = Map::new();
    schema.insert("description".to_owned(), json!(mapping.about));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !mapping.rules.is_empty() {
        schema.insert(
            "allOf".to_owned(),
            mapping.rules.iter().map(|each| rule(*each)).collect(),
        );
    }
    schema
}

fn property(mapping: &Mapping, key: &Key) -> Value {
    let later = if is_not_built(mapping, key.name) {
        " Valid, but not built yet."
    } else {
        ""
    };
    let mut schema = shape(key.shape);
    schema["description"] = json!(format!("{}{later}", key.about));
    schema
}

fn rule(rule: Rule) -> Value {
    let given = |keys: &[&str]| -> Vec<Value> { keys.iter().map(|key| json!({"required": [key]})).collect() };
    match rule {
        Rule::ExactlyOne(keys) => json!({"oneOf": given(keys)}),
        Rule::AtLeastOne(keys) => json!({"anyOf": given(keys)}),
        Rule::AtMostOne(keys) => {
            let mut choices = given(keys);
            choices.push(json!({"not": {"anyOf": given(keys)}}));
            json!({"oneOf": choices})
        }
        Rule::Unless(other, keys) => json!({"anyOf": [{"required": [other]}, {"required": keys}]}),
    }
}

fn shape(of: Shape) -> Value {
    match of {
        Shape::Text => reference("text"),
        Shape::Word => json!({"type": ["string", "number", "boolean"]}),
        Shape::TextOrNull => json!({"anyOf": [reference("text"), {"type": "null"}]}),
        Shape::Json => json!({}),
        Shape::TextMatcher => json!({"anyOf": [reference("text"), reference("text-matcher")]}),
        Shape::JsonMatcher => json_matcher(),
        Shape::List(item) => json!({"type": "array", "items": shape(*item)}),
        Shape::Filled(item) => json!({"type": "array", "items": shape(*item), "minItems": 1}),
        Shape::OneOrMore(item) => json!({"anyOf": [shape(*item), shape(Shape::Filled(item))]}),
        Shape::Named(value) => json!({"type": "object", "additionalProperties": shape(*value)}),
        Shape::Keys(mapping) => reference(mapping.name),
        Shape::TextOr(mapping) => json!({"anyOf": [reference("text"), reference(mapping.name)]}),
        Shape::ChoiceOr(words, mapping) => {
            json!({"anyOf": [shape(Shape::Choice(words)), reference(mapping.name)]})
        }
        Shape::QuantityOr(quantity, mapping) => json!({"anyOf": [shape(*quantity), reference(mapping.name)]}),
        scalar => json!({"anyOf": [written(scalar), reference("variable")]}),
    }
}

fn written(shape: Shape) -> Value {
    let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match shape {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Count => json!({"type": "integer", "minimum": 1}),
        Shape::Whole => json!({"type": "integer"}),
        Shape::Duration => pattern(DURATION),
        Shape::DurationOrZero => pattern(DURATION_OR_ZERO),
        Shape::Rate => pattern("^[0-9.]+/(s|m)$"),
        Shape::Percent => pattern("^[0-9.]+%$"),
        Shape::Change => pattern("^[+-][0-9.]+%$"),
        Shape::Date => pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        Shape::Status => json!({"anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^([1-5][0-9]{2}|[1-5]xx)$"},
        ]}),
        Shape::Choice(words) => json!({"enum": words}),
        _ => json!({}),
    }
}

/// Any value; but an object with one of a matcher's keys is a matcher.
fn json_matcher() -> Value {
    let keys: Vec<_> = MATCHER_KEYS.iter().map(|key| json!({"required": [key]})).collect();
    json!({
        "if": {"type": "object", "anyOf": keys},
        "then": reference("json-matcher"),
    })
}
