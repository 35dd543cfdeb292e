//! The laws of thresholds against the baseline, each tried on a scripted mirror.

use super::scripted::{Behaviour, CONFIG, Played, Story, UnderLoad};
use crate::mirror::failure::ServiceFailureKind;
use crate::record::load::LimitAnswer;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// The median of a release in turns, measurement after measurement.
fn takes(medians: &[u64]) -> Behaviour {
    let does = |median_ms: &u64| UnderLoad {
        median_ms: *median_ms,
        ..UnderLoad::default()
    };
    Behaviour::default().in_turns(&medians.iter().map(does).collect::<Vec<_>>())
}

fn does(load: UnderLoad) -> Behaviour {
    Behaviour::default().in_turns(&[load])
}

/// Both releases in turns at 400 requests a second, in as little time as the rule allows.
fn in_turns(thresholds: &str) -> Story {
    let load = "rate: 400/s, duration: 10s, budget: 48s, mix: smoke";
    Story {
        config: format!("{CONFIG}stages: {{load: {{{load}, thresholds: {{{thresholds}}}}}}}\n"),
        ..Story::default()
    }
}

/// Against a candidate of these medians.
fn against(candidate: &[u64]) -> Story {
    Story {
        candidate: takes(candidate),
        ..in_turns("p95_vs_baseline: +10%")
    }
}

/// So often a second container came on each release; all of them have gone.
fn beside(played: &Played) -> (usize, usize) {
    let count = |what: &str| played.order.iter().filter(|line| *line == what).count();
    let came = ["Baseline", "Candidate"].map(|on| {
        let came = count(&format!("{on}: web.beside comes beside"));
        assert_eq!(came, count(&format!("{on}: web.beside goes")), "{:?}", played.order);
        came
    });
    (came[0], came[1])
}

fn answers(played: &Played) -> Vec<LimitAnswer> {
    let rows = played.recorded.slowdowns.iter();
    rows.map(|row| row.answer.or(LimitAnswer::Unknown)).collect()
}

#[track_caller]
fn cannot_tell(played: &Played, why: &str) {
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("slowdown error mirror") && one.contains(why)),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn equal_releases_pass_without_a_word_and_the_report_says_what_would_have_been_caught() {
    let played = in_turns("p95_vs_baseline: {warn: +5%, fail: +10%}, p50_vs_baseline: +10%")
        .play()
        .await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    assert_eq!(played.check("slowdown", StageId::Load), Status::Passed);
    assert_eq!(beside(&played), (1, 1));
    assert_eq!(answers(&played), [LimitAnswer::Within; 3]);
    for row in &played.recorded.slowdowns {
        assert!(
            row.caught.is_some_and(|caught| caught > 0.0 && caught < 0.05),
            "{row:?}"
        );
        assert_eq!(row.pairs, 12);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_threshold_against_the_baseline_no_second_container_comes() {
    let played = in_turns("p95: 100ms").play().await;
    assert_eq!(beside(&played), (0, 0));
    assert!(
        played
            .recorded
            .checks
            .iter()
            .all(|check| check.check.as_str() != "slowdown")
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_slower_and_so_again_on_restarted_containers_blocks() {
    let played = against(&[12]).play().await;
    played.ends(Verdict::Block);
    let title = "slowdown error candidate in load: p95 under load is +20 % against production's, and +20 % on restarted \
                 containers: +10 % must be caught";
    assert_eq!(played.findings(), [title]);
    assert_eq!(played.check("slowdown", StageId::Load), Status::Failed);
    assert_eq!(played.check("slowdown", StageId::Control), Status::Passed);
    assert_eq!(beside(&played), (1, 2));
    assert_eq!(answers(&played), [LimitAnswer::Beyond]);
    let evidence = &played.recorded.findings[0].evidence;
    assert!(
        evidence.len() == 2 && evidence.iter().all(|line| line.contains("would have caught")),
        "{evidence:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_slower_only_until_the_containers_are_restarted_is_a_warning() {
    let played = against(&[12, 10]).play().await;
    played.ends(Verdict::Pass);
    let title = "slowdown warn nobody in load: p95 under load was +20 % against production's, and 0 % on restarted containers: \
                 not confirmed";
    assert_eq!(played.findings(), [title]);
    assert_eq!(beside(&played), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_suspicion_that_could_not_be_measured_again_is_no_pass_and_no_block() {
    let lossy = UnderLoad {
        median_ms: 12,
        unsent: 5,
        ..UnderLoad::default()
    };
    let slow = UnderLoad {
        median_ms: 12,
        ..UnderLoad::default()
    };
    let story = Story {
        candidate: Behaviour::default().in_turns(&[slow, lossy]),
        ..against(&[])
    };
    cannot_tell(&story.play().await, "this machine sent");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_faster_passes() {
    let played = against(&[8]).play().await;
    assert_eq!(played.findings(), [""; 0]);
    played.ends(Verdict::Pass);
    assert_eq!(beside(&played), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn beyond_what_warns_and_within_what_blocks_is_a_warning() {
    let story = Story {
        candidate: takes(&[11]),
        ..in_turns("p95_vs_baseline: {warn: +5%, fail: +25%}")
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let title = "slowdown warn nobody in load: p95 under load is +10 % against production's: +5 % is worth a word";
    assert_eq!(played.findings(), [title]);
    assert_eq!(answers(&played), [LimitAnswer::Within, LimitAnswer::Beyond]);
}

#[tokio::test(start_paused = true)]
async fn where_production_differs_from_itself_nothing_is_said_of_the_candidate_and_nothing_measured() {
    // Either way round.
    for (own, second) in [(12, 10), (10, 12)] {
        let story = Story {
            baseline: takes(&[own]),
            beside: takes(&[second, second, 10]),
            ..against(&[12])
        };
        let played = story.play().await;
        cannot_tell(
            &played,
            "in control production's release differs from a second one of itself",
        );
        assert_eq!(beside(&played), (2, 0));
    }
}

/// Of two that are the same, some measurement calls them different.
#[tokio::test(start_paused = true)]
async fn where_production_differs_from_itself_once_it_is_measured_again_before_anything_is_made_of_it() {
    let story = |candidate| Story {
        beside: takes(&[12, 10, 10]),
        ..against(candidate)
    };
    story(&[10]).play().await.ends(Verdict::Pass);
    story(&[12]).play().await.ends(Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_no_pass_whether_it_blocks_or_warns() {
    for thresholds in ["p95_vs_baseline: +10%", "p95_vs_baseline: {warn: +10%}"] {
        let story = Story {
            candidate: does(UnderLoad {
                unsent: 5,
                ..UnderLoad::default()
            }),
            ..in_turns(thresholds)
        };
        cannot_tell(&story.play().await, "this machine sent");
    }
}

#[tokio::test(start_paused = true)]
async fn too_few_answers_for_a_quantile_are_no_pass() {
    cannot_tell(
        &in_turns("p99.9_vs_baseline: +10%").play().await,
        "are too few for this quantile",
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_fails_fast_is_no_pass() {
    let story = Story {
        candidate: does(UnderLoad {
            median_ms: 5,
            errors: 10,
            ..UnderLoad::default()
        }),
        ..against(&[])
    };
    cannot_tell(&story.play().await, "the candidate fails more often");
}

#[tokio::test(start_paused = true)]
async fn a_second_container_that_answers_nothing_well_or_does_not_come_up_is_no_pass() {
    let silent = does(UnderLoad {
        errors: 100,
        ..UnderLoad::default()
    });
    let story = Story {
        beside: silent,
        ..against(&[10])
    };
    let played = story.play().await;
    cannot_tell(
        &played,
        "the second container of production's release does not answer `smoke / catalogue` well",
    );
    assert_eq!(beside(&played), (1, 0));
    let story = Story {
        beside: Behaviour {
            down: Some(ServiceFailureKind::Exited),
            ..Behaviour::default()
        },
        ..against(&[10])
    };
    let played = story.play().await;
    cannot_tell(&played, "production's release does not come up beside: `web.beside`");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_asked_of_the_changed_service_itself_is_sent() {
    let story = against(&[10]);
    let shop = "      - {name: catalogue, get: /items}\n";
    let story = Story {
        config: story
            .config
            .replace(shop, "      - {name: catalogue, get: 'http://db/items'}\n"),
        ..story
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let told = "slowdown: not sent: `smoke / catalogue`: it is not asked of `web` itself, and would reach the release in place alone";
    assert!(
        played.recorded.notes.iter().any(|note| note == told),
        "{:?}",
        played.recorded.notes
    );
}
