//! The laws of failures that are made for alert rules, each tried on a scripted mirror; the rules are asked of the real
//! promtool.

use super::scripted::{Behaviour, CONFIG, Climbs, MEMORY, Played, Story, Told as Ends, Uses};
use crate::record::alerts::AlertRecord;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

/// Alerts of one scenario, of which `Rings` must fire. Production has ten requests a second.
fn asked(scenario: &str, expr: &str, before: &str) -> Story {
    let load = "{rate: 10/s, duration: 20s, mix: smoke, thresholds: {error_rate: 5%}}";
    let alerts = format!(
        "{{rules: alerts.yaml, must_fire: [Rings], {before} scenarios: [{scenario}], record: 6s, scrape_interval: 2s, \
         evaluation_interval: 2s, group_wait: 0s, metrics: {{probe: ['http://web/login']}}}}"
    );
    Story {
        config: format!("{CONFIG}stages: {{load: {load}, alerts: {alerts}}}\n"),
        alerts: format!("groups:\n- name: shop\n  rules:\n  - {{alert: Rings, expr: '{expr}'}}\n"),
        ..Story::default()
    }
}

/// The same, where production's release bears a rising rate so when it is back.
fn climbing(expr: &str, before: &str, climbs: Climbs) -> Story {
    Story {
        back: Behaviour {
            climbs,
            ..Behaviour::default()
        },
        ..asked("ramp", expr, before)
    }
}

/// Slow from twice the rate on, and in error from four times.
const FAILS: Climbs = Climbs {
    slow: 20.0,
    fails: 40.0,
    crashes: f64::INFINITY,
};

/// What was said of the ramp.
fn said(played: &Played) -> &AlertRecord {
    let mut all = played.recorded.alerts.iter();
    let said = all.find(|alert| alert.scenario.to_string() != "control");
    said.expect("the scenario was made")
}

/// Inconclusive by the check's one finding, which says so.
fn cannot_be_told(played: &Played, says: &str) {
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_what_is_full_before_the_first_failed_request_of_a_ramp_passes() {
    let played = climbing("probe_duration_seconds > 1", "before: 0s,", FAILS)
        .play()
        .await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    let said = said(&played);
    assert!(said.lead_ms().is_some_and(|lead| lead > 0), "{said:?}");
    assert_eq!(said.crash_ms, None);
    let notes = played.recorded.notes.join("\n");
    assert!(
        notes.contains("raised from 10 requests a second; the first request fails after"),
        "{notes}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_errors_rings_none_before_the_first_failed_request_and_blocks() {
    let crashes = Climbs { crashes: 44.0, ..FAILS };
    let played = climbing("probe_success == 0", "before: 0s,", crashes).play().await;
    played.ends(Verdict::Block);
    let title = "after the first failed request in ramp, and must fire before it";
    assert!(played.findings()[0].contains(title), "{:?}", played.findings());
    let said = said(&played);
    assert!(
        said.crash_ms > said.first_failure_ms && said.first_failure_ms.is_some(),
        "{said:?}"
    );
    assert!(said.lead_ms() < said.crash_lead_ms(), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_never_tells_a_ramp_blocks() {
    let played = climbing("probe_success > 1", "", FAILS).play().await;
    played.ends(Verdict::Block);
    let title = "`Rings` must fire in ramp, and it does not, however long the failure lasts";
    assert!(played.findings()[0].ends_with(title), "{:?}", played.findings());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_fails_however_high_the_rate_nobody_can_tell() {
    let silent = climbing("probe_success == 0", "before: 0s,", Climbs::default())
        .play()
        .await;
    cannot_be_told(
        &silent,
        "`Rings` must fire in ramp; it does not, and no user's request failed either",
    );
    let notes = silent.recorded.notes.join("\n");
    assert!(
        notes.contains("raised from 10 to 1297 requests a second, and nothing failed"),
        "{notes}"
    );
    let slow = Climbs {
        slow: 20.0,
        ..Climbs::default()
    };
    let rings = climbing("probe_duration_seconds > 1", "before: 0s,", slow).play().await;
    cannot_be_told(&rings, "`Rings` fires in ramp, and no user's request failed");
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_fires_at_productions_own_rate_says_nothing_of_a_higher_one() {
    let usually = Climbs { slow: 10.0, ..FAILS };
    let played = climbing("probe_duration_seconds > 1", "before: 0s,", usually)
        .play()
        .await;
    cannot_be_told(
        &played,
        "`Rings` must fire in ramp, and it fires at production's own rate, too: it says nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_at_productions_own_rate_is_not_asked_for_more() {
    let usually = Climbs { fails: 10.0, ..FAILS };
    let played = climbing("probe_success == 0", "before: 0s,", usually).play().await;
    cannot_be_told(
        &played,
        "already at production's own rate, 10 requests a second, a user's request fails after 0 ms",
    );
    let loads = played
        .order
        .iter()
        .filter(|what| what.ends_with("a load that may rise"));
    assert_eq!(loads.count(), 1, "{:?}", played.order);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_has_nothing_to_send_tells_nothing() {
    let mut story = climbing("probe_success == 0", "before: 0s,", FAILS);
    story.back = story.back.test(
        "smoke",
        "account",
        &[Ends::Ends(Status::Passed), Ends::Ends(Status::Failed)],
    );
    let played = story.play().await;
    cannot_be_told(&played, "ramp could not be made: `smoke` / `account` does not pass");
}

#[tokio::test(start_paused = true)]
async fn a_ramp_is_made_last_of_all_and_on_productions_release() {
    let played = climbing("probe_duration_seconds > 1", "before: 0s,", FAILS)
        .play()
        .await;
    let at = |what: &str| played.order.iter().rposition(|line| line.ends_with(what));
    assert!(at("Back: a load that may rise") > at("smoke"), "{:?}", played.order);
    assert_eq!(played.check("alert-lead-time", StageId::Rollback), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_a_product_that_answers_late_passes_and_one_that_does_not_blocks() {
    let tells = asked("auth-slow", "probe_duration_seconds > 1", "before: 20s,")
        .play()
        .await;
    tells.ends(Verdict::Pass);
    assert_eq!(tells.findings(), [""; 0]);
    let said = said(&tells);
    assert!(
        said.first_failure_ms.is_some() && said.told.firing().is_some(),
        "{said:?}"
    );
    assert!(
        tells.order.iter().any(|line| line == "Back: a fault: Slow(5000)"),
        "{:?}",
        tells.order
    );
    let silent = asked("auth-slow", "probe_success == 0", "").play().await;
    silent.ends(Verdict::Block);
    let title = "`Rings` must fire in auth-slow, and it does not, however long the failure lasts";
    assert!(silent.findings()[0].ends_with(title), "{:?}", silent.findings());
}

#[tokio::test(start_paused = true)]
async fn a_product_that_can_be_reached_past_its_fronts_is_not_slowed_and_nothing_is_told() {
    let story = Story {
        fronts_stand: false,
        ..asked("auth-slow", "probe_duration_seconds > 1", "")
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let found = played.findings();
    let says = "auth-slow could not be made: calls to `idp` under its own names are not seen";
    assert!(found.iter().any(|line| line.contains(says)), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_signs_in_the_suites_that_reach_the_product_are_its_users() {
    let story = asked("auth-slow", "probe_duration_seconds > 1", "");
    let login = story.config.find("  login:").expect("it has one");
    let end = login + story.config[login..].find('\n').expect("a line");
    let story = Story {
        config: story.config[..login].to_owned() + &story.config[end + 1..],
        ..story
    };
    let played = story.play().await;
    let found = played.findings();
    let says = "auth-slow could not be made: no suite reaches the authentication dependency";
    assert!(found.iter().any(|line| line.contains(says)), "{found:?}");
}

/// The same, where production's release uses a quarter of its memory, and the engine takes that away as far as that.
fn leaking(expr: &str, before: &str, refused_below: u64) -> Story {
    let using = Behaviour {
        uses: Some(Uses {
            bytes: MEMORY / 4,
            refused_below,
        }),
        ..Behaviour::default()
    };
    Story {
        baseline: using.clone(),
        back: using,
        ..asked("memory", expr, before)
    }
}

/// Nine tenths of what a container may use.
const FULL: &str = "container_memory_working_set_bytes / container_spec_memory_limit_bytes > 0.9";

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_memory_that_is_nearly_full_before_something_is_killed_passes() {
    for expr in [FULL, "container_memory_working_set_bytes > 9e8"] {
        let before = "before: 0s,";
        let story = leaking(expr, before, 0);
        // Six minutes in which the nine tenths are long before the end.
        let played = Story {
            config: story.config.replace("record: 6s", "record: 60s"),
            ..story
        };
        let played = played.play().await;
        assert_eq!(played.findings(), [""; 0]);
        played.ends(Verdict::Pass);
        let said = said(&played);
        assert!(
            said.crash_ms.is_some() && said.lead_ms().is_some_and(|lead| lead > 0),
            "{said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_a_kill_alone_comes_too_late_and_blocks() {
    let played = leaking("probe_success == 0", "before: 0s,", 0).play().await;
    played.ends(Verdict::Block);
    assert!(
        played.findings()[0].contains("after the first failed request in memory"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_no_memory_from_what_runs_tells_nothing_and_says_why() {
    let played = leaking(FULL, "before: 0s,", MEMORY).play().await;
    cannot_be_told(&played, "memory could not be made: device or resource busy");
    let untold = asked("memory", FULL, "").play().await;
    let says = "memory could not be made: the engine does not say how much memory `web` uses";
    let found = untold.findings();
    assert!(found.iter().any(|line| line.contains(says)), "{found:?}");
}
