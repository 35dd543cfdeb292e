//! What `rehearsal plan` says of real releases of public products (`fixtures/releases`), each a snapshot.

use std::collections::BTreeSet;

use crate::driver::{self, end, without_engine};

const PRODUCTS: [&str; 6] = ["authentik", "immich", "netbox", "outline", "paperless", "sentry"];

/// The plan, but for what the machine decides: where the repository is, and whether it has a time zone.
fn plan(product: &str) -> String {
    assert!(PRODUCTS.contains(&product), "{product} is not in the list");
    let config = format!("fixtures/releases/{product}/rehearsal.yaml");
    let planned = end(without_engine(&["plan", "--config", &config]));
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    let repository = driver::root().to_str().expect("a path");
    let text = planned.stdout.replace(repository, "REPOSITORY");
    let lines = text.lines().filter(|line| !line.contains("/etc/localtime"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_product_has_a_test_here() {
    let folders = std::fs::read_dir(driver::root().join("fixtures/releases")).expect("a folder");
    let names = folders.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
    assert_eq!(names.collect::<BTreeSet<_>>(), PRODUCTS.map(str::to_owned).into());
}

#[test]
fn authentik_drops_redis_and_is_the_authentication_service_itself() {
    insta::assert_snapshot!(plan("authentik"));
}

#[test]
fn immich_exchanges_the_database_on_the_same_folder() {
    insta::assert_snapshot!(plan("immich"));
}

#[test]
fn netbox_changes_three_services_by_one_variable() {
    insta::assert_snapshot!(plan("netbox"));
}

#[test]
fn outline_changes_beside_the_provider_that_production_runs() {
    insta::assert_snapshot!(plan("outline"));
}

#[test]
fn paperless_changes_its_broker_and_its_converter_with_itself() {
    insta::assert_snapshot!(plan("paperless"));
}

#[test]
fn sentry_adds_consumers_and_builds_its_image_anew() {
    insta::assert_snapshot!(plan("sentry"));
}
