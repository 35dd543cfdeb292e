//! The laws of what follows a sign-in: who has signed out is out, user info names the user, and a token can be refreshed, each
//! tried on a scripted mirror.

use super::scripted::{Behaviour, CONFIG, ISSUER, Played, Story, TOKEN};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;
use crate::suite::leaving::After;

/// The same of production, wherever it stands, and something else of the candidate.
fn of(config: String, production: Behaviour, candidate: Behaviour) -> Story {
    Story {
        config,
        baseline: production.clone(),
        untouched: production.clone(),
        back: production,
        candidate,
        ..Story::default()
    }
}

fn signing_out(production: Option<(After, After)>, candidate: Option<(After, After)>) -> Story {
    let own = |signs_out| Behaviour {
        signs_out,
        ..Behaviour::default()
    };
    of(CONFIG.to_owned(), own(production), own(candidate))
}

/// Both are out.
const ENDS: Option<(After, After)> = Some((After::Ended(302), After::Ended(302)));
/// Only the window is.
const FORGETS: Option<(After, After)> = Some((After::Ended(302), After::Given(200)));
/// Nobody is.
const STAYS: Option<(After, After)> = Some((After::Given(200), After::Given(200)));

fn is_blocked(played: &Played, says: &str) {
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
}

fn said(played: &Played, says: &str) {
    let notes = &played.recorded.notes;
    assert!(notes.iter().any(|note| note.contains(says)), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn who_lets_people_out_as_production_does_passes_without_a_word() {
    for both in [None, ENDS, FORGETS, STAYS] {
        let played = signing_out(both, both).play().await;
        assert_eq!(played.findings(), [""; 0]);
        played.ends(Verdict::Pass);
    }
    // What the candidate does beyond production is its own affair.
    for (production, candidate) in [(FORGETS, ENDS), (STAYS, ENDS), (None, STAYS)] {
        signing_out(production, candidate).play().await.ends(Verdict::Pass);
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_people_in_that_have_signed_out_is_blocked() {
    let says = "auth-refusals error candidate in upgrade: whoever signs out by POST http://web/logout is still signed in (HTTP 200); web \
                shop:1 ends the session";
    is_blocked(&signing_out(ENDS, STAYS).play().await, says);
    is_blocked(&signing_out(FORGETS, STAYS).play().await, says);
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_cookies_of_people_that_have_signed_out_is_blocked() {
    let says = "after POST http://web/logout the session's cookie is still taken (HTTP 200), whoever has kept it";
    is_blocked(&signing_out(ENDS, FORGETS).play().await, says);
}

#[tokio::test(start_paused = true)]
async fn an_error_for_people_who_sign_out_blocks() {
    let breaks = Some((After::Broken(500), After::Ended(302)));
    let says = "whoever signs out by POST http://web/logout gets HTTP 500; from web shop:1 no such error comes";
    is_blocked(&signing_out(ENDS, breaks).play().await, says);
    signing_out(breaks, breaks).play().await.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_way_out_that_is_seen_no_more_is_a_warning_and_one_that_never_was_is_said_once() {
    let played = signing_out(ENDS, None).play().await;
    played.ends(Verdict::Pass);
    let found = played.findings();
    let says = "auth-refusals warn nobody in upgrade: nobody sees how to sign out";
    assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
    let played = signing_out(None, ENDS).play().await;
    said(
        &played,
        "auth-refusals in control: sign-out is skipped: http://web/account shows no link or form",
    );
}

#[tokio::test(start_paused = true)]
async fn where_the_page_tells_nothing_after_a_sign_out_nobody_can_tell() {
    let silent = Some((After::Silent, After::Ended(302)));
    let played = signing_out(ENDS, silent).play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-refusals", StageId::Upgrade), Status::NotRun);
    signing_out(silent, silent).play().await.ends(Verdict::Pass);
}

/// By a token.
fn by_token(production: Behaviour, candidate: Behaviour) -> Story {
    let login =
        format!("  issuer: {ISSUER}\n  login: {{as: {{bearer: {{token: {TOKEN}}}}}, expect: 'http://web/account'}}\n");
    let form =
        "  login: {start: 'http://web/login', expect: 'http://web/account', username: alice, password: wonderland}\n";
    of(CONFIG.replace(form, &login), production, candidate)
}

fn telling(status: u16, sub: &'static str) -> Behaviour {
    Behaviour {
        user_info: Some((status, sub)),
        ..Behaviour::default()
    }
}

fn refreshing(status: u16) -> Behaviour {
    Behaviour {
        refreshes: Some(status),
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn user_info_that_fails_or_names_another_user_blocks() {
    for (candidate, says) in [
        (
            telling(401, "alice"),
            "user info answers HTTP 401 to the token of a sign-in; with web shop:1 it answers 200",
        ),
        (
            telling(200, "bob"),
            "user info names another user (`sub`) for the same sign-in than with web shop:1",
        ),
        (
            refreshing(200),
            "nobody learns who has signed in: no discovery says where",
        ),
    ] {
        is_blocked(&by_token(telling(200, "alice"), candidate).play().await, says);
    }
    for both in [telling(200, "alice"), telling(403, "alice"), Behaviour::default()] {
        let played = by_token(both.clone(), both).play().await;
        assert_eq!(played.findings(), [""; 0]);
        played.ends(Verdict::Pass);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_only_production_refreshes_blocks() {
    let played = by_token(refreshing(200), refreshing(400)).play().await;
    is_blocked(
        &played,
        "auth-login error candidate in upgrade: no token can be refreshed: GET http://web/login answered 400",
    );
    let played = by_token(refreshing(200), telling(200, "alice")).play().await;
    is_blocked(
        &played,
        "no token can be refreshed: no refresh token comes with the token",
    );
    by_token(refreshing(400), refreshing(400))
        .play()
        .await
        .ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_asked_after_a_sign_in_is_said_with_its_reason() {
    let played = signing_out(ENDS, ENDS).play().await;
    said(
        &played,
        "auth-login in control: user info and refresh are skipped: the release keeps its tokens to itself",
    );
    said(
        &played,
        "auth-refusals in control: sign-out-at-issuer is skipped: no discovery says where",
    );
    let played = by_token(telling(200, "alice"), telling(200, "alice")).play().await;
    said(
        &played,
        "auth-login in control: refresh is skipped: no refresh token comes with the token",
    );
    said(
        &played,
        "auth-refusals in control: sign-out is skipped: no sign-in leaves a session",
    );
}
