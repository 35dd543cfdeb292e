//! Compares: the mirror with the lock, fact by fact, and a lock with a newer one. The lock's facts are the questions;
//! what it does not say is not asked, so that a lock outlives a release of Rehearsal that knows more probes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::facts::{AuthFacts, Facts, Lock, ServiceFacts};
use super::probe::{self, Kind};
use super::write;
use crate::record::fidelity::{Fidelity, FidelityState};

/// What a service is in the mirror.
#[derive(Debug, Clone, Default)]
pub struct Mirrored {
    /// Reference.
    pub image: String,
    /// Digests by which the image may be known: the registry's, its own id.
    pub digests: Vec<String>,
    /// What the probes said; `None` where they could not be asked.
    pub facts: Option<Facts>,
}

/// Who is who in the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    /// Services of the authentication dependency, the product first.
    pub auth: &'a [String],
    /// Services that the candidate replaces.
    pub baseline: &'a [String],
}

impl Roles<'_> {
    /// Whether a difference in this service makes the mirror useless.
    pub fn decide(&self, service: &str) -> bool {
        self.auth.iter().chain(self.baseline).any(|name| name == service)
    }
}

/// The fidelity table: one row for each fact of each service of the mirror, and of the lock.
pub fn fidelity(lock: &Lock, mirror: &BTreeMap<String, Mirrored>, roles: Roles<'_>) -> Vec<Fidelity> {
    let names: BTreeSet<&String> = lock.services.keys().chain(mirror.keys()).collect();
    let of = |name: &String| match (mirror.get(name), lock.services.get(name)) {
        (Some(mirrored), production) => {
            let facts = lock.facts_of(name, roles.auth);
            Compared {
                name,
                production,
                facts,
                mirrored,
                lock,
                roles,
            }
            .rows()
        }
        (None, Some(production)) => vec![row(
            name,
            "service",
            Some(production.image.clone().unwrap_or_else(|| "runs".to_owned())),
            None,
            FidelityState::Differs,
        )],
        (None, None) => Vec::new(),
    };
    names.into_iter().flat_map(of).collect()
}

/// One row of the table.
pub fn row(
    service: &str,
    fact: &str,
    production: Option<String>,
    mirror: Option<String>,
    state: FidelityState,
) -> Fidelity {
    Fidelity {
        service: service.to_owned(),
        fact: fact.to_owned(),
        production,
        mirror,
        state,
    }
}

/// One service of both.
struct Compared<'a> {
    name: &'a str,
    production: Option<&'a ServiceFacts>,
    facts: Facts,
    mirrored: &'a Mirrored,
    lock: &'a Lock,
    roles: Roles<'a>,
}

impl Compared<'_> {
    fn rows(&self) -> Vec<Fidelity> {
        if self.production.is_none() && self.facts.is_empty() {
            return vec![row(
                self.name,
                "service",
                None,
                Some(self.mirrored.image.clone()),
                FidelityState::Unknown,
            )];
        }
        let facts = self.facts.iter().map(|(fact, value)| self.fact(fact, value));
        self.image().into_iter().chain(facts).collect()
    }

    fn digest(&self) -> Option<&str> {
        self.production?.digest.as_deref()
    }

    fn same_image(&self) -> bool {
        self.digest()
            .is_some_and(|digest| self.mirrored.digests.iter().any(|known| known == digest))
    }

    /// Facts of a server say more than those of the container that stands for it.
    fn is_plain_server(&self) -> bool {
        self.production
            .is_none_or(|production| production.image.is_none() && production.digest.is_none())
    }

    /// A probe tells this product's version. What the baseline is, only a probe of the user's own can tell: one that
    /// is built in may know some other program in the same image.
    fn product_is_known(&self) -> bool {
        let baseline = self.roles.baseline.iter().any(|name| name == self.name);
        let known = |fact: &String| {
            if baseline {
                self.lock.probes.contains_key(fact)
            } else {
                probe::kind(fact) == Kind::Product
            }
        };
        self.facts.keys().any(known)
    }

    fn image(&self) -> Option<Fidelity> {
        let state = match (self.digest(), self.product_is_known()) {
            (Some(_), _) if self.same_image() => FidelityState::Same,
            (Some(_), true) => FidelityState::StandIn,
            (Some(_), false) => FidelityState::Differs,
            (None, true) => return None,
            (None, false) => FidelityState::Unknown,
        };
        let production = self
            .digest()
            .map(str::to_owned)
            .or_else(|| self.production?.image.clone());
        let mirror = match state {
            FidelityState::Same => production.clone(),
            _ => self
                .mirrored
                .digests
                .first()
                .cloned()
                .or_else(|| Some(self.mirrored.image.clone())),
        };
        Some(row(self.name, "image", production, mirror, state))
    }

    fn fact(&self, fact: &str, production: &str) -> Fidelity {
        let mirror = self.mirrored.facts.as_ref().and_then(|facts| facts.get(fact));
        let kind = probe::kind(fact);
        let state = match (mirror, &self.mirrored.facts) {
            (Some(mirror), _) if mirror == production => FidelityState::Same,
            _ if kind == Kind::Machine => FidelityState::StandIn,
            _ if kind == Kind::Packages && self.is_plain_server() => FidelityState::StandIn,
            (Some(_), _) => FidelityState::Differs,
            (None, None) if self.same_image() => FidelityState::Same,
            (None, None) => FidelityState::Unknown,
            (None, Some(_)) if self.is_plain_server() && kind != Kind::Product => FidelityState::StandIn,
            (None, Some(_)) => FidelityState::Differs,
        };
        row(self.name, fact, Some(production.to_owned()), mirror.cloned(), state)
    }
}

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// `services.db.facts.postgres`.
    pub place: String,
    /// As the lock has it.
    pub was: Option<String>,
    /// As production is.
    pub is: Option<String>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
        write!(f, "{}: was {}, is {}", self.place, word(&self.was), word(&self.is))
    }
}

/// What has moved since a lock was taken. When and by what it was taken is no difference; nor is what the newer one
/// did not ask, nor a certificate's dates and names, which change whenever it is renewed.
pub fn moved(old: &Lock, new: &Lock) -> Vec<Moved> {
    let (old_leaves, new_leaves) = (leaves(old), leaves(new));
    let places: BTreeSet<&String> = old_leaves.keys().chain(new_leaves.keys()).collect();
    let of = |place: &String| Moved {
        place: place.clone(),
        was: old_leaves.get(place).cloned(),
        is: new_leaves.get(place).cloned(),
    };
    places
        .into_iter()
        .filter(|place| was_asked(place, new.auth.as_ref()) && !is_renewed(place))
        .map(of)
        .filter(|moved| moved.was != moved.is)
        .collect()
}

/// Containers alone tell the product; its public endpoints the rest, its documents only where they could be read.
fn was_asked(place: &str, auth: Option<&AuthFacts>) -> bool {
    let Some(place) = place.strip_prefix("auth.") else {
        return true;
    };
    let document = ["discovery", "jwks", "capabilities"]
        .iter()
        .any(|document| place.starts_with(document));
    auth.is_some_and(|auth| match place {
        _ if place.starts_with("product") => true,
        _ if document => auth.discovery.is_some(),
        _ => auth.issuer.is_some(),
    })
}

fn is_renewed(place: &str) -> bool {
    let certificate = place.strip_prefix("auth.tls.chain[");
    certificate.is_some_and(|rest| rest.ends_with(".not_after") || rest.contains(".names["))
}

fn leaves(lock: &Lock) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let value = write::value(lock);
    for part in ["services", "auth"] {
        flatten(part, &value[part], &mut all);
    }
    all
}

fn flatten(place: &str, value: &serde_json::Value, all: &mut BTreeMap<String, String>) {
    use serde_json::Value::{Array, Null, Object, String};
    match value {
        Object(entries) => entries
            .iter()
            .for_each(|(key, value)| flatten(&format!("{place}.{key}"), value, all)),
        Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| flatten(&format!("{place}[{at}]"), value, all)),
        // A service that is asked and says nothing is still there.
        Null if place == "auth" || place == "services" => {}
        String(text) => drop(all.insert(place.to_owned(), text.clone())),
        other => drop(all.insert(place.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::span::Source;

    fn lock(services: &str) -> Lock {
        let text = format!("version: 1\ncaptured: {{at: 2026-11-20T09:00:00Z}}\n{services}\n");
        super::super::read::parse(std::sync::Arc::new(Source { path: "l".into(), text })).expect("a lock")
    }

    fn mirrored(digest: &str, facts: &[(&str, &str)]) -> Mirrored {
        let facts = facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Mirrored {
            image: "x:1".to_owned(),
            digests: vec![digest.to_owned()],
            facts: Some(facts),
        }
    }

    /// `FACT STATE` of one service.
    fn states(services: &str, mirror: Mirrored, auth: &[&str], baseline: &[&str]) -> Vec<String> {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let (auth, baseline) = (names(auth), names(baseline));
        let mirror = BTreeMap::from([("s".to_owned(), mirror)]);
        let rows = fidelity(
            &lock(services),
            &mirror,
            Roles {
                auth: &auth,
                baseline: &baseline,
            },
        );
        rows.into_iter()
            .map(|row| format!("{} {}", row.fact, row.state))
            .collect()
    }

    #[test]
    fn a_product_that_a_probe_knows_is_compared_by_version() {
        let production = "services: {s: {image: x, digest: d1, facts: {postgres: '13.16', kernel: '5'}}}";
        let same = states(
            production,
            mirrored("d2", &[("postgres", "13.16"), ("kernel", "6")]),
            &[],
            &[],
        );
        assert_eq!(same, ["image stand-in", "kernel stand-in", "postgres same"]);
        let differs = states(production, mirrored("d2", &[("postgres", "15.1")]), &[], &[]);
        assert_eq!(differs, ["image stand-in", "kernel stand-in", "postgres differs"]);
        let absent = states(production, mirrored("d2", &[]), &[], &[]);
        assert_eq!(absent[2], "postgres differs");
    }

    #[test]
    fn a_product_that_no_probe_knows_is_same_where_its_digest_is() {
        let production = "services: {s: {image: x, digest: d1, facts: {python: '3.9.2'}}}";
        assert_eq!(
            states(production, mirrored("d1", &[("python", "3.9.2")]), &[], &["s"]),
            ["image same", "python same"]
        );
        assert_eq!(
            states(production, mirrored("d2", &[("python", "3.9.2")]), &[], &["s"])[0],
            "image differs"
        );
        let distroless = Mirrored {
            facts: None,
            ..mirrored("d1", &[])
        };
        assert_eq!(states(production, distroless, &[], &[]), ["image same", "python same"]);
    }

    #[test]
    fn what_the_baseline_is_only_the_users_own_probe_can_tell() {
        let facts = "services: {s: {image: x, digest: d1, facts: {nginx: '1.18', shop: '1.0'}}}";
        let mirror = || mirrored("d2", &[("nginx", "1.18"), ("shop", "1.0")]);
        assert_eq!(states(facts, mirror(), &[], &["s"])[0], "image differs");
        assert_eq!(
            states(
                &format!("probes: {{shop: {{command: c}}}}\n{facts}"),
                mirror(),
                &[],
                &["s"]
            )[0],
            "image stand-in"
        );
    }

    #[test]
    fn a_plain_server_has_more_than_its_container_and_no_digest() {
        let production = "services: {s: {facts: {haproxy: '2.2', perl: '5.32', os: debian 11, dpkg: 9 packages}}}";
        let mirror = mirrored("d", &[("haproxy", "2.2"), ("os", "debian 12"), ("dpkg", "1 packages")]);
        assert_eq!(
            states(production, mirror, &["s"], &[]),
            ["dpkg stand-in", "haproxy same", "os differs", "perl stand-in"]
        );
        let nameless = "services: {s: {facts: {perl: '5.32'}}}";
        assert_eq!(
            states(nameless, mirrored("d", &[("perl", "5.32")]), &[], &["s"]),
            ["image unknown", "perl same"]
        );
    }

    #[test]
    fn the_product_of_auth_is_a_fact_of_its_first_service() {
        let production = "auth: {product: {name: keycloak, version: 12.0.4}}";
        assert_eq!(
            states(production, mirrored("d", &[("keycloak", "12.0.4")]), &["s"], &[]),
            ["keycloak same"]
        );
        assert_eq!(
            states(production, mirrored("d", &[]), &["other"], &[]),
            ["service unknown"]
        );
    }

    #[test]
    fn what_moved_is_named_by_its_place() {
        let old = lock(
            "services: {s: {image: x, digest: d1, facts: {postgres: '13.16'}}, gone: {image: y}}\nauth: {issuer: i}",
        );
        let new = lock("services: {s: {image: x, digest: d2, facts: {postgres: '13.16', os: debian 11}}}");
        let moved: Vec<String> = moved(&old, &new).iter().map(Moved::to_string).collect();
        assert_eq!(
            moved,
            [
                "services.gone.image: was y, is absent",
                "services.s.digest: was d1, is d2",
                "services.s.facts.os: was absent, is debian 11",
            ]
        );
        assert!(super::moved(&old, &old).is_empty());
    }

    #[test]
    fn a_renewed_certificate_is_no_difference_and_another_one_is() {
        let tls = |signature: &str, until: &str, name: &str| {
            lock(&format!(
                "auth: {{issuer: 'https://i', tls: {{protocols: [TLSv1.2], chain: [{{subject: CN=i, signature: {signature}, \
                 aki: present, names: [{name}], not_after: {until}}}]}}}}"
            ))
        };
        let old = tls("sha256WithRSA", "2026-12-01T00:00:00Z", "i");
        assert!(moved(&old, &tls("sha256WithRSA", "2027-12-01T00:00:00Z", "j")).is_empty());
        let other: Vec<String> = moved(&old, &tls("ecdsa-with-SHA256", "2026-12-01T00:00:00Z", "i"))
            .iter()
            .map(Moved::to_string)
            .collect();
        assert_eq!(
            other,
            ["auth.tls.chain[0].signature: was sha256WithRSA, is ecdsa-with-SHA256"]
        );
    }

    #[test]
    fn what_was_not_asked_has_not_moved() {
        let old = lock("auth: {issuer: 'https://i', product: {name: keycloak, version: '1'}, discovery: {a: b}}");
        assert!(moved(&old, &lock("auth: {product: {name: keycloak, version: '1'}}")).is_empty());
        assert!(
            moved(
                &old,
                &lock("auth: {issuer: 'https://i', product: {name: keycloak, version: '1'}}")
            )
            .is_empty()
        );
        let gone = lock("auth: {issuer: 'https://i', product: {name: keycloak, version: '1'}, discovery: null}");
        assert_eq!(moved(&old, &gone).len(), 2, "{:?}", moved(&old, &gone));
    }
}
