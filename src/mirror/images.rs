//! Images: what every service needs is on the engine before the mirror comes up, and has a digest to be named by.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use bollard::query_parameters::BuildImageOptions;
use futures_util::future::try_join_all;

use super::engine::{Engine, ImageFacts};
use super::model::{Build, Service};

/// The name of an image that is built for this run alone.
pub fn built_name(run: &str, service: &str) -> String {
    format!("rehearsal-build:{run}-{service}").to_lowercase()
}

/// Pulls or builds the image of every service; each once, at the same time.
///
/// # Errors
/// The first image that cannot be had, by name, with the registry's or builder's words.
pub async fn resolve(engine: &Engine, services: &[&Service]) -> Result<HashMap<String, ImageFacts>> {
    let mut wanted: HashMap<&str, &Service> = HashMap::new();
    for service in services {
        wanted.entry(&service.image).or_insert(service);
    }
    let facts = try_join_all(wanted.into_iter().map(|(image, service)| async move {
        let facts = one(engine, service)
            .await
            .with_context(|| format!("service `{}`", service.name))?;
        Ok::<_, anyhow::Error>((image.to_owned(), facts))
    }));
    Ok(facts.await?.into_iter().collect())
}

async fn one(engine: &Engine, service: &Service) -> Result<ImageFacts> {
    let Some(build) = &service.build else {
        return engine.pull(&service.image).await;
    };
    match engine.image(&service.image).await? {
        Some(facts) => Ok(facts),
        None => self::build(engine, &service.image, build).await,
    }
}

async fn build(engine: &Engine, tag: &str, build: &Build) -> Result<ImageFacts> {
    let context = build.context.clone();
    let (dockerfile, inline) = (build.dockerfile.clone(), build.dockerfile_inline.clone());
    let recipe = dockerfile.unwrap_or_else(|| "Dockerfile".to_owned());
    let name = if inline.is_some() {
        ".rehearsal.Dockerfile".to_owned()
    } else {
        recipe
    };
    let added = inline.map(|text| (name.clone(), text));
    let archive = tokio::task::spawn_blocking(move || context_archive(&context, added)).await??;
    let options = BuildImageOptions {
        dockerfile: name,
        target: build.target.clone().unwrap_or_default(),
        buildargs: Some(build.args.clone().into_iter().collect()),
        ..Default::default()
    };
    engine.build(tag, archive, options).await
}

/// The build context as the builder wants it: an archive without what `.dockerignore` leaves out.
fn context_archive(context: &Path, added: Option<(String, String)>) -> Result<Vec<u8>> {
    let ignore = Ignore::read(context);
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    append_folder(&mut archive, context, Path::new(""), &ignore)
        .with_context(|| format!("build context `{}` could not be read", context.display()))?;
    if let Some((name, text)) = added {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}

fn append_folder(archive: &mut tar::Builder<Vec<u8>>, root: &Path, below: &Path, ignore: &Ignore) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(below))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let folder = entry.file_type()?.is_dir();
        if !ignore.leaves_out(&path) {
            archive.append_path_with_name(entry.path(), &path)?;
        }
        if folder && (ignore.has_exceptions || !ignore.leaves_out(&path)) {
            append_folder(archive, root, &path, ignore)?;
        }
    }
    Ok(())
}

/// `.dockerignore`: the last pattern that matches decides; `!` takes back in.
struct Ignore {
    rules: Vec<(bool, regex::Regex)>,
    has_exceptions: bool,
}

impl Ignore {
    fn read(context: &Path) -> Self {
        let text = std::fs::read_to_string(context.join(".dockerignore")).unwrap_or_default();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules: Vec<_> = lines.filter_map(rule).collect();
        let has_exceptions = rules.iter().any(|(out, _)| !out);
        Self { rules, has_exceptions }
    }

    fn leaves_out(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        // The recipe and this file itself are always sent.
        if path == ".dockerignore" || path == "Dockerfile" {
            return false;
        }
        self.rules
            .iter()
            .rev()
            .find(|(_, pattern)| pattern.is_match(&path))
            .is_some_and(|(out, _)| *out)
    }
}

fn rule(line: &str) -> Option<(bool, regex::Regex)> {
    let (out, line) = line.strip_prefix('!').map_or((true, line), |rest| (false, rest));
    let mut pattern = regex::escape(line.trim().trim_start_matches('/').trim_end_matches('/'));
    for (from, to) in [
        (r"\*\*/", "(?:.*/)?"),
        (r"\*\*", ".*"),
        (r"\*", "[^/]*"),
        (r"\?", "[^/]"),
    ] {
        pattern = pattern.replace(from, to);
    }
    // What is below a folder that is left out is left out with it.
    regex::Regex::new(&format!("^{pattern}(?:/.*)?$"))
        .ok()
        .map(|pattern| (out, pattern))
}
