//! What each target begins with: our own fixtures, and small files for what no fixture has.

use std::path::{Path, PathBuf};

/// The seeds of a target, in an order that never changes.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This crate is built below the product's folder, and as a part of its tests.
    let root = if root.ends_with("tests/fuzz") {
        root.join("../..")
    } else {
        root.to_owned()
    };
    let mut files = files(&root.join("tests/fuzz/seeds").join(target));
    for folder in folders(target) {
        files.extend(
            self::files(&root.join(folder))
                .into_iter()
                .filter(|file| belongs(target, file)),
        );
    }
    let seeds: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).expect("a seed can be read"))
        .collect();
    assert!(!seeds.is_empty(), "`{target}` has no seed");
    seeds
}

fn folders(target: &str) -> &'static [&'static str] {
    match target {
        "compose" => &["fixtures/compose", "fixtures/compose-errors"],
        "env" => &["fixtures/compose", "tests/config_valid"],
        "lock" => &["fixtures/incident"],
        "record" => &["tests/samples"],
        "yaml" => &["fixtures/compose", "tests/config_valid", "tests/config_errors"],
        _ => &[],
    }
}

fn belongs(target: &str, file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match target {
        "env" => name.ends_with(".env"),
        "lock" => name.ends_with(".lock"),
        "record" => name.ends_with(".json"),
        _ => name.ends_with(".yaml") || name.ends_with(".yml"),
    }
}

/// Every file below a folder; none where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}
