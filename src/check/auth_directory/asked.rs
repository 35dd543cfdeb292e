//! What a release has asked over LDAP, and why two of them cannot be compared.

use serde::Serialize;

use crate::agent::front::calls::Said;
use crate::check::Unanswered;
use crate::mirror::names::calls::Called;

/// What was asked over LDAP, and over TLS, of which nothing more is known.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// By a sign-in.
    pub(super) sign_in: Vec<Called>,
    /// By all else.
    pub(super) others: Vec<Called>,
    /// Where calls may have gone past the fronts.
    unseen: Vec<String>,
    /// Why the two releases cannot be compared.
    #[serde(skip)]
    pub(super) left: Option<Unanswered>,
}

impl Asked {
    pub(super) fn of(sign_in: &[Called], others: &[Called], unseen: Vec<String>) -> Self {
        let read = |calls: &[Called]| {
            let read = calls.iter().filter(|called| is_ldap(called) || is_tls(called));
            read.cloned().collect()
        };
        Self {
            sign_in: read(sign_in),
            others: read(others),
            unseen,
            left: None,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Called> {
        self.sign_in.iter().chain(&self.others)
    }

    /// Why nothing can be compared, beside what production's release asked.
    pub(super) fn left_beside(&self, before: &Self) -> Option<Unanswered> {
        let skipped = |why: &str| {
            let unseen = self.unseen.iter().map(|why| format!("; {why}"));
            Some(Unanswered::Skipped(format!("{why}{}", unseen.collect::<String>())))
        };
        match (before.all().any(is_ldap), self.all().any(is_ldap)) {
            (true, true) => None,
            (false, _) => skipped(
                "no call of production's release over LDAP was seen at the fronts; what is asked within TLS passes unread",
            ),
            (true, false) if self.all().any(is_tls) => {
                skipped("the candidate asks within TLS alone, which passes unread; production's release asks over LDAP")
            }
            (true, false) => Some(Unanswered::NotRun(
                "production's release asks over LDAP, and no such call of the candidate was seen at the fronts"
                    .to_owned(),
            )),
        }
    }
}

fn is_ldap(called: &Called) -> bool {
    matches!(called.call.said, Said::Ldap(_))
}

fn is_tls(called: &Called) -> bool {
    matches!(called.call.said, Said::Tls(_))
}
