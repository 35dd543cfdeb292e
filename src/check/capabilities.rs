//! Since which version a product has what a release may ask of it: from a table in which each line has its source. What
//! is not in it, nobody here knows.

use std::sync::LazyLock;

use serde::Deserialize;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Known {
    /// As the lock's probes call it.
    pub product: String,
    /// What is asked for.
    pub capability: String,
    /// The first version that has it.
    pub since: String,
    /// Where that is said, or how it was measured.
    pub source: String,
}

static TABLE: LazyLock<Vec<Known>> =
    LazyLock::new(|| serde_json::from_str(include_str!("capabilities.json")).unwrap_or_default());

/// What is known of a capability of a product.
pub fn find(product: &str, capability: &str) -> Option<&'static Known> {
    TABLE
        .iter()
        .find(|known| known.product == product && known.capability == capability)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_of_the_table_is_there_once_and_has_its_source() {
        assert!(TABLE.len() > 10);
        let lines: BTreeSet<(&str, &str)> = TABLE
            .iter()
            .map(|known| (&*known.product, &*known.capability))
            .collect();
        assert_eq!(lines.len(), TABLE.len());
        assert!(
            TABLE
                .iter()
                .all(|known| !known.source.is_empty() && !known.since.is_empty())
        );
    }

    #[test]
    fn every_product_that_people_commonly_sign_in_with_is_in_the_table() {
        let products = [
            "django-oauth-toolkit",
            "glewlwyd",
            "lemonldap-ng",
            "keycloak",
            "dex",
            "authelia",
            "authentik",
            "openldap",
            "freeradius",
        ];
        let is_missing = |product: &&str| TABLE.iter().all(|known| known.product != *product);
        let missing: Vec<&str> = products.into_iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_toolkit_of_the_incident_has_discovery_since_1_5() {
        let known = find("django-oauth-toolkit", "discovery").expect("it is known");
        assert_eq!(known.since, "1.5.0");
        assert_eq!(find("django-oauth-toolkit", "dpop"), None);
    }
}
