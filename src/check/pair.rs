//! The pair: what fails is never one image, it is (candidate, production as it is). Said the same way everywhere.

use crate::record::release::Release;

/// Both releases and what they were tried with.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// Service → candidate's image, production's image.
    pub changed: Vec<(String, String, String)>,
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

impl Pair {
    /// For the first line: `web shop:2.0 for shop:1.0, with idp provider:1.3.3`.
    pub fn short(&self) -> String {
        let one =
            |(service, new, old): &(String, String, String)| format!("{service} {} for {}", short(new), short(old));
        let changed: Vec<String> = self.changed.iter().map(one).collect();
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
        format!("{}{with}", changed.join(", "))
    }

    /// The pair; `auth` are the services of the authentication dependency.
    pub fn of(candidate: &[Release], baseline: &[Release], mirror: &[Release], auth: &[String]) -> Self {
        let words = |release: &Release| (release.service.clone(), release.image.clone());
        let (auth, others) = mirror.iter().map(words).partition(|(name, _)| auth.contains(name));
        let changed = |new: &Release| {
            let old = baseline
                .iter()
                .find(|old| old.service == new.service)
                .map(|old| old.image.clone());
            let old = old.unwrap_or_default();
            let image = if new.image == old {
                format!("{old} with changed settings")
            } else {
                new.image.clone()
            };
            (new.service.clone(), image, old)
        };
        Self {
            changed: candidate.iter().map(changed).collect(),
            auth,
            others,
        }
    }

    /// In full: `web shop:2.0 with production's idp provider:1.3.3 (production runs web shop:1.0)`.
    pub fn words(&self) -> String {
        let new: Vec<String> = self
            .changed
            .iter()
            .map(|(service, new, _)| format!("{service} {new}"))
            .collect();
        let old: Vec<String> = self
            .changed
            .iter()
            .map(|(service, _, old)| format!("{service} {old}"))
            .collect();
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
        format!("{}{with} (production runs {})", new.join(", "), old.join(", "))
    }

    /// The candidate's services and images.
    pub fn candidate(&self) -> String {
        self.changed
            .iter()
            .map(|(service, new, _)| format!("{service} {}", short(new)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Production's releases of the same services.
    pub fn baseline(&self) -> String {
        self.changed
            .iter()
            .map(|(service, _, old)| format!("{service} {}", short(old)))
            .collect::<Vec<_>>()
            .join(", ")
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
}
