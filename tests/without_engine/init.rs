//! What `rehearsal init` makes of Compose files of public products (`fixtures/releases`, each citing where its services, keys
//! and images are from), of the incident's own shop and of small folders: the file is a snapshot, and it can be planned.

use std::path::{Path, PathBuf};

use crate::driver::{self, Ended, end, folder, without_engine};
use crate::in_workflow::git;

/// A copy of a fixture's folder without its configuration, in a repository with this origin.
fn copy(of: &str, origin: &str) -> PathBuf {
    let to = folder(&format!("init/{}", of.replace('/', "-")));
    let from = driver::root().join("fixtures").join(of);
    copy_into(&from, &to);
    let _none = std::fs::remove_file(to.join("rehearsal.yaml"));
    git(&to, &["init", "--quiet"]);
    git(&to, &["remote", "add", "origin", origin]);
    to
}

fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_into(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn rehearsal_in(folder: &Path, words: &[&str]) -> Ended {
    let mut command = without_engine(words);
    command.current_dir(folder);
    end(command)
}

/// The file that it writes. It has planned it then: one that cannot be is exit 2.
fn written(of: &str, origin: &str, more: &[&str]) -> String {
    let folder = copy(of, origin);
    let told = rehearsal_in(&folder, &[&["init", "--yes"], more].concat());
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for workflow in ["rehearsal.yml", "production-lock.yml"] {
        assert!(folder.join(".github/workflows").join(workflow).is_file(), "{workflow}");
    }
    std::fs::read_to_string(folder.join("rehearsal.yaml")).unwrap()
}

const PRODUCTION: [&str; 2] = ["--env-file", "production.env"];

#[test]
fn immichs_own_images_are_its_release() {
    insta::assert_snapshot!(written(
        "releases/immich",
        "https://example.com/immich-app/immich.git",
        &PRODUCTION
    ));
}

#[test]
fn outline_signs_in_by_keycloak_behind_a_portal() {
    insta::assert_snapshot!(written(
        "releases/outline",
        "https://example.com/outline/outline.git",
        &PRODUCTION
    ));
}

#[test]
fn netboxs_release_is_what_most_services_run() {
    insta::assert_snapshot!(written(
        "releases/netbox",
        "https://example.com/netbox-community/netbox.git",
        &PRODUCTION
    ));
}

#[test]
fn paperless_is_published_under_its_own_name() {
    insta::assert_snapshot!(written(
        "releases/paperless",
        "https://example.com/paperless-ngx/paperless-ngx.git",
        &PRODUCTION
    ));
}

#[test]
fn sentry_is_built_here() {
    insta::assert_snapshot!(written(
        "releases/sentry",
        "https://example.com/getsentry/self-hosted.git",
        &PRODUCTION
    ));
}

#[test]
fn authentik_is_the_release_of_somebody_else() {
    insta::assert_snapshot!(written(
        "releases/authentik",
        "https://example.com/acme/operations.git",
        &PRODUCTION
    ));
}

#[test]
fn the_incidents_shop_has_a_provider_and_a_database() {
    let env = ["--env-file", "worlds/shop-1.0-provider-1.3.3.env"];
    insta::assert_snapshot!(written("incident", "https://example.com/acme/shop.git", &env));
}

#[test]
fn a_front_an_openapi_file_and_a_build_are_seen() {
    let to = folder("init/built");
    git(&to, &["init", "--quiet"]);
    let files = [
        (
            "docker-compose.yml",
            r#"services:
  app:
    build: .
    expose: ["3000"]
    labels:
      traefik.http.routers.app.rule: "Host(`shop.example.com`)"
      traefik.http.routers.app.tls: "true"
  jobs: {build: ., command: [work]}
  db: {image: "postgres:15", healthcheck: {test: ["CMD-SHELL", "pg_isready -U $${POSTGRES_USER}"]}}
"#,
        ),
        (
            "openapi.yaml",
            "paths: {/items: {get: {responses: {'200': {description: all}}}}}\n",
        ),
        ("Dockerfile", "FROM debian:bookworm-slim\n"),
    ];
    for (name, text) in files {
        std::fs::write(to.join(name), text).unwrap();
    }
    let told = rehearsal_in(&to, &["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    insta::assert_snapshot!(std::fs::read_to_string(to.join("rehearsal.yaml")).unwrap());
}

#[test]
fn what_an_env_file_keeps_secret_is_written_nowhere() {
    let to = folder("init/secret");
    git(&to, &["init", "--quiet"]);
    let compose = r#"services:
  web: {image: "example.com/shop:1", expose: ["80"], environment: {OIDC_ISSUER: "https://login.example.com/${CLIENT_SECRET}"}}
  idp: {image: "quay.io/keycloak/keycloak:26", expose: ["8080"]}
  cache: {image: "redis:7", healthcheck: {test: ["CMD", "redis-cli", "-a", "${REDIS_PASSWORD}", "ping"]}}
"#;
    std::fs::write(to.join("compose.yaml"), compose).unwrap();
    std::fs::write(to.join(".env"), "REDIS_PASSWORD=xyzzy-1\nCLIENT_SECRET=xyzzy-2\n").unwrap();
    let told = rehearsal_in(&to, &["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let written = std::fs::read_to_string(to.join("rehearsal.yaml")).unwrap();
    assert!(
        !written.contains("xyzzy") && !told.stderr.contains("xyzzy"),
        "{written}"
    );
    // Nobody knows whose image is the release: the job names what init took for it, and so is never green by chance.
    let workflow = std::fs::read_to_string(to.join(".github/workflows/rehearsal.yml")).unwrap();
    assert!(
        workflow.contains("candidate: example.com/shop=candidate:ci"),
        "{workflow}"
    );
}

#[test]
fn the_files_are_those_that_compose_itself_would_read() {
    let to = folder("init/names");
    git(&to, &["init", "--quiet"]);
    for (name, text) in [
        ("compose.yaml", "services: {web: {image: \"example.com/shop:1\"}}\n"),
        ("compose.override.yml", "services: {web: {expose: [\"80\"]}}\n"),
    ] {
        std::fs::write(to.join(name), text).unwrap();
    }
    let told = rehearsal_in(&to, &["init", "--yes"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let written = std::fs::read_to_string(to.join("rehearsal.yaml")).unwrap();
    assert!(
        written.contains("compose: [compose.yaml, compose.override.yml]"),
        "{written}"
    );
}

#[test]
fn what_is_there_is_never_written_over() {
    let to = folder("init/there");
    std::fs::write(to.join("compose.yaml"), "services: {web: {image: \"web:1\"}}\n").unwrap();
    std::fs::write(to.join("rehearsal.yaml"), "mine\n").unwrap();
    let told = rehearsal_in(&to, &["init", "--yes"]);
    assert_eq!(told.code, Some(2));
    assert!(
        told.stderr.contains("is a `rehearsal.yaml` here already"),
        "{}",
        told.stderr
    );
    assert_eq!(std::fs::read_to_string(to.join("rehearsal.yaml")).unwrap(), "mine\n");
}

#[test]
fn a_folder_without_a_compose_file_is_told_how_to_name_one() {
    let to = folder("init/empty");
    let told = rehearsal_in(&to, &["init", "--yes"]);
    assert_eq!(told.code, Some(2));
    assert!(told.stderr.contains("--compose FILE"), "{}", told.stderr);
    assert!(!to.join("rehearsal.yaml").exists());
}
