//! What differs between production's model and the release's, service by service, for people and in `plan.json`.
//! Variables stand there by name, never by value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::world::candidates::Candidates;
use crate::world::model::{Mount, Service, World};

/// What becomes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Another form of it comes.
    Changed,
    /// Production has nothing in that place.
    Added,
    /// The release has it no more, and its deploy stops it.
    Removed,
    /// The release has it no more, and it goes on running.
    Orphaned,
}

/// One service's difference. Of names in lists, `+` is new, `-` is gone, `~` is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Service.
    pub service: String,
    /// What becomes of it.
    pub change: Fate,
    /// Images, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<FromTo>,
    /// Variables, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Commands, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<FromTo>,
    /// Mounts and files, by their place in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// Ports that it says it listens on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Whatever else is another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<String>,
}

/// What it was, and what it will be; nothing on the side that has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FromTo {
    /// Production's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The release's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Every service that differs, in the order of names.
pub(super) fn all(release: &Candidates, production: &World) -> Vec<Difference> {
    let touched = release.touched();
    let names: BTreeSet<&String> = touched.into_iter().chain(&release.orphans).collect();
    let one = |name: &&String| {
        let (old, new) = (production.services.get(*name), release.services.get(*name));
        let change = match (old, new) {
            (_, None) if release.orphans.contains(*name) => Fate::Orphaned,
            (_, None) => Fate::Removed,
            (None, Some(_)) => Fate::Added,
            (Some(_), Some(_)) => Fate::Changed,
        };
        of(name, change, old, new)
    };
    let mut all: Vec<Difference> = names.iter().map(one).collect();
    for difference in &mut all {
        let builder = builder(&difference.service, release, production);
        difference
            .other
            .extend(builder.map(|builder| format!("build of {builder}")));
    }
    all
}

/// The service that builds the image that this one runs, where the release builds another one.
fn builder<'a>(name: &str, release: &'a Candidates, production: &World) -> Option<&'a str> {
    let own = release.services.get(name).filter(|own| own.build.is_none())?;
    let mut others = release.services.values();
    let found = others.find(|other| other.image == own.image && production.is_built_anew_by(other));
    found.map(|other| other.name.as_str())
}

fn of(name: &str, change: Fate, old: Option<&Service>, new: Option<&Service>) -> Difference {
    let image = |service: Option<&Service>| service.map(|service| service.image.clone());
    let words = |service: &Service| Some(service.command.as_ref()?.join(" "));
    let command = |service: Option<&Service>| service.and_then(words);
    // Of what comes or goes as a whole, the name of its image says enough.
    let (before, after) = match (old, new) {
        (Some(before), Some(after)) => (before, after),
        _ => {
            return Difference {
                image: FromTo::of(image(old), image(new)),
                ..Difference::none(name, change)
            };
        }
    };
    Difference {
        image: FromTo::of(image(old), image(new)),
        environment: signed(&before.env, &after.env),
        command: FromTo::of(command(old), command(new)),
        mounts: signed(&places(before), &places(after)),
        ports: signed(&ports(before), &ports(after)),
        other: other(before, after),
        ..Difference::none(name, change)
    }
}

impl Difference {
    fn none(name: &str, change: Fate) -> Self {
        Self {
            service: name.to_owned(),
            change,
            image: None,
            environment: Vec::new(),
            command: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            other: Vec::new(),
        }
    }
}

impl FromTo {
    fn of(from: Option<String>, to: Option<String>) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

/// The keys that are new, gone or of another value, with the sign of each.
fn signed<K: fmt::Display + Ord, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<String> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let sign = |key: &&K| match (before.get(key), after.get(key)) {
        (None, Some(_)) => Some('+'),
        (Some(_), None) => Some('-'),
        (old, new) => (old != new).then_some('~'),
    };
    keys.iter()
        .filter_map(|key| Some(format!("{}{key}", sign(key)?)))
        .collect()
}

/// What is where in the container.
fn places(service: &Service) -> BTreeMap<String, String> {
    let mount = |mount: &Mount| (mount.target.clone(), format!("{mount:?}"));
    let files = service.files.iter();
    let files = files.map(|file| (file.target.clone(), format!("{file:?}")));
    service.mounts.iter().map(mount).chain(files).collect()
}

fn ports(service: &Service) -> BTreeMap<u16, Vec<(u16, u16)>> {
    let outside = |port: u16| {
        service
            .outside
            .iter()
            .copied()
            .filter(move |(_, own)| *own == port)
            .collect()
    };
    service.ports.iter().map(|port| (*port, outside(*port))).collect()
}

/// Nothing that is another stays unsaid.
fn other(old: &Service, new: &Service) -> Vec<String> {
    let keys = [
        ("build", !old.is_built_as(new)),
        ("depends_on", old.depends_on != new.depends_on),
        ("domainname", old.domainname != new.domainname),
        ("entrypoint", old.entrypoint != new.entrypoint),
        ("healthcheck", old.health != new.health),
        ("hostname", old.hostname != new.hostname),
        ("labels", old.labels != new.labels),
        ("limits and rights", old.limits != new.limits),
        (
            "networks",
            (&old.networks, &old.shares_network, old.no_network)
                != (&new.networks, &new.shares_network, new.no_network),
        ),
        ("post_start", old.post_start != new.post_start),
        ("pre_stop", old.pre_stop != new.pre_stop),
        (
            "pull_policy",
            old.pull_policy != new.pull_policy && old.image == new.image,
        ),
        ("restart", old.restart != new.restart),
        ("stop_grace_period", old.stop_grace != new.stop_grace),
        ("stop_signal", old.stop_signal != new.stop_signal),
        ("user", old.user != new.user),
        ("volumes_from", old.volumes_from != new.volumes_from),
        ("working_dir", old.working_dir != new.working_dir),
    ];
    let differing = keys.into_iter().filter(|(_, differs)| *differs);
    let differing = differing.map(|(key, _)| key.to_owned());
    let (before, after) = (old.replicas.wanted, new.replicas.wanted);
    let scaled = (before != after).then(|| format!("replicas {before} → {after}"));
    differing.chain(scaled).collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = |side: fn(&FromTo) -> &Option<String>| {
            let image = self.image.as_ref().and_then(|image| side(image).as_deref());
            image.unwrap_or_default().to_owned()
        };
        let (old, new) = (image(|image| &image.from), image(|image| &image.to));
        match self.change {
            Fate::Added => write!(f, "added: {new}"),
            Fate::Removed => write!(f, "removed: {old} is stopped, its volumes stay"),
            Fate::Orphaned => write!(f, "not in the release: {old} goes on running (release.orphans)"),
            Fate::Changed => f.write_str(&self.changes().join("; ")),
        }
    }
}

impl Difference {
    fn changes(&self) -> Vec<String> {
        let pair = |what: &str, pair: &Option<FromTo>| {
            let pair = pair.as_ref()?;
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "the image's own".to_owned());
            Some(format!("{what} {} → {}", side(&pair.from), side(&pair.to)))
        };
        let list = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(" ")));
        let others = (!self.other.is_empty()).then(|| self.other.join(", "));
        let all = [
            pair("image", &self.image),
            list("environment", &self.environment),
            pair("command", &self.command),
            list("mounts", &self.mounts),
            list("ports", &self.ports),
            others,
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        if all.is_empty() {
            vec!["nothing that the files say".to_owned()]
        } else {
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::{Source, VolumeOptions};

    fn service(image: &str, env: &[(&str, &str)]) -> Service {
        let env = env.iter();
        Service {
            name: "web".to_owned(),
            image: image.to_owned(),
            env: env
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
            ..Service::default()
        }
    }

    fn said(old: Option<Service>, new: Option<Service>) -> String {
        let of = |service: Option<Service>| {
            service
                .map(|service| (service.name.clone(), service))
                .into_iter()
                .collect()
        };
        let removed = old
            .iter()
            .filter(|_| new.is_none())
            .map(|service| service.name.clone())
            .collect();
        let production = World {
            services: of(old),
            ..World::default()
        };
        let release = Candidates {
            services: of(new),
            removed,
            ..Candidates::default()
        };
        all(&release, &production)[0].to_string()
    }

    #[test]
    fn variables_are_told_by_their_names_and_never_by_their_values() {
        let old = service(
            "shop:1",
            &[("KEPT", "a"), ("GONE", "old-secret"), ("OTHER", "old-secret")],
        );
        let new = service(
            "shop:2",
            &[("KEPT", "a"), ("NEW", "new-secret"), ("OTHER", "new-secret")],
        );
        let words = said(Some(old), Some(new));
        assert_eq!(words, "image shop:1 → shop:2; environment -GONE +NEW ~OTHER");
    }

    #[test]
    fn nothing_that_is_another_stays_unsaid() {
        let old = service("shop:1", &[]);
        let new = Service {
            command: Some(vec!["serve".to_owned(), "--new".to_owned()]),
            mounts: vec![Mount {
                target: "/data".to_owned(),
                source: Source::Anonymous,
                read_only: false,
                volume: VolumeOptions::default(),
            }],
            ports: vec![80],
            user: Some("nobody".to_owned()),
            ..old.clone()
        };
        let words = said(Some(old.clone()), Some(new));
        assert_eq!(
            words,
            "command the image's own → serve --new; mounts +/data; ports +80; user"
        );
        assert_eq!(said(None, Some(old.clone())), "added: shop:1");
        assert_eq!(said(Some(old), None), "removed: shop:1 is stopped, its volumes stay");
    }
}
