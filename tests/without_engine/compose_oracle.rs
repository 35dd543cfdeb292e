//! Our reading of Compose files against that of `docker compose config`, on every folder of `fixtures/compose`; and our
//! messages for wrong ones, on every folder of `fixtures/compose-errors`. Public products are read so before and after a
//! release of theirs (`fixtures/releases`).
//!
//! A folder's file `command` is the command line that is compared; without it, it is `docker compose`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rehearsal::compose::{LoadOptions, load};
use serde_json::Value;

const FIRST_OF_ALL: &str =
    "run fixtures/compose-plugin.sh (Debian, as root): the tests compare with Docker Compose 2.40.3";

/// `[NAME=VALUE…] docker compose [OPTION…]`, as a person would type it in the fixture's folder.
struct Case {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let line = std::fs::read_to_string(folder.join("command")).unwrap_or_else(|_| "docker compose".to_owned());
        let mut words = line.split_whitespace().map(str::to_owned);
        let environment = words.by_ref().take_while(|word| word != "docker");
        let environment = environment.filter_map(|word| Some(word.split_once('=')?).map(|(k, v)| (k.into(), v.into())));
        let environment = environment.collect();
        Self {
            folder,
            environment,
            arguments: words.skip(1).collect(),
        }
    }

    fn name(&self) -> String {
        self.folder.file_name().expect("a name").to_string_lossy().into_owned()
    }

    fn options(&self) -> LoadOptions {
        let mut environment = self.environment.clone();
        environment.insert("HOME".to_owned(), home());
        let mut options = LoadOptions {
            environment,
            project_directory: Some(self.folder.clone()),
            ..LoadOptions::default()
        };
        for pair in self.arguments.chunks(2) {
            let [option, value] = pair else {
                panic!("{}: options come with a value", self.name())
            };
            let path = self.folder.join(value);
            match option.as_str() {
                "-f" => options.files.push(path),
                "--profile" => options.profiles.push(value.clone()),
                "--env-file" => options.env_file.push(path),
                "--project-directory" => options.project_directory = Some(path),
                "-p" => options.project_name = Some(value.clone()),
                other => panic!("{}: unknown option {other}", self.name()),
            }
        }
        let given = self.arguments.iter().any(|word| word == "--project-directory");
        if !options.files.is_empty() && !given {
            options.project_directory = None;
        }
        options
    }

    /// `docker compose … config`, in a scrubbed environment.
    fn oracle(&self) -> Output {
        Command::new("docker")
            .arg("compose")
            .args(&self.arguments)
            .args(["config", "--format", "json"])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var("PATH").expect("PATH"))
            .env("HOME", home())
            .envs(&self.environment)
            .output()
            .expect(FIRST_OF_ALL)
    }
}

fn home() -> String {
    std::env::var("HOME").expect("HOME")
}

fn folders(of: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(of);
    let entries = std::fs::read_dir(&root)
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn cases(folder: &str) -> Vec<Case> {
    folders(folder).into_iter().map(Case::read).collect()
}

/// A product's files before its release and, where the release has files of its own, after it.
fn sides(folder: &Path) -> Vec<Case> {
    let directory = folder.to_str().expect("a path");
    let before = [
        "--env-file",
        "production.env",
        "-f",
        "compose.yaml",
        "-f",
        "compose.override.yaml",
        "-f",
        "no-socket.yaml",
    ];
    let after = [
        "--project-directory",
        directory,
        "--env-file",
        "production.env",
        "--env-file",
        "release/release.env",
        "-f",
        "release/compose.yaml",
        "-f",
        "no-socket.yaml",
    ];
    let there = |pair: &&[&str]| folder.join(pair[1]).exists();
    let case = |arguments: &[&str]| Case {
        folder: folder.to_owned(),
        environment: BTreeMap::new(),
        arguments: arguments
            .chunks(2)
            .filter(there)
            .flatten()
            .map(|word| (*word).to_owned())
            .collect(),
    };
    let has_files = folder.join("release/compose.yaml").exists();
    let after = has_files.then(|| case(&after));
    std::iter::once(case(&before)).chain(after).collect()
}

fn require_plugin() {
    let output = Command::new("docker")
        .args(["compose", "version", "--short"])
        .output()
        .expect(FIRST_OF_ALL);
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        version.trim().trim_start_matches('v').starts_with("2.40.3"),
        "{FIRST_OF_ALL}"
    );
}

/// Where two trees differ, one line each.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => differences(&at, a, b, found),
                    (a, b) => found.push(format!("{at}: ours {}, theirs {}", shown(a), shown(b))),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: ours {a}, theirs {b}")),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn compare(case: &Case) -> Option<String> {
    let output = case.oracle();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Some(format!("{}: docker compose refuses it: {message}", case.name()));
    }
    let theirs: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ours = match load(&case.options()) {
        Ok(project) => project.canonical_json(),
        Err(error) => return Some(format!("{}: we refuse it:\n{error}", case.name())),
    };
    let mut found = Vec::new();
    differences("", &ours, &theirs, &mut found);
    (!found.is_empty()).then(|| format!("{}:\n    {}", case.name(), found.join("\n    ")))
}

#[test]
fn every_fixture_reads_as_docker_compose_reads_it() {
    require_plugin();
    let cases = cases("compose");
    assert!(cases.len() >= 60, "only {} fixtures", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(compare).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn both_sides_of_every_public_release_read_as_docker_compose_reads_them() {
    require_plugin();
    let cases: Vec<Case> = folders("releases").iter().flat_map(|folder| sides(folder)).collect();
    assert_eq!(
        cases.len(),
        10,
        "six products, and four releases with files of their own"
    );
    let wrong: Vec<String> = cases.iter().filter_map(compare).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `error.txt` holds the whole report, with paths from the fixture's folder on; `UPDATE_FIXTURES=1` writes it.
#[test]
fn every_wrong_fixture_is_refused_with_its_place_and_message() {
    let mut wrong = Vec::new();
    for case in cases("compose-errors") {
        let Err(error) = load(&case.options()) else {
            wrong.push(format!("{}: was accepted", case.name()));
            continue;
        };
        let report = error.to_string().replace(&format!("{}/", case.folder.display()), "") + "\n";
        let golden = case.folder.join("error.txt");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&golden, &report).expect("write");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if report != expected {
            wrong.push(format!("{}: expected\n{expected}\nfound\n{report}", case.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What we refuse, Docker Compose refuses as well; a file `stricter` in the folder says why we alone do.
#[test]
fn every_wrong_fixture_is_refused_by_docker_compose_too() {
    require_plugin();
    let cases = cases("compose-errors")
        .into_iter()
        .filter(|case| !case.folder.join("stricter").exists());
    let accepted: Vec<String> = cases
        .filter(|case| case.oracle().status.success())
        .map(|case| case.name())
        .collect();
    assert!(accepted.is_empty(), "docker compose accepts {accepted:?}");
}
