//! libFuzzer over one target: `REHEARSAL_FUZZ_TARGET` names it, `REHEARSAL_FUZZ_CORPUS` is the folder that its seeds are
//! put into first.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

mod seeds;
mod targets;

use targets::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = variable("REHEARSAL_FUZZ_TARGET");
    let known = || targets::ALL.map(|target| target.name).join(", ");
    targets::ALL
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target is named `{name}`; known: {}", known()))
});

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start this with tests/fuzz/run.sh"))
}

fn plant() {
    let folder = PathBuf::from(variable("REHEARSAL_FUZZ_CORPUS"));
    for (at, seed) in seeds::of(TARGET.name).iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at}")), seed).expect("the corpus can be written");
    }
}

fuzz_target!(init: plant(), |data: &[u8]| (TARGET.holds)(data));
