//! The classic builder: a recipe and its context in one archive.

use std::path::Path;

use anyhow::{Context as _, Result};
use bollard::query_parameters::BuildImageOptions;
use futures_util::StreamExt as _;

use super::super::Engine;
use super::super::globs::Ignore;
use super::super::image::ImageFacts;
use super::recipe::{Recipe, labels};
use super::wanted::{Wanted, build_failure};
use crate::text::harmless::one_line;

/// What the recipe is called in the context that is sent.
const RECIPE: &str = ".rehearsal.Dockerfile";

/// Builds an image under a name.
///
/// # Errors
/// The recipe or its context cannot be read, or the build failed: the message ends in what the engine printed last.
pub(super) async fn build(engine: &Engine, wanted: Wanted<'_>, recipe: &Recipe) -> Result<ImageFacts> {
    let build = wanted.build;
    let added = (RECIPE, recipe.labelled(build.target.as_deref(), &labels(engine)));
    let context = build.context.clone();
    let archive = tokio::task::spawn_blocking(move || context_archive(&context, added)).await??;
    let options = BuildImageOptions {
        dockerfile: RECIPE.to_owned(),
        target: build.target.clone().unwrap_or_default(),
        buildargs: Some(build.args.clone().into_iter().collect()),
        labels: Some(build.labels.clone().into_iter().collect()),
        nocache: build.no_cache,
        pull: build.pull.then(|| "true".to_owned()),
        networkmode: build.network.clone(),
        shmsize: build.shm_size.and_then(|bytes| i32::try_from(bytes).ok()),
        extrahosts: build
            .extra_hosts
            .first()
            .map(|(name, address)| format!("{name}:{address}")),
        platform: wanted.platform().unwrap_or_default().to_owned(),
        ..Default::default()
    };
    engine.build(wanted.tag(), archive, options).await
}

impl Engine {
    /// Builds an image from an archive of its context.
    ///
    /// # Errors
    /// The build failed: the message ends in what the engine printed last.
    pub async fn build(&self, tag: &str, archive: Vec<u8>, options: BuildImageOptions) -> Result<ImageFacts> {
        let options = BuildImageOptions {
            t: Some(tag.to_owned()),
            rm: true,
            forcerm: true,
            ..options
        };
        let logins = (*self.logins).clone();
        let mut stream = Box::pin(self.docker.build_image(
            options,
            Some(logins),
            Some(bollard::body_full(archive.into())),
        ));
        let mut tail: Vec<String> = Vec::new();
        while let Some(step) = stream.next().await {
            let step = step.map_err(|error| build_failure(tag, &tail, &one_line(&error.to_string())))?;
            if let Some(detail) = step.error_detail {
                return Err(build_failure(
                    tag,
                    &tail,
                    &one_line(&detail.message.unwrap_or_default()),
                ));
            }
            tail.extend(
                step.stream
                    .map(|line| line.trim_end().to_owned())
                    .filter(|line| !line.is_empty()),
            );
            let surplus = tail.len().saturating_sub(20);
            tail.drain(..surplus);
        }
        self.image(tag)
            .await?
            .with_context(|| format!("image `{tag}` is not there after building it"))
    }
}

/// The build context as the builder wants it: an archive without what `.dockerignore` leaves out, and the recipe.
fn context_archive(context: &Path, (name, recipe): (&str, String)) -> Result<Vec<u8>> {
    let ignore = Ignore::read(context);
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    append_folder(&mut archive, context, Path::new(""), &ignore)
        .with_context(|| format!("build context `{}` could not be read", context.display()))?;
    let mut header = tar::Header::new_gnu();
    header.set_size(recipe.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, recipe.as_bytes())?;
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
        if folder && (ignore.has_exceptions() || !ignore.leaves_out(&path)) {
            append_folder(archive, root, &path, ignore)?;
        }
    }
    Ok(())
}
