//! What the comparison with Docker Compose cannot see: fragments, spans, warnings, and that nothing panics.

use std::path::{Path, PathBuf};

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("file");
    }
    folder
}

fn project(folder: &Path) -> Result<Project, Diagnostic> {
    load(&LoadOptions {
        files: vec![folder.join("compose.yaml")],
        ..LoadOptions::default()
    })
}

const SHOP: &str = "name: shop
services:
  web: {image: 'shop:1', command: run, environment: {A: '1', B: '2'}, ports: ['80:80'], depends_on: [db]}
  db: {image: postgres, volumes: ['data:/data']}
volumes: {data: }
";

#[test]
fn a_fragment_is_merged_over_its_service_and_may_bring_volumes() {
    let fragment = "services:
  web:
    command: [serve, --new]
    environment: {B: '3', C: '4'}
    ports: !override ['81:81']
    volumes: ['cache:/cache', './conf:/conf']
volumes: {cache: }
";
    let folder = folder(&[("compose.yaml", SHOP), ("release/web.yaml", fragment)]);
    let before = project(folder.path()).expect("project");
    let after = merge_service_fragment(&before, "web", &folder.path().join("release/web.yaml")).expect("fragment");
    let web = &after.services["web"];
    assert_eq!(
        web.command.as_deref(),
        Some(["serve".to_owned(), "--new".to_owned()].as_slice())
    );
    assert_eq!(web.environment["A"].as_deref(), Some("1"));
    assert_eq!(web.environment["B"].as_deref(), Some("3"));
    assert_eq!(web.ports.iter().map(|port| port.target).collect::<Vec<_>>(), [81]);
    assert_eq!(after.volumes["cache"].name, "shop_cache");
    let conf = web.mounts.iter().find(|mount| mount.target == "/conf").expect("mount");
    assert_eq!(
        conf.source.as_deref().map(PathBuf::from),
        Some(folder.path().join("release/conf"))
    );
    assert_eq!(
        before.services["web"].ports[0].target, 80,
        "the project itself stays as it was"
    );
    assert_eq!(after.services["db"].mounts[0].source.as_deref(), Some("data"));
}

#[test]
fn a_second_fragment_keeps_the_first() {
    let one = "services: {web: {image: 'shop:2'}}";
    let two = "services: {db: {image: 'postgres:15'}}";
    let folder = folder(&[("compose.yaml", SHOP), ("one.yaml", one), ("two.yaml", two)]);
    let first = project(folder.path())
        .and_then(|project| merge_service_fragment(&project, "web", &folder.path().join("one.yaml")));
    let second = merge_service_fragment(&first.expect("one"), "db", &folder.path().join("two.yaml")).expect("two");
    assert_eq!(second.services["web"].image.as_deref(), Some("shop:2"));
    assert_eq!(second.services["db"].image.as_deref(), Some("postgres:15"));
}

#[test]
fn a_fragment_may_change_no_other_service() {
    let fragment = "services:\n  web: {image: b}\n  db: {image: c}\n";
    let folder = folder(&[("compose.yaml", SHOP), ("web.yaml", fragment)]);
    let project = project(folder.path()).expect("project");
    let error = merge_service_fragment(&project, "web", &folder.path().join("web.yaml")).expect_err("refused");
    assert!(error.to_string().contains("web.yaml:3:3"), "{error}");
}

#[test]
fn an_error_points_into_the_file_of_several_that_has_it() {
    let folder = folder(&[
        ("compose.yaml", SHOP),
        ("web.yaml", "services:\n  web:\n    imgae: x\n"),
    ]);
    let project = project(folder.path()).expect("project");
    let error = merge_service_fragment(&project, "web", &folder.path().join("web.yaml")).expect_err("refused");
    assert!(error.to_string().contains("web.yaml:3:5"), "{error}");
    assert!(error.to_string().contains("did you mean `image`?"), "{error}");
}

#[test]
fn an_unset_variable_is_blank_and_worth_a_warning() {
    let folder = folder(&[(
        "compose.yaml",
        "name: x\nservices:\n  web: {image: 'a:1', user: '${NOBODY}'}\n",
    )]);
    let project = project(folder.path()).expect("project");
    assert_eq!(project.services["web"].user.as_deref(), Some(""));
    let warning = &project.warnings[0];
    assert!(
        warning.message.starts_with("the variable `NOBODY` is not set"),
        "{warning}"
    );
    assert!(
        warning
            .place()
            .is_some_and(|place| place.ends_with("compose.yaml:3:29")),
        "{warning}"
    );
}

#[test]
fn what_a_service_extends_leaves_blank_it_leaves_blank_itself() {
    let compose = "name: x
services:
  web: {extends: {file: base.yaml, service: shop}}
  worker: {extends: {service: base}}
  base: {image: 'a:1', user: '${SOMEBODY}'}
";
    let base = "services: {shop: {image: 'a:1', user: '${NOBODY}'}, other: {image: 'a:${NOTHING}'}}";
    let folder = folder(&[("compose.yaml", compose), ("base.yaml", base)]);
    let project = project(folder.path()).expect("project");
    let unset = |service: &str| project.unset.get(service).cloned().unwrap_or_default();
    assert_eq!(Vec::from_iter(unset("web")), ["NOBODY"]);
    assert_eq!(Vec::from_iter(unset("worker")), ["SOMEBODY"]);
}

#[test]
fn limits_and_replicas_are_found_in_either_place() {
    let text = "name: x
services:
  a: {image: a, mem_limit: 64m, cpus: 0.5, pids_limit: 9, scale: 2}
  b: {image: a, deploy: {replicas: 2, resources: {limits: {memory: 64m, cpus: '0.5', pids: 9}}}}
";
    let folder = folder(&[("compose.yaml", text)]);
    let project = project(folder.path()).expect("project");
    for service in project.services.values() {
        assert_eq!(service.memory_limit(), Some(64 << 20));
        assert_eq!(service.cpu_limit(), Some(0.5));
        assert_eq!(service.pids_limit(), Some(9));
        assert_eq!(service.replicas(), 2);
    }
}
