//! The laws, each tried on a scripted mirror.

use super::course::AfterFailure;
use super::scripted::{Behaviour, CONFIG, Played, SignIn, Story, Told};
use crate::mirror::failure::ServiceFailureKind;
use crate::mirror::swap::InFlight;
use crate::record::exit_code::ExitCode;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::test::Reply;
use crate::record::verdict::Verdict;

use SignIn::{Fails, Works};

fn good() -> Behaviour {
    Behaviour::default()
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_does_what_the_baseline_did_passes_without_a_word() {
    let played = Story::default().play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    assert_eq!(played.findings(), [""; 0]);
    assert_eq!(played.recorded.tests.len(), 13);
    assert!(played.recorded.checks.iter().all(|check| !check.status.is_red()));
}

#[tokio::test(start_paused = true)]
async fn a_test_that_only_the_candidate_fails_blocks() {
    let story = Story {
        candidate: good().fails("smoke", "account"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.exit_code, ExitCode::Block);
    assert_eq!(
        played.findings(),
        [
            "boot-production-env error candidate in upgrade: `smoke` / `account` fails on the candidate: account: answered 500"
        ]
    );
    let evidence = &played.recorded.findings[0].evidence;
    assert!(
        evidence
            .iter()
            .any(|line| line.ends_with("an untouched baseline passed it 4 of 4 more times")),
        "{evidence:?}"
    );
    assert_eq!(played.check("boot-production-env", StageId::Upgrade), Status::Failed);
    assert_eq!(played.check("rollback", StageId::Rollback), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn two_failing_tests_of_a_suite_are_one_finding() {
    let story = Story {
        candidate: good().fails("smoke", "account").fails("smoke", "catalogue"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.recorded.findings.len(), 1, "{:?}", played.findings());
    assert!(
        played.recorded.findings[0]
            .title
            .starts_with("`smoke` / `catalogue` (and 1 more) fails")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_an_untouched_baseline_shows_too_is_flaky_and_not_guilty() {
    let flaky = [
        Told::Ends(Status::Passed),
        Told::Ends(Status::Failed),
        Told::Ends(Status::Passed),
    ];
    let story = Story {
        candidate: good().fails("smoke", "account"),
        untouched: good().test("smoke", "account", &flaky),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .contains("an untouched baseline fails it too, 1 of 4 times: flaky"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_does_not_come_again_is_flaky() {
    let once = [Told::Ends(Status::Failed), Told::Ends(Status::Passed)];
    let story = Story {
        candidate: good().test("smoke", "account", &once),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .contains("not again in 4 repeats: flaky"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_untouched_baseline_skips_could_not_be_told() {
    let story = Story {
        candidate: good().fails("smoke", "account"),
        untouched: good().test("smoke", "account", &[Told::Ends(Status::Skipped)]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played.judgement.headline.to_string().contains("could not tell"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn production_that_fails_on_its_own_mirror_says_nothing_of_the_candidate() {
    let story = Story {
        baseline: good().fails("smoke", "account"),
        candidate: good().fails("smoke", "account"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.exit_code, ExitCode::Inconclusive);
    assert_eq!(
        played.findings(),
        ["control error mirror in control: production itself (web shop:1) fails `smoke` / `account`"]
    );
    let upgrade = played.recorded.stages.iter().find(|stage| stage.id == StageId::Upgrade);
    assert_eq!(upgrade.map(|stage| stage.status), Some(Status::NotRun));
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_only_the_candidate_fails_blocks_with_the_pair() {
    let story = Story {
        candidate: good().signs_in(&[Fails]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .starts_with("auth-login: nobody can sign in: GET http://web/login answered 500; "),
        "{}",
        played.judgement.headline
    );
    assert_eq!(played.check("auth-login", StageId::Control), Status::Passed);
    assert_eq!(played.check("auth-login", StageId::Upgrade), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn the_products_version_is_named_only_with_evidence_from_the_product() {
    let fails = |behaviour: Behaviour| Story {
        candidate: behaviour.signs_in(&[Fails]),
        ..Story::default()
    };
    let own = fails(good()).play().await;
    assert!(
        !own.recorded.findings[0].help.contains("provider"),
        "{}",
        own.recorded.findings[0].help
    );
    let refused = fails(Behaviour {
        product_says: Some("unsupported extended operation".to_owned()),
        ..good()
    });
    let refused = refused.play().await;
    let finding = &refused.recorded.findings[0];
    assert!(
        finding.title.contains("idp says: unsupported extended operation"),
        "{}",
        finding.title
    );
    assert!(finding.help.contains("first move idp provider:1"), "{}", finding.help);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_fails_once_is_flaky() {
    let story = Story {
        candidate: good().signs_in(&[Fails, Works]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_cannot_read_what_the_candidate_left_has_no_way_back() {
    let story = Story {
        back: good().fails("data.verify", "kept"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .starts_with("rollback: after the rollback `data.verify` / `kept` fails"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_candidate_wrote_must_be_read_by_the_baseline() {
    let story = Story {
        back: good().fails("data.verify_write", "both"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert!(
        played.recorded.findings[0]
            .evidence
            .iter()
            .any(|line| line.ends_with("it passed before the rollback"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_does_not_come_up_blocks_and_the_way_back_is_tried() {
    let story = Story {
        candidate: Behaviour {
            down: Some(ServiceFailureKind::NotReady(std::time::Duration::from_secs(120))),
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert_eq!(
        played.findings(),
        ["boot-production-env error candidate in upgrade: `web` was not ready within 120 s"]
    );
    let rollback = played
        .recorded
        .stages
        .iter()
        .find(|stage| stage.id == StageId::Rollback)
        .expect("it ran");
    assert_eq!(rollback.status, Status::Passed, "{:?}", rollback.reason);
    assert_eq!(played.check("auth-login", StageId::Upgrade), Status::NotRun);
    assert_eq!(played.check("start-and-restart", StageId::Upgrade), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_crashes_is_told_by_the_check_on_crashes() {
    let story = Story {
        candidate: Behaviour {
            down: Some(ServiceFailureKind::Exited),
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(
        played.findings(),
        ["start-and-restart error candidate in upgrade: `web` exited with code 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn text_alone_warns_and_beside_a_failure_it_counts() {
    let says = |behaviour: Behaviour| behaviour.says("ERROR this option is deprecated");
    let alone = Story {
        candidate: says(good()),
        ..Story::default()
    };
    let alone = alone.play().await;
    assert_eq!(alone.judgement.verdict, Verdict::Pass, "{}", alone.judgement.headline);
    assert!(
        alone.findings()[0].starts_with("log-difference warn nobody in upgrade"),
        "{:?}",
        alone.findings()
    );
    let beside = Story {
        candidate: says(good().fails("smoke", "account")),
        ..Story::default()
    };
    let beside = beside.play().await;
    let text = beside
        .findings()
        .into_iter()
        .find(|finding| finding.starts_with("log-difference"));
    assert!(
        text.expect("it is told")
            .starts_with("log-difference error candidate in upgrade")
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_notices_a_stopped_product_and_so_nothing_is_known() {
    let story = Story {
        deaf_to_auth: true,
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .starts_with("auth-exercised: nothing notices that idp is stopped: 3 tests stay green"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn noise_notices_nothing() {
    for noise in [Status::Failed, Status::Error, Status::NotRun] {
        // In `rollback` the test passes; with the product stopped it is noisy once, and passes again.
        let ends = [
            Told::Ends(Status::Passed),
            Told::Ends(noise),
            Told::Ends(Status::Passed),
        ];
        let story = Story {
            back: good().test("smoke", "account", &ends),
            deaf_to_auth: true,
            ..Story::default()
        };
        let played = story.play().await;
        assert_eq!(played.judgement.verdict, Verdict::Inconclusive, "{noise}");
        assert!(
            played
                .judgement
                .headline
                .to_string()
                .starts_with("auth-exercised: nothing notices"),
            "{}",
            played.judgement.headline
        );
    }
}

fn stops(begun: usize, completed: usize) -> Behaviour {
    Behaviour {
        in_flight: Some(InFlight { begun, completed }),
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_baseline_ended_and_the_candidate_cut_blocks() {
    for (baseline, candidate, verdict) in [
        (stops(3, 1), stops(3, 0), Verdict::Block),
        (stops(3, 3), stops(3, 1), Verdict::Pass),
        (stops(3, 0), stops(3, 0), Verdict::Pass),
        (Behaviour::default(), stops(3, 0), Verdict::Pass),
        (stops(3, 3), Behaviour::default(), Verdict::Pass),
    ] {
        let story = Story {
            baseline,
            candidate,
            ..Story::default()
        };
        let played = story.play().await;
        assert_eq!(played.judgement.verdict, verdict, "{:?}", played.findings());
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_the_stop_is_a_warning_where_the_baseline_stops_by_itself() {
    let killed = Behaviour {
        killed: true,
        ..Behaviour::default()
    };
    let story = |baseline: &Behaviour| Story {
        baseline: baseline.clone(),
        candidate: killed.clone(),
        ..Story::default()
    };
    let played = story(&Behaviour::default()).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass);
    let found = played.findings();
    assert!(
        found.len() == 1 && found[0].starts_with("graceful-stop warn nobody in rollback"),
        "{found:?}"
    );
    assert!(story(&killed).play().await.findings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_lost_is_nobodys_fault() {
    for stage in StageId::ALL {
        let story = Story {
            agent_lost_in: Some(*stage),
            ..Story::default()
        };
        let played = story.play().await;
        assert_eq!(
            played.judgement.verdict,
            Verdict::Inconclusive,
            "{stage}: {}",
            played.judgement.headline
        );
    }
}

#[tokio::test(start_paused = true)]
async fn with_fail_fast_what_follows_a_failed_stage_does_not_run() {
    let story = Story {
        candidate: good().fails("smoke", "account"),
        after_failure: AfterFailure::End,
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let rollback = played
        .recorded
        .stages
        .iter()
        .find(|stage| stage.id == StageId::Rollback);
    assert_eq!(rollback.map(|stage| stage.status), Some(Status::NotRun));
}

#[tokio::test(start_paused = true)]
async fn what_no_release_reads_back_is_not_the_candidates_fault() {
    let unread = || good().fails("data.verify_write", "both");
    let story = Story {
        baseline: unread(),
        candidate: unread(),
        back: unread(),
        untouched: unread(),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(
        played.judgement.verdict,
        Verdict::Inconclusive,
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stays_ends_at_the_first_confirmed_failure_and_at_no_flake() {
    let rollback = |played: &Played| {
        let mut stages = played.recorded.stages.iter();
        let stage = stages.find(|stage| stage.id == StageId::Rollback);
        stage.map(|stage| stage.status)
    };
    let story = |untouched: Behaviour| Story {
        candidate: good().fails("smoke", "account"),
        untouched,
        after_failure: AfterFailure::Stay,
        ..Story::default()
    };
    let confirmed = story(good()).play().await;
    assert_eq!(confirmed.judgement.verdict, Verdict::Block);
    assert_eq!(rollback(&confirmed), Some(Status::NotRun));
    let flaky = story(good().fails("smoke", "account")).play().await;
    assert_eq!(flaky.judgement.verdict, Verdict::Inconclusive);
    assert_ne!(rollback(&flaky), Some(Status::NotRun));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_exits_again_and_again_is_told_in_whatever_stage_it_does() {
    let story = Story {
        candidate: Behaviour {
            exits: vec![255; 5],
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert!(
        played.findings()[0].contains("`web` exited 5 times after it was ready, last with code 255"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn downtime_over_the_limit_blocks() {
    let gap: Vec<Option<u16>> = [vec![Some(200); 5], vec![None; 400], vec![Some(200); 5]].concat();
    let story = Story {
        candidate: Behaviour { answers: gap, ..good() },
        ..Story::default()
    };
    let played = story.play().await;
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .contains("of downtime during the upgrade, 30 s are allowed"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_host_outside_is_a_warning_with_the_host() {
    let story = Story {
        candidate: Behaviour {
            seeks: vec!["telemetry.example.com".to_owned()],
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass);
    assert_eq!(
        played.findings(),
        ["egress warn nobody in upgrade: candidate tried to reach telemetry.example.com"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_that_is_gone_or_skipped_on_the_candidate_is_a_suspect_like_one_that_failed() {
    for (told, words) in [
        (Told::Absent, "not there any more"),
        (Told::Ends(Status::Skipped), "skipped"),
    ] {
        let story = Story {
            candidate: good().test("smoke", "account", &[told]),
            ..Story::default()
        };
        let played = story.play().await;
        assert_eq!(
            played.judgement.verdict,
            Verdict::Block,
            "{}",
            played.judgement.headline
        );
        assert!(played.findings()[0].contains(words), "{:?}", played.findings());
        let evidence = &played.recorded.findings[0].evidence;
        assert!(
            evidence.iter().any(|line| line.contains("4 of 4 more times")),
            "{evidence:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_that_an_untouched_baseline_skips_too_now_and_then_is_no_suspect_for_long() {
    let story = Story {
        candidate: good().test("smoke", "account", &[Told::Ends(Status::Skipped)]),
        untouched: good().test("smoke", "account", &[Told::Ends(Status::Skipped)]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_no_test_touches_has_not_been_rehearsed() {
    let config = CONFIG
        .replace("candidate: {web:", "candidate: {db:")
        .replace("shop:2", "postgres:16");
    let story = Story {
        config: config.clone(),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(
        played.judgement.verdict,
        Verdict::Inconclusive,
        "{}",
        played.judgement.headline
    );
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .starts_with("candidate-exercised: nothing notices that the candidate's `db` is stopped: 3 tests"),
        "{}",
        played.judgement.headline
    );
    // Nobody can sign for all of the candidates.
    let signed = Story {
        config: format!("{config}policy: {{unexercised: [{{service: db, reason: none yet}}]}}\n"),
        ..Story::default()
    };
    assert_eq!(signed.play().await.judgement.verdict, Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_somebody_signed_for_stands_in_the_first_line() {
    let config = CONFIG.replace("candidate: {", "candidate: {db: {image: 'postgres:16'}, ");
    let signed = format!("{config}policy: {{unexercised: [{{service: db, reason: none yet}}]}}\n");
    let story = |config: &str| Story {
        config: config.to_owned(),
        ..Story::default()
    };
    assert_eq!(story(&config).play().await.judgement.verdict, Verdict::Inconclusive);
    let played = story(&signed).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .ends_with("; no test notices `db` (none yet)"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_configuration_without_any_test_does_not_pass() {
    let story = Story {
        config: "production: {compose: compose.yaml}\ncandidate: {web: {image: 'shop:2'}}\n".to_owned(),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .contains("there is no test that could"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_narrowed_run_passes_only_where_the_candidate_ran_and_says_what_was_left_out() {
    let only = |words: &[&str]| Story {
        only: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Story::default()
    };
    for words in [["control"], ["rollback"]] {
        let played = only(&words).play().await;
        assert_eq!(played.judgement.exit_code, ExitCode::Inconclusive, "{words:?}");
        assert!(
            played
                .judgement
                .headline
                .to_string()
                .contains("the candidate did not run"),
            "{}",
            played.judgement.headline
        );
    }
    let upgrade = only(&["upgrade"]).play().await;
    assert_eq!(
        upgrade.judgement.verdict,
        Verdict::Pass,
        "{}",
        upgrade.judgement.headline
    );
    assert!(
        upgrade
            .judgement
            .headline
            .to_string()
            .ends_with("the upgrade works on this mirror; only upgrade was asked for"),
        "{}",
        upgrade.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_production_never_answers_proves_nothing() {
    let probe = format!("{CONFIG}stages: {{upgrade: {{probe: 'http://web:9999/'}}}}\n");
    let silent = || Behaviour {
        answers: vec![None; 10],
        ..good()
    };
    let story = Story {
        config: probe,
        baseline: silent(),
        candidate: silent(),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.exit_code, ExitCode::Inconclusive);
    assert!(
        played
            .judgement
            .headline
            .to_string()
            .contains("production itself never answers the probe `http://web:9999/`"),
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn a_waiver_for_the_behaviour_leaves_text_a_warning() {
    let waive = "policy: {waive: [{check: boot-production-env, reason: known, test: smoke / account}]}\n";
    let story = Story {
        config: format!("{CONFIG}{waive}"),
        candidate: good().fails("smoke", "account").says("ERROR this is new"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    let text = played
        .findings()
        .into_iter()
        .find(|finding| finding.starts_with("log-difference"));
    assert!(text.expect("it is told").starts_with("log-difference warn nobody"));
}

#[tokio::test(start_paused = true)]
async fn a_waiver_for_one_test_does_not_cover_another() {
    let waive = "policy: {waive: [{check: boot-production-env, reason: known, test: smoke / account}]}\n";
    let story = Story {
        config: format!("{CONFIG}{waive}"),
        candidate: good().fails("smoke", "account").fails("smoke", "catalogue"),
        ..Story::default()
    };
    assert_eq!(story.play().await.judgement.verdict, Verdict::Block);
}

#[tokio::test(start_paused = true)]
async fn data_that_the_candidate_does_not_show_is_not_lost_data() {
    let gets = |reply| Story {
        candidate: good().test("data.verify", "kept", &[Told::Gets(reply)]),
        ..Story::default()
    };
    for reply in [
        Reply::Nothing,
        Reply::Status(302),
        Reply::Status(401),
        Reply::Status(403),
        Reply::Status(503),
    ] {
        let played = gets(reply).play().await;
        assert_eq!(played.judgement.verdict, Verdict::Block);
        let finding = &played.recorded.findings[0];
        assert!(
            finding
                .title
                .starts_with("the baseline's data could not be looked at: `kept`"),
            "{reply:?}: {}",
            finding.title
        );
        assert!(!finding.help.contains("migration"), "{}", finding.help);
    }
    for reply in [Reply::Status(200), Reply::Status(404)] {
        let played = gets(reply).play().await;
        let finding = &played.recorded.findings[0];
        assert!(finding.help.contains("loses or changes"), "{reply:?}: {}", finding.help);
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_the_baseline_does_not_show_any_more_is_not_data_that_it_cannot_read() {
    let story = Story {
        back: good().test("data.verify", "kept", &[Told::Gets(Reply::Status(500))]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let title = &played.recorded.findings[0].title;
    assert!(
        title.starts_with("after the rollback the data could not be looked at"),
        "{title}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_failing_sign_in_keeps_out_is_told_with_it() {
    let refused = [Told::Gets(Reply::Status(401))];
    let candidate = good().signs_in(&[Fails]).test("data.verify", "kept", &refused);
    let story = Story {
        candidate: candidate
            .test("smoke", "account", &refused)
            .fails("data.write", "another"),
        ..Story::default()
    };
    let played = story.play().await;
    let found = played.findings();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("auth-login error candidate in upgrade"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("rollback error candidate in rollback"),
        "{found:?}"
    );
    let evidence = &played.recorded.findings[0].evidence;
    for named in ["boot-production-env in upgrade", "upgrade-in-place in upgrade"] {
        assert!(evidence.iter().any(|line| line.contains(named)), "{evidence:?}");
    }
    // What is told elsewhere has failed all the same.
    for check in ["auth-login", "boot-production-env", "upgrade-in-place"] {
        assert_eq!(played.check(check, StageId::Upgrade), Status::Failed, "{check}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_with_one_reason_in_the_log_or_one_silent_service_are_one_finding() {
    let both = |told: Told| {
        good()
            .test("smoke", "account", &[told])
            .test("data.verify", "kept", &[told])
    };
    let cases = [
        (both(Told::Gets(Reply::Nothing)), 1),
        (both(Told::Ends(Status::Failed)), 2),
    ];
    for (candidate, findings) in cases {
        let story = Story {
            candidate: candidate.clone(),
            ..Story::default()
        };
        let found = story.play().await.findings();
        assert_eq!(found.len(), findings, "{found:?}");
        let says = Story {
            candidate: candidate.says("ERROR no such column"),
            ..Story::default()
        };
        let found = says.play().await.findings();
        let behaviour = found.iter().filter(|line| !line.starts_with("log-difference"));
        assert_eq!(behaviour.count(), 1, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_step_that_failed_speaks_before_what_it_kept_from_running() {
    let not_run = [Told::Ends(Status::NotRun)];
    let story = Story {
        baseline: good().fails("data.seed", "order").test("data.verify", "kept", &not_run),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(
        played.findings(),
        ["control error mirror in control: production itself (web shop:1) fails `data.seed` / `order`"]
    );
    let evidence = played.recorded.findings[0].evidence.join("\n");
    assert!(
        evidence.contains("fails `data.verify` / `kept`") && evidence.contains("suite `data.verify` ran 0 tests"),
        "{evidence}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_flaky_test_speaks_before_a_suite_without_tests() {
    let once = [Told::Ends(Status::Failed), Told::Ends(Status::Passed)];
    let story = Story {
        config: CONFIG.replace(
            "suites:\n",
            "suites:\n  empty: {target: 'http://web', requests: [{name: one, get: /}]}\n",
        ),
        candidate: good()
            .test("smoke", "account", &once)
            .test("empty", "one", &[Told::Ends(Status::NotRun)]),
        ..Story::default()
    };
    let played = story.play().await;
    let line = played.judgement.headline.to_string();
    assert!(
        line.starts_with("boot-production-env: `smoke` / `account` failed in upgrade, but not again"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_said_meanwhile_stands_beside_a_failure_and_a_memory_kill_is_its_cause() {
    let silent = good().test("smoke", "account", &[Told::Gets(Reply::Nothing)]);
    let story = |candidate: Behaviour| Story {
        candidate: candidate.says("sign-in: no single entry for anna"),
        ..Story::default()
    };
    let played = story(silent.clone()).play().await;
    let finding = &played.recorded.findings[0];
    assert_eq!(finding.cause, None);
    let said = "web: sign-in: no single entry for anna".to_owned();
    assert!(finding.evidence.contains(&said), "{:?}", finding.evidence);
    let killed = |suite: &str| Behaviour {
        memory_kill_in: Some(suite.to_owned()),
        ..silent.clone()
    };
    let played = story(killed("smoke")).play().await;
    let cause = played.recorded.findings[0].cause.as_deref();
    assert_eq!(cause, Some("a process in `web` was killed for memory"));
    // What is killed at another time explains nothing.
    let played = story(killed("data.verify")).play().await;
    assert_eq!(played.recorded.findings[0].cause, None);
    // The sign-in's failure shows what was said, too.
    let played = story(good().signs_in(&[Fails])).play().await;
    assert!(played.recorded.findings[0].evidence.contains(&said));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_nobody_heard_without_a_session_is_not_called_open() {
    let silent = || Behaviour {
        silent_to_strangers: true,
        ..good()
    };
    let story = |baseline: Behaviour| Story {
        baseline,
        ..Story::default()
    };
    let played = story(silent()).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    let line = played.judgement.headline.to_string();
    assert!(
        line.contains("got no answer (tls)") && !line.contains("without signing in"),
        "{line}"
    );
    // Where the sign-in fails, too, that is what is told.
    let played = story(silent().signs_in(&[Fails])).play().await;
    let line = played.judgement.headline.to_string();
    assert!(line.contains("production itself cannot sign in"), "{line}");
}

mod properties {
    use std::collections::VecDeque;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::scripted::{Behaviour, Played, SignIn, Story, Told};
    use crate::mirror::failure::ServiceFailureKind;
    use crate::record::stage::StageId;
    use crate::record::status::Status;
    use crate::record::verdict::Verdict;

    const TESTS: [(&str, &str); 6] = [
        ("smoke", "catalogue"),
        ("smoke", "account"),
        ("data.seed", "order"),
        ("data.verify", "kept"),
        ("data.write", "another"),
        ("data.verify_write", "both"),
    ];

    fn told() -> impl Strategy<Value = Told> {
        prop_oneof![
            6 => Just(Told::Ends(Status::Passed)),
            2 => Just(Told::Ends(Status::Failed)),
            1 => Just(Told::Ends(Status::Error)),
            1 => Just(Told::Ends(Status::Skipped)),
            1 => Just(Told::Ends(Status::NotRun)),
            1 => Just(Told::Absent),
        ]
    }

    fn sign_in() -> impl Strategy<Value = SignIn> {
        prop_oneof![8 => Just(SignIn::Works), 2 => Just(SignIn::Fails), 1 => Just(SignIn::Lost)]
    }

    fn down() -> impl Strategy<Value = Option<ServiceFailureKind>> {
        prop_oneof![
            9 => Just(None),
            1 => Just(Some(ServiceFailureKind::Exited)),
            1 => Just(Some(ServiceFailureKind::NotReady(Duration::from_secs(1)))),
        ]
    }

    /// Mostly good, so that a rehearsal comes far.
    fn behaviour() -> impl Strategy<Value = Behaviour> {
        let strange = proptest::collection::vec((0..TESTS.len(), proptest::collection::vec(told(), 1..4)), 0..2);
        let signs = proptest::collection::vec(sign_in(), 0..3);
        let exits = proptest::collection::vec(prop_oneof![Just(1i64), Just(137)], 0..2);
        (strange, signs, down(), exits, any::<bool>()).prop_map(|(strange, signs, down, exits, logs)| {
            let mut behaviour = Behaviour {
                sign_ins: VecDeque::from(signs),
                down,
                exits,
                ..Behaviour::default()
            };
            for (at, ends) in strange {
                let (suite, name) = TESTS[at];
                behaviour = behaviour.test(suite, name, &ends);
            }
            if logs {
                behaviour.says("ERROR something")
            } else {
                behaviour
            }
        })
    }

    fn good_or(strange: impl Strategy<Value = Behaviour>) -> impl Strategy<Value = Behaviour> {
        prop_oneof![2 => Just(Behaviour::default()), 1 => strange]
    }

    fn story() -> impl Strategy<Value = Story> {
        let stages = prop_oneof![
            6 => Just(None),
            1 => proptest::sample::select(StageId::ALL).prop_map(Some),
        ];
        let behaviours = (
            good_or(behaviour()),
            behaviour(),
            good_or(behaviour()),
            good_or(behaviour()),
        );
        (behaviours, stages, any::<bool>()).prop_map(|((baseline, candidate, back, untouched), lost, deaf)| Story {
            baseline,
            candidate,
            back,
            untouched,
            agent_lost_in: lost,
            deaf_to_auth: deaf,
            ..Story::default()
        })
    }

    fn play(story: Story) -> Played {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.expect("a runtime").block_on(story.play())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        /// Law 1: only what was looked at, all of it, and is as it must be, passes.
        #[test]
        fn nothing_that_is_red_or_absent_is_in_a_pass(story in story()) {
            let (lost, deaf) = (story.agent_lost_in, story.deaf_to_auth);
            let played = play(story);
            if played.judgement.verdict == Verdict::Pass {
                let recorded = &played.recorded;
                prop_assert!(lost.is_none() && !deaf);
                prop_assert!(recorded.stages.iter().all(|stage| !stage.status.is_red()));
                prop_assert!(recorded.stages.iter().flat_map(|stage| &stage.steps).all(|step| !step.status.is_red()));
                prop_assert!(recorded.checks.iter().all(|check| !check.status.is_red()));
                prop_assert!(recorded.tests.iter().all(|test| !test.status.is_red()));
                // What passed in control was looked at again, and passed again, wherever it is planned.
                let passed = |stage| recorded.tests.iter().filter(move |test| test.stage == stage && test.status == Status::Passed);
                let data = |name: &str| name.starts_with("data.seed");
                for test in passed(StageId::Control).filter(|test| !data(&test.suite.to_string())) {
                    for stage in [StageId::Upgrade, StageId::Rollback] {
                        prop_assert!(passed(stage).any(|again| again.id() == test.id()), "{} in {stage}", test.name);
                    }
                }
            }
        }

        /// Laws 2 and 3: what production itself does alike is never the candidate's fault.
        #[test]
        fn a_candidate_that_behaves_as_the_baseline_is_never_blocked(behaviour in behaviour(), lost in any::<bool>()) {
            let played = play(Story {
                baseline: behaviour.clone(),
                candidate: behaviour.clone(),
                back: behaviour.clone(),
                untouched: Behaviour { exits: Vec::new(), ..behaviour.clone() },
                agent_lost_in: lost.then_some(StageId::Upgrade),
                ..Story::default()
            });
            let steady = behaviour.sign_ins.len() < 2 && behaviour.tests.values().all(|ends| ends.len() < 2);
            // Exits are the candidate's container's own; nothing of the kind is asked of the baseline.
            if steady && behaviour.exits.is_empty() {
                prop_assert_ne!(played.judgement.verdict, Verdict::Block, "{}", played.judgement.headline);
            }
        }

        /// Whatever happens, each planned check has one answer in each stage.
        #[test]
        fn each_check_is_answered_once_in_each_stage(story in story()) {
            let played = play(story);
            let mut answers: Vec<_> = played.recorded.checks.iter().map(|check| (check.stage, check.check)).collect();
            let all = answers.len();
            answers.sort();
            answers.dedup();
            prop_assert_eq!(answers.len(), all);
        }
    }
}
