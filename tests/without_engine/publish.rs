//! What GitHub is told, against a server that judges every request by GitHub's own description of it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::consumers;
use crate::driver::{self, Ended, end, without_engine};
use crate::github::{Called, Github, Instead, REPOSITORY, TOKEN, refusal};
use crate::samples;
use rehearsal::publish::github::workflow::Workflow;
use rehearsal::record::v1::{Record, Test};
use rehearsal::record::verdict::Verdict;

const HEAD: &str = "1111111111111111111111111111111111111111";
const OWN: u64 = 4;

/// A job with a record, on GitHub as it is described.
struct Job<'a> {
    github: &'a Github,
    folder: tempfile::TempDir,
    event: Value,
}

impl<'a> Job<'a> {
    fn of(github: &'a Github, event: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { github, folder, event }
    }

    fn on_pull_request(github: &'a Github) -> Self {
        Self::of(github, json!({"pull_request": {"number": 3, "head": {"sha": HEAD}}}))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("in a folder")).expect("made");
        std::fs::write(&file, text).expect("the folder is ours");
        file
    }

    /// A command in the job.
    fn command(&self, arguments: &[&str]) -> Command {
        let event = self.write("event.json", &self.event.to_string());
        let mut command = without_engine(arguments);
        command
            .current_dir(self.folder.path())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_API_URL", self.github.api())
            .env("GITHUB_REPOSITORY", REPOSITORY)
            .env("GITHUB_SHA", "2222222222222222222222222222222222222222")
            .env("GITHUB_RUN_ID", "77")
            .env("GITHUB_EVENT_PATH", event)
            .env("REHEARSAL_GITHUB_TOKEN", TOKEN);
        command
    }

    /// Publishes a record; whatever came of it, the command ended well.
    fn publish(&self, result: &Record, arguments: &[&str]) -> Ended {
        let record = self.write("result.json", &serde_json::to_string(result).expect("JSON"));
        let record = record.to_str().expect("a path");
        let ended = end(self.command(&[&["publish", record], arguments].concat()));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}

fn inconclusive() -> Record {
    let mut result = samples::block();
    (result.verdict, result.exit_code) = (Verdict::Inconclusive.into(), 3);
    result
}

/// More failures than one request may hold.
fn many(failures: usize) -> Record {
    let mut result = samples::block();
    let failed = result.tests[5].clone();
    result.findings.clear();
    result.tests = (0..failures)
        .map(|number| Test {
            name: format!("item {number}"),
            ..failed.clone()
        })
        .collect();
    result
}

fn sent(called: &Called) -> usize {
    called.body["output"]["annotations"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_server_refuses_what_github_would() {
    let annotation =
        json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"});
    let output = |count: usize, summary: usize| json!({"output": {"title": "t", "summary": "x".repeat(summary), "annotations": vec![annotation.clone(); count]}});
    let update = |body: &Value| refusal("PATCH", "/repos/acme/shop/check-runs/4", body);
    assert_eq!(update(&output(50, 65_535)), None);
    assert!(update(&output(51, 1)).is_some() && update(&output(1, 65_536)).is_some());
    assert!(
        update(&json!({"output": {"title": "t"}})).is_some(),
        "a summary is required"
    );
    assert!(
        update(&json!({"conclusions": "success"})).is_some(),
        "a field that nobody knows"
    );
    let completed = json!({"name": "x", "head_sha": HEAD, "status": "completed"});
    assert!(refusal("POST", "/repos/acme/shop/check-runs", &completed).is_some());
    assert!(refusal("DELETE", "/repos/acme/shop/check-runs/4", &Value::Null).is_some());
    let gate = |state: &str| json!({"environment_name": "production", "state": state, "comment": "c"});
    let rule = "/repos/acme/shop/actions/runs/4/deployment_protection_rule";
    assert_eq!(refusal("POST", rule, &gate("approved")), None);
    assert!(refusal("POST", rule, &gate("maybe")).is_some());
}

#[test]
fn the_jobs_own_check_run_gets_what_was_learned_and_never_a_status_or_a_conclusion() {
    let github = Github::new();
    github.state().add_check_run(OWN);
    let job = Job::on_pull_request(&github);
    let own = OWN.to_string();
    job.publish(&many(120), &["--check-run", &own]);
    let changes = github.called("PATCH", "/check-runs/4");
    assert_eq!(changes.iter().map(sent).collect::<Vec<_>>(), [50, 50, 20]);
    for change in &changes {
        assert!(
            change.body["status"].is_null() && change.body["conclusion"].is_null(),
            "{change:?}"
        );
        let output = &change.body["output"];
        assert!(
            output["title"]
                .as_str()
                .expect("a title")
                .starts_with("BLOCK: sign-in broke")
        );
        assert!(
            output["summary"]
                .as_str()
                .expect("a summary")
                .starts_with("## BLOCK: sign-in broke")
        );
    }
    let first = &changes[0].body["output"]["annotations"][0];
    assert_eq!(
        (&first["path"], &first["start_line"]),
        (&json!("smoke/shop.hurl"), &json!(9))
    );
    assert_eq!(first["annotation_level"], "failure");
    assert!(github.called("POST", "/check-runs").is_empty());
    github.is_as_described();
}

#[test]
fn a_record_that_is_published_again_writes_nothing_twice() {
    let github = Github::new();
    github.state().add_check_run(OWN);
    let job = Job::on_pull_request(&github);
    let arguments = ["--check-run", "4", "--environment", "rehearsal"];
    job.publish(&samples::block(), &arguments);
    let there = |github: &Github| {
        let state = github.state();
        let counts = [&state.check_runs, &state.comments, &state.statuses, &state.deployments];
        let more = [state.annotations.len(), state.deployment_statuses.len()];
        [counts.map(Vec::len).to_vec(), more.to_vec()].concat()
    };
    let first = there(&github);
    assert_eq!(first, [1, 1, 1, 1, 4, 1]);
    job.publish(&samples::block(), &arguments);
    assert_eq!(there(&github), first);
    github.is_as_described();
}

#[test]
fn without_a_check_run_of_the_job_one_of_our_own_is_completed_and_only_a_pass_is_a_success() {
    for (result, conclusion) in [
        (samples::pass(), "success"),
        (samples::block(), "failure"),
        (inconclusive(), "failure"),
    ] {
        let github = Github::new();
        let job = Job::on_pull_request(&github);
        job.publish(&result, &[]);
        job.publish(&result, &[]);
        let state = github.state();
        assert_eq!(state.check_runs.len(), 1);
        let run = &state.check_runs[0];
        assert_eq!((&run["name"], &run["head_sha"]), (&json!("rehearsal"), &json!(HEAD)));
        assert_eq!(
            (&run["status"], &run["conclusion"]),
            (&json!("completed"), &json!(conclusion))
        );
        assert_eq!(run["details_url"], "https://github.com/acme/shop/actions/runs/77");
        drop(state);
        github.is_as_described();
    }
}

#[test]
fn a_check_run_of_our_own_gets_all_of_its_annotations_and_stays_completed() {
    let github = Github::new();
    Job::on_pull_request(&github).publish(&many(70), &[]);
    assert_eq!(sent(&github.called("POST", "/check-runs")[0]), 50);
    let state = github.state();
    assert_eq!(
        (state.annotations.len(), &state.check_runs[0]["status"]),
        (70, &json!("completed"))
    );
    drop(state);
    github.is_as_described();
}

#[test]
fn one_comment_is_made_when_it_is_not_green_and_turned_green_later() {
    let github = Github::new();
    let job = Job::on_pull_request(&github);
    job.publish(&samples::pass(), &[]);
    assert!(github.state().comments.is_empty(), "there was nothing to say");
    job.publish(&samples::block(), &[]);
    let mut later = samples::pass();
    later.started = "2026-11-22T10:00:00Z".to_owned();
    job.publish(&later, &[]);
    let state = github.state();
    assert_eq!(state.comments.len(), 1);
    let body = state.comments[0]["body"].as_str().expect("a body");
    assert!(body.contains("\n## PASS: "), "{body}");
    assert!(body.contains("2 last runs") && body.contains("| BLOCK | "), "{body}");
    drop(state);
    github.is_as_described();
}

#[test]
fn somebody_elses_comment_is_never_changed_whatever_it_begins_with() {
    let github = Github::new();
    let forged = "<!-- rehearsal: rehearsal -->\nmine";
    github.state().add_comment(3, "mallory", forged);
    (0..150).for_each(|_| github.state().add_comment(3, "alice", "a word"));
    let job = Job::on_pull_request(&github);
    job.publish(&samples::block(), &[]);
    job.publish(&samples::pass(), &[]);
    let state = github.state();
    assert_eq!(state.comments.len(), 152, "the list is read to its end");
    assert_eq!(state.comments[0]["body"], forged);
    drop(state);
    github.is_as_described();
}

#[test]
fn a_token_of_somebody_else_is_told_to_say_whose_it_is() {
    let github = Github::new();
    let job = Job::on_pull_request(&github);
    let said = job.publish(&samples::block(), &["--login", "my-app[bot]"]);
    assert!(
        said.stderr
            .contains("say whose the token is with `--login github-actions[bot]`"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_commit_status_says_the_verdict_in_a_line() {
    for (result, state) in [
        (samples::pass(), "success"),
        (samples::block(), "failure"),
        (inconclusive(), "error"),
    ] {
        let github = Github::new();
        Job::on_pull_request(&github).publish(&result, &[]);
        let made = github.called("POST", "/statuses/");
        assert_eq!(made[0].path, format!("/repos/{REPOSITORY}/statuses/{HEAD}"));
        let body = &made[0].body;
        assert_eq!((&body["state"], &body["context"]), (&json!(state), &json!("rehearsal")));
        assert!(body["description"].as_str().expect("a line").len() <= 140);
        github.is_as_described();
    }
}

#[test]
fn a_deployment_is_by_commit_also_in_a_merge_queue_and_only_where_an_environment_is_named() {
    let github = Github::new();
    let reference = "refs/heads/gh-readonly-queue/main/pr-3-x";
    let job = Job::of(
        &github,
        json!({"merge_group": {"head_sha": HEAD, "head_ref": reference}}),
    );
    job.publish(&samples::block(), &[]);
    assert!(github.called("POST", "/deployments").is_empty());
    job.publish(&samples::block(), &["--environment", "rehearsal"]);
    let made = &github.called("POST", "/deployments")[0].body;
    assert_eq!((&made["ref"], &made["required_contexts"]), (&json!(HEAD), &json!([])));
    assert_eq!(
        (&made["auto_merge"], &made["production_environment"]),
        (&json!(false), &json!(false))
    );
    let status = &github.called("POST", "/statuses").pop().expect("a status").body;
    assert_eq!(
        (&status["state"], &status["auto_inactive"]),
        (&json!("failure"), &json!(false))
    );
    github.is_as_described();
}

fn refused(method: &'static str, path: &'static str, status: u16, times: usize) -> Instead {
    Instead {
        method,
        path,
        status,
        headers: Vec::new(),
        times,
    }
}

#[test]
fn what_the_token_may_not_is_said_in_one_note_and_fails_nothing() {
    for status in [403, 404] {
        let github = Github::new();
        github.state().instead = ["GET", "POST", "PATCH"]
            .map(|method| refused(method, "", status, 100))
            .to_vec();
        let said = Job::on_pull_request(&github).publish(&samples::block(), &["--environment", "rehearsal"]);
        let notes: Vec<&str> = said.stderr.lines().filter(|line| line.starts_with("note: ")).collect();
        assert_eq!(notes.len(), 1, "{}", said.stderr);
        for permission in [
            "checks: write",
            "statuses: write",
            "deployments: write",
            "pull-requests: write",
        ] {
            assert!(notes[0].contains(permission), "{}", notes[0]);
        }
    }
}

#[test]
fn each_step_is_taken_where_the_token_may_whatever_it_may_not_elsewhere() {
    let github = Github::new();
    github.state().instead = vec![
        refused("POST", "/check-runs", 403, 100),
        refused("POST", "/statuses/", 403, 100),
    ];
    let said = Job::on_pull_request(&github).publish(&samples::block(), &[]);
    assert!(
        said.stderr.contains("GitHub was told by the comment"),
        "{}",
        said.stderr
    );
    assert_eq!(github.state().comments.len(), 1);
    github.is_as_described();
}

#[test]
fn what_is_read_is_asked_again_and_what_is_written_goes_out_once() {
    let github = Github::new();
    github.state().instead = vec![
        refused("GET", "/check-runs", 502, 1),
        refused("POST", "/issues/3/comments", 502, 100),
    ];
    let said = Job::on_pull_request(&github).publish(&samples::block(), &[]);
    assert_eq!(github.called("GET", "/check-runs").len(), 2);
    assert_eq!(github.called("POST", "/check-runs").len(), 1);
    assert_eq!(github.called("POST", "/issues/3/comments").len(), 1);
    assert!(
        said.stderr
            .contains("note: the comment could not be published: GitHub failed: 502"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_rate_limit_is_waited_for_by_what_reads_and_said_of_what_writes() {
    let github = Github::new();
    let limited = |method, path, wait| Instead {
        headers: vec![("retry-after", wait), ("x-ratelimit-remaining", "0")],
        ..refused(method, path, 403, 1)
    };
    github.state().instead = vec![limited("GET", "/comments", "0"), limited("POST", "/statuses/", "0")];
    let said = Job::on_pull_request(&github).publish(&samples::block(), &[]);
    assert_eq!(github.state().comments.len(), 1);
    assert_eq!(github.called("POST", "/statuses/").len(), 1);
    assert!(
        said.stderr
            .contains("the commit status could not be published: GitHub's rate limit"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains("statuses: write"), "{}", said.stderr);
}

#[test]
fn github_enterprise_server_is_spoken_to_at_its_own_address() {
    let github = Github::below("/api/v3");
    let job = Job::on_pull_request(&github);
    let record = job.write("result.json", &serde_json::to_string(&samples::block()).expect("JSON"));
    let mut command = job.command(&["publish", record.to_str().expect("a path")]);
    command.env("GITHUB_SERVER_URL", "https://github.acme.example");
    let ended = end(command);
    assert!(
        ended
            .stderr
            .contains("told by the check run, the commit status, the comment"),
        "{}",
        ended.stderr
    );
    let link = github.state().check_runs[0]["details_url"].clone();
    assert_eq!(link, "https://github.acme.example/acme/shop/actions/runs/77");
    github.is_as_described();
}

fn other_workflow() -> Value {
    json!({"workflow_run": {"id": 9, "head_sha": HEAD, "head_repository": {"full_name": "fork/shop"}}})
}

#[test]
fn after_another_workflow_only_the_pull_request_of_its_commit_is_commented_and_nothing_decides() {
    let github = Github::new();
    github.state().add_pull(5, HEAD, "another/shop");
    github.state().add_pull(6, &"3".repeat(40), "fork/shop");
    github.state().add_pull(7, HEAD, "fork/shop");
    let job = Job::of(&github, other_workflow());
    let mut forged = samples::pass();
    forged.cause = "all is well".to_owned();
    job.publish(&forged, &["--environment", "production", "--check-run", "4"]);
    job.publish(&samples::block(), &["--environment", "production", "--check-run", "4"]);
    let written: Vec<String> = github
        .state()
        .called
        .iter()
        .filter(|one| one.method != "GET")
        .map(|one| one.path.clone())
        .collect();
    assert_eq!(written, ["/repos/acme/shop/issues/7/comments"]);
    let state = github.state();
    let body = state.comments[0]["body"].as_str().expect("a body");
    assert!(body.contains("/acme/shop/actions/runs/9)"), "{body}");
    assert!(body.contains("Its check decides, not this comment."), "{body}");
    drop(state);
    github.is_as_described();
}

#[test]
fn a_commit_without_an_open_pull_request_is_said_and_nothing_is_written() {
    let github = Github::new();
    let said = Job::of(&github, other_workflow()).publish(&samples::block(), &[]);
    assert!(said.stderr.contains("no open pull request has"), "{}", said.stderr);
    assert_eq!(github.written(), 0);
}

fn gate_payload(host: &str) -> String {
    json!({
        "action": "requested", "environment": "production", "event": "push",
        "deployment_callback_url": format!("{host}/repos/{REPOSITORY}/actions/runs/42/deployment_protection_rule"),
        "repository": {"full_name": REPOSITORY},
    })
    .to_string()
}

#[test]
fn a_protection_rule_is_answered_and_only_a_pass_opens_it() {
    for (result, state) in [
        (samples::pass(), json!("approved")),
        (samples::block(), json!("rejected")),
        (inconclusive(), Value::Null),
    ] {
        let github = Github::new();
        let job = Job::of(&github, json!({}));
        let payload = job.write("gate.json", &gate_payload(&github.api()));
        let said = job.publish(&result, &["--gate", payload.to_str().expect("a path")]);
        assert!(
            said.stderr.contains("told by the answer to its protection rule"),
            "{}",
            said.stderr
        );
        let answers = github.called("POST", "/deployment_protection_rule");
        assert_eq!((answers.len(), github.written()), (1, 1));
        assert_eq!(
            (&answers[0].body["state"], &answers[0].body["environment_name"]),
            (&state, &json!("production"))
        );
        assert!(answers[0].path.contains("/actions/runs/42/"));
        github.is_as_described();
    }
}

#[test]
fn a_payload_that_names_another_host_gets_no_token() {
    let github = Github::new();
    let job = Job::of(&github, json!({}));
    job.write("result.json", &serde_json::to_string(&samples::pass()).expect("JSON"));
    for host in ["https://evil.example", &format!("{}.evil.example", github.api())] {
        job.write("gate.json", &gate_payload(host));
        let ended = end(job.command(&["publish", "result.json", "--gate", "gate.json"]));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(github.state().called.is_empty());
    }
}

#[test]
fn without_a_token_a_repository_or_a_record_the_way_out_is_said() {
    let github = Github::new();
    let job = Job::on_pull_request(&github);
    job.write("result.json", &serde_json::to_string(&samples::pass()).expect("JSON"));
    let without = |name: &str, record: &str| {
        let mut command = job.command(&["publish", record]);
        command.env_remove(name);
        let ended = end(command);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        ended.stderr
    };
    assert!(without("REHEARSAL_GITHUB_TOKEN", "result.json").contains("set REHEARSAL_GITHUB_TOKEN"));
    assert!(without("GITHUB_REPOSITORY", "result.json").contains("set it to OWNER/NAME"));
    assert!(without("HOME", "nothing.json").contains("cannot read `nothing.json`"));
    assert_eq!(github.written(), 0);
}

#[test]
fn the_token_is_in_nothing_that_is_published_or_said() {
    let github = Github::new();
    let said = Job::on_pull_request(&github).publish(&samples::hostile_with(&format!("x {TOKEN} y")), &[]);
    let told = format!("{:?}{}{}", github.state().called, said.stdout, said.stderr);
    assert!(!told.contains(TOKEN), "{told}");
}

#[test]
fn no_compose_file_sees_the_token() {
    let github = Github::new();
    let job = Job::on_pull_request(&github);
    let compose = "services: {web: {image: x, environment: {SEEN: \"${REHEARSAL_GITHUB_TOKEN:-nothing}\"}}}";
    job.write("compose.yaml", compose);
    let ended = end(job.command(&["config", "--compose", "compose.yaml"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("SEEN: nothing"), "{}", ended.stdout);
}

#[test]
fn hostile_texts_are_below_every_limit_and_githubs_renderer_finds_nothing_in_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let bodies = |name: &str, text: &str| {
        let github = Github::new();
        Job::on_pull_request(&github).publish(&samples::hostile_with(text), &[]);
        github.is_as_described();
        let state = github.state();
        let comment = state.comments[0]["body"].as_str().expect("a body").to_owned();
        let summary = state.check_runs[0]["output"]["summary"]
            .as_str()
            .expect("a summary")
            .to_owned();
        std::fs::write(dir.path().join(name), format!("{comment}\n\n{summary}")).expect("the folder is ours");
    };
    bodies("plain.md", "x");
    for (number, nasty) in samples::NASTY.iter().enumerate() {
        bodies(&format!("{number}.md"), nasty);
    }
    consumers::renders_alike(dir.path());
}

#[test]
fn our_own_examples_lose_no_verdict() {
    for (name, before_merge) in [("rehearsal.yml", true), ("shards.yml", true), ("deploy.yml", false)] {
        let file = driver::root().join(".github/examples").join(name);
        let text = std::fs::read_to_string(file).expect("it is there");
        let workflow = Workflow::parse(name, text).expect("YAML");
        let gates = workflow.gates();
        assert_eq!(gates.len(), 1, "{name}");
        assert!(gates[0].hazards().is_empty(), "{name}: {:?}", gates[0].hazards());
        assert_eq!(workflow.is_started_by("merge_group"), before_merge, "{name}");
    }
}

const WORKFLOW: &str = "\
on: [pull_request, merge_group]
jobs:
  rehearsal:
    runs-on: ubuntu-latest
    steps:
      - run: rehearsal run
";

fn doctor(job: &Job<'_>) -> Vec<Value> {
    let ended = end(job.command(&["doctor", "--format", "json"]));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr));
    report["lines"].as_array().expect("lines").clone()
}

fn line<'a>(lines: &'a [Value], about: &str) -> &'a Value {
    let mut lines = lines.iter().filter(|line| line["about"] == about);
    lines.next().unwrap_or_else(|| panic!("nothing about {about}"))
}

#[test]
fn doctor_says_whether_the_check_is_required_on_the_branch_and_heard_by_a_merge_queue() {
    type Checks = &'static [&'static str];
    let cases: [(Checks, Option<Checks>, &str); 4] = [
        (&["rehearsal"], None, "fine"),
        (&["other"], None, "note"),
        (&[], Some(&["rehearsal"]), "fine"),
        (&["other"], Some(&[]), "wrong"),
    ];
    for (rules, protection, state) in cases {
        let github = Github::new();
        github.state().require(rules);
        github.state().protection = protection.map(|contexts| {
            json!({"url": "https://api.github.com/x", "contexts": contexts, "checks": [], "strict": false, "contexts_url": "https://api.github.com/y"})
        });
        let job = Job::on_pull_request(&github);
        job.write(".github/workflows/rehearsal.yml", WORKFLOW);
        let lines = doctor(&job);
        assert_eq!(line(&lines, "required check")["state"], state, "{lines:#?}");
        assert_eq!(line(&lines, "merge queue")["state"], "fine");
        github.is_as_described();
    }
}

#[test]
fn doctor_finds_a_job_that_can_be_skipped_a_pipe_and_a_missing_trigger() {
    let github = Github::new();
    let job = Job::on_pull_request(&github);
    let workflow = WORKFLOW
        .replace("[pull_request, merge_group]", "pull_request")
        .replace("    runs-on", "    needs: build\n    runs-on")
        .replace("rehearsal run", "rehearsal run | tee log");
    job.write(".github/workflows/rehearsal.yml", &workflow);
    let lines = doctor(&job);
    let seen: Vec<&str> = lines
        .iter()
        .filter(|line| line["about"] == "workflow" && line["state"] == "wrong")
        .filter_map(|line| line["seen"].as_str())
        .collect();
    assert!(
        seen.iter()
            .any(|seen| seen.starts_with(".github/workflows/rehearsal.yml:7: ") && seen.contains("piped")),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .any(|seen| seen.contains("`needs`") && seen.contains("skipped")),
        "{seen:?}"
    );
    assert_eq!(line(&lines, "merge queue")["state"], "note");
}

#[test]
fn doctor_that_may_not_ask_could_not_tell() {
    let github = Github::new();
    github.state().instead = vec![refused("GET", "/rules/branches/main", 403, 100)];
    let job = Job::on_pull_request(&github);
    job.write(".github/workflows/rehearsal.yml", WORKFLOW);
    let lines = doctor(&job);
    let required = line(&lines, "required check");
    assert_eq!(required["state"], "note");
    assert!(
        required["seen"].as_str().expect("words").contains("could not be told"),
        "{required}"
    );
}

#[test]
fn a_run_in_a_job_tells_github_itself_and_keeps_its_verdict() {
    for status in [None, Some(403)] {
        let github = Github::new();
        if let Some(status) = status {
            github.state().instead = vec![refused("POST", "", status, 100), refused("GET", "", status, 100)];
        }
        let job = Job::on_pull_request(&github);
        let workflow = WORKFLOW.replace("rehearsal run", "rehearsal run | tee log");
        job.write(".github/workflows/rehearsal.yml", &workflow);
        let config = driver::world("twin");
        let mut command = job.command(&["run", "--config", config.to_str().expect("a path"), "--out", "out"]);
        command
            .env("GITHUB_WORKSPACE", job.folder.path())
            .env("GITHUB_JOB", "rehearsal")
            .env(
                "GITHUB_WORKFLOW_REF",
                "acme/shop/.github/workflows/rehearsal.yml@refs/pull/3/merge",
            );
        let ended = end(command);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        let warning = "::warning file=.github/workflows/rehearsal.yml,line=6,col=9,title=Rehearsal::the output of `rehearsal run` is piped";
        assert!(ended.stdout.contains(warning), "{}", ended.stdout);
        let summary = std::fs::read_to_string(job.folder.path().join("out/summary.md")).expect("written");
        assert!(summary.contains("pipefail"), "{summary}");
        let told = github.state().check_runs.len();
        assert_eq!(told, usize::from(status.is_none()));
        let by_commands = ended
            .stdout
            .lines()
            .filter(|line| line.starts_with("::warning title="))
            .count();
        assert_eq!(by_commands > 0, status.is_some(), "{}", ended.stdout);
        github.is_as_described();
    }
}
