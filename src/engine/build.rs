//! Images: what every service needs is on the engine before the mirror comes up, and has a digest to be named by.
//!
//! What is built has a name of this run alone: nobody's image of the same name is replaced, and none is swept with the
//! run that another one needs.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use bollard::query_parameters::BuildImageOptions;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;

use super::Engine;
use super::globs::Ignore;
use super::image::ImageFacts;
use crate::text::harmless::one_line;
use crate::world::model::{Build, PullPolicy, Service};

/// The name of an image that is built for this run alone.
fn built_name(run: &str, service: &str) -> String {
    format!("rehearsal-build:{run}-{service}").to_lowercase()
}

/// Gives what has to be built a name of its own: what the candidate builds, and of production's what the engine lacks
/// or `pull_policy: build` asks for.
///
/// # Errors
/// The engine does not answer.
pub async fn name_builds(
    engine: &Engine,
    services: &mut BTreeMap<String, Service>,
    candidate: &mut BTreeMap<String, Service>,
) -> Result<()> {
    for own in candidate.values_mut().filter(|service| service.build.is_some()) {
        let production = services.get(&own.name);
        if production.is_none_or(|service| service.build != own.build) {
            own.image = built_name(engine.run(), &own.name);
        }
    }
    let mut built = HashMap::new();
    for service in services.values().filter(|service| service.build.is_some()) {
        if service.pull_policy == PullPolicy::Build || engine.image(&service.image).await?.is_none() {
            let name = format!("rehearsal-production:{}-{}", engine.run(), service.name).to_lowercase();
            built.entry(service.image.clone()).or_insert(name);
        }
    }
    // One service may run what another one builds.
    for service in services.values_mut().chain(candidate.values_mut()) {
        if let Some(name) = built.get(&service.image) {
            service.image.clone_from(name);
        }
    }
    Ok(())
}

/// Builds what the engine lacks, each once, at the same time; what is pulled is there by now.
///
/// # Errors
/// The first image that is not there or cannot be built, by name, with the builder's words.
pub async fn resolve(engine: &Engine, services: &[&Service]) -> Result<HashMap<String, ImageFacts>> {
    let mut wanted: HashMap<&str, &Service> = HashMap::new();
    // Who knows how to build it is asked first.
    let builders = services.iter().filter(|service| service.build.is_some());
    for service in builders.chain(services) {
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
    match (engine.image(&service.image).await?, &service.build) {
        (Some(facts), _) => Ok(facts),
        (None, Some(build)) => self::build(engine, &service.image, build).await,
        (None, None) => Err(anyhow!("image `{}` is not on the engine any more", service.image)),
    }
}

async fn build(engine: &Engine, tag: &str, build: &Build) -> Result<ImageFacts> {
    if let Some(refusal) = &build.refusal {
        anyhow::bail!("image `{tag}` is not on the engine and cannot be built: {refusal}");
    }
    let target = build.target.as_deref();
    let added = (RECIPE, labelled(&recipe(build)?, target, &labels(engine)));
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
        extrahosts: build.extra_host.clone(),
        ..Default::default()
    };
    engine.build(tag, archive, options).await
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
            let step = step.map_err(|error| build_failure(tag, &tail, &error.to_string()))?;
            if let Some(detail) = step.error_detail {
                return Err(build_failure(tag, &tail, &detail.message.unwrap_or_default()));
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

fn build_failure(tag: &str, tail: &[String], last: &str) -> anyhow::Error {
    anyhow!(
        "image `{tag}` could not be built: {}\n{}",
        one_line(last),
        tail.join("\n")
    )
}

/// What the recipe is called in the context that is sent.
const RECIPE: &str = ".rehearsal.Dockerfile";

fn recipe(build: &Build) -> Result<String> {
    if let Some(text) = &build.dockerfile_inline {
        return Ok(text.clone());
    }
    let file = build.context.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
    std::fs::read_to_string(&file).with_context(|| format!("the recipe `{}` could not be read", file.display()))
}

/// The run's labels as a step of a recipe has them. All of them: a sweep that saw only the run's name would take a
/// living run for dead.
fn labels(engine: &Engine) -> String {
    let all = engine.labels(&[]).into_iter().collect::<BTreeMap<_, _>>();
    let words = all.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// A value that the builder reads as it stands.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    format!("\"{escaped}\"")
}

/// The recipe with labels as the last step of the stage that is built, and as one step: any earlier, they would part
/// the layers from those of the last run, and the engine would build all of them again.
fn labelled(recipe: &str, target: Option<&str>, label: &str) -> String {
    let mut lines: Vec<&str> = recipe.lines().collect();
    let stages = stages(&lines);
    let built = target.and_then(|target| {
        let number = |stage: usize| target.parse() == Ok(stage);
        stages
            .iter()
            .enumerate()
            .find_map(|(index, stage)| (stage.is_called(target) || number(index)).then_some(index))
    });
    let next = built.and_then(|index| stages.get(index + 1));
    let step = format!("LABEL {label}");
    lines.insert(next.map_or(lines.len(), |stage| stage.line), &step);
    lines.join("\n") + "\n"
}

/// A stage of a recipe: the line on which it begins, and its name.
struct Stage {
    line: usize,
    name: Option<String>,
}

impl Stage {
    fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

fn stages(lines: &[&str]) -> Vec<Stage> {
    let (mut stages, mut step, mut begun) = (Vec::new(), String::new(), 0);
    for (number, line) in lines.iter().map(|line| line.trim()).enumerate() {
        // Neither ends a step that goes on.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if step.is_empty() {
            begun = number;
        }
        step.push_str(line.strip_suffix('\\').unwrap_or(line));
        step.push(' ');
        if !line.ends_with('\\') {
            stages.extend(stage(begun, &std::mem::take(&mut step)));
        }
    }
    stages
}

fn stage(line: usize, step: &str) -> Option<Stage> {
    let words: Vec<&str> = step.split_whitespace().collect();
    words.first().filter(|word| word.eq_ignore_ascii_case("from"))?;
    let is_as = |word: &&str| word.eq_ignore_ascii_case("as");
    let name = words.iter().position(is_as).and_then(|place| words.get(place + 1));
    let name = name.map(|name| (*name).to_owned());
    Some(Stage { line, name })
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

#[cfg(test)]
mod tests {
    use super::{labelled, quoted};

    const RECIPE: &str =
        "# FROM nothing\nfrom a AS one\nRUN select \\\n# FROM here\n  FROM there\nFROM \\\n  b\nCOPY --from=one /a /a";

    #[test]
    fn a_label_is_read_as_it_stands() {
        assert_eq!(quoted(r#"/a b/$x"\"#), r#""/a b/\$x\"\\""#);
    }

    #[test]
    fn the_label_is_the_last_step_and_no_other_line_is_touched() {
        assert_eq!(labelled(RECIPE, None, "x=y"), format!("{RECIPE}\nLABEL x=y\n"));
    }

    #[test]
    fn a_stage_that_is_named_ends_in_the_label() {
        let expected = RECIPE.replace("FROM \\\n", "LABEL x=y\nFROM \\\n") + "\n";
        for target in ["one", "ONE", "0"] {
            assert_eq!(labelled(RECIPE, Some(target), "x=y"), expected, "{target}");
        }
        for target in ["1", "another"] {
            assert_eq!(
                labelled(RECIPE, Some(target), "x=y"),
                format!("{RECIPE}\nLABEL x=y\n"),
                "{target}"
            );
        }
    }
}
