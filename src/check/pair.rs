//! The pair: what fails is never one image, it is (candidate, production as it is). Said the same way everywhere.

use std::collections::BTreeMap;

use crate::mirror::model::Service;

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
    /// The pair of a run.
    pub fn of(
        baseline: &BTreeMap<String, Service>,
        candidate: &BTreeMap<String, Service>,
        rest: &BTreeMap<String, Service>,
        auth: &[String],
    ) -> Self {
        let old = |name: &String| baseline.get(name).map(|service| service.image.clone()).unwrap_or_default();
        let image = |(name, service): (&String, &Service)| (name.clone(), service.image.clone());
        let (auth, others): (Vec<_>, Vec<_>) = rest
            .iter()
            .filter(|(name, _)| !candidate.contains_key(*name))
            .map(image)
            .partition(|(name, _)| auth.contains(name));
        Self {
            changed: candidate.iter().map(|(name, new)| (name.clone(), new.image.clone(), old(name))).collect(),
            auth,
            others,
        }
    }

    /// `web shop:2.0 against production's idp provider:1.3.3 (production runs web shop:1.0)`.
    pub fn words(&self) -> String {
        let new: Vec<String> = self.changed.iter().map(|(service, new, _)| format!("{service} {new}")).collect();
        let old: Vec<String> = self.changed.iter().map(|(service, _, old)| format!("{service} {old}")).collect();
        let with = if self.auth.is_empty() { &self.others } else { &self.auth };
        let with: Vec<String> = with.iter().map(|(service, image)| format!("{service} {image}")).collect();
        let against = if with.is_empty() { String::new() } else { format!(" against production's {}", with.join(", ")) };
        format!("{}{against} (production runs {})", new.join(", "), old.join(", "))
    }

    /// The candidate's services and images.
    pub fn candidate(&self) -> String {
        self.changed.iter().map(|(service, new, _)| format!("{service} {new}")).collect::<Vec<_>>().join(", ")
    }

    /// Production's releases of the same services.
    pub fn baseline(&self) -> String {
        self.changed.iter().map(|(service, _, old)| format!("{service} {old}")).collect::<Vec<_>>().join(", ")
    }

    /// The authentication dependency.
    pub fn auth(&self) -> String {
        self.auth.iter().map(|(service, image)| format!("{service} {image}")).collect::<Vec<_>>().join(", ")
    }
}
