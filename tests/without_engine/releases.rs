//! What a release is: files and variables of its own, images by repository, and the candidate that is their difference
//! from production's.

use std::collections::BTreeMap;
use std::fs;

use rehearsal::context::Context;
use rehearsal::prepare::{self, Asked, Prepared};
use rehearsal::record::step::Step;

/// One image under three services, and one that only the release's variable names.
const PRODUCTION: &str = r#"
name: shop
services:
  web: {image: "registry.example.com/acme/shop:1", command: [web], depends_on: {migrate: {condition: service_completed_successfully}}}
  worker: {image: "registry.example.com/acme/shop:1", command: [worker]}
  migrate: {image: "registry.example.com/acme/shop:1", command: [migrate]}
  cache: {image: "redis:${REDIS:-7}", volumes: ["cache:/data"]}
  mail: {image: "mail:1", environment: {KEY: "${MAIL_KEY:-none}"}}
volumes: {cache: {}}
"#;

const SUITES: &str = "suites: {smoke: {service: web, exec: [{name: up, command: [true]}]}}\n";

/// A folder with production's files and these, and a configuration in it.
fn prepared(config: &str, files: &[(&str, &str)], candidate: &[(&str, &str)]) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |(name, text): (&str, &str)| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    };
    let config = format!("production: {{compose: compose.yaml}}\n{config}\n{SUITES}");
    let own = [("compose.yaml", PRODUCTION), ("rehearsal.yaml", config.as_str())];
    own.into_iter().for_each(write);
    files.iter().copied().for_each(write);
    let context = Context {
        environment: BTreeMap::new(),
        directory: folder.path().to_path_buf(),
        terminal: false,
        width: 100,
        github: false,
        token: None,
        runs: folder.path().to_path_buf(),
    };
    let owned = |(name, image): &(&str, &str)| ((*name).to_owned(), (*image).to_owned());
    let asked = Asked {
        candidate: candidate.iter().map(owned).collect(),
        ..Asked::of(Some(&folder.path().join("rehearsal.yaml")))
    };
    prepare::prepare(&asked, &context).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })
}

fn plan(config: &str, files: &[(&str, &str)]) -> Prepared {
    prepared(config, files, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The lines of the plan that say what the release changes.
fn changes(prepared: &Prepared) -> Vec<String> {
    let text = prepared.plan.to_text();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("change     "));
    lines.map(str::to_owned).collect()
}

fn candidate(prepared: &Prepared) -> Vec<&str> {
    let candidate = prepared.plan.candidate.iter();
    candidate.map(|release| release.service.as_str()).collect()
}

#[test]
fn an_image_is_replaced_in_every_service_that_runs_it() {
    let new = "registry.example.com/acme/shop:2";
    let release = format!("release: {{images: {{registry.example.com/acme/shop: '{new}'}}}}");
    let prepared = plan(&release, &[]);
    assert_eq!(candidate(&prepared), ["migrate", "web", "worker"]);
    let image = "image registry.example.com/acme/shop:1 → registry.example.com/acme/shop:2";
    assert_eq!(
        changes(&prepared),
        ["migrate", "web", "worker"].map(|service| format!("{service}  {image}"))
    );
}

#[test]
fn the_command_line_names_a_service_or_a_repository() {
    let by = |name: &str| {
        let prepared = prepared("", &[], &[(name, "shop:9")]).unwrap_or_else(|errors| panic!("{errors}"));
        candidate(&prepared).join(" ")
    };
    assert_eq!(by("worker"), "worker");
    assert_eq!(by("registry.example.com/acme/shop"), "migrate web worker");
    let Err(error) = prepared("", &[], &[("acme/shop", "shop:9")]) else {
        panic!("nothing has that name");
    };
    assert!(error.contains("production has no service `acme/shop`"), "{error}");
}

#[test]
fn the_command_line_overrides_an_image_of_the_release() {
    let release = "release: {images: {registry.example.com/acme/shop: '${UNSET}'}}";
    let prepared = prepared(release, &[], &[("registry.example.com/acme/shop", "shop:9")]);
    let prepared = prepared.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(candidate(&prepared), ["migrate", "web", "worker"]);
    assert_eq!(prepared.plan.candidate[0].image, "shop:9");
}

#[test]
fn a_variable_of_the_release_changes_what_it_reaches() {
    let prepared = plan(
        "release: {env: {REDIS: '8', MAIL_KEY: hunter22}, env_file: release.env}",
        &[("release.env", "REDIS=9\n"), (".env", "REDIS=6\n")],
    );
    assert_eq!(
        changes(&prepared),
        ["cache  image redis:6 → redis:8", "mail  environment ~KEY"]
    );
    assert!(!prepared.plan.to_text().contains("hunter22"));
}

#[test]
fn a_service_that_reads_dotenv_itself_reads_productions_and_the_releases() {
    let production = PRODUCTION.replace("{image: \"mail:1\",", "{image: \"mail:1\", env_file: .env,");
    // There is no `.env` here: production's stands under another name.
    let config = format!(
        "production: {{compose: compose.yaml, env_file: production.env}}\nrelease: {{env: {{SENDER: new}}}}\n{SUITES}"
    );
    let files = [
        ("compose.yaml", production.as_str()),
        ("production.env", "SENDER=old\nPORT=25\n"),
        ("rehearsal.yaml", config.as_str()),
    ];
    let prepared = plan("", &files);
    let mail = |services: &BTreeMap<String, rehearsal::world::model::Service>| services["mail"].env.clone();
    let (own, new) = (mail(&prepared.world.services), mail(&prepared.candidate.services));
    let said = |env: &BTreeMap<String, Option<String>>| ["SENDER", "PORT"].map(|name| env[name].clone());
    assert_eq!(said(&own), ["old", "25"].map(|value| Some(value.to_owned())));
    assert_eq!(said(&new), ["new", "25"].map(|value| Some(value.to_owned())));
    assert_eq!(changes(&prepared), ["mail  environment ~SENDER"]);
}

#[test]
fn what_says_only_when_a_service_starts_changes_no_container_and_orders_the_deploy() {
    let release = PRODUCTION.replace("services:\n", "services:\n  search: {image: \"search:1\"}\n");
    let release = release.replace(
        "command: [worker]}",
        "command: [worker], depends_on: [search], pull_policy: missing}",
    );
    let prepared = plan("release: {compose: next.yaml}", &[("next.yaml", &release)]);
    assert_eq!(candidate(&prepared), ["search"]);
    let deploy = prepared.candidate.upgrade(&prepared.world);
    assert_eq!(deploy.services["worker"].depends_on[0].service, "search");
}

#[test]
fn who_runs_what_the_release_builds_anew_is_changed_with_it() {
    let production = "name: shop
services:
  web: {build: {context: ., args: {V: 1}}, image: \"shop:1\"}
  worker: {image: \"shop:1\"}
  mail: {image: \"mail:1\"}
";
    let release = production.replace("V: 1", "V: 2");
    let files = [("compose.yaml", production), ("next.yaml", &release)];
    let prepared = plan("release: {compose: next.yaml}", &files);
    assert_eq!(candidate(&prepared), ["web", "worker"]);
    assert_eq!(changes(&prepared), ["web  build", "worker  build of web"]);
    let images = prepared.plan.to_text();
    assert!(
        images.contains("shop:1  for web, worker  built if the engine has it not"),
        "{images}"
    );
}

const RELEASE: &str = r#"
services:
  web: {image: "registry.example.com/acme/shop:1", command: [web], volumes: ["./web.conf:/etc/web.conf"], depends_on: [worker, search]}
  worker: {image: "registry.example.com/acme/shop:1", command: [worker]}
  search: {image: "search:1", volumes: ["index:/index"], networks: [inner]}
  mail: {image: "mail:1", environment: {KEY: "${MAIL_KEY:-none}"}}
volumes: {index: {}}
networks: {inner: {}}
"#;

#[test]
fn the_releases_own_files_add_change_and_drop_services() {
    let prepared = plan(
        "release: {compose: next/compose.yaml}",
        &[("next/compose.yaml", RELEASE), ("web.conf", "a\n")],
    );
    assert_eq!(
        changes(&prepared),
        [
            "cache  removed: redis:7 is stopped, its volumes stay",
            "migrate  removed: registry.example.com/acme/shop:1 is stopped, its volumes stay",
            "search  added: search:1",
            "web  mounts +/etc/web.conf; depends_on"
        ]
    );
    assert_eq!(candidate(&prepared), ["search", "web"]);
    // They must be there when the release comes.
    assert!(prepared.world.volumes.contains(&"index".to_owned()));
    assert!(prepared.world.networks.contains_key("inner"));
    let swap = prepared.plan.stages[1].steps.iter().find_map(|step| match &step.id {
        Step::Swap(services) => Some(services.join(" ")),
        _ => None,
    });
    assert_eq!(swap.as_deref(), Some("cache migrate search web"));
}

#[test]
fn the_releases_files_and_profiles_are_those_that_its_variables_name() {
    let more = (
        "more.yaml",
        "services: {search: {image: 'search:1'}, jobs: {image: 'jobs:1', profiles: [jobs]}}",
    );
    let named = "COMPOSE_FILE=compose.yaml:more.yaml\n";
    let both = format!("{named}COMPOSE_PROFILES=jobs\n");
    for (release, env, wanted) in [
        ("{env_file: release.env}", named, &["search"][..]),
        ("{env_file: release.env}", &both, &["jobs", "search"]),
        (
            "{env: {COMPOSE_FILE: 'compose.yaml;more.yaml', COMPOSE_PATH_SEPARATOR: ;}}",
            "",
            &["search"],
        ),
        (
            "{env_file: release.env, compose: [compose.yaml, more.yaml]}",
            named,
            &["search"],
        ),
    ] {
        let prepared = plan(&format!("release: {release}"), &[more, ("release.env", env)]);
        assert_eq!(candidate(&prepared), wanted, "{release} {env}");
    }
    let refused = |config: &str, files: &[(&str, &str)]| {
        let files = [&[more][..], files].concat();
        let Err(error) = prepared(config, &files, &[]) else {
            panic!("{config} is taken");
        };
        error
    };
    let differ = refused(
        "release: {env_file: release.env, compose: more.yaml}",
        &[("release.env", named)],
    );
    assert!(
        differ.contains("`release.compose` is `more.yaml`, and `COMPOSE_FILE` of the release's variables is `compose.yaml:more.yaml`"),
        "{differ}"
    );
    let missing = refused("release: {env: {COMPOSE_FILE: gone.yaml}}", &[]);
    assert!(missing.contains("names `gone.yaml`, which is no file"), "{missing}");
}

#[test]
fn profiles_of_the_release_lie_over_productions_and_two_words_on_them_are_refused() {
    let text = PRODUCTION.replace(
        "  cache:",
        "  jobs: {image: \"jobs:1\", profiles: [jobs]}\n  spare: {image: \"spare:1\", profiles: [spare]}\n  cache:",
    );
    let config = |production: &str, release: &str| {
        format!("production: {{compose: compose.yaml{production}}}\nrelease: {{env: {{{release}}}}}\n{SUITES}")
    };
    // By production's own variables, which the release's replace.
    let written = config(", profiles: [jobs]", "COMPOSE_PROFILES: 'jobs,spare'");
    let files = |config| {
        [
            ("compose.yaml", text.as_str()),
            (".env", "COMPOSE_PROFILES=jobs\n"),
            ("rehearsal.yaml", config),
        ]
    };
    assert_eq!(candidate(&plan("", &files(&written))), ["spare"]);
    // By `--profile`, which no variable replaces.
    let files = [("compose.yaml", text.as_str()), ("rehearsal.yaml", written.as_str())];
    let Err(error) = prepared("", &files, &[]) else {
        panic!("it is taken");
    };
    assert!(
        error
            .contains("`production.profiles` is jobs, and `COMPOSE_PROFILES` of the release's variables is jobs,spare"),
        "{error}"
    );
}

#[test]
fn what_the_release_has_no_more_goes_on_running_where_that_is_said() {
    let prepared = plan(
        "release: {compose: next.yaml, orphans: keep}",
        &[(
            "next.yaml",
            "services: {web: {image: 'registry.example.com/acme/shop:2', command: [web]}}",
        )],
    );
    assert!(prepared.candidate.removed.is_empty());
    let kept = "cache  not in the release: redis:7 goes on running (release.orphans)";
    assert!(
        changes(&prepared).contains(&kept.to_owned()),
        "{:?}",
        changes(&prepared)
    );
}

#[test]
fn an_entry_of_candidate_lies_over_the_release() {
    let prepared = plan(
        "release: {images: {registry.example.com/acme/shop: 'shop:2'}}\ncandidate: {worker: {image: 'shop:3', env: {A: b}}}",
        &[],
    );
    let images: Vec<&str> = prepared.plan.candidate.iter().map(|one| one.image.as_str()).collect();
    assert_eq!(images, ["shop:2", "shop:2", "shop:3"]);
    assert!(prepared.candidate.services["worker"].env.contains_key("A"));
}

#[test]
fn another_projects_name_is_told() {
    let text = format!("name: other\n{RELEASE}");
    let prepared = plan(
        "release: {compose: next.yaml}",
        &[("next.yaml", &text), ("web.conf", "a\n")],
    );
    let told = prepared.plan.notes.iter().any(|note| {
        note.contains("name the project `other`, and production is `shop`: production would start on empty volumes")
    });
    assert!(told, "{:?}", prepared.plan.notes);
    // The rehearsal keeps production's: the same volumes, the same names.
    assert_eq!(candidate(&prepared), ["search", "web"]);
}

#[test]
fn a_variable_that_nothing_sets_stands_in_the_plan() {
    let text = PRODUCTION.replace(
        "command: [worker]",
        "command: [worker], environment: {TOKEN: \"${NEW_TOKEN}\"}",
    );
    let prepared = plan("release: {compose: next.yaml}", &[("next.yaml", &text)]);
    let note = "warning: nothing sets `NEW_TOKEN` for the release's `worker`: blank, as Compose goes on";
    assert!(
        prepared.plan.notes.contains(&note.to_owned()),
        "{:?}",
        prepared.plan.notes
    );
    assert_eq!(changes(&prepared), ["worker  environment +TOKEN"]);
}

#[test]
fn a_variable_that_the_release_requires_refuses_the_deploy_and_not_the_configuration() {
    let text = PRODUCTION.replace(
        "command: [worker]",
        "command: [worker, \"${NEW_TOKEN:?see the notes}\"]",
    );
    let prepared = plan("release: {compose: next.yaml}", &[("next.yaml", &text)]);
    let why = prepared.candidate.refused.expect("it is refused");
    assert!(
        why.starts_with("the variable `NEW_TOKEN` is required: see the notes (") && why.contains("next.yaml:5:"),
        "{why}"
    );
    // Where production itself could not be deployed, there is nothing to compare with.
    let config = format!("production: {{compose: next.yaml}}\nrelease: {{env: {{A: b}}}}\n{SUITES}");
    let Err(error) = prepared_with(&config, &[("next.yaml", &text)]) else {
        panic!("production's own file is refused");
    };
    assert!(error.contains("NEW_TOKEN"), "{error}");
}

fn prepared_with(config: &str, files: &[(&str, &str)]) -> Result<Prepared, String> {
    let files: Vec<(&str, &str)> = files.iter().copied().chain([("rehearsal.yaml", config)]).collect();
    prepared("release: {env: {A: b}}", &files, &[])
}

#[test]
fn a_fragment_that_adds_a_service_is_refused_and_the_way_out_is_the_releases_files() {
    let fragment = "services:\n  web: {depends_on: [indexer]}\n  indexer: {image: 'shop:2'}\n";
    let refused = prepared(
        "candidate: {web: {image: 'shop:2', compose: next.yaml}}",
        &[("next.yaml", fragment)],
        &[],
    );
    let Err(error) = refused else {
        panic!("it is not refused");
    };
    assert!(error.starts_with("error: `indexer` has no place here"), "{error}");
    assert!(
        error.contains("next.yaml:3:3") && error.contains("`release: {compose: [next.yaml]}`"),
        "{error}"
    );
}
