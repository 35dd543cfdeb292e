//! The laws of a release that is not the application itself: the authentication product, the database, a worker without
//! ports. Each is tried on a scripted mirror.

use super::scripted::{Behaviour, CONFIG, Played, SignIn, Story};
use crate::mirror::failure::ServiceFailureKind;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// This service has another image, and nothing else changes.
fn changed(service: &str, image: &str) -> Story {
    Story {
        config: CONFIG.replace("web: {image: 'shop:2'}", &format!("{service}: {{image: '{image}'}}")),
        ..Story::default()
    }
}

fn product() -> Story {
    changed("idp", "provider:2")
}

fn signs_in(ends: SignIn) -> Behaviour {
    Behaviour::default().signs_in(&[ends])
}

/// Blocked, and the first line says so and names the pair.
fn is_blocked(played: &Played, says: &str) {
    played.ends(Verdict::Block);
    let headline = played.judgement.headline.to_string();
    for words in [says, "idp provider:2 for provider:1"] {
        assert!(headline.contains(words), "`{words}` is not in {headline}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_product_that_is_the_candidate_itself_is_asked_in_every_stage_and_passes_without_a_word() {
    let played = product().play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    for stage in [StageId::Control, StageId::Upgrade, StageId::Rollback] {
        assert_eq!(played.check("auth-login", stage), Status::Passed, "{stage}");
    }
    for deploy in &played.deploys {
        assert_eq!(deploy.anew.iter().collect::<Vec<_>>(), ["idp"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_product_that_lets_nobody_in_any_more_blocks_with_its_pair() {
    let story = Story {
        candidate: signs_in(SignIn::Fails),
        ..product()
    };
    is_blocked(&story.play().await, "auth-login: nobody can sign in");
}

#[tokio::test(start_paused = true)]
async fn a_product_that_lets_anybody_in_blocks_with_its_pair() {
    let story = Story {
        candidate: Behaviour {
            takes_any_password: true,
            ..Behaviour::default()
        },
        ..product()
    };
    is_blocked(&story.play().await, "auth-login: a wrong password signs in");
}

#[tokio::test(start_paused = true)]
async fn a_product_that_does_not_come_up_blocks_and_is_named() {
    let story = Story {
        candidate: Behaviour {
            down: Some(ServiceFailureKind::Unhealthy(None)),
            ..Behaviour::default()
        },
        ..product()
    };
    is_blocked(&story.play().await, "`idp` is unhealthy");
}

#[tokio::test(start_paused = true)]
async fn a_product_after_whose_rollback_nobody_can_sign_in_has_no_way_back() {
    let story = Story {
        back: signs_in(SignIn::Fails),
        ..product()
    };
    let played = story.play().await;
    is_blocked(&played, "nobody can sign in");
    assert_eq!(played.check("auth-login", StageId::Upgrade), Status::Passed);
    assert_eq!(played.check("auth-login", StageId::Rollback), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_product_with_which_production_itself_cannot_sign_in_says_nothing_of_the_next_one() {
    let story = Story {
        baseline: signs_in(SignIn::Fails),
        candidate: signs_in(SignIn::Fails),
        ..product()
    };
    story.play().await.ends(Verdict::Inconclusive);
}

/// A database without which the catalogue is not to be had.
fn database() -> Story {
    Story {
        needs: [("catalogue".to_owned(), "db".to_owned())].into(),
        ..changed("db", "postgres:16")
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_the_candidate_passes_where_it_keeps_the_data_and_blocks_where_it_does_not() {
    database().play().await.ends(Verdict::Pass);
    let story = Story {
        candidate: Behaviour::default().fails("data.verify", "kept"),
        ..database()
    };
    let played = story.play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(
        found[0].starts_with("upgrade-in-place error candidate in upgrade: "),
        "{found:?}"
    );
}

/// A worker whose doings only the catalogue shows, and which nobody asks by itself.
fn worker() -> Story {
    let plain = Story::default();
    Story {
        compose: format!("{}  worker: {{image: 'worker:1'}}\n", plain.compose),
        needs: [("catalogue".to_owned(), "worker".to_owned())].into(),
        ..changed("worker", "worker:2")
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_ports_is_rehearsed_where_a_test_needs_what_it_does() {
    worker().play().await.ends(Verdict::Pass);
    let idle = Story {
        candidate: Behaviour::default().fails("smoke", "catalogue"),
        ..worker()
    };
    idle.play().await.ends(Verdict::Block);
    let unseen = Story {
        needs: Default::default(),
        ..worker()
    };
    let unseen = unseen.play().await;
    unseen.ends(Verdict::Inconclusive);
    let found = unseen.findings();
    assert!(
        found[0].contains("nothing notices that the candidate's `worker` is stopped"),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_stopped_candidate_left_for_others_is_said_where_nothing_notices_it() {
    let plain = Story::default();
    let with = |worker: &str, web: &str| {
        let services = plain.compose.replace(
            "depends_on: [db, idp]",
            &format!("depends_on: [db, idp], volumes: [{web}]"),
        );
        let compose = format!(
            "{services}  worker: {{image: 'worker:1', volumes: [{worker}]}}\nvolumes: {{pages: {{}}, other: {{}}}}\n"
        );
        Story {
            compose,
            ..changed("worker", "worker:2")
        }
    };
    let shared = with("'pages:/site'", "'pages:/srv/www:ro'").play().await;
    shared.ends(Verdict::Inconclusive);
    let found = shared.findings();
    let stays = "; what it may have written to the volume pages stays, and web mounts it";
    assert!(found[0].contains(stays), "{found:?}");
    let apart = with("'pages:/site'", "'other:/srv/www:ro'").play().await;
    assert!(!apart.findings()[0].contains("stays, and"), "{:?}", apart.findings());
}
