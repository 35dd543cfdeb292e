//! GETs without parameters that an OpenAPI file of the repository promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

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
    /// Whole paths and the success that each is promised to answer with.
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
    let base = base(&document)?;
    let gets: Vec<_> = gets(&document)
        .into_iter()
        .map(|(path, status)| (format!("{base}{path}"), status))
        .collect();
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

/// Below what all paths are: the path of the first server, or Swagger's own word for it. Nothing where that cannot be told.
fn base(document: &Node) -> Option<String> {
    let server = document.get("servers").and_then(Node::as_seq).and_then(<[Node]>::first);
    let named = match server {
        Some(server) => filled(server.get("url")?.as_str()?, server.get("variables"))?,
        None => document
            .get("basePath")
            .and_then(Node::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    let path = match named.contains("://") {
        true => Url::parse(&named).ok()?.path().to_owned(),
        false => named,
    };
    let path = path.trim_end_matches('/');
    let is_plain = !path.contains(['?', '#']) && !path.starts_with('.');
    is_plain.then(|| match path {
        "" => String::new(),
        path => format!("/{}", path.trim_start_matches('/')),
    })
}

/// A server's address with what its variables are by default.
fn filled(url: &str, variables: Option<&Node>) -> Option<String> {
    let mut url = url.to_owned();
    for entry in variables.and_then(Node::as_map).unwrap_or_default() {
        let default = entry.node.get("default").and_then(Node::as_text)?;
        url = url.replace(&format!("{{{}}}", entry.key), &default);
    }
    (!url.contains('{')).then_some(url)
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
    fn where_nobody_can_tell_below_what_the_paths_are_nothing_is_promised() {
        let paths = "paths: {/items: {get: {responses: {200: {description: all}}}}}";
        assert_eq!(promised(&format!("servers: [{{url: '/{{tenant}}'}}]\n{paths}")), []);
        assert_eq!(promised(&format!("servers: [{{url: ../api}}]\n{paths}")), []);
        assert_eq!(promised(&format!("servers: [{{url: 'http://[/'}}]\n{paths}")), []);
        assert_eq!(
            promised(&format!("servers: [{{url: 'https://example.com'}}]\n{paths}")),
            [("/items".to_owned(), 200)]
        );
    }

    #[test]
    fn a_file_that_is_none_promises_nothing() {
        assert_eq!(promised("paths: [a, b"), []);
        assert_eq!(promised("paths: 3"), []);
    }
}
