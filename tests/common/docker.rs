//! What tests on the real engine share: a small image, and looking at what is left.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::miscounted::but_miscounted;

/// An image with a shell, an HTTP server and `sleep`.
pub const IMAGE: &str = "rehearsal-test/busybox:1";

/// Makes the image, once on this machine.
pub fn image() {
    let made = Command::new("sh")
        .arg(root().join("fixtures/busybox.sh"))
        .status()
        .unwrap();
    assert!(made.success(), "fixtures/busybox.sh failed");
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// What the engine's client prints.
pub fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// All that bears a run's label, one line each.
pub fn left_of(run: &str) -> Vec<String> {
    let label = format!("label=dev.rehearsal.run={run}");
    let kinds: [&[&str]; 4] = [
        &["ps", "--all", "--format", "container {{.Names}}"],
        &["network", "ls", "--format", "network {{.Name}}"],
        &["volume", "ls", "--format", "volume {{.Name}}"],
        &["images", "--all", "--format", "image {{.Repository}}:{{.Tag}}"],
    ];
    let all = kinds
        .iter()
        .map(|words| docker(&[words, &["--filter", label.as_str()][..]].concat()));
    all.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The same where a run has ended: but for what the engine keeps by its own mistake.
pub fn left_behind(run: &str) -> Vec<String> {
    but_miscounted(left_of(run))
}

/// Removes what bears a run's label; the images that it made may stay.
pub fn remove(run: &str) {
    let label = format!("label=dev.rehearsal.run={run}");
    for (list, removal) in [
        (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
        (&["network", "ls"], &["network", "rm"]),
        (&["volume", "ls"], &["volume", "rm", "--force"]),
    ] {
        let named = docker(&[list, &["--quiet", "--filter", &label]].concat());
        for one in named.lines() {
            docker(&[removal, &[one]].concat());
        }
    }
}
