//! Several runs on one engine at the same time.

use std::process::{Child, Command, Stdio};

use crate::docker::{image, left_behind, root};
use crate::slot::Alone;

/// A configuration of `fixtures/small` and the exit code of its verdict.
const VERDICTS: [(&str, i32); 3] = [("rehearsal.yaml", 0), ("block.yaml", 1), ("inconclusive.yaml", 3)];

fn gate(config: &str, folder: &std::path::Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command
        .args(["run", "--format", "json", "--config"])
        .arg(root().join("fixtures/small").join(config));
    // A folder of its own for temporary files, as a runner gives each job: it must not make one run look dead to another.
    command.env("TMPDIR", folder).arg("--out").arg(folder.join("out"));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// So many runs of different verdicts; each keeps its own, and nothing of it is left.
pub fn at_once(count: usize) {
    image();
    let _alone = Alone::wait();
    let folders: Vec<tempfile::TempDir> = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
    let wanted = VERDICTS.into_iter().cycle().take(count);
    let gates: Vec<_> = wanted
        .zip(&folders)
        .map(|((config, exit), folder)| (config, exit, gate(config, folder.path())))
        .collect();
    // Read all the time: a full pipe would hold a run up.
    let readers: Vec<_> = gates
        .into_iter()
        .map(|(config, exit, gate)| (config, exit, std::thread::spawn(|| gate.wait_with_output().unwrap())))
        .collect();
    for (config, exit, reader) in readers {
        let output = reader.join().unwrap();
        let events = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = events.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(exit), "{config}: {last}");
        // What an earlier run has left on this machine may be told before.
        let told = events
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let run = told.filter_map(|event| event["run"].as_str().map(str::to_owned)).next();
        assert_eq!(left_behind(&run.unwrap()), Vec::<String>::new(), "{config}");
    }
}
