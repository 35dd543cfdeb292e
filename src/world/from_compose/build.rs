//! How an image is built, by the engine's own builder; what only BuildKit can do is said once it is needed.

use std::path::{Path, PathBuf};

use crate::compose;
use crate::world::model::Build;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;

/// A service's `build`; `span` is where the service is written.
pub fn build(span: &Span, from: &compose::Build) -> Build {
    let value = |(name, value): (&String, &Option<String>)| value.clone().map(|value| (name.clone(), value));
    let mut hosts = from
        .extra_hosts
        .iter()
        .flat_map(|(name, all)| all.iter().map(move |address| format!("{name}:{address}")));
    Build {
        context: PathBuf::from(&from.context),
        dockerfile: from.dockerfile.as_ref().map(|file| relative_to(&from.context, file)),
        dockerfile_inline: from.dockerfile_inline.clone(),
        target: from.target.clone(),
        args: from.args.iter().filter_map(value).collect(),
        labels: from.labels.clone(),
        no_cache: from.no_cache,
        pull: from.pull,
        network: from.network.clone(),
        shm_size: from.shm_size.and_then(|bytes| u64::try_from(bytes).ok()),
        extra_host: hosts.next(),
        refusal: refusal(span, from),
    }
}

/// What the engine's own builder cannot do.
fn refusal(span: &Span, from: &compose::Build) -> Option<String> {
    let keys = [
        ("build.additional_contexts", !from.additional_contexts.is_empty()),
        ("build.secrets", !from.secrets.is_empty()),
        ("build.ssh", !from.ssh.is_empty()),
        ("build.entitlements", !from.entitlements.is_empty()),
        ("build.privileged", from.privileged),
        (
            "a `build.context` that is a URL",
            !Path::new(&from.context).is_absolute(),
        ),
        (
            "more than one of `build.extra_hosts`",
            from.extra_hosts.values().flatten().count() > 1,
        ),
    ];
    let used: Vec<&str> = keys.iter().filter(|(_, used)| *used).map(|(key, _)| *key).collect();
    if used.is_empty() {
        return None;
    }
    let place = Diagnostic::at(span, "").place().unwrap_or_default();
    Some(format!(
        "{place}: the engine's own builder does not know {}; build the image before (`docker buildx build --load`, or \
         `docker compose build`) under the name that `image:` gives it",
        used.join(", ")
    ))
}

/// Keys that change nothing in what runs, or that the engine's own builder is not told.
pub fn unused(from: &compose::Build) -> Vec<&'static str> {
    let keys = [
        ("`cache_from`", !from.cache_from.is_empty()),
        ("`cache_to`", !from.cache_to.is_empty()),
        ("`isolation`", from.isolation.is_some()),
        ("`platforms`", !from.platforms.is_empty()),
        ("`provenance`", from.provenance.is_some()),
        ("`sbom`", from.sbom.is_some()),
        ("`tags`", !from.tags.is_empty()),
        ("`ulimits`", !from.ulimits.is_empty()),
    ];
    keys.into_iter().filter(|(_, used)| *used).map(|(key, _)| key).collect()
}

fn relative_to(context: &str, file: &str) -> String {
    Path::new(file)
        .strip_prefix(context)
        .map_or_else(|_| file.to_owned(), |inside| inside.display().to_string())
}
