//! The workflows that go with it: the examples of this repository, for this release.

use std::path::Path;

use super::auth::PASSWORD;
use super::draft::Draft;
use super::release::Release;

/// Rehearses every pull request.
const REHEARSAL: &str = include_str!("../../.github/examples/rehearsal.yml");
/// Asks production whether the lock still holds.
pub const LOCK: &str = include_str!("../../.github/examples/production-lock.yml");

/// What the job builds.
const BUILT: &str = "candidate:ci";
/// What the example has for its own shop.
const BUILDS: &str = "      - run: docker build --tag shop:candidate .\n";
const CANDIDATE: &str = "        with:\n          candidate: web=shop:candidate\n";
const SECRET: &str = "        env:\n          # What rehearsal.yaml names as {secret: …}.\n          ALICE_PASSWORD: ${{ secrets.ALICE_PASSWORD }}\n";

/// The workflow for a draft whose configuration is in this folder of the repository. What is built from the tree needs no
/// step: the difference is the release.
pub fn rehearsal(draft: &Draft, folder: &Path) -> String {
    let builds = match draft.release {
        Release::Built(_) => String::new(),
        Release::Own(_) | Release::Perhaps(_) => BUILDS.replace("shop:candidate", BUILT),
    };
    let folder = folder.to_str().filter(|folder| !folder.is_empty());
    let folder = folder.map(|folder| format!("          working-directory: {folder}\n"));
    let with: String = folder.into_iter().chain(candidate(&draft.release)).collect();
    let said: String = draft.variables().iter().map(|name| variable(draft, name)).collect();
    REHEARSAL
        .replace(BUILDS, &builds)
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
    let Release::Perhaps(choices) = release else {
        return None;
    };
    let likely = choices.first().map_or("SERVICE", |choice| &choice.repository);
    Some(format!(
        "          candidate: {likely}={BUILT} # what init took for the release\n"
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
    use crate::init::release::Choice;
    use crate::init::smoke::Smoke;

    #[test]
    fn nothing_of_the_examples_own_shop_is_left() {
        for part in [BUILDS, CANDIDATE, SECRET] {
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
    fn where_nobody_knows_the_release_the_job_says_what_is_rehearsed() {
        let choice = Choice {
            repository: "example.com/desk".to_owned(),
            services: vec!["web".to_owned()],
        };
        for (choices, wanted) in [(vec![choice], "example.com/desk"), (Vec::new(), "SERVICE")] {
            let text = rehearsal(&draft(Release::Perhaps(choices)), Path::new("deploy"));
            assert!(
                text.contains(&format!("          candidate: {wanted}=candidate:ci #")),
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
            hosts: Vec::new(),
            smoke: Smoke::default(),
        }
    }
}
