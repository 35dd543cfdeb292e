//! The laws of the authentication dependency's faults, each tried on a scripted mirror.

use super::scripted::{Back, Bears, Behaviour, CONFIG, Played, SignIn, Starts, Story};
use crate::agent::front::calls::{LdapSaid, RadiusSaid, Said};
use crate::check::asked::tests::called;
use crate::mirror::failure::ServiceFailureKind;
use crate::mirror::names::calls::Caller;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// A release that asks something of the product, over HTTP.
fn bearing(bears: Bears) -> Behaviour {
    let asks = called(
        Caller::Service("web".to_owned()),
        "GET /authorize 302 response_type=code",
    );
    Behaviour {
        bears,
        calls: vec![asks],
        ..Behaviour::default()
    }
}

fn good() -> Behaviour {
    bearing(Bears::default())
}

/// A release that answers its signed-in users so while the product is away.
fn answering(status: Option<u16>) -> Behaviour {
    bearing(Bears {
        answers_users: status,
        ..Bears::default()
    })
}

/// Production's release and the candidate, asked how they bear faults.
fn asked(faults: &str, production: Behaviour, candidate: Behaviour) -> Story {
    Story {
        config: format!("{CONFIG}stages: {{faults: {{auth: [{faults}]}}}}\n"),
        baseline: production.clone(),
        back: production.clone(),
        untouched: production,
        candidate,
        ..Story::default()
    }
}

/// Blocked by the check's one finding, which says so.
fn is_blocked(played: &Played, says: &str) {
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::Failed);
    assert_eq!(played.check("auth-faults", StageId::Control), Status::Passed);
}

fn passes(played: &Played) {
    assert_eq!(played.findings(), [""; 0]);
    played.ends(Verdict::Pass);
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn who_bears_every_fault_as_production_does_passes_without_a_word() {
    let all = "down-at-start, outage, slow, errors, rate-limit, reset";
    let played = asked(all, good(), good()).play().await;
    passes(&played);
    let begun = played.order.iter().filter(|line| line.contains("a fault: ")).count();
    // On each of the two releases, and where the product is taken away at the end.
    assert_eq!(begun, 13, "{:?}", played.order);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_place_of_an_answer_blocks_and_an_error_of_productions_too_does_not() {
    let says = "with idp down, whoever is signed in gets: GET http://web/login answered 500; from production's release: \
                GET http://web/login answered 503";
    let (well, badly) = (answering(Some(503)), answering(Some(500)));
    is_blocked(&asked("outage", well.clone(), badly.clone()).play().await, says);
    passes(&asked("outage", badly.clone(), badly.clone()).play().await);
    passes(&asked("outage", badly, well).play().await);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lives_on_production_must_live_on_the_candidate() {
    let says = "whoever is signed in gets: GET http://web/login answered 503; from production's release: it works";
    is_blocked(
        &asked("errors", answering(None), answering(Some(503))).play().await,
        says,
    );
    passes(&asked("errors", answering(Some(503)), answering(None)).play().await);
}

#[tokio::test(start_paused = true)]
async fn who_works_again_only_when_it_is_restarted_is_blocked_unless_production_is_so_too() {
    let stuck = bearing(Bears {
        back: Back::AfterARestart,
        ..Bears::default()
    });
    let says = "with idp down no more, the candidate does not work again by itself";
    is_blocked(&asked("outage", good(), stuck.clone()).play().await, says);
    passes(&asked("outage", stuck.clone(), stuck).play().await);
}

#[tokio::test(start_paused = true)]
async fn who_exits_is_blocked_unless_production_does_so_too() {
    let dying = bearing(Bears {
        exits: 1,
        ..Bears::default()
    });
    let says = "with idp resetting connections, the candidate exits once";
    is_blocked(&asked("reset", good(), dying.clone()).play().await, says);
    passes(&asked("reset", dying.clone(), dying).play().await);
}

#[tokio::test(start_paused = true)]
async fn what_exits_under_faults_as_production_does_is_not_crashing_later() {
    let dying = bearing(Bears {
        exits: 3,
        ..Bears::default()
    });
    let played = asked("outage", dying.clone(), dying).play().await;
    passes(&played);
    assert_eq!(played.check("start-and-restart", StageId::Rollback), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_start_without_the_product_is_blocked_unless_production_does_not_either() {
    let needy = bearing(Bears {
        starts: Starts::Down,
        ..Bears::default()
    });
    let says = "with idp down at its start, the candidate does not come up";
    is_blocked(&asked("down-at-start", good(), needy.clone()).play().await, says);
    passes(&asked("down-at-start", needy.clone(), needy).play().await);
}

#[tokio::test(start_paused = true)]
async fn who_starts_without_the_product_on_an_engine_that_does_not_answer_is_nobodys_fault() {
    let unheard = bearing(Bears {
        starts: Starts::Unheard,
        ..Bears::default()
    });
    let played = asked("down-at-start", good(), unheard).play().await;
    played.ends(Verdict::Inconclusive);
    assert!(
        played.findings().iter().all(|found| !found.contains(" candidate in ")),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn several_faults_that_end_alike_are_one_finding() {
    let story = asked("outage, errors, reset", answering(Some(503)), answering(Some(500)));
    is_blocked(&story.play().await, "with idp down, whoever is signed in gets");
}

#[tokio::test(start_paused = true)]
async fn what_an_untouched_baseline_shows_too_is_nobodys_fault() {
    let story = Story {
        untouched: answering(Some(500)),
        ..asked("outage", answering(Some(503)), answering(Some(500)))
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    assert!(
        played.findings()[0].contains("an untouched baseline fails it too"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_to_the_product_is_asked_of_nobody_and_in_no_pass() {
    let story = Story {
        fronts_stand: false,
        ..asked("outage", good(), good())
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::NotRun);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_on_which_nobody_can_sign_in_is_not_asked_how_it_bears_faults() {
    let candidate = good().signs_in(&[SignIn::Fails]);
    let played = asked("outage", good(), candidate).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(
        found.iter().all(|finding| !finding.starts_with("auth-faults")),
        "{found:?}"
    );
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::NotRun);
}

#[tokio::test(start_paused = true)]
async fn a_stage_of_a_candidate_that_did_not_come_up_did_not_run() {
    let candidate = Behaviour {
        down: Some(ServiceFailureKind::Exited),
        ..good()
    };
    let played = asked("outage", good(), candidate).play().await;
    played.ends(Verdict::Block);
    let faults = played.recorded.stages.iter().find(|stage| stage.id == StageId::Faults);
    assert_eq!(faults.expect("the stage").status, Status::NotRun);
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::NotRun);
}

#[tokio::test(start_paused = true)]
async fn a_fault_without_a_meaning_is_skipped_with_its_reason() {
    let mut binds = good();
    binds.calls[0].call.said = Said::Ldap(LdapSaid {
        operation: "bind simple".to_owned(),
        result: Some(0),
        ..LdapSaid::default()
    });
    let played = asked("jwks", binds.clone(), binds).play().await;
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::Skipped);
    let notes = &played.recorded.notes;
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("auth-faults in control: `jwks` is skipped: no call over HTTP")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_radius_has_no_word_for_is_skipped_with_its_reason() {
    let mut asks = good();
    for called in &mut asks.calls {
        called.call.said = Said::Radius(RadiusSaid {
            request: "Access-Request".to_owned(),
            answer: Some("Access-Accept".to_owned()),
            ..RadiusSaid::default()
        });
    }
    for fault in ["reset", "rate-limit", "jwks"] {
        let played = asked(fault, asks.clone(), asks.clone()).play().await;
        assert_eq!(played.check("auth-faults", StageId::Faults), Status::Skipped);
        let notes = &played.recorded.notes;
        let skipped = format!("auth-faults in control: `{fault}` is skipped: ");
        assert!(notes.iter().any(|note| note.starts_with(&skipped)), "{notes:?}");
    }
    passes(&asked("errors", asks.clone(), asks).play().await);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_asked_at_the_fronts_nobody_can_tell_whether_a_fault_has_a_meaning() {
    let silent = Behaviour::default;
    let played = asked("jwks", silent(), silent()).play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-faults", StageId::Faults), Status::NotRun);
}

/// A release that lets people in without the product, but not the second of two, or of fifty.
fn losing(every: Option<usize>) -> Behaviour {
    bearing(Bears {
        answers: None,
        loses_every: every,
        ..Bears::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_production_lets_in_must_be_let_in_to_the_last() {
    let says = "with idp 5 s late, 1 of 49 who sign in fail: GET http://web/login answered 503; production's release lets all \
                of 100 in";
    is_blocked(&asked("slow", losing(None), losing(Some(50))).play().await, says);
    passes(&asked("slow", losing(None), losing(None)).play().await);
    passes(&asked("slow", losing(Some(50)), losing(Some(50))).play().await);
    passes(&asked("slow", losing(Some(50)), losing(None)).play().await);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_production_does_not_manage_is_sent_to_nobody_else_and_that_is_told() {
    let played = asked("slow", losing(Some(50)), losing(Some(30))).play().await;
    passes(&played);
    let told = |note: &String| note.contains("under `slow` 1 of 49 sign-ins fail");
    assert!(played.recorded.notes.iter().any(told), "{:?}", played.recorded.notes);
}

#[tokio::test(start_paused = true)]
async fn whom_production_lets_in_under_no_fault_nobody_has_to() {
    let played = asked("slow", good(), losing(Some(50))).play().await;
    passes(&played);
}

/// How the product was taken away at the end.
fn means(played: &Played) -> (bool, bool) {
    let has = |what: &str| played.order.iter().any(|line| line.ends_with(what));
    (has("a fault: Down"), has("idp is stopped"))
}

#[tokio::test(start_paused = true)]
async fn closed_fronts_take_the_product_away_where_nothing_leads_past_them() {
    let played = Story::default().play().await;
    played.ends(Verdict::Pass);
    assert_eq!(means(&played), (true, false));
}

#[tokio::test(start_paused = true)]
async fn where_something_may_lead_past_the_fronts_the_product_is_stopped() {
    let story = Story {
        fronts_stand: false,
        ..Story::default()
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(means(&played), (false, true));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_notices_at_closed_fronts_is_asked_again_of_a_stopped_product() {
    let story = || Story {
        deaf_to_fronts: true,
        ..Story::default()
    };
    let played = story().play().await;
    // By a way of its own the release does reach it.
    played.ends(Verdict::Pass);
    assert_eq!(means(&played), (true, true));
    let deaf = Story {
        deaf_to_auth: true,
        ..story()
    };
    let played = deaf.play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(means(&played), (true, true));
}
