//! Marked secrets: what a reader must know about those that are ordinary words, and none of them in an error.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::redact::{Redactor, SHORT};
use crate::yaml::diagnostic::Diagnostic;

/// A warning for each secret that is an ordinary word: it is redacted only where it stands as a value.
pub(super) fn ordinary(secrets: &BTreeMap<String, String>, names: &BTreeSet<String>) -> Vec<String> {
    secrets
        .iter()
        .filter_map(|(name, value)| warning(name, value.trim(), names))
        .collect()
}

fn warning(name: &str, value: &str, names: &BTreeSet<String>) -> Option<String> {
    let what = if value.chars().count() < SHORT {
        format!("is shorter than {SHORT} characters")
    } else if names.contains(value) {
        "is a name that reports use too".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "warning: the secret `{name}` {what}: it is redacted only where it stands as a value (in JSON, a header, a query, \
         a form or `KEY=value`); give `{name}` a longer value of its own"
    ))
}

/// The error without the values of secrets.
pub(super) fn hidden(secrets: &BTreeMap<String, String>, error: Diagnostic) -> Diagnostic {
    let redactor = Redactor::of(secrets.values());
    Diagnostic {
        message: redactor.clean(&error.message),
        label: error.label.map(|text| redactor.clean(&text)),
        help: error.help.map(|text| redactor.clean(&text)),
        span: error.span,
        required: error.required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_an_ordinary_word_is_warned_of_by_its_name_alone() {
        let secrets = [("A", "hunter22"), ("B", "xyzzy"), ("C", "storefront")];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let warnings = ordinary(&secrets, &BTreeSet::from(["storefront".to_owned()]));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("`B` is shorter than 6 characters"), "{warnings:?}");
        assert!(
            warnings[1].contains("`C` is a name that reports use too"),
            "{warnings:?}"
        );
        let said = warnings.concat();
        assert!(!said.contains("xyzzy") && !said.contains("storefront"), "{said}");
    }
}
