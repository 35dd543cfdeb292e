//! The laws, each tried on a scripted mirror.

use std::time::Duration;

use super::scripted::{
    Behaviour, COMPOSE, CONFIG, Played, Sessions, SignIn, Story, Stranger, TOKEN, Told, UnderLoad, Uses,
};
use crate::agent::jar::CookieRule;
use crate::check::asked::tests::called;
use crate::mirror::failure::{ServiceFailureKind, Waited};
use crate::mirror::names::calls::{Called, Caller};
use crate::mirror::restore::{RestoreFailure, Restored};
use crate::mirror::swap::InFlight;
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::record::test::Reply;
use crate::record::verdict::Verdict;
use crate::rehearsal::course::AfterFailure;
use crate::world::deploy::Deploy;
use crate::world::model::Service;

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
async fn the_untouched_baseline_comes_up_beside_the_way_back_where_one_is_needed() {
    let beside = |played: &Played| {
        let mut notes = played.recorded.notes.iter();
        notes.any(|note| note.starts_with("an untouched baseline comes up beside"))
    };
    let story = |candidate: Behaviour| Story {
        candidate,
        ..Story::default()
    };
    assert!(beside(&story(good().fails("smoke", "account")).play().await));
    assert!(!beside(&story(good()).play().await));
    // Where there is no way back, it comes up when it is needed.
    let forward = Story {
        config: CONFIG.to_owned() + "stages: {rollback: {forward_only: 'one way'}}\n",
        ..story(good().fails("smoke", "account"))
    };
    let played = forward.play().await;
    assert!(!beside(&played));
    assert_eq!(played.judgement.exit_code, ExitCode::Block);
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
async fn a_cookie_that_browsers_keep_back_is_the_cause_whatever_the_product_says() {
    let story = Story {
        candidate: Behaviour {
            product_says: Some("invalid state".to_owned()),
            ..good().signs_in(&[SignIn::KeptBack(CookieRule::SameSite)])
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let finding = &played.recorded.findings[0];
    assert_eq!(finding.title, "nobody can sign in: no browser sends the cookie `sid`");
    assert!(finding.help.contains("production.hosts"), "{}", finding.help);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_production_keeps_for_https_alone_blames_nobody_and_names_the_way_out_at_once() {
    for rule in [CookieRule::Secure, CookieRule::Prefix] {
        let kept = || good().signs_in(&[SignIn::KeptBack(rule)]);
        let story = Story {
            baseline: kept(),
            candidate: kept(),
            back: kept(),
            untouched: kept(),
            ..Story::default()
        };
        let played = story.play().await;
        played.ends(Verdict::Inconclusive);
        let first = played.judgement.headline.to_string();
        assert!(
            first.contains("no browser sends the cookie `sid`") && first.contains("production.hosts"),
            "{first}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_only_the_candidate_keeps_for_https_alone_blocks_and_tells_what_to_name() {
    for rule in [CookieRule::Secure, CookieRule::NoneWithoutSecure] {
        let story = Story {
            candidate: good().signs_in(&[SignIn::KeptBack(rule)]),
            ..Story::default()
        };
        let played = story.play().await;
        played.ends(Verdict::Block);
        let help = &played.recorded.findings[0].help;
        assert!(
            help.contains("where production speaks https, name its address in production.hosts"),
            "{help}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_page_that_needs_a_script_decides_nothing_and_is_named() {
    let scripted = || good().signs_in(&[SignIn::NeedsScript]);
    let of_candidate = Story {
        candidate: scripted(),
        ..Story::default()
    };
    let of_both = Story {
        baseline: scripted(),
        candidate: scripted(),
        ..Story::default()
    };
    for story in [of_candidate, of_both] {
        let played = story.play().await;
        assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
        let headline = played.judgement.headline.to_string();
        assert!(
            headline.contains("the sign-in page of idp needs JavaScript"),
            "{headline}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_products_with_scripts_alone_where_production_was_shown_a_form_blocks_with_its_diagnosis() {
    let refused = ["GET /.well-known/openid-configuration 404"];
    let played = asking(&refused, SignIn::NeedsScriptOfProduct).play().await;
    played.ends(Verdict::Block);
    let line = played.judgement.headline.to_string();
    assert!(
        line.starts_with("auth-login: shop 2 asks for OpenID Connect discovery; production's idp "),
        "{line}"
    );
    // Nobody knows what the page is where production sees it, too.
    let mut both = asking(&refused, SignIn::NeedsScriptOfProduct);
    both.baseline.sign_ins = [SignIn::NeedsScriptOfProduct].into();
    both.play().await.ends(Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_that_only_the_candidate_takes_blocks() {
    let careless = || Behaviour {
        takes_any_password: true,
        ..good()
    };
    let story = |baseline: Behaviour| Story {
        untouched: baseline.clone(),
        back: baseline.clone(),
        baseline,
        candidate: careless(),
        ..Story::default()
    };
    let played = story(good()).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    assert!(
        found[0].starts_with("auth-login error candidate in upgrade: a wrong password signs in"),
        "{found:?}"
    );
    let both = story(careless()).play().await;
    both.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_used_code_that_only_the_candidate_takes_blocks() {
    let careless = || Behaviour {
        takes_used_codes: true,
        ..good()
    };
    let story = |baseline: Behaviour| Story {
        untouched: baseline.clone(),
        baseline,
        candidate: careless(),
        ..Story::default()
    };
    let found = story(good()).play().await.findings();
    let says = "auth-login error candidate in upgrade: an authorization code signs in a second time";
    assert!(found[0].starts_with(says), "{found:?}");
    let both = story(careless()).play().await;
    both.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_signs_in_after_a_wrong_password_nobody_can_tell_of_used_codes() {
    let locking = |is_locking| Behaviour {
        locks_out: is_locking,
        ..good()
    };
    let story = |baseline: Behaviour, candidate| Story {
        untouched: baseline.clone(),
        baseline,
        candidate,
        ..Story::default()
    };
    let played = story(good(), locking(true)).play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-login", StageId::Upgrade), Status::NotRun);
    // What could not be tried of production either is a note, and what it takes itself is no question.
    let both = story(locking(true), locking(true)).play().await;
    both.ends(Verdict::Pass);
    let notes = &both.recorded.notes;
    let says = "auth-login in control: a code's second use is skipped: nobody could sign in after a wrong password";
    assert!(notes.iter().any(|note| note.starts_with(says)), "{notes:?}");
    let takes = Behaviour {
        takes_used_codes: true,
        ..good()
    };
    story(takes, locking(true)).play().await.ends(Verdict::Pass);
}

/// A suite whose two last steps carry the user's token, the very last by a POST.
fn guarded(baseline: &[Stranger], candidate: &[Stranger]) -> Story {
    let own = |lets_in: &[Stranger]| Behaviour {
        lets_in: lets_in.iter().copied().collect(),
        ..good()
    };
    let steps = format!(
        "      - {{name: mine, get: /mine, headers: {{Authorization: 'Bearer {TOKEN}'}}}}\n      - {{name: change, post: /mine, headers: \
         {{Authorization: 'Bearer {TOKEN}'}}}}\ndata:"
    );
    Story {
        config: CONFIG.replace("data:", &steps),
        baseline: own(baseline),
        untouched: own(baseline),
        back: own(baseline),
        candidate: own(candidate),
        ..Story::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_whom_only_the_candidate_lets_in_blocks() {
    let played = guarded(&[], &[Stranger::Nobody]).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    let says = "auth-refusals error candidate in upgrade: smoke / mine is given to strangers, whom web shop:1 refuses";
    assert!(found.contains(&says.to_owned()), "{found:?}");
    let says =
        "auth-refusals error candidate in rollback: smoke / change is given to strangers, whom web shop:1 refuses";
    assert!(found.contains(&says.to_owned()), "{found:?}");
    assert!(played.judgement.headline.to_string().starts_with("auth-refusals: "));
    assert_eq!(played.check("auth-refusals", StageId::Upgrade), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_verifies_no_signature_blocks_once_with_all_ways() {
    let played = guarded(&[], &[Stranger::Forger]).play().await;
    let found = played.findings();
    assert_eq!(found.len(), 2, "{found:?}");
    let says = "smoke / mine is given for a token with altered claims, which web shop:1 refuses (and in 5 more ways)";
    assert!(found[0].ends_with(says), "{found:?}");
    let evidence = &played.recorded.findings[0].evidence;
    let says = "smoke / mine, idtoken-sig-none: the baseline answers 401, the candidate 200";
    assert!(evidence.contains(&says.to_owned()), "{evidence:?}");
}

/// As `guarded`, with a status for whoever is not let in.
fn keeping_out(baseline: u16, candidate: u16) -> Story {
    let mut story = guarded(&[], &[]);
    for behaviour in [&mut story.baseline, &mut story.untouched, &mut story.back] {
        behaviour.keeps_out_by = Some(baseline);
    }
    story.candidate.keeps_out_by = Some(candidate);
    story
}

#[tokio::test(start_paused = true)]
async fn a_server_error_for_strangers_whom_production_refuses_blocks() {
    let played = keeping_out(401, 500).play().await;
    played.ends(Verdict::Block);
    let found = played.findings();
    for says in [
        "auth-login error candidate in upgrade: a wrong password ends in a server error, where web shop:1 refuses it",
        "auth-refusals error candidate in upgrade: smoke / mine ends in HTTP 500 for strangers, whom web shop:1 refuses by 401",
    ] {
        assert!(found.iter().any(|found| found.starts_with(says)), "{says}: {found:?}");
    }
    // One that production has itself is nobody's finding, and lets nobody in.
    let both = keeping_out(500, 500).play().await;
    both.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn where_too_much_was_asked_of_either_nobody_can_tell() {
    for (baseline, candidate) in [(401, 429), (429, 401), (429, 429)] {
        let played = keeping_out(baseline, candidate).play().await;
        played.ends(Verdict::Inconclusive);
        assert_eq!(played.check("auth-refusals", StageId::Upgrade), Status::NotRun);
    }
}

/// As `guarded`; who is not let in is hung up on after so long.
fn hanging_up(baseline: Option<u64>, candidate: Option<u64>, lets_in: &[Stranger]) -> Story {
    let mut story = guarded(&[], lets_in);
    let after = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    for behaviour in [&mut story.baseline, &mut story.untouched, &mut story.back] {
        behaviour.hangs_up = after(baseline);
    }
    story.candidate.hangs_up = after(candidate);
    story
}

#[tokio::test(start_paused = true)]
async fn who_closes_the_connection_on_strangers_keeps_them_out() {
    hanging_up(Some(0), Some(0), &[]).play().await.ends(Verdict::Pass);
    let played = hanging_up(Some(0), Some(0), &[Stranger::Nobody]).play().await;
    played.ends(Verdict::Block);
    let evidence = &played.recorded.findings[0].evidence;
    let says = "smoke / mine, no-credentials: the baseline closes the connection, the candidate 200";
    assert!(evidence.iter().any(|line| line == says), "{evidence:?}");
}

#[tokio::test(start_paused = true)]
async fn where_production_does_not_answer_strangers_at_all_nobody_can_tell() {
    let late = Some(11);
    for (baseline, candidate) in [(late, late), (late, None), (None, Some(0)), (None, late)] {
        let played = hanging_up(baseline, candidate, &[]).play().await;
        played.ends(Verdict::Inconclusive);
        assert_eq!(played.check("auth-refusals", StageId::Upgrade), Status::NotRun);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_over_by_itself_says_nothing_of_its_forgeries() {
    let mut story = guarded(&[], &[]);
    story.candidate.ends_tokens = true;
    let played = story.clone().play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("auth-refusals", StageId::Upgrade), Status::NotRun);
    // Where production's is over, too, that is said, and nobody is blamed for it.
    for behaviour in [&mut story.baseline, &mut story.untouched, &mut story.back] {
        behaviour.ends_tokens = true;
    }
    let played = story.play().await;
    played.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_production_lets_in_itself_is_nobodys_finding() {
    let all = [Stranger::Nobody, Stranger::Forger];
    for (baseline, candidate) in [(&all[..], &all[..]), (&all, &[]), (&[], &[])] {
        let played = guarded(baseline, candidate).play().await;
        played.ends(Verdict::Pass);
        assert_eq!(played.findings(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_writes_only_when_no_data_of_that_release_follows_and_where_production_refused() {
    let writes = |played: &Played| {
        let own = played.order.iter().enumerate();
        let own = own.filter(|(_, line)| line.contains("POST"));
        own.map(|(at, line)| (at, line.clone())).collect::<Vec<_>>()
    };
    let played = guarded(&[], &[]).play().await;
    let (order, all) = (&played.order, writes(&played));
    let at = |line: &str| order.iter().position(|known| known == line).unwrap();
    for (number, line) in &all {
        let last = match line.starts_with("Baseline") {
            true => "Baseline: data.verify",
            false => "Candidate: data.verify_write",
        };
        assert!(
            line.ends_with("POST http://web/mine") && *number > at(last),
            "{order:?}"
        );
    }
    // Without a token and with each of seven, on each release.
    assert_eq!(all.len(), 14, "{order:?}");
    let open = guarded(&[Stranger::Nobody, Stranger::Forger], &[]).play().await;
    assert_eq!(writes(&open).len(), 1, "{:?}", open.order);
}

fn with_sessions(sessions: Sessions) -> Behaviour {
    Behaviour { sessions, ..good() }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_an_error_blocks_in_whichever_direction() {
    let there = Story {
        candidate: with_sessions(Sessions::Break),
        ..Story::default()
    };
    let back = Story {
        back: with_sessions(Sessions::Break),
        ..Story::default()
    };
    for (story, stage, says) in [
        (
            there,
            StageId::Upgrade,
            "whoever signed in with web shop:1 is left with an error: GET",
        ),
        (
            back,
            StageId::Rollback,
            "whoever signed in with web shop:1 is left with an error after the rollback: GET",
        ),
    ] {
        let played = story.play().await;
        played.ends(Verdict::Block);
        let found = played.findings();
        let wanted = format!("session-survival error candidate in {stage}: {says}");
        assert!(found[0].starts_with(&wanted), "{found:?}");
        assert_eq!(played.check("session-survival", stage), Status::Failed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_refused_passes_with_a_note() {
    let story = Story {
        candidate: with_sessions(Sessions::AreRefused),
        ..Story::default()
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let mut notes = played.recorded.notes.iter();
    assert!(notes.any(|note| note.starts_with("session-survival in upgrade: a session made in control does not hold")));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_an_error_across_a_restart_of_the_baseline_too_blocks_nobody() {
    let story = Story {
        candidate: with_sessions(Sessions::Break),
        untouched: with_sessions(Sessions::Break),
        ..Story::default()
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn who_has_had_too_many_sign_ins_is_not_blamed_for_a_session() {
    let story = Story {
        candidate: with_sessions(Sessions::AreLimited),
        ..Story::default()
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    assert_eq!(played.check("session-survival", StageId::Upgrade), Status::Error);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_sign_in_sessions_are_not_blamed() {
    let story = Story {
        candidate: Behaviour {
            sessions: Sessions::Break,
            ..good().signs_in(&[Fails])
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert_eq!(played.findings().len(), 1, "{:?}", played.findings());
    assert_eq!(played.check("session-survival", StageId::Upgrade), Status::NotRun);
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
async fn a_service_that_is_given_the_engines_socket_makes_a_run_inconclusive_with_that_reason() {
    for socket in [
        "/var/run/docker.sock:/var/run/docker.sock:ro",
        "/run/user/1000/podman/podman.sock:/sock",
    ] {
        let story = Story {
            compose: format!("{COMPOSE}  proxy: {{image: 'proxy:1', volumes: ['{socket}']}}\n"),
            ..Story::default()
        };
        let played = story.play().await;
        assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
        let line = played.judgement.headline.to_string();
        assert!(
            line.contains("`proxy` is given the engine's socket in production"),
            "{line}"
        );
    }
}

/// The story of a production whose database gets a dump first.
fn with_restored(failure: Option<RestoreFailure>) -> Story {
    let restored = Restored {
        into: "db".to_owned(),
        from: "`shop.sql`".to_owned(),
        begun: Duration::ZERO,
        took: Duration::from_millis(1_300),
        packed: 2048,
        unpacked: 4096,
        failure,
    };
    let behaviour = Behaviour {
        restored: vec![restored],
        ..good()
    };
    Story {
        config: CONFIG.replace("data:\n", "data:\n  restore: {db: rehearsal.yaml}\n"),
        baseline: behaviour.clone(),
        untouched: behaviour,
        ..Story::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_restored_stands_in_the_report_with_its_time_and_size() {
    let played = with_restored(None).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    let wanted = "restored db from `shop.sql`, 2.0 KiB (4.0 KiB unpacked) in 1.3 s";
    assert!(
        played.recorded.notes.iter().any(|note| note == wanted),
        "{:?}",
        played.recorded.notes
    );
    let mut steps = played.recorded.stages[0].steps.iter();
    let step = steps
        .find(|step| step.id == Step::Restore("db".to_owned()))
        .expect("it is a step");
    assert_eq!((step.status, step.duration_ms), (Status::Passed, 1_300));
}

#[tokio::test(start_paused = true)]
async fn data_that_cannot_be_restored_says_nothing_of_the_candidate() {
    let failure = RestoreFailure {
        cause: "`its SQL client` in `db` ended with code 3".to_owned(),
        ..RestoreFailure::default()
    };
    let played = with_restored(Some(failure.clone())).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    let line = played.judgement.headline.to_string();
    assert!(
        line.contains("the mirror did not get production's data: `db` could not be restored"),
        "{line}"
    );
    let not_run = |step: &Step| {
        let mut steps = played.recorded.stages[0].steps.iter();
        steps.any(|one| one.id == *step && one.status == Status::NotRun)
    };
    assert!(not_run(&Step::Start("web".to_owned())));
    // Where the second mirror does not get it, there is nothing to compare with.
    let mut story = with_restored(None);
    story.candidate = good().fails("smoke", "account");
    story.untouched.restored[0].failure = Some(failure);
    let played = story.play().await;
    assert_eq!(
        played.judgement.verdict,
        Verdict::Inconclusive,
        "{}",
        played.judgement.headline
    );
}

#[tokio::test(start_paused = true)]
async fn production_has_to_its_first_answer_what_control_allows_and_its_start_has_left() {
    let story = |within: &str| Story {
        config: format!("{CONFIG}stages: {{control: {{within: {within}}}}}\n"),
        baseline: Behaviour {
            ready: Duration::from_secs(10),
            answers_after: Duration::from_secs(100),
            ..good()
        },
        ..Story::default()
    };
    let notes = |played: &super::scripted::Played| played.recorded.notes.join("\n");
    let waits = story("3m").play().await;
    assert!(!notes(&waits).contains("not ready"), "{}", notes(&waits));
    let silent = story("105s").play().await;
    let words =
        "`web` was not ready within 1 min 45 s: it had 1 min 45 s since its start; the tests ask it all the same";
    assert!(notes(&silent).contains(words), "{}", notes(&silent));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_does_not_come_up_blocks_and_the_way_back_is_tried() {
    let story = Story {
        candidate: Behaviour {
            down: Some(ServiceFailureKind::NotReady(Waited::all_of(Duration::from_secs(120)))),
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    assert_eq!(
        played.findings(),
        [
            "boot-production-env error candidate in upgrade: `web` was not ready within 2 min: it had 2 min since its start"
        ]
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
async fn what_is_said_to_a_wrong_password_of_ours_is_not_weighed() {
    let story = Story {
        candidate: Behaviour {
            scolds: Some("ERROR authentication failed for alice".to_owned()),
            ..good()
        },
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.findings(), [""; 0]);
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
async fn a_run_in_which_nothing_was_asked_of_the_product_tests_no_authentication() {
    let story = Story {
        hears_all: true,
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    let line = played.judgement.headline.to_string();
    assert!(
        line.starts_with("auth-exercised: nothing was asked of idp in the whole run: its front saw no call"),
        "{line}"
    );
    let asks = |calls: &[&str]| Behaviour {
        calls: heard(calls),
        ..good()
    };
    let story = Story {
        hears_all: true,
        back: asks(&["GET /authorize 302"]),
        ..Story::default()
    };
    assert_eq!(story.play().await.judgement.verdict, Verdict::Pass);
}

/// Calls that a front has seen.
fn heard(calls: &[&str]) -> Vec<Called> {
    let web = |told: &&str| called(Caller::Service("web".to_owned()), told);
    calls.iter().map(web).collect()
}

/// A candidate that asks so, on a baseline that asks for a page of authorization and no more.
fn asking(calls: &[&str], signs_in: SignIn) -> Story {
    Story {
        baseline: Behaviour {
            calls: heard(&["GET /authorize 302 response_type=code"]),
            ..good()
        },
        candidate: Behaviour {
            calls: heard(calls),
            sign_ins: [signs_in].into(),
            ..good()
        },
        ..Story::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_candidate_asks_for_and_is_refused_names_the_cause_of_a_failed_sign_in() {
    let refused = ["GET /.well-known/openid-configuration 404"];
    let played = asking(&refused, SignIn::Fails).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let line = played.judgement.headline.to_string();
    assert!(
        line.starts_with("auth-login: shop 2 asks for OpenID Connect discovery; production's idp "),
        "{line}"
    );
    let found = played.findings();
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("auth-capability error candidate in upgrade")),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_made_good_before_a_sign_in_fails_is_not_its_cause() {
    let calls = [
        "GET /.well-known/openid-configuration 404",
        "GET /o/.well-known/openid-configuration 200",
    ];
    let played = asking(&calls, SignIn::Fails).play().await;
    played.ends(Verdict::Block);
    let line = played.judgement.headline.to_string();
    assert!(
        line.starts_with("auth-login: nobody can sign in: GET http://web/login answered 500"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_where_the_sign_in_works_is_a_warning() {
    let refused = [
        "GET /.well-known/openid-configuration 404",
        "GET /authorize 302 response_type=code",
    ];
    let played = asking(&refused, SignIn::Works).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass);
    let found = played.findings();
    assert!(
        found.len() == 1 && found[0].starts_with("auth-capability warn nobody in upgrade"),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_the_sign_in_asks_nothing_at_the_fronts_nothing_is_said_of_what_it_asks() {
    for (calls, wanted) in [
        (&["GET /authorize 302 response_type=code"][..], Status::Passed),
        (&[], Status::Skipped),
    ] {
        let played = asking(calls, SignIn::Works).play().await;
        played.ends(Verdict::Pass);
        for check in ["auth-capability", "auth-traffic"] {
            assert_eq!(played.check(check, StageId::Upgrade), wanted, "{check} {calls:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn much_more_traffic_is_a_warning_and_a_little_more_is_none() {
    let page = "GET /authorize 302 response_type=code";
    for (times, wanted) in [(1, 0), (4, 0), (5, 1)] {
        let played = asking(&vec![page; times], SignIn::Works).play().await;
        assert_eq!(played.judgement.verdict, Verdict::Pass);
        let found = played.findings();
        let told = found
            .iter()
            .filter(|one| one.starts_with("auth-traffic warn nobody in upgrade"));
        assert_eq!((told.count(), found.len()), (wanted, wanted), "{times}: {found:?}");
    }
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
    // On a machine where the baseline needs a third of its grace period, the rest of it is soon gone, too.
    let slow = Behaviour {
        stops_in: Duration::from_secs(3),
        ..Behaviour::default()
    };
    assert!(story(&slow).play().await.findings().is_empty());
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

/// What the candidate shows says nothing where nobody saw what production shows.
#[tokio::test(start_paused = true)]
async fn what_is_compared_with_nothing_is_no_pass() {
    let lost_in = |stage| Story {
        calls_lost_in: Some(stage),
        ..Story::default()
    };
    for stage in [StageId::Control, StageId::Upgrade] {
        let played = lost_in(stage).play().await;
        played.ends(Verdict::Inconclusive);
        assert_eq!(played.check("auth-traffic", StageId::Upgrade), Status::Error, "{stage}");
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
    played.ends(Verdict::Inconclusive);
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

/// Two containers of the shop.
fn in_two(candidate: Behaviour) -> Story {
    Story {
        compose: COMPOSE.replace("'shop:1',", "'shop:1', scale: 2,"),
        candidate,
        ..Story::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_replica_is_started_under_its_own_name() {
    let played = in_two(good()).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    let steps = played.recorded.stages[0].steps.iter();
    let starts = steps.filter_map(|step| match &step.id {
        Step::Start(name) => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), ["db", "idp", "web-1", "web-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_alone_does_not_come_up_blocks_and_is_named() {
    let down = Behaviour {
        down: Some(ServiceFailureKind::Exited),
        lame: Some(2),
        ..good()
    };
    let played = in_two(down).play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let found = &played.recorded.findings[0];
    assert!(found.title.starts_with("`web-2` exited with code 1"), "{}", found.title);
    assert_eq!(found.service.as_deref(), Some("web"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_of_production_that_does_not_come_up_is_nobodys_doing() {
    let story = Story {
        baseline: Behaviour {
            down: Some(ServiceFailureKind::Exited),
            lame: Some(2),
            ..good()
        },
        ..in_two(good())
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Inconclusive);
    assert!(
        played.findings()[0].contains("`web-2` exited"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_replica_alone_does_is_the_services_with_the_replicas_name() {
    let exits = |lame: Option<u32>| Behaviour {
        exits: vec![139; 2],
        lame,
        ..good().says("ERROR the queue is gone")
    };
    let one = in_two(exits(Some(2))).play().await;
    assert_eq!(one.judgement.verdict, Verdict::Block);
    let told = one.findings().join("\n");
    assert!(told.contains("`web-2` exited twice after it was ready"), "{told}");
    assert!(told.contains("`web-2` logs a kind of line"), "{told}");
    assert!(!told.contains("web-1"), "{told}");
    // What both do is one finding, which names both.
    let both = in_two(exits(None)).play().await;
    let crashes = both.recorded.findings.iter().filter(|one| one.title.contains("exited"));
    let crashes: Vec<_> = crashes.filter(|one| one.stage == StageId::Upgrade).collect();
    assert_eq!(crashes.len(), 1, "{:?}", both.findings());
    assert!(crashes[0].title.contains("`web-1`"), "{}", crashes[0].title);
    assert!(crashes[0].evidence.iter().any(|line| line.contains("`web-2` exited")));
}

#[tokio::test(start_paused = true)]
async fn a_release_of_which_only_more_run_is_rehearsed() {
    let story = Story {
        next: "services:\n  web: {image: 'shop:1', scale: 2, depends_on: [db, idp]}\n".to_owned()
            + "  db: {image: 'postgres:15'}\n  idp: {image: 'provider:1'}\n",
        config: CONFIG.replace("candidate: {web: {image: 'shop:2'}}", "release: {compose: [next.yaml]}"),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    let [there, back] = &played.deploys[..] else {
        panic!("{:?}", played.deploys)
    };
    assert!(there.rescaled.contains("web") && back.rescaled.contains("web"));
    assert_eq!(there.services["web"].instances().count(), 2);
    assert_eq!(back.services["web"].instances().count(), 1);
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
async fn a_slow_start_is_told_where_the_baseline_was_quicker_both_times() {
    let ready = |seconds| Behaviour {
        ready: Duration::from_secs(seconds),
        ..good()
    };
    let story = |back, config: &str| Story {
        config: CONFIG.to_owned() + config,
        baseline: ready(2),
        candidate: ready(20),
        back,
        ..Story::default()
    };
    let told = ["start-and-restart warn nobody in upgrade: `web` takes 20 s to be ready, the baseline took 3 s"];
    assert_eq!(story(ready(3), "").play().await.findings(), told);
    // The machine is slow, not the release.
    assert_eq!(story(ready(18), "").play().await.findings(), [""; 0]);
    // Where nothing comes back, the first start is all there is.
    let forward = story(ready(18), "stages: {rollback: {forward_only: 'one way'}}\n")
        .play()
        .await;
    assert!(
        forward
            .findings()
            .iter()
            .any(|found| found.ends_with("the baseline took 2 s")),
        "{:?}",
        forward.findings()
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
        Reply::Exit(126),
        Reply::Exit(127),
        Reply::Exit(137),
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
async fn a_command_that_says_something_else_has_seen_the_data_and_one_that_ends_otherwise_may_not_have() {
    let ends = |reply| Story {
        baseline: good().test("data.verify", "kept", &[Told::Shows(Reply::Exit(0))]),
        candidate: good().test("data.verify", "kept", &[Told::Gets(reply)]),
        ..Story::default()
    };
    for (reply, says) in [
        (Reply::Exit(0), "loses or changes production's data"),
        (Reply::Exit(1), "whether the data has changed or could not be looked at"),
        (Reply::Unknown, "whether the data has changed or could not be looked at"),
    ] {
        let played = ends(reply).play().await;
        assert_eq!(played.judgement.verdict, Verdict::Block, "{reply:?}");
        let finding = &played.recorded.findings[0];
        assert!(finding.help.contains(says), "{reply:?}: {}", finding.help);
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_that_is_gone_says_nothing_of_the_data() {
    let story = Story {
        candidate: good().test("data.verify", "kept", &[Told::Ends(Status::Skipped)]),
        ..Story::default()
    };
    let played = story.play().await;
    assert_eq!(played.judgement.verdict, Verdict::Block);
    let finding = &played.recorded.findings[0];
    assert!(!finding.help.contains("migration"), "{}", finding.help);
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
    let written = crate::record::v1::Finding::from(&played.recorded.findings[0]);
    let folded: Vec<_> = written
        .folded
        .iter()
        .map(|one| (one.check.to_string(), one.tests[0].name.as_str()))
        .collect();
    let wanted = [("boot-production-env", "account"), ("upgrade-in-place", "kept")];
    assert_eq!(folded, wanted.map(|(check, test)| (check.to_owned(), test)));
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

/// Of the first failure, beside what is told of how containers live.
fn cause(played: &Played) -> Option<String> {
    let mut found = played.recorded.findings.iter();
    let failure = found.find(|finding| finding.check != CheckId::StartAndRestart);
    failure.expect("something failed").cause.clone()
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
    assert_eq!(
        cause(&played).as_deref(),
        Some("a process in `web` was killed for memory")
    );
    // What is killed at another time explains nothing.
    let played = story(killed("data.verify")).play().await;
    assert_eq!(cause(&played), None);
    let in_sign_in = Behaviour {
        memory_kill_in: Some("login".to_owned()),
        ..good().signs_in(&[Fails])
    };
    let played = story(in_sign_in).play().await;
    assert_eq!(
        cause(&played).as_deref(),
        Some("a process in `web` was killed for memory")
    );
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
    use crate::mirror::failure::{ServiceFailureKind, Waited};
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
            1 => Just(Some(ServiceFailureKind::NotReady(Waited::all_of(Duration::from_secs(1))))),
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
                untouched: behaviour.clone(),
                agent_lost_in: lost.then_some(StageId::Upgrade),
                ..Story::default()
            });
            let steady = behaviour.sign_ins.len() < 2 && behaviour.tests.values().all(|ends| ends.len() < 2);
            if steady {
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

/// The release exchanges the database for another, drops the product with which nobody signs in, and adds a worker.
fn release_of_files() -> Story {
    let config = "
production: {compose: compose.yaml}
release: {compose: next.yaml}
suites:
  smoke:
    target: http://web
    requests: [{name: catalogue, get: /items}, {name: mails, get: /mails}]
";
    let next = "
services:
  web: {image: 'shop:2', depends_on: [db, worker]}
  db: {image: 'postgres:16'}
  worker: {image: 'shop:2', depends_on: {db: {condition: service_started, restart: true}}}
";
    Story {
        config: config.to_owned(),
        next: next.to_owned(),
        needs: [("catalogue", "db"), ("mails", "worker")]
            .map(|(test, service)| (test.to_owned(), service.to_owned()))
            .into(),
        ..Story::default()
    }
}

/// Names of a deploy's services, each level after those that it depends on.
fn order(deploy: &Deploy) -> String {
    let level = |level: &Vec<&Service>| {
        let names: Vec<&str> = level.iter().map(|service| service.name.as_str()).collect();
        names.join(" ")
    };
    deploy.levels().iter().map(level).collect::<Vec<_>>().join(", ")
}

fn named<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_release_of_files_is_deployed_in_the_order_of_its_own_and_taken_back_in_that_of_productions() {
    let played = release_of_files().play().await;
    assert_eq!(played.judgement.verdict, Verdict::Pass, "{}", played.judgement.headline);
    let [there, back] = played.deploys.as_slice() else {
        panic!("{:?}", played.deploys);
    };
    assert_eq!(order(there), "db, worker, web");
    assert_eq!(
        (named(&there.anew), named(&there.gone)),
        ("db web worker".to_owned(), "idp".to_owned())
    );
    assert_eq!(order(back), "db idp, web");
    assert_eq!(
        (named(&back.anew), named(&back.gone)),
        ("db idp web".to_owned(), "worker".to_owned())
    );
    let first = played.judgement.headline.to_string();
    assert!(
        first.starts_with("db postgres:16 for postgres:15, web shop:2 for shop:1, worker shop:2, new, idp gone: "),
        "{first}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_release_adds_is_stopped_once_while_it_is_there() {
    let played = release_of_files().play().await;
    assert_eq!(played.check("candidate-exercised", StageId::Upgrade), Status::Passed);
    assert_eq!(played.check("candidate-exercised", StageId::Rollback), Status::Passed);
    let unseen = Story {
        needs: [("catalogue".to_owned(), "db".to_owned())].into(),
        ..release_of_files()
    };
    let unseen = unseen.play().await;
    assert_eq!(unseen.judgement.verdict, Verdict::Inconclusive);
    assert!(
        unseen.findings()[0].contains("nothing notices that the candidate's `worker` is stopped"),
        "{:?}",
        unseen.findings()
    );
    let config = format!(
        "{}policy: {{unexercised: [{{service: worker, reason: 'no test yet'}}]}}\n",
        release_of_files().config
    );
    let signed = Story {
        config,
        needs: [("catalogue".to_owned(), "db".to_owned())].into(),
        ..release_of_files()
    };
    let signed = signed.play().await;
    assert_eq!(signed.judgement.verdict, Verdict::Pass, "{}", signed.judgement.headline);
}

/// With load at 400 requests a second for ten seconds, held against these thresholds.
fn under_load(thresholds: &str) -> Story {
    let load = format!("stages: {{load: {{rate: 400/s, duration: 10s, mix: smoke, thresholds: {{{thresholds}}}}}}}\n");
    Story {
        config: CONFIG.to_owned() + &load,
        ..Story::default()
    }
}

fn takes(median_ms: u64) -> UnderLoad {
    UnderLoad {
        median_ms,
        ..UnderLoad::default()
    }
}

#[tokio::test(start_paused = true)]
async fn without_load_there_is_no_stage_of_that_name_and_nothing_is_sent() {
    let played = Story::default().play().await;
    assert!(played.recorded.stages.iter().all(|stage| stage.id != StageId::Load));
    assert!(!played.order.iter().any(|what| what.ends_with(": load")));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_keeps_its_thresholds_under_load_passes_without_a_word() {
    let played = under_load("p95: 100ms, error_rate: 0.1%, throughput: 390/s")
        .play()
        .await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    let stages: Vec<StageId> = played.recorded.stages.iter().map(|stage| stage.id).collect();
    assert_eq!(
        stages,
        [StageId::Control, StageId::Upgrade, StageId::Load, StageId::Rollback]
    );
    assert_eq!(played.recorded.load.len(), 2);
    assert_eq!(played.check("load", StageId::Load), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn what_containers_use_under_load_is_recorded_of_both_releases_where_the_engine_says_it() {
    let uses = |bytes| Behaviour {
        uses: Some(Uses {
            bytes,
            refused_below: 0,
        }),
        ..good()
    };
    let story = Story {
        baseline: uses(100),
        candidate: uses(200),
        ..under_load("p95: 100ms")
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    // A second of warm-up and ten of load, looked at every other one.
    let looked_at = |bytes| -> Vec<_> {
        [0, 2_000, 4_000, 6_000, 8_000, 10_000]
            .map(|at| (at, Some(bytes)))
            .into()
    };
    for (load, bytes) in played.recorded.load.iter().zip([100, 200]) {
        let [web] = load.usage.as_slice() else {
            panic!("{:?}", load.usage);
        };
        let seen: Vec<_> = web.moments.iter().map(|moment| (moment.at_ms, moment.memory)).collect();
        assert_eq!((web.service.as_str(), seen), ("web", looked_at(bytes)));
    }
    let silent = under_load("p95: 100ms").play().await;
    assert!(silent.recorded.load.iter().all(|load| load.usage.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_breaks_a_threshold_which_the_baseline_keeps_blocks() {
    let story = Story {
        candidate: good().bears(&[takes(150)]),
        ..under_load("p95: {warn: 50ms, fail: 100ms}")
    };
    let played = story.play().await;
    played.ends(Verdict::Block);
    let title = "load error candidate in load: p95 is 285 ms under load, at most 100 ms: production's is 19.0 ms";
    assert_eq!(played.findings(), [title]);
    let evidence = &played.recorded.findings[0].evidence;
    assert!(
        evidence
            .iter()
            .any(|line| line.ends_with("an untouched baseline passed it 1 of 1 more times")),
        "{evidence:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_beyond_what_warns_passes_with_a_warning() {
    let story = Story {
        candidate: good().bears(&[takes(40)]),
        ..under_load("p95: {warn: 50ms, fail: 100ms}")
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let title = "load warn nobody in load: p95 is 76.0 ms under load, at most 50.0 ms: production's is 19.0 ms";
    assert_eq!(played.findings(), [title]);
}

#[tokio::test(start_paused = true)]
async fn a_threshold_that_the_baseline_breaks_too_is_not_the_candidates_fault_and_no_pass() {
    let slow = || good().bears(&[takes(150)]);
    let story = Story {
        baseline: slow(),
        candidate: slow(),
        back: slow(),
        untouched: slow(),
        ..under_load("p95: 100ms")
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let findings = played.findings();
    assert!(
        findings[0].contains("production itself breaks it here, with 285 ms"),
        "{findings:?}"
    );
    // What the candidate mends is no reason to stop it.
    let story = Story {
        baseline: slow(),
        ..under_load("p95: 100ms")
    };
    story.play().await.ends(Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_once_and_not_again_is_flaky() {
    let story = Story {
        candidate: good().bears(&[takes(150), takes(10)]),
        ..under_load("p95: 100ms")
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let headline = played.judgement.headline.to_string();
    assert!(headline.contains("not again when it was repeated: flaky"), "{headline}");
    let story = Story {
        candidate: good().bears(&[takes(150)]),
        untouched: good().bears(&[takes(150)]),
        ..under_load("p95: 100ms")
    };
    let played = story.play().await;
    played.ends(Verdict::Inconclusive);
    let headline = played.judgement.headline.to_string();
    assert!(
        headline.contains("an untouched baseline fails it too, 1 of 1 times"),
        "{headline}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_gate_could_not_send_is_no_pass_though_all_that_was_sent_is_fast() {
    let lossy = UnderLoad {
        unsent: 5,
        ..UnderLoad::default()
    };
    // What only warns is no pass either where nothing was to be seen.
    for thresholds in ["p95: 100ms", "p95: {warn: 100ms}"] {
        let story = Story {
            candidate: good().bears(&[lossy]),
            ..under_load(thresholds)
        };
        let played = story.play().await;
        played.ends(Verdict::Inconclusive);
        assert!(
            played.findings()[0].contains("the gate sent"),
            "{:?}",
            played.findings()
        );
    }
    // An untouched baseline that could not be put under load does not say that the candidate is slower than it.
    let story = Story {
        candidate: good().bears(&[takes(150)]),
        untouched: good().bears(&[lossy]),
        ..under_load("p95: 100ms")
    };
    story.play().await.ends(Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_somebody_has_signed_for_keeps_no_load_away() {
    let story = under_load("p95: 100ms");
    let old = "suites:\n  old: {target: 'http://web', requests: [{name: page, get: /old}]}\n";
    let waive = "policy: {waive: [{check: boot-production-env, reason: known, test: old / page}]}\n";
    let story = Story {
        config: story.config.replace("suites:\n", old) + waive,
        candidate: good().fails("old", "page"),
        ..story
    };
    let played = story.play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.check("load", StageId::Load), Status::Passed);
}

#[tokio::test(start_paused = true)]
async fn errors_that_the_baseline_does_not_show_block_with_and_without_a_threshold() {
    let failing = UnderLoad {
        errors: 10,
        ..UnderLoad::default()
    };
    for thresholds in ["p95: 100ms", "error_rate: 1%"] {
        let story = Story {
            candidate: good().bears(&[failing]),
            ..under_load(thresholds)
        };
        story.play().await.ends(Verdict::Block);
        let both = Story {
            baseline: good().bears(&[failing]),
            candidate: good().bears(&[failing]),
            ..under_load("p95: 100ms")
        };
        both.play().await.ends(Verdict::Pass);
    }
}

#[tokio::test(start_paused = true)]
async fn too_few_answers_for_a_quantile_are_no_pass() {
    let played = under_load("p99: 100ms").play().await;
    played.ends(Verdict::Inconclusive);
    assert!(
        played.findings()[0].contains("p99 needs 10000"),
        "{:?}",
        played.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_failed_before_is_not_put_under_load() {
    let story = Story {
        candidate: good().fails("smoke", "account"),
        ..under_load("p95: 100ms")
    };
    let played = story.play().await;
    played.ends(Verdict::Block);
    assert_eq!(played.check("load", StageId::Load), Status::NotRun);
    let loads = played.order.iter().filter(|what| what.ends_with(": load")).count();
    assert_eq!(loads, 1, "{:?}", played.order);
}

/// The configuration with alerts, of which `SignInFails` must fire.
fn with_alerts(expr: &str, hold: &str, before: &str) -> Story {
    let alerts = "{rules: alerts.yaml, must_fire: [SignInFails], record: 6s, scrape_interval: 2s, evaluation_interval: 2s, \
                  group_wait: 0s, metrics: {probe: ['http://web/login']}";
    let rule = |name: &str, expr: &str| format!("  - {{alert: {name}, expr: '{expr}', for: {hold}}}\n");
    let others = "  - {alert: Nobody, expr: no_such_metric > 0}\n";
    Story {
        config: format!("{CONFIG}stages: {{alerts: {alerts}, before: {before}}}}}\n"),
        alerts: format!("groups:\n- name: shop\n  rules:\n{}{others}", rule("SignInFails", expr)),
        ..Story::default()
    }
}

/// What was said of an alert, as `scenario: word`.
fn said_of(played: &Played, name: &str) -> Vec<String> {
    let alerts = played.recorded.alerts.iter().filter(|alert| alert.alert == name);
    alerts
        .map(|alert| format!("{}: {}", alert.scenario, alert.told.word()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_in_time_passes_without_a_word() {
    let played = with_alerts("probe_success == 0", "4s", "30s").play().await;
    played.ends(Verdict::Pass);
    assert_eq!(played.findings(), [""; 0]);
    let said = ["control: never", "upgrade: never", "auth-down: fires"];
    assert_eq!(said_of(&played, "SignInFails"), said);
    let nobody = ["control: not-judged", "upgrade: not-judged", "auth-down: not-judged"];
    assert_eq!(said_of(&played, "Nobody"), nobody);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_tells_too_late_or_never_blocks() {
    let late = with_alerts("probe_success == 0", "5m", "30s").play().await;
    late.ends(Verdict::Block);
    let title = "alert-lead-time error candidate in rollback: `SignInFails` fires 5 min";
    assert!(late.findings()[0].starts_with(title), "{:?}", late.findings());
    assert_eq!(late.findings().len(), 1);
    let never = with_alerts("probe_success > 1", "0", "30s").play().await;
    never.ends(Verdict::Block);
    let title = "alert-lead-time error candidate in rollback: `SignInFails` must fire in auth-down, and it does not, however \
                 long the failure lasts";
    assert_eq!(never.findings(), [title]);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_must_be_told_too() {
    let story = with_alerts("probe_success == 0", "0", "30s");
    let played = Story {
        candidate: good().signs_in(&[Fails]),
        ..story
    };
    let played = played.play().await;
    let findings = played.findings();
    let own = findings.iter().find(|finding| finding.starts_with("alert-lead-time"));
    let title = "alert-lead-time error candidate in upgrade: `SignInFails` must fire in upgrade, and it does not, however long \
                 the failure lasts";
    assert_eq!(own.map(String::as_str), Some(title), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alert_of_which_nothing_can_be_told_is_inconclusive() {
    let missing = with_alerts("no_such_metric > 0", "0", "30s").play().await;
    missing.ends(Verdict::Inconclusive);
    let words = "nothing can be told of it: no series has this metric: no_such_metric";
    assert!(missing.findings()[0].contains(words), "{:?}", missing.findings());
    let always = with_alerts("probe_success == 1", "0", "30s").play().await;
    always.ends(Verdict::Inconclusive);
    assert!(
        always.findings()[0].contains("it fires in control, too"),
        "{:?}",
        always.findings()
    );
}

#[tokio::test(start_paused = true)]
async fn a_false_alarm_of_another_alert_warns_once() {
    let mut story = with_alerts("probe_success == 0", "0", "30s");
    story.alerts += "  - {alert: Loud, expr: probe_success >= 0}\n";
    let played = story.play().await;
    played.ends(Verdict::Pass);
    let findings = played.findings();
    let own = findings
        .iter()
        .filter(|finding| finding.contains("`Loud` is a false alarm"));
    assert_eq!(own.count(), findings.len());
    assert!(
        !findings.is_empty() && findings.iter().all(|finding| finding.contains(" warn nobody ")),
        "{findings:?}"
    );
}
