//! Laws of our own traffic: what the probe asks, and that nobody is blamed for what it has used up.

use std::collections::BTreeSet;

use super::scripted::{COMPOSE, CONFIG, SignIn, Story};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// A worker whose image names a port at which nobody listens changes together with what people see.
const WITH_WORKER: &str = "
services:
  celery: {image: 'shop:1', expose: [8000], command: [celery]}
  web: {image: 'shop:1', depends_on: [db, idp]}
  db: {image: 'postgres:15'}
  idp: {image: 'provider:1'}
";

fn with_worker(unanswered: &[&str]) -> Story {
    let celery = "candidate: {celery: {image: 'shop:2'}, web: {image: 'shop:2'}}";
    let signed = "policy: {unexercised: [{service: celery, reason: 'no test yet', expires: 2099-01-01}]}\n";
    Story {
        config: format!(
            "{}{signed}",
            CONFIG.replace("candidate: {web: {image: 'shop:2'}}", celery)
        ),
        compose: WITH_WORKER.to_owned(),
        unanswered: unanswered
            .iter()
            .map(|asked| (*asked).to_owned())
            .collect::<BTreeSet<_>>(),
        ..Story::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_production_does_not_answer_is_not_asked_where_something_else_is() {
    let silent = ["http://celery:8000/", "tcp://celery:8000"];
    let played = with_worker(&silent).play().await;
    played.ends(Verdict::Pass);
    let asked: Vec<&str> = played
        .recorded
        .probes
        .iter()
        .map(|probe| probe.asked_for.as_str())
        .collect();
    assert_eq!(asked, ["http://web/", "http://web/"]);
}

#[tokio::test(start_paused = true)]
async fn where_production_answers_nothing_downtime_is_not_measured_and_nobody_is_blamed() {
    let silent = [
        "http://celery:8000/",
        "tcp://celery:8000",
        "http://web/",
        "tcp://web:80",
    ];
    let played = with_worker(&silent).play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.recorded.probes.len(), 0);
    let note = "production answers nothing that can be asked of what the release changes: downtime was not measured";
    assert!(
        played.recorded.notes.iter().any(|line| line.contains(note)),
        "{:?}",
        played.recorded.notes
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_the_probe_has_used_up_is_production_s_too() {
    let limited = |limit| Story {
        limit: Some(limit),
        ..Story::default()
    };
    let all = limited(1_000).play().await;
    all.ends(Verdict::Pass);
    let played = limited(65).play().await;
    played.ends(Verdict::Inconclusive);
    assert!(
        played.findings().iter().all(|found| !found.contains(" candidate in ")),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_sign_in_later_is_not_the_candidate_s_doing() {
    let mut story = Story::default();
    story.candidate = story.candidate.signs_in(&[SignIn::Limited]);
    let played = story.clone().play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-login", StageId::Upgrade), Status::Error);
    // And one that fails in another way still is.
    story.candidate = story.candidate.signs_in(&[SignIn::Fails]);
    story.play().await.ends(Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn where_no_test_is_left_of_a_narrowed_run_it_is_no_pass() {
    for left in [&["upgrade"][..], &["egress"]] {
        let story = Story {
            config: "production: {compose: compose.yaml}\ncandidate: {web: {image: 'shop:2'}}\n".to_owned(),
            only: left.iter().map(|name| (*name).to_owned()).collect(),
            ..Story::default()
        };
        let played = story.play().await;
        played.ends(Verdict::Inconclusive);
        let line = played.judgement.headline.to_string();
        assert!(
            line.contains("no test has asked the candidate anything") || line.contains("the candidate did not run"),
            "{line}"
        );
    }
}

/// Production has a health check over HTTP, and the candidate's asks this.
fn with_health(asked: &str, status: u16) -> Story {
    let check = |path: &str| format!("{{test: [CMD, curl, -f, 'http://localhost/{path}']}}");
    let compose = COMPOSE.replace(
        "{image: 'shop:1',",
        &format!("{{image: 'shop:1', healthcheck: {},", check("health")),
    );
    let next = format!(
        "services: {{web: {{image: 'shop:2', healthcheck: {}}}}}\n",
        check(asked)
    );
    let own = "candidate: {web: {image: 'shop:2', compose: next.yaml}}";
    let mut story = Story {
        config: CONFIG.replace("candidate: {web: {image: 'shop:2'}}", own),
        compose,
        next,
        ..Story::default()
    };
    story.candidate.answers = vec![
        Some(200),
        None,
        None,
        Some(status),
        Some(status),
        Some(status),
        Some(status),
        Some(status),
    ];
    story
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_moves_with_its_release_is_a_warning_and_no_block() {
    let played = with_health("healthz", 404).play().await;
    played.ends(Verdict::Pass);
    let found = played.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "upgrade-in-place warn nobody in upgrade: the candidate answers `http://web/health` by status 404"
        ) && found[0].contains("asks `http://web/healthz`"),
        "{found:?}"
    );
    // One that has not moved, and a server error, are the release's own.
    with_health("health", 404).play().await.ends(Verdict::Block);
    with_health("healthz", 500).play().await.ends(Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_becomes_a_redirect_is_a_warning_where_nobody_chose_it() {
    let story = with_health("health", 302);
    story.clone().play().await.ends(Verdict::Pass);
    let chosen = Story {
        config: format!("{}stages: {{upgrade: {{probe: 'http://web/health'}}}}\n", story.config),
        ..story
    };
    chosen.play().await.ends(Verdict::Block);
}
