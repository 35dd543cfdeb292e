//! `production` and `candidate`: what runs today, and what wants to replace it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::grammar;
use super::super::settings::{Candidate, CandidateImage, NamedBy, Next, Production};
use super::env_file::EnvFile;
use super::fields::{Fields, Reader};
use super::{files, hosts};
use crate::text::version::Requirement;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::{Entry, Node};

const MAX_LOCK_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Production, and what its variables say to `docker compose`.
pub(super) fn production(file: &Fields) -> (Production, EnvFile) {
    let node = file.get("production").unwrap_or(file.node);
    let environment = file.reader.origin(&node.span).environment.clone();
    described(file.reader, node, environment, key_span(file, "production"))
}

/// Production as a node says, whose Compose files see this environment.
pub(super) fn described(
    reader: &Reader,
    node: &Node,
    environment: BTreeMap<String, String>,
    span: Span,
) -> (Production, EnvFile) {
    let fields = reader.fields(node, &grammar::PRODUCTION);
    let compose: Vec<PathBuf> = fields.items("compose").iter().map(|node| reader.file(node)).collect();
    let project_directory = fields.get("project_directory").map(|node| reader.folder(node));
    let profiles = fields.names("profiles");
    let env_file = EnvFile::of(&fields, &compose, project_directory.as_deref());
    env_file.agrees_on_profiles(&fields, &profiles);
    let production = Production {
        compose: env_file.files(&fields, compose, &span),
        project_directory,
        profiles,
        env_file: fields.file("env_file"),
        environment,
        // Whether it exists is the lock's own question: a lock that is not there is inconclusive, not a mistake here.
        lock: fields.get("lock").map(|node| files::absolute(&reader.path(node))),
        max_lock_age: fields.duration("max_lock_age").unwrap_or(MAX_LOCK_AGE),
        hosts: hosts::hosts(&fields),
        span,
        folder_name: None,
    };
    (production, env_file)
}

/// The entries of `candidate`, then what the command line says about them.
pub(super) fn candidates(
    file: &Fields,
    overrides: &[(String, String)],
    next: Option<&Next>,
) -> BTreeMap<String, Candidate> {
    let mut candidates: BTreeMap<_, _> = file
        .entries("candidate")
        .iter()
        .map(|entry| (entry.key.clone(), candidate(file, entry)))
        .collect();
    for (service, image) in overrides {
        let entry = candidates
            .entry(service.clone())
            .or_insert_with(|| unchanged(&start(file)));
        entry.image = CandidateImage::Reference(image.clone());
        if image.trim().is_empty() {
            let error = Diagnostic::new(format!("`--candidate {service}=` names no image"));
            file.reader
                .refuse(error.help(format!("write `--candidate {service}=IMAGE`")));
        }
    }
    if next.is_none() {
        refuse_no_change(file, &candidates);
    }
    candidates
}

/// The services that the entries of `candidate` are for.
pub(super) fn replaced(file: &Fields) -> Vec<String> {
    file.entries("candidate")
        .iter()
        .map(|entry| entry.key.clone())
        .collect()
}

fn candidate(file: &Fields, entry: &Entry) -> Candidate {
    let fields = file.reader.fields(&entry.node, &grammar::CANDIDATE);
    let image = fields.filled("image").map(CandidateImage::Reference);
    let build = fields.fields("build", &grammar::BUILD).map(|fields| build(&fields));
    Candidate {
        image: image.or(build).unwrap_or(CandidateImage::Unchanged),
        env: environment(&fields),
        compose: fields.file("compose"),
        requires: requires(&fields),
        named_by: NamedBy::File,
        span: entry.key_span.clone(),
    }
}

/// Needs that can be compared; what is wrong is said where it stands.
fn requires(fields: &Fields) -> BTreeMap<String, String> {
    for entry in fields.entries("requires") {
        let text = fields.reader.text(&entry.node);
        if let Err(why) = Requirement::read(&text) {
            let span = &entry.node.span;
            fields.reader.refuse(
                Diagnostic::at(span, format!("`{text}` {why}"))
                    .help("operators are >=, >, <=, <, = and !=; a comma means and"),
            );
        }
    }
    fields.pairs("requires").into_iter().collect()
}

fn environment(fields: &Fields) -> BTreeMap<String, Option<String>> {
    let value = |node: &Node| (!node.is_null()).then(|| fields.reader.text(node));
    fields
        .entries("env")
        .iter()
        .map(|entry| (entry.key.clone(), value(&entry.node)))
        .collect()
}

fn build(fields: &Fields) -> CandidateImage {
    let context = fields
        .get("context")
        .map(|node| fields.reader.folder(node))
        .unwrap_or_default();
    let dockerfile = fields.filled("dockerfile");
    let path = context.join(dockerfile.as_deref().unwrap_or("Dockerfile"));
    if context.is_dir() && !path.is_file() {
        let span = fields
            .get("dockerfile")
            .or(fields.get("context"))
            .map_or(&fields.node.span, |node| &node.span);
        let name = dockerfile.as_deref().unwrap_or("Dockerfile");
        let error = Diagnostic::at(span, format!("the build context has no `{name}`"));
        fields
            .reader
            .refuse(error.help("`dockerfile` is relative to the context"));
    }
    CandidateImage::Build {
        context,
        dockerfile,
        target: fields.filled("target"),
        args: fields.pairs("args").into_iter().collect(),
    }
}

fn unchanged(span: &Span) -> Candidate {
    Candidate {
        image: CandidateImage::Unchanged,
        env: BTreeMap::new(),
        compose: None,
        requires: BTreeMap::new(),
        named_by: NamedBy::CommandLine,
        span: span.clone(),
    }
}

/// A rehearsal of nothing would pass.
fn refuse_no_change(file: &Fields, candidates: &BTreeMap<String, Candidate>) {
    let help = "say what the release changes, or pass `--candidate SERVICE=IMAGE`";
    if candidates.is_empty() && file.node.get("release").is_none() {
        let error = Diagnostic::at(
            &key_span(file, "candidate"),
            "nothing replaces anything: there is no candidate",
        );
        file.reader.refuse(error.help(help));
    }
    for (service, candidate) in candidates {
        let same = candidate.image == CandidateImage::Unchanged;
        if same && candidate.env.is_empty() && candidate.compose.is_none() {
            let message = format!("the candidate for `{service}` changes nothing");
            file.reader.refuse(Diagnostic::at(&candidate.span, message).help(help));
        }
    }
}

fn key_span(file: &Fields, key: &'static str) -> Span {
    file.entry(key)
        .map_or_else(|| start(file), |entry| entry.key_span.clone())
}

fn start(file: &Fields) -> Span {
    Span {
        range: 0..0,
        ..file.node.span.clone()
    }
}
