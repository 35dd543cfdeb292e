//! What two trees have alike: where production's description is another tree's than the release's, the same files lie in
//! two places, and nothing changes by that.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::compose::Project;
use crate::config::settings::Tops;
use crate::world::model::{Build, BuildContext, BuildSecret, FileInside, Mount, Service, Source, World};

/// The services that the release's files describe otherwise, whatever of it the mirror has. What is said of all of them
/// (networks, volumes) is said of each.
pub(super) fn changed(production: &Project, release: &Project, tops: &Tops) -> BTreeSet<String> {
    let own = production.canonical_json();
    let mut new = release.canonical_json();
    call_as_there(&mut new, tops);
    let common = |document: &Value| {
        let mut common = document.clone();
        common.as_object_mut().and_then(|sections| sections.remove("services"));
        common
    };
    let differ = common(&own) != common(&new);
    let services = new["services"].as_object().into_iter().flatten();
    let changed = services.filter(|(name, service)| differ || own["services"].get(name) != Some(service));
    changed.map(|(name, _)| name.clone()).collect()
}

fn call_as_there(document: &mut Value, tops: &Tops) {
    match document {
        Value::String(text) => {
            *text = text.replace(&tops.here.display().to_string(), &tops.there.display().to_string());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| call_as_there(item, tops)),
        Value::Object(members) => members.values_mut().for_each(|value| call_as_there(value, tops)),
        _ => {}
    }
}

/// Lets the release's services be production's own where they are described alike and their files have the same content.
/// Of the others, folders that are the same go on where production's are: what it has written there is theirs.
pub(super) fn take_over(production: &World, release: &mut World, changed: &BTreeSet<String>, tops: &Tops) {
    for (name, service) in &mut release.services {
        match production.services.get(name) {
            Some(own) if !changed.contains(name) && has_same_files(own, service, tops) => service.clone_from(own),
            _ => go_on(production, service, tops),
        }
    }
}

fn go_on(production: &World, service: &mut Service, tops: &Tops) {
    let all = || production.services.values();
    for mount in &mut service.mounts {
        let mut own = all().flat_map(|service| &service.mounts);
        let is_same = |own: &&Mount| matches!(own.source, Source::Host(_)) && is_same_source(own, mount, tops);
        if let Some(own) = own.find(is_same) {
            mount.source = own.source.clone();
        }
    }
    if let Some(own) = production.services.get(&service.name) {
        for file in service.files.iter_mut().filter(|file| file.bound.is_none()) {
            // A secret, a config: from which of the two trees is nobody's business.
            if let Some(own) = own
                .files
                .iter()
                .find(|own| own.bound.is_none() && is_same_file(own, file))
            {
                file.clone_from(own);
            }
        }
    }
    for file in service.files.iter_mut().filter(|file| file.bound.is_some()) {
        let mut own = all().flat_map(|service| &service.files);
        let is_same = |own: &&FileInside| match (&own.bound, &file.bound) {
            (Some(own), Some(new)) => is_same_place(&own.path, &new.path, tops),
            _ => false,
        };
        if let Some(own) = own.find(is_same) {
            file.bound.clone_from(&own.bound);
            file.origin.clone_from(&own.origin);
        }
    }
}

fn has_same_files(own: &Service, new: &Service, tops: &Tops) -> bool {
    // Of a profile the path is described, and its text is what the engine is given.
    let profiles = own.limits.security_opt == new.limits.security_opt;
    let files = own.files.len() == new.files.len() && own.files.iter().zip(&new.files).all(|(a, b)| is_same_file(a, b));
    let mounts = own.mounts.len() == new.mounts.len();
    let mounts = mounts
        && own
            .mounts
            .iter()
            .zip(&new.mounts)
            .all(|(a, b)| is_same_source(a, b, tops));
    let builds = match (&own.build, &new.build) {
        (Some(own), Some(new)) => is_same_build(own, new, tops),
        (own, new) => own.is_none() && new.is_none(),
    };
    profiles && files && mounts && builds
}

fn is_same_file(own: &FileInside, new: &FileInside) -> bool {
    own.target == new.target && own.content == new.content && own.mode & 0o111 == new.mode & 0o111
}

fn is_same_source(own: &Mount, new: &Mount, tops: &Tops) -> bool {
    match (&own.source, &new.source) {
        (Source::Host(own), Source::Host(new)) => {
            is_same_place(&own.root.join(&own.below), &new.root.join(&new.below), tops)
        }
        (own, new) => own == new,
    }
}

/// What our builder refuses may have more sources than are known here.
fn is_same_build(own: &Build, new: &Build, tops: &Tops) -> bool {
    let dockerfile = |build: &Build| build.context.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let is_known = own.refusal.is_none() && new.refusal.is_none();
    is_known
        && is_same_place(&own.context, &new.context, tops)
        && is_same_place(&dockerfile(own), &dockerfile(new), tops)
        && own.contexts.len() == new.contexts.len()
        && own
            .contexts
            .iter()
            .zip(&new.contexts)
            .all(|(a, b)| is_same_context(a, b, tops))
        && own.secrets.len() == new.secrets.len()
        && own
            .secrets
            .iter()
            .zip(&new.secrets)
            .all(|(a, b)| is_same_secret(a, b, tops))
}

fn is_same_context((a, own): (&String, &BuildContext), (b, new): (&String, &BuildContext), tops: &Tops) -> bool {
    let alike = match (own, new) {
        (BuildContext::Folder(own), BuildContext::Folder(new)) => is_same_place(own, new, tops),
        // What is at the end of a URL is not known.
        (BuildContext::Other(_), _) => false,
        (own, new) => own == new,
    };
    a == b && alike
}

fn is_same_secret((a, own): (&String, &BuildSecret), (b, new): (&String, &BuildSecret), tops: &Tops) -> bool {
    let alike = match (own, new) {
        (BuildSecret::File(own), BuildSecret::File(new)) => is_same_place(own, new, tops),
        (own, new) => own == new,
    };
    a == b && alike
}

/// The same path in both trees, or outside of both, and the same content. A link is what it leads to.
fn is_same_place(own: &Path, new: &Path, tops: &Tops) -> bool {
    let top = std::fs::canonicalize(&tops.there).unwrap_or_default();
    match (std::fs::canonicalize(own), std::fs::canonicalize(new)) {
        (Ok(own), Ok(new)) => is_same_path((&own, &top), (&new, &tops.here)) && is_same(&own, &new),
        // Neither is there, as with a Dockerfile that is written inline, or a folder that production fills.
        (Err(_), Err(_)) => is_same_path((own, &tops.there), (new, &tops.here)),
        _ => false,
    }
}

fn is_same_path((own, there): (&Path, &Path), (new, here): (&Path, &Path)) -> bool {
    match (own.strip_prefix(there), new.strip_prefix(here)) {
        (Ok(own), Ok(new)) => own == new,
        (Err(_), Err(_)) => own == new,
        _ => false,
    }
}

/// Names, kinds, whether it may be executed, and contents. What git keeps beside a checkout is nobody's file.
fn is_same(own: &Path, new: &Path) -> bool {
    let facts = |path: &Path| std::fs::symlink_metadata(path).ok();
    let (Some(a), Some(b)) = (facts(own), facts(new)) else {
        return false;
    };
    match (a.is_dir(), b.is_dir()) {
        (true, true) => has_same_entries(own, new),
        (false, false) if a.is_symlink() || b.is_symlink() => {
            match (std::fs::read_link(own), std::fs::read_link(new)) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            }
        }
        (false, false) => is_same_content((own, &a), (new, &b)),
        _ => false,
    }
}

fn has_same_entries(own: &Path, new: &Path) -> bool {
    match (names(own), names(new)) {
        (Some(a), Some(b)) => a == b && a.iter().all(|name| is_same(&own.join(name), &new.join(name))),
        _ => false,
    }
}

fn names(folder: &Path) -> Option<BTreeSet<PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
    let mut names: BTreeSet<PathBuf> = names.collect::<Result<_, _>>().ok()?;
    names.remove(Path::new(".git"));
    Some(names)
}

fn is_same_content((own, a): (&Path, &Metadata), (new, b): (&Path, &Metadata)) -> bool {
    let programs = [a, b].map(|facts| facts.permissions().mode() & 0o111 != 0);
    let alike = a.is_file() && b.is_file() && a.len() == b.len() && programs[0] == programs[1];
    alike && matches!((std::fs::read(own), std::fs::read(new)), (Ok(a), Ok(b)) if a == b)
}
