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
