//! The laws of what is asked of a directory, each tried on a scripted mirror.

use super::scripted::{Behaviour, Played, Story};
use crate::agent::front::calls::{CallSeen, LdapSaid, LdapSearch, Nested, Said, TlsSaid};
use crate::mirror::names::calls::{Called, Caller};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// A call of the shop's at a port of a directory.
fn at(service: &str, port: u16, said: Said) -> Called {
    Called {
        by: Caller::Service("web".to_owned()),
        call: CallSeen {
            at_ms: 1,
            took_ms: Some(1),
            by: Some("web".to_owned()),
            from: [127, 0, 0, 1].into(),
            service: service.to_owned(),
            port,
            said,
            fault: None,
        },
    }
}

fn asks(operation: &str, result: u32) -> LdapSaid {
    LdapSaid {
        operation: operation.to_owned(),
        result: Some(result),
        ..LdapSaid::default()
    }
}

fn ldap(operation: &str, result: u32) -> Called {
    at("idp", 389, Said::Ldap(asks(operation, result)))
}

fn searches(filter: &str, nested: Option<Nested>, (entries, result): (u32, u32)) -> LdapSaid {
    LdapSaid {
        search: Some(LdapSearch {
            scope: "sub".to_owned(),
            filter: filter.to_owned(),
            entries,
            nested,
        }),
        ..asks("search", result)
    }
}

fn search(filter: &str, nested: Option<Nested>, answer: (u32, u32)) -> Called {
    at("idp", 389, Said::Ldap(searches(filter, nested, answer)))
}

fn tls(port: u16) -> Called {
    at("idp", port, Said::Tls(TlsSaid::default()))
}

fn usual() -> Vec<Called> {
    vec![
        ldap("bind simple", 0),
        search("(uid=?)", None, (1, 0)),
        ldap("bind simple", 0),
    ]
}

/// A password that nobody else reads.
fn started() -> Vec<Called> {
    vec![ldap("StartTLS", 0), tls(389)]
}

fn asking(calls: Vec<Called>) -> Behaviour {
    Behaviour {
        calls,
        ..Behaviour::default()
    }
}

async fn played(production: Vec<Called>, candidate: Vec<Called>) -> Played {
    let production = asking(production);
    let story = Story {
        baseline: production.clone(),
        untouched: production.clone(),
        back: production,
        candidate: asking(candidate),
        ..Story::default()
    };
    story.play().await
}

/// Blocked by one finding of this check that says so.
fn is_blocked(played: &Played, says: &str) {
    played.ends(Verdict::Block);
    let found = played.findings();
    let own: Vec<_> = found.iter().filter(|line| line.starts_with("auth-directory")).collect();
    assert!(own.len() == 1 && own[0].contains(says), "{found:?}");
    assert_eq!(played.check("auth-directory", StageId::Upgrade), Status::Failed);
}

fn passes(played: &Played) {
    assert_eq!(played.findings(), [""; 0]);
    played.ends(Verdict::Pass);
    assert_eq!(played.check("auth-directory", StageId::Upgrade), Status::Passed);
}

fn is_skipped(played: &Played, says: &str) {
    played.ends(Verdict::Pass);
    assert_eq!(played.check("auth-directory", StageId::Upgrade), Status::Skipped);
    let mut checks = played.recorded.checks.iter();
    let own = checks
        .find(|check| check.check.as_str() == "auth-directory")
        .expect("it stands there");
    assert!(
        own.reason.as_deref().is_some_and(|why| why.contains(says)),
        "{:?}",
        own.reason
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_as_production_does_and_is_answered_so_passes_without_a_word() {
    let nested = vec![search("(member=?)", Some(Nested::Lookup), (2, 0))];
    for calls in [usual(), [started(), usual()].concat(), [usual(), nested].concat()] {
        passes(&played(calls.clone(), calls).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_in_the_clear_blocks_where_production_turns_to_tls_and_not_where_it_does_the_same() {
    let says = "web sends a password to idp in the clear (bind simple); web shop:1 turns to TLS by StartTLS first";
    let production = [started(), vec![search("(objectClass=*)", None, (1, 0))]].concat();
    is_blocked(&played(production.clone(), usual()).await, says);
    let over_ldaps = vec![tls(636), search("(objectClass=*)", None, (1, 0))];
    is_blocked(&played(over_ldaps, usual()).await, "web shop:1 asks over ldaps");
    let proves = vec![ldap("bind SCRAM-SHA-256", 0)];
    is_blocked(
        &played(proves, usual()).await,
        "binds by a mechanism that does not send it",
    );
    passes(&played([usual(), production].concat(), usual()).await);
    passes(&played(vec![ldap("bind anonymous", 0)], usual()).await);
}

#[tokio::test(start_paused = true)]
async fn a_bind_in_the_clear_that_is_refused_is_one_finding_with_its_result() {
    let production = [started(), vec![search("(objectClass=*)", None, (1, 0))]].concat();
    let says = "(bind simple), and is answered 13 (confidentialityRequired)";
    is_blocked(&played(production, vec![ldap("bind simple", 13)]).await, says);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_want_of_strength_blocks_unless_production_is_refused_it_too() {
    let weak = vec![search("(uid=?)", None, (0, 8))];
    let says = "the search (uid=?) is answered 8 (strongerAuthRequired)";
    is_blocked(&played(usual(), weak.clone()).await, says);
    is_blocked(
        &played([started(), vec![ldap("bind anonymous", 0)]].concat(), weak.clone()).await,
        says,
    );
    passes(&played(weak.clone(), weak).await);
}

#[tokio::test(start_paused = true)]
async fn what_the_directory_granted_and_refuses_now_blocks() {
    let refused = vec![
        ldap("bind simple", 0),
        search("(uid=?)", None, (0, 50)),
        ldap("bind simple", 0),
    ];
    let says = "idp answers 50 (insufficientAccessRights) to the search (uid=?) of web; with web shop:1 it grants that";
    is_blocked(&played(usual(), refused.clone()).await, says);
    let locked = vec![ldap("bind simple", 49)];
    is_blocked(
        &played(usual(), locked).await,
        "idp answers 49 (invalidCredentials) to `bind simple`",
    );
    // What production is refused, too, or has never asked for, is nobody's here.
    passes(&played([usual(), refused.clone()].concat(), refused).await);
    let asks_more = [usual(), vec![ldap("compare", 16)]].concat();
    let played = played(usual(), asks_more).await;
    assert_eq!(played.check("auth-directory", StageId::Upgrade), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn a_referral_that_production_follows_must_be_followed() {
    let refers = || {
        let referrals = vec!["ldap://east:389".to_owned()];
        let said = LdapSaid {
            referrals,
            ..searches("(uid=?)", None, (0, 0))
        };
        at("idp", 389, Said::Ldap(said))
    };
    let there = || at("east", 389, Said::Ldap(searches("(uid=?)", None, (1, 0))));
    let follows = vec![refers(), there()];
    let says = "web does not follow the referral of idp to east any more, as web shop:1 does";
    is_blocked(&played(follows.clone(), vec![refers()]).await, says);
    let mut managed = searches("(uid=?)", None, (1, 0));
    managed.controls.push("2.16.840.1.113730.3.4.2".to_owned());
    let managed = at("idp", 389, Said::Ldap(managed));
    is_blocked(&played(follows.clone(), vec![managed]).await, says);
    passes(&played(follows.clone(), follows).await);
    passes(&played(vec![refers()], vec![refers()]).await);
}

#[tokio::test(start_paused = true)]
async fn groups_within_groups_must_be_looked_for_by_whichever_way() {
    let by = |nested, entries| [usual(), vec![search("(member=?)", nested, (entries, 0))]].concat();
    let says =
        "web does not look for groups within groups any more; web shop:1 does, by the matching rule in the chain";
    is_blocked(&played(by(Some(Nested::Rule), 1), by(None, 1)).await, says);
    is_blocked(&played(by(Some(Nested::Rule), 1), usual()).await, says);
    let says = "web finds no group within groups by the search (member=?); web shop:1 finds 2";
    is_blocked(
        &played(by(Some(Nested::Rule), 2), by(Some(Nested::Rule), 0)).await,
        says,
    );
    for other in [Nested::Rule, Nested::Attribute, Nested::Lookup] {
        passes(&played(by(Some(Nested::Rule), 1), by(Some(other), 1)).await);
    }
    passes(&played(by(None, 1), by(Some(Nested::Lookup), 1)).await);
    // What goes over TLS passes unread.
    let hidden = [started(), vec![ldap("bind anonymous", 0)]].concat();
    let played = played(by(Some(Nested::Rule), 1), hidden).await;
    assert_eq!(played.findings(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_weaker_way_to_store_passwords_blocks_and_another_one_is_a_warning() {
    let writes = |scheme: &str| {
        let mut said = asks("modify", 0);
        said.schemes.push(scheme.to_owned());
        vec![at("idp", 389, Said::Ldap(said))]
    };
    let says = "web stores passwords as clear; web shop:1 stores them as {SSHA}";
    is_blocked(&played(writes("{SSHA}"), writes("clear")).await, says);
    is_blocked(
        &played(writes("{SSHA}"), writes("{MD5}")).await,
        "web stores passwords as {MD5}",
    );
    passes(&played(writes("{SSHA}"), writes("{SSHA}")).await);
    let other = played(writes("{SSHA}"), writes("{ARGON2}")).await;
    other.ends(Verdict::Pass);
    let found = other.findings();
    let says = "auth-directory warn nobody in upgrade: web stores passwords as {ARGON2}";
    assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_untouched_baseline_is_refused_too_is_nobodys_fault() {
    let refused = vec![search("(uid=?)", None, (0, 51))];
    let story = Story {
        baseline: asking(usual()),
        untouched: asking(refused.clone()),
        back: asking(usual()),
        candidate: asking(refused),
        ..Story::default()
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    assert!(
        found
            .iter()
            .any(|line| line.contains("an untouched baseline fails it too")),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_asked_over_ldap_it_is_skipped_with_its_reason() {
    let says = "no call of production's release over LDAP was seen at the fronts";
    is_skipped(&played(Vec::new(), Vec::new()).await, says);
    is_skipped(&played(vec![tls(636)], vec![tls(636)]).await, says);
    is_skipped(
        &played(usual(), started()[1..].to_vec()).await,
        "the candidate asks within TLS alone",
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_asks_nothing_where_production_does_has_not_been_looked_at() {
    let played = played(usual(), Vec::new()).await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-directory", StageId::Upgrade), Status::NotRun);
}
