//! The laws of how much each release bears, each tried on a scripted mirror.

use super::scripted::{Behaviour, CONFIG, Played, Story, UnderLoad};
use crate::mirror::failure::ServiceFailureKind;
use crate::record::load::{CapacityAnswer, CapacityRecord};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// So many requests a second, measurement after measurement.
fn bears(all: &[f64]) -> Behaviour {
    let does = |bears: &f64| UnderLoad {
        bears: *bears,
        ..UnderLoad::default()
    };
    Behaviour::default().in_turns(&all.iter().map(does).collect::<Vec<_>>())
}

/// Production's release bears 400 a second, and the candidate this.
fn against(candidate: &[f64]) -> Story {
    let load = "rate: 100/s, duration: 30s, mix: smoke, capacity: true, thresholds: {p95: 500ms}";
    Story {
        config: format!("{CONFIG}stages: {{load: {{{load}}}}}\n"),
        baseline: bears(&[400.0]),
        beside: bears(&[400.0]),
        candidate: bears(candidate),
        ..Story::default()
    }
}

fn record(played: &Played) -> &CapacityRecord {
    let capacity = played.recorded.capacity.as_ref();
    capacity.unwrap_or_else(|| panic!("{:?}", played.findings()))
}

#[track_caller]
fn answers(played: &Played, answer: CapacityAnswer) {
    assert_eq!(record(played).answer, answer, "{:?}", record(played));
}

/// So often a second container came on each release; all of them have gone.
fn beside(played: &Played) -> [usize; 2] {
    let count = |what: &str| played.order.iter().filter(|line| *line == what).count();
    ["Baseline", "Candidate"].map(|on| {
        let came = count(&format!("{on}: web.beside comes beside"));
        assert_eq!(came, count(&format!("{on}: web.beside goes")), "{:?}", played.order);
        came
    })
}

#[tokio::test(start_paused = true)]
async fn equal_releases_pass_without_a_word_and_the_report_says_what_they_bear() {
    let played = against(&[400.0]).play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    answers(&played, CapacityAnswer::Alike);
    assert_eq!(played.check("capacity", StageId::Load), Status::Passed);
    assert_eq!(beside(&played), [2, 2]);
    for born in [&record(&played).baseline, &record(&played).candidate] {
        let (held, broke) = (born.held.unwrap(), born.broke.unwrap());
        assert!(
            (380.0..=425.0).contains(&held) && broke > held && broke / held < 1.06,
            "{born:?}"
        );
        assert_eq!(born.turns.len(), 2);
    }
    assert!(record(&played).change.is_some_and(|change| change.abs() < 0.05));
}

#[tokio::test(start_paused = true)]
async fn where_it_is_not_asked_for_nothing_is_raised_and_nothing_is_said() {
    let story = against(&[400.0]);
    let config = story.config.replace("capacity: true", "capacity: false");
    let played = Story { config, ..story }.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.recorded.capacity, None);
    assert_eq!(beside(&played), [0, 0]);
    let mut checks = played.recorded.checks.iter();
    assert!(checks.all(|check| check.check.as_str() != "capacity"));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_bears_less_and_so_again_on_restarted_containers_is_a_warning_and_passes() {
    let played = against(&[300.0]).play().await;
    played.ends(Verdict::Pass);
    answers(&played, CapacityAnswer::Lower);
    let found = played.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    let begins = "capacity warn nobody in load: the candidate bears less: 4";
    assert!(
        found[0].starts_with(begins) && found[0].ends_with(" requests a second"),
        "{found:?}"
    );
    assert_eq!(beside(&played), [2, 3]);
    assert_eq!(record(&played).candidate.turns.len(), 4);
    let evidence = &played.recorded.findings[0].evidence;
    let broke = evidence.iter().filter(|line| line.contains(", broke at "));
    assert_eq!(broke.count(), 8, "{evidence:?}");
}

#[tokio::test(start_paused = true)]
async fn it_blocks_where_the_policy_blocks_on_warnings() {
    let story = against(&[300.0]);
    let config = format!("{}policy: {{block_on: [error, warn]}}\n", story.config);
    let played = Story { config, ..story }.play().await;
    played.ends(Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn what_is_lower_only_until_the_containers_are_restarted_is_no_finding() {
    let played = against(&[300.0, 400.0]).play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    answers(&played, CapacityAnswer::Unknown);
    let reason = record(&played).reason.as_deref();
    assert_eq!(
        reason,
        Some("it was lower once, and not, or not by as much, with both restarted")
    );
    assert_eq!(beside(&played), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_bears_more_is_said_to_and_measured_once() {
    let played = against(&[600.0]).play().await;
    assert_eq!(played.findings(), [""; 0]);
    answers(&played, CapacityAnswer::Higher);
    assert_eq!(beside(&played), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_the_gate_could_not_send_is_its_own_limit_and_blocks_nobody_whatever_the_policy() {
    let sends = || {
        Behaviour::default().in_turns(&[UnderLoad {
            bears: 400.0,
            sends: 250.0,
            ..UnderLoad::default()
        }])
    };
    let story = against(&[400.0]);
    let story = Story {
        config: format!("{}policy: {{block_on: [error, warn]}}\n", story.config),
        baseline: sends(),
        beside: sends(),
        candidate: sends(),
        ..story
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    answers(&played, CapacityAnswer::Unknown);
    let born = &record(&played).candidate;
    assert!(
        born.held.is_some_and(|held| (230.0..=255.0).contains(&held)),
        "{born:?}"
    );
    assert_eq!(born.broke, None);
    assert!(
        born.turns[0]
            .why
            .starts_with("more could not be sent: this machine sent"),
        "{born:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_production_does_not_bear_what_a_second_one_of_it_does_nothing_is_said_of_the_candidate() {
    let story = Story {
        beside: bears(&[500.0, 400.0]),
        ..against(&[300.0])
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    answers(&played, CapacityAnswer::Unknown);
    let reason = record(&played).reason.as_deref().unwrap_or_default();
    assert!(
        reason.starts_with("in control production's release and a second one of it"),
        "{reason}"
    );
    assert_eq!(beside(&played), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_measured_it_is_no_pass() {
    let story = Story {
        beside: Behaviour {
            down: Some(ServiceFailureKind::Exited),
            ..Behaviour::default()
        },
        ..against(&[400.0])
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    let why =
        "how many requests a second the releases bear cannot be told: production's release does not come up beside";
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("capacity error mirror") && one.contains(why)),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_both_cannot_be_up_at_once_it_is_skipped_with_the_reason() {
    let story = against(&[400.0]);
    let compose = story.compose.replace("  web: {", "  web: {volumes: [files:/data], ");
    let story = Story {
        compose: format!("{compose}volumes: {{files: {{}}}}\n"),
        ..story
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let mut checks = played.recorded.checks.iter();
    let check = checks.find(|check| check.check.as_str() == "capacity" && check.stage == StageId::Load);
    let check = check.unwrap_or_else(|| panic!("{:?}", played.recorded.checks));
    assert_eq!(check.status, Status::Skipped);
    let reason = check.reason.as_deref();
    let words = "both releases cannot be asked at once: both releases of `web` would write to the volume `files`";
    assert_eq!(reason, Some(words));
    assert_eq!(beside(&played), [0, 0]);
}
