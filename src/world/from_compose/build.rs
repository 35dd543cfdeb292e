//! How an image is built; what no builder of ours can do is said once it is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::compose::{self, FileSource, Project};
use crate::world::model::{Build, BuildContext, BuildSecret};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;

/// A service's `build`; `span` is where the service is written.
pub fn build(project: &Project, span: &Span, from: &compose::Build) -> Build {
    let value = |(name, value): (&String, &Option<String>)| value.clone().map(|value| (name.clone(), value));
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
        entitlements: from
            .entitlements
            .iter()
            .filter(|right| is_given(right))
            .cloned()
            .collect(),
        shm_size: from.shm_size.and_then(|bytes| u64::try_from(bytes).ok()),
        extra_hosts: extra_hosts(from),
        platform: from.platforms.first().filter(|_| from.platforms.len() == 1).cloned(),
        contexts: contexts(from),
        secrets: secrets(project, from),
        ssh: agents(project, from),
        place: place(span),
        refusal: refusal(span, from),
    }
}

fn place(span: &Span) -> String {
    Diagnostic::at(span, "").place().unwrap_or_default()
}

fn extra_hosts(from: &compose::Build) -> Vec<(String, String)> {
    let hosts = from.extra_hosts.iter();
    hosts
        .flat_map(|(name, all)| all.iter().map(|address| (name.clone(), address.clone())))
        .collect()
}

fn contexts(from: &compose::Build) -> BTreeMap<String, BuildContext> {
    let context = |text: &str| match text.split_once(':') {
        _ if Path::new(text).is_absolute() => BuildContext::Folder(PathBuf::from(text)),
        Some(("service", name)) => BuildContext::Service(name.to_owned()),
        Some(("docker-image", image)) => BuildContext::Image(image.trim_start_matches('/').to_owned()),
        _ => BuildContext::Other(text.to_owned()),
    };
    let all = from.additional_contexts.iter();
    all.map(|(name, text)| (name.clone(), context(text))).collect()
}

/// By the id that the recipe has for each.
fn secrets(project: &Project, from: &compose::Build) -> BTreeMap<String, BuildSecret> {
    let secret = |uses: &compose::FileMount| {
        let id = uses.target.clone().unwrap_or_else(|| uses.source.clone());
        let place = place(&uses.span);
        let missing = |why: String| BuildSecret::Missing(format!("{place}: {why}"));
        let secret = match project.secrets.get(&uses.source).map(|object| &object.source) {
            Some(FileSource::File(path)) => BuildSecret::File(path.clone()),
            Some(FileSource::Content(text)) => BuildSecret::Text(text.clone()),
            Some(FileSource::Environment { value: Some(value), .. }) => BuildSecret::Text(value.clone()),
            Some(FileSource::Environment { variable, value: None }) => missing(format!(
                "`{id}` comes from `{variable}`, which is not set; set it in the environment or in \
                 `production.env_file`"
            )),
            _ => missing(format!(
                "`{id}` is external; give it a `file`, `environment` or `content`"
            )),
        };
        (id, secret)
    };
    from.secrets.iter().map(secret).collect()
}

/// An empty path is the agent's that this machine's `SSH_AUTH_SOCK` names.
fn agents(project: &Project, from: &compose::Build) -> BTreeMap<String, PathBuf> {
    let own = || project.environment.get("SSH_AUTH_SOCK").cloned().unwrap_or_default();
    let agent = |(id, path): (&String, &String)| {
        let path = if path.is_empty() { own() } else { path.clone() };
        (id.clone(), PathBuf::from(path))
    };
    from.ssh.iter().map(agent).collect()
}

/// Of all rights of a step only that to the host's network, which `build.network` gives, too.
fn is_given(entitlement: &str) -> bool {
    entitlement == Build::HOSTS_NETWORK
}

/// What no builder of ours can do.
fn refusal(span: &Span, from: &compose::Build) -> Option<String> {
    let keys = [
        ("build.privileged", from.privileged),
        (
            "a `build.context` that is a URL",
            !Path::new(&from.context).is_absolute(),
        ),
    ];
    let rights = from.entitlements.iter().filter(|right| !is_given(right));
    let rights = rights
        .map(|right| format!("the entitlement `{right}`, by which a step has more of the machine than a container"));
    let keys = keys.iter().filter(|(_, used)| *used).map(|(key, _)| (*key).to_owned());
    let used: Vec<String> = rights.chain(keys).collect();
    if used.is_empty() {
        return None;
    }
    Some(format!(
        "{}: Rehearsal does not build with {}; {}",
        place(span),
        used.join(", "),
        Build::BEFORE
    ))
}

/// Keys that change nothing in what runs, or that the builder is not told.
pub fn unused(from: &compose::Build) -> Vec<&'static str> {
    let keys = [
        ("`cache_from`", !from.cache_from.is_empty()),
        ("`cache_to`", !from.cache_to.is_empty()),
        ("`isolation`", from.isolation.is_some()),
        ("`platforms`", from.platforms.len() > 1),
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
