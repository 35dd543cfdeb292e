//! One truth about numbers: whatever the record, all reports count alike.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::junit::Dialect;
use super::terminal::{Colour, Terminal};
use super::{github, html, junit, samples, summary, words};
use crate::record::cases;
use crate::record::status::Status;
use crate::record::v1::{Counts, Record, Tally, TestName};
use crate::record::verdict::Verdict;

/// Tests, failures, errors, skipped.
type Sums = [u64; 4];

fn claimed(start: &BytesStart) -> Sums {
    ["tests", "failures", "errors", "skipped"].map(|name| {
        let attribute = start
            .try_get_attribute(name)
            .expect("well-formed")
            .expect("it is there");
        String::from_utf8_lossy(&attribute.value).parse().expect("a number")
    })
}

/// What the root claims, what the suites claim in sum, and what is there.
fn in_junit(result: &Record) -> [Sums; 3] {
    let xml = junit::write(result, Dialect::Default).expect("it is written");
    let mut reader = Reader::from_str(&xml);
    let [mut root, mut suites, mut there] = [Sums::default(); 3];
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return [root, suites, there],
            Event::Start(start) | Event::Empty(start) => match start.name().as_ref() {
                b"testsuites" => root = claimed(&start),
                b"testsuite" => suites
                    .iter_mut()
                    .zip(claimed(&start))
                    .for_each(|(sum, own)| *sum += own),
                b"testcase" => there[0] += 1,
                b"failure" => there[1] += 1,
                b"error" => there[2] += 1,
                b"skipped" => there[3] += 1,
                _ => {}
            },
            _ => {}
        }
    }
}

fn sum(kinds: &[Tally]) -> Tally {
    kinds.iter().fold(Tally::default(), |sum, one| Tally {
        all: sum.all + one.all,
        passed: sum.passed + one.passed,
        failed: sum.failed + one.failed,
        errors: sum.errors + one.errors,
        skipped: sum.skipped + one.skipped,
        not_run: sum.not_run + one.not_run,
    })
}

fn agree(result: &Record) {
    let counts = Counts::of(result);
    let meant = [
        counts.tests,
        counts.failed,
        counts.errors + counts.not_run,
        counts.skipped,
    ];
    assert_eq!(in_junit(result), [meant; 3]);
    let kinds = &counts.kinds;
    let kinds = sum(&[kinds.tests, kinds.sign_ins, kinds.starts, kinds.checks, kinds.stages]);
    assert_eq!(
        [kinds.all, kinds.failed, kinds.errors + kinds.not_run, kinds.skipped],
        meant
    );
    assert_eq!(kinds.passed + meant[1] + meant[2] + meant[3], counts.tests);
    told(result, &counts);
    // Every test is a case, and one that failed is one that failed, whoever is to blame.
    assert_eq!(counts.kinds.tests.all, result.tests.len() as u64);
    let failed = result.tests.iter().filter(|test| test.status == Status::Failed).count() as u64;
    assert!(counts.kinds.tests.failed + counts.kinds.tests.errors >= failed);
    match result.verdict.or(Verdict::Inconclusive) {
        Verdict::Pass => {}
        Verdict::Block => assert!(counts.failed > 0, "{}", words::counts(result)),
        Verdict::Inconclusive => assert!(counts.passed + counts.skipped < counts.tests),
    }
}

/// What the page says of all cases, in the order of its columns.
fn in_html(result: &Record) -> Vec<u64> {
    let page = scraper::Html::parse_document(&html::write(result, html::BUDGET).expect("it is written"));
    let cells = scraper::Selector::parse("tr.sum td").expect("a selector");
    let cells = page.select(&cells).map(|cell| cell.text().collect::<String>());
    cells.map(|text| text.parse().expect("a number")).collect()
}

/// Terminal, summary, page and outputs say what `counts` says.
fn told(result: &Record, counts: &Counts) {
    let line = words::counts(result);
    assert!(
        line.starts_with(&words::counted(counts.tests, "case", "cases")),
        "{line}"
    );
    let wide = Terminal {
        colour: Colour::Off,
        width: 10_000,
    };
    assert!(wide.summary(result, "out").contains(&line));
    assert!(summary::write(result, summary::BUDGET).contains(&line));
    let columns = [
        counts.failed,
        counts.errors,
        counts.not_run,
        counts.passed,
        counts.skipped,
        counts.tests,
    ];
    assert_eq!(in_html(result), columns);
    let outputs: BTreeMap<_, _> = github::outputs(result, Path::new("out")).into_iter().collect();
    for (name, count) in [
        ("tests", counts.tests),
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("errors", counts.errors),
        ("skipped", counts.skipped),
        ("not-run", counts.not_run),
    ] {
        assert_eq!(outputs[name], count.to_string(), "{name}");
    }
}

#[test]
fn all_reports_count_alike_whatever_a_candidate_prints() {
    let samples = [samples::block(), samples::pass(), samples::large(20)];
    samples.iter().chain(&samples::hostile()).for_each(agree);
}

#[test]
fn sums_that_a_record_claims_are_not_believed() {
    let mut forged = samples::block();
    forged.counts = Counts::of(&samples::pass());
    agree(&forged);
    assert_eq!(words::counts(&forged), words::counts(&samples::block()));
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![
        Status::Passed,
        Status::Failed,
        Status::Error,
        Status::Skipped,
        Status::NotRun,
    ])
}

proptest! {
    #[test]
    fn all_reports_count_alike_however_a_run_ended(
        statuses in prop::collection::vec(status(), 32),
        verdict in prop::sample::select(vec![Verdict::Pass, Verdict::Block, Verdict::Inconclusive]),
        about in prop::collection::vec(any::<bool>(), 3),
        gone in any::<[bool; 3]>(),
    ) {
        let mut result = samples::block();
        result.verdict = verdict.into();
        let mut statuses = statuses.into_iter().cycle();
        let mut next = || statuses.next().unwrap_or(Status::Passed).into();
        for stage in &mut result.stages {
            stage.status = next();
            stage.steps.iter_mut().for_each(|step| step.status = next());
        }
        result.tests.iter_mut().for_each(|test| test.status = next());
        result.checks.iter_mut().for_each(|check| check.status = next());
        for (finding, about) in result.findings.iter_mut().zip(about) {
            finding.tests = if about { names(&result.tests[5..6]) } else { Vec::new() };
        }
        let [stages, tests, checks] = gone;
        if stages { result.stages.clear(); }
        if tests { result.tests.clear(); }
        if checks { result.checks.clear(); }
        agree(&result);
    }
}

fn names(tests: &[crate::record::v1::Test]) -> Vec<TestName> {
    let name = |test: &crate::record::v1::Test| TestName {
        suite: test.suite.clone(),
        name: test.name.clone(),
    };
    tests.iter().map(name).collect()
}

/// Checks of `upgrade` that are cases, with how they ended.
fn checks_in_upgrade(result: &Record) -> Vec<(String, Status)> {
    let cases = cases::of(result);
    let here = cases
        .iter()
        .filter(|case| case.stage.is_some_and(|stage| stage.to_string() == "upgrade"));
    here.filter_map(|case| match &case.subject {
        cases::Subject::Check(answer) => Some((answer.check.to_string(), case.status)),
        _ => None,
    })
    .collect()
}

#[test]
fn a_finding_about_a_failed_test_adds_no_case_and_one_about_none_adds_its_checks() {
    let mut result = samples::block();
    result.stages[1].steps.retain(|step| step.id != "login");
    let own = |result: &Record| {
        let mut checks = checks_in_upgrade(result).into_iter();
        checks.find(|(check, _)| check == "auth-login")
    };
    assert_eq!(own(&result), Some(("auth-login".to_owned(), Status::Failed)));
    result.findings[0].tests = names(&result.tests[5..6]);
    assert_eq!(own(&result), None);
    // Nor does it hide where that test passed.
    result.findings[0].tests = names(&result.tests[4..5]);
    assert_eq!(own(&result), Some(("auth-login".to_owned(), Status::Failed)));
    result.checks.clear();
    assert_eq!(own(&result), Some(("auth-login".to_owned(), Status::Failed)));
}

#[test]
fn a_finding_that_another_speaks_for_adds_no_case_beside_its_failed_test() {
    let mut result = samples::block();
    let mut answer = result.checks[1].clone();
    answer.check = result.findings[0].folded[0].check.clone();
    result.checks.push(answer);
    let of = |result: &Record| {
        let mut checks = checks_in_upgrade(result).into_iter();
        checks.find(|(check, _)| check == "upgrade-in-place")
    };
    assert_eq!(of(&result), None);
    result.findings[0].folded.clear();
    assert_eq!(of(&result), Some(("upgrade-in-place".to_owned(), Status::Failed)));
}

#[test]
fn a_sign_in_and_its_check_are_one_case_and_a_failed_one_is_counted() {
    let mut result = samples::block();
    result.tests.retain(|test| test.status == Status::Passed);
    let line = words::counts(&result);
    assert!(
        line.contains("1 failed") && line.contains("2 sign-ins (1 failed)"),
        "{line}"
    );
    assert!(
        !checks_in_upgrade(&result)
            .iter()
            .any(|(check, _)| check == "auth-login"),
        "{line}"
    );
}
