//! Production's names, on a real engine with the real binary: what `fixtures/names` promises.
//! The images are those of `fixtures/incident`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::slot::Slot;
use serde_json::Value;

/// A run that has ended.
struct Ran {
    exit: Option<i32>,
    result: Value,
    out: PathBuf,
}

impl Ran {
    fn log(&self, stage: &str, service: &str) -> String {
        std::fs::read_to_string(self.out.join("logs").join(stage).join(format!("{service}.log"))).unwrap_or_default()
    }

    fn findings(&self, check: &str) -> Vec<&Value> {
        let all = self.result["findings"].as_array().expect("a list");
        all.iter().filter(|finding| finding["check"] == check).collect()
    }
}

fn run(world: &str) -> Ran {
    let config = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/names")
        .join(format!("{world}.yaml"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names").join(world);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    for name in ["GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "CI"] {
        command.env_remove(name);
    }
    command.arg("run").arg("--config").arg(config).arg("--out").arg(&out);
    let _slot = Slot::wait();
    let output = command.output().expect("the binary runs");
    let result = std::fs::read(out.join("result.json"));
    let result = result.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    Ran {
        exit: output.status.code(),
        result: serde_json::from_slice(&result).expect("JSON"),
        out,
    }
}

#[test]
fn a_sign_in_under_productions_own_name_with_tls_passes() {
    let ran = run("twin");
    assert_eq!(ran.exit, Some(0), "{}", ran.result["cause"]);
    assert!(
        ran.log("upgrade", "idp")
            .contains("GET /o/.well-known/openid-configuration"),
        "the candidate asks the provider"
    );
}

#[test]
fn the_incident_is_blocked_under_productions_own_name() {
    let ran = run("incident");
    assert_eq!(ran.exit, Some(1), "{}", ran.result["cause"]);
    let found = ran.findings("auth-login");
    assert_eq!(found.len(), 1);
    let asked = "idp answers 404 to GET /o/.well-known/openid-configuration";
    assert!(found[0]["evidence"].to_string().contains(asked), "{}", found[0]);
}
