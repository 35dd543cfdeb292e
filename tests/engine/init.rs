//! The configuration that `rehearsal init` writes, run as it is: a first verdict without a line by hand.

use crate::driver::{self, Rehearsed, end, rehearsal};
use crate::in_workflow::git;

#[test]
fn what_it_writes_for_the_incidents_shop_gives_a_first_verdict() {
    let folder = driver::folder("init");
    let incident = driver::root().join("fixtures/incident");
    for file in ["compose.yaml", "worlds/shop-1.0-provider-1.3.3.env"] {
        let name = std::path::Path::new(file).file_name().unwrap();
        std::fs::copy(incident.join(file), folder.join(name)).unwrap();
    }
    git(&folder, &["init", "--quiet"]);
    git(
        &folder,
        &["remote", "add", "origin", "https://example.com/incident/shop"],
    );
    let mut init = rehearsal(&["init", "--yes", "--env-file", "shop-1.0-provider-1.3.3.env"]);
    init.current_dir(&folder);
    let told = end(init);
    assert_eq!(told.code, Some(0), "{}", told.stderr);

    let out = folder.join("out");
    let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
    command.env("CANDIDATE_IMAGE", "incident/shop:2.0");
    let run = Rehearsed::of(command, &out);
    // Nobody has said who may sign in, so that nothing tells what 2.0 breaks there; the rest works.
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    assert_eq!(run.result()["candidate"][0]["image"], "incident/shop:2.0");
}
