//! `release`: the release as its authors publish it.

use std::collections::BTreeMap;

use super::super::grammar;
use super::super::settings::{Orphans, Production, Release, ReleaseImage, Tops};
use super::env_file::EnvFile;
use super::fields::{Fields, Reader};
use super::files;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::{self, Format};
use crate::yaml::tree::{Entry, Node};

/// What it says beside production as it is described; `tops`: where production's files are, if in another tree.
pub(super) fn release(
    file: &Fields,
    (production, said): (&Production, EnvFile),
    tops: Option<&Tops>,
) -> Option<Release> {
    let reader = file.reader;
    let span = file.entry("release")?.key_span.clone();
    let fields = file.fields("release", &grammar::RELEASE)?;
    let mut environment = fields
        .get("env_file")
        .map_or_else(BTreeMap::new, |node| variables(reader, node));
    environment.extend(fields.pairs("env"));
    let written = fields.items("compose").iter().map(|node| reader.file(node)).collect();
    let said = said.under(&environment, tops);
    said.agrees_on_profiles(reader, &production.profiles, &span);
    Some(Release {
        images: fields
            .entries("images")
            .iter()
            .map(|entry| image(reader, entry))
            .collect(),
        compose: said.files(&fields, written, &span),
        environment,
        orphans: match fields.text("orphans").as_deref() {
            Some("keep") => Orphans::Keep,
            _ => Orphans::Stop,
        },
        span,
    })
}

/// A version in a key would say twice what is replaced, and replace nothing as soon as production moves.
fn image(reader: &Reader, entry: &Entry) -> ReleaseImage {
    let key = &entry.key;
    let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
    if name.contains([':', '@']) {
        let repository = &key[..key.len() - name.len() + name.find([':', '@']).unwrap_or_default()];
        let error = Diagnostic::at(
            &entry.key_span,
            format!("`{key}` is an image, and a repository is needed here"),
        );
        reader.refuse(error.help(format!("write `{repository}`: every tag of it is replaced")));
    }
    ReleaseImage {
        repository: key.clone(),
        image: reader.filled(&entry.node),
        span: entry.key_span.clone(),
    }
}

/// What the file says, seen from production's environment.
fn variables(reader: &Reader, node: &Node) -> BTreeMap<String, String> {
    let path = reader.path(node);
    if reader.is_blank(node) {
        return BTreeMap::new();
    }
    let name = reader.text(node);
    let environment = &reader.origin(&node.span).environment;
    let lookup = |name: &str| environment.get(name).cloned();
    let read = files::source(&path, &name, &node.span).and_then(|source| {
        let variables = env_file::parse(source, Format::Dotenv, &lookup);
        variables.map_err(|error| env_file::without_line(&error, &name, Some(&node.span)))
    });
    match read {
        Ok(variables) => variables.into_iter().collect(),
        Err(error) => {
            reader.refuse(error);
            BTreeMap::new()
        }
    }
}
