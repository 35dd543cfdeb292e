//! The laws of how containers live, each tried on a scripted mirror.

use std::time::Duration;

use super::scripted::{Behaviour, COMPOSE, CONFIG, Played, Story, When};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

fn good() -> Behaviour {
    Behaviour::default()
}

/// Production with a worker beside, that no test asks.
fn beside(candidate: Behaviour) -> Story {
    Story {
        compose: format!("{COMPOSE}  worker: {{image: 'worker:1', restart: always}}\n"),
        candidate,
        ..Story::default()
    }
}

/// Production with a worker that the release replaces, too, and a test that needs it.
fn of_both(policy: &str) -> Story {
    let config = CONFIG.replace(
        "candidate: {web: {image: 'shop:2'}}",
        "candidate: {web: {image: 'shop:2'}, worker: {image: 'worker:2'}}",
    );
    Story {
        compose: format!("{COMPOSE}  worker: {{image: 'worker:1'}}\n"),
        config: format!("{config}{policy}"),
        ..Story::default()
    }
}

const SIGNED: &str = "policy: {unexercised: [{service: worker, reason: 'no test yet'}]}\n";

/// It passes without a word.
fn passes(played: &Played) {
    assert_eq!(played.findings(), [""; 0]);
    played.ends(Verdict::Pass);
}

/// It is blocked, and this is said first.
fn is_blocked(played: &Played, says: &str) {
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(found.iter().any(|found| found.contains(says)), "{found:?}");
}

/// It passes, and this is said.
fn is_warned(played: &Played, says: &str) {
    played.ends(Verdict::Pass);
    let found = played.findings();
    assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
}

fn forward(story: Story, stages: &str) -> Story {
    Story {
        config: format!(
            "{}stages: {{rollback: {{forward_only: 'one way'}}{stages}}}\n",
            story.config
        ),
        ..story
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_release_of_which_there_is_no_way_back_passes_without_a_word() {
    for stages in [
        "",
        ", load: {rate: 50/s, duration: 10s, thresholds: {p50: 2s}}",
        ", faults: {auth: [outage]}",
    ] {
        let played = forward(Story::default(), stages).play().await;
        let findings = played.findings();
        assert!(
            findings.iter().all(|found| found.starts_with("auth-faults")),
            "{stages}: {findings:?}"
        );
        assert_eq!(
            played.check("candidate-exercised", StageId::Upgrade),
            Status::Passed,
            "{stages}"
        );
        assert_eq!(
            played.check("start-and-restart", StageId::Upgrade),
            Status::Passed,
            "{stages}"
        );
    }
    passes(&forward(Story::default(), "").play().await);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_nothing_notices_is_found_where_there_is_no_way_back_whatever_follows() {
    for stages in [
        "",
        ", load: {rate: 50/s, duration: 10s, thresholds: {p50: 2s}}",
        ", faults: {auth: [outage]}",
    ] {
        let played = forward(of_both(""), stages).play().await;
        played.ends(Verdict::Inconclusive);
        let says = "nothing notices that the candidate's `worker` is stopped";
        let found = played.findings();
        assert!(found.iter().any(|found| found.contains(says)), "{stages}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_under_load_was_not_left_stopped() {
    let played = forward(
        Story::default(),
        ", load: {rate: 50/s, duration: 10s, thresholds: {p50: 2s}}",
    )
    .play()
    .await;
    assert_eq!(
        played.check("load", StageId::Load),
        Status::Passed,
        "{:?}",
        played.findings()
    );
    passes(&played);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_the_release_adds_is_not_crashing_because_we_stopped_it() {
    let story = Story {
        next: format!("{COMPOSE}  mailer: {{image: 'mailer:1'}}\n").replace("shop:1", "shop:2"),
        config: CONFIG
            .replace("candidate: {web: {image: 'shop:2'}}", "release: {compose: [next.yaml]}")
            .replace(
                "data:\n",
                "  mails:\n    target: http://web\n    requests: [{name: mail, get: /mail}]\ndata:\n",
            ),
        needs: [("mail".to_owned(), "mailer".to_owned())].into(),
        candidate: good(),
        baseline: good().test("mails", "mail", &[super::scripted::Told::Ends(Status::Passed)]),
        ..Story::default()
    };
    let played = story.play().await;
    let of_lives = |found: &&String| found.starts_with("start-and-restart");
    assert_eq!(
        played.findings().iter().filter(of_lives).count(),
        0,
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_that_ends_and_comes_back_as_productions_does_passes_without_a_word() {
    let recycles = |count: usize| good().ends(When::Asked, "web", &vec![0; count]);
    let story = |production: Behaviour, candidate: Behaviour| Story {
        baseline: production.clone(),
        back: production.clone(),
        untouched: production,
        candidate,
        ..Story::default()
    };
    passes(&story(recycles(2), recycles(3)).play().await);
    passes(&story(recycles(1), recycles(4)).play().await);
    is_blocked(
        &story(good(), recycles(2)).play().await,
        "`web` exited twice after it was ready",
    );
    // Production's ends well, and the candidate does not.
    let fails = good().ends(When::Asked, "web", &[1, 1]);
    is_blocked(
        &story(recycles(3), fails.clone()).play().await,
        "`web` exited twice after it was ready",
    );
    let both = story(fails.clone(), fails.clone()).play().await;
    both.ends(Verdict::Pass);
    assert!(both.findings()[0].contains("pre-existing"), "{:?}", both.findings());
    let more = good().ends(When::Asked, "web", &[1; 12]);
    is_blocked(&story(fails, more).play().await, "`web` exited 12 times");
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_dies_of_what_the_candidate_left_is_no_way_back() {
    let dies = |codes: &[i64]| good().ends(When::Asked, "worker", codes).stays_down("worker");
    let story = |back: Behaviour| Story {
        back,
        ..of_both(SIGNED)
    };
    passes(&story(good()).play().await);
    let played = story(dies(&[1])).play().await;
    is_blocked(
        &played,
        "after the rollback `worker` exited and does not run any more, last with code 1",
    );
    assert_eq!(played.check("rollback", StageId::Rollback), Status::Failed);
    let looping = good().ends(When::Asked, "worker", &[1, 1, 1]);
    is_blocked(
        &story(looping).play().await,
        "after the rollback `worker` exited 3 times, last with code 1",
    );
    // It is as it was before.
    let as_before = Story {
        baseline: dies(&[1]),
        candidate: dies(&[1]),
        ..story(dies(&[1]))
    };
    let played = as_before.play().await;
    assert_ne!(played.judgement.verdict, Verdict::Block, "{:?}", played.findings());
    is_warned(
        &story(good().ends(When::Asked, "worker", &[1])).play().await,
        "after the rollback `worker` exited once",
    );
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_the_engine_will_start_again_is_waited_for() {
    let back = good()
        .ends(When::Asked, "worker", &[1])
        .ends(When::GivenTime, "worker", &[1])
        .stays_down("worker");
    let story = of_both(SIGNED);
    let story = Story {
        compose: story.compose.replace("worker:1'", "worker:1', restart: always"),
        back,
        ..story
    };
    is_blocked(&story.play().await, "after the rollback `worker` exited");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_noticed_by_itself_only_where_it_is_a_good_one_and_productions_too() {
    let ends = |code: i64| good().ends(When::Asked, "worker", &[code]).stays_down("worker");
    let story = |baseline: Behaviour, back: Behaviour| Story {
        candidate: baseline.clone(),
        baseline,
        back,
        ..of_both("")
    };
    passes(&story(ends(0), ends(0)).play().await);
    let says = "nothing notices that the candidate's `worker` is stopped";
    for played in [
        story(good(), ends(0)).play().await,
        story(good(), ends(1)).play().await,
        story(ends(0), ends(1)).play().await,
    ] {
        assert_ne!(played.judgement.verdict, Verdict::Pass);
        let found = played.findings();
        assert!(found.iter().any(|found| found.contains(says)), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_dies_under_load_is_told_where_production_does_not() {
    let config = format!("{CONFIG}stages: {{load: {{rate: 50/s, duration: 10s, thresholds: {{p50: 2s}}}}}}\n");
    let story = |production: Behaviour, candidate: Behaviour| Story {
        config: config.clone(),
        baseline: production,
        candidate,
        ..Story::default()
    };
    let dies = || good().ends(When::Loaded, "web", &[137; 5]);
    passes(&story(good(), good()).play().await);
    let played = story(good(), dies()).play().await;
    is_blocked(&played, "`web` exited 5 times after it was ready, last with code 137");
    assert_eq!(played.check("start-and-restart", StageId::Load), Status::Failed);
    let both = story(dies(), dies()).play().await;
    both.ends(Verdict::Pass);
    let one_way = forward(
        Story::default(),
        ", load: {rate: 50/s, duration: 10s, thresholds: {p50: 2s}}",
    );
    let one_way = Story {
        candidate: dies(),
        ..one_way
    };
    is_blocked(&one_way.play().await, "`web` exited 5 times after it was ready");
}

#[tokio::test(start_paused = true)]
async fn processes_that_are_killed_for_memory_are_told_where_productions_are_not() {
    let killed = |memory_kills| Behaviour { memory_kills, ..good() };
    let story = |production: Behaviour, candidate: Behaviour| Story {
        baseline: production,
        candidate,
        ..Story::default()
    };
    is_blocked(
        &story(good(), killed(20)).play().await,
        "a process in `web` was killed for memory 20 times",
    );
    is_warned(
        &story(good(), killed(1)).play().await,
        "a process in `web` was killed for memory once",
    );
    passes(&story(killed(3), killed(20)).play().await);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_fails_after_it_has_passed_is_told_where_productions_does_not() {
    let ill = || Behaviour {
        ill: ["web".to_owned()].into(),
        ..good()
    };
    let story = |production: Behaviour, candidate: Behaviour| Story {
        baseline: production.clone(),
        back: production,
        candidate,
        ..Story::default()
    };
    is_blocked(
        &story(good(), ill()).play().await,
        "`web` was ready, and its own health check fails since",
    );
    passes(&story(ill(), ill()).play().await);
    let back = Story {
        back: ill(),
        ..Story::default()
    };
    is_blocked(
        &back.play().await,
        "after the rollback `web` was ready, and its own health check fails since",
    );
}

#[tokio::test(start_paused = true)]
async fn what_stays_and_exits_again_and_again_beside_the_candidate_blocks_it() {
    let loops = || good().ends(When::Asked, "worker", &[1; 4]);
    let played = beside(loops()).play().await;
    is_blocked(
        &played,
        "`worker`, which stays, exited 4 times beside the candidate, last with code 1",
    );
    let told = played.findings();
    assert_eq!(told.len(), 1, "it is told once: {told:?}");
    // A looping one is caught between two starts.
    let slow = good().ends(When::ComingUp, "worker", &[1; 3]).stays_down("worker");
    let slow = slow.ends(When::GivenTime, "worker", &[1]);
    is_blocked(
        &beside(slow).play().await,
        "`worker`, which stays, exited twice beside the candidate",
    );
}

#[tokio::test(start_paused = true)]
async fn what_stays_and_exits_while_something_is_away_for_a_moment_is_nobodys_doing() {
    let hiccup = || good().ends(When::ComingUp, "worker", &[1; 3]);
    let both_ways = Story {
        back: hiccup(),
        ..beside(hiccup())
    };
    passes(&both_ways.play().await);
    passes(&beside(hiccup()).play().await);
    // One more, when the candidate was up: the way back does it, too, or it is worth a word.
    let late = || good().ends(When::Asked, "worker", &[1]);
    let both_ways = Story {
        back: hiccup(),
        ..beside(late())
    };
    passes(&both_ways.play().await);
    is_warned(
        &beside(late()).play().await,
        "`worker`, which stays, exited once beside the candidate",
    );
}

#[tokio::test(start_paused = true)]
async fn what_stays_and_exits_beside_production_too_is_nobodys_doing() {
    let loops = || good().ends(When::Asked, "worker", &[1; 4]);
    let story = Story {
        baseline: loops(),
        back: loops(),
        ..beside(loops())
    };
    passes(&story.play().await);
}

#[tokio::test(start_paused = true)]
async fn what_stays_and_dies_once_the_baseline_is_back_is_no_way_back() {
    let back = good().ends(When::Asked, "worker", &[1; 4]);
    let story = Story { back, ..beside(good()) };
    is_blocked(&story.play().await, "after the rollback `worker` exited 4 times");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_every_deploy_runs_again_is_no_news_where_it_ends_as_it_did() {
    let job = |code: i64| good().ends(When::ComingUp, "worker", &[code]).stays_down("worker");
    let story = |candidate: Behaviour| Story {
        compose: format!("{COMPOSE}  worker: {{image: 'worker:1'}}\n"),
        baseline: job(0),
        back: job(0),
        candidate,
        ..Story::default()
    };
    passes(&story(job(0)).play().await);
    is_warned(
        &story(job(1)).play().await,
        "`worker`, which stays, does not run any more since the candidate came, last with code 1",
    );
}

/// Production's own worker is down after such a deploy, though no test asks for it.
#[tokio::test(start_paused = true)]
async fn what_stays_and_dies_for_good_beside_the_candidate_is_no_pass() {
    let dies = |code: i64| good().ends(When::Asked, "worker", &[code]).stays_down("worker");
    let story = |candidate: Behaviour, back: Behaviour| Story {
        compose: format!("{COMPOSE}  worker: {{image: 'worker:1'}}\n"),
        candidate,
        back,
        ..Story::default()
    };
    let played = story(dies(1), good()).play().await;
    played.ends(Verdict::Inconclusive);
    let says = "`worker`, which stays, exited beside the candidate, and nothing starts it again";
    assert!(played.findings()[0].contains(says), "{:?}", played.findings());
    // Every deploy does it.
    let hiccup = good().ends(When::ComingUp, "worker", &[1]);
    passes(&story(dies(1), hiccup).play().await);
}

/// A scheduler by its restart policy: it sleeps, does its work and ends well. `control` was shorter than its turn.
#[tokio::test(start_paused = true)]
async fn what_ends_well_after_longer_than_production_was_watched_shows_no_difference() {
    let minute = Duration::from_secs(60);
    let turns = |code: i64| good().ends(When::Asked, "worker", &[code, code]);
    passes(&beside(turns(0).runs(minute)).play().await);
    let at_once = turns(0).runs(Duration::ZERO);
    // What people ask is no scheduler, however long it had run.
    let of_web = good().ends(When::Asked, "web", &[0, 0]).runs(minute);
    for other in [turns(1).runs(minute), turns(0), at_once, of_web] {
        beside(other).play().await.ends(Verdict::Block);
    }
}

#[tokio::test(start_paused = true)]
async fn what_neighbours_say_of_a_swap_is_nothing_that_a_release_does() {
    let jolted = good().jolts("[Warning] Aborted connection 5 to db: got an error reading communication packets");
    let story = Story {
        candidate: jolted,
        ..Story::default()
    };
    passes(&story.play().await);
}
