//! What `docker compose up -d` makes of a release, from the configuration to the verdict.

use serde_json::Value;

use crate::docker::image;
use crate::driver::{self, Rehearsed};

/// The run of a configuration beside these files.
fn rehearsed(name: &str, compose: &str, candidate: &str, suites: &str) -> Value {
    image();
    let folder = driver::folder(&format!("deploys/{name}"));
    let config = format!("production: {{compose: compose.yaml}}\ncandidate: {candidate}\nsuites: {suites}\n");
    for (file, text) in [
        ("compose.yaml", compose),
        ("rehearsal.yaml", config.as_str()),
        ("bare.yaml", BARE),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let out = folder.join("out");
    let run = Rehearsed::of(driver::run(&folder.join("rehearsal.yaml"), &out), &out);
    assert_eq!(driver::left_behind(&run.id()), Vec::<String>::new());
    run.result()
}

/// Takes a health check away.
const BARE: &str = "services: {web: {healthcheck: {disable: true}}}\n";

const WEB: &str = "
  web:
    image: rehearsal-test/busybox:1
    command: [httpd, -f, -p, '8080', -h, /www]
    expose: ['8080']
    healthcheck: {test: [CMD, wget, -qO-, 'http://127.0.0.1:8080/'], interval: 2s}
    stop_signal: SIGKILL
";

#[test]
fn a_release_whose_others_wait_in_vain_for_its_health_is_blocked() {
    let compose = format!(
        "services:{WEB}
  asks:
    image: rehearsal-test/busybox:1
    command: [sleep, infinity]
    depends_on: {{web: {{condition: service_healthy}}}}
    stop_signal: SIGKILL
"
    );
    let suites = "{smoke: {service: web, exec: [{name: up, command: ['true']}]}}";
    let result = rehearsed("in-vain", &compose, "{web: {compose: bare.yaml}}", suites);
    assert_eq!(result["verdict"], "block", "{}", result["findings"]);
    let cause = result["cause"].as_str().unwrap();
    let words =
        "`asks` was not started because it waits until `web` is healthy, and `web` has no healthcheck configured";
    assert!(cause.contains(words), "{cause}");
}

/// Production's engine gives a job's address back before what waits for the job is started: so a front that asked once for
/// an address still reaches the release behind it.
#[test]
fn what_waits_for_a_job_comes_back_under_the_address_that_it_had() {
    let compose = "
services:
  migrate:
    image: rehearsal-test/busybox:1
    command: ['true']
  app:
    image: rehearsal-test/busybox:1
    command: [sleep, infinity]
    depends_on: {migrate: {condition: service_completed_successfully}}
    stop_signal: SIGKILL
  front:
    image: rehearsal-test/busybox:1
    command: [sh, -c, 'ping -c 1 app | head -n 1 >/tmp/app; sleep infinity']
    depends_on: [app]
    stop_signal: SIGKILL
";
    let asks = "{name: app is where it was, command: [sh, -c, 'ping -c 1 app | head -n 1 | cmp - /tmp/app']}";
    let suites = format!("{{smoke: {{service: front, exec: [{asks}]}}}}");
    let release = "{app: {env: {RELEASE: '2'}}, migrate: {env: {RELEASE: '2'}}}";
    let result = rehearsed("address", compose, release, &suites);
    assert_eq!(result["verdict"], "pass", "{}", result["findings"]);
}
