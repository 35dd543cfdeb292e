//! In what the candidate's questions to a directory, and the answers, differ from production's.

use std::collections::BTreeSet;

use super::asked::Asked;
use super::side::{Kind, Side, kind, strength};
use crate::agent::front::calls::{CallSeen, LdapSaid, Nested};
use crate::check::Case;
use crate::check::asked::by;
use crate::mirror::names::calls::Caller;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::suite::directory::named;

/// All of them, asker by asker.
pub(super) fn of(case: &Case<'_>, before: &Asked, after: &Asked) -> Vec<Finding> {
    let askers: BTreeSet<&Caller> = after.all().map(|called| &called.by).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for asker in askers {
        let pair = Pair {
            case,
            asker,
            before: Side::of(before.all(), asker),
            after: Side::of(after.all(), asker),
        };
        let sign_in = Pair {
            before: Side::of(before.sign_in.iter(), asker),
            after: Side::of(after.sign_in.iter(), asker),
            ..pair
        };
        let clear = pair.shows_password();
        let weak = pair.too_weak().filter(|_| clear.is_none());
        findings.extend(clear.into_iter().chain(weak));
        findings.extend(sign_in.refused().or_else(|| pair.refused()));
        findings.extend(pair.follows_no_more());
        findings.extend(pair.nested().into_iter().chain(pair.schemes()));
    }
    findings
}

/// What one asker did with each of the releases.
struct Pair<'a> {
    case: &'a Case<'a>,
    asker: &'a Caller,
    before: Side<'a>,
    after: Side<'a>,
}

impl Pair<'_> {
    fn finding(&self, blame: Blame, detail: &str, title: String) -> Finding {
        let service = match self.asker {
            Caller::Service(name) => Some(name.clone()),
            Caller::Browser | Caller::Tests | Caller::Unknown => self.case.pair.first_service(),
        };
        Finding::new(CheckId::AuthDirectory, self.case.stage, blame, title)
            .about(service)
            .detail(detail)
    }

    fn blocks(&self, detail: &str, title: String) -> Finding {
        let help = format!(
            "do not deploy: {} does otherwise on the same mirror",
            self.case.pair.baseline()
        );
        self.finding(Blame::Candidate, detail, title).help(help)
    }

    fn asker(&self) -> String {
        by(self.asker)
    }

    fn shows_password(&self) -> Option<Finding> {
        let (call, ldap) = self.after.shows_password()?;
        let keeps = self
            .before
            .keeps_password()
            .filter(|_| self.before.shows_password().is_none())?;
        let (asker, baseline) = (self.asker(), self.case.pair.baseline());
        let refused = match ldap.result {
            Some(result) if result != 0 => format!(", and is answered {}", named(result)),
            Some(_) | None => String::new(),
        };
        let title = format!(
            "{asker} sends a password to {} in the clear ({}){refused}; {baseline} {keeps}",
            call.service, ldap.operation
        );
        Some(self.blocks("clear", title).seen(vec![line(call, ldap)]))
    }

    fn too_weak(&self) -> Option<Finding> {
        let known = |ldap: &LdapSaid| self.before.too_weak().any(|(_, old)| kind(old) == kind(ldap));
        let could = |ldap: &LdapSaid| self.before.was_granted(&kind(ldap)) || self.before.keeps_password().is_some();
        let (call, ldap) = self.after.too_weak().find(|(_, ldap)| could(ldap) && !known(ldap))?;
        let title = format!(
            "{} asks {} for what it gives only over TLS or to a stronger bind: {} is answered {}; {} is answered",
            self.asker(),
            call.service,
            words(&kind(ldap)),
            named(ldap.result.unwrap_or_default()),
            self.case.pair.baseline()
        );
        Some(self.blocks("strength", title).seen(vec![line(call, ldap)]))
    }

    fn refused(&self) -> Option<Finding> {
        let weak: Vec<Kind> = self.after.too_weak().map(|(_, ldap)| kind(ldap)).collect();
        let is_new = |ldap: &LdapSaid| {
            let kind = kind(ldap);
            let known = self.before.was_refused(&kind, ldap.result);
            self.before.was_granted(&kind) && !known && !weak.contains(&kind)
        };
        let newly: Vec<_> = self.after.refused().filter(|(_, ldap)| is_new(ldap)).collect();
        let (call, ldap) = newly.first()?;
        let title = format!(
            "{} answers {} to {} of {}; with {} it grants that",
            call.service,
            named(ldap.result.unwrap_or_default()),
            words(&kind(ldap)),
            self.asker(),
            self.case.pair.baseline()
        );
        let lines: BTreeSet<String> = newly.iter().map(|(call, ldap)| line(call, ldap)).collect();
        Some(self.blocks("refused", title).seen(lines.into_iter().collect()))
    }

    fn follows_no_more(&self) -> Option<Finding> {
        let followed = self.before.followed();
        let mut lost = followed.iter().filter(|(_, to)| !self.after.asks(to));
        let ((from, to), passed) = lost.find_map(|way| Some((way, self.after.passes_over(&way.0)?)))?;
        let title = format!(
            "{} does not follow the referral of {from} to {to} any more, as {} does",
            self.asker(),
            self.case.pair.baseline()
        );
        let seen = match passed.referrals.first() {
            Some(server) => format!(
                "{from} refers {} to {server}, and {to} is not asked",
                words(&kind(passed))
            ),
            None => format!(
                "{} asks {from} by ManageDsaIT, so that nothing is referred",
                words(&kind(passed))
            ),
        };
        Some(self.blocks("referral", title).seen(vec![seen]))
    }

    fn nested(&self) -> Option<Finding> {
        let ways = self.before.nested();
        let baseline = self.case.pair.baseline();
        let first = ways.first()?;
        if self.after.nested().is_empty() {
            if !self.after.searches() {
                return None;
            }
            let title = format!(
                "{} does not look for groups within groups any more; {baseline} does, {}",
                self.asker(),
                way(*first)
            );
            let help = "who is in a group by another one is in it no more: keep the search, or let somebody sign for it in policy.waive";
            return Some(self.blocks("nested", title).help(help));
        }
        let (old, new) = (self.before.found_nested(), self.after.found_nested());
        let mut lost = old
            .iter()
            .filter(|(kind, most)| **most > 0 && new.get(*kind) == Some(&0));
        let (kind, most) = lost.next()?;
        let title = format!(
            "{} finds no group within groups by {}; {baseline} finds {most}",
            self.asker(),
            words(kind)
        );
        Some(self.blocks("nested", title))
    }

    fn schemes(&self) -> Option<Finding> {
        let (old, new) = (self.before.schemes(), self.after.schemes());
        let others: Vec<&str> = new.difference(&old).copied().collect();
        let (asker, baseline) = (self.asker(), self.case.pair.baseline());
        let was = old.iter().copied().collect::<Vec<_>>().join(", ");
        let weakest = old.iter().map(|scheme| strength(scheme)).min()?;
        match others.iter().find(|scheme| strength(scheme) < weakest) {
            Some(weaker) => {
                let title = format!("{asker} stores passwords as {weaker}; {baseline} stores them as {was}");
                Some(self.blocks("scheme", title))
            }
            None => {
                let title = format!(
                    "{asker} stores passwords as {}, {baseline} as {was}: whether the directory verifies those is for a bind to show",
                    others.first()?
                );
                let help = "let a suite sign in with a password that the candidate has written";
                Some(self.finding(Blame::Nobody, "scheme", title).help(help))
            }
        }
    }
}

fn way(nested: Nested) -> &'static str {
    match nested {
        Nested::Rule => "by the matching rule in the chain",
        Nested::Attribute => "by an attribute that tells all of them",
        Nested::Lookup => "by asking for the groups of a group",
    }
}

/// `the search (uid=?)`, `bind simple`.
fn words((operation, search): &Kind) -> String {
    match search {
        Some((_, filter)) => format!("the {operation} {filter}"),
        None => format!("`{operation}`"),
    }
}

fn line(call: &CallSeen, ldap: &LdapSaid) -> String {
    let answer = ldap.result.map_or("nothing".to_owned(), named);
    format!(
        "{} at port {}: {} → {answer}",
        call.service,
        call.port,
        words(&kind(ldap))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_its_shape() {
        let search = ("search".to_owned(), Some(("sub".to_owned(), "(uid=?)".to_owned())));
        assert_eq!(words(&search), "the search (uid=?)");
        assert_eq!(words(&("bind simple".to_owned(), None)), "`bind simple`");
    }
}
