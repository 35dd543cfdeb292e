//! An image as a read-only file system: what lies at a path, behind its links, and with which variables the image's
//! processes run. Read through a container that is never started, so that images without a shell are read as well.

use std::collections::BTreeMap;

use anyhow::Result;
use bollard::models::{ContainerCreateBody, HostConfig};

use super::Engine;
use super::archive;
use crate::world::model::FileInside;

/// Links are followed this far.
const MOST_LINKS: usize = 8;

/// An image that is looked into. [`ImageFiles::close`] it: else its container stays until the run is swept.
pub struct ImageFiles<'e> {
    engine: &'e Engine,
    container: String,
    env: BTreeMap<String, String>,
}

impl<'e> ImageFiles<'e> {
    /// Opens an image, with a service's variables over its own (`None` = taken out). `name` is the container's.
    ///
    /// # Errors
    /// The engine cannot make a container of the image.
    pub async fn open(engine: &'e Engine, name: &str, image: &str, env: &[(String, Option<String>)]) -> Result<Self> {
        let entry = |(name, value): &(String, Option<String>)| {
            value
                .as_ref()
                .map_or_else(|| name.clone(), |value| format!("{name}={value}"))
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["never-started".to_owned()]),
            env: Some(env.iter().map(entry).collect()),
            labels: Some(engine.labels(&[])),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let container = engine.create_container(name, "", body).await?;
        let env = environment(engine, &container).await?;
        Ok(Self { engine, container, env })
    }

    /// The image's variables with the service's over them, as the engine merges them.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The file behind all links at a path; `None` where none is, where something else is, and where it is larger than
    /// `largest` bytes.
    pub async fn read(&self, path: String, largest: usize) -> Option<FileInside> {
        let mut path = path;
        for _ in 0..MOST_LINKS {
            let archive = self.engine.download(&self.container, &path, largest).await.ok()?;
            match archive::first_in(&archive).ok()?? {
                archive::First::File {
                    content,
                    mode,
                    uid,
                    gid,
                } => {
                    return Some(FileInside {
                        target: path,
                        content,
                        mode,
                        uid,
                        gid,
                        origin: None,
                        bound: None,
                    });
                }
                archive::First::Link(target) => path = joined(&path, &target),
            }
        }
        None
    }

    /// Whether anything is at a path.
    pub async fn has(&self, path: &str) -> bool {
        self.engine.link_target(&self.container, path).await.is_some()
    }

    /// The first that `wanted` takes of the names to which the links at a path lead, one after the other.
    pub async fn linked(&self, path: String, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut path = path;
        for _ in 0..MOST_LINKS {
            let target = self.engine.link_target(&self.container, &path).await?;
            let name = target.rsplit('/').next().unwrap_or_default();
            if wanted(name) {
                return Some(name.to_owned());
            }
            if target.is_empty() {
                return None;
            }
            path = joined(&path, &target);
        }
        None
    }

    /// The image is not looked into any more.
    pub async fn close(self) {
        // What cannot be removed now is found by the sweep at the end.
        let _removed = self.engine.remove_container(&self.container).await;
    }
}

async fn environment(engine: &Engine, container: &str) -> Result<BTreeMap<String, String>> {
    let all = engine
        .inspect(container)
        .await?
        .config
        .and_then(|config| config.env)
        .unwrap_or_default();
    Ok(all
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// What a link's target is, seen from the link.
fn joined(link: &str, target: &str) -> String {
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    let full = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("{folder}/{target}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_link_is_followed_from_where_it_stands() {
        assert_eq!(
            joined("/etc/pki/tls/certs/ca-bundle.crt", "../../ca-trust/x.pem"),
            "/etc/pki/ca-trust/x.pem"
        );
        assert_eq!(joined("/etc/ssl/cert.pem", "/a/./b"), "/a/b");
        assert_eq!(joined("/a", "../../../b"), "/b");
    }
}
