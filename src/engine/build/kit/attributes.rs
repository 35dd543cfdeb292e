//! A build in the words of BuildKit's own reader of Dockerfiles.

use std::collections::{BTreeSet, HashMap};

use super::super::super::Engine;
use super::super::recipe::Recipe;
use super::super::wanted::Wanted;
use super::session;
use crate::world::model::{Build, BuildContext};

/// What the reader of Dockerfiles is told. The run's labels go into the image's settings alone: no step, and no layer,
/// ever differs by them.
pub(super) fn of(engine: &Engine, wanted: Wanted<'_>, recipe: &Recipe) -> HashMap<String, String> {
    let build = wanted.build;
    let mut all = HashMap::new();
    let mut say = |name: &str, value: String| all.insert(name.to_owned(), value);
    say("filename", recipe.name.clone());
    if let Some(target) = &build.target {
        say("target", target.clone());
    }
    if let Some(platform) = wanted.platform() {
        say("platform", platform.to_owned());
    }
    if build.no_cache {
        say("no-cache", String::new());
    }
    if build.pull {
        say("image-resolve-mode", "pull".to_owned());
    }
    if let Some(network) = &build.network {
        say("force-network-mode", network.clone());
    }
    if let Some(bytes) = build.shm_size {
        say("shm-size", bytes.to_string());
    }
    if !build.extra_hosts.is_empty() {
        say("add-hosts", hosts(build));
    }
    all.extend(named(&build.args, "build-arg"));
    all.extend(named(&build.labels, "label"));
    all.extend(named(&engine.labels(&[]), "label"));
    all.extend(contexts(build));
    all
}

fn hosts(build: &Build) -> String {
    let hosts = build.extra_hosts.iter();
    let hosts = hosts.map(|(name, address)| format!("{name}={address}"));
    hosts.collect::<Vec<_>>().join(",")
}

fn named<'a>(
    from: impl IntoIterator<Item = (&'a String, &'a String)>,
    kind: &str,
) -> impl Iterator<Item = (String, String)> {
    from.into_iter()
        .map(move |(name, value)| (format!("{kind}:{name}"), value.clone()))
}

fn contexts(build: &Build) -> impl Iterator<Item = (String, String)> {
    build.contexts.iter().map(|(name, context)| {
        let from = match context {
            BuildContext::Folder(_) => format!("local:{}", session::context_name(name)),
            BuildContext::Image(image) => format!("docker-image://{image}"),
            BuildContext::Other(other) | BuildContext::Service(other) => other.clone(),
        };
        (format!("context:{name}"), from)
    })
}

/// What the steps of a build may do beyond the usual.
pub(super) fn entitlements(build: &Build) -> Vec<String> {
    let on_host = build.network.as_deref() == Some("host");
    let own = on_host.then(|| Build::HOSTS_NETWORK.to_owned());
    let all: BTreeSet<String> = build.entitlements.iter().cloned().chain(own).collect();
    all.into_iter().collect()
}
