//! `stages.faults`: what is done to the authentication dependency.

use super::super::settings::{AuthChange, AuthFault, Faults};
use super::fields::{Fields, Reader};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::Node;

/// The grammar lets through only what is built.
pub(super) fn faults(fields: &Fields) -> Faults {
    let words = fields.texts("auth");
    let asked = |name: &str| words.iter().any(|word| word == name);
    let (faults, changes) = (AuthFault::ALL.iter(), AuthChange::ALL.iter());
    Faults {
        auth: faults.filter(|fault| asked(fault.as_str())).copied().collect(),
        changes: changes.filter(|change| asked(change.as_str())).copied().collect(),
    }
}

/// What has no fault to bear cannot be asked how it bears one.
pub(super) fn need_auth(reader: &Reader, document: &Node) {
    let stages = document.get("stages");
    let is_given = document.get("auth").is_some_and(|auth| !auth.is_null());
    if let (Some(entry), false) = (stages.and_then(|stages| stages.entry("faults")), is_given) {
        let error = Diagnostic::at(
            &entry.key_span,
            "`faults` are those of the authentication dependency, and there is no `auth`",
        );
        reader.refuse(error.help("say which service it is: `auth: {service: …}`, or take `faults` out"));
    }
}
