//! The workflows that go with it: the examples of this repository, for this release.

use std::path::Path;

use super::auth::PASSWORD;
use super::draft::Draft;
use super::release::Release;
use super::text;

/// Rehearses every pull request.
const REHEARSAL: &str = include_str!("../../.github/examples/rehearsal.yml");
/// Asks production whether the lock still holds.
const LOCK: &str = include_str!("../../.github/examples/production-lock.yml");

/// What the job builds.
const BUILT: &str = "candidate:ci";
/// What the example has for its own shop.
const BUILDS: &str = "      - run: docker build --tag shop:candidate .\n";
const CANDIDATE: &str = "        with:\n          candidate: web=shop:candidate\n";
const SECRET: &str = "        env:\n          # What rehearsal.yaml names as {secret: …}.\n          ALICE_PASSWORD: ${{ secrets.ALICE_PASSWORD }}\n";

/// Before the path of what is kept.
const REPORTS: &str = "          path: ";
/// When production is asked.
const SCHEDULE: &str = "  schedule:\n    - cron: \"17 5 * * *\"\n";
/// Before what the lock's job does.
const STEPS: &str = "    steps:\n";

/// Whether production's lock is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// It is.
    Taken,
    /// Nobody has taken one.
    Missing,
}

/// The workflow that asks production, for a configuration in this folder of the repository. Until somebody has taken the first
/// lock, and so has a runner that reaches production, it is started by hand.
pub fn lock(folder: &Path, lock: Lock) -> String {
    let schedule = match lock {
        Lock::Taken => SCHEDULE.to_owned(),
        Lock::Missing => {
            let lines = SCHEDULE.lines().map(|line| format!("  # {}\n", &line[2..]));
            let why = "  # When a runner reaches production and the first lock is merged:\n";
            std::iter::once(why.to_owned()).chain(lines).collect()
        }
    };
    let text = LOCK.replace(SCHEDULE, &schedule);
    match named(folder) {
        None => text,
        Some(folder) => {
            let there = format!("    defaults:\n      run:\n        working-directory: {folder}\n{STEPS}");
            text.replace(STEPS, &there)
        }
    }
}

/// A folder of the repository that is not its first.
fn named(folder: &Path) -> Option<String> {
    let folder = folder.to_str().filter(|folder| !folder.is_empty());
    folder.map(text::scalar)
}

/// The workflow for a draft whose configuration is in this folder of the repository. What is built from the tree needs no
/// step: the difference is the release.
pub fn rehearsal(draft: &Draft, folder: &Path) -> String {
    let builds = match draft.release {
        Release::Built(_) => String::new(),
        Release::Own(_) | Release::Perhaps(_) => BUILDS.replace("shop:candidate", BUILT),
    };
    let mut text = REHEARSAL.to_owned();
    for reports in ["rehearsal-out", "rehearsal-out/report.html"] {
        let there = folder.join(reports);
        let there = text::scalar(&there.to_string_lossy());
        text = text.replace(&format!("{REPORTS}{reports}\n"), &format!("{REPORTS}{there}\n"));
    }
    let folder = named(folder).map(|folder| format!("          working-directory: {folder}\n"));
    let with: String = folder.into_iter().chain(candidate(&draft.release)).collect();
    let said: String = draft.variables().iter().map(|name| variable(draft, name)).collect();
    text.replace(BUILDS, &builds)
        .replace(CANDIDATE, &below("with", &with))
        .replace(SECRET, &below("env", &said))
}

fn below(key: &str, lines: &str) -> String {
    match lines {
        "" => String::new(),
        lines => format!("        {key}:\n{lines}"),
    }
}

/// Where the configuration names none. A name that production has not is exit 2: nobody's gate is green because nobody said
/// what the release is.
fn candidate(release: &Release) -> Option<String> {
    if !matches!(release, Release::Perhaps(_)) {
        return None;
    }
    let alike: Vec<&str> = release
        .likeliest()
        .iter()
        .map(|choice| choice.repository.as_str())
        .collect();
    let why = match alike.as_slice() {
        [likely] => {
            return Some(format!(
                "          candidate: {likely}={BUILT} # what init took for the release\n"
            ));
        }
        [] => "write the service whose image the job builds".to_owned(),
        alike => format!("{}, nobody could tell which the job builds", alike.join(" or ")),
    };
    Some(format!(
        "          # SERVICE is a placeholder: {why}.\n          candidate: SERVICE={BUILT}\n"
    ))
}

fn variable(draft: &Draft, name: &str) -> String {
    match name {
        PASSWORD => format!("          {name}: ${{{{ secrets.{name} }}}}\n"),
        image if draft.release.variables().len() == 1 => format!("          {image}: {BUILT}\n"),
        // The job builds one image, and which of them that is nobody knows.
        image => format!("          {image}: build-it-above:ci\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::draft::Found;
    use crate::init::release::{Choice, Published};
    use crate::init::smoke::Smoke;

    #[test]
    fn nothing_of_the_examples_own_shop_is_left() {
        for part in [BUILDS, CANDIDATE, SECRET, REPORTS] {
            assert!(REHEARSAL.contains(part), "the example has changed: {part}");
        }
        for release in [Release::Built(vec!["web".to_owned()]), Release::Perhaps(Vec::new())] {
            let text = rehearsal(&draft(release), Path::new(""));
            for word in ["shop", "ALICE", "web="] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }

    #[test]
    fn the_lock_is_asked_for_where_the_configuration_is_and_every_morning_once_it_is_there() {
        assert_eq!(lock(Path::new(""), Lock::Taken), LOCK);
        let text = lock(Path::new("deploy"), Lock::Missing);
        for wanted in [
            "  # schedule:\n  #   - cron: \"17 5 * * *\"\n",
            "working-directory: deploy\n    steps:\n",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
        assert!(!text.contains(SCHEDULE), "{text}");
    }

    #[test]
    fn where_nobody_knows_the_release_the_job_says_what_is_rehearsed() {
        let choice = Choice {
            repository: "example.com/desk".to_owned(),
            services: vec!["web".to_owned()],
            published: Published::Yes,
        };
        for (choices, wanted) in [(vec![choice], "example.com/desk"), (Vec::new(), "SERVICE")] {
            let text = rehearsal(&draft(Release::Perhaps(choices)), Path::new("deploy"));
            assert!(
                text.contains(&format!("          candidate: {wanted}=candidate:ci")),
                "{text}"
            );
            assert!(
                text.contains("        with:\n          working-directory: deploy\n"),
                "{text}"
            );
        }
    }

    fn draft(release: Release) -> Draft {
        Draft {
            found: Found::default(),
            release,
            engine_sockets: std::collections::BTreeSet::new(),
            auth: None,
            hosts: crate::init::Hosts::default(),
            smoke: Smoke::default(),
        }
    }
}
