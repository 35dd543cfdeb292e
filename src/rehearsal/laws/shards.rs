//! The laws of shards: however a run is divided, the merge of its shards says what the whole says, and what is not all
//! of them never passes. Each is tried on scripted mirrors.

use std::time::Duration;

use proptest::prelude::*;

use super::scripted::{Behaviour, Played, SignIn, Story, Told, UnderLoad};
use crate::merge::{self, Given, Merged};
use crate::mirror::failure::{ServiceFailureKind, Waited};
use crate::prepare::{Part, Spec};
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::record::shard::Place;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::Record;
use crate::record::verdict::Verdict;

/// Three suites, of which one needs the database, faults and load.
const CONFIG: &str = "
production: {compose: compose.yaml}
candidate: {web: {image: 'shop:2'}}
auth:
  service: idp
  login: {start: 'http://web/login', expect: 'http://web/account', username: alice, password: wonderland}
suites:
  smoke: {target: 'http://web', requests: [{name: catalogue, get: /items}, {name: account, get: /account}]}
  search: {target: 'http://web', requests: [{name: find, get: /find}]}
  orders: {target: 'http://web', requests: [{name: list, get: /orders}]}
data:
  seed: {target: 'http://web', requests: [{name: order, post: /orders}]}
  verify: {target: 'http://web', requests: [{name: kept, get: /orders}]}
";

const STAGES: &str = "stages:
  faults: {auth: [outage, slow, reset]}
  load: {rate: 400/s, duration: 10s, mix: smoke, thresholds: {p95: 300ms}}
";

fn divided(story: Story) -> Story {
    Story {
        config: format!("{CONFIG}{STAGES}"),
        ..story
    }
}

fn play(story: &Story) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(story.clone().play())
}

/// Each part to the shard that `to` says, of so many; the first ones see to it that none is empty.
fn specs(parts: &[Part], to: &[usize], of: usize) -> Vec<Spec> {
    let of = of.clamp(1, parts.len().max(1));
    let place = |index: usize| Place {
        index: index as u32 + 1,
        of: of as u32,
    };
    let goes = |at: usize| if at < of { at } else { to[at % to.len()] % of };
    let own = |index: usize| {
        let all = parts.iter().enumerate();
        let own = all.filter(|(at, _)| goes(*at) == index);
        own.map(|(_, part)| part.clone()).collect()
    };
    (0..of).map(|index| Spec::new(place(index), own(index))).collect()
}

fn shard(story: &Story, spec: &Spec) -> Record {
    let story = Story {
        shard: Some(spec.clone()),
        ..story.clone()
    };
    play(&story).record()
}

fn given(records: &[Record]) -> Vec<Given> {
    let one = |(at, record): (usize, &Record)| Given {
        place: format!("shards/{at}"),
        read: Ok(record.clone()),
    };
    records.iter().enumerate().map(one).collect()
}

fn merged(records: &[Record]) -> Merged {
    merge::merge(given(records)).expect("there is a record")
}

/// The shards of a story, divided so.
fn shards(story: &Story, of: usize) -> Vec<Record> {
    let parts = play(story).parts;
    let specs = specs(&parts, &[0, 1, 2, 1, 0], of);
    specs.iter().map(|spec| shard(story, spec)).collect()
}

fn is_inconclusive(merged: &Merged, says: &str) {
    let line = merged.judgement.headline.to_string();
    assert_eq!(merged.judgement.verdict, Verdict::Inconclusive, "{line}");
    assert_eq!(merged.judgement.exit_code, ExitCode::Inconclusive);
    assert_eq!(merged.record.exit_code, 3);
    let told = merged
        .record
        .findings
        .iter()
        .any(|finding| finding.title.contains(says));
    assert!(told, "{says}: {line}: {:?}", merged.record.findings);
}

fn passes(merged: &Merged) {
    let titles: Vec<&String> = merged.record.findings.iter().map(|finding| &finding.title).collect();
    let line = merged.judgement.headline.to_string();
    assert_eq!(merged.judgement.verdict, Verdict::Pass, "{line} {titles:?}");
    assert_eq!(merged.judgement.exit_code, ExitCode::Pass);
}

/// Every step, check and test, each with its stage.
fn looked_at(record: &Record) -> Vec<String> {
    let stages = record.stages.iter();
    let steps = stages.flat_map(|stage| stage.steps.iter().map(move |step| format!("{} {}", stage.id, step.id)));
    let checks = record
        .checks
        .iter()
        .map(|check| format!("{} check {}", check.stage, check.check));
    let tests = record
        .tests
        .iter()
        .map(|test| format!("{} {} / {}", test.stage, test.suite, test.name));
    let mut all: Vec<String> = steps.chain(checks).chain(tests).collect();
    all.sort();
    all
}

#[test]
fn every_part_is_one_shards_and_the_merge_looks_at_what_the_whole_looks_at_once() {
    let story = divided(Story::default());
    let whole = play(&story);
    let parts: Vec<String> = whole.parts.iter().map(Part::to_string).collect();
    let wanted = [
        "suite:smoke",
        "suite:search",
        "suite:orders",
        "check:load",
        "fault:outage",
        "fault:slow",
        "fault:reset",
    ];
    assert_eq!(parts, wanted);
    for of in 1..=7 {
        let merged = merged(&shards(&story, of));
        assert_eq!(merged.judgement.verdict, whole.judgement.verdict);
        assert_eq!(looked_at(&merged.record), looked_at(&whole.record()), "{of} shards");
        assert_eq!(merged.record.partial, [""; 0]);
        assert_eq!(merged.record.shard, None);
    }
}

#[test]
fn a_shard_alone_says_what_it_is_and_that_it_is_no_pass() {
    let record = shards(&divided(Story::default()), 3).remove(1);
    assert_eq!(record.partial, ["shard"]);
    assert!(record.cause.starts_with("shard 2 of 3: "), "{}", record.cause);
    assert!(
        record
            .cause
            .ends_with("no pass before `rehearsal merge` has all shards"),
        "{}",
        record.cause
    );
    let carried = record.shard.expect("it is one");
    assert_eq!(
        carried.parts.len() + 5,
        carried.all.len() + usize::from(carried.parts.len() == 3)
    );
    assert!(
        carried.planned.contains(&"upgrade: suite search".to_owned()),
        "{:?}",
        carried.planned
    );
    assert!(!carried.planned.contains(&"upgrade: suite smoke".to_owned()));
}

#[test]
fn a_suite_that_only_the_candidate_fails_blocks_wherever_it_ran() {
    let story = divided(Story {
        candidate: Behaviour::default().fails("orders", "list"),
        ..Story::default()
    });
    let merged = merged(&shards(&story, 3));
    assert_eq!(merged.judgement.exit_code, ExitCode::Block);
    let line = merged.judgement.headline.to_string();
    assert!(
        line.starts_with("boot-production-env: `orders` / `list` fails on the candidate"),
        "{line}"
    );
}

#[test]
fn production_that_fails_in_one_shard_says_nothing_of_the_candidate_in_another() {
    let story = divided(Story {
        baseline: Behaviour::default().fails("search", "find"),
        candidate: Behaviour::default().fails("orders", "list"),
        ..Story::default()
    });
    is_inconclusive(
        &merged(&shards(&story, 3)),
        "production itself (web shop:1) fails `search` / `find`",
    );
}

#[test]
fn one_shard_whose_tests_notice_is_enough_and_where_none_does_there_is_no_pass() {
    let candidates = CONFIG.replace("candidate: {", "candidate: {db: {image: 'postgres:16'}, ");
    let story = |needs: &[(&str, &str)]| Story {
        config: candidates.clone(),
        deaf_to_auth: true,
        needs: needs
            .iter()
            .map(|(test, service)| ((*test).to_owned(), (*service).to_owned()))
            .collect(),
        ..Story::default()
    };
    // The database is missed by `orders` alone, the product by `search` alone.
    let noticed = story(&[("list", "db"), ("find", "idp")]);
    assert_eq!(play(&noticed).judgement.verdict, Verdict::Pass);
    for of in 1..=3 {
        let records = shards(&noticed, of);
        let passed = records.iter().filter(|record| record.verdict == Verdict::Pass).count();
        assert_eq!(passed, usize::from(of == 1), "each alone misses something");
        let merged = merged(&records);
        passes(&merged);
        assert_eq!(merged.record.findings.len(), 0);
        assert!(merged.record.stages.iter().all(|stage| stage.status == Status::Passed));
    }
    let unseen = story(&[("find", "idp")]);
    assert_eq!(play(&unseen).judgement.verdict, Verdict::Inconclusive);
    is_inconclusive(
        &merged(&shards(&unseen, 3)),
        "nothing notices that the candidate's `db` is stopped",
    );
    let deaf = story(&[("list", "db")]);
    is_inconclusive(&merged(&shards(&deaf, 2)), "nothing notices that idp is stopped");
}

#[test]
fn a_shard_that_is_missing_there_twice_or_of_another_run_is_inconclusive_by_its_name() {
    let records = shards(&divided(Story::default()), 3);
    for missing in 0..3 {
        let mut some = records.clone();
        some.remove(missing);
        let merged = merged(&some);
        is_inconclusive(&merged, &format!("shard {} of 3 is missing", missing + 1));
        is_inconclusive(&merged, "no shard looked at");
    }
    let mut twice = records.clone();
    twice.push(records[1].clone());
    is_inconclusive(&merged(&twice), "shard 2 of 3 is there 2 times: `shards/1`, `shards/3`");
    let foreign = |change: &dyn Fn(&mut Record), says: &str| {
        let mut some = records.clone();
        change(&mut some[1]);
        let merged = merged(&some);
        is_inconclusive(&merged, &format!("shard 2 of 3 (`shards/1`) is foreign: {says}"));
        is_inconclusive(&merged, "shard 2 of 3 is missing");
    };
    let plan = |record: &mut Record| record.shard.as_mut().expect("a shard").plan = "sha256:other".to_owned();
    foreign(&plan, "it is of another plan");
    foreign(&|record| record.seed = 8, "it is of another seed");
    let image = |record: &mut Record| record.candidate[0].digest = Some("sha256:other".to_owned());
    foreign(&image, "it ran another image of the candidate's `web`");
    let baseline = |record: &mut Record| record.baseline[0].digest = Some("sha256:other".to_owned());
    foreign(&baseline, "it ran another image of the baseline's `web`");
    let of = |record: &mut Record| record.shard.as_mut().expect("a shard").place.of = 4;
    let mut some = records.clone();
    of(&mut some[1]);
    is_inconclusive(&merged(&some), "is foreign: it is of another number of shards");
}

#[test]
fn a_shard_that_is_none_was_interrupted_or_says_less_than_it_planned_is_inconclusive() {
    let story = divided(Story::default());
    let records = shards(&story, 2);
    let with = |change: &dyn Fn(&mut Record), says: &str| {
        let mut some = records.clone();
        change(&mut some[0]);
        is_inconclusive(&merged(&some), says);
    };
    with(&|record| record.shard = None, "`shards/0` is no shard");
    with(&|record| record.exit_code = 130, "was interrupted");
    with(
        &|record| drop(record.stages[1].steps.pop()),
        "says nothing of what it planned: upgrade: ",
    );
    let no_sign_in = |record: &mut Record| record.checks.retain(|check| check.check != CheckId::AuthLogin);
    with(
        &no_sign_in,
        "says nothing of what it planned: control: check auth-login",
    );
    with(&|record| record.verdict = Verdict::Inconclusive.into(), "has no pass");
    with(&|record| record.candidate[0].digest = None, "is not known");
    let forged = |record: &mut Record| record.shard.as_mut().expect("a shard").parts.clear();
    with(&forged, "no shard looked at");
    let whole = play(&story).record();
    is_inconclusive(&merged(&[whole]), "is no shard");
    let unread = Given {
        place: "shards/9".to_owned(),
        read: Err("it is no JSON".to_owned()),
    };
    assert!(
        merge::merge(vec![unread.clone()]).is_none(),
        "nothing can be told of nothing"
    );
    let mut with_unread = given(&records);
    with_unread.push(unread);
    let merged = merge::merge(with_unread).expect("two can be read");
    is_inconclusive(&merged, "no shard can be read in `shards/9`: it is no JSON");
}

#[test]
fn two_shards_of_different_runs_are_both_named() {
    let one = shards(&divided(Story::default()), 2);
    let mut other = one[1].clone();
    other.seed = 8;
    let merged = merged(&[one[0].clone(), other]);
    let names = "shard 1 of 2 (`shards/0`) and shard 2 of 2 (`shards/1`) do not belong together: ";
    is_inconclusive(&merged, names);
    assert_eq!(merged.record.tests.len(), 0, "nobody knows which of them counts");
}

#[test]
fn shards_whose_every_text_is_hostile_never_pass() {
    let records = shards(&divided(Story::default()), 2);
    for nasty in crate::report::samples::hostile() {
        let mut forged = Record {
            verdict: Verdict::Pass.into(),
            exit_code: 0,
            ..nasty
        };
        assert_eq!(merged(&[forged.clone()]).judgement.verdict, Verdict::Inconclusive);
        forged.shard.clone_from(&records[1].shard);
        let merged = merged(&[records[0].clone(), forged]);
        assert_eq!(merged.judgement.verdict, Verdict::Inconclusive);
    }
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        6 => Just(Told::Ends(Status::Passed)),
        2 => Just(Told::Ends(Status::Failed)),
        1 => Just(Told::Ends(Status::Error)),
        1 => Just(Told::Ends(Status::Skipped)),
        1 => Just(Told::Absent),
    ]
}

const TESTS: [(&str, &str); 6] = [
    ("smoke", "catalogue"),
    ("smoke", "account"),
    ("search", "find"),
    ("orders", "list"),
    ("data.seed", "order"),
    ("data.verify", "kept"),
];

/// Steady: whoever looks, and however often, sees the same.
fn steady() -> impl Strategy<Value = Behaviour> {
    let strange = proptest::collection::vec((0..TESTS.len(), told()), 0..3);
    let signs = prop_oneof![8 => Just(SignIn::Works), 1 => Just(SignIn::Fails), 1 => Just(SignIn::Lost)];
    let down = prop_oneof![
        12 => Just(None),
        1 => Just(Some(ServiceFailureKind::Exited)),
        1 => Just(Some(ServiceFailureKind::NotReady(Waited::all_of(Duration::from_secs(1))))),
    ];
    let load = prop_oneof![6 => Just(10u64), 1 => Just(400)];
    (strange, signs, down, load, any::<bool>()).prop_map(|(strange, sign_in, down, median_ms, logs)| {
        let load = UnderLoad {
            median_ms,
            ..UnderLoad::default()
        };
        let mut behaviour = Behaviour {
            down,
            ..Behaviour::default()
        };
        behaviour = behaviour.signs_in(&[sign_in]).bears(&[load]);
        for (at, end) in strange {
            let (suite, name) = TESTS[at];
            behaviour = behaviour.test(suite, name, &[end]);
        }
        if logs {
            behaviour.says("ERROR something")
        } else {
            behaviour
        }
    })
}

fn mostly_good() -> impl Strategy<Value = Behaviour> {
    prop_oneof![3 => Just(Behaviour::default()), 1 => steady()]
}

fn story() -> impl Strategy<Value = Story> {
    let lost = prop_oneof![9 => Just(None), 1 => proptest::sample::select(StageId::ALL).prop_map(Some)];
    let needs = proptest::sample::subsequence(vec![("list", "db"), ("find", "idp"), ("account", "idp")], 0..=3);
    let configs = prop_oneof![
        Just(CONFIG.to_owned()),
        Just(format!("{CONFIG}{STAGES}")),
        Just(CONFIG.replace("candidate: {", "candidate: {db: {image: 'postgres:16'}, ")),
        Just(format!("{CONFIG}stages: {{rollback: {{forward_only: 'one way'}}}}\n")),
    ];
    let behaviours = (mostly_good(), steady(), mostly_good(), mostly_good());
    (behaviours, lost, needs, configs, any::<bool>()).prop_map(
        |((baseline, candidate, back, untouched), agent_lost_in, needs, config, deaf_to_auth)| Story {
            baseline,
            candidate,
            back,
            untouched,
            agent_lost_in,
            deaf_to_auth,
            needs: needs
                .into_iter()
                .map(|(test, service)| (test.to_owned(), service.to_owned()))
                .collect(),
            config,
            ..Story::default()
        },
    )
}

/// A story, and how it is divided.
fn division() -> impl Strategy<Value = (Story, Vec<usize>, usize)> {
    (story(), proptest::collection::vec(0..7usize, 7), 1..7usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a run is divided, its shards together say what it says.
    #[test]
    fn the_merge_of_any_division_gives_the_verdict_of_the_whole((story, to, of) in division()) {
        let whole = play(&story);
        let records: Vec<Record> = specs(&whole.parts, &to, of).iter().map(|spec| shard(&story, spec)).collect();
        let merged = merged(&records);
        let (line, own) = (merged.judgement.headline.to_string(), whole.judgement.headline.to_string());
        prop_assert_eq!(merged.judgement.verdict, whole.judgement.verdict, "merged: {}; whole: {}", line, own);
        prop_assert_eq!(merged.record.partial, whole.record().partial);
    }

    /// What is given in another order is the same, and without any of them there is no pass.
    #[test]
    fn order_does_not_matter_and_each_shard_does((story, to, of) in division(), turn in 0..7usize) {
        let parts = play(&story).parts;
        let records: Vec<Record> = specs(&parts, &to, of).iter().map(|spec| shard(&story, spec)).collect();
        let mut turned = given(&records);
        turned.rotate_left(turn % records.len());
        let json = |merged: &Merged| serde_json::to_value(&merged.record).expect("JSON");
        prop_assert_eq!(json(&merged(&records)), json(&merge::merge(turned).expect("a record")));
        for missing in 0..records.len() {
            let mut some = given(&records);
            some.remove(missing);
            if let Some(merged) = merge::merge(some) {
                prop_assert_eq!(merged.judgement.verdict, Verdict::Inconclusive);
            }
        }
    }

    /// Nothing planned is in no shard, and nothing that is divided is in two.
    #[test]
    fn what_all_shards_plan_is_what_the_whole_plans((story, to, of) in division()) {
        let whole = play(&story);
        let planned = crate::plan::shard::planned(&whole.plan);
        let records: Vec<Record> = specs(&whole.parts, &to, of).iter().map(|spec| shard(&story, spec)).collect();
        let shards: Vec<_> = records.iter().filter_map(|record| record.shard.clone()).collect();
        for id in &planned {
            let own = shards.iter().filter(|shard| shard.planned.contains(id)).count();
            prop_assert!(own > 0, "{} is in no shard", id);
            if id.contains(": suite ") || id.ends_with("check load") {
                prop_assert_eq!(own, 1, "{}", id);
            }
        }
        prop_assert!(shards.iter().flat_map(|shard| &shard.planned).all(|id| planned.contains(id)));
    }
}
