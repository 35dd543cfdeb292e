//! What one of a release's services asks of a directory, and what it tells.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::front::calls::{CallSeen, Carried, LdapSaid, Nested, Said};
use crate::check::asked::taken;
use crate::mirror::names::calls::{Called, Caller};
use crate::record::calls::Taken;

/// The control by which a client asks for referrals as for entries (RFC 3296).
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// Results for want of TLS, or of a stronger bind.
const TOO_WEAK: [u32; 2] = [8, 13];
/// Binds that send the password itself.
const SEND_PASSWORDS: [&str; 3] = ["bind simple", "bind PLAIN", "bind LOGIN"];
/// Schemes by which a password is as good as read, and those that a table of passwords opens; all others are salted.
const WEAKEST: &str = "clear";
const WEAK: [&str; 3] = ["{MD5}", "{SHA}", "{CRYPT}"];

/// One asker's calls, in order.
pub(super) struct Side<'a>(Vec<&'a CallSeen>);

/// What makes calls alike: the operation, and of a search its scope and the shape of its filter.
pub(super) type Kind = (String, Option<(String, String)>);

impl<'a> Side<'a> {
    /// Those of one asker; of one that is new all of them, since nobody knows whose place it takes.
    pub(super) fn of(calls: impl Iterator<Item = &'a Called>, by: &Caller) -> Self {
        let calls: Vec<&Called> = calls.collect();
        let is_known = calls.iter().any(|called| called.by == *by);
        let own = calls.into_iter().filter(|called| !is_known || called.by == *by);
        Self(own.map(|called| &called.call).collect())
    }

    fn ldap(&self) -> impl Iterator<Item = (&'a CallSeen, &'a LdapSaid)> {
        self.0.iter().filter_map(|call| match &call.said {
            Said::Ldap(ldap) => Some((*call, ldap)),
            _ => None,
        })
    }

    /// The first bind that shows a password to whoever listens.
    pub(super) fn shows_password(&self) -> Option<(&'a CallSeen, &'a LdapSaid)> {
        self.ldap()
            .find(|(_, ldap)| ldap.carried == Carried::Clear && SEND_PASSWORDS.contains(&ldap.operation.as_str()))
    }

    /// How it keeps passwords from whoever listens, if it does.
    pub(super) fn keeps_password(&self) -> Option<&'static str> {
        let is_tls = |call: &&CallSeen| matches!(&call.said, Said::Tls(tls) if tls.alert.is_none());
        let is_ldaps = |call: &&CallSeen| is_tls(call) && (call.port % 1000 == 636 || call.port == 3269);
        let turns =
            |(call, ldap): (&CallSeen, &LdapSaid)| ldap.operation == "StartTLS" && taken(call) == Taken::Granted;
        let proves = |ldap: &LdapSaid| {
            let means = ldap.operation.strip_prefix("bind ");
            means.is_some_and(|means| means != "anonymous" && !SEND_PASSWORDS.contains(&ldap.operation.as_str()))
        };
        if self.ldap().any(turns) {
            Some("turns to TLS by StartTLS first")
        } else if self.0.iter().any(is_ldaps) {
            Some("asks over ldaps")
        } else if self.ldap().any(|(_, ldap)| ldap.carried == Carried::Tls) {
            Some("asks within TLS")
        } else if self.ldap().any(|(_, ldap)| proves(ldap)) {
            Some("binds by a mechanism that does not send it")
        } else {
            None
        }
    }

    /// What is refused for want of TLS or of a stronger bind.
    pub(super) fn too_weak(&self) -> impl Iterator<Item = (&'a CallSeen, &'a LdapSaid)> {
        self.ldap()
            .filter(|(_, ldap)| ldap.result.is_some_and(|result| TOO_WEAK.contains(&result)))
    }

    /// What is refused.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'a CallSeen, &'a LdapSaid)> {
        self.ldap().filter(|(call, _)| taken(call) == Taken::Refused)
    }

    /// It has had an answer to the like that was no refusal.
    pub(super) fn was_granted(&self, wanted: &Kind) -> bool {
        self.ldap()
            .any(|(call, ldap)| taken(call) == Taken::Granted && kind(ldap) == *wanted)
    }

    /// The like was refused by this result.
    pub(super) fn was_refused(&self, wanted: &Kind, result: Option<u32>) -> bool {
        self.refused()
            .any(|(_, ldap)| ldap.result == result && kind(ldap) == *wanted)
    }

    /// From which service a referral led it to which other one.
    pub(super) fn followed(&self) -> BTreeSet<(String, String)> {
        let refers = self.ldap().filter(|(_, ldap)| !ldap.referrals.is_empty());
        let followed = refers.flat_map(|(from, _)| {
            let later = self
                .0
                .iter()
                .filter(|call| call.at_ms >= from.at_ms && call.service != from.service);
            later.map(|to| (from.service.clone(), to.service.clone()))
        });
        followed.collect()
    }

    /// A referral of that service came, or it was asked for none.
    pub(super) fn passes_over(&self, from: &str) -> Option<&'a LdapSaid> {
        let mut own = self
            .ldap()
            .filter(|(call, _)| call.service == from)
            .map(|(_, ldap)| ldap);
        let is_one = |ldap: &&LdapSaid| {
            !ldap.referrals.is_empty() || ldap.controls.iter().any(|control| control == MANAGE_DSA_IT)
        };
        own.find(is_one)
    }

    /// It has asked something there.
    pub(super) fn asks(&self, service: &str) -> bool {
        self.0.iter().any(|call| call.service == service)
    }

    /// It has searched so that it could be read.
    pub(super) fn searches(&self) -> bool {
        self.ldap().any(|(_, ldap)| ldap.search.is_some())
    }

    /// The ways in which it follows groups within groups.
    pub(super) fn nested(&self) -> BTreeSet<Nested> {
        self.ldap()
            .filter_map(|(_, ldap)| ldap.search.as_ref()?.nested)
            .collect()
    }

    /// Each kind of search for groups within groups, and the most entries that came.
    pub(super) fn found_nested(&self) -> BTreeMap<Kind, u32> {
        let mut found = BTreeMap::new();
        for (_, ldap) in self.ldap() {
            if let Some(search) = ldap.search.as_ref().filter(|search| search.nested.is_some()) {
                let most: &mut u32 = found.entry(kind(ldap)).or_default();
                *most = search.entries.max(*most);
            }
        }
        found
    }

    /// How the passwords are stored that it writes.
    pub(super) fn schemes(&self) -> BTreeSet<&'a str> {
        self.ldap()
            .flat_map(|(_, ldap)| ldap.schemes.iter().map(String::as_str))
            .collect()
    }
}

/// What makes it alike to others.
pub(super) fn kind(ldap: &LdapSaid) -> Kind {
    let search = ldap.search.as_ref();
    let shape = search.map(|search| (search.scope.clone(), search.filter.clone()));
    (ldap.operation.clone(), shape)
}

/// How well a scheme keeps a password.
pub(super) fn strength(scheme: &str) -> u8 {
    match scheme {
        WEAKEST => 0,
        weak if WEAK.contains(&weak) => 1,
        _ => 2,
    }
}
