//! The action in a real workflow, run by `act` on this machine: a shut gate fails the step and still delivers its
//! outputs, an open one passes, and nothing but an exit code 0 with the verdict `pass` is an open one.

use std::path::Path;
use std::process::{Command, Output};

use crate::consumers;
use crate::driver;
use crate::slot::Slot;
use serde_json::Value;

/// What a job saw of the action.
struct Seen {
    outcome: String,
    outputs: Value,
    environment: String,
    log: String,
    job_passed: bool,
}

impl Seen {
    fn output(&self, name: &str) -> &str {
        self.outputs[name]
            .as_str()
            .unwrap_or_else(|| panic!("no output `{name}` in {}\n{}", self.outputs, self.log))
    }

    fn is_shut(&self, verdict: &str, exit_code: &str) {
        assert_eq!(self.outcome, "failure", "{}", self.log);
        assert!(!self.job_passed, "{}", self.log);
        assert_eq!(
            (self.output("verdict"), self.output("exit-code")),
            (verdict, exit_code),
            "{}",
            self.log
        );
    }
}

/// A repository with the action and a workflow that uses it.
fn repository(dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        ("action.yml", "action.yml"),
        (".github/action/run.sh", ".github/action/run.sh"),
        ("Cargo.toml", "Cargo.toml"),
        ("tests/action/workflow.yml", ".github/workflows/test.yml"),
        ("tests/action/stub.sh", "stub.sh"),
    ];
    for (from, to) in files {
        let to = dir.join(to);
        std::fs::create_dir_all(to.parent().expect("in a folder")).expect("the folder is ours");
        std::fs::copy(root.join(from), to).expect("the file is there");
    }
    let event = r#"{"pull_request": {"number": 1, "head": {"ref": "change"}, "base": {"ref": "main"}},
                    "merge_group": {"head_ref": "queue/main/pr-1", "base_ref": "main"}}"#;
    std::fs::write(dir.join("event.json"), event).expect("the folder is ours");
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["commit", "--quiet", "--message=x"],
    ] {
        git(dir, arguments);
    }
}

fn git(dir: &Path, arguments: &[&str]) {
    let as_somebody = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "commit.gpgsign=false",
    ];
    let done = Command::new("git")
        .args(as_somebody)
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("git is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What the workflow gives to the action.
struct Inputs<'a> {
    bin: &'a Path,
    seed: &'a str,
    config: &'a str,
    candidate: &'a str,
    engine: &'a str,
}

fn act(dir: &Path, trace: &Path, event: &str, inputs: &Inputs) -> Output {
    let pairs = [
        format!("SEED={}", inputs.seed),
        format!("CONFIG={}", inputs.config),
        format!("CANDIDATE={}", inputs.candidate),
        format!("BIN={}", inputs.bin.display()),
        format!("DOCKER_HOST={}", inputs.engine),
        format!("REHEARSAL_TRACE={}", trace.display()),
    ];
    let mut command = Command::new(consumers::venv().join("bin/act"));
    command.args([
        event,
        "--platform",
        "ubuntu-latest=-self-hosted",
        "--pull=false",
        "--eventpath",
        "event.json",
    ]);
    command.args(pairs.iter().flat_map(|pair| ["--env", pair]));
    // No settings and no cache of the machine, and no engine for act itself: the job runs on the host.
    let home = trace.join("home");
    command
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_CONFIG_HOME", home.join("config"));
    command
        .env("DOCKER_HOST", "unix:///nowhere")
        .current_dir(dir)
        .output()
        .expect("act is there")
}

/// The action with a stand-in for the binary; `case` says what it does.
fn run(event: &str, case: u32, config: &str) -> Seen {
    let trace = tempfile::tempdir().expect("a folder");
    let seed = case.to_string();
    let inputs = Inputs {
        bin: Path::new("stub.sh"),
        seed: &seed,
        config,
        candidate: "web=shop:2",
        engine: "unix:///nowhere",
    };
    seen(event, &inputs, trace.path())
}

fn seen(event: &str, inputs: &Inputs, trace: &Path) -> Seen {
    let dir = tempfile::tempdir().expect("a folder");
    repository(dir.path());
    let done = act(dir.path(), trace, event, inputs);
    let log = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    let read = |name: &str| {
        std::fs::read_to_string(trace.join(name)).unwrap_or_else(|error| panic!("no {name}: {error}\n{log}"))
    };
    Seen {
        outcome: read("outcome"),
        outputs: serde_json::from_str(&read("outputs.json")).expect("outputs are JSON"),
        environment: std::fs::read_to_string(trace.join("environment")).unwrap_or_default(),
        job_passed: done.status.success(),
        log,
    }
}

#[test]
fn a_block_fails_the_step_and_delivers_its_outputs_for_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let seen = run(event, 1, "");
        seen.is_shut("block", "1");
        assert_eq!(seen.output("cause"), "sign-in broke; keep the old flow");
        assert_eq!((seen.output("tests"), seen.output("blocked-by")), ("9", "upgrade"));
        assert_eq!(seen.output("junit-path"), "reports/junit.xml");
    }
}

#[test]
fn a_pass_opens_the_gate_for_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let seen = run(event, 2, "");
        assert_eq!(seen.outcome, "success", "{}", seen.log);
        assert!(seen.job_passed);
        assert_eq!((seen.output("verdict"), seen.output("exit-code")), ("pass", "0"));
    }
}

/// The action with the real binary and a world of the incident, on the real engine. Its reports are kept in `trace`.
fn rehearse(event: &str, world: &str, trace: &Path) -> Seen {
    let _slot = Slot::wait();
    let engine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let config = driver::world(world);
    let inputs = Inputs {
        bin: Path::new(env!("CARGO_BIN_EXE_rehearsal")),
        seed: "7",
        config: config.to_str().expect("a path of ours"),
        candidate: "",
        engine: &engine,
    };
    seen(event, &inputs, trace)
}

/// Each path that the action names leads to a report, and the counts are the record's.
fn outputs_tell_the_reports(seen: &Seen, trace: &Path) {
    for path in ["junit-path", "result-path", "summary-path"] {
        let file = trace.join(seen.output(path));
        assert!(file.is_file(), "{path} leads nowhere: {}\n{}", file.display(), seen.log);
    }
    let record = std::fs::read(trace.join(seen.output("result-path"))).expect("it is there");
    let record: Value = serde_json::from_slice(&record).expect("result.json is JSON");
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for name in ["verdict", "cause"] {
        assert_eq!(seen.output(name), words(&record[name]));
    }
    assert_eq!(seen.output("exit-code"), words(&record["exit_code"]));
    assert_eq!(seen.output("duration-ms"), words(&record["duration_ms"]));
    for (output, count) in [
        ("tests", "tests"),
        ("passed", "passed"),
        ("failed", "failed"),
        ("errors", "errors"),
        ("skipped", "skipped"),
        ("not-run", "not_run"),
    ] {
        assert_eq!(seen.output(output), words(&record["counts"][count]), "{output}");
    }
    let run = driver::id(&driver::events(&trace.join("reports"))).expect("the run has an id");
    assert_eq!(driver::on_the_engine(&run), Vec::<String>::new());
}

#[test]
fn the_incident_shuts_the_gate_of_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let trace = tempfile::tempdir().expect("a folder");
        let seen = rehearse(event, "incident", trace.path());
        seen.is_shut("block", "1");
        for part in [
            "404",
            ".well-known/openid-configuration",
            "incident/shop:2.0",
            "incident/provider:1.3.3",
        ] {
            assert!(seen.output("cause").contains(part), "{}", seen.output("cause"));
        }
        assert!(!seen.output("blocked-by").is_empty());
        outputs_tell_the_reports(&seen, trace.path());
        assert!(!seen.log.contains("stand-in-for-alice"), "{}", seen.log);
    }
}

#[test]
fn the_clean_twin_opens_the_gate_of_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let trace = tempfile::tempdir().expect("a folder");
        let seen = rehearse(event, "twin", trace.path());
        assert_eq!(seen.outcome, "success", "{}", seen.log);
        assert!(seen.job_passed, "{}", seen.log);
        assert_eq!((seen.output("verdict"), seen.output("exit-code")), ("pass", "0"));
        outputs_tell_the_reports(&seen, trace.path());
    }
}

#[test]
fn a_crash_before_any_output_is_inconclusive() {
    let seen = run("pull_request", 3, "");
    seen.is_shut("inconclusive", "139");
    assert!(
        seen.output("cause").contains("exit code 139"),
        "{}",
        seen.output("cause")
    );
    assert_eq!(seen.output("report-dir"), "reports");
}

#[test]
fn a_crash_after_the_verdict_pass_is_inconclusive_too() {
    run("pull_request", 4, "").is_shut("inconclusive", "139");
}

#[test]
fn an_end_without_a_verdict_is_inconclusive() {
    run("pull_request", 5, "").is_shut("inconclusive", "3");
}

#[test]
fn a_hostile_cause_forges_no_verdict() {
    let seen = run("pull_request", 6, "");
    seen.is_shut("block", "1");
    assert!(seen.output("cause").starts_with("forged\nverdict=pass"));
}

#[test]
fn an_inconclusive_rehearsal_and_a_wrong_configuration_keep_their_exit_codes() {
    run("pull_request", 7, "").is_shut("inconclusive", "3");
    run("pull_request", 8, "").is_shut("inconclusive", "2");
}

#[test]
fn inputs_arrive_as_environment_variables_whatever_they_contain() {
    let hostile = "$(touch pwned); `id` ' \" *.yaml";
    let seen = run("pull_request", 2, hostile);
    let line = format!("REHEARSAL_CONFIG={hostile}\n");
    assert!(seen.environment.contains(&line), "{}", seen.environment);
    assert!(
        seen.environment.contains("REHEARSAL_CANDIDATE=web=shop:2\n"),
        "{}",
        seen.environment
    );
    assert!(
        seen.environment.contains("REHEARSAL_FORMAT=github\n") && seen.environment.contains("REHEARSAL_OUT=reports\n")
    );
    assert!(!seen.environment.contains("REHEARSAL_ONLY") && !seen.environment.contains("REHEARSAL_FAIL_FAST"));
}

/// The action's script as a runner starts it, without a workflow around it.
fn script(dir: &Path, path: &str, bin: &Path, case: u32) -> Command {
    let mut command = Command::new("/bin/bash");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/action/run.sh"))
        .current_dir(dir)
        .env_clear();
    command
        .env("PATH", path)
        .env("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR"))
        .env("RUNNER_TEMP", dir);
    command
        .env("GITHUB_OUTPUT", dir.join("output"))
        .env("REHEARSAL_TRACE", dir)
        .env("INPUT_SEED", case.to_string());
    command.env("INPUT_BIN_PATH", bin);
    command
}

fn stub() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/action/stub.sh")
}

/// The value that a runner takes from the file: the last one given.
fn last(file: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(file).expect("outputs are written");
    let after = text.rsplit(&format!("{name}<<")).next().expect("the output is given");
    after.lines().nth(1).expect("it has a value").to_owned()
}

#[test]
fn a_cancelled_job_interrupts_the_rehearsal_and_waits_for_its_reports() {
    for (signal, exit_code) in [("INT", 130), ("TERM", 143)] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut running = script(dir.path(), "/usr/bin:/bin", &stub(), 9)
            .spawn()
            .expect("bash is there");
        while !dir.path().join("ready").exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let pid = running.id().to_string();
        Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .expect("kill is there");
        let ended = running.wait().expect("it ends");
        assert_eq!(ended.code(), Some(exit_code));
        assert!(dir.path().join("reports-written").exists());
        let output = dir.path().join("output");
        assert_eq!(
            (last(&output, "verdict"), last(&output, "exit-code")),
            ("inconclusive".to_owned(), exit_code.to_string())
        );
        assert_eq!(last(&output, "cause"), "interrupted");
    }
}

#[test]
fn without_a_binary_and_without_cargo_the_way_out_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended = script(dir.path(), "/usr/bin:/bin", Path::new(""), 2)
        .output()
        .expect("bash is there");
    assert_eq!(ended.status.code(), Some(2));
    let log = String::from_utf8_lossy(&ended.stdout);
    assert!(
        log.contains("::error title=Rehearsal::") && log.contains("install Rust before this step"),
        "{log}"
    );
    assert_eq!(last(&dir.path().join("output"), "verdict"), "inconclusive");
}

#[test]
fn a_bin_path_that_names_no_program_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended = script(dir.path(), "/usr/bin:/bin", Path::new("nothing"), 2)
        .output()
        .expect("bash is there");
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("bin-path names no program: nothing"));
}

#[test]
fn a_binary_on_path_is_used_if_it_has_the_version_of_the_action() {
    for (version, exit_code) in [(env!("CARGO_PKG_VERSION"), 0), ("0.0.0", 2)] {
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("rehearsal");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'rehearsal {version}' || exec {}\n",
            stub().display()
        );
        std::fs::write(&bin, text).expect("the folder is ours");
        Command::new("chmod")
            .arg("+x")
            .arg(&bin)
            .status()
            .expect("chmod is there");
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let ended = script(dir.path(), &path, Path::new(""), 2)
            .output()
            .expect("bash is there");
        assert_eq!(ended.status.code(), Some(exit_code), "{version}");
    }
}
