//! What `rehearsal init` makes of ordinary Compose projects, guess by guess: what it writes can be read, planned and run, and
//! what it cannot know it says.

use std::path::{Path, PathBuf};

use crate::driver::{Ended, end, folder, without_engine};
use crate::in_workflow::git;

/// A project in a repository of git.
struct Project {
    folder: PathBuf,
    environment: Vec<(&'static str, &'static str)>,
}

impl Project {
    fn of(name: &str, files: &[(&str, &str)]) -> Self {
        let project = Self {
            folder: folder(&format!("guesses/{name}")),
            environment: Vec::new(),
        };
        git(&project.folder, &["init", "--quiet", "--initial-branch=trunk"]);
        project.write(files);
        project
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let file = self.folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }

    fn commit(&self) {
        git(&self.folder, &["add", "--all"]);
        git(&self.folder, &["commit", "--quiet", "--message=x"]);
    }

    fn run_in(&self, below: &str, words: &[&str]) -> Ended {
        let mut command = without_engine(words);
        command.current_dir(self.folder.join(below));
        command.envs(self.environment.iter().copied());
        end(command)
    }

    fn run(&self, words: &[&str]) -> Ended {
        self.run_in("", words)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The configuration that is written here: it can be planned, or init says otherwise.
    fn written(&self) -> String {
        let told = self.run(&["init", "--yes"]);
        let text = self.read("rehearsal.yaml");
        assert_eq!(told.code, Some(0), "{}\n{text}", told.stderr);
        text
    }
}

/// The configuration for one Compose file.
fn written(name: &str, compose: &str) -> String {
    Project::of(name, &[("compose.yaml", compose)]).written()
}

fn has(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "no `{wanted}` in\n{text}");
}

fn has_not(text: &str, unwanted: &str) {
    assert!(!text.contains(unwanted), "`{unwanted}` in\n{text}");
}

// Secrets.

const SHOP: &str = r#"services:
  web: {image: "example.com/shop:1", expose: ["3000"], environment: {PW: "${POSTGRES_PASSWORD}", TTL: "${ACCESS_TOKEN_EXPIRE_MINUTES}"}}
  db: {image: "postgres:15", environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}"}, healthcheck: {test: ["CMD-SHELL", "pg_isready -U postgres"]}}
"#;

#[test]
fn a_value_that_stands_there_anyway_hides_no_step() {
    let mut project = Project::of(
        "no-secret",
        &[
            ("compose.yaml", SHOP),
            (".env", "POSTGRES_PASSWORD=postgres\nACCESS_TOKEN_EXPIRE_MINUTES=30\n"),
        ],
    );
    project.environment = vec![("OLDPWD", "/"), ("PWD", "/"), ("MONKEY", "http")];
    let text = project.written();
    has(&text, "get: \"http://web:3000/\"");
    has(&text, "pg_isready -U postgres");
    has_not(&text, "left out");
}

#[test]
fn a_step_in_which_a_secret_stands_is_left_out_and_named() {
    let compose = r#"services:
  web: {image: "example.com/shop:1", expose: ["80"], healthcheck: {test: ["CMD", "curl", "http://localhost/up?key=${API_KEY}"]}}
  cache: {image: "redis:7", healthcheck: {test: ["CMD", "redis-cli", "-a", "${REDIS_PASSWORD}", "-p", "6379", "ping"]}}
  other: {image: "redis:7", healthcheck: {test: ["CMD", "redis-cli", "-p", "6379", "ping"]}}
"#;
    let project = Project::of(
        "secret",
        &[("compose.yaml", compose), (".env", "REDIS_PASSWORD=6379\nAPI_KEY=k\n")],
    );
    let text = project.written();
    has(
        &text,
        "# Left out: what `cache` is asked by its health check holds `REDIS_PASSWORD`",
    );
    has(
        &text,
        "# Left out: what `web` is asked by its health check holds `API_KEY`",
    );
    has_not(&text, "key=k");
    has_not(&text, "\"-a\"");
    has(&text, "service: other, command: [redis-cli, \"-p\", \"6379\", ping]");
}

#[test]
fn a_number_of_such_a_name_where_only_a_number_can_stand_hides_nothing_else() {
    let compose = r#"services:
  web: {image: "example.com/shop:1", ports: ["${AUTH_PORT}:3000", "${KEY_LENGTH}"]}
  cache: {image: "redis:7", healthcheck: {test: ["CMD", "redis-cli", "-a", "${REDIS_PASSWORD}", "ping"]}}
"#;
    let env = "AUTH_PORT=8080\nKEY_LENGTH=30\nREDIS_PASSWORD=1234\n";
    let project = Project::of("numbers", &[("compose.yaml", compose), (".env", env)]);
    let text = project.written();
    has(&text, "get: \"http://web:30/\"");
    has_not(&text, "1234");
}

// What is built here.

const BUILT: &str = "services:\n  web: {build: ., expose: [\"3000\"]}\n";
const DOCKERFILE: (&str, &str) = ("Dockerfile", "FROM debian:bookworm-slim\n");

#[test]
fn what_init_says_comes_next_can_be_planned_where_the_base_has_no_configuration_yet() {
    let project = Project::of("next", &[("compose.yaml", BUILT), DOCKERFILE]);
    project.commit();
    let told = project.run(&["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    has(&told.stderr, "`rehearsal plan --production-from trunk`");
    has(
        &project.read("rehearsal.yaml"),
        "`rehearsal run --production-from trunk`",
    );
    let plan = project.run(&["plan", "--production-from", "trunk"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    has(&plan.stdout, "trunk");

    // The pull request that adds the file, with a change.
    git(&project.folder, &["checkout", "--quiet", "-b", "change"]);
    project.write(&[("compose.yaml", &BUILT.replace("3000", "3001"))]);
    project.commit();
    let plan = project.run(&["plan", "--production-from", "trunk"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    has(&plan.stdout, "candidate  web");
}

#[test]
fn the_base_is_the_branch_that_the_remote_calls_its_own() {
    let project = Project::of("origin-head", &[("compose.yaml", BUILT), DOCKERFILE]);
    project.commit();
    git(&project.folder, &["update-ref", "refs/remotes/origin/develop", "HEAD"]);
    git(
        &project.folder,
        &[
            "symbolic-ref",
            "refs/remotes/origin/HEAD",
            "refs/remotes/origin/develop",
        ],
    );
    let told = project.run(&["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    has(&told.stderr, "`rehearsal plan --production-from origin/develop`");
}

#[test]
fn where_nothing_is_committed_that_is_what_comes_first() {
    let project = Project::of("unborn", &[("compose.yaml", BUILT), DOCKERFILE]);
    let told = project.run(&["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    has(&told.stderr, "next: commit compose.yaml");
}

// Names of production.

#[test]
fn only_names_that_the_configuration_takes_are_written() {
    let text = written(
        "hosts",
        r#"services:
  a: {image: "a:1", expose: ["80"], labels: {traefik.http.routers.a.rule: "Host(`app.localhost`)"}}
  b: {image: "b:1", expose: ["80"], environment: {VIRTUAL_HOST: "192.168.1.10,shop.example.com,c.d"}}
  c.d: {image: "c:1", expose: ["80"], labels: {caddy: "https://x.example.com", caddy.reverse_proxy: "{{upstreams 8080}}"}}
  d: {image: "d:1", expose: ["80"], labels: {caddy: "y.example.com/app"}}
  e: {image: "e:1", expose: ["80"], labels: {caddy: "http://z.example.com:8080"}}
"#,
    );
    for unwanted in ["localhost", "192.168", "https//", "y.example.com", "http://c.d\""] {
        has_not(&text, unwanted);
    }
    has(&text, "\"http://shop.example.com\": {service: b, port: 80}");
    has(&text, "\"https://x.example.com\": {service: c.d, port: 8080}");
    has(&text, "\"http://z.example.com:8080\": {service: e, port: 80}");
}

#[test]
fn only_an_issuer_that_the_mirror_can_bear_is_written() {
    for (at, issuer) in [
        "http://127.0.0.1:8080/realms/shop",
        "http://localhost:8080/realms/shop",
        "http://[::1]/realms/shop",
        "https://login.localhost/realms/shop",
    ]
    .iter()
    .enumerate()
    {
        let compose = format!(
            "services:\n  web: {{image: \"example.com/shop:1\", expose: [\"80\"], environment: {{OIDC_ISSUER: \"{issuer}\"}}}}\n  \
             idp: {{image: \"quay.io/keycloak/keycloak:26\", expose: [\"8080\"]}}\n"
        );
        let text = written(&format!("issuer-{at}"), &compose);
        has(&text, "service: idp");
        has_not(&text, "issuer:");
    }
}

// Ports that speak no HTTP.

#[test]
fn no_front_page_is_asked_of_what_speaks_no_http() {
    let text = written(
        "no-http",
        r#"services:
  web: {image: "example.com/shop:1", expose: ["3000"]}
  mail: {image: "mailhog/mailhog", expose: ["1025", "8025"]}
  sql: {image: "mcr.microsoft.com/mssql/server:2022-latest", expose: ["1433"]}
  mysql: {image: "mysql/mysql-server:8.0", expose: ["3306"]}
  stack: {image: "redis/redis-stack-server", expose: ["6379"]}
  zoo: {image: "confluentinc/cp-zookeeper:7", expose: ["2181"]}
  otel: {image: "otel/opentelemetry-collector", expose: ["4317"]}
  mqtt: {image: "emqx/emqx:5", expose: ["1883", "18083"]}
  ldap: {image: "osixia/openldap:1.5.0", expose: ["389", "636"]}
  users: {image: "lldap/lldap:stable", expose: ["3890", "17170"]}
  radius: {image: "freeradius/freeradius-server", expose: ["18120"]}
  own: {build: ./own, expose: ["5432"]}
  fpm: {image: "wordpress:6-fpm", expose: ["9000"]}
"#,
    );
    for unwanted in [
        "//sql:",
        "//mysql:",
        "//stack:",
        "//zoo:",
        "//otel:",
        "//ldap:",
        "//radius:",
        "//own:",
        "//fpm:",
        ":1025/",
        ":1883/",
        ":3890/",
    ] {
        has_not(&text, unwanted);
    }
    for wanted in [
        "\"http://mail:8025/\"",
        "\"http://users:17170/\"",
        "\"http://web:3000/\"",
    ] {
        has(&text, wanted);
    }
}

#[test]
fn a_guessed_https_trusts_what_the_container_made_itself() {
    let text = written(
        "https",
        "services:\n  web: {image: \"example.com/shop:1\", expose: [\"443\", \"8443\"]}\n",
    );
    has(&text, "get: \"https://web:443/\"");
    has(&text, "tls: {insecure: true}");
    let text = written(
        "https-beside-http",
        "services:\n  web: {image: \"example.com/shop:1\", expose: [\"443\", \"8080\"]}\n",
    );
    has(&text, "get: \"http://web:8080/\"");
    has_not(&text, "tls:");
}

// What an OpenAPI file promises.

const PATHS: &str = "paths: {/items: {get: {responses: {'200': {description: all}}}}}\n";

#[test]
fn what_is_promised_is_asked_below_the_base_path() {
    for (at, (head, wanted)) in [
        ("servers: [{url: 'https://api.example.com/v1/'}]\n", "http://web:80/v1/items"),
        ("servers: [{url: /api}]\n", "http://web:80/api/items"),
        (
            "servers: [{url: '{base}/{version}', variables: {base: {default: 'https://x.example.com'}, version: {default: v2}}}]\n",
            "http://web:80/v2/items",
        ),
        ("swagger: '2.0'\nbasePath: /v3\n", "http://web:80/v3/items"),
        ("openapi: 3.1.0\n", "http://web:80/items"),
    ]
    .into_iter()
    .enumerate()
    {
        let project = Project::of(
            &format!("promised-{at}"),
            &[
                ("compose.yaml", "services: {web: {image: \"example.com/shop:1\", expose: [\"80\"]}}\n"),
                ("openapi.yaml", &format!("{head}{PATHS}")),
            ],
        );
        has(&project.written(), &format!("get: \"{wanted}\""));
    }
}

#[test]
fn what_one_of_several_services_may_keep_is_a_comment() {
    let project = Project::of(
        "promised-by-one",
        &[
            (
                "compose.yaml",
                "services:\n  admin: {build: ., expose: [\"3000\"]}\n  api: {build: ., expose: [\"4000\"]}\n  db: {build: ., expose: [\"5432\"]}\n",
            ),
            DOCKERFILE,
            ("openapi.yaml", PATHS),
        ],
    );
    let text = project.written();
    has_not(&text, "get: \"http://admin:3000/items\"");
    has(
        &text,
        "#     - {name: /items is as promised, get: \"http://SERVICE:PORT/items\", expect: {status: 200}}",
    );
    has(&text, "admin:3000, api:4000");
}

// The engine's socket.

#[test]
fn a_service_that_drives_the_engine_is_told_of_by_init_and_by_plan() {
    let compose = r#"services:
  web: {image: "example.com/shop:1", expose: ["80"]}
  traefik: {image: "traefik:3", expose: ["8080"], volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]}
"#;
    let project = Project::of("socket", &[("compose.yaml", compose)]);
    let text = project.written();
    has(&text, "# `traefik` is given the engine's socket");
    has(&text, "#   services:\n  #     traefik: {profiles: [not-rehearsed]} #");
    let plan = project.run(&["plan", "--candidate", "web=example.com/shop:2"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    has(&plan.stdout, "`traefik` is given the engine's socket in production");

    // As it says.
    project.write(&[
        (
            "not-rehearsed.yaml",
            "services: {traefik: {profiles: [not-rehearsed]}}\n",
        ),
        (
            "rehearsal.yaml",
            &text.replace("compose: compose.yaml", "compose: [compose.yaml, not-rehearsed.yaml]"),
        ),
    ]);
    let plan = project.run(&["plan", "--candidate", "web=example.com/shop:2"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stderr, project.read("rehearsal.yaml"));
    has_not(&plan.stdout, "engine's socket in production");
}

// Workflows.

#[test]
fn in_a_folder_of_its_own_the_workflows_look_there() {
    let project = Project::of(
        "deploy",
        &[(
            "deploy/compose.yaml",
            "services: {web: {image: \"example.com/shop:1\", expose: [\"80\"]}}\n",
        )],
    );
    let told = project.run_in("deploy", &["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let text = project.read(".github/workflows/rehearsal.yml");
    has(&text, "          path: deploy/rehearsal-out\n");
    has(&text, "          path: deploy/rehearsal-out/report.html\n");
    has_not(&text, "path: rehearsal-out");
    let text = project.read(".github/workflows/production-lock.yml");
    has(&text, "    defaults:\n      run:\n        working-directory: deploy\n");
    has(&text, "git add production.lock");
    has(&text, "  # schedule:\n  #   - cron:");
    has(&text, "  workflow_dispatch:");
}

#[test]
fn where_there_is_a_lock_it_is_asked_every_morning() {
    let project = Project::of(
        "locked",
        &[
            (
                "compose.yaml",
                "services: {web: {image: \"example.com/shop:1\", expose: [\"80\"]}}\n",
            ),
            ("production.lock", "version: 1\n"),
        ],
    );
    project.written();
    let text = project.read(".github/workflows/production-lock.yml");
    has(&text, "\n  schedule:\n    - cron:");
    has_not(&text, "defaults:");
}

/// The step of the lock's workflow that asks production, with a `rehearsal` that does as this script says.
fn asked_production(project: &Project, rehearsal: &str) -> (Option<i32>, String) {
    let bin = project.folder.join("bin");
    project.write(&[(
        "bin/rehearsal",
        &format!("#!/bin/sh\necho \"$@\" >>calls\n{rehearsal}\n"),
    )]);
    let run = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    run(&bin.join("rehearsal"));
    let text = project.read(".github/workflows/production-lock.yml");
    let step = text.split("        run: |\n").nth(1).unwrap();
    let script: String = step
        .lines()
        .take_while(|line| line.starts_with("          "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let mut command = std::process::Command::new("bash");
    command
        .args(["-e", "-o", "pipefail", "-c", &script])
        .current_dir(&project.folder)
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
        .env("GITHUB_OUTPUT", project.folder.join("output"));
    let ended = end(command);
    let output = std::fs::read_to_string(project.folder.join("output")).unwrap_or_default();
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    (ended.code, output)
}

#[test]
fn a_lock_that_is_not_there_is_taken_and_one_that_cannot_be_read_is_refused() {
    let compose = (
        "compose.yaml",
        "services: {web: {image: \"example.com/shop:1\", expose: [\"80\"]}}\n",
    );
    let project = Project::of("first-lock", &[compose]);
    project.written();
    let (code, output) = asked_production(
        &project,
        "case $* in *--check*) exit 3;; *) echo lock >production.lock;; esac",
    );
    assert_eq!(
        (code, output.as_str()),
        (Some(0), "taken=true\n"),
        "{}",
        project.read("calls")
    );
    assert!(!project.read("moved.txt").is_empty());
    let (code, _) = asked_production(&project, "exit 3");
    assert_eq!(code, Some(3));
}

// Which image is the release.

#[test]
fn helpers_of_others_are_no_release() {
    let project = Project::of(
        "helpers",
        &[(
            "compose.yaml",
            r#"services:
  adminer: {image: "adminer", ports: ["1:8080"]}
  mail: {image: "axllent/mailpit", ports: ["2:8025"]}
  hog: {image: "mailhog/mailhog", ports: ["3:8025"]}
  pg: {image: "dpage/pgadmin4", ports: ["4:80"]}
  my: {image: "phpmyadmin/phpmyadmin", ports: ["5:80"]}
  ui: {image: "portainer/portainer-ce", ports: ["6:9000"]}
  tower: {image: "containrrr/watchtower", ports: ["7:8080"]}
  front: {image: "traefik:3", ports: ["8:80"]}
  web: {image: "ghcr.io/acme/app:1", ports: ["9:3000"]}
"#,
        )],
    );
    project.written();
    has(
        &project.read(".github/workflows/rehearsal.yml"),
        "candidate: ghcr.io/acme/app=candidate:ci",
    );
}

#[test]
fn where_several_images_may_be_the_release_alike_none_is_chosen() {
    let compose = r#"services:
  a: {image: "example.com/a:1", ports: ["1:3000"]}
  b: {image: "example.com/b:1", ports: ["2:3000"]}
  c: {image: "example.com/c:1", expose: ["3000"]}
"#;
    let project = Project::of("alike", &[("compose.yaml", compose)]);
    project.written();
    let text = project.read(".github/workflows/rehearsal.yml");
    has(&text, "          candidate: SERVICE=candidate:ci\n");
    has(
        &text,
        "# SERVICE is a placeholder: example.com/a or example.com/b, nobody could tell which the job builds.",
    );
}

// Several routers on one host.

#[test]
fn of_two_routers_on_one_host_the_one_without_a_path_answers() {
    let text = written(
        "routers",
        r#"services:
  api:
    image: "api:1"
    expose: ["4000"]
    labels: {traefik.http.routers.api.rule: "Host(`shop.example.com`) && PathPrefix(`/api`)"}
  web:
    image: "web:1"
    expose: ["3000"]
    labels: {traefik.http.routers.web.rule: "Host(`shop.example.com`)"}
"#,
    );
    has(&text, "    \"http://shop.example.com\": {service: web, port: 3000}");
    has_not(&text, "service: api, port");
}

#[test]
fn where_several_answer_alike_for_one_host_nobody_is_chosen() {
    let text = written(
        "routers-alike",
        r#"services:
  api:
    image: "api:1"
    expose: ["4000"]
    labels: {traefik.http.routers.api.rule: "Host(`shop.example.com`) && PathPrefix(`/api`)"}
  web:
    image: "web:1"
    expose: ["3000"]
    labels: {traefik.http.routers.web.rule: "Host(`shop.example.com`) && PathPrefix(`/`)"}
  other:
    image: "other:1"
    expose: ["3000"]
    labels: {traefik.http.routers.other.rule: "Host(`other.example.com`)"}
"#,
    );
    has(&text, "    # \"http://shop.example.com\": {service: api, port: 4000}");
    has(&text, "    # \"http://shop.example.com\": {service: web, port: 3000}");
    has(&text, "    \"http://other.example.com\": {service: other, port: 3000}");
}

#[test]
fn each_router_leads_to_the_port_of_its_own_service() {
    let text = written(
        "router-ports",
        r#"services:
  store:
    image: "example.com/store:1"
    expose: ["9000", "9001"]
    labels:
      traefik.http.routers.api.rule: "Host(`api.example.com`)"
      traefik.http.routers.api.service: api
      traefik.http.services.api.loadbalancer.server.port: "9000"
      traefik.http.routers.ui.rule: "Host(`ui.example.com`)"
      traefik.http.routers.ui.service: ui
      traefik.http.services.ui.loadbalancer.server.port: "9001"
"#,
    );
    has(&text, "\"http://api.example.com\": {service: store, port: 9000}");
    has(&text, "\"http://ui.example.com\": {service: store, port: 9001}");
}

// What is only here.

#[test]
fn an_env_file_that_git_does_not_keep_is_told_and_stands_in_on_both_sides() {
    let compose = "services:\n  web: {build: ., expose: [\"3000\"], env_file: .env, environment: {A: \"${A}\"}}\n";
    let project = Project::of(
        "only-here",
        &[
            ("compose.yaml", compose),
            DOCKERFILE,
            (".env", "A=1\n"),
            (".gitignore", ".env\n"),
        ],
    );
    project.commit();
    has(&project.written(), "# Git does not keep .env");
    let plan = project.run(&["plan", "--production-from", "trunk"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    has(&plan.stdout, "change     web  build\n");
}

#[test]
fn a_name_leads_to_the_port_that_speaks_http() {
    let text = written(
        "name-and-port",
        "services:\n  git: {image: \"example.com/git:1\", expose: [\"22\", \"3000\"], environment: {VIRTUAL_HOST: git.example.com}}\n",
    );
    has(&text, "\"http://git.example.com\": {service: git, port: 3000}");
}

#[test]
fn where_only_a_front_is_told_of_a_port_the_front_page_is_asked_there() {
    let text = written(
        "told-port",
        r#"services:
  web: {image: "example.com/web:1", labels: {traefik.http.routers.w.rule: "Host(`a.example.com`)", traefik.http.services.w.loadbalancer.server.port: "8080"}}
  git: {image: "example.com/git:1", expose: ["22"], labels: {caddy: b.example.com, caddy.reverse_proxy: "{{upstreams 3000}}"}}
"#,
    );
    has(&text, "get: \"http://web:8080/\"");
    has(&text, "get: \"http://git:3000/\"");
}
