//! Compose files on the real engine: what each key becomes in the mirror.

use std::collections::BTreeMap;

use crate::docker::{self, docker};
use crate::stage::{LIMIT, Stage, all_lines, comes_up, says};
use rehearsal::compose::{self, LoadOptions};
use rehearsal::engine::network::Gateway;
use rehearsal::mirror::failure::ServiceFailure;
use rehearsal::mirror::{Mirror, Setup};
use rehearsal::record::release::Role;
use rehearsal::world::addresses::{Block, Layout};
use rehearsal::world::deploy::Deploy;
use rehearsal::world::model::{Network, World};
use rehearsal::world::{from_compose, one_tree};
use serde_json::Value;

/// The world of a Compose file in a folder of its own.
fn world(name: &str, text: &str) -> World {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compose-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("compose.yaml");
    std::fs::write(&file, text.replace("IMAGE", docker::IMAGE)).unwrap();
    let options = LoadOptions {
        files: vec![file],
        environment: BTreeMap::from([("WORD".to_owned(), "a word".to_owned())]),
        ..LoadOptions::default()
    };
    let project = compose::load(&options).unwrap_or_else(|error| panic!("{error:?}"));
    let mut world = from_compose::world(&project).unwrap_or_else(|error| panic!("{error:?}"));
    one_tree::join(&mut world.services.values_mut().collect::<Vec<_>>());
    world
}

/// A mirror of a Compose file.
async fn stage_of(name: &str, text: &str) -> Stage {
    Stage::of(world(name, text)).await
}

/// A further mirror of the same run.
async fn again(stage: &Stage) -> Mirror {
    let setup = Setup {
        prefix: "again-".to_owned(),
        ..stage.setup.clone()
    };
    Mirror::prepare(setup).await.unwrap()
}

async fn swap(stage: &Stage, service: &str) -> Result<(), Box<ServiceFailure>> {
    let release = stage.setup.world.services[service].clone();
    let releases = BTreeMap::from([(service.to_owned(), release)]);
    let deploy = Deploy::of(releases, &stage.setup.world);
    stage.mirror.swap(&deploy, LIMIT, Role::Candidate, None).await.map(drop)
}

/// What the engine says of a service's container.
fn inspect(mirror: &Mirror, service: &str) -> Value {
    let running = mirror.container_of(service).unwrap();
    let all: Value = serde_json::from_str(&docker(&["inspect", &running.id])).unwrap();
    all[0].clone()
}

/// Addresses of a service in a network of its, IPv4 and IPv6.
fn addresses(mirror: &Mirror, service: &str, network: &str) -> (String, String) {
    let inspected = inspect(mirror, service);
    let networks = inspected["NetworkSettings"]["Networks"].as_object().unwrap();
    let (_, endpoint) = networks
        .iter()
        .find(|(name, _)| name.ends_with(&format!("-{network}")))
        .unwrap();
    let text = |key: &str| endpoint[key].as_str().unwrap_or_default().to_owned();
    (text("IPAddress"), text("GlobalIPv6Address"))
}

const FIXED: &str = "
services:
  db:
    image: IMAGE
    command: httpd -f -p 80 -h /www
    stop_signal: SIGKILL
    networks:
      back: {ipv4_address: 172.28.4.10, ipv6_address: '2001:db8:1::10'}
      front: {ipv4_address: 10.9.9.2}
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    networks: [front, back]
networks:
  front: {external: true}
  back: {enable_ipv6: true, ipam: {config: [{subnet: 172.28.0.0/16}, {subnet: '2001:db8:1::/64'}]}}
";

#[tokio::test]
async fn a_fixed_address_keeps_its_place_in_the_runs_own_subnet_through_a_swap_and_beside_a_second_mirror() {
    let stage = stage_of("fixed", FIXED).await;
    comes_up(&stage.mirror).await;
    let again = again(&stage).await;
    comes_up(&again).await;
    let before = addresses(&stage.mirror, "db", "back");
    let (v4, v6) = (before.0.clone(), before.1.clone());
    assert!(
        v4.ends_with(".10") && v4.split('.').nth(2).unwrap().parse::<u8>().unwrap() % 8 == 4,
        "{v4}"
    );
    assert!(v6.starts_with("fd") && v6.ends_with("::10"), "{v6}");
    assert!(addresses(&stage.mirror, "db", "front").0.ends_with(".2"));
    assert_ne!(addresses(&again, "db", "back"), before);
    swap(&stage, "db").await.unwrap();
    assert_eq!(addresses(&stage.mirror, "db", "back"), before);
    let answer = says(
        &stage.mirror,
        "web",
        &format!("wget -qO- http://{v4}/ && wget -qO- http://[{v6}]/"),
    )
    .await;
    assert_eq!(answer, "fine\nfine");
    stage.down().await;
}

#[tokio::test]
async fn the_agents_address_in_each_network_is_known_before_it_is_there() {
    let stage = stage_of("agent", FIXED).await;
    let known: Vec<_> = ["back", "front"]
        .map(|network| stage.mirror.subnet(network).unwrap().agent())
        .into();
    comes_up(&stage.mirror).await;
    let inspected = docker(&["inspect", &stage.engine.name("agent")]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    for (network, known) in ["back", "front"].iter().zip(known) {
        let endpoint = &inspected[0]["NetworkSettings"]["Networks"][stage.engine.name(network)];
        assert_eq!(endpoint["IPAddress"], known.v4.to_string());
        let v6 = known.v6.map(|address| address.to_string()).unwrap_or_default();
        assert_eq!(endpoint["GlobalIPv6Address"], v6);
    }
    stage.down().await;
}

#[tokio::test]
async fn a_subnet_that_another_network_has_is_left_to_it() {
    let stage = stage_of("taken", "services: {one: {image: IMAGE, command: 'true'}}").await;
    // Only one subnet of the first pool is left, and it is taken behind our back.
    let all_but = |free: &str| {
        let every = (18..20).flat_map(|a| (0..256).map(move |b| format!("198.{a}.{b}.0/24")));
        every
            .filter(|subnet| subnet != free)
            .filter_map(|subnet| Block::parse(&subnet))
            .collect::<Vec<_>>()
    };
    let layout = Layout::of(&Network::default(), 10);
    let taken = (0..).find_map(|number| {
        let subnet = format!("198.19.{number}.0/24");
        let name = stage.engine.name("first");
        let label = format!("dev.rehearsal.run={}", stage.engine.run());
        let made = docker(&[
            "network",
            "create",
            "--internal",
            "--label",
            &label,
            "--subnet",
            &subnet,
            &name,
        ]);
        (!made.is_empty()).then_some(subnet)
    });
    let routes = all_but(&taken.unwrap());
    let made = stage
        .engine
        .create_network(&stage.engine.name("second"), &layout, routes, Gateway::Agent)
        .await
        .unwrap();
    assert!(made.agent().v4.to_string().starts_with("10."), "{made:?}");
    stage.down().await;
}

/// What becomes of a key of a service.
enum Becomes {
    /// Seen when the container of service `one` or `two` is inspected: where, and what is (at least) there.
    Seen(&'static str, &'static str, &'static str),
    /// Told in the report in words with these in them.
    Told(&'static str),
    /// No matter of one container: where it is dealt with.
    Elsewhere(&'static str),
}

use Becomes::{Elsewhere, Seen, Told};

/// Every key that a service may have, with a value.
#[rustfmt::skip]
const KEYS: &[(&str, &str, Becomes)] = &[
    ("annotations", "{a: b}", Told("annotations")),
    ("attach", "false", Elsewhere("docker compose's own output")),
    ("blkio_config", "{weight: 300}", Told("block I/O limits")),
    ("build", "", Elsewhere("tests of builds")),
    ("cap_add", "[NET_ADMIN]", Seen("one", "/HostConfig/CapAdd", r#"["NET_ADMIN"]"#)),
    ("cap_drop", "[MKNOD]", Seen("one", "/HostConfig/CapDrop", r#"["MKNOD"]"#)),
    ("cgroup", "host", Told("control groups")),
    ("cgroup_parent", "/x", Told("control groups")),
    ("command", "[sleep, '1000']", Seen("one", "/Config/Cmd", r#"["sleep", "1000"]"#)),
    ("configs", "", Elsewhere("a_container_finds_its_files")),
    ("container_name", "prod-one", Elsewhere("a_container_finds_its_files")),
    ("cpu_count", "2", Told("Windows")),
    ("cpu_percent", "50", Told("Windows")),
    ("cpu_period", "50000", Seen("one", "/HostConfig/CpuPeriod", "50000")),
    ("cpu_quota", "25000", Seen("one", "/HostConfig/CpuQuota", "25000")),
    ("cpu_rt_period", "1000", Told("real-time")),
    ("cpu_rt_runtime", "900", Told("real-time")),
    ("cpu_shares", "512", Seen("one", "/HostConfig/CpuShares", "512")),
    ("cpus", "0.5", Seen("two", "/HostConfig/NanoCpus", "500000000")),
    ("cpuset", "'0'", Seen("one", "/HostConfig/CpusetCpus", r#""0""#)),
    ("credential_spec", "{file: x.json}", Told("Windows")),
    ("depends_on", "", Elsewhere("tests/engine/mirror.rs")),
    ("deploy", "{placement: {constraints: [node.role == manager]}, update_config: {parallelism: 1}}", Told("`placement`, `update_config` are not mirrored")),
    ("develop", "{watch: []}", Elsewhere("docker compose watch")),
    ("device_cgroup_rules", "['c 1:3 mr']", Told("devices")),
    ("devices", "['/dev/fuse']", Told("devices")),
    ("dns", "[192.0.2.53]", Told("DNS servers")),
    ("dns_opt", "['timeout:1']", Seen("one", "/HostConfig/DnsOptions", r#"["timeout:1"]"#)),
    ("dns_search", "[corp.example]", Seen("one", "/HostConfig/DnsSearch", r#"["corp.example"]"#)),
    ("domainname", "corp.example", Seen("one", "/Config/Domainname", r#""corp.example""#)),
    ("entrypoint", "[env]", Seen("two", "/Config/Entrypoint", r#"["env"]"#)),
    ("env_file", "[vars.env]", Seen("one", "/Config/Env", r#"["FROM_FILE=yes"]"#)),
    ("environment", "{A: b}", Seen("one", "/Config/Env", r#"["A=b"]"#)),
    ("expose", "['8080']", Elsewhere("tests/engine/mirror.rs: readiness")),
    ("external_links", "[other]", Told("external links")),
    ("extra_hosts", "['old:192.0.2.7']", Seen("one", "/HostConfig/ExtraHosts", r#"["old:192.0.2.7"]"#)),
    ("gpus", "all", Told("GPUs")),
    ("group_add", "['2000']", Seen("one", "/HostConfig/GroupAdd", r#"["2000"]"#)),
    ("healthcheck", "{test: [CMD, 'true'], interval: 7s, retries: 4, start_period: 2s, timeout: 3s}", Seen("one", "/Config/Healthcheck",
        r#"{"Test": ["CMD", "true"], "Interval": 7000000000, "Retries": 4, "StartPeriod": 2000000000, "Timeout": 3000000000}"#)),
    ("hostname", "host1", Seen("one", "/Config/Hostname", r#""host1""#)),
    ("image", "IMAGE", Seen("one", "/Config/Image", r#""rehearsal-test/busybox:1""#)),
    ("init", "true", Seen("one", "/HostConfig/Init", "true")),
    ("ipc", "shareable", Seen("one", "/HostConfig/IpcMode", r#""shareable""#)),
    ("isolation", "hyperv", Told("Windows")),
    ("label_file", "[labels.txt]", Seen("one", "/Config/Labels", r#"{"from.file": "yes"}"#)),
    ("labels", "{team: shop}", Seen("one", "/Config/Labels", r#"{"team": "shop"}"#)),
    ("links", "", Elsewhere("links_and_lent_volumes_hold_through_a_swap")),
    ("logging", "{driver: syslog}", Told("logging driver")),
    ("mac_address", "'02:42:ac:11:65:43'", Told("MAC address")),
    ("mem_limit", "64m", Seen("one", "/HostConfig/Memory", "67108864")),
    ("mem_reservation", "32m", Seen("one", "/HostConfig/MemoryReservation", "33554432")),
    ("mem_swappiness", "10", Seen("one", "/HostConfig/MemorySwappiness", "10")),
    ("memswap_limit", "128m", Seen("one", "/HostConfig/MemorySwap", "134217728")),
    ("models", "", Elsewhere("what_is_no_container_is_left_out_and_told")),
    ("network_mode", "", Elsewhere("who_lives_in_the_hosts_network_is_in_all_of_the_mirrors")),
    ("networks", "", Elsewhere("a_fixed_address_keeps_its_place")),
    ("oom_kill_disable", "true", Seen("one", "/HostConfig/OomKillDisable", "true")),
    ("oom_score_adj", "500", Seen("one", "/HostConfig/OomScoreAdj", "500")),
    ("pid", "host", Told("`pid: host`")),
    ("pids_limit", "50", Seen("one", "/HostConfig/PidsLimit", "50")),
    ("platform", "", Elsewhere("of the image")),
    ("ports", "['80']", Elsewhere("published with `up` and `--keep` only; tests/engine/mirror.rs: readiness")),
    ("post_start", "", Elsewhere("hooks_run_after_the_start_and_before_the_stop")),
    ("pre_stop", "", Elsewhere("hooks_run_after_the_start_and_before_the_stop")),
    ("privileged", "true", Told("all rights")),
    ("profiles", "", Elsewhere("the loader")),
    ("provider", "", Elsewhere("what_is_no_container_is_left_out_and_told")),
    ("pull_policy", "always", Elsewhere("of the image")),
    ("pull_refresh_after", "", Elsewhere("of the image")),
    ("read_only", "true", Seen("two", "/HostConfig/ReadonlyRootfs", "true")),
    ("restart", "'on-failure:3'", Seen("one", "/HostConfig/RestartPolicy", r#"{"Name": "on-failure", "MaximumRetryCount": 3}"#)),
    ("runtime", "kata", Told("runtime `kata`")),
    ("scale", "3", Elsewhere("the tests of replicas")),
    ("secrets", "", Elsewhere("a_container_finds_its_files")),
    ("security_opt", "['no-new-privileges:true', 'label:user:x']", Seen("one", "/HostConfig/SecurityOpt", r#"["no-new-privileges=true"]"#)),
    ("shm_size", "8m", Seen("one", "/HostConfig/ShmSize", "8388608")),
    ("stdin_open", "true", Seen("one", "/Config/OpenStdin", "true")),
    ("stop_grace_period", "3s", Seen("one", "/Config/StopTimeout", "3")),
    ("stop_signal", "SIGUSR1", Seen("one", "/Config/StopSignal", r#""SIGUSR1""#)),
    ("storage_opt", "{size: 1G}", Told("storage options")),
    ("sysctls", "{net.core.somaxconn: 99}", Seen("one", "/HostConfig/Sysctls", r#"{"net.core.somaxconn": "99"}"#)),
    ("tmpfs", "['/mem:exec,uid=999,size=1m', /plain]", Seen("one", "/HostConfig/Tmpfs", r#"{"/mem": "exec,uid=999,size=1m", "/plain": ""}"#)),
    ("tty", "true", Seen("one", "/Config/Tty", "true")),
    ("ulimits", "{nofile: {soft: 100, hard: 200}}", Seen("one", "/HostConfig/Ulimits", r#"[{"Name": "nofile", "Soft": 100, "Hard": 200}]"#)),
    ("use_api_socket", "true", Told("engine")),
    ("user", "'1000:1000'", Seen("one", "/Config/User", r#""1000:1000""#)),
    ("userns_mode", "host", Told("userns_mode")),
    ("uts", "host", Told("`uts: host`")),
    ("volumes", "['/kept']", Seen("one", "/HostConfig/Mounts", r#"[{"Type": "volume", "Target": "/kept"}]"#)),
    ("volumes_from", "", Elsewhere("links_and_lent_volumes_hold_through_a_swap")),
    ("working_dir", "/tmp", Seen("one", "/Config/WorkingDir", r#""/tmp""#)),
];

#[test]
fn every_key_that_the_reader_knows_is_in_the_table() {
    let source = include_str!("../../src/compose/read.rs");
    let begin = source.find("fn service(").unwrap();
    let end = begin + source[begin..].find("fn microseconds(").unwrap();
    let pattern = regex::Regex::new(r#"(?s)fields\s*\.\w+(?:::<\w+>)?\(\s*"([a-z_]+)""#).unwrap();
    let known = pattern
        .captures_iter(&source[begin..end])
        .map(|found| found[1].to_owned());
    let known: std::collections::BTreeSet<String> = known.filter(|key| key != "extends").collect();
    let listed = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(known, listed);
    for (key, _, becomes) in KEYS {
        let Elsewhere(place) = becomes else { continue };
        let is_test = !place.contains([' ', '/']);
        let there = include_str!("mirror_compose.rs").contains(&format!("fn {place}"));
        assert!(!is_test || there, "{key}: no test {place}");
    }
}

#[test]
fn what_is_not_mirrored_is_told_with_its_service() {
    for (key, value, becomes) in KEYS {
        let Told(words) = becomes else { continue };
        let image = format!("services: {{one: {{image: IMAGE, {key}: {value}}}}}");
        let notes = world(&format!("told-{key}"), &image).unmirrored;
        let told = notes
            .iter()
            .any(|note| note.starts_with("service `one`: ") && note.contains(words));
        assert!(told, "{key}: {notes:?}");
    }
    let plain = world(
        "plain",
        "services: {one: {image: IMAGE, restart: always, ports: ['80']}}",
    );
    assert_eq!(plain.unmirrored, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_mirrored_is_seen_in_the_container() {
    let mut text = "services:\n".to_owned();
    for service in ["one", "two"] {
        text += &format!("  {service}:\n");
        for (key, value, becomes) in KEYS {
            if matches!(becomes, Seen(of, ..) if *of == service) {
                text += &format!("    {key}: {value}\n");
            }
        }
    }
    text += "    image: IMAGE\n    command: [sleep, '1000']\n";
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-seen");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("vars.env"), "FROM_FILE=yes\n").unwrap();
    std::fs::write(folder.join("labels.txt"), "from.file=yes\n").unwrap();
    let stage = stage_of("seen", &text).await;
    comes_up(&stage.mirror).await;
    for (key, _, becomes) in KEYS {
        let Seen(service, place, wanted) = becomes else {
            continue;
        };
        let inspected = inspect(&stage.mirror, service);
        let found = inspected.pointer(place).unwrap_or(&Value::Null);
        assert!(holds(found, &serde_json::from_str(wanted).unwrap()), "{key}: {found}");
    }
    stage.down().await;
}

/// Whether everything that is wanted is there.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            wanted.iter().all(|want| found.iter().any(|one| holds(one, want)))
        }
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, want)| found.get(key).is_some_and(|one| holds(one, want))),
        _ => found == wanted,
    }
}

#[tokio::test]
async fn hooks_run_after_the_start_and_before_the_stop() {
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    volumes: ['told:/told']
    post_start:
      - {command: [sh, -c, 'echo up $$WHO $$PWD $$(id -u) >>/told/list'], environment: {WHO: hook}, working_dir: /www, user: '0'}
    pre_stop:
      - {command: [sh, -c, 'echo down >>/told/list']}
  after:
    image: IMAGE
    command: sh -c 'cat /told/list; sleep infinity'
    stop_signal: SIGKILL
    volumes: ['told:/told']
    depends_on: [web]
volumes: {told: {}}
";
    let stage = stage_of("hooks", text).await;
    comes_up(&stage.mirror).await;
    swap(&stage, "web").await.unwrap();
    assert_eq!(
        says(&stage.mirror, "web", "cat /told/list").await,
        "up hook /www 0\ndown\nup hook /www 0"
    );
    assert_eq!(all_lines(&stage.mirror, "after", 1).await, ["up hook /www 0"]);
    stage.down().await;
}

#[tokio::test]
async fn a_hook_that_fails_is_why_the_service_did_not_come_up() {
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    post_start: [{command: [sh, -c, 'echo no such table; exit 4']}]
";
    let stage = stage_of("hook-fails", text).await;
    let started = stage.mirror.start(LIMIT).await.unwrap().started;
    let failure = started[0].failure.clone().unwrap();
    assert_eq!(
        failure.headline(),
        "`web` did not come up: its `post_start` `sh -c echo no such table; exit 4` ended with code 4: `no such table`"
    );
    stage.down().await;
}

#[tokio::test]
async fn links_and_lent_volumes_hold_through_a_swap() {
    let text = "
services:
  db:
    image: IMAGE
    command: httpd -f -p 80 -h /www
    stop_signal: SIGKILL
    volumes: [/kept, 'named:/named']
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    links: ['db:database']
    volumes_from: ['db:ro']
volumes: {named: {}}
";
    let stage = stage_of("links", text).await;
    comes_up(&stage.mirror).await;
    says(&stage.mirror, "db", "echo kept >/kept/file; echo named >/named/file").await;
    swap(&stage, "db").await.unwrap();
    let answer = says(
        &stage.mirror,
        "web",
        "wget -qO- http://database/; cat /kept/file /named/file; touch /kept/x || echo no",
    )
    .await;
    assert_eq!(answer, "fine\nkept\nnamed\nno");
    // Nobody else knows the alias.
    assert_eq!(
        says(&stage.mirror, "db", "wget -T 2 -qO- http://database/ || echo unknown").await,
        "unknown"
    );
    stage.down().await;
}

#[tokio::test]
async fn who_lives_in_the_hosts_network_is_in_all_of_the_mirrors() {
    let text = "
services:
  web: {image: IMAGE, command: httpd -f -p 80 -h /www, stop_signal: SIGKILL, networks: [front]}
  metrics: {image: IMAGE, command: httpd -f -p 81 -h /www, stop_signal: SIGKILL, network_mode: host}
networks: {front: {}}
";
    let stage = stage_of("host", text).await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "metrics", "wget -qO- http://web/").await, "fine");
    assert_eq!(says(&stage.mirror, "web", "wget -qO- http://metrics:81/").await, "fine");
    let told = &stage.setup.world.unmirrored[0];
    assert!(
        told.starts_with("service `metrics`: `network_mode: host` is not mirrored: it is in all networks"),
        "{told}"
    );
    stage.down().await;
    let alone = world("host-alone", "services: {one: {image: IMAGE, network_mode: host}}");
    assert_eq!(alone.networks.keys().collect::<Vec<_>>(), ["default"]);
}

#[test]
fn what_is_no_container_is_left_out_and_told() {
    let text = "
services:
  web: {image: IMAGE, depends_on: [cloud], models: [llm]}
  cloud: {provider: {type: awesomecloud}}
  spare: {image: IMAGE, scale: 0}
models: {llm: {model: ai/small}}
";
    let world = world("left-out", text);
    assert_eq!(world.services.keys().collect::<Vec<_>>(), ["web"]);
    assert!(world.services["web"].depends_on.is_empty());
    let told = world.unmirrored.join("\n");
    for words in [
        "`cloud` is not mirrored: it is no container",
        "`spare` is not mirrored",
        "its models",
    ] {
        assert!(told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn files_are_seen_under_a_read_only_root_and_in_memory() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-read-only");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("token.txt"), "from a file\n").unwrap();
    let text = "
services:
  closed: &service
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    secrets: [token, {source: word, target: /etc/word, mode: 0o440, uid: '5', gid: '6'}]
    configs: [{source: written, target: /www/written}]
    read_only: true
    tmpfs: [/run, '/www:mode=755']
  open:
    <<: *service
    read_only: false
secrets: {token: {file: ./token.txt}, word: {environment: WORD}}
configs: {written: {content: 'as written'}}
";
    let stage = stage_of("read-only", text).await;
    comes_up(&stage.mirror).await;
    for service in ["closed", "open"] {
        // What the image has beside a file is still there.
        let command = "cat /run/secrets/token /www/written /www/index.html; stat -c '%a %u %g' /etc/word";
        let found = says(&stage.mirror, service, command).await;
        assert_eq!(found, "from a file\nas writtenfine\n440 5 6", "{service}");
        let written = says(
            &stage.mirror,
            service,
            "touch /tmp/x 2>/dev/null && echo written || echo refused",
        )
        .await;
        assert_eq!(written, if service == "closed" { "refused" } else { "written" });
    }
    stage.down().await;
}

#[tokio::test]
async fn memory_has_the_options_that_production_gives_it() {
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    tmpfs: ['/run/app:exec,uid=999,gid=998,mode=700']
    volumes: [{type: tmpfs, target: /cache, tmpfs: {size: 1m, mode: 0o1770}}]
";
    let stage = stage_of("memory", text).await;
    comes_up(&stage.mirror).await;
    let line = "stat -c '%a %u %g' /run/app /cache; cp /bin/busybox /run/app/true && /run/app/true; echo $?";
    let found = says(&stage.mirror, "web", line).await;
    assert_eq!(found, "700 999 998\n1770 0 0\n0");
    stage.down().await;
}

#[tokio::test]
async fn a_part_of_a_volume_is_what_an_engine_must_be_able_to_mount() {
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    volumes: [{type: volume, source: files, target: /www, volume: {subpath: a/b, nocopy: true}}, 'files:/all']
volumes: {files: {}}
";
    let stage = stage_of("part", text).await;
    let started = stage.mirror.start(LIMIT).await.unwrap().started;
    let failure = started.into_iter().find_map(|started| started.failure);
    let told = failure.map(|failure| failure.headline()).unwrap_or_default();
    // A newer engine can, and finds no such folder in an empty volume; an older one would mount all of it.
    let cannot = "`web` was not started: this machine's engine cannot give it a part of a volume (`volume.subpath`)";
    match stage.engine.mounts_parts() {
        true => assert!(told.contains("a/b"), "{told}"),
        false => assert!(told.starts_with(cannot), "{told}"),
    }
    stage.down().await;
}

#[tokio::test]
async fn what_the_image_has_is_not_copied_into_a_volume_that_asks_for_no_copy() {
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    volumes: ['files:/www:nocopy']
volumes: {files: {}}
";
    let stage = stage_of("no-copy", text).await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "web", "ls /www | wc -l").await, "0");
    stage.down().await;
}

#[tokio::test]
async fn a_folder_with_a_socket_in_it_is_copied_without_it() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-socket/run");
    let _stale = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("motd"), "hello\n").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("app.sock")).unwrap();
    let text = "
services:
  web:
    image: IMAGE
    command: sleep infinity
    stop_signal: SIGKILL
    volumes: ['./run:/srv/run']
";
    let stage = stage_of("socket", text).await;
    comes_up(&stage.mirror).await;
    assert_eq!(says(&stage.mirror, "web", "ls /srv/run").await, "motd");
    stage.down().await;
}

#[tokio::test]
async fn a_container_finds_its_files() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-files");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("token.txt"), "from a file\n").unwrap();
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(folder.join("token.txt"), rights).unwrap();
    let text = "
services:
  web:
    image: IMAGE
    container_name: prod-web
    command: sleep infinity
    stop_signal: SIGKILL
    secrets: [token, {source: word, target: /etc/word, mode: 0o440, uid: '5', gid: '6'}]
    configs: [{source: written, target: /etc/written}]
  other: {image: IMAGE, command: httpd -f -p 80 -h /www, stop_signal: SIGKILL, container_name: prod-other}
secrets: {token: {file: ./token.txt}, word: {environment: WORD}}
configs: {written: {content: 'as written'}}
";
    let stage = stage_of("files", text).await;
    comes_up(&stage.mirror).await;
    let found = says(
        &stage.mirror,
        "web",
        "cat /run/secrets/token /etc/written; echo; stat -c '%a %u %g' /etc/word; stat -c '%a' /run/secrets/token",
    )
    .await;
    assert_eq!(found, "from a file\nas written\n440 5 6\n640");
    assert_eq!(says(&stage.mirror, "web", "wget -qO- http://prod-other/").await, "fine");
    stage.down().await;
}

#[tokio::test]
async fn folders_of_the_host_that_lie_in_each_other_are_one_tree_and_the_users_own_is_left_alone() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose-one-tree");
    let _stale = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("site/public")).unwrap();
    std::fs::write(folder.join("token.env"), "TOKEN=old\n").unwrap();
    let text = "
services:
  app:
    image: IMAGE
    command: [sh, -c, 'echo page >/site/public/index.html; echo TOKEN=new >/token.env; echo up >/new/up; touch /done; exec sleep infinity']
    healthcheck: {test: [CMD, test, -e, /done]}
    volumes: ['./site:/site', './token.env:/token.env', './site/not/there:/new', './none:/none']
  web:
    image: IMAGE
    command: [sleep, infinity]
    depends_on: {app: {condition: service_healthy}}
    volumes: ['./site/public:/srv/www:ro', './token.env:/run/token.env:ro', './site:/all:ro', './none:/none']
  deep:
    image: IMAGE
    command: [sleep, infinity]
    depends_on: {app: {condition: service_healthy}}
    volumes: ['./site/not/there:/deep']
  beside:
    image: IMAGE
    command: [sleep, infinity]
    depends_on: {app: {condition: service_healthy}}
    volumes: ['./site-public:/srv/www', './token.env.old:/old']
";
    let stage = stage_of("one-tree", text).await;
    comes_up(&stage.mirror).await;
    let line =
        "cat /srv/www/index.html /run/token.env /all/not/there/up; echo shared >/none/file; touch /srv/www/no || true";
    assert_eq!(says(&stage.mirror, "web", line).await, "page\nTOKEN=new\nup");
    assert_eq!(
        says(&stage.mirror, "app", "cat /none/file; ls /site/public").await,
        "shared\nindex.html"
    );
    // A part of a part is the same folder, and a neighbour whose name begins alike is another.
    assert_eq!(says(&stage.mirror, "deep", "cat /deep/up").await, "up");
    assert_eq!(says(&stage.mirror, "beside", "ls /srv/www /old | wc -w").await, "2");
    swap(&stage, "web").await.unwrap();
    assert_eq!(says(&stage.mirror, "web", "cat /run/token.env").await, "TOKEN=new");
    stage.down().await;
    assert_eq!(std::fs::read_dir(folder.join("site/public")).unwrap().count(), 0);
    assert!(!folder.join("none").exists() && !folder.join("site/not").exists());
    assert_eq!(
        std::fs::read_to_string(folder.join("token.env")).unwrap(),
        "TOKEN=old\n"
    );
}
