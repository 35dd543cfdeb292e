//! `rehearsal logs`: of a mirror that stays, and of a folder.

use std::path::{Path, PathBuf};

use crate::docker::image;
use crate::driver::{Ended, end, folder, rehearsal, without_engine};
use crate::slot::Alone;

/// A production that says hostile things, and its own secret.
const COMPOSE: &str = r#"
services:
  loud:
    image: rehearsal-test/busybox:1
    command: [sh, -c, "printf 'first\\n\\033[31mred\\033[0m \\033]0;title\\007done\\n'; echo pass-$$WORD; echo last; sleep 600"]
    environment: {WORD: "${LOUD_WORD}"}
    stop_signal: SIGKILL
  quiet:
    image: rehearsal-test/busybox:1
    command: [sh, -c, "echo hush; sleep 600"]
    stop_signal: SIGKILL
"#;
const CONFIG: &str = r#"
production: {compose: compose.yaml}
candidate: {loud: {image: "${NEVER_SET}"}}
suites:
  smoke:
    service: loud
    exec: [{name: in, command: [sh, -c, "true"], stdin: {secret: LOUD_WORD}}]
"#;

/// It keeps a mirror, which a `down --all` of another test would take down.
struct World {
    folder: PathBuf,
    _alone: Alone,
}

impl World {
    fn new(test: &str) -> Self {
        image();
        let folder = folder(&format!("logs/{test}"));
        std::fs::write(folder.join("compose.yaml"), COMPOSE).unwrap();
        std::fs::write(folder.join("rehearsal.yaml"), CONFIG).unwrap();
        Self {
            folder,
            _alone: Alone::wait(),
        }
    }

    fn rehearsal(&self, arguments: &[&str]) -> Ended {
        let mut command = rehearsal(arguments);
        command.current_dir(&self.folder).env("LOUD_WORD", "swordfish");
        end(command)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.rehearsal(&["down"]);
    }
}

#[test]
fn a_living_mirror_is_heard_service_by_service_without_escapes_and_secrets() {
    let world = World::new("living");
    let up = world.rehearsal(&["up"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let logs = world.rehearsal(&["logs"]);
    assert_eq!(logs.code, Some(0), "{}", logs.stderr);
    for wanted in [
        "loud  | first",
        "loud  | red done",
        "loud  | pass-[redacted]",
        "loud  | last",
        "quiet | hush",
    ] {
        assert!(
            logs.stdout.lines().any(|line| line == wanted),
            "{wanted}: {}",
            logs.stdout
        );
    }
    assert!(
        !logs.stdout.contains('\u{1b}') && !logs.stdout.contains("swordfish"),
        "{}",
        logs.stdout
    );
    let one = world.rehearsal(&["logs", "quiet"]);
    assert_eq!(one.stdout, "quiet | hush\n");
    let none = world.rehearsal(&["logs", "nobody"]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.stderr.contains("has no service `nobody`") && none.stderr.contains("loud"),
        "{}",
        none.stderr
    );
}

#[test]
fn without_a_mirror_the_last_runs_logs_are_shown() {
    let folder = folder("logs/folder");
    write(
        &folder.join("rehearsal-out/logs/control"),
        "web.log",
        "up\n\u{1b}[2Jgone\n",
    );
    write(&folder.join("rehearsal-out/logs/upgrade"), "web.log", "again\n");
    let logs = |more: &[&str]| {
        let mut command = without_engine(&[&["logs"], more].concat());
        command.current_dir(&folder);
        end(command)
    };
    let all = logs(&[]);
    assert_eq!(
        all.stdout, "control web | up\ncontrol web | gone\nupgrade web | again\n",
        "{}",
        all.stderr
    );
    assert_eq!(all.code, Some(0));
    assert_eq!(logs(&["db"]).code, Some(2));
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}
