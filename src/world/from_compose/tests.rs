use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::compose::LoadOptions;
use crate::world::model::{HostPath, Source};

/// A folder with these files, and the world of the Compose file among them.
fn world_with(files: &[(&str, &str)], text: &str) -> (tempfile::TempDir, Result<World, String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    let file = folder.path().join("compose.yaml");
    let here = folder.path().display().to_string();
    std::fs::write(&file, text.replace("HERE", &here)).unwrap();
    let options = LoadOptions {
        files: vec![file],
        environment: BTreeMap::new(),
        ..LoadOptions::default()
    };
    let project = compose::load(&options).unwrap_or_else(|error| panic!("{error}"));
    (folder, world(&project).map_err(|error| error.to_string()))
}

fn web(text: &str) -> Service {
    let (_folder, world) = world_with(&[], &format!("services: {{web: {{image: x, {text}}}}}"));
    world.unwrap().services["web"].clone()
}

#[test]
fn a_restart_policy_of_deploy_takes_the_place_of_restart_word_by_word() {
    // What the engine is asked for by Docker Compose 2.40.3.
    for (text, wanted) in [
        (
            "restart: always, deploy: {restart_policy: {condition: none}}",
            Restart::No,
        ),
        (
            "restart: \"no\", deploy: {restart_policy: {condition: any}}",
            Restart::Always,
        ),
        ("restart: always, deploy: {restart_policy: {}}", Restart::No),
        (
            "restart: always, deploy: {restart_policy: {max_attempts: 2}}",
            Restart::No,
        ),
        ("deploy: {restart_policy: {max_attempts: 3}}", Restart::No),
        ("deploy: {restart_policy: {condition: \"no\"}}", Restart::No),
        ("deploy: {restart_policy: {condition: always}}", Restart::Always),
        (
            "deploy: {restart_policy: {condition: unless-stopped}}",
            Restart::UnlessStopped,
        ),
        (
            "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
            Restart::OnFailure(Some(2)),
        ),
        ("restart: always, deploy: {replicas: 1}", Restart::Always),
        ("restart: \"on-failure:4\"", Restart::OnFailure(Some(4))),
    ] {
        assert_eq!(web(text).restart, wanted, "{text}");
    }
}

#[test]
fn a_restart_policy_that_no_engine_takes_is_refused_and_a_limit_that_none_takes_is_told() {
    let with = |policy: &str| {
        let text = format!("services: {{web: {{image: x, deploy: {{restart_policy: {{{policy}}}}}}}}}");
        world_with(&[], &text).1
    };
    let error = with("condition: weird").unwrap_err();
    assert!(error.contains("`weird` is not a restart policy"), "{error}");
    let told = with("condition: any, max_attempts: 3").unwrap().unmirrored;
    assert!(
        told[0].contains("`max_attempts` goes with `condition: on-failure` alone"),
        "{told:?}"
    );
    let none: [String; 0] = [];
    assert_eq!(with("condition: on-failure, max_attempts: 3").unwrap().unmirrored, none);
}

fn source(world: &World, target: &str) -> Source {
    let mut mounts = world.services["web"].mounts.iter();
    mounts.find(|mount| mount.target == target).unwrap().source.clone()
}

fn folder(path: &Path) -> Source {
    Source::Host(HostPath {
        root: path.canonicalize().unwrap(),
        below: PathBuf::new(),
    })
}

#[test]
fn a_volume_that_is_a_folder_of_the_host_in_disguise_is_mounted_as_that_folder() {
    let text = "
services:
  web:
    image: x
    volumes: ['conf:/conf', 'closed:/closed', 'gone:/gone', 'plain:/plain', 'far:/far']
volumes:
  conf: {driver: local, driver_opts: {type: none, o: bind, device: ./conf}}
  closed: {driver_opts: {type: none, o: 'bind,ro', device: HERE/conf}}
  gone: {driver_opts: {type: none, o: bind, device: HERE/gone}}
  plain: {}
  far: {driver_opts: {type: nfs, o: 'addr=192.0.2.1', device: ':/files'}}
";
    let (place, world) = world_with(&[("conf/a", "a")], text);
    let world = world.unwrap();
    let conf = folder(&place.path().join("conf"));
    assert_eq!(source(&world, "/conf"), conf);
    assert_eq!(source(&world, "/closed"), conf);
    let read_only = world.services["web"].mounts.iter().map(|mount| mount.read_only);
    assert_eq!(read_only.collect::<Vec<_>>(), [false, true, false, false, false]);
    // What is not on this machine is an empty volume, and that is said.
    for (target, name) in [("/gone", "gone"), ("/plain", "plain"), ("/far", "far")] {
        assert_eq!(source(&world, target), Source::Volume(name.to_owned()));
    }
    let told = |name: &str| {
        let words = format!("volume `{name}` is elsewhere in production");
        world.unmirrored.iter().any(|note| note.starts_with(&words))
    };
    assert_eq!(["conf", "closed", "gone", "far"].map(told), [false, false, true, true]);
}

#[test]
fn a_secret_from_a_file_has_the_files_own_rights_whatever_is_written() {
    let text = "
services:
  web:
    image: x
    secrets: [plain, {source: written, mode: 0o444, uid: '5'}]
    configs: [{source: said, mode: 0o440, uid: '7'}]
secrets: {plain: {file: ./token}, written: {file: ./token}}
configs: {said: {content: hello}}
";
    let (place, _before) = world_with(&[("token", "t")], text);
    let token = place.path().join("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let options = LoadOptions {
        files: vec![place.path().join("compose.yaml")],
        ..LoadOptions::default()
    };
    let world = world_of(&options);
    let own = u64::from(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&token).unwrap()));
    let files = world.services["web"].files.iter();
    let rights: Vec<_> = files.map(|file| (file.mode, file.uid)).collect();
    assert_eq!(rights, [(0o600, own), (0o600, own), (0o440, 7)]);
    let said = "service `web`: `uid`, `gid` and `mode` of `written` do nothing, as with `docker compose`: it has those of its file";
    assert_eq!(world.unmirrored, [said]);
}

fn world_of(options: &LoadOptions) -> World {
    let project = compose::load(options).unwrap_or_else(|error| panic!("{error}"));
    world(&project).unwrap_or_else(|error| panic!("{error}"))
}
