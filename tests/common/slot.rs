//! Whose turn it is on the engine. Whatever has a mirror up holds one of three slots, over all test threads and all
//! processes of this machine; whatever would not bear a neighbour holds all.
//!
//! Nobody who holds a slot waits for another one: a test that needs more than one takes all at once.

use std::fs::{File, OpenOptions};
use std::time::Duration;

/// As many mirrors are up at once. Most of a run is waiting for what starts: more than cores, and few enough for a start
/// not to be slow.
const SLOTS: [&str; 3] = ["0", "1", "2"];

/// The right to have one mirror up.
pub struct Slot(#[expect(dead_code, reason = "holds its lock")] File);

impl Slot {
    /// Waits for any of them.
    pub fn wait() -> Self {
        loop {
            for name in SLOTS {
                let file = file(name);
                if file.try_lock().is_ok() {
                    return Self(file);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The engine for oneself: no other test has a mirror up, begins a run, or sweeps.
///
/// For what runs several mirrors; for what outlives its process, which anybody's `down --all` would remove; and for what
/// looks dead, which every run sweeps as it begins.
pub struct Alone(#[expect(dead_code, reason = "holds its locks")] [Slot; SLOTS.len()]);

impl Alone {
    /// Waits for all slots, always in the same order.
    pub fn wait() -> Self {
        Self(SLOTS.map(|name| {
            let file = file(name);
            file.lock().expect("the file can be locked");
            Slot(file)
        }))
    }
}

/// The right to start one more engine on this machine: there is one at a time, since each has a fixed name and place.
pub struct Turn(#[expect(dead_code, reason = "holds its lock")] File);

impl Turn {
    /// Waits for it. Slots are taken after it, never before.
    pub fn wait() -> Self {
        let file = file("engine");
        file.lock().expect("the file can be locked");
        Self(file)
    }
}

fn file(name: &str) -> File {
    let path = std::env::temp_dir().join(format!("rehearsal-tests-{name}.lock"));
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .expect("the folder for temporary files is ours")
}
