//! What the commands do without an engine, or with a record only.

use std::path::{Path, PathBuf};

use crate::driver::{self, Rehearsed, end, rehearsal, without_engine};
use rehearsal::check::catalog::CATALOG;
use rehearsal::yaml::span::Source;
use rehearsal::yaml::tree::{self, Node, Value as Yaml};
use serde_json::{Value, json};

/// The configurations of the incident's worlds.
fn worlds() -> Vec<PathBuf> {
    let folder = driver::root().join("fixtures/incident");
    let files = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|file| file.expect("readable").path());
    let is_world = |file: &PathBuf| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        file.extension() == Some("yaml".as_ref()) && !["compose", "expected"].contains(&stem)
    };
    let mut worlds: Vec<PathBuf> = files.filter(is_world).collect();
    worlds.sort();
    worlds
}

fn json_of(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Int(value) => json!(value),
        Yaml::Float(value) => json!(value),
        Yaml::Str(value) => json!(value),
        Yaml::Seq(items) => items.iter().map(json_of).collect(),
        Yaml::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), json_of(&entry.node)))
                .collect(),
        ),
    }
}

fn read_yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("readable");
    json_of(
        &tree::parse(std::sync::Arc::new(Source {
            path: path.to_owned(),
            text,
        }))
        .expect("YAML"),
    )
}

#[test]
fn the_printed_schema_accepts_every_world() {
    let printed = end(without_engine(&["schema"]));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let schema: Value = serde_json::from_str(&printed.stdout).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    assert!(worlds().len() >= 14);
    for world in worlds() {
        let errors: Vec<String> = validator
            .iter_errors(&read_yaml(&world))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", world.display());
    }
    assert!(
        !validator.is_valid(&json!({"candiate": {}})),
        "a schema that accepts everything proves nothing"
    );
}

#[test]
fn a_plan_needs_no_engine_and_is_always_the_same() {
    let plan = || end(without_engine(&["plan", "--config", "fixtures/incident/twin.yaml"]));
    let first = plan();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    insta::assert_snapshot!(
        first
            .stdout
            .replace(driver::root().to_str().expect("a path"), "REPOSITORY")
    );
    for _ in 0..20 {
        assert_eq!(plan().stdout, first.stdout);
    }
}

#[test]
fn every_world_can_be_planned() {
    for world in worlds() {
        let planned = end(without_engine(&[
            "plan",
            "--json",
            "--config",
            world.to_str().expect("a path"),
        ]));
        assert_eq!(planned.code, Some(0), "{}: {}", world.display(), planned.stderr);
        let plan: Value = serde_json::from_str(&planned.stdout).expect("the plan is JSON");
        assert_eq!(plan["schema"], "rehearsal/v1");
    }
}

#[test]
fn a_run_without_an_engine_is_inconclusive_and_says_so_in_every_report() {
    let out = driver::folder("commands/no-engine");
    let mut command = driver::run(&driver::world("twin"), &out);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = Rehearsed {
        ended: end(command),
        out,
    };
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    let result = run.result();
    assert_eq!(
        (&result["verdict"], &result["exit_code"]),
        (&json!("inconclusive"), &json!(3))
    );
    let cause = result["cause"].as_str().expect("a line");
    assert!(cause.contains("/nowhere/docker.sock"), "{cause}");
    assert!(run.read("summary.md").starts_with("## INCONCLUSIVE"));
    assert!(
        run.read("junit.xml").contains("type=\"NotRun\""),
        "{}",
        run.read("junit.xml")
    );
}

#[test]
fn reports_can_be_made_again_byte_for_byte() {
    let out = driver::folder("commands/again");
    let mut command = driver::run(&driver::world("twin"), &out);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    end(command);
    let again = driver::folder("commands/again-remade");
    let (record, folder) = (out.join("result.json"), again.to_str().expect("a path"));
    let made = end(without_engine(&[
        "report",
        record.to_str().expect("a path"),
        "--out",
        folder,
    ]));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    for report in ["result.json", "junit.xml", "summary.md", "report.html"] {
        let read = |folder: &Path| std::fs::read(folder.join(report)).expect("the report is there");
        assert!(read(&out) == read(&again), "{report} differs");
    }
}

/// A folder with a record in it.
fn recorded(name: &str) -> PathBuf {
    let folder = driver::folder(name);
    std::fs::write(folder.join("result.json"), include_str!("../samples/block.json")).expect("the folder is ours");
    folder
}

#[test]
fn a_report_is_opened_by_what_is_there_and_says_by_which_command() {
    let folder = recorded("commands/open");
    let record = folder.to_str().expect("a path");
    let program = |name: &str, exit: u8| {
        let file = folder.join(name);
        let text = format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > '{}'\nexit {exit}\n",
            folder.join("opened").display()
        );
        std::fs::write(&file, text).expect("the folder is ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, mode).expect("it is ours");
        file
    };
    // The driver starts the program by it.
    std::os::unix::fs::symlink("/usr/bin/env", folder.join("env")).expect("the folder is ours");
    let opened = |browser: &str| {
        let mut command = without_engine(&["report", record, "--open"]);
        command.env("PATH", &folder).env("BROWSER", browser);
        end(command)
    };
    let none = opened("");
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    let page = folder.join("report.html");
    let yourself = format!("open `{}` in a browser yourself", page.display());
    assert!(
        none.stderr.contains("neither `xdg-open` nor `open`") && none.stderr.contains(&yourself),
        "{}",
        none.stderr
    );
    assert!(page.is_file(), "the report is there all the same");

    program("xdg-open", 0);
    let by_xdg = opened("");
    assert_eq!(by_xdg.code, Some(0), "{}", by_xdg.stderr);
    assert!(by_xdg.stderr.contains("opened by `xdg-open`"), "{}", by_xdg.stderr);
    let seen = std::fs::read_to_string(folder.join("opened")).expect("it was opened");
    assert_eq!(Path::new(&seen), page);

    let broken = program("no-display", 3);
    let failed = opened(broken.to_str().expect("a path"));
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("no-display` could not open") && failed.stderr.contains("yourself"),
        "{}",
        failed.stderr
    );
}

#[test]
fn usage_errors_end_with_2_and_start_nothing() {
    for arguments in [
        &["run", "--candidate", "web"][..],
        &[
            "run",
            "--config",
            "fixtures/incident/twin.yaml",
            "--only",
            "nothing-of-that-name",
        ],
        &["run", "--config", "nowhere.yaml"],
        &["run", "--timeout", "soon"],
        &["lock", "--from", "podman"],
        &["no-such-command"],
        &[],
    ] {
        let ended = end(rehearsal(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{arguments:?}");
    }
}

/// A small production with an issuer, and hosts that are to be open.
fn plan_with_open_hosts(name: &str, hosts: &str) -> driver::Ended {
    let folder = driver::folder(&format!("commands/open-{name}"));
    let compose = "
services:
  web: {image: 'shop:1', networks: {front: {aliases: [shop.example.com]}}}
  idp: {image: 'idp:1', hostname: idp.internal, networks: [front]}
networks: {front: {}}
";
    let config = format!(
        "production: {{compose: compose.yaml}}\ncandidate: {{web: {{image: 'shop:2'}}}}\n\
         auth: {{service: idp, issuer: https://login.example.com/}}\npolicy:\n  allow_egress: [{hosts}]\n"
    );
    std::fs::write(folder.join("compose.yaml"), compose).expect("ours");
    std::fs::write(folder.join("rehearsal.yaml"), config).expect("ours");
    let file = folder.join("rehearsal.yaml");
    end(without_engine(&["plan", "--config", file.to_str().expect("a path")]))
}

#[test]
fn a_plan_says_which_hosts_are_open() {
    let planned = plan_with_open_hosts("plan", "api.example.com, 'db.example.com:5432'");
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    let words = planned.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for open in [
        "`api.example.com` is open to the mirror, ports 443 and 80",
        "`db.example.com` is open to the mirror, port 5432",
    ] {
        assert!(words.contains(open), "{words}");
    }
}

#[test]
fn a_name_inside_the_mirror_cannot_be_opened() {
    for name in ["web", "Shop.Example.com", "idp.internal", "login.example.com"] {
        let refused = plan_with_open_hosts("inside", &format!("api.example.com, '{name}:443'"));
        assert_eq!(refused.code, Some(2), "{name}: {}", refused.stderr);
        let wanted = format!("`{}` is a name inside the mirror", name.to_ascii_lowercase());
        let place = refused.stderr.contains("rehearsal.yaml:5:");
        assert!(place && refused.stderr.contains(&wanted), "{}", refused.stderr);
    }
}

#[test]
fn a_missing_secret_is_refused_before_anything_starts() {
    let folder = driver::folder("commands/secret");
    let text = std::fs::read_to_string(driver::world("twin")).expect("readable");
    let text = text.replace(
        "compose: compose.yaml",
        &format!("compose: {}", driver::world("compose").display()),
    );
    let text = text.replace("secret: ALICE_PASSWORD", "secret: NOBODYS_PASSWORD");
    let envs = driver::root().join("fixtures/incident/worlds");
    std::fs::write(
        folder.join("rehearsal.yaml"),
        text.replace("worlds/", &format!("{}/", envs.display())),
    )
    .expect("ours");
    let config = folder.join("rehearsal.yaml");
    let ended = end(without_engine(&[
        "run",
        "--config",
        config.to_str().expect("a path"),
        "--out",
        folder.join("out").to_str().expect("a path"),
    ]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("NOBODYS_PASSWORD") && ended.stderr.contains("rehearsal.yaml:"),
        "{}",
        ended.stderr
    );
    assert!(!folder.join("out").exists(), "a refused run wrote something");
}

#[test]
fn every_check_is_explained() {
    let all = end(without_engine(&["explain"]));
    assert_eq!(all.code, Some(0));
    for check in CATALOG.iter().map(|check| check.about().id.to_string()) {
        assert!(all.stdout.contains(&format!("{check}: ")), "{check}");
        assert_eq!(end(without_engine(&["explain", &check])).code, Some(0));
    }
    assert_eq!(end(without_engine(&["explain", "nothing"])).code, Some(2));
}

#[test]
fn every_page_that_the_readme_names_is_printed_and_leads_only_to_what_is_there() {
    let root = driver::root();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README is there");
    let pages = root.join("src/command/explain");
    let links = |text: &str, from: &Path| {
        let parts = text.split("](").skip(1).filter_map(|part| part.split(')').next());
        let own = parts.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
        own.map(|link| from.join(link)).collect::<Vec<_>>()
    };
    assert!(
        links(&readme, root).iter().all(|path| path.exists()),
        "{:?}",
        links(&readme, root)
    );
    let mut named = 0;
    for page in std::fs::read_dir(&pages).expect("the pages are there") {
        let page = page.expect("a page").path();
        let text = std::fs::read_to_string(&page).expect("text");
        assert!(
            links(&text, &pages).iter().all(|path| path.exists()),
            "{}",
            page.display()
        );
        let name = page.file_stem().expect("a name").to_str().expect("text");
        assert!(
            readme.contains(&format!("| [{name}](src/command/explain/{name}.md) |")),
            "{name}"
        );
        let told = end(without_engine(&["explain", name]));
        assert_eq!(
            (told.code, told.stdout.trim_end()),
            (Some(0), text.trim_end()),
            "{name}"
        );
        named += 1;
    }
    assert_eq!(readme.matches("](src/command/explain/").count(), named + 3);
}

#[test]
fn the_configuration_in_the_readme_can_be_planned() {
    let readme = std::fs::read_to_string(driver::root().join("README.md")).expect("the README is there");
    let config = readme
        .split("```yaml\n")
        .find(|part| part.starts_with("production:"))
        .expect("the README shows one");
    let folder = driver::folder("commands/readme");
    std::fs::write(
        folder.join("rehearsal.yaml"),
        config.split("```").next().expect("a block"),
    )
    .expect("ours");
    for (from, to) in [
        ("compose.yaml", "compose.yaml"),
        ("worlds/shop-1.0-provider-1.7.0.env", "production.env"),
    ] {
        std::fs::copy(driver::root().join("fixtures/incident").join(from), folder.join(to)).expect("ours");
    }
    let mut plan = without_engine(&["plan"]);
    plan.current_dir(&folder).env("CANDIDATE_IMAGE", "incident/shop:2.0");
    let planned = end(plan);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(
        planned.stdout.contains("candidate  web  incident/shop:2.0"),
        "{}",
        planned.stdout
    );
}

/// A configuration of its own beside production's file, run without an engine.
fn run_in(name: &str, compose: &str, next: &str, release: &str) -> Rehearsed {
    let folder = driver::folder(&format!("commands/{name}"));
    let config = format!(
        "production: {{compose: compose.yaml}}\nrelease: {release}\nsuites: {{smoke: {{service: web, exec: [{{name: up, \
         command: [\"true\"]}}]}}}}\n"
    );
    for (file, text) in [
        ("compose.yaml", compose),
        ("next.yaml", next),
        ("rehearsal.yaml", &config),
    ] {
        std::fs::write(folder.join(file), text).expect("the folder is ours");
    }
    let out = folder.join("out");
    let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    Rehearsed {
        ended: end(command),
        out,
    }
}

const WEB: &str = "services:\n  web: {image: 'shop:1'}\n";

#[test]
fn a_release_whose_deploy_would_be_refused_blocks_before_anything_is_started() {
    let next = "services:\n  web: {image: \"shop:${NEXT:?which release}\"}\n";
    let run = run_in("refused", WEB, next, "{compose: next.yaml}");
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    let cause = run.result()["cause"].as_str().expect("a line").to_owned();
    assert!(
        cause.starts_with(
            "boot-production-env: the deploy itself would be refused: the variable `NEXT` is required: which release ("
        ),
        "{cause}"
    );
}

#[test]
fn production_whose_own_files_are_refused_is_a_mistake_of_the_configuration() {
    let broken = "services:\n  web: {image: \"shop:${NOW:?which release}\"}\n";
    let run = run_in("refused-production", broken, WEB, "{compose: next.yaml}");
    assert_eq!(run.ended.code, Some(2), "{}", run.ended.stderr);
}

#[test]
fn a_release_that_changes_nothing_is_nothing_to_rehearse() {
    let run = run_in("nothing", WEB, WEB, "{compose: next.yaml}");
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    let cause = run.result()["cause"].as_str().expect("a line").to_owned();
    assert!(
        cause.contains("nothing to rehearse: the release changes nothing that runs"),
        "{cause}"
    );
}

#[test]
fn a_change_of_scale_that_the_mirror_does_not_show_is_nothing_to_rehearse() {
    let of = |count: u32| format!("services:\n  web: {{image: 'shop:1', scale: {count}}}\n");
    let run = run_in("unseen-scale", &of(3), &of(5), "{compose: next.yaml}");
    assert_eq!(run.ended.code, Some(3), "{}", run.ended.stderr);
    let cause = run.result()["cause"].as_str().expect("a line").to_owned();
    assert!(
        cause.contains("nothing to rehearse: `web` goes from 3 to 5 replicas, and 2 of either run here"),
        "{cause}"
    );
    // Beside something else it is a warning.
    let next = "services:\n  web: {image: 'shop:2', scale: 5}\n";
    let planned = run_in("unseen-scale-beside", &of(3), next, "{compose: next.yaml}")
        .ended
        .stderr;
    assert!(
        planned.contains(
            "warning: `web` goes from 3 to 5 replicas, and 2 of either run here: that change is not rehearsed"
        ),
        "{planned}"
    );
}

/// The names of the commands that users call, and each command's long options.
fn commands() -> Vec<(String, Vec<String>)> {
    use clap::CommandFactory as _;
    let cli = rehearsal::cli::Cli::command();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let options = |command: &clap::Command| {
        let long = command.get_arguments().filter_map(|argument| argument.get_long());
        long.map(str::to_owned).collect()
    };
    shown
        .map(|command| (command.get_name().to_owned(), options(command)))
        .collect()
}

#[test]
fn a_shell_completes_commands_and_options_and_nothing_that_users_do_not_call() {
    let folder = driver::folder("commands/completions");
    let printed = end(without_engine(&["completions", "bash"]));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    std::fs::write(folder.join("rehearsal.bash"), printed.stdout).expect("the folder is ours");
    let completes = |words: &[&str]| {
        let script = "source rehearsal.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                      _rehearsal rehearsal \"${!#}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let done = std::process::Command::new("bash")
            .args(["-c", script, "bash"])
            .args(words)
            .current_dir(&folder)
            .output()
            .expect("bash is there");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let mut words: Vec<String> = said.lines().map(str::to_owned).collect();
        words.sort();
        words
    };
    assert_eq!(completes(&["rehearsal", "do"]), ["doctor", "down"]);
    assert_eq!(completes(&["rehearsal", "run", "--qui"]), ["--quiet"]);
    let all = completes(&["rehearsal", ""]);
    for (name, _) in commands() {
        assert!(all.contains(&name), "{name} is not completed: {all:?}");
    }
    assert!(
        !all.iter()
            .any(|name| ["reap", "agent", "twin"].contains(&name.as_str())),
        "{all:?}"
    );
    for shell in ["zsh", "fish"] {
        let other = end(without_engine(&["completions", shell]));
        assert!(other.code == Some(0) && other.stdout.contains("doctor"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_with_all_of_its_options() {
    let folder = driver::folder("commands/man");
    let written = end(without_engine(&["man", "--out", folder.to_str().expect("a path")]));
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let read =
        |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (name, options) in commands() {
        let page = read(&format!("rehearsal-{name}.1"));
        for option in options {
            assert!(
                page.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))),
                "{name} {option}: {page}"
            );
        }
        let printed = end(without_engine(&["man", &name]));
        assert_eq!(printed.stdout.trim_end(), page.trim_end(), "{name}");
    }
    assert_eq!(
        read("rehearsal.1").trim_end(),
        end(without_engine(&["man"])).stdout.trim_end()
    );
    assert!(!folder.join("rehearsal-reap.1").exists());
    let unknown = end(without_engine(&["man", "nothing"]));
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("`rehearsal --help` lists them"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_quiet_run_tells_its_end_alone_and_a_plan_what_the_last_run_took() {
    let out = driver::folder("commands/quiet");
    let mut command = driver::run(&driver::world("twin"), &out);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").arg("--quiet");
    let ended = end(command);
    assert_eq!(ended.code, Some(3));
    assert!(
        ended.stderr.trim_start().starts_with("INCONCLUSIVE"),
        "{}",
        ended.stderr
    );
    let plan = |out: &Path| {
        let out = out.to_str().expect("a path");
        end(without_engine(&[
            "plan",
            "--config",
            "fixtures/incident/twin.yaml",
            "--out",
            out,
        ]))
        .stderr
    };
    let told = plan(&out);
    assert!(told.contains("the last time (inconclusive, "), "{told}");
    let told = plan(&driver::folder("commands/quiet-none"));
    assert!(told.contains("not known: no run has left a record here"), "{told}");
    for name in ["images", "memory", "disk", "here"] {
        assert!(
            told.lines().any(|line| line.trim_start().starts_with(name)),
            "{name}: {told}"
        );
    }
}

#[test]
fn what_is_explained_leads_to_its_part_of_the_manual() {
    let readme = std::fs::read_to_string(driver::root().join("README.md")).expect("it is there");
    for (name, heading) in [
        ("auth-login", "What it holds to"),
        ("lock", "The lock"),
        ("production-from", "Whose production"),
    ] {
        let told = end(without_engine(&["explain", name])).stdout;
        let anchor = heading.to_lowercase().replace(' ', "-");
        let link = format!("{}#{anchor}", env!("CARGO_PKG_REPOSITORY"));
        assert!(told.trim_end().ends_with(&link), "{name}: {told}");
        assert!(readme.contains(&format!("\n## {heading}\n")), "{heading}");
    }
}

#[test]
fn a_history_is_made_of_the_records_of_folders_and_says_which_cannot_be_read() {
    let folder = driver::folder("commands/history");
    let sample = std::fs::read_to_string(driver::root().join("tests/samples/block.json")).expect("it is there");
    for (run, day) in [("11/rehearsal", "11"), ("12/rehearsal", "12")] {
        let mut record: Value = serde_json::from_str(&sample).expect("JSON");
        record["started"] = json!(format!("2026-11-{day}T09:00:00Z"));
        let at = folder.join(run);
        std::fs::create_dir_all(&at).expect("the folder is ours");
        std::fs::write(at.join("result.json"), record.to_string()).expect("the folder is ours");
    }
    let history = |more: &[&str]| {
        let path = folder.to_str().expect("a path");
        end(without_engine(&[&["history", path], more].concat()))
    };
    let told = history(&[]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stdout.contains("2 runs: 2 block"), "{}", told.stdout);
    let told: Value = serde_json::from_str(&history(&["--format", "json"]).stdout).expect("JSON");
    assert_eq!(told["runs"].as_array().map(Vec::len), Some(2));
    let cut = folder.join("13");
    std::fs::create_dir_all(&cut).expect("the folder is ours");
    std::fs::write(cut.join("result.json"), &sample[..sample.len() / 2]).expect("the folder is ours");
    let partly = history(&[]);
    assert_eq!(partly.code, Some(2));
    assert!(
        partly.stderr.contains("13/result.json") && partly.stdout.contains("2 runs"),
        "{}",
        partly.stderr
    );
    let none = end(without_engine(&["history", "fixtures/small"]));
    assert!(
        none.code == Some(2) && none.stderr.contains("there is no record"),
        "{}",
        none.stderr
    );
}
