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

impl Pair {
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

    /// `web shop:2.0 with production's idp provider:1.3.3 (production runs web shop:1.0)`.
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
            .map(|(service, new, _)| format!("{service} {new}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Production's releases of the same services.
    pub fn baseline(&self) -> String {
        self.changed
            .iter()
            .map(|(service, _, old)| format!("{service} {old}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The authentication dependency.
    pub fn auth(&self) -> String {
        self.auth
            .iter()
            .map(|(service, image)| format!("{service} {image}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
