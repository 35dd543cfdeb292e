//! Every wrong file under `config_errors` is refused with the text that stands beside it.
//!
//! `BLESS=1 cargo test --test without_engine config_errors::` writes the texts anew; read the difference before it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::driver;
use rehearsal::config::read;
use rehearsal::context::Context;
use rehearsal::prepare::{self, Asked};
use rehearsal::yaml::diagnostic::Diagnostic;

const FOLDER: &str = "tests/config_errors";

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER)
        .expect(FOLDER)
        .map(|entry| entry.expect(FOLDER).path());
    let cases: BTreeSet<_> = entries.filter(|path| path.is_dir()).collect();
    cases.into_iter().collect()
}

/// As a command finds it, with nothing in its environment.
fn errors(case: &Path) -> Vec<Diagnostic> {
    let context = Context {
        environment: BTreeMap::new(),
        directory: case.to_path_buf(),
        terminal: false,
        width: 100,
        github: false,
        token: None,
        runs: case.to_path_buf(),
    };
    let prepared = prepare::prepare(&Asked::of(Some(&case.join(read::FILE_NAME))), &context);
    prepared
        .err()
        .unwrap_or_else(|| panic!("{} is not refused", case.display()))
}

fn report(case: &Path) -> String {
    let texts: Vec<_> = errors(case).iter().map(|error| format!("{error}\n")).collect();
    texts.join("\n")
}

#[test]
fn wrong_files_are_refused_with_place_cause_and_way_out() {
    let mut differences = vec![];
    for case in cases() {
        let report = report(&case);
        let expected = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &report).expect("writable");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != report {
            differences.push(format!("{}\n\n{report}", case.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_error_says_where() {
    for case in cases() {
        assert!(
            errors(&case).iter().all(|error| error.place().is_some()),
            "{}",
            case.display()
        );
    }
}

#[test]
fn there_are_many_wrong_files() {
    assert!(cases().len() >= 30);
}

#[test]
fn the_binary_refuses_each_with_exit_code_2_and_starts_nothing() {
    let out = driver::folder("config-errors");
    for case in cases() {
        let config = case.join(read::FILE_NAME);
        let mut command = driver::run(&config, &out.join("reports"));
        // The texts beside the files hold paths as `cargo test` sees them. An engine that was asked would end it with 3.
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        let ended = driver::end(command);
        assert_eq!(ended.code, Some(2), "{}: {}", case.display(), ended.stderr);
        let place = format!("{}:", config.display());
        let numbers = ended
            .stderr
            .split(&place)
            .nth(1)
            .unwrap_or_else(|| panic!("no place: {}", ended.stderr));
        let numbers: Vec<&str> = numbers
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .split(':')
            .collect();
        assert!(
            numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok()),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stdout.is_empty() && !out.join("reports").exists(),
            "{} started something",
            case.display()
        );
    }
}
