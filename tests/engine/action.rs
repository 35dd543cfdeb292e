//! The action in a real workflow with the real binary: the incident shuts the gate, its clean twin opens it.

use std::path::Path;

use crate::driver;
use crate::in_workflow::{Base, Inputs, Seen, seen};
use crate::slot::Slot;
use serde_json::Value;

/// The action with the real binary and a world of the incident, on the real engine. Its reports are kept in `trace`.
fn rehearse(event: &str, world: &str, trace: &Path) -> Seen {
    let _slot = Slot::wait();
    let engine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let config = driver::world(world);
    let inputs = Inputs {
        bin: Path::new(env!("CARGO_BIN_EXE_rehearsal")),
        from: "",
        seed: "7",
        config: config.to_str().expect("a path of ours"),
        candidate: "",
        engine: &engine,
        base: Base::Untold,
    };
    seen(event, &inputs, trace)
}

/// Each path that the action names leads to a report, and the counts are the record's.
fn outputs_tell_the_reports(seen: &Seen, trace: &Path) {
    for path in ["junit-path", "result-path", "summary-path", "html-path"] {
        let file = trace.join(seen.output(path));
        assert!(file.is_file(), "{path} leads nowhere: {}\n{}", file.display(), seen.log);
    }
    let record = std::fs::read(trace.join(seen.output("result-path"))).expect("it is there");
    let record: Value = serde_json::from_slice(&record).expect("result.json is JSON");
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for name in ["verdict", "cause"] {
        assert_eq!(seen.output(name), words(&record[name]));
    }
    assert_eq!(seen.output("exit-code"), words(&record["exit_code"]));
    assert_eq!(seen.output("duration-ms"), words(&record["duration_ms"]));
    for (output, count) in [
        ("tests", "tests"),
        ("passed", "passed"),
        ("failed", "failed"),
        ("errors", "errors"),
        ("skipped", "skipped"),
        ("not-run", "not_run"),
    ] {
        assert_eq!(seen.output(output), words(&record["counts"][count]), "{output}");
    }
    let run = driver::id(&driver::events(&trace.join("reports"))).expect("the run has an id");
    assert_eq!(driver::left_behind(&run), Vec::<String>::new());
}

#[test]
fn the_incident_shuts_the_gate_of_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let trace = tempfile::tempdir().expect("a folder");
        let seen = rehearse(event, "incident", trace.path());
        seen.is_shut("block", "1");
        for part in [
            "404",
            "OpenID Connect discovery",
            "web shop:2.0 for shop:1.0",
            "idp provider:1.3.3",
        ] {
            assert!(seen.output("cause").contains(part), "{}", seen.output("cause"));
        }
        assert!(!seen.output("blocked-by").is_empty());
        outputs_tell_the_reports(&seen, trace.path());
        assert!(!seen.log.contains("stand-in-for-alice"), "{}", seen.log);
    }
}

#[test]
fn the_clean_twin_opens_the_gate_of_pull_requests_and_merge_groups() {
    for event in ["pull_request", "merge_group"] {
        let trace = tempfile::tempdir().expect("a folder");
        let seen = rehearse(event, "twin", trace.path());
        assert_eq!(seen.outcome, "success", "{}", seen.log);
        assert!(seen.job_passed, "{}", seen.log);
        assert_eq!((seen.output("verdict"), seen.output("exit-code")), ("pass", "0"));
        outputs_tell_the_reports(&seen, trace.path());
    }
}
