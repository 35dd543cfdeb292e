//! The laws of a product that changes its signing key itself, and of one that takes back what it gave, each tried on a scripted
//! mirror.

use super::scripted::{Behaviour, CONFIG, Played, Revoked, Rotated, Story, TOKEN};
use crate::mirror::failure::ServiceFailureKind;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

const CHECK: &str = "auth-rotate";

fn of(config: String, production: Behaviour, candidate: Behaviour) -> Story {
    Story {
        config,
        baseline: production.clone(),
        back: production.clone(),
        untouched: production,
        candidate,
        ..Story::default()
    }
}

/// The product is told to change its key, and releases do so then.
fn told(production: Rotated, candidate: Rotated) -> Story {
    let own = |rotated| Behaviour {
        rotated,
        ..Behaviour::default()
    };
    let rotate = "  service: idp\n  rotate: {target: 'http://idp', requests: [{name: change, post: /admin/keys}]}\n";
    let config = CONFIG.replace("  service: idp\n", rotate) + "stages: {faults: {auth: [rotation]}}\n";
    of(config, own(production), own(candidate))
}

fn refusing(times: usize, by: u16) -> Rotated {
    Rotated {
        sign_ins: vec![by; times],
        users: None,
    }
}

const FOR_EVER: usize = 1_000;

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

#[tokio::test(start_paused = true)]
async fn who_lets_people_in_again_as_production_does_passes() {
    for (production, candidate) in [
        (refusing(0, 401), refusing(0, 401)),
        (refusing(8, 401), refusing(12, 401)),
        (refusing(8, 500), refusing(8, 500)),
        (refusing(0, 401), refusing(8, 401)),
        (refusing(0, 401), refusing(130, 401)),
    ] {
        passes(&told(production, candidate).play().await);
    }
}

#[tokio::test(start_paused = true)]
async fn who_lets_nobody_in_after_a_rotation_is_blocked() {
    let played = told(refusing(1, 401), refusing(FOR_EVER, 401)).play().await;
    let says = "after auth.rotate whoever signs in gets: GET http://web/login answered 401; web shop:1 lets people in after 250 ms";
    is_blocked(&played, says);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_rotation_that_production_does_not_show_blocks() {
    let played = told(refusing(1, 401), refusing(1, 500)).play().await;
    is_blocked(
        &played,
        "after auth.rotate whoever signs in gets: GET http://web/login answered 500",
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_of_before_a_rotation_stay_or_end_as_on_production() {
    let ending = Rotated {
        sign_ins: Vec::new(),
        users: Some(401),
    };
    let played = told(Rotated::default(), ending.clone()).play().await;
    is_blocked(
        &played,
        "after auth.rotate whoever is signed in gets: GET http://web/login answered 401",
    );
    passes(&told(ending.clone(), ending.clone()).play().await);
    let played = told(ending, Rotated::default()).play().await;
    played.ends(Verdict::Pass);
    let found = played.findings();
    assert!(found[0].contains("whoever is signed in stays so"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_sign_in_on_production_after_it_it_is_skipped_and_hurts_nothing_else() {
    let played = told(refusing(FOR_EVER, 401), refusing(0, 401)).play().await;
    played.ends(Verdict::Pass);
    assert_eq!(answered(&played), (Status::Skipped, Status::Skipped));
    let notes = &played.recorded.notes;
    let says = "skipped: nobody can sign in at web shop:1 within 35 s after auth.rotate";
    assert!(notes.iter().any(|note| note.contains(says)), "{notes:?}");
    assert_eq!(played.check("session-survival", StageId::Rollback), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_change_the_key_tells_nothing() {
    let mut story = told(Rotated::default(), Rotated::default());
    story.candidate = story.candidate.fails("auth.rotate", "change");
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(answered(&played), (Status::Passed, Status::NotRun));
    let mut story = told(Rotated::default(), Rotated::default());
    story.baseline = story.baseline.fails("auth.rotate", "change");
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    assert!(found[0].contains("auth.rotate / change does not pass"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn no_mirror_of_its_own_comes_up_for_a_candidate_that_never_did() {
    let mut story = told(Rotated::default(), Rotated::default());
    story.candidate.down = Some(ServiceFailureKind::Exited);
    let played = story.play().await;
    played.ends(Verdict::Block);
    let notes = &played.recorded.notes;
    assert!(
        !notes.iter().any(|note| note.contains("a mirror of its own")),
        "{notes:?}"
    );
}

/// Somebody signs in by a token, which the product is told to take back.
fn revoking(production: Revoked, candidate: Revoked) -> Story {
    let own = |revoked| Behaviour {
        revoked,
        ..Behaviour::default()
    };
    let form =
        "  login: {start: 'http://web/login', expect: 'http://web/account', username: alice, password: wonderland}\n";
    let login = format!("  login: {{as: {{bearer: {{token: {TOKEN}}}}}, expect: 'http://web/account'}}\n");
    let revoke =
        "  revoke: {target: 'http://idp', requests: [{name: take back, post: /revoke, form: {token: '{{token}}'}}]}\n";
    of(CONFIG.replace(form, &(login + revoke)), own(production), own(candidate))
}

#[tokio::test(start_paused = true)]
async fn who_takes_what_was_taken_back_by_the_configured_way_is_blocked() {
    let played = revoking(Revoked::IsRefused, Revoked::IsTaken).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    let says = "auth-refusals error candidate in upgrade: the page behind the sign-in is given for a revoked token";
    assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
    for both in [Revoked::IsRefused, Revoked::IsTaken] {
        let played = revoking(both, both).play().await;
        assert_eq!(played.findings(), [""; 0]);
        played.ends(Verdict::Pass);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_or_locks_the_user_is_nobodys_failure() {
    for (story, says) in [
        (
            revoking(Revoked::LocksTheUser, Revoked::IsRefused),
            "after auth.revoke nobody signs in any more",
        ),
        (
            {
                let mut story = revoking(Revoked::IsRefused, Revoked::IsRefused);
                story.baseline = story.baseline.fails("auth.revoke", "take back");
                story
            },
            "auth.revoke / take back does not pass",
        ),
    ] {
        let played = story.play().await;
        played.ends(Verdict::Inconclusive);
        let found = played.findings();
        assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
    }
    let played = revoking(Revoked::IsRefused, Revoked::LocksTheUser).play().await;
    assert_ne!(played.judgement.verdict, Verdict::Pass);
}
