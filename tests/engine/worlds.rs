//! Each world of `fixtures/incident` ends as `expected.yaml` says, on a real engine with the real binary.
//!
//! A world is run once, whoever asks first; its reports stay below `target/tmp`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};

use crate::consumers;
use crate::driver::{self, Rehearsed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rehearsal::record::v1::{Counts, Record};
use rehearsal::report::junit::{self, Outcome};
use rehearsal::yaml::span::Source;
use rehearsal::yaml::tree::{self, Node};
use serde_json::{Value, json};

/// A row of `expected.yaml`.
pub struct Expected {
    verdict: String,
    exit: i32,
    /// A part of the first line.
    says: String,
    /// Every finding, as `stage check severity`, sorted.
    findings: Vec<String>,
}

static EXPECTED: LazyLock<BTreeMap<String, Expected>> = LazyLock::new(|| expectations(&driver::world("expected")));

/// What every world of a folder must come to.
pub fn expectations(path: &Path) -> BTreeMap<String, Expected> {
    let (path, text) = (
        path.to_owned(),
        std::fs::read_to_string(path).expect("expected.yaml is there"),
    );
    let file = tree::parse(Arc::new(Source { path, text })).expect("expected.yaml is YAML");
    let rows = file.as_map().expect("a mapping");
    rows.iter().map(|row| (row.key.clone(), expected(&row.node))).collect()
}

fn expected(row: &Node) -> Expected {
    let node = |key: &str| row.get(key).unwrap_or_else(|| panic!("no `{key}`"));
    let word = |key: &str| node(key).as_text().expect("a word");
    let findings = node("findings").as_seq().expect("a list").iter();
    let mut findings: Vec<String> = findings.map(|item| item.as_text().expect("a line")).collect();
    findings.sort();
    Expected {
        verdict: word("verdict"),
        exit: word("exit").parse().expect("a number"),
        says: word("says"),
        findings,
    }
}

/// Every finding of a record, as `expected.yaml` has it.
fn found(result: &Value) -> Vec<String> {
    let findings = result["findings"].as_array().expect("a list").iter();
    let mut found: Vec<String> = findings
        .map(|finding| {
            let [stage, check, severity] =
                ["stage", "check", "severity"].map(|key| finding[key].as_str().expect("a word"));
            format!("{stage} {check} {severity}")
        })
        .collect();
    found.sort();
    found
}

/// The run of a world. The first to ask runs it.
fn rehearsed(world: &str) -> &'static Rehearsed {
    static RUNS: LazyLock<BTreeMap<String, OnceLock<Rehearsed>>> =
        LazyLock::new(|| EXPECTED.keys().map(|world| (world.clone(), OnceLock::new())).collect());
    RUNS[world].get_or_init(|| {
        let out = driver::folder(&format!("worlds/{world}"));
        Rehearsed::of(driver::run(&driver::world(world), &out), &out)
    })
}

fn ends_as_expected(world: &str) {
    ends(world, &EXPECTED[world], rehearsed(world));
}

/// A run has come to what is expected of its world.
pub fn ends(world: &str, expected: &Expected, run: &Rehearsed) {
    let result = run.result();
    let cause = result["cause"].as_str().expect("a line");
    let told = format!("{world}: {cause}\n{}", result["findings"]);
    assert_eq!(result["verdict"], json!(expected.verdict), "{told}");
    assert_eq!(run.ended.code, Some(expected.exit), "{told}");
    assert_eq!(result["exit_code"], json!(expected.exit), "{told}");
    assert!(cause.contains(&expected.says), "`{}` is not in {told}", expected.says);
    assert_eq!(found(&result), expected.findings, "{told}");
    assert_eq!(
        driver::left_behind(&run.id()),
        Vec::<String>::new(),
        "{world} left something behind"
    );
}

/// One test for each world, so that each is reported by its own name. Those that show once more what a neighbour and the
/// laws of the scripted mirror show are asked each night.
macro_rules! worlds {
    (
        each_time { $($test:ident: $world:literal),+ $(,)? }
        nightly { $($later:ident: $other:literal),+ $(,)? }
    ) => {
        $(#[test] fn $test() { ends_as_expected($world); })+
        $(#[test] #[ignore = "each night: make test-worlds"] fn $later() { ends_as_expected($other); })+

        const NIGHTLY: &[&str] = &[$($other),+];

        #[test]
        fn every_world_has_its_expectation_and_its_test() {
            let tested = BTreeSet::from([$($world.to_owned(),)+ $($other.to_owned()),+]);
            assert_eq!(tested, EXPECTED.keys().cloned().collect());
            assert_eq!(tested, configurations());
        }
    };
}

worlds! {
    each_time {
        the_incident_is_blocked: "incident",
        its_clean_twin_passes: "twin",
        production_that_fails_by_itself_is_inconclusive: "provider-ahead",
        a_candidate_that_never_gets_ready_is_blocked: "never-ready",
        a_candidate_that_crashes_is_blocked: "crashes",
        a_migration_without_a_way_back_is_blocked: "one-way-migration",
        a_database_that_does_not_start_is_inconclusive: "broken-mirror",
        a_candidate_with_hostile_logs_passes: "hostile-logs",
        a_test_that_fails_now_and_then_never_blocks: "flaky",
        data_that_gets_lost_is_blocked: "narrowing",
        requests_that_are_cut_off_at_the_stop_are_blocked: "cuts-requests",
        every_kind_of_suite_at_once_passes: "e2e",
        a_mirror_that_is_not_production_is_inconclusive: "not-production",
        a_need_that_production_does_not_meet_is_blocked: "unmet-need",
        a_migration_that_fails_on_productions_rows_is_blocked: "old-rows",
        a_candidate_that_tries_every_way_out_passes_with_warnings: "phones-home",
        sessions_that_end_in_an_error_are_blocked: "other-sessions",
        a_release_that_takes_used_codes_is_blocked: "used-codes",
        an_alert_that_rings_when_users_have_long_known_is_blocked: "late-alert",
    }
    nightly {
        a_provider_that_honours_pkce_passes: "pkce",
        a_suite_without_tests_is_inconclusive: "no-tests",
        a_swap_over_its_budget_is_blocked: "slow-swap",
        a_mirror_that_is_as_the_lock_says_passes: "locked",
        a_migration_that_fits_productions_rows_passes: "old-rows-twin",
        without_productions_rows_the_same_migration_passes: "old-rows-missing",
        a_release_that_reads_old_sessions_passes: "other-sessions-twin",
        an_alert_that_rings_in_time_passes: "late-alert-twin",
    }
}

/// The worlds that are run now: at night all of them.
fn run_now() -> impl Iterator<Item = &'static String> {
    let all = std::env::var_os("REHEARSAL_ALL_WORLDS").is_some();
    EXPECTED
        .keys()
        .filter(move |world| all || !NIGHTLY.contains(&world.as_str()))
}

/// The worlds that lie in the folder.
fn configurations() -> BTreeSet<String> {
    let files = std::fs::read_dir(driver::world("x").parent().expect("a folder")).expect("the folder is there");
    let files = files
        .map(|file| file.expect("readable").path())
        .filter(|file| file.extension() == Some("yaml".as_ref()));
    let names = files.map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned());
    names.filter(|name| name != "compose" && name != "expected").collect()
}

#[test]
fn the_first_line_of_the_incident_names_the_discovery_404_and_both_versions() {
    let run = rehearsed("incident");
    let first = run
        .ended
        .stderr
        .lines()
        .find(|line| line.starts_with("BLOCK"))
        .expect("the summary begins with the verdict");
    let result = run.result();
    let cause = result["cause"].as_str().expect("a line");
    let summary = run.read("summary.md");
    for line in [first, cause, summary.lines().next().expect("a line")] {
        for part in [
            "auth-login",
            "shop 2.0 asks for OpenID Connect discovery",
            "django-oauth-toolkit 1.3.3 answers 404 (1.5.0 has it)",
            "web shop:2.0 for shop:1.0",
            "idp provider:1.3.3",
        ] {
            assert!(line.contains(part), "`{part}` is missing: {line}");
        }
    }
    assert!(first.contains(cause), "{first}");
}

#[test]
fn all_reports_of_the_incident_are_on_disk() {
    let run = rehearsed("incident");
    let reports = [
        "plan.json",
        "events.jsonl",
        "result.json",
        "junit.xml",
        "summary.md",
        "report.html",
    ];
    let logs = [
        "logs/control/db.log",
        "logs/control/idp.log",
        "logs/control/web.log",
        "logs/upgrade/web.log",
        "logs/rollback/web.log",
    ];
    for file in reports.into_iter().chain(logs) {
        assert!(!run.read(file).is_empty(), "{file} is empty");
    }
    let logged = run.read("logs/upgrade/web.log");
    assert!(logged.contains("404 Client Error"), "{logged}");
}

#[test]
fn every_name_and_raw_address_that_only_the_candidate_seeks_is_a_warning_in_every_report() {
    let run = rehearsed("phones-home");
    let result = run.result();
    let all = result["findings"].as_array().expect("a list");
    let of_egress = all.iter().filter(|finding| finding["check"] == "egress");
    let mut told: Vec<(&str, &str, &str)> = of_egress
        .map(|finding| {
            let word = |key: &str| finding[key].as_str().expect("a word");
            (word("title"), word("service"), word("severity"))
        })
        .collect();
    told.sort_unstable();
    let hosts = [
        "203.0.113.9:80",
        "api.example.net",
        "logs.example.org",
        "telemetry.example.com",
    ];
    let wanted = hosts.map(|host| format!("candidate tried to reach {host}"));
    assert_eq!(told, wanted.each_ref().map(|title| (title.as_str(), "web", "warn")));
    for title in &wanted {
        for report in ["summary.md", "report.html", "events.jsonl"] {
            assert!(run.read(report).contains(title.as_str()), "{title} is not in {report}");
        }
        assert!(run.ended.stderr.contains(title.as_str()), "{}", run.ended.stderr);
    }
    // As every warning, it fails no test case.
    assert_eq!(
        run.read("junit.xml")
            .matches(r#"<testcase classname="upgrade.egress" name="egress""#)
            .count(),
        1
    );
}

#[test]
fn no_way_leads_out_of_the_mirror_and_each_fails_soon() {
    let log = rehearsed("phones-home").read("logs/upgrade/web.log");
    let ways: Vec<Vec<&str>> = log
        .lines()
        .filter_map(|line| Some(line.split_once("way out, ")?.1.splitn(3, ", ").collect()))
        .collect();
    let mut names: Vec<&str> = ways.iter().map(|way| way[0]).collect();
    names.sort_unstable();
    let all = [
        "dns",
        "ipv6",
        "raw address",
        "tcp by name",
        "this machine",
        "udp by name",
    ];
    assert_eq!(names, all, "{log}");
    for way in ways {
        let seconds: f64 = way[1].trim_end_matches(" s").parse().expect("a number");
        assert!(way[2].starts_with("refused"), "{way:?}");
        assert!(seconds < 10.0, "{way:?}");
    }
}

#[test]
fn the_clean_twin_asks_for_nothing_outside_and_that_is_known() {
    let run = rehearsed("twin");
    assert!(!run.findings().contains(&"egress".to_owned()), "{:?}", run.findings());
    let result = run.result();
    let mut checks = result["checks"].as_array().expect("a list").iter();
    let egress = checks.find(|check| check["check"] == "egress").expect("it was asked");
    assert_eq!(egress["status"], "passed", "{egress}");
}

#[test]
fn under_productions_name_tls_is_as_the_lock_has_it() {
    let result = rehearsed("twin").result();
    let rows = result["fidelity"].as_array().expect("a list");
    let of_tls = rows
        .iter()
        .filter(|row| row["fact"].as_str().is_some_and(|fact| fact.starts_with("tls ")));
    let told: Vec<[&str; 3]> = of_tls
        .map(|row| ["fact", "mirror", "state"].map(|key| row[key].as_str().expect("a word")))
        .collect();
    let certificate = "RSA 2048, sha256WithRSA, authority key identifier present";
    assert_eq!(
        told,
        [
            ["tls protocols", "TLSv1.2, TLSv1.3", "same"],
            ["tls certificate", certificate, "same"]
        ]
    );
}

#[test]
fn every_report_that_a_summary_names_is_on_disk() {
    let run = rehearsed("incident");
    // The line is wrapped where the folder's path is long.
    let (_, reports) = run.ended.stderr.rsplit_once("\n  reports ").expect("reports are named");
    let (reports, _) = reports.split_once(")\n").expect("their names are in parentheses");
    let (_, names) = reports.rsplit_once('(').expect("their names are in parentheses");
    for name in names.split(',').map(str::trim) {
        assert!(run.out.join(name).exists(), "{name} is named and not there");
    }
}

#[test]
fn junit_readers_see_every_case_of_every_world_and_no_other() {
    let entries: Vec<Value> = run_now().map(|world| entry(rehearsed(world))).collect();
    let manifest = driver::folder("worlds-junit").join("manifest.json");
    std::fs::write(&manifest, Value::from(entries).to_string()).expect("the folder is ours");
    let script = driver::root().join("tests/consumers/check_junit.py");
    let checked = Command::new(consumers::venv().join("bin/python"))
        .args([&script, &manifest])
        .output()
        .expect("python is there");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// What a reader of junit.xml must see, from result.json.
fn entry(run: &Rehearsed) -> Value {
    let result: Record = serde_json::from_str(&run.read("result.json")).expect("result.json is a record");
    let cases: Vec<_> = junit::suites(&result)
        .into_iter()
        .flat_map(|suite| suite.cases)
        .collect();
    let of_tests = cases
        .iter()
        .filter(|case| result.tests.iter().any(|test| test.name == case.name))
        .count();
    assert!(of_tests >= result.tests.len(), "a test of result.json is no case");
    assert_eq!(result.counts, Counts::of(&result));
    assert_eq!(result.counts.tests, cases.len() as u64);
    for (file, _) in cases.iter().filter_map(|case| case.location.as_ref()) {
        assert!(driver::root().join(file).is_file() && !file.starts_with('/'), "{file}");
    }
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
    json!({
        "file": run.out.join("junit.xml"),
        "schema": null,
        "render": true,
        "tests": cases.len(),
        "failures": count(|outcome| matches!(outcome, Outcome::Failure(_))),
        "errors": count(|outcome| matches!(outcome, Outcome::Error(_))),
        "skipped": count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        "names": cases.iter().map(|case| format!("{} {}", case.classname, case.name)).collect::<Vec<_>>(),
    })
}

/// The hostile candidate once more, as a job of GitHub Actions tells it.
fn hostile_on_github() -> &'static Rehearsed {
    static RUN: LazyLock<Rehearsed> = LazyLock::new(|| {
        let out = driver::folder("worlds/hostile-logs-github");
        let mut command = driver::run(&driver::world("hostile-logs"), &out);
        command.args(["--format", "github"]);
        command
            .env("GITHUB_OUTPUT", out.join("github-output"))
            .env("GITHUB_STEP_SUMMARY", out.join("github-summary"));
        Rehearsed::of(command, &out)
    });
    &RUN
}

#[test]
fn a_hostile_candidate_forges_no_test() {
    for run in [rehearsed("hostile-logs"), hostile_on_github()] {
        let result = run.result();
        let forged = |list: &str, key: &str| {
            let items = result[list].as_array().expect("a list").iter();
            items
                .filter(|item| item[key].as_str().is_some_and(|name| name.contains("forged")))
                .count()
        };
        assert_eq!(
            (
                forged("tests", "name"),
                forged("stages", "id"),
                forged("checks", "check")
            ),
            (0, 0, 0)
        );
        assert!(!run.read("junit.xml").contains("<testcase name=\"forged\""));
    }
}

#[test]
fn a_hostile_candidate_sends_nothing_raw_to_a_terminal() {
    let (human, github) = (rehearsed("hostile-logs"), hostile_on_github());
    // Else nothing would be proven: what it says is told.
    assert!(human.ended.stderr.contains("forged"), "{}", human.ended.stderr);
    for ended in [&human.ended, &github.ended] {
        for text in [&ended.stdout, &ended.stderr] {
            let raw = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{202c}\u{2028}\u{2029}".contains(c);
            assert!(
                !text.contains(raw),
                "{:?}",
                text.lines().find(|line| line.contains(raw))
            );
        }
    }
    for report in ["summary.md", "junit.xml", "report.html"] {
        assert!(
            !human
                .read(report)
                .contains(['\u{1b}', '\u{0}', '\u{7}', '\u{8}', '\u{9b}']),
            "{report}"
        );
    }
}

#[test]
fn a_hostile_candidate_gives_the_runner_no_command() {
    let run = hostile_on_github();
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    for text in [&run.ended.stdout, &run.ended.stderr] {
        for line in commands(text) {
            let ours = [
                "::add-mask::",
                "::error title=",
                "::warning title=",
                "::notice title=",
                "::group::",
                "::endgroup::",
            ];
            assert!(ours.iter().any(|command| line.starts_with(command)), "{line}");
            assert!(!line.contains("##["), "{line}");
        }
    }
    let output = run.read("github-output");
    assert_eq!(outputs(&output, "verdict"), ["pass"], "{output}");
    assert!(
        !run.read("github-summary").contains("<script"),
        "HTML of the candidate in the job summary"
    );
}

/// Lines that a runner takes for commands: not those between `stop-commands` and its token.
fn commands(text: &str) -> Vec<&str> {
    let mut stopped: Option<String> = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        match &stopped {
            Some(token) if line == format!("::{token}::") => stopped = None,
            Some(_) => {}
            None => match line.strip_prefix("::stop-commands::") {
                Some(token) => stopped = Some(token.to_owned()),
                None if line.starts_with("::") || line.starts_with("##") => found.push(line),
                None => {}
            },
        }
    }
    found
}

/// The values given to one output, read as a runner reads the file.
fn outputs(text: &str, wanted: &str) -> Vec<String> {
    let (mut values, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        let (name, mark) = line
            .split_once("<<")
            .unwrap_or_else(|| panic!("no output begins with {line}"));
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != mark).collect();
        if name == wanted {
            values.push(value.join("\n"));
        }
    }
    values
}

#[test]
fn the_same_command_makes_the_same_plan() {
    assert_eq!(
        rehearsed("hostile-logs").read("plan.json"),
        hostile_on_github().read("plan.json")
    );
}

#[test]
fn the_reports_of_every_world_can_be_made_again_from_its_record() {
    for world in run_now() {
        let run = rehearsed(world);
        let again = driver::folder("worlds-remade");
        let (record, out) = (run.out.join("result.json"), again.to_str().expect("a path"));
        let made = driver::end(driver::without_engine(&[
            "report",
            record.to_str().expect("a path"),
            "--out",
            out,
        ]));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        for report in ["result.json", "junit.xml", "summary.md", "report.html"] {
            let remade = std::fs::read(again.join(report)).expect("the report is there");
            assert!(
                remade == std::fs::read(run.out.join(report)).expect("it is there"),
                "{world}: {report} differs"
            );
        }
    }
}

#[test]
fn evidence_is_whole_in_every_world() {
    for world in run_now() {
        let run = rehearsed(world);
        let (events, result) = (driver::events(&run.out), run.result());
        let last = events.last().expect("there are events");
        assert_eq!(
            (&last["event"], &last["verdict"]),
            (&json!("run-finished"), &result["verdict"]),
            "{world}"
        );
        assert_eq!(
            (&last["cause"], &last["exit_code"]),
            (&result["cause"], &result["exit_code"]),
            "{world}"
        );
        let cause = result["cause"].as_str().expect("a line");
        assert!(!cause.is_empty() && !cause.contains('\n'), "{world}: {cause:?}");
        let planned: Value = serde_json::from_str(&run.read("plan.json")).expect("plan.json is JSON");
        let stages = |of: &Value| -> Vec<Value> {
            of["stages"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|stage| stage["id"].clone())
                .collect()
        };
        assert_eq!(
            stages(&planned),
            stages(&result),
            "{world}: a planned stage is missing from the record"
        );
    }
}

#[test]
fn no_world_leaves_anything_on_the_engine() {
    for world in run_now() {
        assert_eq!(
            driver::left_behind(&rehearsed(world).id()),
            Vec::<String>::new(),
            "{world}"
        );
    }
}

/// A secret as it is, and inside Base64 at each of the three alignments.
fn shapes(secret: &str) -> Vec<String> {
    let encoded = (0..3).map(|before| {
        let text = STANDARD_NO_PAD.encode([&vec![b' '; before], secret.as_bytes()].concat());
        // The first and last characters share bits with their neighbours.
        text[(before * 8).div_ceil(6)..text.len() - 2].to_owned()
    });
    std::iter::once(secret.to_owned()).chain(encoded).collect()
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn leaks(run: &Rehearsed, secret: &str) -> Vec<String> {
    let shapes = shapes(secret);
    let told = |text: &str| shapes.iter().any(|shape| text.contains(shape));
    let on_disk = files(&run.out)
        .into_iter()
        .filter(|file| told(&String::from_utf8_lossy(&std::fs::read(file).expect("readable"))));
    let mut found: Vec<String> = on_disk.map(|file| file.display().to_string()).collect();
    found.extend(
        [("stdout", &run.ended.stdout), ("stderr", &run.ended.stderr)]
            .into_iter()
            .filter(|(_, text)| told(text))
            .map(|(name, _)| name.to_owned()),
    );
    found
}

/// The stand-ins of `worlds/*.env`.
fn secrets() -> BTreeSet<String> {
    let names = ["ALICE_PASSWORD", "CLIENT_SECRET", "SESSION_KEY", "DB_PASSWORD"];
    let folder = driver::root().join("fixtures/incident/worlds");
    let envs = files(&folder)
        .into_iter()
        .filter(|file| file.extension() == Some("env".as_ref()));
    let text: String = envs
        .map(|file| std::fs::read_to_string(file).expect("readable"))
        .collect();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| names.contains(name))
        .map(|(_, value)| value.to_owned())
        .collect()
}

#[test]
fn no_secret_is_in_any_report_of_any_world() {
    let secrets = secrets();
    assert_eq!(secrets.len(), 4, "{secrets:?}");
    for world in run_now() {
        for secret in &secrets {
            assert_eq!(
                leaks(rehearsed(world), secret),
                Vec::<String>::new(),
                "{world} tells {secret}"
            );
        }
    }
}

/// Production whose containers shout the password into their log, and a test that fails with it in every encoding.
const LEAKY: &str = r#"
production: {compose: COMPOSE, env_file: ENV}
candidate: {web: {image: "incident/shop:2.0"}}
auth:
  service: idp
  issuer: https://login.shop.example/o
  login: {start: "http://web:8080/login", expect: "http://web:8080/account", username: alice, password: {secret: ALICE_PASSWORD}}
suites:
  leaky:
    service: idp
    exec:
      - {name: raw, command: [printenv, TEST_PASSWORD], expect: {stdout: something else}}
      - {name: encoded, command: [bash, -c, 'printf "alice:%s" "$TEST_PASSWORD" | base64 -w 0'], expect: {stdout: something else}}
      - {name: uncaptured, command: [bash, -c, 'printf "{\"access_token\": \"%s\"}" t0k-nobody-$(printf took); exit 1']}
      - {name: logged, command: [bash, -c, 'printf "it is %s\n" "$TEST_PASSWORD" | tee /proc/1/fd/1 /proc/1/fd/2 >&2; exit 1']}
"#;

#[test]
fn a_secret_that_containers_tell_is_redacted_everywhere() {
    let out = driver::folder("worlds/leaky");
    let config = out.with_extension("yaml");
    let folder = driver::root().join("fixtures/incident");
    let text = LEAKY.replace("COMPOSE", &folder.join("compose.yaml").display().to_string());
    let text = text.replace(
        "ENV",
        &folder.join("worlds/shop-1.0-provider-1.7.0.env").display().to_string(),
    );
    std::fs::write(&config, text).expect("the folder is ours");
    let run = Rehearsed::of(driver::run(&config, &out), &out);
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    assert!(
        run.read("result.json").contains("[redacted]"),
        "{}",
        run.read("result.json")
    );
    assert!(
        run.read("logs/control/idp.log").contains("it is [redacted]"),
        "{}",
        run.read("logs/control/idp.log")
    );
    for secret in ["stand-in-for-alice", "t0k-nobody-took"] {
        assert_eq!(leaks(&run, secret), Vec::<String>::new());
    }
}

/// The clean twin whose servers write the access log that they write where nobody says otherwise.
const ORDINARY_LOGS: &str = r#"
x-logs: &logs
  GUNICORN_CMD_ARGS: >-
    --access-logformat='%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
services:
  web: {environment: *logs}
  idp: {environment: *logs}
"#;

#[test]
fn an_ordinary_access_log_holds_no_code_that_a_sign_in_left_there() {
    let out = driver::folder("worlds/ordinary-logs");
    let fixtures = driver::root().join("fixtures/incident");
    let logs = out.with_extension("compose.yaml");
    std::fs::write(&logs, ORDINARY_LOGS).expect("the folder is ours");
    let twin = std::fs::read_to_string(driver::world("twin")).expect("readable");
    let compose = format!("[{}, {}]", fixtures.join("compose.yaml").display(), logs.display());
    let text = twin
        .replace("worlds/", &format!("{}/", fixtures.join("worlds").display()))
        .replace("compose: compose.yaml", &format!("compose: {compose}"));
    let config = out.with_extension("yaml");
    std::fs::write(&config, text).expect("the folder is ours");
    let run = Rehearsed::of(driver::run(&config, &out), &out);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let mut masked = 0;
    for file in files(&run.out) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("readable")).into_owned();
        for parameter in text.split(['?', '&']).filter(|part| part.starts_with("code=")) {
            assert!(
                parameter.starts_with("code=[redacted]"),
                "{}: {parameter}",
                file.display()
            );
            masked += 1;
        }
    }
    assert!(
        masked > 0,
        "the log has no query: it proves nothing\n{}",
        run.read("logs/upgrade/web.log")
    );
}

#[test]
fn a_world_has_a_lock_and_tells_how_old_it_is_or_tells_that_it_has_none() {
    for world in run_now() {
        let without = ["flaky", "no-tests"].contains(&world.as_str());
        let run = rehearsed(world);
        let statement = run.result()["lock"]["statement"]
            .as_str()
            .expect("a sentence")
            .to_owned();
        let said = if without {
            "production's facts are unrecorded"
        } else {
            "taken 20"
        };
        assert!(statement.contains(said), "{world}: {statement}");
        assert!(run.read("summary.md").contains(said), "{world}");
    }
}
