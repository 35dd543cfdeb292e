//! Reader, grammar and schema agree, file by file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Map;

use super::super::grammar::{FILE, MAPPINGS, Mapping, Shape, is_not_built};
use super::super::schema::schema;
use super::*;

fn files(folder: &str, depth: usize) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect(folder) {
        let path = entry.expect(folder).path();
        match path.is_dir() {
            true if depth > 0 => found.extend(files(&path.display().to_string(), depth - 1)),
            true => {}
            false => found.extend(path.extension().is_some_and(|end| end == "yaml").then_some(path)),
        }
    }
    found.retain(|path| !path.ends_with("release.yaml") && !path.display().to_string().contains("compose"));
    found.sort();
    found
}

fn valid() -> Vec<PathBuf> {
    files("tests/config_valid", 0)
}

/// The keys of the grammar that stand somewhere in a document.
fn met(node: &Node, shape: Shape, keys: &mut BTreeSet<(&'static str, &'static str)>) {
    match shape {
        Shape::List(item) | Shape::Filled(item) | Shape::OneOrMore(item) => {
            node.as_seq()
                .unwrap_or_default()
                .iter()
                .for_each(|node| met(node, *item, keys));
        }
        Shape::Named(value) => {
            node.as_map()
                .unwrap_or_default()
                .iter()
                .for_each(|entry| met(&entry.node, *value, keys));
        }
        Shape::Keys(mapping) | Shape::TextOr(mapping) | Shape::ChoiceOr(_, mapping) | Shape::QuantityOr(_, mapping) => {
            met_in(node, mapping, keys)
        }
        Shape::Text | Shape::TextOrNull => met_in(node, &grammar::SECRET, keys),
        Shape::TextMatcher => met_in(node, &grammar::TEXT_MATCHER, keys),
        Shape::JsonMatcher => met_in(node, &grammar::JSON_MATCHER, keys),
        _ => {}
    }
}

fn met_in(node: &Node, mapping: &'static Mapping, keys: &mut BTreeSet<(&'static str, &'static str)>) {
    for entry in node.as_map().unwrap_or_default() {
        if let Some(key) = mapping.key(&entry.key) {
            keys.insert((mapping.name, key.name));
            met(&entry.node, key.shape, keys);
        }
    }
}

#[test]
fn the_valid_files_hold_every_key_that_is_built() {
    let mut keys = BTreeSet::new();
    for file in valid() {
        met(&parse(&file).expect("YAML"), Shape::Keys(&FILE), &mut keys);
    }
    for mapping in MAPPINGS {
        // What hangs below a key that is not built cannot be reached.
        if mapping.name == "faults" {
            continue;
        }
        for key in mapping.keys.iter().filter(|key| !is_not_built(mapping, key.name)) {
            assert!(
                keys.contains(&(mapping.name, key.name)),
                "{}.{}",
                mapping.name,
                key.name
            );
        }
    }
}

#[test]
fn the_schema_has_the_keys_of_the_grammar_and_no_other() {
    let schema = schema();
    for mapping in MAPPINGS {
        let definition = match mapping.name {
            "file" => &schema,
            name => &schema["$defs"][name],
        };
        let none = Map::new();
        let properties: BTreeSet<_> = definition["properties"].as_object().unwrap_or(&none).keys().collect();
        let keys: BTreeSet<_> = mapping.keys.iter().map(|key| key.name.to_owned()).collect();
        assert_eq!(properties, keys.iter().collect(), "{}", mapping.name);
    }
}

#[test]
fn the_schema_accepts_the_valid_files() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    for file in valid() {
        let document = parse(&file).expect("YAML").to_json();
        let errors: Vec<_> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

/// Whether the reader finds the form of a file wrong, not counting what is valid but not built.
fn is_malformed(document: &Node) -> bool {
    let errors = structure::check(document, &FILE);
    errors.iter().any(|error| !error.message.contains("not built yet"))
}

#[test]
fn the_schema_rejects_what_the_reader_finds_malformed_and_nothing_else() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let mut malformed = 0;
    for file in files("tests/config_errors", 1) {
        let name = file.parent().unwrap_or(Path::new("")).display().to_string();
        let Ok(document) = parse(&file) else { continue };
        // A near miss inside a JSON value is a guess, which a schema cannot make; nor can it replace variables.
        let variables = fs::read_to_string(&file).unwrap_or_default().contains("${");
        if variables || name.ends_with("unknown-matcher-in-json") {
            continue;
        }
        let malformed_here = is_malformed(&document);
        malformed += usize::from(malformed_here);
        assert_eq!(!validator.is_valid(&document.to_json()), malformed_here, "{name}");
    }
    assert!(malformed > 30, "{malformed}");
}
