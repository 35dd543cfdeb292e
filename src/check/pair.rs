//! The pair: what fails is never one image, it is (candidate, production as it is). Said the same way everywhere.

use std::collections::BTreeSet;

use crate::record::release::Release;

/// Both releases and what they were tried with.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// What the release changes.
    pub changed: Vec<Place>,
    /// The authentication dependency's services and images.
    pub auth: Vec<(String, String)>,
    /// Every other service and its image.
    pub others: Vec<(String, String)>,
}

/// `registry.example.com/acme/shop:2.0@sha256:…` as `shop:2.0`; what has no tag by the beginning of its digest.
fn short(image: &str) -> String {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let name = name.rsplit('/').next().unwrap_or(name);
    let digest: String = digest.chars().take("sha256:".len() + 12).collect();
    match (name.contains(':'), digest.is_empty()) {
        (true, _) | (false, true) => name.to_owned(),
        (false, false) => format!("{name}@{digest}"),
    }
}

/// One service's place: what comes, and what production has there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Service.
    pub service: String,
    /// The candidate's image; `None` = the release has the service no more.
    pub new: Option<String>,
    /// Production's image; `None` = production has no such service.
    pub old: Option<String>,
}

impl Pair {
    /// The first service that changes: whom a finding about the release as a whole names.
    pub fn first_service(&self) -> Option<String> {
        self.changed.first().map(|place| place.service.clone())
    }

    /// For the first line: `web shop:2.0 for shop:1.0, with idp provider:1.3.3`.
    pub fn short(&self) -> String {
        let with: Vec<String> = self
            .auth
            .iter()
            .map(|(service, image)| format!("{service} {}", short(image)))
            .collect();
        let with = if with.is_empty() {
            String::new()
        } else {
            format!(", with {}", with.join(", "))
        };
        format!("{}{with}", grouped(&self.changed, Place::short).join(", "))
    }

    /// The pair; `auth` are the services of the authentication dependency.
    pub fn of(candidate: &[Release], baseline: &[Release], mirror: &[Release], auth: &[String]) -> Self {
        let words = |release: &Release| (release.service.clone(), release.image.clone());
        let (auth, others) = mirror.iter().map(words).partition(|(name, _)| auth.contains(name));
        let image_in = |releases: &[Release], service: &str| {
            let own = releases.iter().find(|release| release.service == service);
            own.map(|release| release.image.clone())
        };
        let changed = candidate.iter().map(|new| {
            let old = image_in(baseline, &new.service);
            let same = old.as_ref() == Some(&new.image);
            let settings = if same { " with changed settings" } else { "" };
            Place {
                service: new.service.clone(),
                new: Some(format!("{}{settings}", new.image)),
                old,
            }
        });
        let removed = baseline
            .iter()
            .filter(|old| image_in(candidate, &old.service).is_none());
        let removed = removed.map(|old| Place {
            service: old.service.clone(),
            new: None,
            old: Some(old.image.clone()),
        });
        Self {
            changed: changed.chain(removed).collect(),
            auth,
            others,
        }
    }

    /// In full: `web shop:2.0 with production's idp provider:1.3.3 (production runs web shop:1.0)`.
    pub fn words(&self) -> String {
        let side = |image: fn(&Place) -> &Option<String>| {
            let all = self.changed.iter();
            let all = all.filter_map(move |place| Some(format!("{} {}", place.service, image(place).as_ref()?)));
            all.collect::<Vec<_>>().join(", ")
        };
        let with = if self.auth.is_empty() { &self.others } else { &self.auth };
        let with: Vec<String> = with
            .iter()
            .map(|(service, image)| format!("{service} {image}"))
            .collect();
        let with = if with.is_empty() {
            String::new()
        } else {
            format!(" with production's {}", with.join(", "))
        };
        let (new, old) = (side(|place| &place.new), side(|place| &place.old));
        format!("{new}{with} (production runs {old})")
    }

    /// The candidate's services and images.
    pub fn candidate(&self) -> String {
        let gone = self.changed.iter().all(|place| place.new.is_none());
        match gone && !self.changed.is_empty() {
            true => grouped(&self.changed, Place::short).join(", "),
            false => self.side(|place| &place.new),
        }
    }

    /// The candidate by its image: `shop 2.0`; by its services where they are several.
    pub fn release(&self) -> String {
        let images: BTreeSet<&String> = self.changed.iter().filter_map(|place| place.new.as_ref()).collect();
        match images.iter().next().map(|image| short(image)) {
            Some(image) if images.len() == 1 && !image.contains(['@', ' ']) => image.replace(':', " "),
            _ => self.candidate(),
        }
    }

    /// Production's releases of the same services.
    pub fn baseline(&self) -> String {
        self.side(|place| &place.old)
    }

    fn side(&self, image: fn(&Place) -> &Option<String>) -> String {
        grouped(&self.changed, |place| image(place).as_deref().map(short)).join(", ")
    }

    /// The authentication dependency.
    pub fn auth(&self) -> String {
        self.auth
            .iter()
            .map(|(service, image)| format!("{service} {}", short(image)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Place {
    fn short(&self) -> Option<String> {
        Some(match (&self.new, &self.old) {
            (Some(new), Some(old)) => format!("{} for {}", short(new), short(old)),
            (Some(new), None) => format!("{}, new", short(new)),
            (None, _) => "gone".to_owned(),
        })
    }
}

/// Services of which the same is told are told together, in the order of the first.
fn grouped(places: &[Place], words: impl Fn(&Place) -> Option<String>) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for place in places {
        let Some(words) = words(place) else { continue };
        match groups.iter_mut().find(|(_, told)| *told == words) {
            Some((services, _)) => services.push(&place.service),
            None => groups.push((vec![&place.service], words)),
        }
    }
    let told = groups.into_iter();
    told.map(|(services, words)| format!("{} {words}", together(&services)))
        .collect()
}

/// `web`, `web and worker`, `web, worker and migrate`.
fn together(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_by_their_tags() {
        assert_eq!(
            short("registry.example.com:5000/acme/shop:2.0@sha256:0123456789abcdef"),
            "shop:2.0"
        );
        assert_eq!(short("acme/shop@sha256:0123456789abcdef"), "shop@sha256:0123456789ab");
        assert_eq!(short("shop"), "shop");
    }
    #[test]
    fn services_of_which_the_same_is_told_are_told_together() {
        let release = |service: &str, image: &str| Release {
            service: service.to_owned(),
            image: image.to_owned(),
            digest: None,
            pushed: None,
        };
        let new = [
            release("migrate", "shop:2"),
            release("web", "shop:2"),
            release("worker", "shop:2"),
        ];
        let old = [
            release("cache", "redis:7"),
            release("migrate", "shop:1"),
            release("web", "shop:1"),
        ];
        let pair = Pair::of(&new, &old, &[], &[]);
        assert_eq!(
            pair.short(),
            "migrate and web shop:2 for shop:1, worker shop:2, new, cache gone"
        );
        assert_eq!(pair.candidate(), "migrate, web and worker shop:2");
        assert_eq!(pair.baseline(), "migrate and web shop:1, cache redis:7");
    }
}
