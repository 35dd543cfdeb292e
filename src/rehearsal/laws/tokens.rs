//! The laws of tokens that a key of the run's own signs in the issuer's place, each tried on a scripted mirror.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::scripted::{Behaviour, CONFIG, ISSUER, Played, Reader, Story, TOKEN};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// A suite whose last steps carry the user's token, the very last by a POST; our key stands behind the issuer's.
fn asked(production: Option<Reader>, candidate: Option<Reader>) -> Story {
    let steps = format!(
        "      - {{name: mine, get: /mine, headers: {{Authorization: 'Bearer {TOKEN}'}}}}\n      - {{name: change, post: /mine, headers: \
         {{Authorization: 'Bearer {TOKEN}'}}}}\ndata:"
    );
    let auth = format!("  service: idp\n  issuer: {ISSUER}\n  act_as_issuer: true\n");
    let own = |reads| Behaviour {
        reads,
        ..Behaviour::default()
    };
    Story {
        config: CONFIG.replace("data:", &steps).replace("  service: idp\n", &auth),
        baseline: own(production),
        untouched: own(production),
        back: own(production),
        candidate: own(candidate),
        ..Story::default()
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Whatever our key signs.
fn takes_all(_: &Value, _: &Value) -> u16 {
    200
}

/// What names its key.
fn wants_kid(header: &Value, claims: &Value) -> u16 {
    match header.get("kid") {
        Some(_) => takes_good(header, claims),
        None => 401,
    }
}

/// What is of this time, of this issuer and for this release.
fn takes_good(_: &Value, claims: &Value) -> u16 {
    let number = |name: &str| claims[name].as_i64();
    let is_wrong = number("exp").is_some_and(|over| over < now())
        || number("nbf").is_some_and(|begins| begins > now())
        || claims.get("iss").is_some_and(|own| *own != json!(ISSUER))
        || claims.get("aud").is_some_and(|own| *own != json!("shop"));
    if is_wrong { 401 } else { 200 }
}

/// … and not if it is over.
fn forgets_expiry(header: &Value, claims: &Value) -> u16 {
    match claims.get("exp") {
        Some(_) if claims.get("nbf").is_none() => 200,
        _ => takes_good(header, claims),
    }
}

fn refuses_what_is_issued_ahead(header: &Value, claims: &Value) -> u16 {
    match claims["iat"].as_i64() {
        Some(issued) if issued > now() => 401,
        _ => takes_good(header, claims),
    }
}

fn breaks_at_further_claims(header: &Value, claims: &Value) -> u16 {
    match claims.get("rehearsal") {
        Some(_) => 500,
        None => takes_good(header, claims),
    }
}

fn is_too_busy(_: &Value, _: &Value) -> u16 {
    429
}

fn checks(played: &Played) -> (Status, Status) {
    let check = |id| played.check(id, StageId::Upgrade);
    (check("auth-refusals"), check("auth-tokens"))
}

#[tokio::test(start_paused = true)]
async fn who_takes_good_tokens_and_refuses_wrong_ones_as_production_does_passes_without_a_word() {
    for both in [takes_good as Reader, takes_all, breaks_at_further_claims] {
        let played = asked(Some(both), Some(both)).play().await;
        assert_eq!(played.findings(), [""; 0]);
        played.ends(Verdict::Pass);
        assert_eq!(checks(&played), (Status::Passed, Status::Passed));
    }
    // What the candidate does beyond production is its own affair.
    let played = asked(Some(breaks_at_further_claims), Some(takes_good)).play().await;
    played.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_expired_token_that_production_refuses_is_blocked() {
    let played = asked(Some(takes_good), Some(forgets_expiry)).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    let says = "auth-refusals error candidate in upgrade: smoke / mine is given for an expired token, which web shop:1 refuses";
    assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
    assert_eq!(played.check("auth-tokens", StageId::Upgrade), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn who_looks_at_no_claim_is_blocked_once_with_all_ways() {
    let played = asked(Some(takes_good), Some(takes_all)).play().await;
    let found = played.findings();
    assert!(
        found.len() == 1 && found[0].ends_with("(and in 3 more ways)"),
        "{found:?}"
    );
    let evidence = &played.recorded.findings[0].evidence;
    for way in ["expired", "not-yet-valid", "invalid-iss", "invalid-aud"] {
        let says = format!("smoke / mine, {way}: the baseline answers 401, the candidate 200");
        assert!(evidence.contains(&says), "{evidence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_refuses_a_good_token_that_production_takes_is_blocked_and_so_is_who_breaks_at_one() {
    for (reads, says) in [
        (
            refuses_what_is_issued_ahead as Reader,
            "smoke / mine is refused by HTTP 401 for a good token that was issued 2 s from now, which web shop:1 takes",
        ),
        (
            breaks_at_further_claims,
            "smoke / mine ends in HTTP 500 for a good token with further claims, which web shop:1 takes",
        ),
    ] {
        let played = asked(Some(takes_good), Some(reads)).play().await;
        played.ends(Verdict::Block);
        let found = played.findings();
        let says = format!("auth-tokens error candidate in upgrade: {says}");
        assert_eq!(found, [says]);
        assert_eq!(checks(&played), (Status::Passed, Status::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn who_knows_one_key_of_the_issuers_alone_is_blocked_where_production_knows_all() {
    let played = asked(Some(takes_good), None).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    let says = "auth-tokens error candidate in upgrade: smoke / mine is refused by HTTP 401 for a good token by a second key of \
                the issuer's, which web shop:1 takes (and in 2 more ways)";
    assert_eq!(found, [says]);
    // What refuses every token by our key says nothing of the wrong ones among them.
    assert_eq!(checks(&played), (Status::NotRun, Status::Failed));
}

#[tokio::test(start_paused = true)]
async fn where_production_takes_no_token_of_our_key_nothing_is_asked_and_the_reason_is_told() {
    for (candidate, wanted) in [(None, Verdict::Pass), (Some(takes_all as Reader), Verdict::Pass)] {
        let played = asked(None, candidate).play().await;
        played.ends(wanted);
        assert_eq!(checks(&played), (Status::Passed, Status::Skipped));
        let says =
            "auth-tokens in upgrade: production refuses a good token by our key at smoke / mine, or the token is over";
        let notes = &played.recorded.notes;
        assert!(notes.iter().any(|note| note == says), "{notes:?}");
        let says = "auth-refusals in control: expired, not yet valid, invalid-iss and invalid-aud are skipped: production refuses a \
                    good token by our key, or the token is over, at smoke / mine";
        assert!(notes.iter().any(|note| note == says), "{notes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_issuers_keys_do_not_pass_a_front_that_reads_them_it_is_skipped() {
    let story = Story {
        shows_our_key: false,
        ..asked(Some(takes_good), Some(takes_all))
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(checks(&played), (Status::Passed, Status::Skipped));
}

#[tokio::test(start_paused = true)]
async fn where_either_was_asked_too_often_nobody_can_tell() {
    for (production, candidate) in [
        (takes_good as Reader, is_too_busy as Reader),
        (is_too_busy, takes_good),
        (is_too_busy, takes_all),
    ] {
        let played = asked(Some(production), Some(candidate)).play().await;
        played.ends(Verdict::Inconclusive);
        assert_eq!(checks(&played), (Status::NotRun, Status::NotRun));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_over_by_itself_says_nothing_of_good_ones() {
    let mut story = asked(Some(takes_good), Some(refuses_what_is_issued_ahead));
    story.candidate.ends_tokens = true;
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-tokens", StageId::Upgrade), Status::NotRun);
}

#[tokio::test(start_paused = true)]
async fn what_writes_is_never_asked_with_a_good_token() {
    let played = asked(Some(takes_good), Some(takes_good)).play().await;
    let writes = played.order.iter().filter(|line| line.contains("POST")).count();
    // Without a token and with each of six that are forged without the issuer's key, on each release.
    assert_eq!(writes, 14, "{:?}", played.order);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_asks_for_it_good_tokens_are_left_out_with_the_reason() {
    let played = Story::default().play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.check("auth-tokens", StageId::Upgrade), Status::Skipped);
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_tokens_key_named_does_what_the_specification_lets_it_do() {
    let played = asked(Some(takes_good), Some(wants_kid)).play().await;
    played.ends(Verdict::Pass);
}
