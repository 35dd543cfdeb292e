//! The laws of new signing keys and of clocks that go wrong, each tried on a scripted mirror.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::scripted::{Behaviour, CONFIG, ISSUER, Keys, Played, Reader, Story};
use crate::check::resigned::now;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

const CHECK: &str = "auth-rotation-skew";

/// A user's token with all times, which nobody has signed. It is over for long: other checks say nothing of it.
fn token() -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let begins = 1_700_000_000;
    let claims = json!({"iss": ISSUER, "sub": "alice", "iat": begins, "nbf": begins, "exp": begins + 600});
    format!("{}.{}.c2lnbmF0dXJl", part(json!({"alg": "RS256"})), part(claims))
}

/// A suite whose last steps carry that token; our key stands behind the issuer's, and the stage does this.
fn asked(changes: &str, production: Behaviour, candidate: Behaviour) -> Story {
    let mine = format!("headers: {{Authorization: 'Bearer {}'}}", token());
    let steps = format!(
        "      - {{name: mine, get: /mine, {mine}}}\n      - {{name: change, post: /mine, {mine}}}\nstages: {{faults: {{auth: \
         [{changes}]}}}}\ndata:"
    );
    let auth = format!("  service: idp\n  issuer: {ISSUER}\n  act_as_issuer: true\n");
    Story {
        config: CONFIG.replace("data:", &steps).replace("  service: idp\n", &auth),
        baseline: production.clone(),
        back: production.clone(),
        untouched: production,
        candidate,
        ..Story::default()
    }
}

/// A release that gives so much leeway, in seconds.
fn bearing<const LEEWAY: i64>(_: &Value, claims: &Value) -> u16 {
    let number = |name: &str| claims[name].as_i64();
    let is_over = number("exp").is_some_and(|ends| ends + LEEWAY < now());
    let is_early = ["iat", "nbf"]
        .into_iter()
        .filter_map(number)
        .any(|begins| begins > now() + LEEWAY);
    if is_over || is_early { 401 } else { 200 }
}

/// … and ends in an error where a token has ended for longer.
fn breaks_at_ended(header: &Value, claims: &Value) -> u16 {
    match claims["exp"].as_i64() {
        Some(ends) if ends + 60 < now() && ends + 3_000 > now() => 500,
        _ => bearing::<60>(header, claims),
    }
}

/// It was asked too often to say what comes of tokens that have ended.
fn is_asked_too_often(header: &Value, claims: &Value) -> u16 {
    match claims["exp"].as_i64() {
        Some(ends) if ends < now() => 429,
        _ => bearing::<60>(header, claims),
    }
}

fn reading(reads: Reader) -> Behaviour {
    Behaviour {
        reads: Some(reads),
        ..Behaviour::default()
    }
}

fn knowing(keys: Keys) -> Behaviour {
    Behaviour {
        keys,
        ..reading(bearing::<0>)
    }
}

fn answered(played: &Played) -> (Status, Status) {
    played.under_faults(CHECK)
}

#[track_caller]
fn passes(played: &Played) {
    played.passes_under_faults(CHECK);
}

#[track_caller]
fn is_blocked(played: &Played, says: &str) {
    played.is_blocked_under_faults(CHECK, says);
}

/// A pass in which it is skipped, with the reason in a note.
fn is_skipped(played: &Played, says: &str) {
    played.ends(Verdict::Pass);
    assert_eq!(answered(played), (Status::Skipped, Status::Skipped));
    let notes = &played.recorded.notes;
    assert!(notes.iter().any(|note| note.contains(says)), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_new_keys_and_bears_clocks_as_production_does_passes_without_a_word() {
    for keys in [
        Keys::Always,
        Keys::After(Duration::from_secs(30)),
        Keys::AfterErrors(Duration::from_secs(3)),
        Keys::ForEver,
        Keys::Newest,
    ] {
        let played = asked("rotation, skew", knowing(keys), knowing(keys)).play().await;
        passes(&played);
        // To two keys, to one, and back; and once more on the candidate.
        let shown = played
            .order
            .iter()
            .filter(|line| line.contains("the issuer shows"))
            .count();
        assert_eq!(shown, 6, "{keys:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_the_keys_once_is_blocked() {
    let played = asked("rotation", knowing(Keys::Always), knowing(Keys::Once))
        .play()
        .await;
    let says = "after a new key beside the old one, smoke / mine answers HTTP 401 to its tokens; web shop:1 takes them after 0 ms";
    is_blocked(&played, says);
    // What does not know the second key is not asked with a third.
    let third = played
        .order
        .iter()
        .filter(|line| *line == "Candidate: the issuer shows 1 of our keys");
    assert_eq!(third.count(), 2, "{:?}", played.order);
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_new_key_five_seconds_after_production_has_to_is_blocked() {
    let (late, soon) = (
        Keys::After(Duration::from_secs(45)),
        Keys::After(Duration::from_secs(2)),
    );
    let played = asked("rotation", knowing(soon), knowing(late)).play().await;
    is_blocked(
        &played,
        "after a new key beside the old one, smoke / mine answers HTTP 401",
    );
    // When it asks for keys again is chance.
    let a_little = Keys::After(Duration::from_secs(34));
    passes(&asked("rotation", knowing(soon), knowing(a_little)).play().await);
}

#[tokio::test(start_paused = true)]
async fn an_error_on_the_way_to_a_new_key_blocks_where_production_refuses() {
    let (errors, quietly) = (
        Keys::AfterErrors(Duration::from_secs(2)),
        Keys::After(Duration::from_secs(2)),
    );
    let played = asked("rotation", knowing(quietly), knowing(errors)).play().await;
    is_blocked(
        &played,
        "after a new key beside the old one, smoke / mine ends in HTTP 500",
    );
    passes(&asked("rotation", knowing(errors), knowing(quietly)).play().await);
}

#[tokio::test(start_paused = true)]
async fn the_old_key_is_good_as_long_as_it_is_shown() {
    let played = asked("rotation", knowing(Keys::Always), knowing(Keys::Newest))
        .play()
        .await;
    let says = "after a new key beside the old one, smoke / mine answers HTTP 401 to tokens by the old one, which web shop:1 takes";
    is_blocked(&played, says);
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_key_that_nobody_shows_is_blocked() {
    let played = asked("rotation", knowing(Keys::Always), knowing(Keys::Any))
        .play()
        .await;
    is_blocked(
        &played,
        "smoke / mine answers HTTP 200 to a token by a key that nobody shows, which web shop:1 refuses",
    );
    let played = asked("rotation", knowing(Keys::Any), knowing(Keys::Always))
        .play()
        .await;
    is_skipped(
        &played,
        "production takes a token by a key that the issuer does not show, at smoke / mine",
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_gone_and_still_taken_is_a_warning() {
    let played = asked("rotation", knowing(Keys::Always), knowing(Keys::ForEver))
        .play()
        .await;
    played.ends(Verdict::Pass);
    let found = played.findings();
    let says = "auth-rotation-skew warn nobody in faults: after a new key in the old one's place, smoke / mine takes tokens by the \
                old one";
    assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn where_production_takes_no_new_key_it_is_skipped_with_its_reason() {
    let says = "rotation is skipped: web shop:1 does not take a new key beside the old one within 35 s at smoke / mine";
    for candidate in [Keys::Once, Keys::Always] {
        let played = asked("rotation", knowing(Keys::Once), knowing(candidate)).play().await;
        is_skipped(&played, says);
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_find_back_to_the_first_key_is_restarted_before_anything_else_is_asked() {
    passes(
        &asked("rotation", knowing(Keys::NeverBack), knowing(Keys::NeverBack))
            .play()
            .await,
    );
}

#[tokio::test(start_paused = true)]
async fn who_bears_less_of_a_clock_than_production_is_blocked() {
    let played = asked("skew", reading(bearing::<60>), reading(bearing::<0>))
        .play()
        .await;
    let says = "the candidate bears tokens that begin 0 s ahead, web shop:1 55 s ahead: smoke / mine answers HTTP 401 to a token \
                that begins 5 s from now";
    is_blocked(&played, says);
    let evidence = played.recorded.findings[0].evidence.join("\n");
    for says in [
        "the candidate bears tokens that ended 0 s ago, web shop:1 55 s ago: smoke / mine answers HTTP 401",
        "smoke / mine, a token that begins 65 s from now: the baseline answers 401, the candidate answers 401",
        "shifted were the times of tokens that a key of ours signs, and no clock",
        "an untouched baseline passed it 4 of 4 more times",
    ] {
        assert!(evidence.contains(says), "{evidence}");
    }
}

#[tokio::test(start_paused = true)]
async fn whose_leeway_is_exactly_a_shift_bears_it() {
    for reads in [bearing::<5> as Reader, bearing::<55>, bearing::<300>] {
        passes(&asked("skew", reading(reads), reading(reads)).play().await);
    }
    let played = asked("skew", reading(bearing::<300>), reading(bearing::<65>))
        .play()
        .await;
    assert!(
        played.findings()[0].contains("bears tokens that begin 65 s ahead, web shop:1 300 s ahead"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn who_takes_ended_tokens_for_longer_is_warned_of_and_not_blocked() {
    let played = asked("skew", reading(bearing::<0>), reading(bearing::<60>))
        .play()
        .await;
    played.ends(Verdict::Pass);
    let says = "auth-rotation-skew warn nobody in faults: smoke / mine is given for tokens up to 55 s after their end, by web \
                shop:1 up to 0 s";
    assert_eq!(played.findings(), [says]);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_place_of_a_refusal_blocks() {
    let played = asked("skew", reading(bearing::<60>), reading(breaks_at_ended))
        .play()
        .await;
    is_blocked(
        &played,
        "smoke / mine ends in HTTP 500 for a token that ended 65 s ago, which web shop:1 refuses by HTTP 401",
    );
    passes(
        &asked("skew", reading(breaks_at_ended), reading(breaks_at_ended))
            .play()
            .await,
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_too_often_can_tell_nothing_and_is_in_no_pass() {
    let (well, limited) = (reading(bearing::<60>), reading(is_asked_too_often));
    let played = asked("skew", well.clone(), limited.clone()).play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(answered(&played), (Status::Passed, Status::NotRun));
    let played = asked("skew", limited, well).play().await;
    played.ends(Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_times_has_no_clock_to_bear() {
    let mut story = asked("skew", reading(bearing::<0>), reading(bearing::<0>));
    story.config = story.config.replace(&token(), super::scripted::TOKEN);
    is_skipped(
        &story.play().await,
        "skew behind is skipped: the token of smoke / mine has no exp",
    );
}

#[tokio::test(start_paused = true)]
async fn where_production_takes_no_token_of_our_key_it_is_skipped() {
    let played = asked("rotation, skew", Behaviour::default(), reading(bearing::<0>))
        .play()
        .await;
    is_skipped(&played, "production refuses a good token by our key at smoke / mine");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_takes_no_token_of_our_key_did_not_show_how_it_bears_new_ones() {
    let played = asked("rotation, skew", reading(bearing::<0>), Behaviour::default())
        .play()
        .await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(answered(&played), (Status::Passed, Status::NotRun));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_holds_a_key_it_is_left_out_with_the_reason() {
    let mut story = asked("rotation, skew", reading(bearing::<0>), reading(bearing::<0>));
    story.config = story.config.replace("  act_as_issuer: true\n", "");
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(answered(&played), (Status::Skipped, Status::Skipped));
}

#[tokio::test(start_paused = true)]
async fn several_requests_that_fail_alike_are_one_finding() {
    let mut story = asked("rotation", knowing(Keys::Always), knowing(Keys::Once));
    let mine = "      - {name: mine,";
    let again = format!(
        "      - {{name: too, get: /too, headers: {{Authorization: 'Bearer {}'}}}}\n",
        token()
    );
    story.config = story.config.replacen(mine, &format!("{again}{mine}"), 1);
    let played = story.play().await;
    is_blocked(
        &played,
        "after a new key beside the old one, smoke / too answers HTTP 401",
    );
    let evidence = played.recorded.findings[0].evidence.join("\n");
    assert!(evidence.contains("smoke / mine answers HTTP 401"), "{evidence}");
}
