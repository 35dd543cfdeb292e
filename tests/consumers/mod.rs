//! The environment with real consumers, for the tests that need one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python environment; made on first use, from PyPI.
pub fn venv() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/venv.sh");
    let made = Command::new("bash").arg(script).output().expect("bash is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// GitHub's own renderer makes the same elements of every Markdown file of a folder as of its `plain.md`.
pub fn renders_alike(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/check_summary.py");
    let mut python = Command::new(venv().join("bin/python"));
    let checked = python.arg(script).arg(folder).output().expect("python is there");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Chromium, in which pages are looked at; installed on first use, from Debian.
pub fn browser() -> &'static str {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tools.sh");
    let made = Command::new("bash")
        .arg(script)
        .arg("browser")
        .output()
        .expect("bash is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    "chromium"
}
