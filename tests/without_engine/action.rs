//! The action in a real workflow, run by `act` on this machine: a shut gate fails the step and still delivers its
//! outputs, an open one passes, and nothing but an exit code 0 with the verdict `pass` is an open one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory as _;

use crate::in_workflow::{Base, Inputs, Seen, git, seen};
use crate::signals::hears_signals;

/// The action with a stand-in for the binary; `case` says what it does.
fn run(event: &str, case: u32, config: &str) -> Seen {
    let trace = tempfile::tempdir().expect("a folder");
    let seed = case.to_string();
    let inputs = Inputs {
        bin: Path::new("stub.sh"),
        from: "",
        seed: &seed,
        config,
        candidate: "web=shop:2",
        engine: "unix:///nowhere",
        base: Base::Told,
    };
    seen(event, &inputs, trace.path())
}

#[test]
fn a_block_fails_the_step_and_delivers_its_outputs_for_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let seen = run(event, 1, "");
        seen.is_shut("block", "1");
        assert_eq!(seen.output("cause"), "sign-in broke; keep the old flow");
        assert_eq!((seen.output("tests"), seen.output("blocked-by")), ("9", "upgrade"));
        assert_eq!(seen.output("junit-path"), "reports/junit.xml");
        assert_eq!(seen.output("html-path"), "reports/report.html");
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

#[test]
fn production_is_as_the_base_of_a_pull_request_or_a_merge_group_has_it() {
    for event in ["pull_request", "merge_group"] {
        let seen = run(event, 2, "");
        let line = format!("REHEARSAL_PRODUCTION_FROM={}\n", seen.base);
        assert!(seen.environment.contains(&line), "{}\n{}", seen.environment, seen.log);
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
pub fn script(dir: &Path, path: &str, bin: &Path, case: u32) -> Command {
    let mut command = hears_signals("/bin/bash");
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

pub fn stub() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/action/stub.sh")
}

/// The value that a runner takes from the file: the last one given.
pub fn last(file: &Path, name: &str) -> String {
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

/// A program of that name in `dir`.
pub fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let file = dir.join(name);
    std::fs::write(&file, text).expect("the folder is ours");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    file
}

/// Says its version as the real one would, and passes.
pub fn forged() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'rehearsal {version}' && exit\ntouch \"$REHEARSAL_TRACE/forged\"\nexec {}\n",
        stub().display()
    )
}

/// Stands for cargo: builds the stand-in.
pub fn cargo() -> String {
    format!(
        "#!/bin/sh\nmkdir -p \"$CARGO_TARGET_DIR/release\"\ncp {} \"$CARGO_TARGET_DIR/release/rehearsal\"\n",
        stub().display()
    )
}

#[test]
fn a_binary_on_path_is_never_run() {
    let dir = tempfile::tempdir().expect("a folder");
    program(dir.path(), "rehearsal", &forged());
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let ended = script(dir.path(), &path, Path::new(""), 2)
        .output()
        .expect("bash is there");
    assert_eq!(
        ended.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    assert!(!dir.path().join("forged").exists());

    program(dir.path(), "cargo", &cargo());
    let built = script(dir.path(), &path, Path::new(""), 2)
        .output()
        .expect("bash is there");
    assert_eq!(
        built.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&built.stdout)
    );
    assert!(!dir.path().join("forged").exists());
}

/// What a step that came before, or another job of the same runner, may have left where a binary was kept once.
#[test]
fn a_binary_that_lies_in_a_cache_beside_its_checksum_is_never_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let digest = "cd \"$0\" && find src Cargo.toml Cargo.lock .cargo -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
    let sources = Command::new("bash")
        .args(["-c", digest, env!("CARGO_MANIFEST_DIR")])
        .output()
        .expect("bash is there");
    let sources = String::from_utf8(sources.stdout).expect("hexadecimal");
    let cached = dir
        .path()
        .join("rehearsal")
        .join(&sources[..64])
        .join(std::env::consts::ARCH);
    std::fs::create_dir_all(&cached).expect("the folder is ours");
    program(&cached, "rehearsal", &forged());
    let summed = Command::new("bash")
        .args(["-c", "sha256sum rehearsal >rehearsal.sha256"])
        .current_dir(&cached)
        .status();
    assert!(summed.expect("bash is there").success());
    let ended = script(dir.path(), "/usr/bin:/bin", Path::new(""), 2)
        .env("RUNNER_TOOL_CACHE", dir.path())
        .output()
        .expect("bash is there");
    assert_eq!(
        ended.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    assert!(!dir.path().join("forged").exists());
}

#[test]
fn no_variable_of_the_job_says_what_is_rehearsed_or_what_decides() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = script(dir.path(), "/usr/bin:/bin", &stub(), 2);
    let own = variables_of_run();
    assert!(own.len() > 10, "{own:?}");
    for name in &own {
        command.env(name, "from-the-job");
    }
    let ended = command.output().expect("bash is there");
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    let heard = std::fs::read_to_string(dir.path().join("environment")).expect("the stand-in writes it");
    assert!(!heard.contains("from-the-job"), "{heard}");
    assert!(heard.contains("REHEARSAL_SEED=2\n"), "{heard}");
}

#[test]
fn the_command_alone_is_given_the_token_and_not_what_builds_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let asked = format!("#!/bin/sh\nenv >\"$REHEARSAL_TRACE/built\"\n{}", cargo());
    program(dir.path(), "cargo", &asked);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let mut command = script(dir.path(), &path, Path::new(""), 2);
    command.env("INPUT_TOKEN", "ghs_token").env("INPUT_CHECK_RUN", "4");
    let ended = command.output().expect("bash is there");
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("written");
    assert!(!read("built").contains("ghs_token"));
    let heard = read("environment");
    assert!(
        heard.contains("REHEARSAL_GITHUB_TOKEN=ghs_token\n") && heard.contains("REHEARSAL_CHECK_RUN=4\n"),
        "{heard}"
    );
}

/// The script with one of the inputs that have to do with shards, and how it ended.
fn with_input(case: u32, input: (&str, &str)) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = script(dir.path(), "/usr/bin:/bin", &stub(), case);
    let ended = command.env(input.0, input.1).output().expect("bash is there");
    let asked = std::fs::read_to_string(dir.path().join("arguments")).unwrap_or_default();
    let output = dir.path().join("output");
    (ended.status.code(), last(&output, "verdict"), asked)
}

#[test]
fn a_shard_that_found_nothing_ends_well_and_says_that_it_is_no_pass() {
    let shard = ("INPUT_SHARD", "1/2=suite:smoke");
    assert_eq!(with_input(10, shard), (Some(0), "shard".to_owned(), "run\n".to_owned()));
    assert_eq!(with_input(1, shard).0, Some(1));
    // `pass` is not a shard's word, and `shard` is not the gate's.
    assert_eq!(with_input(2, shard).0, Some(3));
    assert_eq!(with_input(10, ("INPUT_SHARD", "")).0, Some(3));
}

#[test]
fn a_run_that_is_divided_gives_a_matrix_and_no_verdict_and_a_merge_opens_the_gate() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = script(dir.path(), "/usr/bin:/bin", &stub(), 2);
    let ended = command.env("INPUT_INTO", "3").output().expect("bash is there");
    assert_eq!(ended.status.code(), Some(0));
    let output = dir.path().join("output");
    assert_eq!(last(&output, "matrix"), r#"{"include":[{"shard":"1/1"}]}"#);
    assert_eq!(last(&output, "verdict"), "none");
    let (code, verdict, asked) = with_input(2, ("INPUT_MERGE", "-shards"));
    assert_eq!(
        (code, verdict.as_str(), asked.as_str()),
        (Some(0), "pass", "merge -- -shards\n")
    );
    // The base's commit is in no checkout of the job that merges.
    let mut merge = script(dir.path(), "/usr/bin:/bin", &stub(), 2);
    merge
        .env("INPUT_MERGE", "shards")
        .env("INPUT_PRODUCTION_FROM", "0".repeat(40));
    assert_eq!(merge.output().expect("bash is there").status.code(), Some(0));
    let mut both = script(dir.path(), "/usr/bin:/bin", &stub(), 2);
    both.env("INPUT_INTO", "3").env("INPUT_MERGE", "shards");
    assert_eq!(both.output().expect("bash is there").status.code(), Some(2));
}

/// The names that the command itself listens to.
fn variables_of_run() -> Vec<String> {
    let cli = rehearsal::cli::Cli::command();
    let run = cli.find_subcommand("run").expect("there is `run`");
    let names = run.get_arguments().filter_map(|argument| argument.get_env());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn the_action_has_no_input_that_narrows_a_run() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).expect("it is there");
    let inputs = &text[text.find("\ninputs:").expect("inputs")..text.find("\noutputs:").expect("outputs")];
    assert!(
        inputs.contains("\n  seed:") && !inputs.contains("\n  only:"),
        "{inputs}"
    );
}

/// Two commits, and a shallow clone of the second: the first is the base.
fn shallow_clone(dir: &Path) -> (PathBuf, String) {
    let (origin, clone) = (dir.join("origin"), dir.join("clone"));
    std::fs::create_dir(&origin).expect("the folder is ours");
    let commit = || git(&origin, &["commit", "--quiet", "--allow-empty", "--message=x"]);
    git(&origin, &["init", "--quiet", "--initial-branch=main"]);
    commit();
    let base = git(&origin, &["rev-parse", "HEAD"]);
    commit();
    let source = format!("file://{}", origin.display());
    let to = clone.to_str().expect("a path of ours");
    git(dir, &["clone", "--quiet", "--depth=1", &source, to]);
    (clone, base)
}

/// What the command hears for an input, in a folder.
fn given(dir: &Path, folder: &Path, input: &str) -> (Output, Option<String>) {
    let heard = dir.join("environment");
    let _none_yet = std::fs::remove_file(&heard);
    let mut command = script(dir, "/usr/local/bin:/usr/bin:/bin", &stub(), 2);
    command.current_dir(folder).env("INPUT_PRODUCTION_FROM", input);
    let ended = command.output().expect("bash is there");
    let heard = std::fs::read_to_string(heard).unwrap_or_default();
    let lines = heard.lines();
    let from = lines
        .filter_map(|line| line.strip_prefix("REHEARSAL_PRODUCTION_FROM="))
        .next();
    (ended, from.map(str::to_owned))
}

#[test]
fn the_bases_commit_is_fetched_where_a_shallow_checkout_lacks_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (clone, base) = shallow_clone(dir.path());
    let fetched = |object: &str| {
        let found = Command::new("git")
            .args(["cat-file", "-e", object])
            .current_dir(&clone)
            .output();
        found.expect("git is there").status.success()
    };
    assert!(!fetched(&base));
    let (ended, from) = given(dir.path(), &clone, &base);
    assert_eq!((ended.status.code(), from.as_deref()), (Some(0), Some(base.as_str())));
    assert!(fetched(&base));
}

#[test]
fn a_base_that_cannot_be_fetched_shuts_the_gate_and_shows_no_login() {
    let dir = tempfile::tempdir().expect("a folder");
    let (clone, base) = shallow_clone(dir.path());
    git(
        &clone,
        &[
            "remote",
            "set-url",
            "origin",
            "https://x-access-token:hunter2secret@127.0.0.1:1/shop",
        ],
    );
    let (ended, from) = given(dir.path(), &clone, &base);
    assert_eq!((ended.status.code(), from), (Some(2), None));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(said.contains("fetch-depth: 0") && said.contains("./base"), "{said}");
    assert!(!said.contains("hunter2secret"), "{said}");
    let output = dir.path().join("output");
    assert_eq!(last(&output, "verdict"), "inconclusive");
}

#[test]
fn another_place_of_production_is_handed_on_as_it_is_and_none_is_the_working_tree() {
    let dir = tempfile::tempdir().expect("a folder");
    let (clone, _) = shallow_clone(dir.path());
    for (input, wanted) in [
        ("", None),
        ("none", None),
        ("./base", Some("./base")),
        ("origin/main", Some("origin/main")),
        ("--upload-pack=touch pwned", Some("--upload-pack=touch pwned")),
        ("$(touch pwned)", Some("$(touch pwned)")),
    ] {
        let (ended, from) = given(dir.path(), &clone, input);
        assert_eq!((ended.status.code(), from.as_deref()), (Some(0), wanted), "{input}");
    }
    assert!(!clone.join("pwned").exists());
}
