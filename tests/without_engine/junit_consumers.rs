//! Real consumers read our JUnit reports: junitparser counts as we do, junit2html renders, and the schemas that
//! `junit-report` ships accept the dialects made for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::consumers;
use crate::samples;
use rehearsal::record::v1::Record;
use rehearsal::report::junit::{self, Dialect, Outcome};
use serde_json::{Value, json};

/// A schema among the tests of `junit-report`, wherever cargo keeps that crate.
fn schema(name: &str) -> PathBuf {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // Of other systems, nothing has been fetched.
        .args(["--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("it lists packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "junit-report")
        .expect("we depend on it");
    let manifest = package["manifest_path"].as_str().expect("it lies somewhere");
    let file = Path::new(manifest)
        .parent()
        .expect("in a folder")
        .join("tests")
        .join(name);
    assert!(file.is_file(), "junit-report no longer ships {}", file.display());
    file
}

/// Writes `result` in a dialect; the entry of the manifest that says what a consumer must see in it.
fn written(dir: &Path, name: &str, result: &Record, dialect: Dialect, schema: Option<&Path>) -> Value {
    let file = dir.join(format!("{name}-{dialect:?}.xml"));
    std::fs::write(&file, junit::write(result, dialect).expect("the report is written")).expect("the folder is ours");
    let cases: Vec<_> = junit::suites(result)
        .into_iter()
        .flat_map(|suite| suite.cases)
        .collect();
    // Ant has no word for skipped cases.
    let told = |case: &&junit::Case| dialect != Dialect::Ant || !matches!(case.outcome, Outcome::Skipped(_));
    let cases: Vec<_> = cases.iter().filter(told).collect();
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
    json!({
        "file": file,
        "schema": schema,
        "render": name != "hostile" || dialect == Dialect::Default,
        "tests": cases.len(),
        "failures": count(|outcome| matches!(outcome, Outcome::Failure(_))),
        "errors": count(|outcome| matches!(outcome, Outcome::Error(_))),
        "skipped": count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        "names": cases.iter().map(|case| format!("{} {}", case.classname, case.name)).collect::<Vec<_>>(),
    })
}

fn consumers_agree(name: &str, results: &[Record]) {
    let venv = consumers::venv();
    let dir = tempfile::tempdir().expect("a folder");
    let (jenkins, ant) = (schema("JUnit.xsd"), schema("JUnit-alternative.xsd"));
    let dialects = [
        (Dialect::Default, None),
        (Dialect::Jenkins, Some(&*jenkins)),
        (Dialect::Ant, Some(&*ant)),
    ];
    let mut manifest = Vec::new();
    for (number, result) in results.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        std::fs::create_dir(&folder).expect("the folder is ours");
        manifest.extend(
            dialects
                .iter()
                .map(|(dialect, schema)| written(&folder, name, result, *dialect, *schema)),
        );
    }
    let file = dir.path().join("manifest.json");
    std::fs::write(&file, Value::from(manifest).to_string()).expect("the folder is ours");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/check_junit.py");
    let checked = Command::new(venv.join("bin/python"))
        .args([&script, &file])
        .output()
        .expect("python is there");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn consumers_read_the_incident_as_we_meant_it() {
    consumers_agree("incident", &[samples::block(), samples::pass()]);
}

#[test]
fn consumers_find_no_forged_case_in_hostile_output() {
    consumers_agree("hostile", &samples::hostile());
}

#[test]
fn consumers_read_a_large_clean_run() {
    consumers_agree("large", &[samples::large(5_000)]);
}
