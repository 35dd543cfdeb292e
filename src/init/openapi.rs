//! GETs without parameters that an OpenAPI file of the repository promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::yaml::file;
use crate::yaml::span::Source;
use crate::yaml::tree::{self, Node};

/// Where such files usually are.
const FOLDERS: [&str; 5] = ["", "api", "doc", "docs", "openapi"];
/// What they are usually called.
const NAMES: [&str; 6] = [
    "openapi.yaml",
    "openapi.yml",
    "openapi.json",
    "swagger.yaml",
    "swagger.yml",
    "swagger.json",
];
/// Steps taken from it: a first file shows the way, the user's own suite goes it.
const MOST: usize = 5;

/// What a file promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Promises {
    /// The file, as seen from the folder.
    pub file: PathBuf,
    /// Paths and the success that each is promised to answer with.
    pub gets: Vec<(String, u16)>,
}

/// What the first such file promises. One that cannot be read promises nothing.
pub(super) fn found(folder: &Path) -> Option<Promises> {
    let files = FOLDERS
        .iter()
        .flat_map(|inner| NAMES.iter().map(move |name| Path::new(inner).join(name)));
    let file = files.into_iter().find(|file| folder.join(file).is_file())?;
    let path = folder.join(&file);
    let text = file::text(&path).ok()?;
    let document = tree::parse(Arc::new(Source { path, text })).ok()?;
    let gets = gets(&document);
    (!gets.is_empty()).then_some(Promises { file, gets })
}

/// JSON is YAML, too.
fn gets(document: &Node) -> Vec<(String, u16)> {
    // What all operations ask for, each may take back.
    let is_guarded = |operation: &Node| {
        operation
            .get("security")
            .or(document.get("security"))
            .is_some_and(names_any)
    };
    let paths = document.get("paths").and_then(Node::as_map).unwrap_or_default();
    let promised = paths.iter().filter_map(|path| {
        let get = path.node.get("get")?;
        let asks_nothing = !path.key.contains('{') && !needs_parameters(get) && !needs_parameters(&path.node);
        let status = success(get)?;
        (asks_nothing && !is_guarded(get)).then(|| (path.key.clone(), status))
    });
    promised.take(MOST).collect()
}

fn names_any(security: &Node) -> bool {
    security.as_seq().is_some_and(|all| !all.is_empty())
}

fn needs_parameters(of: &Node) -> bool {
    let all = of.get("parameters").and_then(Node::as_seq).unwrap_or_default();
    let is_needed = |one: &Node| one.get("required").and_then(Node::as_bool) == Some(true) || one.get("$ref").is_some();
    all.iter().any(is_needed)
}

/// The first success that it names.
fn success(operation: &Node) -> Option<u16> {
    let responses = operation.get("responses")?.as_map()?;
    let named = responses.iter().filter_map(|response| response.key.parse().ok());
    named.into_iter().find(|status| (200..300).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promised(text: &str) -> Vec<(String, u16)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        std::fs::write(folder.path().join("docs/openapi.yaml"), text).unwrap();
        found(folder.path()).map(|found| found.gets).unwrap_or_default()
    }

    #[test]
    fn only_gets_that_ask_for_nothing_are_taken() {
        let text = "
openapi: 3.1.0
paths:
  /items: {get: {responses: {'200': {description: all}}}}
  /items/{id}: {get: {responses: {'200': {description: one}}}}
  /search: {get: {parameters: [{name: q, in: query, required: true}], responses: {'200': {description: some}}}}
  /me: {get: {security: [{token: []}], responses: {'200': {description: you}}}}
  /orders: {post: {responses: {'201': {description: made}}}}
  /alive: {get: {responses: {'204': {description: yes}}}}
";
        assert_eq!(promised(text), [("/items".to_owned(), 200), ("/alive".to_owned(), 204)]);
    }

    #[test]
    fn where_all_is_guarded_only_what_is_not_is_taken() {
        let text = "
security: [{token: []}]
paths:
  /items: {get: {responses: {200: {description: all}}}}
  /alive: {get: {security: [], responses: {200: {description: yes}}}}
";
        assert_eq!(promised(text), [("/alive".to_owned(), 200)]);
    }

    #[test]
    fn a_file_that_is_none_promises_nothing() {
        assert_eq!(promised("paths: [a, b"), []);
        assert_eq!(promised("paths: 3"), []);
    }
}
